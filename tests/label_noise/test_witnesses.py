"""The kernels against what shares no code with them: the paper's equations in loops, autograd, finite differences."""

import math

import pytest
import torch
from cases import Batch, batch
from torch import Tensor

from caffe_compat import LabelNoiseLoss
from caffe_compat.label_noise import equations

TOLERANCE = {torch.float32: 2e-6, torch.float64: 1e-13}
SIZES = [(7, 5), (3, 2), (2, 14), (1, 1000)]


def by_the_equations(case: Batch) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """posterior (B, L, 3), -log S (B), -Q (B), d(-Q)/da (B, L), d(-Q)/db (B, 3), in float64."""
    C = case.C.double().tolist()
    posteriors, losses, values, grads_y, grads_z = [], [], [], [], []
    for a, b, i in zip(case.scores_y.tolist(), case.scores_z.tolist(), case.noisy.tolist(), strict=True):
        p, t = equations.softmax(a), equations.softmax(b)
        posterior = equations.eq5_posterior(i, p, t, C)
        posteriors.append(posterior)
        losses.append(-math.log(equations.likelihood(i, p, t, C)))
        values.append(-equations.eq6_q(posterior, i, p, t, C))
        grad_y, grad_z = equations.eq7_gradient(posterior, p, t)
        grads_y.append(grad_y)
        grads_z.append(grad_z)
    tensors = (torch.tensor(x, dtype=torch.float64) for x in (posteriors, losses, values, grads_y, grads_z))
    return tuple(tensors)  # type: ignore[return-value]


def gradients(case: Batch, **options: object) -> tuple[Tensor, Tensor, Tensor]:
    """The loss and its gradients for both scores."""
    scores_y, scores_z = (s.clone().requires_grad_() for s in case[:2])
    loss = LabelNoiseLoss(case.C, **options)(scores_y, scores_z, case.noisy)
    loss.sum().backward()
    assert scores_y.grad is not None and scores_z.grad is not None
    return loss.detach(), scores_y.grad, scores_z.grad


def log_s(scores_y: Tensor, scores_z: Tensor, noisy: Tensor, C: Tensor) -> Tensor:
    """-log S by autograd's own operations."""
    log_p, log_t = scores_y.log_softmax(1), scores_z.log_softmax(1)
    own = torch.nn.functional.one_hot(noisy, len(C)).to(scores_y.dtype)
    given = torch.stack([own, (1 - own) / (len(C) - 1), C[noisy]], dim=2)
    return -torch.logsumexp((given.log() + log_p[:, :, None] + log_t[:, None, :]).flatten(1), 1)


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_the_papers_equations(size, dtype):
    torch.set_default_dtype(dtype)
    case = batch(*size, dtype=dtype)
    tolerance = {"rtol": TOLERANCE[dtype] * 10, "atol": TOLERANCE[dtype]}
    posterior, nll, neg_q, grad_y, grad_z = by_the_equations(case)
    got, p, t = LabelNoiseLoss(case.C).posterior(*case[:3])
    torch.testing.assert_close(got.double(), posterior, **tolerance)
    torch.testing.assert_close(p, case.scores_y.softmax(1), **tolerance)
    torch.testing.assert_close(t, case.scores_z.softmax(1), **tolerance)
    for value, wanted in (("nll", nll), ("q", neg_q)):
        loss, got_y, got_z = gradients(case, value=value, reduction="none")
        torch.testing.assert_close(loss.double(), wanted, **tolerance)
        torch.testing.assert_close(got_y.double(), grad_y, **tolerance)
        torch.testing.assert_close(got_z.double(), grad_z, **tolerance)


@pytest.fixture(autouse=True)
def default_dtype_as_before():
    dtype = torch.get_default_dtype()
    yield
    torch.set_default_dtype(dtype)


@pytest.fixture
def double():
    torch.set_default_dtype(torch.float64)


@pytest.mark.usefixtures("double")
def test_fishers_identity():
    """Eq. 7 is the gradient of -log S, which autograd takes by itself."""
    case = batch(9, 6, seed=3)
    scores = [s.clone().requires_grad_() for s in case[:2]]
    log_s(*scores, case.noisy, case.C).sum().backward()
    _, grad_y, grad_z = gradients(case, reduction="sum")
    torch.testing.assert_close(grad_y, scores[0].grad, rtol=1e-10, atol=1e-13)
    torch.testing.assert_close(grad_z, scores[1].grad, rtol=1e-10, atol=1e-13)


@pytest.mark.usefixtures("double")
def test_finite_differences():
    case = batch(4, 5, scale=1)
    loss = LabelNoiseLoss(case.C, reduction="none")
    scores = [s.clone().requires_grad_() for s in case[:2]]
    assert torch.autograd.gradcheck(lambda a, b: loss(a, b, case.noisy), scores)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("size", [1e2, 1e4])
