"""The training loop: what it logs, when it tests, when it stops."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_nets import CLASSIFIER, make_solver, weights

from caffe_compat.errors import CaffeCompatError
from caffe_compat.glog import number
from caffe_compat.solver import Action, Solver
from caffe_compat.solver.log_parser import LogParser

TESTED = "test_iter: 3 test_interval: 2 max_iter: 4"


def lines(log: pytest.LogCaptureFixture, pattern: str) -> list[str]:
    return [line for line in log.messages if re.search(pattern, line)]


def losses(updates: int, options: str = "") -> list[float]:
    """The loss before each update."""
    solver, found = make_solver(options), []
    for _ in range(updates):
        solver.step(1)
        found.append(float(solver.net.loss.detach()))
    return found


# --- display ----------------------------------------------------------------------------------------------------


def test_displayed_loss_is_the_mean_of_the_last_losses(log: pytest.LogCaptureFixture) -> None:
    make_solver("display: 2 average_loss: 3").step(7)
    single = losses(7)
    for iteration, line in zip((0, 2, 4, 6), lines(log, r"^Iteration \d+ \("), strict=True):
        expected = np.mean(single[max(0, iteration - 2) : iteration + 1])
        assert re.fullmatch(rf"Iteration {iteration} \([^ ]+ iter/s, [^ ]+s/2 iters\), loss = [^ ]+", line)
        assert float(line.split()[-1]) == pytest.approx(expected, rel=1e-5)


def test_a_loss_that_is_not_finite_is_warned_of_once(log: pytest.LogCaptureFixture) -> None:
    """Training goes on, as in Caffe; nothing is added to the log of one that does not diverge."""
    solver = make_solver("display: 1")
    solver.step(2)
    assert not lines(log, "diverged")
    solver.net.learnable_params[0].parameter.data.fill_(float("nan"))
    solver.step(3)
    assert lines(log, "diverged") == ["The loss is nan: the training has diverged, and goes on as in Caffe"]
    assert solver.iter == 5
    parser = LogParser()
    for line in log.messages:
        parser.add(f"W1123 17:28:14.000000 20096 solver.cpp:239] {line}")
    assert list(parser.runs[-1].losses) == [0, 1, 2, 3, 4]


def test_each_step_call_averages_anew(log: pytest.LogCaptureFixture) -> None:
    solver = make_solver("display: 1 average_loss: 4")
    solver.step(3)
    log.clear()
    solver.step(1)
    assert float(lines(log, "^Iteration 3 ")[0].split()[-1]) == pytest.approx(losses(4)[3], rel=1e-5)


def test_the_first_rate_counts_from_where_the_run_went_on(log: pytest.LogCaptureFixture) -> None:
    solver = make_solver("display: 1")
    solver.iter = 1_000_000
    solver.step(1)
    assert lines(log, "iter/s")[0].startswith("Iteration 1000000 (0 iter/s, ")


def test_displayed_loss_is_the_mean_over_iter_size(log: pytest.LogCaptureFixture) -> None:
    make_solver("display: 1 iter_size: 3").step(1)
    shown = float(lines(log, "^Iteration 0 ")[0].split()[-1])
    still = make_solver("base_lr: 0")
    batches = []
    for _ in range(3):
        still.step(1)
        batches.append(float(still.net.loss.detach()))
    assert len(set(batches)) == 3 and shown == pytest.approx(np.mean(batches), rel=1e-5)


def test_every_element_of_every_output_has_a_line(log: pytest.LogCaptureFixture) -> None:
    net = (
        CLASSIFIER.replace('top: "loss"', 'top: "zloss" loss_weight: 0.5')
        + """
        layer { name: "two" type: "InnerProduct" bottom: "x" top: "b" loss_weight: 0
                inner_product_param { num_output: 2 } }
    """
    )
    make_solver("display: 1", net).step(1)
    outputs = lines(log, "Train net output")
    names = [re.fullmatch(r"    Train net output #(\d+): (\w+) = ([^ ]+)(.*)", line).groups() for line in outputs]
    assert [(int(index), name) for index, name, _, _ in names] == [*((i, "b") for i in range(8)), (8, "zloss")]
    assert all(rest == "" for *_, rest in names[:8])
    value = float(names[8][2])
    assert re.fullmatch(r" \(\* 0\.5 = ([^ ]+) loss\)", names[8][3])
    assert float(names[8][3].split()[3]) == pytest.approx(0.5 * value, rel=1e-5)


def test_no_display_no_lines(log: pytest.LogCaptureFixture) -> None:
    solver = make_solver("")
    log.clear()
    solver.step(3)
    assert log.messages == []


def test_multistep_tells_its_steps(log: pytest.LogCaptureFixture) -> None:
    make_solver('lr_policy: "multistep" gamma: 0.5 stepvalue: 1 display: 1').step(2)
    told = lines(log, "MultiStep|lr =")
    assert told == ["Iteration 0, lr = 0.1", "MultiStep Status: Iteration 1, step = 1", "Iteration 1, lr = 0.05"]


def test_debug_info_shows_the_norms_on_displayed_iterations(log: pytest.LogCaptureFixture) -> None:
    solver = make_solver("debug_info: true display: 2")
    start = [blob.numpy() for blob in (p.parameter.detach().clone() for p in solver.net.learnable_params)]
    solver.step(2)
    (line,) = lines(log, r"\[Backward\] All net params")
    l1, l2 = (sum((np.abs(blob) ** power).sum() for blob in start) ** (1 / power) for power in (1, 2))
    shown = [float(text) for text in re.findall(r"\(([^,]+), ", line.split("L1", 1)[1])]
    assert shown == pytest.approx([l1, l2], rel=1e-5)
    assert len(lines(log, r"\[Forward\] Layer ip, top blob ip data: ")) == 1


def test_debug_info_shows_the_norms_of_the_gradients(log: pytest.LogCaptureFixture) -> None:
    twin = make_solver("")
    twin.net.forward_unfed()
    twin.net.loss.backward()
    learnt = [param.parameter.grad for param in twin.net.learnable_params if param.lr_mult]
    gradients = np.concatenate([gradient.numpy().ravel() for gradient in learnt])
    make_solver("debug_info: true display: 1").step(1)
    (line,) = lines(log, r"\[Backward\] All net params")
    shown = [float(text) for text in re.findall(r", ([^,)]+)\)", line.split("L1", 1)[1])]
    assert shown == pytest.approx([np.abs(gradients).sum(), np.sqrt((gradients**2).sum())], rel=1e-5)


# --- testing ----------------------------------------------------------------------------------------------------


def test_tests_come_before_the_updates_they_are_due_at(log: pytest.LogCaptureFixture) -> None:
    make_solver(TESTED, CLASSIFIER).solve()
    order = [line for line in log.messages if re.match("Iteration .*Testing|Optimization", line)]
    assert order == [*(f"Iteration {i}, Testing net (#0)" for i in (0, 2, 4)), "Optimization Done."]


def test_no_initial_test(log: pytest.LogCaptureFixture) -> None:
    make_solver(TESTED + " test_initialization: false", CLASSIFIER).solve()
    assert lines(log, "Testing net")[0] == "Iteration 2, Testing net (#0)"


def test_scores_are_means_over_batches_and_the_data_go_on(log: pytest.LogCaptureFixture) -> None:
    """Six batches, three a test: the second test sees the other half."""
    solver = make_solver(TESTED, CLASSIFIER)
    net, accuracies = solver.test_nets[0], []
    for _ in range(6):
        net()
        accuracies.append(float(net.blobs["accuracy"]))
    assert len(set(accuracies)) > 1
    first, second = solver.test(), solver.test()
    assert float(first["accuracy"]) == pytest.approx(np.mean(accuracies[:3]))
    assert float(second["accuracy"]) == pytest.approx(np.mean(accuracies[3:]))
    assert lines(log, "Test net output")[0] == f"    Test net output #0: accuracy = {number(np.mean(accuracies[:3]))}"


def test_each_test_net_has_a_test_iter_of_its_own(log: pytest.LogCaptureFixture) -> None:
    other = CLASSIFIER.replace('top: "accuracy"', 'top: "other"').replace("\n", " ")
    solver = make_solver(f"test_net_param {{ {other} }} test_iter: 1 test_iter: 3 test_interval: 1", CLASSIFIER)
    net, accuracies = make_solver(TESTED, CLASSIFIER).test_nets[0], []
    for _ in range(3):
        net()
        accuracies.append(float(net.blobs["accuracy"]))
    first, mean = number(accuracies[0]), number(np.mean(accuracies))
    assert first != mean
    solver.step(1)
    assert lines(log, r"Testing net|Test net output") == [
        "Iteration 0, Testing net (#0)", f"    Test net output #0: other = {first}",
        "Iteration 0, Testing net (#1)", f"    Test net output #0: accuracy = {mean}",
    ]  # fmt: skip


def test_test_compute_loss(log: pytest.LogCaptureFixture) -> None:
    with_loss = CLASSIFIER.replace("include { phase: TRAIN }", "")
    options = "test_iter: 2 test_interval: 1 test_compute_loss: true"
    scores = make_solver(options, with_loss).test()
    assert lines(log, "Test loss") == [f"Test loss: {number(float(scores['loss']))}"]


def test_test_nets_share_the_parameters(log: pytest.LogCaptureFixture) -> None:
    solver = make_solver(TESTED, CLASSIFIER)
    ours, theirs = solver.net.params["ip"], solver.test_nets[0].params["ip"]
    assert all(a.data_ptr() == b.data_ptr() for a, b in zip(ours, theirs, strict=True))
    solver.step(1)
    assert torch.equal(ours[0], theirs[0])
    assert lines(log, "Ignoring source layer") == ["Ignoring source layer loss"]


def test_layers_that_cannot_be_shared() -> None:
    test_net = CLASSIFIER.replace("num_output: 3", "num_output: 4").replace("\n", " ")
    options = f"test_net_param {{ {test_net} }} test_iter: 1 test_interval: 1"
    with pytest.raises(CaffeCompatError, match=r"Cannot share param 0 weights from layer 'ip'; shape mismatch\.  "
                       r"Source param shape is 3 3 \(9\); target param shape is 4 3 \(12\)"):  # fmt: skip
        make_solver(options, CLASSIFIER)


def test_layers_whose_number_of_blobs_differs_cannot_be_shared() -> None:
    test_net = CLASSIFIER.replace("num_output: 3", "num_output: 3 bias_term: false").replace("\n", " ")
    options = f"test_net_param {{ {test_net} }} test_iter: 1 test_interval: 1"
    with pytest.raises(CaffeCompatError, match="Incompatible number of blobs for layer ip: expected 1, got 2"):
        make_solver(options, CLASSIFIER)


def test_of_the_train_nets_layers_with_one_name_the_last_is_shared() -> None:
    """With the test net's first, as Caffe does, which goes through the train net's layers one after the other."""
    ip = 'layer { name: "ip" type: "InnerProduct" bottom: "%s" top: "%s" inner_product_param { num_output: 3 } } '
    two = CLASSIFIER.replace('layer { name: "loss"', ip % ("ip", "second") + 'layer { name: "loss"')
    solver = make_solver(TESTED, two)
    trained, tested = ([layer.blobs[0] for layer in net.layers_in_order if layer.blobs]
                       for net in (solver.net, solver.test_nets[0]))  # fmt: skip
    assert tested[0].data_ptr() == trained[1].data_ptr() != trained[0].data_ptr() != tested[1].data_ptr()


# --- the end ----------------------------------------------------------------------------------------------------


def test_the_end_shows_one_more_loss(log: pytest.LogCaptureFixture) -> None:
    expected = losses(5)[4]
    solver = make_solver("display: 2 max_iter: 4")
    solver.solve()
    assert lines(log, r"^Iteration \d+, loss") == [f"Iteration 4, loss = {number(expected)}"]
    assert log.messages[-1] == "Optimization Done." and solver.iter == 4


def test_iterations_stop_early(log: pytest.LogCaptureFixture) -> None:
    solver = make_solver('max_iter: 5 lr_policy: "poly" power: 1')
    solver.solve(iterations=2)
    assert solver.iter == 2 and log.messages[-1] == "Optimization stopped early."
    solver.solve(iterations=9)
    assert solver.iter == 5 and log.messages[-1] == "Optimization Done."
    straight = make_solver('max_iter: 5 lr_policy: "poly" power: 1')
    straight.solve()
    assert np.array_equal(weights(solver)[0], weights(straight)[0])


def requests(*actions: Action) -> Iterator[Action]:
    yield from actions
    while True:
        yield Action.NONE


def test_requests_are_heeded_between_iterations(tmp_path: Path, log: pytest.LogCaptureFixture) -> None:
    solver = make_solver(f'max_iter: 9 snapshot_after_train: true snapshot_prefix: "{tmp_path}/s"')
    asked = requests(Action.NONE, Action.SNAPSHOT, Action.NONE, Action.STOP)
    solver.action_request = lambda: next(asked)
    solver.solve()
    assert solver.iter == 4 and log.messages[-1] == "Optimization stopped early."
    found = sorted(path.name for path in tmp_path.iterdir())
    assert found == [f"s_iter_{i}.{end}" for i in (2, 4) for end in ("caffemodel", "solverstate")]


def test_requests_are_heeded_between_test_batches(tmp_path: Path, log: pytest.LogCaptureFixture) -> None:
    options = f'{TESTED} snapshot_after_train: true snapshot_prefix: "{tmp_path}/s"'
    solver = make_solver(options, CLASSIFIER)
    asked = requests(Action.SNAPSHOT, Action.NONE, Action.STOP, Action.NONE)
    solver.action_request = lambda: next(asked)
    solver.solve()
    assert solver.iter == 0 and lines(log, "Test ") == ["Test interrupted."]
    assert log.messages[-1] == "Optimization stopped early."
    assert len(list(tmp_path.iterdir())) == 2


# --- weights ----------------------------------------------------------------------------------------------------


def save(path: Path, value: float, layer: str = "ip") -> str:
    net = CLASSIFIER.replace('name: "ip"', f'name: "{layer}"')
    solver = make_solver("", net)
    for blob in solver.net.params[layer]:
        blob.data.fill_(value)
    solver.net.save_weights(path)
    return str(path)


def test_weights_of_the_solver_are_loaded_in_order(tmp_path: Path, log: pytest.LogCaptureFixture) -> None:
    one, two = save(tmp_path / "one.caffemodel", 1), save(tmp_path / "two.caffemodel", 2)
    other = save(tmp_path / "other.caffemodel", 3, layer="elsewhere")
    log.clear()
    solver = make_solver(f'weights: "{one} , {other}" weights: "{two}" {TESTED}', CLASSIFIER)
    assert weights(solver)[0] == pytest.approx(2)
    assert lines(log, "Finetuning") == [f"Finetuning from {path}" for path in (one, other, two)] * 2
    assert "Ignoring source layer elsewhere" in log.messages


def test_missing_weights() -> None:
    with pytest.raises(CaffeCompatError, match="nowhere.caffemodel: no such file"):
        make_solver('weights: "nowhere.caffemodel"')


# --- sources ----------------------------------------------------------------------------------------------------


def test_a_solver_from_a_path_a_text_and_a_message(tmp_path: Path) -> None:
    text = f'net_param {{ {CLASSIFIER} }} base_lr: 0.1 lr_policy: "fixed" max_iter: 7'
    (tmp_path / "s.prototxt").write_text(text)
    by_path, by_text = Solver(tmp_path / "s.prototxt"), Solver(text)
    by_message = Solver(by_text.param, path=str(tmp_path / "s.prototxt"))
    assert {solver.param.max_iter for solver in (by_path, by_text, by_message)} == {7}
    assert by_path.param.snapshot_prefix == by_message.param.snapshot_prefix == str(tmp_path / "s")
    assert not by_text.param.HasField("snapshot_prefix")


def test_errors_name_the_nets_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("net.prototxt").write_text('layer { name: "c" type: "Convolutoin" }')
    Path("s.prototxt").write_text('net: "net.prototxt" base_lr: 0.1 lr_policy: "fixed"')
    with pytest.raises(CaffeCompatError, match=r'^net.prototxt: layer "c" \(Convolutoin\): type: unknown; closest'):
        Solver("s.prototxt")
