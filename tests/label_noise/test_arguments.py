"""Wrong arguments: what is raised, and what it says."""

import warnings
from pathlib import Path

import pytest
import torch
from witness import random_batch, random_confusion

from caffe_compat import LabelNoiseLoss
from caffe_compat.label_noise import label_noise_loss

ZEROS = torch.zeros
BATCH = random_batch(4, 5)
RIGHT = {
    "scores_y": BATCH.scores_y, "scores_z": BATCH.scores_z, "noisy_label": BATCH.noisy, "C": BATCH.C,
}  # fmt: skip

WRONG_CALLS = [
    ({"scores_y": ZEROS(4, 5, 1).double()}, ValueError, r"scores_y: expected shape \(B, L\) .* got \[4, 5, 1\]"),
    ({"scores_y": ZEROS(4, 1).double()}, ValueError, r"scores_y: expected shape \(B, L\) with L >= 2, got \[4, 1\]"),
    ({"scores_y": ZEROS(4, 5, dtype=torch.int64)}, TypeError, "scores_y: expected float32, float64, .* got Long"),
    ({"scores_z": ZEROS(4, 4).double()}, ValueError, r"scores_z: expected shape \(B, 3\) with B=4, got \[4, 4\]"),
    ({"scores_z": ZEROS(3, 3).double()}, ValueError, r"scores_z: expected shape \(B, 3\) with B=4, got \[3, 3\]"),
    ({"scores_z": ZEROS(4, 3)}, TypeError, "scores_z: expected Double as scores_y, got Float"),
    ({"C": ZEROS(5, 4).double()}, ValueError, r"C: expected shape \(L, L\) with L=5, got \[5, 4\]"),
    ({"C": ZEROS(5, 5, dtype=torch.int64)}, TypeError, "C: expected a floating-point type, got Long"),
    ({"noisy_label": ZEROS(3).long()}, ValueError, r"noisy_label: expected shape \(B\) or .* with B=4, got \[3\]"),
    ({"noisy_label": ZEROS(1, 4).long()}, ValueError, r"noisy_label: expected shape .* got \[1, 4\]"),
    ({"noisy_label": ZEROS(4, dtype=torch.int32)}, TypeError, "noisy_label: expected int64 or whole .* got Int"),
    ({"noisy_label": torch.tensor([0, 1, 5, 2])}, ValueError, "a class below L=5, got 5 at index 2"),
    ({"noisy_label": torch.tensor([0, -2, 1, 2])}, ValueError, "expected -1 .none. or .* got -2 at index 1"),
    ({"noisy_label": torch.tensor([0, 1.5, 1, 2])}, ValueError, "noisy_label: expected whole numbers"),
    ({"noisy_label": torch.tensor([0, float("nan"), 1, 2])}, ValueError, "noisy_label: expected whole numbers"),
    ({"value": "nnl"}, ValueError, "value: expected one of nll, q, got 'nnl'"),
    ({"reduction": "avg"}, ValueError, "reduction: expected one of mean, sum, none, got 'avg'"),
    ({"normalization": "all"}, ValueError, "normalization: expected one of batch, labelled, got 'all'"),
]  # fmt: skip


