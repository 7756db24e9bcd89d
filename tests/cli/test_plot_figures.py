"""tools/plot_figures.py through its command line, on a data folder, label scores and results made here."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from caffe_compat.cli import plot_figures
from caffe_compat.cli.plot_figures import main
from caffe_compat.data.datum import encode_datum
from caffe_compat.data.lmdb_store import write_database
from caffe_compat.datasets import layout
from caffe_compat.datasets.image_database import ImageDatabase
from caffe_compat.datasets.layout import TRUE_CONFUSION
from caffe_compat.datasets.pairs import write_pairs
from caffe_compat.evaluation.figures.inputs import read_data_folder, read_examples, read_label_scores
from caffe_compat.evaluation.figures.training_results import read_training
from caffe_compat.evaluation.label_quality.label_scores import LabelScores
from caffe_compat.evaluation.label_quality.scores_file import ScoresInfo, ScoresWriter

pytest.importorskip("matplotlib")
pytest.importorskip("pyarrow")

NAMES = ["coat", "dress", "shirt"]
CONFUSION = np.array([[0, 1, 0.5], [0.5, 0, 0.5], [0.5, 0, 0]])
RECORDS = 40
NOISY = np.arange(RECORDS) % 3
TRUTH = np.where(np.arange(RECORDS) % 4 == 0, (NOISY + 1) % 3, NOISY)
FIGURES = ["calibration", "confusion_estimate", "fig6_label_confusion", "fig7_predictions", "fig8_rank_precision",
           "training"]  # fmt: skip


def key(record):
    return f"shop/{record},ä.png"


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / layout.NAMES).write_text("\n".join(NAMES) + "\n")
    write_pairs(folder / layout.PAIRS, [(str(n), n % 3, (n + n % 2) % 3) for n in range(12)])
    np.save(folder / layout.CONFUSION_NPY, CONFUSION)
    pixels = np.zeros((3, 6, 5), np.uint8)
    images = ((b"%08d_%s" % (n, key(n).encode()), encode_datum(pixels + n)) for n in range(RECORDS))
    write_database(folder / layout.MIXED_IMAGES, images)
    return folder


def write_scores(path, images, truth=TRUTH, clean=None, names=NAMES, seed=0):
    random = np.random.default_rng(seed)
    p_true, q_true, p_type, q_type = (random.dirichlet(np.ones(3), RECORDS).astype(np.float32) for _ in range(4))
    keys = [key(n) for n in range(RECORDS)]
    scores = LabelScores(keys, NOISY, np.full(RECORDS, -1) if clean is None else clean, p_true, p_type, q_true, q_type)
    with ScoresWriter(path, None, ScoresInfo(names, CONFUSION.tolist(), "net", "weights", str(images))) as writer:
        writer.write(scores, truth)
    return path


@pytest.fixture
def scores(tmp_path, data):
    return write_scores(tmp_path / "labels.parquet", data / layout.MIXED_IMAGES)


@pytest.fixture
def results(tmp_path):
    folder = tmp_path / "results"
    for seed in (1, 2):
        for stage, loss in (
            ("clean", "loss_clean"),
            ("noisy_as_truth", "loss"),
            ("ours", "loss_clean"),
            ("ntype", "loss"),
        ):
            here = folder / f"seed_{seed}" / stage
            here.mkdir(parents=True)
            history = {at: {"accuracy": 0.5 + seed / 10, loss: 1.5 + at} for at in (0, 10)}
            fields = dict.fromkeys(("settings", "train_loss", "resumed_at", "seconds", "seconds_per_iteration",
                                    "images_per_second", "machine", "versions"))  # fmt: skip
            fields |= {"recipe": "demo", "stage": stage, "seed": seed, "iterations": 10, "test": history[10]}
            (here / "result.json").write_text(json.dumps({**fields, "test_history": history}))
            (here / "train.log").write_text(
                "I1123 17:28:14.000000 20096 solver.cpp:239] Iteration 0 (0 iter/s, 90s/100 iters), loss = 2.25\n"
            )
    return folder


@pytest.fixture
def unsaved(monkeypatch):
    """Figures are drawn but not laid out and rendered, which takes seconds; only the lines of output come."""
    monkeypatch.setattr(plot_figures, "save_figure", lambda figure, folder, name: [folder / f"{name}.png"])


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_all_figures(tmp_path, data, scores, results, capsys):
    out = tmp_path / "out"
    argv = ["--data", str(data), "--scores", str(scores), "--results", str(results), "--out", str(out)]
    assert main(argv) == 0
    assert files(out) == [f"{name}.{kind}" for name in FIGURES for kind in ("png", "svg")]
    assert "left out" not in capsys.readouterr().out
    for name in FIGURES:
        assert (cv2.imread(str(out / f"{name}.png"), cv2.IMREAD_GRAYSCALE) < 100).any()


def test_what_is_left_out_and_why(tmp_path, data, scores, capsys, unsaved):
    out = tmp_path / "out"
    assert main(["--data", str(data), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert [line for line in said.splitlines() if "wrote" in line] == [
        f"wrote {out}/{name}.png" for name in ("fig6_label_confusion", "confusion_estimate")
    ]
    assert "left out fig8_rank_precision: it needs --scores" in said
    assert "left out training: it needs --results" in said
    (data / layout.MIXED_IMAGES).rename(data / "elsewhere")
    assert main(["--scores", str(scores), "--out", str(out)]) == 0
    assert (
        f"left out fig7_predictions: its images are not there: {data / layout.MIXED_IMAGES}" in capsys.readouterr().out
    )
    (data / "elsewhere").rename(data / layout.MIXED_IMAGES)
    (data / layout.PAIRS).unlink()
    assert main(["--data", str(data), "--scores", str(scores), "--out", str(out)]) == 0
    assert f"left out fig6_label_confusion: {data}: not there: {layout.PAIRS}" in capsys.readouterr().out


def test_nothing_to_draw_is_an_error_with_all_reasons(tmp_path, data, capsys, unsaved):
    for name in (layout.NAMES, layout.PAIRS):
        (data / name).unlink()
    assert main(["--data", str(data), "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr()
    assert f"left out fig6_label_confusion: {data}: not there: names.txt, pairs.csv" in said.err.splitlines()
    assert "left out training: it needs --results" in said.err.splitlines() and not said.out
    assert not (tmp_path / "out").exists()


def test_scores_without_truth_or_with_one_kind_of_label(tmp_path, data, capsys, unsaved):
    images = data / layout.MIXED_IMAGES
    for truth, clean, why in (
        (None, None, "no true label of a record that was not trained with it; score_labels --truth puts them in"),
        (TRUTH, TRUTH, "no true label of a record that was not trained with it"),
        (NOISY, None, "it needs right and wrong labels among those whose truth is known"),
    ):
        path = write_scores(tmp_path / "s.parquet", images, truth, clean)
        assert main(["--scores", str(path), "--out", str(tmp_path / "out")]) == 0
        said = capsys.readouterr().out
        assert why in next(line for line in said.splitlines() if "left out fig8" in line)
        assert "fig7_predictions.png" in said


def test_examples_are_the_images_of_their_keys(data, scores):
    read = read_label_scores(scores)
    first, last = read_examples(read, np.array([3, RECORDS - 1]), ImageDatabase(data / layout.MIXED_IMAGES))
    assert first.image.shape == (6, 5, 3) and (first.image == 3).all() and (last.image == RECORDS - 1).all()
    assert (first.noisy, first.truth) == (NOISY[3], TRUTH[3])
    assert first.q_true[0][0] == read.columns["suggested"][3]
    assert [value for _, value in first.p_true] == sorted((value for _, value in first.p_true), reverse=True)


def test_judged_are_those_not_trained_with_their_truth(tmp_path, data):
    clean = np.where(np.arange(RECORDS) < 10, TRUTH, -1)
    truth = np.where(np.arange(RECORDS) < 15, TRUTH, -1)
    judged = read_label_scores(write_scores(tmp_path / "s.parquet", data, truth, clean)).judged()
    assert judged["key"].tolist() == [key(n) for n in range(10, 15)]


def test_training_by_method_and_seed(results):
    panels = read_training(results)
    assert panels["test accuracy (%)"]["ours"] == [{0: 60, 10: 60}, {0: 70, 10: 70}]
    assert panels["test loss"]["noisy as truth"][1] == {0: 1.5, 10: 11.5}
    assert panels["training loss (all outputs)"]["clean only"] == [{0: 2.25}, {0: 2.25}]
    assert list(panels["test loss"]) == ["clean only", "noisy as truth", "ours"]


def test_results_without_their_logs(tmp_path, results):
    """As they are committed under docs/results: seed_<n>/<stage>.json."""
    for file in results.glob("seed_*/*/result.json"):
        seed, stage, _ = file.parts[-3:]
        copy = tmp_path / "copies" / seed / f"{stage}.json"
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(file.read_text())
    known = read_training(results)
    del known["training loss (all outputs)"]
    assert read_training(tmp_path / "copies") == known


def as_recipe(results, name, stages=("clean", "noisy_as_truth", "ours", "ntype")):
    """Say of these stages' results that they were made for another recipe."""
    for stage in stages:
        for file in results.glob(f"seed_*/{stage}/result.json"):
            file.write_text(json.dumps(json.loads(file.read_text()) | {"recipe": name}))