def test_extreme_scores(size):
    """Where S underflows, against log space in torch; C has zeros and an all-zero row."""
    case = batch(40, 6, scale=size, seed=5)
    case.C[2] = 0
    case = case._replace(C=case.C / torch.where(case.C.sum(0) == 0, 1, case.C.sum(0)))
    wanted = log_s(*case[:3], case.C)
    for dtype, tolerance in ((torch.float64, 1e-12), (torch.float32, 1e-6)):
        loss = LabelNoiseLoss(case.C, reduction="none").to(dtype)
        scores = [s.to(dtype, copy=True).requires_grad_() for s in case[:2]]
        got = loss(*scores, case.noisy)
        torch.testing.assert_close(got.double(), wanted, rtol=tolerance, atol=size * tolerance)
        got.sum().backward()
        assert all(torch.isfinite(s.grad).all() for s in scores)
        posterior = loss.posterior(*(s.detach() for s in scores), case.noisy)[0]
        torch.testing.assert_close(posterior.sum((1, 2)), torch.ones(40, dtype=dtype), rtol=1e-5, atol=0)


@pytest.mark.usefixtures("double")
def test_unlabelled_rows():
    case = batch(6, 4)
    case.noisy[[1, 4]] = -1
    loss, grad_y, grad_z = gradients(case, reduction="none")
    assert (loss == 0).tolist() == (case.noisy == -1).tolist()
    assert not grad_y[[1, 4]].any() and not grad_z[[1, 4]].any()
    assert not LabelNoiseLoss(case.C).posterior(*case[:3])[0][[1, 4]].any()
    total = loss.sum()
    for normalization, divisor in (("batch", 6), ("labelled", 4)):
        mean, mean_y, _ = gradients(case, normalization=normalization)
        torch.testing.assert_close(mean, total / divisor)
        torch.testing.assert_close(mean_y, grad_y / divisor)
    case.noisy[:] = -1
    assert gradients(case, normalization="labelled")[0] == 0


@pytest.mark.usefixtures("double")
def test_update_noise_lr_scales_one_gradient():
    case = batch()
    plain, scaled = gradients(case), gradients(case, update_noise_lr=0.25)
    torch.testing.assert_close(scaled[0], plain[0])
    torch.testing.assert_close(scaled[1], plain[1])
    torch.testing.assert_close(scaled[2], 0.25 * plain[2])


@pytest.mark.usefixtures("double")
def test_an_empty_batch_costs_nothing():
    loss, grad_y, _ = gradients(batch(0, 5))
    assert loss == 0 and grad_y.shape == (0, 5)


@pytest.mark.usefixtures("double")
def test_strides_and_label_types_do_not_matter():
    case = batch(6, 5)
    plain = gradients(case)
    wide = torch.zeros(6, 10, dtype=torch.float64)
    wide[:, ::2] = case.scores_y
    for noisy in (case.noisy.double(), case.noisy.view(6, 1, 1, 1), case.noisy.float()):
        changed = case._replace(scores_y=wide[:, ::2], scores_z=case.scores_z.T.contiguous().T, noisy=noisy)
        for got, wanted in zip(gradients(changed), plain, strict=True):
            torch.testing.assert_close(got, wanted)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_half_precision_scores_are_widened(dtype):
    case = batch(5, 6, dtype=torch.float32)
    half = case._replace(scores_y=case.scores_y.to(dtype), scores_z=case.scores_z.to(dtype))
    widened = half._replace(scores_y=half.scores_y.float(), scores_z=half.scores_z.float())
    for got, wanted in zip(gradients(half), gradients(widened), strict=True):
        torch.testing.assert_close(got.float(), wanted.to(got.dtype).float())


@pytest.mark.usefixtures("double")
def test_a_permutation_of_the_classes_permutes_the_gradient():
    case = batch(6, 5)
    order = torch.tensor([3, 0, 4, 1, 2])
    permuted = Batch(case.scores_y[:, order], case.scores_z, order.argsort()[case.noisy], case.C[order][:, order])
    (loss, grad_y, grad_z), (loss2, grad_y2, grad_z2) = gradients(case), gradients(permuted)
    torch.testing.assert_close(loss2, loss)
    torch.testing.assert_close(grad_y2, grad_y[:, order])
    torch.testing.assert_close(grad_z2, grad_z)


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"scores_y": torch.zeros(7, 4)}, ValueError, "C: expected shape"),
        ({"scores_z": torch.zeros(7, 2)}, ValueError, "scores_z: expected shape"),
        ({"scores_z": torch.zeros(7, 3).double()}, TypeError, "scores_z: expected"),
        ({"noisy": torch.full((7,), 5)}, ValueError, "noisy_label: expected .* got 5"),
        ({"noisy": torch.full((7,), -2)}, ValueError, "noisy_label: expected .* got -2"),
        ({"noisy": torch.full((7,), 0.5)}, ValueError, "whole numbers"),
        ({"noisy": torch.zeros(6)}, ValueError, "noisy_label: expected shape"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_wrong_arguments(change, error, text):
    case = batch(dtype=torch.float32)._replace(**change)
    with pytest.raises(error, match=text):
        LabelNoiseLoss(batch(dtype=torch.float32).C)(*case[:3])


@pytest.mark.parametrize(
    ("C", "text"),
    [
        (torch.eye(3)[:, :2], "shape"),
        (torch.tensor([[0.0, 0.5], [1.0, 0.0]]), "sum"),
        (torch.tensor([[0.0, -1.0], [1.0, 2.0]]), "[Cc]"),
    ],
    ids=["not square", "a column that sums to 0.5", "a negative element"],
)
def test_wrong_confusion_matrices(C, text):
    with pytest.raises(ValueError, match=text):
        LabelNoiseLoss(C)


def test_a_diagonal_is_worth_a_warning():
    with pytest.warns(UserWarning, match="diagonal"):
        LabelNoiseLoss(torch.eye(3))
