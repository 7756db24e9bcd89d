"""LabelNoiseLoss against its witnesses: hand-worked numbers, the equations' loops, autograd, finite differences."""

import copy
import itertools
import math
import pickle

import numpy as np
import pytest
import torch
from witness import Batch, gradients, posterior, random_batch, random_confusion, rows

from caffe_compat import LabelNoiseLoss
from caffe_compat.label_noise import equations as eq

TOLERANCE = {torch.float32: {"rtol": 2e-6, "atol": 2e-7}, torch.float64: {"rtol": 1e-12, "atol": 1e-14}}
# L below, at and above eight: the widths of the kernels; 64 on, rows are long; 72 and 1000 are multiples of eight.
SHAPES = [(1, 2), (5, 3), (9, 7), (8, 8), (13, 14), (17, 9), (3, 63), (4, 64), (5, 72), (6, 101), (3, 1000)]
DTYPES = [torch.float32, torch.float64]


def close(actual: torch.Tensor, expected: torch.Tensor | list | float, **tolerance: float) -> None:
    wanted = torch.as_tensor(expected, dtype=torch.float64)
    torch.testing.assert_close(actual.detach().cpu().double(), wanted.detach().cpu(), **tolerance)


def test_two_classes_by_hand(device: torch.device) -> None:
    """Scores log 3 : log 1 make p = 3/4, 1/4; log 2 : log 1 : log 1 make t = 1/2, 1/4, 1/4. Observed label 1.

    joint: (y=1, z=0) 1/4 * 1/2; (y=0, z=1) 3/4 * 1/4; (y=0, z=2) C[1, 0] = 1: 3/4 * 1/4. S = 1/8 + 3/16 + 3/16 = 1/2.
    """
    scores_y = torch.tensor([[math.log(3.0), 0.0]], device=device, requires_grad=True)
    scores_z = torch.tensor([[math.log(2.0), 0.0, 0.0]], device=device, requires_grad=True)
    loss = LabelNoiseLoss([[0.0, 1.0], [1.0, 0.0]]).to(device)
    noisy = torch.tensor([1], device=device)
    value = loss(scores_y, scores_z, noisy)
    value.backward()
    assert value.item() == pytest.approx(math.log(2), abs=1e-6)
    close(scores_y.grad, [[0.75 - 0.75, 0.25 - 0.25]], rtol=0, atol=1e-6)
    close(scores_z.grad, [[0.5 - 0.25, 0.25 - 0.375, 0.25 - 0.375]], rtol=0, atol=1e-6)
    cells, p, t = loss.posterior(scores_y, scores_z, noisy)
    close(cells, [[[0, 0.375, 0.375], [0.25, 0, 0]]], rtol=0, atol=1e-6)
    close(p, [[0.75, 0.25]], rtol=0, atol=1e-6)
    close(t, [[0.5, 0.25, 0.25]], rtol=0, atol=1e-6)
    in_q = LabelNoiseLoss([[0.0, 1.0], [1.0, 0.0]], value="q").to(device)(scores_y, scores_z, noisy)
    assert in_q.item() == pytest.approx(-(0.25 * math.log(1 / 8) + 0.75 * math.log(3 / 16)), abs=1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("batch_size", "num_classes"), SHAPES)
def test_agrees_with_the_equations(batch_size: int, num_classes: int, dtype: torch.dtype, device: torch.device) -> None:
    batch = random_batch(batch_size, num_classes)
    ours = batch.to(device, dtype)
    results = {}
    for value in ("nll", "q"):
        loss = LabelNoiseLoss(batch.C, value=value, reduction="none").to(device, dtype)(*ours[:3])
        results[value] = loss, *gradients(loss.sum(), ours)
    cells, p, t = LabelNoiseLoss(batch.C).to(device, dtype).posterior(*ours[:3])
    C = batch.C.tolist()
    for n, i in enumerate(batch.noisy.tolist()):
        p_n, t_n = eq.softmax(batch.scores_y[n].tolist()), eq.softmax(batch.scores_z[n].tolist())
        close(p[n], p_n, **TOLERANCE[dtype])
        close(t[n], t_n, **TOLERANCE[dtype])
        if i < 0:
            continue
        cells_n = eq.eq5_posterior(i, p_n, t_n, C)
        grad_y, grad_z = eq.eq7_gradient(cells_n, p_n, t_n)
        expected = {"nll": -math.log(eq.likelihood(i, p_n, t_n, C)), "q": -eq.eq6_q(cells_n, i, p_n, t_n, C)}
        close(cells[n], cells_n, **TOLERANCE[dtype])
        for value, (loss, in_y, in_z) in results.items():
            close(loss[n], expected[value], **TOLERANCE[dtype])
            close(in_y[n], grad_y, **TOLERANCE[dtype])
            close(in_z[n], grad_z, **TOLERANCE[dtype])


