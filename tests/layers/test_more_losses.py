"""Euclidean, Hinge, MultinomialLogistic, Infogain, SigmoidCrossEntropy and Contrastive loss against loops."""

from __future__ import annotations

import logging
from pathlib import Path

import loss_loops
import numpy as np
import pytest
import torch
from nets import forward, inputs, layer_text, node, one_layer, randn

from caffe_compat import Net
from caffe_compat.errors import DataError, PrototxtError
from caffe_compat.weights import write_blobproto_file

MODES = ["FULL", "VALID", "BATCH_SIZE", "NONE"]


def check(net: Net, expected: tuple[float, np.ndarray], first: str, top: str = "y", **arrays: np.ndarray) -> None:
    """The loss and its gradient at the blob ``first``."""
    loss, gradient = expected
    np.testing.assert_allclose(forward(net, **arrays)[top], loss, rtol=1e-12)
    net.loss.backward()
    found = net.blobs[first].grad
    assert found is not None
    np.testing.assert_allclose(found.numpy().reshape(gradient.shape), gradient, rtol=1e-10, atol=1e-14)


# --- Euclidean --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("other_shape", [(3, 2, 4), (3, 8), (3, 4, 1, 2)])
def test_euclidean_loss(other_shape: tuple[int, ...]) -> None:
    net = one_layer("EuclideanLoss", a=(3, 2, 4), b=other_shape)
    a, b = randn(3, 2, 4), randn(3, 2, 4, seed=1)
    check(net, loss_loops.euclidean(a, b), "a", a=a, b=b.reshape(other_shape))
    gradients = [net.blobs[name].grad for name in "ab"]
    assert gradients[0] is not None and gradients[1] is not None
    torch.testing.assert_close(gradients[0].ravel(), -gradients[1].ravel())


# --- Hinge ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("norm", ["L1", "L2"])
def test_hinge_loss(norm: str) -> None:
    net = one_layer("HingeLoss", options=f"hinge_loss_param {{ norm: {norm} }}", scores=(5, 3, 2), label=(5, 1))
    scores, labels = randn(5, 6) * 2, np.array([0.0, 5, 3, 3, 1])
    expected = loss_loops.hinge(scores, labels, norm)
    check(net, expected, "scores", scores=scores.reshape(5, 3, 2), label=labels[:, None])


def test_hinge_loss_at_the_margin() -> None:
    """A score that is just right gives no gradient: Caffe's sign(0)."""
    net = one_layer("HingeLoss", scores=(1, 2), label=(1,))
    scores, labels = np.array([[1.0, -1.0]]), np.zeros(1)
    check(net, (0.0, np.zeros((1, 2))), "scores", scores=scores, label=labels)


# --- MultinomialLogistic ----------------------------------------------------------------------------------------


def test_multinomial_logistic_loss() -> None:
    net = one_layer("MultinomialLogisticLoss", prob=(4, 3, 1, 2), label=(4, 1, 1, 1))
    prob, labels = np.abs(randn(4, 6)), np.array([0.0, 5, 2, 3])
    prob[1, 5], prob[2, 2], prob[3, 3] = 0, 1e-30, -0.5  # below the floor, which the gradient does not leave out
    expected = loss_loops.multinomial(prob, labels)
    check(net, expected, "prob", prob=prob.reshape(4, 3, 1, 2), label=labels.reshape(4, 1, 1, 1))


# --- Infogain ---------------------------------------------------------------------------------------------------


def infogain_net(tmp_path: Path, matrix: np.ndarray, options: str = "", tops: str = "y prob") -> Net:
    write_blobproto_file(tmp_path / "h", matrix.astype(np.float32))
    source = f'infogain_loss_param {{ source: "{tmp_path}/h" }}'
    return one_layer("InfogainLoss", tops, f"{source} {options}", scores=(4, 5, 2, 3), label=(4, 2, 3))


