"""The chain end to end on a handful of images: what is run, what is skipped, what is taken up again."""

import json
import os
import signal
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_data import confusion

from caffe_compat.cli.reproduce_table import main
from caffe_compat.cli.score_labels import main as score_labels
from caffe_compat.errors import CaffeCompatError
from caffe_compat.evaluation.experiments import catalogue
from caffe_compat.evaluation.experiments import chain as chains
from caffe_compat.evaluation.experiments.chain import Chain
from caffe_compat.evaluation.experiments.estimated_transition import predictions
from caffe_compat.label_noise.transitions import anchor_transition, gold_transition
from caffe_compat.proto import caffe_pb2
from caffe_compat.prototxt import read_solver, to_text
from caffe_compat.repository import REPOSITORY
from caffe_compat.weights import read_blobproto_file, read_caffemodel, write_blobproto_file

ASKED_FOR = ("ours", "glc", "forward")
RUN = {"clean", "ntype", "noisy_only", *ASKED_FOR}


def six_iterations(solver: caffe_pb2.SolverParameter, net: caffe_pb2.NetParameter) -> None:
    solver.max_iter, solver.stepsize, solver.snapshot = 6, 4, 3
    solver.display, solver.test_interval = 2, 3
    solver.test_iter[:] = [1]


@pytest.fixture
def chain(tmp_path: Path, tiny_data, monkeypatch: pytest.MonkeyPatch) -> Chain:
    """The CIFAR-10 recipe with its own nets on noise images, six iterations a stage."""
    recipe = catalogue.RECIPES["cifar10n"]
    stages = []
    for stage in recipe.stages:
        solver, _ = read_solver(REPOSITORY / stage.solver)
        path = tmp_path / f"{stage.name}_solver.prototxt"
        path.write_text(to_text(solver))
        stages.append(replace(stage, solver=str(path), edits=(*stage.edits, six_iterations)))
    recipe = replace(recipe, stages=tuple(stages))
    monkeypatch.setitem(catalogue.RECIPES, "cifar10n", recipe)
    return Chain(recipe, tiny_data("cifar", classes=10, size=32, records=20), tmp_path / "out")


def result_files(chain: Chain) -> dict[str, int]:
    """{"seed_1/clean": time of writing} of the results there are."""
    return {str(path.parent.relative_to(chain.out)): path.stat().st_mtime_ns for path in chain.out.rglob("result.json")}


def line_of(method: str, printed: str) -> str:
    return next(line for line in printed.splitlines() if line.startswith(f"| {method} |"))


def run(chain: Chain, *options: str) -> int:
    return main(["--recipe", "cifar10n", "--data", str(chain.data), "--out", str(chain.out), *options])