@pytest.mark.parametrize("value", ["nll", "q"])
def test_agrees_with_autograd(value: str, device: torch.device) -> None:
    """The witness differentiates -log S, and -Q with the posterior held fixed; ours is given Eq. 7 for both."""
    batch = random_batch(37, 11).to(torch.device("cpu"), torch.float64)
    expected = rows(batch, value)
    ours = random_batch(37, 11).to(device, torch.float64)
    loss = LabelNoiseLoss(batch.C, value=value, reduction="none").to(device, torch.float64)(*ours[:3])
    close(loss, expected, rtol=1e-12, atol=1e-13)
    for actual, wanted in zip(gradients(loss.mean(), ours), gradients(expected.mean(), batch), strict=True):
        close(actual, wanted, rtol=1e-11, atol=1e-14)


def test_finite_differences(device: torch.device) -> None:
    batch = random_batch(5, 4).to(device, torch.float64)
    loss = LabelNoiseLoss(batch.C).to(device, torch.float64)
    assert torch.autograd.gradcheck(lambda a, b: loss(a, b, batch.noisy), (batch.scores_y, batch.scores_z))


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_finite_differences_of_reductions(reduction: str) -> None:
    batch = random_batch(5, 3).to(torch.device("cpu"), torch.float64)
    loss = LabelNoiseLoss(batch.C, reduction=reduction, normalization="labelled").double()
    assert torch.autograd.gradcheck(lambda a, b: loss(a, b, batch.noisy), (batch.scores_y, batch.scores_z))


@pytest.mark.parametrize("value", ["nll", "q"])
def test_reductions_and_normalizations(value: str, device: torch.device) -> None:
    batch = random_batch(6, 5).to(device, torch.float64)
    noisy = torch.tensor([3, -1, 0, 4, -1, 2], device=device)

    def loss(**options: str) -> torch.Tensor:
        return LabelNoiseLoss(batch.C, value=value, **options).to(device, torch.float64)(*batch[:2], noisy)

    each = loss(reduction="none")
    assert each.shape == (6,) and each[1] == 0 and each[4] == 0 and (each[[0, 2, 3, 5]] > 0).all()
    close(loss(reduction="sum"), each.sum(), rtol=1e-14, atol=0)
    close(loss(), (each.sum() / 6), rtol=1e-14, atol=0)
    close(loss(reduction="mean", normalization="batch"), (each.sum() / 6), rtol=1e-14, atol=0)
    close(loss(normalization="labelled"), (each.sum() / 4), rtol=1e-14, atol=0)
    whole, part = gradients(loss(), batch), gradients(loss(normalization="labelled"), batch)
    for by_batch, by_labelled in zip(whole, part, strict=True):
        close(by_labelled, (by_batch * 1.5), rtol=1e-13, atol=1e-16)


def test_update_noise_lr_scales_the_noise_types_gradient_alone(device: torch.device) -> None:
    batch = random_batch(7, 4).to(device, torch.float64)
    plain = LabelNoiseLoss(batch.C).to(device, torch.float64)(*batch[:3])
    slowed = LabelNoiseLoss(batch.C, update_noise_lr=0.1).to(device, torch.float64)(*batch[:3])
    assert slowed.item() == plain.item()
    (grad_y, grad_z), (slowed_y, slowed_z) = gradients(plain, batch), gradients(slowed, batch)
    assert torch.equal(grad_y, slowed_y)
    close(slowed_z, 0.1 * grad_z, rtol=1e-14, atol=0)


def test_unlabelled_rows_are_silent(device: torch.device) -> None:
    batch = random_batch(4, 3).to(device, torch.float32)
    noisy = torch.full((4,), -1, device=device)
    for value, normalization in itertools.product(("nll", "q"), ("batch", "labelled")):
        loss = LabelNoiseLoss(batch.C, value=value, normalization=normalization).to(device, torch.float32)
        result = loss(*batch[:2], noisy)
        assert result.item() == 0
        assert all(torch.count_nonzero(grad) == 0 for grad in gradients(result, batch))
    cells, p, _ = loss.posterior(*batch[:2], noisy)
    assert torch.count_nonzero(cells) == 0
    close(p, batch.scores_y.softmax(1), rtol=1e-6, atol=1e-7)