@pytest.mark.parametrize("ignore_label", [None, -1, 2])
@pytest.mark.parametrize("mode", MODES)
def test_infogain_loss(mode: str, ignore_label: int | None, tmp_path: Path) -> None:
    matrix = np.abs(randn(5, 5, seed=3)).astype(np.float32).astype(np.float64)
    options = f"normalization: {mode}" + (f" ignore_label: {ignore_label}" if ignore_label is not None else "")
    net = infogain_net(tmp_path, matrix, f"loss_param {{ {options} }}")
    scores, labels = randn(4, 5, 2, 3) * 3, np.random.RandomState(1).randint(0, 5, (4, 2, 3)).astype(float)
    if ignore_label is not None:
        labels[:, 1] = ignore_label
    expected = loss_loops.infogain(scores.reshape(4, 5, 6), labels.reshape(4, 6), matrix, ignore_label, mode)
    check(net, expected, "scores", scores=scores, label=labels)
    np.testing.assert_allclose(net.blobs["prob"].detach().sum(1), 1)
    assert not net.blobs["prob"].requires_grad


def test_infogain_loss_takes_its_matrix_from_a_blob_too(tmp_path: Path) -> None:
    matrix, scores, labels = randn(5, 5, seed=3), randn(4, 5), np.array([0.0, 4, 2, 2])
    net = one_layer("InfogainLoss", scores=(4, 5), label=(4,), h=(1, 1, 5, 5))
    expected = loss_loops.infogain(scores[:, :, None], labels[:, None], matrix, None, "VALID")
    check(net, expected, "scores", scores=scores, label=labels, h=matrix.reshape(1, 1, 5, 5))
    assert net.blobs["h"].grad is None  # although force_backward asks for it


def test_infogain_loss_axis(tmp_path: Path) -> None:
    write_blobproto_file(tmp_path / "h", np.eye(4, dtype=np.float32))
    options = f'infogain_loss_param {{ source: "{tmp_path}/h" axis: -1 }}'
    net = one_layer("InfogainLoss", options=options, scores=(2, 3, 4), label=(2, 3))
    scores, labels = randn(2, 3, 4), np.arange(6.0).reshape(2, 3) % 4
    expected = loss_loops.infogain(scores.reshape(6, 4, 1), labels.reshape(6, 1), np.eye(4), None, "VALID")
    check(net, expected, "scores", scores=scores, label=labels)


def test_infogain_with_the_identity_is_softmax_loss(tmp_path: Path) -> None:
    """Another layer as witness, that of SoftmaxWithLoss."""
    net = infogain_net(tmp_path, np.eye(5), tops="y")
    softmax = one_layer("SoftmaxWithLoss", scores=(4, 5, 2, 3), label=(4, 2, 3))
    scores, labels = randn(4, 5, 2, 3), np.arange(24.0).reshape(4, 2, 3) % 5
    for each in (net, softmax):
        forward(each, scores=scores, label=labels)
        each.loss.backward()
    torch.testing.assert_close(net.loss, softmax.loss)
    torch.testing.assert_close(net.blobs["scores"].grad, softmax.blobs["scores"].grad)


def test_infogain_probabilities_are_floored_but_the_gradient_is_not() -> None:
    net = one_layer("InfogainLoss", scores=(1, 2), label=(1,), h=(2, 2)).float()
    arrays = {"scores": np.array([[-1e30, 0.0]]), "label": np.zeros(1), "h": np.eye(2)}
    assert forward(net, **arrays)["y"] == pytest.approx(46.0517, abs=1e-4)
    net.loss.backward()
    assert net.blobs["scores"].grad is not None
    assert net.blobs["scores"].grad.tolist() == [[-1, 1]]


def test_infogain_logs_the_softmax_layer_inside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "caffe_compat")
    infogain_net(tmp_path, np.eye(5))
    assert caplog.messages.count("Creating layer layer") == 2