def test_stages_that_recipes_share(tmp_path, results, capsys, unsaved):
    """`cifar10n` and `cifar10n_ablations` have one output folder, so that `clean` is trained once."""
    as_recipe(results, "cifar10n")
    as_recipe(results, "cifar10n_ablations", ["clean", "ours"])
    assert list(read_training(results, "cifar10n")["test loss"]) == ["clean only", "noisy as truth", "ours"]
    assert list(read_training(results, "cifar10n_ablations")["test loss"]) == ["ours"]
    assert read_training(results, "demo") == {}  # stages of the same names, but others
    argv = ["--results", str(results), "--out", str(tmp_path / "out")]
    assert main(argv) == 2
    assert "or --recipe or --nets, got cifar10n, cifar10n_ablations" in capsys.readouterr().err
    assert main([*argv, "--recipe", "cifar10n"]) == 0
    assert "training.png" in capsys.readouterr().out


def test_results_of_no_row(tmp_path, results, capsys, unsaved):
    """Only stages have finished that others start from."""
    for stage in ("noisy_as_truth", "ours"):
        for file in results.glob(f"seed_*/{stage}/result.json"):
            file.unlink()
    as_recipe(results, "cifar10n_ablations")
    assert main(["--results", str(results), "--out", str(tmp_path / "out")]) == 2
    assert "left out training: no stage of a row has finished" in capsys.readouterr().err


