"""Flatten, Reshape, Slice, Tile, Crop, Reduction: numpy is the witness of values, gradcheck of gradients."""

import numpy as np
import pytest
import torch
from nets import assert_refused, forward, inputs, layer_text, one_layer, randn

from caffe_compat import Net


def gradcheck(net: Net, **arrays: np.ndarray) -> None:
    """The gradients of all outputs by differences."""

    def run(*tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        net(**dict(zip(arrays, tensors, strict=True)))
        return tuple(net.blobs[name] for name in net.outputs)

    tensors = [torch.from_numpy(array).requires_grad_() for array in arrays.values()]
    assert torch.autograd.gradcheck(run, tensors)


FLATTEN = {
    "": (2, 60),
    "axis: 0": (120,),
    "axis: 2": (2, 3, 20),
    "axis: -3 end_axis: -2": (2, 12, 5),
    "axis: 1 end_axis: 1": (2, 3, 4, 5),
    "axis: 2 end_axis: 1": (2, 3, 1, 4, 5),  # an empty range is an axis of size 1
}


@pytest.mark.parametrize("options", FLATTEN)
def test_flatten(options: str) -> None:
    net = one_layer("Flatten", "y", f"flatten_param {{ {options} }}", x=(2, 3, 4, 5))
    assert net.blob_shapes["y"] == FLATTEN[options]
    x = randn(2, 3, 4, 5)
    np.testing.assert_array_equal(forward(net, x=x)["y"], x.reshape(FLATTEN[options]))
    assert forward(net, x=randn(7, 3, 4, 5))["y"].size == 420  # another batch size than declared


def test_a_layer_in_place_behind_a_flatten_leaves_the_bottom_alone() -> None:
    net = Net(inputs(x=(2, 3)) + layer_text("Flatten", "x", "y", name="flat") + layer_text("ReLU", "y", "y"))
    x = torch.tensor([[-1.0, 2, -3], [4, -5, 6]])
    assert net(x=x)["y"].min() == 0
    assert net.blobs["x"].min() == -5


def test_flattens_gradient_has_the_bottoms_shape() -> None:
    net = one_layer("Flatten", "y", x=(2, 3, 2))
    gradcheck(net, x=randn(2, 3, 2))


RESHAPE = {
    "shape { dim: 0 dim: -1 }": (2, 60),
    "shape { dim: -1 }": (120,),
    "shape { dim: 0 dim: 0 dim: 2 dim: 10 }": (2, 3, 2, 10),
    "shape { dim: 4 dim: 0 dim: -1 }": (4, 3, 10),
    "axis: 1 shape { dim: -1 }": (2, 60),
    "axis: 1 num_axes: 2 shape { dim: 2 dim: 6 }": (2, 2, 6, 5),
    "axis: 1 num_axes: 2 shape { dim: 2 dim: -1 }": (2, 2, 6, 5),
    "axis: -1 num_axes: 0 shape { dim: 1 dim: 1 }": (2, 3, 4, 5, 1, 1),
    "axis: 0 num_axes: 0 shape { dim: 1 }": (1, 2, 3, 4, 5),
    "axis: -2 shape { dim: 5 }": (2, 3, 4, 5),
    "axis: 2 shape { dim: 0 dim: 0 }": (2, 3, 4, 5),  # 0 counts from axis on
}


@pytest.mark.parametrize("options", RESHAPE)
def test_reshape(options: str) -> None:
    net = one_layer("Reshape", "y", f"reshape_param {{ {options} }}", x=(2, 3, 4, 5))
    assert net.blob_shapes["y"] == RESHAPE[options]
    x = randn(2, 3, 4, 5)
    np.testing.assert_array_equal(forward(net, x=x)["y"], x.reshape(RESHAPE[options]))


def test_reshape_follows_the_batch_size() -> None:
    net = one_layer("Reshape", "y", "reshape_param { shape { dim: 0 dim: -1 } }", x=(2, 3, 4))
    assert forward(net, x=randn(5, 3, 4))["y"].shape == (5, 12)
    gradcheck(net, x=randn(3, 3, 4))


SLICES = {
    "": [4, 4, 4],
    "slice_point: 1 slice_point: 5": [1, 4, 7],
    "slice_point: 3 slice_point: 12": [3, 9, 0],  # the last one may be empty
}


@pytest.mark.parametrize("points", SLICES)
@pytest.mark.parametrize(("options", "axis"), [("", 1), ("axis: 0", 0), ("axis: -1", 2), ("slice_dim: 2", 2)])
def test_slice(options: str, axis: int, points: str) -> None:
    shape = [2, 3, 4]
    shape[axis] = 12
    net = one_layer("Slice", "a b c", f"slice_param {{ {options} {points} }}", x=shape)
    x = randn(*shape)
    blobs = forward(net, x=x)
    parts = np.split(x, np.cumsum(SLICES[points])[:-1], axis)
    for name, part in zip("abc", parts, strict=True):
        assert net.blob_shapes[name] == part.shape
        np.testing.assert_array_equal(blobs[name], part)
    gradcheck(net, x=x)


def test_slice_into_one_is_the_bottom() -> None:
    x = randn(2, 3)
    np.testing.assert_array_equal(forward(one_layer("Slice", "y", x=(2, 3)), x=x)["y"], x)


@pytest.mark.parametrize(("options", "axis"), [("", 1), ("axis: 0", 0), ("axis: -1", 2)])
def test_tile(options: str, axis: int) -> None:
    net = one_layer("Tile", "y", f"tile_param {{ {options} tiles: 3 }}", x=(2, 3, 4))
    x = randn(2, 3, 4)
    top = forward(net, x=x)["y"]
    assert top.shape == net.blob_shapes["y"]
    np.testing.assert_array_equal(top, np.concatenate([x, x, x], axis))
    gradcheck(net, x=x)


CROPS = {  # options -> first row and column, number of axes cut
    "": (0, 0),
    "offset: 1": (1, 1),
    "offset: 2 offset: 3": (2, 3),
    "axis: -2 offset: 2 offset: 0": (2, 0),
    "axis: 3 offset: 3": (None, 3),
}


@pytest.mark.parametrize("options", CROPS)
def test_crop(options: str) -> None:
    row, column = CROPS[options]
    net = one_layer("Crop", "y", f"crop_param {{ {options} }}", a=(2, 3, 7, 8), b=(1, 1, 4, 5))
    a = randn(2, 3, 7, 8)
    top = forward(net, a=a, b=randn(1, 1, 4, 5))["y"]
    rows = slice(None) if row is None else slice(row, row + 4)
    np.testing.assert_array_equal(top, a[:, :, rows, column : column + 5])
    assert top.shape == net.blob_shapes["y"]


def test_crop_from_axis_1_takes_the_references_channels_too() -> None:
    net = one_layer("Crop", "y", "crop_param { axis: 1 offset: 1 offset: 0 }", a=(2, 5, 6), b=(9, 2, 3, 4))
    a = randn(2, 5, 6)
    np.testing.assert_array_equal(forward(net, a=a, b=randn(9, 2, 3, 4))["y"], a[:, 1:3, :3])


def test_crops_gradient_is_zero_around() -> None:
    net = one_layer("Crop", "y", "crop_param { offset: 1 }", a=(1, 1, 4, 4), b=(1, 1, 2, 2))
    forward(net, a=randn(1, 1, 4, 4), b=randn(1, 1, 2, 2))
    net.blobs["y"].sum().backward()
    assert net.blobs["a"].grad is not None
    assert net.blobs["a"].grad[0, 0].tolist() == [[0, 0, 0, 0], [0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]]
    assert net.blobs["b"].grad is None


REDUCTIONS = {
    "SUM": lambda rows: rows.sum(-1),
    "ASUM": lambda rows: np.abs(rows).sum(-1),
    "SUMSQ": lambda rows: (rows**2).sum(-1),
    "MEAN": lambda rows: rows.mean(-1),
}


@pytest.mark.parametrize("operation", REDUCTIONS)
@pytest.mark.parametrize(("axis", "leading"), [(0, ()), (1, (2,)), (-1, (2, 3)), (2, (2, 3))])
def test_reduction(operation: str, axis: int, leading: tuple[int, ...]) -> None:
    options = f"reduction_param {{ operation: {operation} axis: {axis} coeff: -2.5 }}"
    net = one_layer("Reduction", "y", options, x=(2, 3, 4))
    x = randn(2, 3, 4)
    top = forward(net, x=x)["y"]
    assert top.shape == net.blob_shapes["y"] == leading
    np.testing.assert_allclose(top, -2.5 * REDUCTIONS[operation](x.reshape(*leading, -1)))
    gradcheck(net, x=x)


def test_asum_has_gradient_zero_at_zero() -> None:
    net = one_layer("Reduction", "y", "reduction_param { operation: ASUM }", x=(3,))
    forward(net, x=np.array([-2.0, 0, 3]))
    net.blobs["y"].backward()
    assert net.blobs["x"].grad is not None
    assert net.blobs["x"].grad.tolist() == [-1, 0, 1]


def test_a_reduction_can_be_the_loss() -> None:
    net = one_layer("Reduction", "y", "reduction_param { operation: SUMSQ } loss_weight: 0.5", x=(2, 3))
    x = randn(2, 3)
    forward(net, x=x)
    net.loss.backward()
    np.testing.assert_allclose(net.blobs["x"].grad, x)


PLAIN, CROP = {"x": (2, 3, 4, 6)}, {"a": (2, 3, 7, 8), "b": (2, 3, 4, 5)}
ERRORS = [  # type, options, tops, bottoms, field, problem
    ("Flatten", "flatten_param { axis: 4 }", "y", PLAIN, "flatten_param.axis", "axis 4 out of range"),
    ("Flatten", "flatten_param { end_axis: -5 }", "y", PLAIN, "flatten_param.end_axis", "axis -5 out of range"),
    ("Flatten", "flatten_param { axis: 3 end_axis: 1 }", "y", PLAIN, "flatten_param.end_axis", "at least axis - 1"),
    ("Flatten", "", "x", PLAIN, "top", "in-place"),
    ("Reshape", "reshape_param { shape { dim: -1 } }", "x", PLAIN, "top", "in-place"),
    ("Reshape", "reshape_param { axis: 5 }", "y", PLAIN, "reshape_param.axis", "axis 5 out of range"),
    ("Reshape", "reshape_param { axis: -6 }", "y", PLAIN, "reshape_param.axis", "axis -6 out of range"),
    ("Reshape", "reshape_param { num_axes: -2 }", "y", PLAIN, "reshape_param.num_axes", ">= 0, or -1 for all"),
    ("Reshape", "reshape_param { axis: 2 num_axes: 3 }", "y", PLAIN, "reshape_param.num_axes", "at most the 2 axes"),
    (
        "Reshape",
        "reshape_param { shape { dim: -1 dim: -1 } }",
        "y",
        PLAIN,
        "reshape_param.shape",
        "at most a single -1",
    ),
    ("Reshape", "reshape_param { shape { dim: 7 dim: -1 } }", "y", PLAIN, "reshape_param.shape", "count (144) must be"),
    ("Reshape", "reshape_param { shape { dim: 7 } }", "y", PLAIN, "reshape_param.shape", "must match input count"),
    (
        "Reshape",
        "reshape_param { shape { dim: -2 dim: -72 } }",
        "y",
        PLAIN,
        "reshape_param.shape",
        "must match input count",
    ),
    (
        "Reshape",
        "reshape_param { axis: 3 shape { dim: 6 dim: 0 } }",
        "y",
        PLAIN,
        "reshape_param.shape",
        "no such axis to copy",
    ),
    ("Slice", "slice_param { axis: 1 slice_dim: 1 }", "y", PLAIN, "slice_param.axis", "not both"),
    ("Slice", "slice_param { axis: 4 }", "y", PLAIN, "slice_param.axis", "axis 4 out of range"),
    ("Slice", "slice_param { slice_dim: 4 }", "y", PLAIN, "slice_param.slice_dim", "axis 4 out of range"),
    ("Slice", "slice_param { slice_point: 1 }", "y z w", PLAIN, "slice_param.slice_point", "expected 2 for 3 tops"),
    (
        "Slice",
        "slice_param { slice_point: 2 slice_point: 2 }",
        "y z w",
        PLAIN,
        "slice_param.slice_point",
        "expected rising numbers",
    ),
    ("Slice", "slice_param { slice_point: 0 }", "y z", PLAIN, "slice_param.slice_point", "expected rising numbers"),
    ("Slice", "slice_param { slice_point: 4 }", "y z", PLAIN, "slice_param.slice_point", "do not fit into axis 1"),
    (  # though the last slice alone would be empty, which may be
        "Slice",
        "slice_param { slice_point: 1 slice_point: 2 slice_point: 3 }",
        "y z w v",
        PLAIN,
        "slice_param.slice_point",
        "4 slices at [1, 2, 3] do not fit",
    ),
    ("Slice", "", "y z", PLAIN, "top", "2 equal slices of axis 1"),
    ("Tile", "", "y", PLAIN, "tile_param.tiles", "must be specified"),
    ("Tile", "tile_param { tiles: 0 }", "y", PLAIN, "tile_param.tiles", "expected > 0, got 0"),
    ("Tile", "tile_param { tiles: 2 axis: 4 }", "y", PLAIN, "tile_param.axis", "axis 4 out of range"),
    ("Crop", "crop_param { axis: 4 }", "y", CROP, "crop_param.axis", "axis 4 out of range"),
    ("Crop", "crop_param { offset: 1 offset: 1 offset: 1 }", "y", CROP, "crop_param.offset", "each of the 2 axes"),
    ("Crop", "crop_param { offset: 4 }", "y", CROP, "crop_param.offset", "axis 2 is out of bounds: size 4 from 4 on"),
    ("Crop", "", "y", {"a": (2, 3, 7, 8), "b": (4, 5)}, "bottom", "4 axes or more in the second bottom"),
    ("Reduction", "reduction_param { axis: 4 }", "y", PLAIN, "reduction_param.axis", "axis 4 out of range"),
]


@pytest.mark.parametrize(("type_name", "options", "tops", "bottoms", "field", "problem"), ERRORS)
def test_errors(type_name: str, options: str, tops: str, bottoms: dict, field: str, problem: str) -> None:
    assert_refused(type_name, tops, options, bottoms, field, problem)