def test_empty_batch(device: torch.device) -> None:
    empty = Batch(torch.zeros(0, 5), torch.zeros(0, 3), torch.zeros(0, dtype=torch.int64), random_confusion(5))
    batch = empty.to(device, torch.float32)
    for reduction, normalization in (("mean", "batch"), ("mean", "labelled"), ("sum", "batch")):
        loss = LabelNoiseLoss(batch.C, reduction=reduction, normalization=normalization).to(device, torch.float32)
        result = loss(*batch[:3])
        assert result.shape == () and result.item() == 0
        assert gradients(result, batch)[0].shape == (0, 5)
    assert LabelNoiseLoss(batch.C, reduction="none").to(device)(*batch[:3]).shape == (0,)
    assert loss.posterior(*batch[:3]).posterior.shape == (0, 5, 3)


@pytest.mark.parametrize("num_classes", [6, 14, 80])
def test_non_contiguous_arguments(num_classes: int, device: torch.device) -> None:
    batch = random_batch(10, num_classes).to(device, torch.float32)
    loss = LabelNoiseLoss(batch.C).to(device, torch.float32)
    expected = loss(*batch[:3])
    wide_y = torch.zeros(20, num_classes + 3, device=device)
    wide_y[::2, 1 : num_classes + 1] = batch.scores_y.detach()
    scores_y = wide_y[::2, 1 : num_classes + 1].requires_grad_()
    scores_z = batch.scores_z.detach().t().contiguous().t().requires_grad_()
    noisy = torch.stack([batch.noisy, batch.noisy], 1)[:, 1]
    assert not (scores_y.is_contiguous() or scores_z.is_contiguous() or noisy.is_contiguous())
    loss.C = loss.C.t().contiguous().t()
    result = loss(scores_y, scores_z, noisy)
    assert result.item() == expected.item()
    for actual, wanted in zip(
        torch.autograd.grad(result, (scores_y, scores_z)), gradients(expected, batch), strict=True
    ):
        assert torch.equal(actual, wanted)


def test_arguments_are_not_written_to(device: torch.device) -> None:
    batch = random_batch(9, 14).to(device, torch.float32)
    before = [tensor.detach().clone() for tensor in batch]
    LabelNoiseLoss(batch.C, value="q").to(device)(*batch[:3]).backward()
    for tensor, copied in zip(batch, before, strict=True):
        assert torch.equal(tensor.detach(), copied)


@pytest.mark.parametrize("label_dtype", [torch.int64, torch.float32, torch.float64, torch.float16])
def test_label_types_and_shapes(label_dtype: torch.dtype, device: torch.device) -> None:
    batch = random_batch(6, 5).to(device, torch.float32)
    loss = LabelNoiseLoss(batch.C, normalization="labelled").to(device, torch.float32)
    expected = loss(*batch[:3])
    for labels in (batch.noisy.to(label_dtype), batch.noisy.to(label_dtype).view(6, 1, 1, 1)):
        assert loss(*batch[:2], labels).item() == expected.item()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_read_and_accumulated_in_float32(dtype: torch.dtype, device: torch.device) -> None:
    batch = random_batch(9, 14).to(device, dtype)
    widened = Batch(*(t.detach().float().requires_grad_() for t in batch[:2]), batch.noisy, random_confusion(14))
    loss = LabelNoiseLoss(random_confusion(14)).to(device)
    result, expected = loss(*batch[:3]), loss(*widened[:3])
    assert result.dtype == torch.float32 and torch.equal(result, expected)
    for actual, wanted in zip(gradients(result, batch), gradients(expected, widened), strict=True):
        assert actual.dtype == dtype and torch.equal(actual, wanted.to(dtype))


def test_a_batch_is_its_rows(device: torch.device) -> None:
    batch = random_batch(11, 14).to(device, torch.float32)
    loss = LabelNoiseLoss(batch.C, reduction="none").to(device, torch.float32)
    whole = loss(*batch[:3])
    each = torch.cat([loss(*(tensor[n : n + 1] for tensor in batch[:3])) for n in range(11)])
    assert torch.equal(whole, each)


@pytest.mark.parametrize("num_classes", [6, 70])
def test_relabelling_classes_permutes_the_results(num_classes: int, device: torch.device) -> None:
    batch = random_batch(8, num_classes).to(device, torch.float64)
    order = torch.from_numpy(np.random.RandomState(1).permutation(num_classes))
    new_label = torch.argsort(order)
    moved_noisy = torch.where(batch.noisy.cpu() >= 0, new_label[batch.noisy.cpu()], -1).to(device)
    C = random_confusion(num_classes)
    loss, moved = LabelNoiseLoss(C), LabelNoiseLoss(C[order][:, order])
    cells = loss.to(device, torch.float64).posterior(*batch[:3]).posterior
    order = order.to(device)
    moved_cells = moved.to(device, torch.float64).posterior(batch.scores_y[:, order], batch.scores_z, moved_noisy)[0]
    close(moved_cells, cells[:, order], rtol=1e-12, atol=1e-15)


