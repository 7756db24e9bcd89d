"""Updates worked out by hand, and compared with torch's optimiser, larger batches and uninterrupted runs."""

from __future__ import annotations

import math
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch
from caffe_logs import assert_same_messages
from tiny_nets import BATCH_SIZE, CLASSIFIER, LEAST_SQUARES, arrays, feed, make_solver, weights

from caffe_compat.errors import PrototxtError
from caffe_compat.net.sharing import LearnableParam
from caffe_compat.proto.caffe_pb2 import SolverParameter
from caffe_compat.solver.updater import Updater


def least_squares_gradient(w: np.ndarray, b: np.ndarray, batch: int) -> tuple[np.ndarray, np.ndarray]:
    x, target, _ = (part[batch * BATCH_SIZE : (batch + 1) * BATCH_SIZE] for part in arrays(6))
    error = x.reshape(BATCH_SIZE, -1).astype(np.float64) @ w.T + b - target.reshape(BATCH_SIZE, 1)
    return error.T @ x.reshape(BATCH_SIZE, -1) / BATCH_SIZE, error.mean(axis=0)


@pytest.mark.parametrize("kind", ["L2", "L1"])
def test_least_squares(kind: str) -> None:
    """h = momentum h + rate lr_mult (gradient + decay decay_mult w); w -= h, in float64 from the start weights."""
    rate_options = 'lr_policy: "exp" gamma: 0.8'
    solver = make_solver(f'momentum: 0.7 weight_decay: 0.03 regularization_type: "{kind}" {rate_options}')
    w, b = (blob.astype(np.float64) for blob in weights(solver))
    history_w, history_b = np.zeros_like(w), np.zeros_like(b)
    for iteration in range(6):
        solver.step(1)
        grad_w, grad_b = least_squares_gradient(w, b, iteration)
        rate = 0.1 * 0.8**iteration
        history_w = 0.7 * history_w + rate * (grad_w + 0.03 * (w if kind == "L2" else np.sign(w)))
        history_b = 0.7 * history_b + rate * 2 * grad_b  # lr_mult 2, decay_mult 0
        w, b = w - history_w, b - history_b
    ours = weights(solver)
    assert ours[0] == pytest.approx(w, rel=1e-5) and ours[1] == pytest.approx(b, rel=1e-5)


def torch_weights(rates: list[float]) -> np.ndarray:
    solver = make_solver("", CLASSIFIER)
    params = list(solver.net.parameters())
    optimizer = torch.optim.SGD(params, lr=rates[0], momentum=0.9, weight_decay=0.01)
    for rate in rates:
        optimizer.param_groups[0]["lr"] = rate
        optimizer.zero_grad()
        solver.net()
        solver.net.loss.backward()
        optimizer.step()
    return weights(solver)[0]


def caffe_weights(options: str, updates: int) -> np.ndarray:
    solver = make_solver(f"momentum: 0.9 weight_decay: 0.01 {options}", CLASSIFIER)
    solver.step(updates)
    return weights(solver)[0]


def test_like_torchs_sgd_while_the_rate_stays() -> None:
    assert caffe_weights("", 8) == pytest.approx(torch_weights([0.1] * 8), rel=1e-5)


def test_unlike_torchs_sgd_once_the_rate_drops() -> None:
    """The rate lies inside Caffe's momentum: the old, larger steps go on for a while."""
    ours = caffe_weights('lr_policy: "step" gamma: 0.1 stepsize: 3', 6)
    theirs = torch_weights([0.1] * 3 + [0.01] * 3)
    assert np.abs(ours - theirs).max() > 0.01 * np.abs(theirs).max()


@pytest.mark.parametrize("clip", [-1, 0.02])
def test_iter_size_is_a_larger_batch(clip: float) -> None:
    """Twice 4 records as one batch of 8; clipping sees the sum over iter_size, so its limit doubles."""
    parts = make_solver(f"iter_size: 2 momentum: 0.9 weight_decay: 0.02 clip_gradients: {2 * clip}")
    double = LEAST_SQUARES.replace(f"batch_size: {BATCH_SIZE}", f"batch_size: {2 * BATCH_SIZE}")
    double = double.replace(f"{0.5 / BATCH_SIZE}", f"{0.25 / BATCH_SIZE}")
    whole = make_solver(f"momentum: 0.9 weight_decay: 0.02 clip_gradients: {clip}", double)
    for solver in (parts, whole):
        solver.step(3)
    assert weights(parts)[0] == pytest.approx(weights(whole)[0], rel=1e-5)


