"""Where a float's range ends: scores of +-1e4, zeros in C, rows and columns of zeros, infinities, NaN."""

import math

import numpy as np
import pytest
import torch
from witness import Batch, gradients, posterior, random_batch, random_confusion, rows

from caffe_compat import LabelNoiseLoss

LENGTHS = [3, 14, 80]  # the kernel's layouts for short and long rows


def check_against_witness(batch: Batch, device: torch.device, dtype: torch.dtype, atol: float) -> None:
    exact = batch.to(torch.device("cpu"), torch.float64)
    ours = batch.to(device, dtype)
    for value in ("nll", "q"):
        expected = rows(exact, value)
        result = LabelNoiseLoss(batch.C, value=value, reduction="none").to(device, dtype)(*ours[:3])
        assert result.isfinite().all()
        torch.testing.assert_close(result.cpu().double(), expected, rtol=1e-6, atol=atol)
        for actual, wanted in zip(gradients(result.sum(), ours), gradients(expected.sum(), exact), strict=True):
            torch.testing.assert_close(actual.cpu().double(), wanted, rtol=1e-6, atol=atol)
    cells = LabelNoiseLoss(batch.C).to(device, dtype).posterior(*ours[:3]).posterior
    torch.testing.assert_close(cells.cpu().double(), posterior(exact), rtol=1e-6, atol=atol)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("num_classes", LENGTHS)
def test_scores_of_ten_thousand(num_classes: int, dtype: torch.dtype, device: torch.device) -> None:
    """Uniform in +-1e4, and the two ends themselves."""
    rng = np.random.RandomState(num_classes)
    batch = random_batch(40, num_classes)
    scores_y = torch.from_numpy(rng.uniform(-1e4, 1e4, (40, num_classes)).astype(np.float32)).double()
    scores_z = torch.from_numpy(rng.uniform(-1e4, 1e4, (40, 3)).astype(np.float32)).double()
    scores_y[::3] = scores_y[::3].sign() * 1e4
    scores_z[::4] = scores_z[::4].sign() * 1e4
    check_against_witness(batch._replace(scores_y=scores_y, scores_z=scores_z), device, dtype, atol=1e-6)


@pytest.mark.parametrize("num_classes", LENGTHS)
def test_ties_between_noise_types_far_below_the_top(num_classes: int, device: torch.device) -> None:
    """S is e^-15000 or less, and the three noise types share it: the digits must survive in float32."""
    batch = random_batch(30, num_classes, scale=1.0)
    noisy = batch.noisy.clone()
    noisy[:] = 1
    C = torch.zeros(num_classes, num_classes, dtype=torch.float64)
    C[1, 0] = 1.0
    scores_y = batch.scores_y.clone()
    scores_y[:, 0] -= 15000.0  # what label 1 is confused with
    scores_y[:, 1] -= 15000.0  # label 1 itself
    scores_z = batch.scores_z.clone()
    scores_z[:, 1] -= 15000.0  # pure random noise
    rounded = (scores.float().double() for scores in (scores_y, scores_z))
    check_against_witness(Batch(*rounded, noisy, C), device, torch.float32, atol=1e-6)


def test_underflow_of_plain_arithmetic(device: torch.device) -> None:
    """Confident and wrong: in float32 probabilities S would be 0; here loss and gradient are as for any other row."""
    scores_y, scores_z = torch.tensor([[200.0, 0.0, 0.0]]), torch.tensor([[0.0, -300.0, -300.0]])
    batch = Batch(scores_y.double(), scores_z.double(), torch.tensor([1]), torch.zeros(3, 3).double())
    ours = batch.to(device, torch.float32)
    assert torch.finfo(torch.float32).tiny > math.exp(-200)
    loss = LabelNoiseLoss(batch.C).to(device)(*ours[:3])
    grad_y, _ = gradients(loss, ours)
    assert loss.item() == pytest.approx(200.0, rel=1e-6)
    assert grad_y.tolist()[0] == pytest.approx([1.0, -1.0, 0.0], abs=1e-6)


@pytest.mark.parametrize("num_classes", LENGTHS)
def test_all_zero_confusion_matrix(num_classes: int, device: torch.device) -> None:
    """Confusing noise explains nothing: r_2 = 0, and the rest is as if there were two noise types."""
    batch = random_batch(12, num_classes)._replace(C=torch.zeros(num_classes, num_classes).double())
    check_against_witness(batch, device, torch.float32, atol=1e-6)
    ours = batch.to(device, torch.float32)
    cells = LabelNoiseLoss(batch.C).to(device).posterior(*ours[:3]).posterior
    assert torch.count_nonzero(cells[:, :, 2]) == 0