@pytest.mark.slow
def test_whole_chain(chain: Chain, capsys: pytest.CaptureFixture[str]):
    assert run(chain, "--seeds", "1", "--stages", *ASKED_FOR) == 0
    assert set(result_files(chain)) == {f"seed_1/{name}" for name in RUN}
    printed = capsys.readouterr().out
    assert "missing" in line_of("noisy as truth", printed) and "missing" not in line_of("ours", printed)
    assert (chain.out / "table.md").read_text() in printed + "\n"
    assert f"Curves: {chain.out / 'training.png'}" in printed and (chain.out / "training.svg").stat().st_size > 10_000

    [command] = (
        line.partition(": tools/score_labels.py ")[2] for line in printed.splitlines() if "Next, which" in line
    )
    command = command.replace("--out labels.parquet --lists lists --report report.html", f"--out {chain.out}/l.parquet")
    assert score_labels(command.split()) == 0, "the command that is said to come next"

    result = json.loads((chain.out / "seed_1/ours/result.json").read_text())
    assert result["iterations"] == 6 and set(result["test_history"]) == {"0", "3", "6"}
    assert result["test"] == result["test_history"]["6"]
    assert result["seconds"] > 0 and result["resumed_at"] is None and result["versions"]["torch"]

    folder = chain.out / "seed_1"
    clean = read_caffemodel(folder / "clean/clean_iter_6.caffemodel")
    start = read_caffemodel(folder / "ours/start.caffemodel")
    ntype = read_caffemodel(folder / "ntype/ntype_iter_6.caffemodel")
    for layer in ("conv1", "conv2", "conv3", "ip1", "ip2"):
        assert (start[f"{layer}_clean"][0] == clean[layer][0]).all()
    assert (start["conv1_ntype"][0] == ntype["conv1"][0]).all()
    assert (start["ip2_ntype"][0] == ntype["ip2_ntype"][0]).all()
    assert "conv1" not in start

    for stage, wanted in (("glc", gold_transition), ("forward", anchor_transition)):
        matrix = read_blobproto_file(folder / stage / "transition.binaryproto")[0, 0]
        trained = read_caffemodel(folder / f"{stage}/{stage}_iter_6.caffemodel")["transition"][0]
        assert matrix.shape == (10, 10) and (trained.reshape(10, 10) == matrix).all()
        database = "clean_train_lmdb" if stage == "glc" else "mixed_images_lmdb"
        noisy_only = next(job for job in chain.jobs(1) if job.stage.name == "noisy_only")
        p_noisy, labels = predictions(noisy_only, database, torch.device("cpu"))
        assert labels.tolist() == [i % 10 for i in range(20)], "every image once, in key order"
        expected = wanted(p_noisy, labels) if stage == "glc" else wanted(p_noisy)
        np.testing.assert_allclose(matrix, expected, atol=1e-7)

    before = result_files(chain)
    assert run(chain, "--seeds", "1", "--stages", *ASKED_FOR) == 0
    assert result_files(chain) == before, "a second call trains nothing again"


def test_cut_stage_goes_on_and_other_settings_are_refused(chain: Chain):
    clean = Chain(replace(chain.recipe, stages=chain.recipe.stages[:1]), chain.data, chain.out)
    clean.run([1])
    folder = chain.out / "seed_1/clean"
    (folder / "result.json").unlink()
    for state in folder.glob("*_iter_6.*"):
        state.unlink()
    clean.run([1])
    result = json.loads((folder / "result.json").read_text())
    assert result["resumed_at"] == 3 and result["iterations"] == 6
    assert "Iteration 3," in (folder / "train.log").read_text()

    solver = Path(chain.recipe.stage("clean").solver)
    solver.write_text(solver.read_text().replace("gamma: 0.1", "gamma: 0.2"))
    changed = r"has now; solver.prototxt: expected gamma: 0.2, got gamma: 0.1: remove this folder or choose another"
    with pytest.raises(CaffeCompatError, match=f"other nets, solvers or starts than the recipe {changed}"):
        clean.run([1])
    (folder / "result.json").unlink()
    with pytest.raises(CaffeCompatError, match=f"cut short, begun with other nets, .* {changed}"):
        clean.run([1])


def test_failing_training_ends_the_chain_with_its_last_words(chain: Chain, capsys: pytest.CaptureFixture[str]):
    solver = Path(chain.recipe.stage("clean").solver)
    solver.write_text(solver.read_text() + 'regularization_type: "L3"\n')
    assert run(chain, "--seeds", "1") == 1
    printed = capsys.readouterr().out
    assert "L3" in printed and "missing" in printed


def test_what_a_later_stage_reads_is_missed_before_the_first_is_trained(
    chain: Chain, capsys: pytest.CaptureFixture[str]
):
    (chain.data / "mixed_truth_labels_lmdb").rename(chain.data / "elsewhere")
    assert run(chain, "--seeds", "1", "--stages", "clean", "noisy_as_truth") == 2
    said = capsys.readouterr().err
    assert f"{chain.data}: nets of the recipe read mixed_truth_labels_lmdb, not there; tools/import_cifar10n.py" in said
    assert not chain.out.exists()


def test_a_seed_without_its_folder_is_missed(tiny_data, chain: Chain, capsys: pytest.CaptureFixture[str]):
    chain.data.rename(chain.data.with_name("moved"))
    chain.data.mkdir()
    chain.data.with_name("moved").rename(chain.data / "seed_1")
    assert run(chain, "--seeds", "2", "--stages", "clean") == 2
    assert ", not there; nor is there a folder seed_2; tools/import_cifar10n.py" in capsys.readouterr().err
    assert not chain.out.exists()