def test_clipping_bounds_the_update_and_tells(log: pytest.LogCaptureFixture) -> None:
    solver = make_solver("clip_gradients: 0.25")
    w, b = weights(solver)
    grad_w, grad_b = least_squares_gradient(w, b, 0)
    norm = math.sqrt((grad_w**2).sum() + (grad_b**2).sum())
    assert norm > 0.25
    solver.step(1)
    assert weights(solver)[0] == pytest.approx(w - 0.1 * grad_w * 0.25 / norm, rel=1e-5)
    (line,) = (line for line in log.messages if line.startswith("Gradient clipping"))
    assert_same_messages([line], [
        f"Gradient clipping: scaling down gradients (L2 norm {norm:g} > 0.25) by scale factor {0.25 / norm:g}"
    ])  # fmt: skip


def test_a_clipping_limit_of_zero_leaves_nothing_and_one_below_zero_clips_nothing() -> None:
    start, free = weights(make_solver("")), make_solver("")
    zero, negative = make_solver("clip_gradients: 0"), make_solver("clip_gradients: -0.01")
    for solver in (free, zero, negative):
        solver.step(1)
    assert np.array_equal(weights(zero)[0], start[0])
    assert np.array_equal(weights(negative)[0], weights(free)[0]) and not np.array_equal(weights(free)[0], start[0])


@pytest.mark.parametrize("rule", ["AdaGrad", "RMSProp"])
def test_momentum_is_refused_by_rules_that_have_none(rule: str) -> None:
    with pytest.raises(PrototxtError, match=f"momentum: Momentum cannot be used with {rule}: expected 0, got 0.5"):
        make_solver(f'type: "{rule}" momentum: 0.5')


@pytest.mark.parametrize("decay, is_in_range", [(-0.5, False), (0, True), (0.5, True), (1, False)])
def test_the_range_of_rms_decay(decay: float, is_in_range: bool) -> None:
    refused = pytest.raises(PrototxtError, match=f"rms_decay: expected 0 <= rms_decay < 1, got {decay}")
    with nullcontext() if is_in_range else refused:
        make_solver(f'type: "RMSProp" rms_decay: {decay}')


@pytest.mark.parametrize("rule", ["Adam", "AdaDelta"])
def test_the_order_of_the_moments_in_the_history(rule: str) -> None:
    """First those of all parameters that come first in the formulas, then the others, as in Caffe's solver states."""
    gradients = [np.array([2.0, -3.0]), np.array([0.5])]
    params = [torch.nn.Parameter(torch.ones(len(gradient))) for gradient in gradients]
    learnable = [LearnableParam(param, 1.0, 1.0, "ip", index) for index, param in enumerate(params)]
    updater = Updater(learnable, SolverParameter(type=rule, momentum=0.75, momentum2=0.875, delta=0.25))
    for param, gradient in zip(params, gradients, strict=True):
        param.grad = torch.from_numpy(gradient).float()
    updater.update(0.1, 0)
    if rule == "Adam":
        expected = [0.25 * g for g in gradients] + [0.125 * g**2 for g in gradients]
    else:
        squares = [0.25 * g**2 for g in gradients]
        changes = [g * np.sqrt(0.25 / (h + 0.25)) for g, h in zip(gradients, squares, strict=True)]
        expected = squares + [0.25 * change**2 for change in changes]
    for found, wanted in zip(updater.history, expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-6)


CUT_OFF = (
    CLASSIFIER
    + """
    layer { name: "other" type: "InnerProduct" bottom: "x" top: "other"
            inner_product_param { num_output: 2 weight_filler { value: 1 } bias_filler { value: 1 } } }
    layer { name: "silence" type: "Silence" bottom: "other" }
"""
)


