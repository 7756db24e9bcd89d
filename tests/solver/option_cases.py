"""The solver's rows of the table of options: four iterations with and without each field."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from caffe_logs import messages  # noqa: E402
from option_table import Changes, NoEffect, Observation, Row  # noqa: E402
from tiny_nets import CLASSIFIER, feed, weights  # noqa: E402

from caffe_compat.errors import CaffeCompatError  # noqa: E402
from caffe_compat.net import Net  # noqa: E402
from caffe_compat.proto.caffe_pb2 import SolverParameter, SolverState  # noqa: E402
from caffe_compat.prototxt import parse_text  # noqa: E402
from caffe_compat.solver import Solver  # noqa: E402

MESSAGES = ("SolverParameter", "SolverState")

STAGED = 'layer { name: "staged" type: "Silence" bottom: "x" include { stage: "extra" } }'
NET_A = CLASSIFIER.replace("include { phase: TRAIN }", "") + STAGED  # loss in both phases
NET_B = NET_A.replace('name: "classifier"', 'name: "b"').replace('"gaussian" std: 1', '"gaussian" std: 2')


# --- what can be seen -------------------------------------------------------------------------------------------


def observe_solver(text: str) -> Observation:
    """What a solver of this text does in a folder with two nets and two weights files; or why it is refused."""
    with _folder(), _log() as log:
        try:
            solver = Solver(text)
            nets = [solver.net, *solver.test_nets]
            for net in nets:
                feed(net, 6)
            start = [blob.tolist() for blob in weights(solver)]
            solver.solve()
        except CaffeCompatError as exc:
            return {"refused": str(exc)}
        return {
            "device": str(solver.device), "layers": [list(net.layers) for net in nets], "start": start,
            "names": [net.name for net in nets], **_training_state(solver), "log": log.since_scaffolding(),
            "warnings": log.warnings, "files": {path.name: path.read_bytes() for path in Path().glob("s_*")},
        }  # fmt: skip


RESUMED = f"""net_param {{ {NET_A} }} base_lr: 0.1 lr_policy: "multistep" gamma: 0.5 stepvalue: 1 stepvalue: 9
    max_iter: 4 momentum: 0.9 snapshot_after_train: false random_seed: 3"""


def observe_resuming(text: str) -> Observation:
    """What a solver does that goes on from this SolverState; or why it is refused."""
    with _folder():
        solver = Solver(RESUMED)
        feed(solver.net, 6)
        Path("x.solverstate").write_bytes(parse_text(text, SolverState()).SerializeToString())
        try:
            solver.solve(snapshot="x.solverstate")
        except CaffeCompatError as exc:
            return {"refused": str(exc)}
        return _training_state(solver)


def _training_state(solver: Solver) -> Observation:
    history = [blob.tolist() for blob in solver.history]
    return {"iter": solver.iter, "weights": [blob.tolist() for blob in weights(solver)], "history": history}


@contextlib.contextmanager
def _folder() -> Iterator[None]:
    before = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            for name, net in (("a", NET_A), ("b", NET_B)):
                Path(f"{name}.prototxt").write_text(net)
                Net(net, "TRAIN").save_weights(f"{name}.caffemodel")
            yield
        finally:
            os.chdir(before)


class _Log(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.warnings: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())
        if record.levelno == logging.WARNING:
            self.warnings.append(record.getMessage())

    def since_scaffolding(self) -> list[str]:
        return messages("\n".join(self.lines[self.lines.index("Solver scaffolding done.") :]))


@contextlib.contextmanager
def _log() -> Iterator[_Log]:
    logger, handler = logging.getLogger("caffe_compat"), _Log()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield handler
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


# --- the rows ---------------------------------------------------------------------------------------------------

SCHEDULE = 'base_lr: 0.1 lr_policy: "fixed" max_iter: 4 random_seed: 3'
QUIET = "snapshot_after_train: false"
BASE = f'net: "a.prototxt" {SCHEDULE} {QUIET}'
TESTED = f"{BASE} test_interval: 2"
NET_FIELDS = ("NetParameter.name", "NetParameter.layer")


def changes(
    field: str, base: str, changed: str, *along: str, refused: str = "", message: type = SolverParameter
) -> Changes:
    observe = observe_solver if message is SolverParameter else observe_resuming
    name = f"{message.DESCRIPTOR.name}.{field}"
    return Changes(name, base, changed, along, observe, refused=refused, message=message)


def added(field: str, text: str, base: str = BASE, *along: str, refused: str = "") -> Changes:
    return changes(field, base, f"{base} {text}", *along, refused=refused)


def replaced(field: str, old: str, new: str, base: str = BASE) -> Changes:
    assert old in base
    return changes(field, base, base.replace(old, new))


NETS: list[Row] = [
    replaced("net", "a.prototxt", "b.prototxt"),
    changes(
        "net_param",
        BASE,
        BASE.replace('net: "a.prototxt"', f"net_param {{ {NET_B} }}"),
        "SolverParameter.net",
        *NET_FIELDS,
    ),
    changes("train_net", BASE.replace("net:", "train_net:"), BASE.replace('net: "a', 'train_net: "b')),
    changes(
        "train_net_param",
        BASE,
        BASE.replace('net: "a.prototxt"', f"train_net_param {{ {NET_B} }}"),
        "SolverParameter.net",
        *NET_FIELDS,
    ),
    added("test_net", 'test_net: "b.prototxt"', f"{TESTED} test_iter: 1"),
    added("test_net_param", f"test_net_param {{ {NET_B} }}", f"{TESTED} test_iter: 1"),
    added("train_state", 'train_state { stage: "extra" }', BASE, "NetState.stage"),
    added("test_state", 'test_state { stage: "extra" }', f"{TESTED} test_iter: 1"),
    added("weights", 'weights: "b.caffemodel"'),
]

TESTING: list[Row] = [
    added("test_iter", "test_iter: 1", TESTED),
    replaced("test_interval", "test_interval: 2", "test_interval: 3", f"{TESTED} test_iter: 1"),
    added("test_compute_loss", "test_compute_loss: true", f"{TESTED} test_iter: 1"),
    added("test_initialization", "test_initialization: false", f"{TESTED} test_iter: 1"),
]

RATES: list[Row] = [
    replaced("base_lr", "base_lr: 0.1", "base_lr: 0.2"),
    changes("lr_policy", f"{BASE} gamma: 0.5", f"{BASE} gamma: 0.5".replace("fixed", "exp")),
    changes("gamma", BASE.replace("fixed", "exp") + " gamma: 0.5", BASE.replace("fixed", "exp") + " gamma: 0.6"),
    changes("power", BASE.replace("fixed", "poly") + " power: 1", BASE.replace("fixed", "poly") + " power: 2"),
    changes("stepsize", *(BASE.replace("fixed", "step") + f" gamma: 0.5 stepsize: {size}" for size in (2, 3))),
    added("stepvalue", "stepvalue: 2", BASE.replace("fixed", "multistep") + " gamma: 0.5"),
    replaced("max_iter", "max_iter: 4", "max_iter: 5"),
]

UPDATES: list[Row] = [
    added("momentum", "momentum: 0.9"),
    added("weight_decay", "weight_decay: 0.1"),
    added("regularization_type", 'regularization_type: "L1"', f"{BASE} weight_decay: 0.1"),
    added("clip_gradients", "clip_gradients: 0.01"),
    added("iter_size", "iter_size: 2"),
    added("type", 'type: "Nesterov"', f"{BASE} momentum: 0.9"),
    added("solver_type", "solver_type: ADAM", f"{BASE} momentum: 0.9"),
    added("delta", "delta: 0.1", f'{BASE} type: "AdaGrad"'),
    added("momentum2", "momentum2: 0.5", f'{BASE} type: "Adam" momentum: 0.9'),
    added("rms_decay", "rms_decay: 0.5", f'{BASE} type: "RMSProp"'),
    replaced("random_seed", "random_seed: 3", "random_seed: 4"),
]

DISPLAY: list[Row] = [
    added("display", "display: 2"),
    added("average_loss", "average_loss: 2", f"{BASE} display: 1"),
    added("debug_info", "debug_info: true", f"{BASE} display: 2"),
]

SAVED = f'net: "a.prototxt" {SCHEDULE} snapshot_prefix: "s_"'
SNAPSHOTS: list[Row] = [
    added("snapshot", "snapshot: 2", SAVED),
    replaced("snapshot_prefix", '"s_"', '"s_t"', SAVED),
    added("snapshot_diff", "snapshot_diff: true", SAVED),
    added("snapshot_after_train", QUIET, SAVED),
    added("snapshot_format", "snapshot_format: HDF5", SAVED),
]

DEVICE: list[Row] = [
    changes("solver_mode", f"{BASE} solver_mode: CPU", f"{BASE} solver_mode: GPU"),
    added("device_id", "device_id: 99", f"{BASE} solver_mode: GPU"),
    NoEffect(
        "SolverParameter.layer_wise_reduce",
        "it says when several GPUs exchange gradients; the sums are the same",
        BASE,
        f"{BASE} layer_wise_reduce: false",
        observe=observe_solver,
    ),
]

HISTORY = """history { shape { dim: 3 dim: 3 } data: [1, 2, 3, 4, 5, 6, 7, 8, 9] }
    history { shape { dim: 3 } data: [1, 2, 3] }"""
ONE_MORE = "history { shape { dim: 1 } data: [1] }"
TOO_LONG = "Incorrect length of history blobs: expected 2, got 3"
STATE: list[Row] = [
    changes("iter", f"iter: 1 {HISTORY}", f"iter: 2 {HISTORY}", message=SolverState),
    changes(
        "learned_net", *(f'{HISTORY} iter: 1 learned_net: "{name}.caffemodel"' for name in "ab"), message=SolverState
    ),
    changes("history", f"iter: 1 {HISTORY}", f"iter: 1 {HISTORY} {ONE_MORE}", refused=TOO_LONG, message=SolverState),
    changes("current_step", f"iter: 2 {HISTORY}", f"iter: 2 current_step: 2 {HISTORY}", message=SolverState),
]

ROWS: list[Row] = [*NETS, *TESTING, *RATES, *UPDATES, *DISPLAY, *SNAPSHOTS, *DEVICE, *STATE]
