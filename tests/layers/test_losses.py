"""Softmax, SoftmaxWithLoss and Accuracy against loops."""

import numpy as np
import pytest
import torch
from layer_loops import accuracy, softmax_loss
from nets import forward, inputs, layer_text, one_layer, randn

from caffe_compat import Net
from caffe_compat.errors import DataError, PrototxtError

MODES = ["FULL", "VALID", "BATCH_SIZE", "NONE"]


@pytest.mark.parametrize("axis", [1, 0, -1])
def test_softmax_axis(axis: int) -> None:
    net = one_layer("Softmax", "y", f"softmax_param {{ axis: {axis} }}", x=(2, 3, 4))
    x = randn(2, 3, 4)
    exponentials = np.exp(x)
    np.testing.assert_allclose(forward(net, x=x)["y"], exponentials / exponentials.sum(axis, keepdims=True))


@pytest.mark.parametrize("ignore_label", [None, -1, 2, 255])
@pytest.mark.parametrize("mode", MODES)
def test_softmax_loss(mode: str, ignore_label: int | None) -> None:
    options = f"normalization: {mode}" + (f" ignore_label: {ignore_label}" if ignore_label is not None else "")
    net = one_layer("SoftmaxWithLoss", "y prob", f"loss_param {{ {options} }}", scores=(4, 5, 2, 3), label=(4, 2, 3))
    scores, labels = randn(4, 5, 2, 3) * 3, np.random.RandomState(1).randint(0, 5, (4, 2, 3)).astype(float)
    if ignore_label is not None:
        labels[:, 1] = ignore_label
    blobs = forward(net, scores=scores, label=labels)
    loss, gradient = softmax_loss(scores.reshape(4, 5, 6), labels.reshape(4, 6), ignore_label, mode)
    np.testing.assert_allclose(blobs["y"], loss, rtol=1e-12)
    net.loss.backward()
    found = net.blobs["scores"].grad
    assert found is not None
    np.testing.assert_allclose(found.numpy().reshape(4, 5, 6), gradient, atol=1e-14)
    np.testing.assert_allclose(blobs["prob"].sum(1), 1)
    assert not net.blobs["prob"].requires_grad


@pytest.mark.parametrize(
    ("options", "divisor"),
    [("", 3), ("normalize: true", 3), ("normalize: false", 4), ("normalize: false normalization: NONE", 1)],
)
def test_legacy_normalize_counts_only_without_normalization(options: str, divisor: int) -> None:
    net = one_layer("SoftmaxWithLoss", "y", f"loss_param {{ ignore_label: 0 {options} }}", scores=(4, 5), label=(4,))
    loss = forward(net, scores=np.zeros((4, 5)), label=np.array([0, 1, 2, 3.0]))["y"]
    assert loss == pytest.approx(3 * np.log(5) / divisor)


def test_softmax_loss_axis() -> None:
    net = one_layer("SoftmaxWithLoss", "y", "softmax_param { axis: 2 }", scores=(2, 3, 5), label=(2, 3))
    scores, labels = randn(2, 3, 5), np.arange(6.0).reshape(2, 3) % 5
    loss, _ = softmax_loss(scores.reshape(6, 5, 1), labels.reshape(6, 1), None, "VALID")
    np.testing.assert_allclose(forward(net, scores=scores, label=labels)["y"], loss)


@pytest.mark.parametrize("mode", MODES)
def test_all_labels_ignored(mode: str) -> None:
    net = one_layer(
        "SoftmaxWithLoss", "y", f"loss_param {{ ignore_label: -1 normalization: {mode} }}", scores=(3, 4), label=(3,)
    )
    assert forward(net, scores=randn(3, 4), label=-np.ones(3))["y"] == 0
    net.loss.backward()
    assert net.blobs["scores"].grad is not None
    assert net.blobs["scores"].grad.abs().max() == 0


@pytest.mark.parametrize("scores", [(0, 1e3), (0, 1e6), (0, 1e10), (-1e38, 1e38), (-np.inf, 0)])
def test_probabilities_are_floored_but_the_gradient_is_not(scores: tuple[float, float]) -> None:
    """Caffe's -log(max(p, FLT_MIN)) with the gradient p - 1 all the same, however far a run has diverged."""
    net = one_layer("SoftmaxWithLoss", "y", scores=(1, 2), label=(1,)).float()
    assert forward(net, scores=np.array([scores]), label=np.zeros(1))["y"] == pytest.approx(87.3365, abs=1e-4)
    net.loss.backward()
    assert net.blobs["scores"].grad is not None
    assert net.blobs["scores"].grad.tolist() == [[-1, 1]]