def test_without_noise_it_is_the_softmax_loss(device: torch.device) -> None:
    batch = random_batch(7, 9).to(device, torch.float64)
    noisy = batch.noisy.clamp(min=0)
    certain = torch.tensor([0.0, -500.0, -500.0], device=device, dtype=torch.float64).repeat(7, 1)
    result = LabelNoiseLoss(batch.C).to(device, torch.float64)(batch.scores_y, certain, noisy)
    close(result, torch.nn.functional.cross_entropy(batch.scores_y, noisy), rtol=1e-12, atol=0)


def test_posterior_sums_to_one_and_has_no_gradient(device: torch.device) -> None:
    batch = random_batch(12, 10).to(device, torch.float32)
    outputs = LabelNoiseLoss(batch.C).to(device).posterior(*batch[:3])
    close(outputs.posterior.sum((1, 2)), (batch.noisy >= 0).double(), rtol=1e-6, atol=0)
    close(outputs.posterior, posterior(random_batch(12, 10)), rtol=1e-5, atol=1e-7)
    assert not any(tensor.requires_grad for tensor in outputs)


def test_only_the_inputs_that_need_it_get_a_gradient(device: torch.device) -> None:
    batch = random_batch(5, 4).to(device, torch.float32)
    loss = LabelNoiseLoss(batch.C).to(device, torch.float32)
    expected = gradients(loss(*batch[:3]), batch)
    (grad_y,) = torch.autograd.grad(loss(batch.scores_y, batch.scores_z.detach(), batch.noisy), batch.scores_y)
    (grad_z,) = torch.autograd.grad(loss(batch.scores_y.detach(), batch.scores_z, batch.noisy), batch.scores_z)
    assert torch.equal(grad_y, expected[0]) and torch.equal(grad_z, expected[1])
    assert not loss(batch.scores_y.detach(), batch.scores_z.detach(), batch.noisy).requires_grad
    with torch.no_grad():
        assert not loss(*batch[:3]).requires_grad


def test_backward_twice_through_one_graph(device: torch.device) -> None:
    """The gradient may be made in the memory of what was saved, but only when the graph is not needed again."""
    batch = random_batch(9, 14).to(device, torch.float32)
    loss = LabelNoiseLoss(batch.C, update_noise_lr=0.5).to(device)(*batch[:3])
    first = torch.autograd.grad(3 * loss, batch[:2], retain_graph=True)
    second = torch.autograd.grad(3 * loss, batch[:2], retain_graph=True)
    last = torch.autograd.grad(3 * loss, batch[:2])
    for one, two, three in zip(first, second, last, strict=True):
        assert torch.equal(one, two) and torch.equal(one, three)
    with pytest.raises(RuntimeError, match="second time"):
        loss.backward()


def test_second_derivatives_are_refused(device: torch.device) -> None:
    batch = random_batch(5, 4).to(device, torch.float64)
    loss = LabelNoiseLoss(batch.C).to(device, torch.float64)(*batch[:3])
    grad_y, _ = torch.autograd.grad(loss, batch[:2], create_graph=True)
    with pytest.raises(RuntimeError, match="differentiated only once"):
        grad_y.sum().backward()


@pytest.mark.parametrize("num_classes", [14, 1000])
def test_threads_do_not_change_the_result(num_classes: int) -> None:
    batch = random_batch(700, num_classes).to(torch.device("cpu"), torch.float32)
    loss, threads = LabelNoiseLoss(batch.C), torch.get_num_threads()
    try:
        results = []
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            result = loss(*batch[:3])
            results.append((result, *gradients(result, batch)))
    finally:
        torch.set_num_threads(threads)
    for result in results[1:]:
        assert all(torch.equal(*pair) for pair in zip(result, results[0], strict=True))


def test_state_moves_with_the_module(device: torch.device) -> None:
    C = random_confusion(5)
    loss = LabelNoiseLoss(C.numpy(), update_noise_lr=0.3, value="q", reduction="sum", normalization="labelled")
    assert loss.C.dtype == torch.get_default_dtype() and loss.to(device).C.device.type == device.type
    other = LabelNoiseLoss(torch.zeros(5, 5))
    other.load_state_dict(loss.state_dict())
    assert torch.equal(other.C, loss.C.cpu())
    for copied in (copy.deepcopy(loss), pickle.loads(pickle.dumps(loss))):
        assert repr(copied) == repr(loss)
        assert "num_classes=5" in repr(loss) and "update_noise_lr=0.3" in repr(loss)
