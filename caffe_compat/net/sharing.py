"""Which parameter blobs a net learns, and which of them several layers share by name. Source: Net::AppendParam."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from torch import nn

from caffe_compat.glog import shape_text
from caffe_compat.layers.base import Layer
from caffe_compat.layers.shapes import count
from caffe_compat.proto import caffe_pb2

logger = logging.getLogger("caffe_compat")

_MULTIPLIERS = ("lr_mult", "decay_mult")


@dataclass
class LearnableParam:
    """A parameter blob of the layer that owns it.

    Attributes:
        parameter: the blob, in Caffe's shape; requires a gradient unless ``lr_mult`` is 0.
        lr_mult, decay_mult: multiply the solver's rate and weight decay.
        layer, index: the owner's name and the blob's position in it.
    """

    parameter: nn.Parameter
    lr_mult: float
    decay_mult: float
    layer: str
    index: int


class ParamTable:
    """Collects the parameters of a net layer by layer and ties the shared ones."""

    def __init__(self) -> None:
        self.learnable: list[LearnableParam] = []
        self._owners: dict[str, LearnableParam] = {}
        self._is_set: dict[tuple[str, str], bool] = {}  # (param name, multiplier): some layer has given it

    def add_layer(self, layer: Layer) -> None:
        """Take up the layer's blobs; one whose name is known already becomes the owner's.

        Raises: PrototxtError for more ``param`` than blobs, or a shared one that disagrees with its owner.
        """
        specs = list(layer.param.param)
        if len(specs) > len(layer.blobs):
            problem = f"Too many params specified: {len(specs)} for {len(layer.blobs)} blobs"
            raise layer.error(problem, field="param")
        specs += [caffe_pb2.ParamSpec()] * (len(layer.blobs) - len(specs))
        for index, spec in enumerate(specs):
            owner = self._owners.get(spec.name) if spec.name else None
            if owner is None:
                self._add_owner(layer, index, spec)
            else:
                self._share(layer, index, spec, owner)

    def _add_owner(self, layer: Layer, index: int, spec: caffe_pb2.ParamSpec) -> None:
        param = LearnableParam(layer.blobs[index], spec.lr_mult, spec.decay_mult, layer.param.name, index)
        self.learnable.append(param)
        if spec.name:
            self._owners[spec.name] = param
            for multiplier in _MULTIPLIERS:
                self._is_set[spec.name, multiplier] = spec.HasField(multiplier)

    def _share(self, layer: Layer, index: int, spec: caffe_pb2.ParamSpec, owner: LearnableParam) -> None:
        logger.info("Sharing parameters '%s' owned by layer '%s', param index %d", spec.name, owner.layer, owner.index)
        _check_shape(layer, index, spec, owner)
        for multiplier in _MULTIPLIERS:
            self._merge(layer, index, spec, owner, multiplier)
        if owner.parameter.shape != layer.blobs[index].shape:  # so that the other shape is a view, never a copy
            owner.parameter.data = owner.parameter.data.contiguous()
        layer.blobs[index] = owner.parameter

    def _merge(
        self, layer: Layer, index: int, spec: caffe_pb2.ParamSpec, owner: LearnableParam, multiplier: str
    ) -> None:
        if not spec.HasField(multiplier):
            return
        given = getattr(spec, multiplier)
        if self._is_set[spec.name, multiplier] and given != getattr(owner, multiplier):
            raise layer.error(
                f"Shared param '{spec.name}' has mismatched {multiplier}: {getattr(owner, multiplier):g} in layer "
                f"'{owner.layer}', {given:g} here",
                field=f"param[{index}].{multiplier}",
            )
        self._is_set[spec.name, multiplier] = True
        setattr(owner, multiplier, given)

    def set_requires_grad(self, force_backward: bool) -> None:
        """A rate multiplier of 0 switches the gradient off, unless the net forces it."""
        for param in self.learnable:
            param.parameter.requires_grad_(force_backward or param.lr_mult != 0)


def _check_shape(layer: Layer, index: int, spec: caffe_pb2.ParamSpec, owner: LearnableParam) -> None:
    here, there = layer.blobs[index].shape, owner.parameter.shape
    is_permissive = spec.share_mode == caffe_pb2.ParamSpec.PERMISSIVE
    if count(here) == count(there) if is_permissive else here == there:
        return
    raise layer.error(
        f"Cannot share param '{spec.name}' owned by layer '{owner.layer}' with layer '{layer.param.name}'; "
        f"{'count' if is_permissive else 'shape'} mismatch.  Owner layer param shape is {shape_text(there)}; "
        f"sharing layer expects shape {shape_text(here)}",
        field=f"param[{index}].share_mode",
    )