# --- SigmoidCrossEntropy ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("ignore_label", [None, -1, 0, 255])
@pytest.mark.parametrize("mode", MODES)
def test_sigmoid_cross_entropy_loss(mode: str, ignore_label: int | None) -> None:
    """Targets are any numbers; 0.3 is cut to 0, so that ignore_label 0 ignores it, as in Caffe."""
    options = f"normalization: {mode}" + (f" ignore_label: {ignore_label}" if ignore_label is not None else "")
    net = one_layer("SigmoidCrossEntropyLoss", options=f"loss_param {{ {options} }}", scores=(4, 3, 2), target=(4, 6))
    scores, targets = randn(4, 6) * 3, np.random.RandomState(1).choice([0, 1, 0.3, -1, -0.5, 255], (4, 6))
    expected = loss_loops.sigmoid_cross_entropy(scores, targets, ignore_label, mode)
    check(net, expected, "scores", scores=scores.reshape(4, 3, 2), target=targets)


@pytest.mark.parametrize(("options", "by"), [("", 4), ("normalize: true", 9), ("normalize: false", 4)])
def test_sigmoid_cross_entropy_is_divided_by_the_batch_size_by_default(options: str, by: int) -> None:
    text = f"loss_param {{ ignore_label: -1 {options} }}"
    net = one_layer("SigmoidCrossEntropyLoss", options=text, scores=(4, 3), target=(4, 3))
    targets = np.ones((4, 3))
    targets[0] = -1
    assert forward(net, scores=np.zeros((4, 3)), target=targets)["y"] == pytest.approx(9 * np.log(2) / by)


def test_sigmoid_cross_entropy_of_large_scores() -> None:
    """exp(1000) does not overflow: closed form."""
    net = one_layer("SigmoidCrossEntropyLoss", scores=(1, 4), target=(1, 4)).float()
    scores, targets = np.array([[1e3, -1e3, 1e3, -1e3]]), np.array([[1.0, 0, 0, 1]])
    expected = (2000.0, np.array([[0.0, 0, 1, -1]]))
    check(net, expected, "scores", scores=scores, target=targets)


# --- Contrastive ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("axes", [(), (1,), (1, 1)])
@pytest.mark.parametrize("legacy", ["true", "false"])
@pytest.mark.parametrize("margin", [0.5, 2.0, 9.0])
def test_contrastive_loss(margin: float, legacy: str, axes: tuple[int, ...]) -> None:
    options = f"contrastive_loss_param {{ margin: {margin} legacy_version: {legacy} }}"
    net = one_layer("ContrastiveLoss", options=options, a=(6, 3, *axes), b=(6, 3, *axes), similar=(6, *axes))
    a, b = randn(6, 3), randn(6, 3, seed=1)
    b[5] = a[5]  # no distance: no gradient, and no division by 0
    similar = np.array([1, 0, 0.9, -1, 0, 0])  # 0.9 is cut to 0
    expected = loss_loops.contrastive(a, b, similar, margin, legacy == "true")
    arrays = {"a": a.reshape(6, 3, *axes), "b": b.reshape(6, 3, *axes), "similar": similar.reshape(6, *axes)}
    check(net, expected, "a", **arrays)
    gradients = [net.blobs[name].grad for name in "ab"]
    assert gradients[0] is not None and gradients[1] is not None
    torch.testing.assert_close(gradients[0], -gradients[1])


# --- all of them ------------------------------------------------------------------------------------------------

SHAPES: dict[str, dict[str, tuple[int, ...]]] = {
    "EuclideanLoss": {"a": (3, 4), "b": (3, 4)},
    "HingeLoss": {"a": (3, 4), "label": (3,)},
    "MultinomialLogisticLoss": {"a": (3, 4), "label": (3,)},
    "InfogainLoss": {"a": (3, 4), "label": (3,), "h": (4, 4)},
    "SigmoidCrossEntropyLoss": {"a": (3, 4), "label": (3, 4)},
    "ContrastiveLoss": {"a": (3, 4), "b": (3, 4), "label": (3,)},
}


def positive(**shapes: tuple[int, ...]) -> dict[str, np.ndarray]:
    """Probabilities and margins away from every kink; labels 0 or 1."""
    random = np.random.RandomState(0)
    return {
        name: random.randint(0, 2, shape).astype(float) if name == "label" else random.rand(*shape) + 0.1
        for name, shape in shapes.items()
    }


