"""Reading training logs: Caffe's of ten years ago and of today, ours, several runs and resumes in one file."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from caffe_compat.solver.log_parser import LogParser, Run, join_resumed, parse_log

GOLDEN = Path(__file__).parents[1] / "golden/run"

# What Caffe printed in 2014: no rates, and snapshots without the words "binary proto file".
OLD = """\
I0719 23:59:58.500000 29954 caffe.cpp:99] Use GPU with device ID 0
I0719 23:59:59.000000 29954 solver.cpp:201] Solving CaffeNet
I0719 23:59:59.000000 29954 solver.cpp:202] Learning Rate Policy: step
I0719 23:59:59.250000 29954 solver.cpp:239] Iteration 0, Testing net (#0)
I0720 00:00:00.250000 29954 solver.cpp:270]     Test net output #0: accuracy = 0.001
I0720 00:00:00.500000 29954 solver.cpp:270]     Test net output #1: loss = 6.90776 (* 1 = 6.90776 loss)
I0720 00:00:01.000000 29954 solver.cpp:191] Iteration 0, loss = 7.12534
I0720 00:00:01.500000 29954 solver.cpp:206]     Train net output #0: loss = 7.1 (* 1 = 7.1 loss)
I0720 00:00:01.500000 29954 solver.cpp:404] Iteration 0, lr = 1e-05
I0720 00:00:21.000000 29954 solver.cpp:191] Iteration 20, loss = nan
I0720 00:00:21.500000 29954 solver.cpp:206]     Train net output #0: loss = -nan (* 1 = -nan loss)
I0720 00:00:21.500000 29954 solver.cpp:404] Iteration 20, lr = 0.01
I0720 00:00:22.000000 29954 solver.cpp:302] Snapshotting to caffenet_iter_20.caffemodel
I0720 00:00:22.000000 29954 solver.cpp:309] Snapshotting solver state to caffenet_iter_20.solverstate
"""


def parse(text: str, **options: int) -> list[Run]:
    parser = LogParser(**options)
    for line in text.splitlines(keepends=True):
        parser.add(line)
    return parser.runs


def test_an_old_log() -> None:
    (run,) = parse(OLD)
    assert not run.resumed and run.interval_seconds == []
    (test,), (first, second) = run.tests[0], run.train
    assert (test.iteration, test.seconds, test.outputs) == (0, 1.25, {"accuracy": 0.001, "loss": 6.90776})
    assert test.losses == {"loss"} and math.isnan(test.learning_rate)
    assert (first.iteration, first.seconds, first.outputs) == (0, 2.5, {"loss": 7.1})
    assert (second.iteration, second.seconds, second.learning_rate) == (20, 22.5, 1e-05)
    assert math.isnan(second.outputs["loss"]) and math.isnan(run.losses[20]) and run.losses[0] == 7.12534


def with_year(log: str, year: int = 2026) -> str:
    return log.replace("\nI", f"\nI{year}").replace("I", f"I{year}", 1)


def test_the_date_with_a_year_gives_the_same() -> None:
    short, long = parse(OLD), parse(with_year(OLD))
    assert repr(short) == repr(long)  # as NaN is not NaN


@pytest.mark.parametrize(
    "first, second, seconds",
    [
        ("1231 23:59:59.500000", "0101 00:00:01.500000", 2.0),
        ("0228 23:59:59.500000", "0229 00:00:00.750000", 1.25),
        ("20231231 23:59:59.500000", "20240101 00:00:01.500000", 2.0),
        ("20230228 23:59:59.500000", "20230301 00:00:00.750000", 1.25),
    ],
)
def test_time_goes_on_over_midnight(first: str, second: str, seconds: float) -> None:
    (run,) = parse(
        f"I{first}  7 solver.cpp:1] Solving x\n"
        f"I{second}  7 solver.cpp:1] Iteration 5 (1 iter/s, 5s/5 iters), loss = 1\n"
        f"I{second}  7 solver.cpp:1]     Train net output #0: loss = 1 (* 1 = 1 loss)\n"
    )
    assert run.train[0].seconds == seconds


def test_real_caffes_log_and_its_resumed_run() -> None:
    first, second = (GOLDEN / name for name in ("train_BINARYPROTO.log", "resumed/train.log"))
    (run,), (resumed,) = parse_log(first), parse_log(second)
    assert not run.resumed and resumed.resumed
    assert [row.iteration for row in run.train] == [0, 5, 10, 15, 20, 25]
    assert [(row.iteration, row.outputs) for row in run.tests[0]][::3] == [
        (0, {"accuracy": 0.09375, "loss": 1.60923}), (30, {"accuracy": 1.0, "loss": 0.00312688})
    ]  # fmt: skip
    assert run.losses[5] == 0.599058 and run.losses[30] == 0.00252376
    assert run.interval_seconds == pytest.approx([0.0028, 0.0006, 0.0002, 0.0022, 0.0002])
    assert [row.iteration for row in resumed.train] == [20, 25]

    runs = parse(first.read_text() + second.read_text())
    assert [each.resumed for each in runs] == [False, True]
    assert runs[1].tests[0][0].seconds == 1.107018  # since the start of the first
    (joined,) = join_resumed(runs)
    assert [row.iteration for row in joined.train] == [0, 5, 10, 15, 20, 25]
    assert joined.train[4].outputs == {"loss": 0.000186354}  # the resumed run's
    assert [row.iteration for row in joined.tests[0]] == [0, 10, 20, 30]
    assert joined.losses[5] == 0.599058 and joined.losses[30] == resumed.losses[30]


def test_runs_that_are_not_resumed_stay_apart() -> None:
    assert [run.resumed for run in join_resumed(parse(OLD + OLD))] == [False, False]


def test_a_resume_told_after_solving() -> None:
    """As ``solver.solve(snapshot)`` logs it."""
    line = "I0720 00:00:21.000000 29954 solver.cpp:191] Restoring previous solver status from x.solverstate\n"
    solving, rest = OLD.split("\n", 2)[:2], OLD.split("\n", 2)[2]
    (run,) = parse("\n".join(solving) + "\n" + line + rest)
    assert run.resumed


def test_lines_of_others_are_passed_over() -> None:
    noise = 'name: "Iteration 7, loss = 3"\n 10%|####   | 5/50\nIteration 9, lr = 5\nW0720 00:00:21.5 1 x] cut\n'
    assert repr(parse(OLD.replace("\n", "\n" + noise))) == repr(parse(OLD))
    assert parse(noise) == []


@pytest.mark.parametrize(
    "line",
    [
        "I1319 10:00:00.000000 1 solver.cpp:1] Iteration 1, loss = 2",
        "I0019 10:00:00.000000 1 solver.cpp:1] Iteration 1, loss = 2",
        "I0719 25:00:00.000000 1 solver.cpp:1] Iteration 1, loss = 2",
        "I00000719 10:00:00.000000 1 solver.cpp:1] Iteration 1, loss = 2",
        "I99991299 10:00:00.000000 1 solver.cpp:1] Iteration 1, loss = 2",
        "I0719 10:00:00.000000 1 solver.cpp:1] Iteration 1, loss = ..",
        "I0719 10:00:00.000000 1 solver.cpp:1] Iteration 1 (1 iter/s, 1..2s/3 iters), loss = 2",
        f"I0719 10:00:00.000000 1 solver.cpp:1] Iteration {'9' * 5000}, loss = 2",
    ],
)
def test_lines_whose_date_or_numbers_are_none_are_passed_over(line: str) -> None:
    (run,) = parse(f"{OLD}{line}\n")
    assert set(run.losses) == {0, 20} and len(run.train) == 2


def test_an_interval_of_no_iterations_takes_no_time() -> None:
    (run,) = parse(f"{OLD}I0720 00:01:00.000000 1 solver.cpp:1] Iteration 40 (1 iter/s, 3s/0 iters), loss = 2\n")
    assert run.losses[40] == 2 and run.interval_seconds == []


def test_several_test_nets() -> None:
    (run,) = parse(OLD + "".join(
        f"I0720 00:01:0{net}.000000 29954 solver.cpp:239] Iteration 20, Testing net (#{net})\n"
        f"I0720 00:01:0{net}.000000 29954 solver.cpp:270]     Test net output #0: accuracy = 0.{net}\n"
        for net in (0, 1)
    ))  # fmt: skip
    assert [row.outputs["accuracy"] for row in run.tests[0]] == [0.001, 0.0]
    assert [row.outputs for row in run.tests[1]] == [{"accuracy": 0.1}]