@pytest.mark.parametrize("shape", [(4,), (4, 1), (4, 1, 1, 1)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.int64])
def test_label_shapes_and_types(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    text = inputs(s=(4, 3), l=shape)
    text += layer_text("SoftmaxWithLoss", "s l", "loss") + layer_text("Accuracy", "s l", "accuracy", name="accuracy")
    net = Net(text)
    scores = torch.from_numpy(randn(4, 3)).float()
    labels = torch.tensor([0, 2, 1, 2])
    net(s=scores, l=labels.reshape(shape).to(dtype))
    torch.testing.assert_close(net.loss, torch.nn.functional.cross_entropy(scores, labels))
    assert net.blobs["accuracy"] == (scores.argmax(1) == labels).float().mean()


@pytest.mark.parametrize("layer", ["SoftmaxWithLoss", "Accuracy"])
@pytest.mark.parametrize(
    ("options", "label", "problem"),
    [
        ("", 5.0, r'label 5 in blob "label": expected a whole number in \[0, 5\)$'),
        ("", -1.0, "label -1"),
        ("", -100.0, "label -100"),
        ("", 1.5, "label 1.5"),
        ("", float("nan"), "label nan"),
        ("ignore_label: -1", -2.0, r"expected a whole number in \[0, 5\) or -1 \(ignored\)$"),
    ],
)
def test_labels_out_of_range(layer: str, options: str, label: float, problem: str) -> None:
    message = {"SoftmaxWithLoss": "loss_param", "Accuracy": "accuracy_param"}[layer]
    net = one_layer(layer, "y", f"{message} {{ {options} }}", scores=(3, 5), label=(3,))
    with pytest.raises(DataError, match=problem) as caught:
        net(scores=torch.zeros(3, 5), label=torch.tensor([0, label, 1]))
    assert caught.value.layer == "layer"


@pytest.mark.parametrize("layer", ["SoftmaxWithLoss", "Accuracy"])
def test_number_of_labels(layer: str) -> None:
    with pytest.raises(PrototxtError, match="number of labels must match number of predictions: 12"):
        one_layer(layer, "y", scores=(3, 5, 2, 2), label=(3,))


@pytest.mark.parametrize("ignore_label", [None, -1, 2])
@pytest.mark.parametrize("top_k", [1, 2, 5])
def test_accuracy(top_k: int, ignore_label: int | None) -> None:
    options = f"top_k: {top_k}" + (f" ignore_label: {ignore_label}" if ignore_label is not None else "")
    net = one_layer("Accuracy", "y classes", f"accuracy_param {{ {options} }}", scores=(50, 6), label=(50,))
    random = np.random.RandomState(0)
    scores = random.randint(0, 4, (50, 6)).astype(float)  # many ties
    scores[::7, 1] = np.nan
    labels = random.randint(0, 5, 50).astype(float)  # no label 5
    if ignore_label is not None:
        labels[::3] = ignore_label
    expected, classes = accuracy(scores, labels, top_k, ignore_label)
    blobs = forward(net, scores=scores, label=labels)
    np.testing.assert_allclose(blobs["y"], expected)
    np.testing.assert_allclose(blobs["classes"], classes)


def test_accuracy_axis() -> None:
    net = one_layer("Accuracy", "y", "accuracy_param { axis: -1 }", scores=(2, 3, 4), label=(2, 3))
    scores, labels = randn(2, 3, 4), np.arange(6.0).reshape(2, 3) % 4
    assert forward(net, scores=scores, label=labels)["y"] == pytest.approx((scores.argmax(-1) == labels).mean())


def test_accuracy_of_nan_and_of_nothing() -> None:
    """NaN is never "as much as" the true score, so every row counts as right, as in Caffe."""
    net = one_layer("Accuracy", "y", "accuracy_param { ignore_label: -1 }", scores=(3, 4), label=(3,))
    assert forward(net, scores=np.full((3, 4), np.nan), label=np.zeros(3))["y"] == 1
    assert forward(net, scores=np.zeros((3, 4)), label=-np.ones(3))["y"] == 0


def test_accuracy_gives_no_gradient() -> None:
    net = one_layer("Accuracy", "y", scores=(3, 4), label=(3,))
    net(scores=torch.zeros(3, 4), label=torch.zeros(3))
    assert not net.blobs["y"].requires_grad


def test_top_k_beyond_the_classes() -> None:
    with pytest.raises(PrototxtError, match="expected at most the 4 classes, got 5"):
        one_layer("Accuracy", "y", "accuracy_param { top_k: 5 }", scores=(3, 4), label=(3,))