@pytest.mark.parametrize(("wrong", "error", "message"), WRONG_CALLS)
def test_wrong_calls(wrong: dict[str, object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        label_noise_loss(**(RIGHT | wrong))


def test_the_right_call() -> None:
    assert label_noise_loss(**RIGHT) > 0


@pytest.mark.parametrize(("wrong", "message"), [
    (ZEROS(2, 3), r"C: expected shape \(L, L\) with L >= 2, got \(2, 3\)"),
    (ZEROS(1, 1), r"C: expected shape \(L, L\) with L >= 2, got \(1, 1\)"),
    ([[0, 0.5], [0.9, 0]], "C: expected columns that sum to 1 or are zero, got 0.9 in column 0"),
    ([[0, 1.0002], [1, 0]], "C: expected columns that sum to 1 or are zero, got 1.0002 in column 1"),
    ([[0, 1.5], [1, -0.5]], r"C: expected probabilities, got -0.5 at \[noisy 1, true 1\]"),
    ([[0, float("nan")], [1, 0]], r"C: expected probabilities, got nan at \[noisy 0, true 1\]"),
    ([[0, 0.3, 0.7], [0.5, 0, 0.5], [1, 0, 0]], r"in column 0; its rows do: C is indexed \[noisy, true\]"),
])  # fmt: skip
def test_what_is_not_a_confusion_matrix(wrong: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LabelNoiseLoss(wrong)


@pytest.mark.parametrize("path", ["confusion.binaryproto", Path("confusion.npy")])
def test_a_path_is_no_matrix(path: str | Path) -> None:
    """The message says how to read one: the loss itself knows no files."""
    with pytest.raises(TypeError, match=r"C: expected an array, got the path 'confusion.*read_blobproto_file\(path\)"):
        LabelNoiseLoss(path)


def test_weights_are_checked_when_they_are_loaded() -> None:
    model = torch.nn.Sequential(LabelNoiseLoss([[0, 1], [1, 0]]))
    with pytest.raises(ValueError, match="C: expected columns that sum to 1 or are zero, got 0.9 in column 0"):
        model.load_state_dict({"0.C": torch.tensor([[0, 1], [0.9, 0]])})


@pytest.mark.parametrize("legal", [
    ZEROS(3, 3), [[0, 1.00009], [0.99991, 0]], [[0, 0, 0.4], [1, 0, 0.6], [0, 0, 0]], [[0, 1], [1, 0]],
])  # fmt: skip
def test_what_is_one(legal: object) -> None:
    LabelNoiseLoss(legal)


def test_a_diagonal_is_used_with_one_warning() -> None:
    C = torch.tensor([[0.5, 0.2], [0.5, 0.8]])
    with pytest.warns(UserWarning, match="C: expected a zero diagonal, got 0.5 for class 0; used as it is") as caught:
        loss = LabelNoiseLoss(C)
    assert len(caught) == 1
    scores_y, scores_z = torch.zeros(1, 2), torch.zeros(1, 3)
    # p = 1/2, t = 1/3, observed 0: joint is 1/6 for (0, 0), 1/6 for (1, 1), C[0, y] / 6 for (y, 2).
    assert loss(scores_y, scores_z, torch.tensor([0])).item() == pytest.approx(-torch.tensor(2.7 / 6).log().item())


def test_a_zero_diagonal_warns_of_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        LabelNoiseLoss(random_confusion(4))


def test_options_are_checked_when_the_loss_is_built() -> None:
    with pytest.raises(ValueError, match="value: expected one of nll, q, got 'Q'"):
        LabelNoiseLoss(ZEROS(3, 3), value="Q")


def test_the_extension_must_be_built(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it the package imports, and says in one sentence what to do when the loss is used."""
    from caffe_compat.label_noise import ops

    monkeypatch.setattr(ops, "_C", None)
    monkeypatch.setattr(ops, "_why_missing", "No module named 'caffe_compat._C'", raising=False)
    loss = LabelNoiseLoss(BATCH.C).double()
    with pytest.raises(ImportError, match=r"kernels are not built; run `pip install --no-build-isolation -e \.`"):
        loss(*BATCH[:3])


def test_tensors_of_two_devices() -> None:
    with pytest.raises(ValueError, match="scores_z: expected on cpu as scores_y, got meta"):
        label_noise_loss(**(RIGHT | {"scores_z": BATCH.scores_z.to("meta")}))
    with pytest.raises(ValueError, match="C: expected on cpu as scores_y, got meta"):
        label_noise_loss(**(RIGHT | {"C": BATCH.C.to("meta")}))


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU, or PyTorch was built without CUDA")
@pytest.mark.parametrize("labels", ["torch.tensor([0, 5])", "torch.tensor([-2, 1])", "torch.tensor([0.5, 1])"])
def test_a_wrong_label_on_a_gpu_is_an_assertion(labels: str) -> None:
    """In a process of its own: the assertion ends its use of the GPU."""
    import subprocess
    import sys

    code = (
        "import torch; from caffe_compat import LabelNoiseLoss\n"
        "loss = LabelNoiseLoss(torch.zeros(5, 5)).cuda()\n"
        f"loss(torch.zeros(2, 5).cuda(), torch.zeros(2, 3).cuda(), {labels}.cuda())\n"
        "torch.cuda.synchronize()\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode != 0 and "noisy_label" in result.stderr + result.stdout
