"""How the coordinates of one blob's pixels become another's, and the Crop layer that lays one over the other.

Source: python/caffe/coord_map.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from caffe_compat.layers.python_blobs import Array
from caffe_compat.pycaffe.net_spec import Function, Top, layers

PASS_THROUGH_LAYERS = [
    "AbsVal", "BatchNorm", "Bias", "BNLL", "Dropout", "Eltwise", "ELU", "Log", "LRN", "Exp", "MVN", "Power", "ReLU",
    "PReLU", "Scale", "Sigmoid", "Split", "TanH", "Threshold",
]  # fmt: skip
_LEGACY_FIELDS = ("pad_h", "pad_w", "kernel_h", "kernel_w", "stride_h", "stride_w")


class UndefinedMapException(Exception):
    """The layer has no coordinate map."""


class AxisMismatchException(Exception):
    """Two maps along different axes."""


class CoordMap(NamedTuple):
    """Coordinate i of the input is coordinate ``scale * i + shift`` of the output.

    ``axis`` is the one before the first that has coordinates (1 for pixels); None: the same along any.
    """

    axis: int | None
    scale: Array
    shift: Array


IDENTITY = CoordMap(None, np.array([1.0]), np.array([0.0]))


def coord_map(fn: Function) -> CoordMap:
    """The map of a layer. Raises: UndefinedMapException; ValueError for _h and _w options."""
    if fn.type_name in ("Convolution", "Pooling", "Im2col"):
        axis, stride, kernel, pad = conv_params(fn)
        return CoordMap(axis, 1 / stride, (pad - (kernel - 1) / 2) / stride)
    if fn.type_name == "Deconvolution":
        axis, stride, kernel, pad = conv_params(fn)
        return CoordMap(axis, stride, (kernel - 1) / 2 - pad)
    if fn.type_name in PASS_THROUGH_LAYERS:
        return IDENTITY
    if fn.type_name == "Crop":
        axis, offset = crop_params(fn)
        return CoordMap(axis - 1, np.array([1.0]), -offset)
    raise UndefinedMapException(f"a {fn.type_name} layer has no coordinate map")


def compose(base_map: CoordMap, next_map: CoordMap) -> CoordMap:
    """``base_map`` after ``next_map``, as functions. Raises: AxisMismatchException."""
    base, following = CoordMap(*base_map), CoordMap(*next_map)
    if None not in (base.axis, following.axis) and base.axis != following.axis:
        raise AxisMismatchException(f"a map along axis {base.axis} and one along axis {following.axis}")
    axis = following.axis if base.axis is None else base.axis
    return CoordMap(axis, base.scale * following.scale, base.scale * following.shift + base.shift)


def inverse(coord_map: CoordMap) -> CoordMap:
    axis, scale, shift = coord_map
    return CoordMap(axis, 1 / scale, -shift / scale)


def coord_map_from_to(top_from: Top, top_to: Top) -> CoordMap:
    """The map from one blob's coordinates to another's, by way of a blob that both are made from.

    Raises: RuntimeError if layers with maps do not connect them.
    """
    from_maps = dict(_ancestors(top_from))
    for top, to_map in _ancestors(top_to):
        if top in from_maps:
            return compose(to_map, inverse(from_maps[top]))
    raise RuntimeError("Could not compute map between tops; are they connected by spatial layers?")


def crop(top_from: Top, top_to: Top) -> Top:
    """A Crop layer that cuts ``top_from`` to where, and as large as, ``top_to`` is.

    Raises: ValueError if the two differ in scale, or by a negative or broken number of pixels.
    """
    found = coord_map_from_to(top_from, top_to)
    if not (found.scale == 1).all():
        raise ValueError(f"scale mismatch on crop (a = {found.scale})")
    if not (found.shift <= 0).all():
        raise ValueError(f"cannot crop negative width (b = {found.shift})")
    if not (np.round(found.shift) == found.shift).all():
        raise ValueError(f"cannot crop noninteger width (b = {found.shift})")
    offset = [int(shift) for shift in -found.shift]
    axis = 2 if found.axis is None else found.axis + 1
    return layers.Crop(top_from, top_to, crop_param=dict(axis=axis, offset=offset))


def _ancestors(top: Top) -> Sequence[tuple[Top, CoordMap]]:
    """A blob and all it is made from by way of layers with maps, each with the map from it to ``top``."""
    found = [(top, IDENTITY)]
    seen = {top}
    for one, map_so_far in found:
        bottoms = one.fn.inputs[:1] if one.fn.type_name == "Crop" else one.fn.inputs
        for bottom in bottoms:
            if bottom in seen:
                continue
            try:
                found.append((bottom, compose(map_so_far, coord_map(one.fn))))
            except UndefinedMapException:
                break
            seen.add(bottom)
    return found


def conv_params(fn: Function) -> tuple[int, Array, Array, Array]:
    """Of a layer with a window: axis, stride, extent of the dilated kernel, padding.

    Raises: ValueError for _h and _w options.
    """
    params = next((fn.params[name] for name in ("convolution_param", "pooling_param") if name in fn.params), fn.params)
    legacy = [field for field in _LEGACY_FIELDS if field in params]
    if legacy:
        raise ValueError(f"cropping does not support legacy _h/_w params: {', '.join(legacy)}")
    dilation = _numbers(params.get("dilation", 1))
    kernel = (_numbers(params["kernel_size"]) - 1) * dilation + 1
    return params.get("axis", 1), _numbers(params.get("stride", 1)), kernel, _numbers(params.get("pad", 0))


def crop_params(fn: Function) -> tuple[int, Array]:
    """Of a Crop layer: axis, offset."""
    params = fn.params.get("crop_param", fn.params)
    return params.get("axis", 2), _numbers(params.get("offset", 0))


def _numbers(values: Any) -> Array:
    return np.array(values, np.float64, ndmin=1)