@pytest.mark.parametrize("num_classes", LENGTHS)
def test_zero_row_although_confusing_noise_is_predicted(num_classes: int, device: torch.device) -> None:
    batch = random_batch(12, num_classes)
    noisy = torch.zeros_like(batch.noisy)  # label 0, whose row in C is zero
    scores_z = torch.tensor([-5000.0, -4000.0, 5000.0]).double().repeat(12, 1)
    assert torch.count_nonzero(batch.C[0]) == 0
    check_against_witness(batch._replace(noisy=noisy, scores_z=scores_z), device, torch.float32, atol=1e-6)


def test_confusing_label_hidden_below_the_top(device: torch.device) -> None:
    """Only y = 2 can be confused with label 0, and it lies 500 below the top: still found, by its own exponent."""
    C = torch.zeros(4, 4).double()
    C[0, 2] = 1.0
    scores_y = torch.tensor([[-900.0, 300.0, -200.0, 0.0]]).double()
    scores_z = torch.tensor([[0.0, -5000.0, 0.0]]).double()
    check_against_witness(Batch(scores_y, scores_z, torch.tensor([0]), C), device, torch.float32, atol=1e-6)


@pytest.mark.parametrize("num_classes", LENGTHS)
def test_tiny_entries_of_the_confusion_matrix(num_classes: int, device: torch.device) -> None:
    C = random_confusion(num_classes)
    C[1] *= 1e-30
    batch = random_batch(12, num_classes)._replace(C=C, noisy=torch.ones(12, dtype=torch.int64))
    scores_z = torch.tensor([-300.0, -400.0, 0.0]).double().repeat(12, 1)
    exact = batch._replace(scores_z=scores_z).to(torch.device("cpu"), torch.float64)
    ours = batch._replace(scores_z=scores_z).to(device, torch.float32)
    rescaled = LabelNoiseLoss(torch.zeros(num_classes, num_classes), reduction="none").to(device)
    rescaled.C = C.float().to(device)  # not what a column check would pass, but what one entry may look like
    result = rescaled(*ours[:3])
    torch.testing.assert_close(result.cpu().double(), rows(exact), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("num_classes", LENGTHS)
def test_masked_classes(num_classes: int, device: torch.device) -> None:
    """A score of -infinity excludes a class, as in softmax."""
    batch = random_batch(6, num_classes)._replace(noisy=torch.tensor([1, 0, 1, 0, 1, -1]))
    scores_y = batch.scores_y.clone()
    scores_y[:, 2] = -math.inf
    ours = batch._replace(scores_y=scores_y).to(device, torch.float32)
    very_low = batch._replace(scores_y=scores_y.clamp(min=-1e30)).to(device, torch.float32)
    loss = LabelNoiseLoss(batch.C).to(device)
    result, expected = loss(*ours[:3]), loss(*very_low[:3])
    assert result.isfinite() and torch.equal(result, expected)
    grad_y, grad_z = gradients(result, ours)
    assert grad_y.isfinite().all() and grad_z.isfinite().all() and torch.count_nonzero(grad_y[:, 2]) == 0


@pytest.mark.parametrize("value", ["nll", "q"])
@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("num_classes", LENGTHS)
def test_nan_stays_in_its_row(num_classes: int, bad: float, value: str, device: torch.device) -> None:
    for column in (0, num_classes - 1):
        batch = random_batch(10, num_classes)
        scores_y = batch.scores_y.clone()
        scores_y[4, column] = bad
        noisy = batch.noisy.clone()
        noisy[4] = 1
        ours = batch._replace(scores_y=scores_y, noisy=noisy).to(device, torch.float32)
        result = LabelNoiseLoss(batch.C, value=value, reduction="none").to(device)(*ours[:3])
        others = torch.arange(10) != 4
        assert result[4].isnan() and result[others].isfinite().all()
        for grad in gradients(result.sum(), ours):
            assert grad[4].isnan().any() and grad[others].isfinite().all()


def test_nan_in_the_noise_types_scores(device: torch.device) -> None:
    batch = random_batch(4, 5)
    batch.scores_z[1, 2] = math.nan
    ours = batch.to(device, torch.float32)
    result = LabelNoiseLoss(batch.C, reduction="none").to(device)(*ours[:3])
    assert result.isnan().tolist() == [False, True, False, False]