def test_what_does_not_fit_a_later_stage_is_said_before_the_first_is_trained(
    chain: Chain, capsys: pytest.CaptureFixture[str]
):
    write_blobproto_file(chain.data / "confusion.binaryproto", confusion(9))
    assert run(chain, "--seeds", "1", "--stages", "ours") == 2
    said = capsys.readouterr().err
    assert 'ours_train_val.prototxt does not fit it: layer "loss_noisy"' in said and "got (1, 1, 9, 9)" in said
    assert not chain.out.exists()


LASTING_TRAINER = """
import os, pathlib, signal, sys, time
stopped, folder = [], pathlib.Path(sys.argv[sys.argv.index("--solver") + 1]).parent
signal.signal(signal.SIGINT, lambda *_: stopped.append(True))
open_files = [os.path.realpath(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")]
(folder / "running").write_text("the lock is held" if str(folder / "lock") in open_files else "no lock")
until = time.monotonic() + 20
while time.monotonic() < until and not stopped:
    time.sleep(0.05)
(folder / "ended").write_text("stopped" if stopped else "not stopped")
"""


def test_sigterm_stops_the_trainer_and_nobody_trains_beside_it(
    chain: Chain, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(chains, "trainer", lambda: [sys.executable, "-c", LASTING_TRAINER])
    folder, beside = chain.out / "seed_1/clean", []

    def try_beside_and_terminate() -> None:
        until = time.monotonic() + 60
        while time.monotonic() < until and not (folder / "running").exists():
            time.sleep(0.05)
        try:
            chain.run([1], ["clean"])
        except CaffeCompatError as exc:
            beside.append(str(exc))
        os.kill(os.getpid(), signal.SIGTERM)

    def unhandled(number: int, frame: object) -> None:
        raise AssertionError("SIGTERM would have ended this process and left the trainer")

    before = signal.signal(signal.SIGTERM, unhandled)
    thread = threading.Thread(target=try_beside_and_terminate)
    thread.start()
    try:
        assert run(chain, "--seeds", "1", "--stages", "clean") == 1
    finally:
        thread.join()
        assert signal.signal(signal.SIGTERM, before) is unhandled
    assert "interrupted: the same command goes on where it stopped" in capsys.readouterr().out
    assert (folder / "ended").read_text() == "stopped"
    assert beside == [f"{folder}: another process is training here"]
    assert (folder / "running").read_text() == "the lock is held", "by the trainer, too"


def test_the_matrix_behind_the_labels_is_read_before_anything_is_trained(
    chain: Chain, capsys: pytest.CaptureFixture[str]
):
    np.save(chain.data / "true_confusion.npy", np.eye(10))
    np.save(chain.data / "confusion.npy", np.eye(10))
    (chain.data / "pairs.csv").write_text("key,clean,noisy\na,0,1\n")
    (chain.data / "names.txt").write_text("".join(f"class {n}\n" for n in range(11)))
    assert run(chain, "--seeds", "1") == 2
    assert "confusion.npy: expected shape (11, 11)" in capsys.readouterr().err
    assert not chain.out.exists()
    chain.out.mkdir()
    (chain.data / "names.txt").write_text("".join(f"class {n}\n" for n in range(10)))
    assert run(chain, "--table_only") == 0
    assert "Largest difference between the two: 0.000" in capsys.readouterr().out


def test_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["--recipe", "cifar10n", "--data", str(tmp_path / "none"), "--out", str(tmp_path)]) == 2
    assert "tools/import_cifar10n.py" in capsys.readouterr().err
    assert main(["--recipe", "cifar10n", "--data", str(tmp_path), "--out", str(tmp_path), "--seeds", "0"]) == 2
    for seed in ("0", "-1"):
        assert (
            main(["--recipe", "cifar10n", "--data", str(tmp_path), "--out", str(tmp_path), "--first_seed", seed]) == 2
        )
        assert f"--first_seed: expected a number above 0, got {seed}" in capsys.readouterr().err
    assert main(["--recipe", "unheard_of", "--data", str(tmp_path), "--out", str(tmp_path)]) == 2