@pytest.mark.parametrize("type_name", SHAPES)
def test_loss_weight(type_name: str) -> None:
    arrays = positive(**SHAPES[type_name])
    plain = one_layer(type_name, **SHAPES[type_name])
    weighted = one_layer(type_name, options="loss_weight: 2.5", **SHAPES[type_name])
    unnamed = one_layer(type_name, "", **SHAPES[type_name])
    for net in (plain, weighted, unnamed):
        forward(net, **arrays)
        net.loss.backward()
    assert plain.loss > 0 and plain.blob_loss_weights["y"] == 1
    torch.testing.assert_close(weighted.loss, 2.5 * plain.loss)
    torch.testing.assert_close(unnamed.loss, plain.loss)
    gradients = [net.blobs["a"].grad for net in (plain, weighted)]
    assert gradients[0] is not None
    torch.testing.assert_close(gradients[1], 2.5 * gradients[0])


@pytest.mark.parametrize("type_name", SHAPES)
def test_gradcheck(type_name: str) -> None:
    """Finite differences; of Contrastive's, whose distance Caffe's gradient enlarges by 1e-4, to that accuracy."""
    net = one_layer(type_name, **SHAPES[type_name])
    arrays = {name: torch.from_numpy(array) for name, array in positive(**SHAPES[type_name]).items()}
    layer, detached = net.layers["layer"], node(net, "layer").detached
    bottoms = [
        array.clone().requires_grad_(not cut and name in "ab")
        for (name, array), cut in zip(arrays.items(), detached, strict=True)
    ]
    atol = 1e-3 if type_name == "ContrastiveLoss" else 1e-7
    assert torch.autograd.gradcheck(layer, bottoms, atol=atol)


@pytest.mark.parametrize(
    ("type_name", "cut"),
    [
        ("EuclideanLoss", [False, False]),
        ("HingeLoss", [False, True]),
        ("MultinomialLogisticLoss", [False, True]),
        ("InfogainLoss", [False, True, True]),
        ("SigmoidCrossEntropyLoss", [False, True]),
    ],
)
def test_bottoms_that_refuse_a_gradient(type_name: str, cut: list[bool]) -> None:
    net = one_layer(type_name, **SHAPES[type_name])
    assert node(net, "layer").detached == cut
    what = "infogain" if type_name == "InfogainLoss" else "label"
    if any(cut):
        options = "propagate_down: false " * (len(cut) - 1) + "propagate_down: true"
        problem = f"{type_name} Layer cannot backpropagate to {what} inputs."
        with pytest.raises(PrototxtError, match=problem) as raised:
            one_layer(type_name, options=options, **SHAPES[type_name])
        assert raised.value.field == "propagate_down"


def test_contrastive_loss_says_nothing_when_its_third_bottom_shall_have_a_gradient() -> None:
    net = one_layer("ContrastiveLoss", options="propagate_down: true " * 3, **SHAPES["ContrastiveLoss"])
    forward(net, **positive(**SHAPES["ContrastiveLoss"]))
    net.loss.backward()
    assert net.blobs["label"].grad is None and net.blobs["b"].grad is not None


@pytest.mark.parametrize("type_name", ["HingeLoss", "MultinomialLogisticLoss", "InfogainLoss"])
@pytest.mark.parametrize("label", [4.0, -1.0, 1.5])
def test_labels_out_of_range(type_name: str, label: float) -> None:
    net = one_layer(type_name, **SHAPES[type_name])
    arrays = positive(**SHAPES[type_name])
    arrays["label"][1] = label
    with pytest.raises(DataError, match=rf'label {label:g} in blob "label": expected a whole number in \[0, 4\)'):
        forward(net, **arrays)


SAME_FIRST = "The data and label should have the same first dimension."
ONE_A_ROW = r"expected one label a row, 3 in all, got 3 2 \(6\)"


