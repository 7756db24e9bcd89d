"""Reading a training log: which lines count, and which win when a run is resumed."""

import pytest

from caffe_compat.evaluation.experiments.training_log import TrainingLog

LOG = """\
I1123 17:28:13.268692 20096 solver.cpp:347] Iteration 0, Testing net (#0)
I1123 17:28:13.300000 20096 solver.cpp:414]     Test net output #0: accuracy = 0.1
I1123 17:28:13.300000 20096 solver.cpp:414]     Test net output #1: loss = 2.30259 (* 1 = 2.30259 loss)
I1123 17:28:14.000000 20096 solver.cpp:239] Iteration 0 (0 iter/s, 90s/100 iters), loss = 2.3
I1123 17:28:14.000000 20096 solver.cpp:258]     Train net output #0: loss = 2.31 (* 1 = 2.31 loss)
I1123 17:28:14.000000 20096 sgd_solver.cpp:112] Iteration 0, lr = 0.001
I1123 17:28:24.000000 20096 solver.cpp:239] Iteration 100 (10 iter/s, 10s/100 iters), loss = 1.9
I1123 17:28:34.000000 20096 solver.cpp:239] Iteration 200 (9.09091 iter/s, 11s/100 iters), loss = 1.5
I1123 17:28:54.000000 20096 solver.cpp:347] Iteration 300, Testing net (#0)
I1123 17:28:54.000000 20096 solver.cpp:414]     Test net output #0: accuracy = 0.5
I1123 17:28:54.000000 20096 solver.cpp:239] Iteration 300 (5 iter/s, 20s/100 iters), loss = 1.4
"""
RESUMED = """\
I1123 18:00:00.000000 20096 solver.cpp:347] Iteration 300, Testing net (#0)
I1123 18:00:00.000000 20096 solver.cpp:414]     Test net output #0: accuracy = 0.525
I1123 18:00:00.000000 20096 solver.cpp:298] Iteration 300, loss = 1.25
"""


def test_tests_and_losses():
    log = TrainingLog.read(LOG.splitlines())
    assert log.tests == {0: {"accuracy": 0.1, "loss": 2.30259}, 300: {"accuracy": 0.5}}
    assert log.losses == {0: 2.3, 100: 1.9, 200: 1.5, 300: 1.4}


def test_time_is_the_median_without_the_start():
    assert TrainingLog.read(LOG.splitlines()).seconds_per_iteration == pytest.approx(0.11)
    assert TrainingLog().seconds_per_iteration is None


def test_resumed_run_wins():
    log = TrainingLog.read((LOG + RESUMED).splitlines())
    assert log.tests[300] == {"accuracy": 0.525}
    assert log.losses[300] == 1.25


def test_what_a_resumed_run_has_not_reached_again_does_not_count():
    start = "I1123 17:28:13.000000 20096 solver.cpp:287] Solving net"
    resumed = "I1123 17:59:59.000000 20096 caffe.cpp:239] Resuming from net_iter_200.solverstate"
    again = RESUMED.replace("Iteration 300", "Iteration 200")
    log = TrainingLog.read("\n".join([start, LOG, resumed, start, again]).splitlines())
    assert log.tests == {0: {"accuracy": 0.1, "loss": 2.30259}, 200: {"accuracy": 0.525}}
    assert log.losses == {0: 2.3, 100: 1.9, 200: 1.25}