def test_the_matrix_behind_the_labels_is_found(data):
    assert read_data_folder(data).true is None
    np.save(data / TRUE_CONFUSION, CONFUSION.T)
    folder = read_data_folder(data)
    assert np.array_equal(folder.true, CONFUSION.T) and np.array_equal(folder.estimated, CONFUSION)
    assert (folder.counts[2, 1], folder.counts[1, 2]) == (2, 0)  # [noisy, true]


def test_nothing_is_written_where_an_input_is_none(tmp_path, data, results, capsys, unsaved):
    """That fails when Fig. 7 asks for it, after Fig. 6 has been drawn."""
    (tmp_path / "labels.csv").write_text("key,noisy\n")
    out = tmp_path / "out"
    assert main(["--data", str(data), "--scores", str(tmp_path / "labels.csv"), "--out", str(out)]) == 2
    assert "labels.csv: not a Parquet file, or broken; score_labels --out writes one" in capsys.readouterr().err
    for path in results.rglob("*.json"):
        fields = json.loads(path.read_text())
        if "recipe" in fields:
            path.write_text(json.dumps(fields | {"recipe": "own"}))
    assert main(["--data", str(data), "--results", str(results), "--out", str(out)]) == 2
    assert f"{results}: results of nets of your own; --nets names their folder" in capsys.readouterr().err
    assert not out.exists()


def test_wrong_input(tmp_path, data, scores, results, capsys, monkeypatch):
    other = write_scores(tmp_path / "other.parquet", data, names=["a", "b", "c"])
    text = tmp_path / "text.parquet"
    text.write_text("no")
    np.save(data / TRUE_CONFUSION, np.eye(4))
    empty = tmp_path / "empty"
    empty.mkdir()
    out = tmp_path / "out"
    for argv, message in (
        ([], "nothing to draw: give --data, --scores or --results"),
        (["--data", str(data), "--recipe", "demo"], "--recipe and --nets need --results"),
        (["--data", str(tmp_path / "none")], "none: no such folder"),
        (
            ["--data", str(data)],
            f"{TRUE_CONFUSION}: expected shape (3, 3), a row and a column for each class of names.txt",
        ),
        (["--scores", str(text)], "text.parquet: not a Parquet file"),
        (["--scores", str(scores), str(other)], "other.parquet: expected the class names of"),
        (["--results", str(empty)], "empty: expected results of one recipe"),
    ):
        assert main([*argv, "--out", str(out)]) == 2
        assert message in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert main(["--results", str(results), "--out", str(out)]) == 2
    assert "plots need the Python package matplotlib" in capsys.readouterr().err
    assert not out.exists()