@pytest.mark.parametrize(
    ("type_name", "options", "shapes", "field", "problem"),
    [
        *((name, "", {**shapes, list(shapes)[1]: (2, 4)}, "bottom", SAME_FIRST) for name, shapes in SHAPES.items()),
        ("EuclideanLoss", "", {"a": (3, 4), "b": (3, 5)}, "bottom", "Inputs must have the same dimension. Got 3 4"),
        ("EuclideanLoss", "", {"a": (3, 4), "b": ()}, "bottom", SAME_FIRST),
        ("HingeLoss", "", {"a": (3, 4), "label": (3, 2)}, "bottom[1]", ONE_A_ROW),
        ("MultinomialLogisticLoss", "", {"a": (3, 4), "label": (3, 2)}, "bottom[1]", ONE_A_ROW),
        ("SigmoidCrossEntropyLoss", "", {"a": (3, 4), "b": (3, 5)}, "bottom", "must have the same count. Got 3 4 "),
        ("InfogainLoss", "", {"a": (3, 4, 2), "label": (3,), "h": (4, 4)}, "bottom", "number of labels must match"),
        ("InfogainLoss", "", {"a": (3, 4), "label": (3,), "h": (4, 5)}, "bottom[2]", "a matrix of 4 x 4 numbers, got"),
        ("InfogainLoss", "", {"a": (3, 4), "label": (3,)}, "infogain_loss_param.source", "source must be specified"),
        (
            "InfogainLoss",
            "loss_param { normalize: true }",
            SHAPES["InfogainLoss"],
            "loss_param.normalize",
            'normalize is deprecated. use "normalization"',
        ),
        (
            "InfogainLoss",
            "infogain_loss_param { axis: 2 }",
            SHAPES["InfogainLoss"],
            "infogain_loss_param.axis",
            "axis 2 out of range",
        ),
        (
            "InfogainLoss",
            'infogain_loss_param { source: "gone" }',
            {"a": (3, 4), "label": (3,)},
            "infogain_loss_param.source",
            "gone",
        ),
        ("ContrastiveLoss", "", {"a": (3, 4), "b": (3, 5), "label": (3,)}, "bottom[1]", "expected 4 channels, as in"),
        ("ContrastiveLoss", "", {"a": (3, 4, 2), "b": (3, 8), "label": (3,)}, "bottom[0]", "got 3 4 2"),
        ("ContrastiveLoss", "", {"a": (3, 8), "b": (3, 4, 1, 2), "label": (3,)}, "bottom[1]", "got 3 4 1 2"),
        ("ContrastiveLoss", "", {"a": (3, 4), "b": (3, 4), "label": (3, 2)}, "bottom[2]", ONE_A_ROW),
        ("ContrastiveLoss", "", {"a": (3, 4), "b": (3, 4)}, "bottom", r"expected 3 bottom blob\(s\), got 2"),
        ("HingeLoss", "", {"a": (3, 4)}, "bottom", r"expected 2 bottom blob\(s\), got 1"),
    ],
)  # fmt: skip
def test_bottoms_and_options_that_do_not_fit(
    type_name: str, options: str, shapes: dict[str, tuple[int, ...]], field: str, problem: str
) -> None:
    with pytest.raises(PrototxtError, match=problem) as raised:
        one_layer(type_name, options=options, **shapes)
    assert (raised.value.layer, raised.value.layer_type, raised.value.field) == ("layer", type_name, field)


def test_an_infogain_file_of_another_size(tmp_path: Path) -> None:
    with pytest.raises(PrototxtError, match=r"a matrix of 5 x 5 numbers, got 1 1 4 4 \(16\)") as raised:
        infogain_net(tmp_path, np.eye(4))
    assert raised.value.field == "infogain_loss_param.source"


def test_integer_labels() -> None:
    text = inputs(a=(3, 4), label=(3,)) + layer_text("HingeLoss", "a label", "y")
    net = Net(text)
    scores = torch.from_numpy(randn(3, 4)).float()
    losses = [net(a=scores, label=torch.tensor([0, 3, 1]).to(dtype))["y"] for dtype in (torch.int64, torch.float32)]
    assert losses[0] == losses[1]