def test_a_parameter_without_gradient_decays() -> None:
    """By (1 - rate decay) an update."""
    solver = make_solver("weight_decay: 0.5", CUT_OFF)
    solver.step(4)
    for blob in solver.net.params["other"]:
        assert blob.detach().numpy() == pytest.approx((1 - 0.1 * 0.5) ** 4)


def test_the_authors_first_stage_shrinks_the_cut_off_branch() -> None:
    """Their noise-type branch gets no gradient there and ends at 0.760 of its length: exp(-sum rate decay / 0.1).

    Theirs: 50,000 iterations at 0.001 and 50,000 at 0.0001. Here 200 times larger rates, 200 times fewer iterations.
    """
    options = 'base_lr: 0.2 lr_policy: "step" gamma: 0.1 stepsize: 250 momentum: 0.9 weight_decay: 0.0005'
    solver = make_solver(options, CUT_OFF)
    solver.step(500)
    assert solver.net.params["other"][0].detach().numpy() == pytest.approx(0.760, abs=0.002)


def test_an_unknown_regularization_type_is_refused_though_nothing_decays() -> None:
    with pytest.raises(PrototxtError, match="Unknown regularization type: L3; known: L1, L2"):
        make_solver('regularization_type: "L3"')


def test_a_rate_multiplier_of_zero_keeps_the_weights() -> None:
    solver = make_solver("weight_decay: 0.5 momentum: 0.9")
    solver.step(3)
    assert solver.net.params["flat"][0].item() == 1


def test_a_negative_rate_multiplier_learns_away_from_the_target() -> None:
    towards = make_solver("")
    away = make_solver("", LEAST_SQUARES.replace("lr_mult: 1 ", "lr_mult: -1 "))
    start = weights(away)[0]
    for solver in (towards, away):
        solver.step(1)
    assert np.abs(weights(away)[0] - start).max() > 0.01
    assert weights(away)[0] - start == pytest.approx(start - weights(towards)[0], rel=1e-4)


def test_resumed_is_uninterrupted(tmp_path: Path) -> None:
    options = 'momentum: 0.9 lr_policy: "multistep" gamma: 0.5 stepvalue: 2 stepvalue: 2'
    options += f' snapshot_prefix: "{tmp_path}/s"'
    straight = make_solver(options)
    straight.step(3)
    state = straight.snapshot()
    straight.step(3)

    resumed = make_solver(options + " random_seed: 99")
    resumed.restore(state)
    feed(resumed.net, 6, first=3)
    resumed.step(3)
    assert resumed.iter == straight.iter == 6
    for ours, theirs in zip(weights(resumed) + resumed.history, weights(straight) + straight.history, strict=True):
        assert np.array_equal(ours, theirs)


def test_the_seed_decides_the_start() -> None:
    first, again, other = (weights(make_solver(f"random_seed: {seed}"))[0] for seed in (5, 5, 6))
    assert np.array_equal(first, again) and not np.array_equal(first, other)


@pytest.mark.parametrize("moved", ["gradient", "weight"])
def test_the_order_of_the_numbers_in_memory_does_not_matter(moved: str) -> None:
    """Gradients, or weights after the history was made, laid out channels last: three updates are as ever."""
    results = []
    for is_moved in (False, True):
        torch.manual_seed(0)
        weight = torch.nn.Parameter(torch.randn(4, 3, 5, 2))
        updater = Updater(
            [LearnableParam(weight, 1.0, 1.0, "conv", 0)],
            SolverParameter(type="SGD", momentum=0.9, weight_decay=0.1, regularization_type="L2"),
        )
        if is_moved and moved == "weight":
            weight.data = weight.data.contiguous(memory_format=torch.channels_last)
        for iteration in range(3):
            gradient = torch.randn(4, 3, 5, 2)
            if is_moved and moved == "gradient":
                gradient = gradient.contiguous(memory_format=torch.channels_last)
            weight.grad = gradient
            updater.update(0.1, iteration)
        results.append(weight.detach().contiguous())
    torch.testing.assert_close(*results, rtol=1e-6, atol=1e-7)
