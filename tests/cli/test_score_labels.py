"""tools/score_labels.py through its command line, held against the paper's equations in plain loops."""

from __future__ import annotations

import csv
import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from label_scoring import CLASSES, CONFUSION, CROP, NAMES, NET, SIZE, ScoringCase

from caffe_compat import Net
from caffe_compat.cli import score_labels
from caffe_compat.cli.score_labels import main
from caffe_compat.datasets import layout
from caffe_compat.evaluation.label_quality import scores_file
from caffe_compat.evaluation.label_quality.scores_file import read_scores
from caffe_compat.evaluation.label_quality.scoring_net import POSTERIOR
from caffe_compat.weights import read_caffemodel, read_layers, write_layers

pytest.importorskip("pyarrow")


@pytest.fixture
def case(tmp_path: Path) -> ScoringCase:
    return ScoringCase(tmp_path)


def rows_of(path: Path) -> list[dict]:
    return [row for batch in read_scores(path) for row in batch.to_pylist()]


def softmax(scores: np.ndarray) -> np.ndarray:
    return np.exp(scores - scores.max()) / np.exp(scores - scores.max()).sum()


def expected(case: ScoringCase, number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """p(y|x), p(z|x) and the posterior (L, 3) of Eq. 5, in float64, from the image and the weights file."""
    weights = read_caffemodel(case.weights)
    edge = (SIZE - CROP) // 2
    window = np.s_[:, edge : edge + CROP, edge : edge + CROP]
    pixels = ((case.images[number] - case.mean.astype(np.float64))[window] * 0.01).ravel()
    blobs = {name: [blob.astype(np.float64) for blob in weights[name]] for name in ("ip_clean", "ip_ntype")}
    p = softmax(blobs["ip_clean"][0] @ pixels + blobs["ip_clean"][1])
    t = softmax(blobs["ip_ntype"][0] @ pixels + blobs["ip_ntype"][1])
    noisy, joint = case.noisy[number], np.zeros((CLASSES, 3))
    for y in range(CLASSES):
        joint[y] = (
            p[y] * t[0] * (y == noisy),
            p[y] * t[1] * (y != noisy) / (CLASSES - 1),
            p[y] * t[2] * float(CONFUSION[noisy, y]),
        )
    return p, t, joint / joint.sum()


@pytest.mark.parametrize("batch_size", [1, 4, 7, 100])
def test_scores_are_those_of_the_equations(case: ScoringCase, batch_size: int) -> None:
    """Every image with a noisy label once, in key order; the middle of it, no dropout, C from the weights."""
    assert main(case.arguments("--batch_size", str(batch_size), "--full")) == 0
    rows = rows_of(case.folder / "labels.parquet")
    assert [row["key"] for row in rows] == [case.keys[i] for i in case.scored]
    for number, row in zip(case.scored, rows, strict=True):
        p, t, posterior = expected(case, number)
        q, r, noisy = posterior.sum(1), posterior.sum(0), case.noisy[number]
        assert row["noisy"] == noisy and row["truth"] is None
        assert row["clean"] == (case.clean[number] if case.clean[number] >= 0 else None)
        order = np.argsort(-p)
        assert [row["true_1"], row["true_2"], row["true_3"]] == order[:3].tolist()
        assert row["suggested"] == q.argmax()
        found = [row[name] for name in ("p_true_1", "p_true_2", "p_true_3")]
        assert found == pytest.approx(p[order[:3]], abs=1e-5)
        assert [row[f"p_type_{name}"] for name in ("free", "random", "confusing")] == pytest.approx(t, abs=1e-5)
        assert [row[f"q_type_{name}"] for name in ("free", "random", "confusing")] == pytest.approx(r, abs=1e-5)
        wanted = [q.max(), q[noisy], 1 - q[noisy]]
        assert [row["q_suggested"], row["q_noisy"], row["p_wrong"]] == pytest.approx(wanted, abs=1e-5)
        assert row["p_true"] == pytest.approx(p, abs=1e-5) and row["q_true"] == pytest.approx(q, abs=1e-5)


def test_sums_of_a_posterior_are_probabilities(case: ScoringCase, monkeypatch: pytest.MonkeyPatch) -> None:
    """In float32 three shares of 1 can make a bit more; whoever reads the file counts on a probability."""
    shares = torch.tensor([0.5, 0.25, 0.25 + 2**-23])
    assert shares.sum() > 1
    forward = Net.forward

    def with_a_sum_above_one(net: Net, **inputs: torch.Tensor) -> dict[str, torch.Tensor]:
        blobs = forward(net, **inputs)
        if POSTERIOR in blobs:
            blobs[POSTERIOR] = torch.zeros_like(blobs[POSTERIOR])
            for row, noisy in enumerate(inputs["noisy"].long()):
                blobs[POSTERIOR][row, noisy, :, 0] = shares
        return blobs

    monkeypatch.setattr(Net, "forward", with_a_sum_above_one)
    assert main(case.arguments()) == 0
    for row in rows_of(case.folder / "labels.parquet"):
        assert (row["q_noisy"], row["q_suggested"], row["p_wrong"]) == (1, 1, 0)


def test_the_mean_of_a_net_that_came_from_elsewhere(case: ScoringCase, capsys: pytest.CaptureFixture[str]) -> None:
    case.net.write_text(case.net.read_text().replace(f"{case.folder}/mean.binaryproto", "data/gone/mean.binaryproto"))
    assert main(case.arguments()) == 2
    beside = case.folder / "mean.binaryproto"
    said = "data/gone/mean.binaryproto: no mean file there, which the net subtracts; beside the images there is one: "
    assert f"{said}--mean_file {beside}" in capsys.readouterr().err
    assert main(case.arguments("--mean_file", str(beside))) == 0
    beside.rename(case.folder / "other")
    assert main(case.arguments("--force")) == 2
    assert "which the net subtracts; --mean_file names it" in capsys.readouterr().err


def test_the_net_can_be_wrong_and_right(case: ScoringCase) -> None:
    """The case has something to find: else the test above could pass with less."""
    assert main(case.arguments()) == 0
    rows = rows_of(case.folder / "labels.parquet")
    assert 0 < sum(row["suggested"] != row["noisy"] for row in rows) < len(rows)
    assert sum(row["clean"] is not None for row in rows) > 1


def test_a_materialised_set_gives_the_same(case: ScoringCase) -> None:
    assert main(case.arguments("--full")) == 0
    through_index = {row["key"]: row for row in rows_of(case.folder / "labels.parquet")}
    case.materialise()
    assert main(case.arguments("--full", "--force")) == 0
    rows = rows_of(case.folder / "labels.parquet")
    assert len(rows) == len(through_index)
    for row in rows:
        other = through_index[row.pop("key")]
        for name, value in row.items():
            assert value == (other[name] if value is None else pytest.approx(other[name], abs=1e-5))


def test_csv_has_the_same_columns(case: ScoringCase) -> None:
    (case.folder / "truth.csv").write_text(f'split,true,key\ntrain,2,"{case.keys[1]}"\ntest,0,elsewhere.png\n')
    table = case.folder / "labels.csv"
    assert main(case.arguments("--full", "--csv", str(table), "--truth", str(case.folder / "truth.csv"))) == 0
    rows = rows_of(case.folder / "labels.parquet")
    assert [row["truth"] for row in rows] == [2] + [None] * (len(rows) - 1)
    with open(table, newline="", encoding="utf-8") as file:
        found = list(csv.DictReader(file))
    plain = [name for name in rows[0] if name not in ("p_true", "q_true")]
    assert list(found[0]) == plain
    for row, line in zip(rows, found, strict=True):
        for name in plain:
            text = line[name]
            value = None if text == "" else text if name == "key" else float(text)
            assert value == row[name] or np.float32(value) == np.float32(row[name])


def test_the_file_says_where_it_comes_from(case: ScoringCase) -> None:
    assert main(case.arguments()) == 0
    scores = read_scores(case.folder / "labels.parquet")
    info = scores.info
    assert info.class_names == list(NAMES) and np.array_equal(info.confusion, CONFUSION)
    assert (info.model, info.weights) == (str(case.net), str(case.weights))
    assert info.images == str(case.folder / layout.MIXED_IMAGES) and "torch" in info.versions
    assert scores.num_rows == len(case.scored) and "p_true" not in scores.columns
    assert scores.arrays(["clean"])["clean"].tolist() == [case.clean[i] for i in case.scored]


def test_rows_do_not_pile_up(case: ScoringCase, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are written as they come, a group at a time: a million of them need no more memory than some thousands."""
    import pyarrow.parquet

    assert main(case.arguments("--full")) == 0
    at_once = rows_of(case.folder / "labels.parquet")
    monkeypatch.setattr(scores_file, "_GROUP_BYTES", 600)
    assert main(case.arguments("--full", "--force", "--batch_size", "3")) == 0
    groups = pyarrow.parquet.ParquetFile(case.folder / "labels.parquet")
    assert groups.num_row_groups == 3
    for row, other in zip(rows_of(case.folder / "labels.parquet"), at_once, strict=True):
        assert row["key"] == other["key"] and row["p_wrong"] == pytest.approx(other["p_wrong"], abs=1e-6)


def test_the_log_of_the_nets_building_is_not_shown(
    case: ScoringCase, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Progress is, and so are warnings."""
    monkeypatch.setattr(score_labels, "_SECONDS_PER_LINE", 0.0)
    assert main(case.arguments("--batch_size", "10")) == 0
    lines = [line.partition("] ")[2] for line in capsys.readouterr().err.splitlines()]
    assert [line.split(" (")[0] for line in lines] == ["Use CPU.", "Scored 10 of 16 images", "Scored 16 of 16 images"]
    assert logging.getLogger("caffe_compat").level == logging.INFO


# --- wrong input --------------------------------------------------------------------------------------------------


def fails(case: ScoringCase, capsys: pytest.CaptureFixture[str], *options: str) -> str:
    before = sorted(case.folder.iterdir())
    capsys.readouterr()
    assert main(case.arguments(*options)) == 2
    assert sorted(case.folder.iterdir()) == before
    return capsys.readouterr().err.splitlines()[-1]


def rewrite_labels(case: ScoringCase, name: str, labels: list[float]) -> None:
    for file in (case.folder / name).iterdir():
        file.unlink()
    (case.folder / name).rmdir()
    case.write_labels(name, labels)


def test_an_image_with_two_noisy_labels(case: ScoringCase, capsys: pytest.CaptureFixture[str]) -> None:
    labels = [case.noisy[i] for i in case.order]
    place = case.order.tolist().index(3)
    labels[place] = (case.noisy[3] + 1) % CLASSES
    rewrite_labels(case, layout.MIXED_NOISY_LABELS, labels)
    assert f"record 3 of {case.folder / layout.MIXED_IMAGES} has two labels: " in fails(case, capsys)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([-1] * 27, "no record has a noisy label"),
        ([1] * 26, "expected a label for each of the 27 records of"),
        ([9] + [-1] * 26, "expected noisy labels in [0, 4), as the net's, got 9"),
        ([0.5] * 27, "record 00000000: expected a whole number >= -1, got 0.5"),
    ],
)
def test_wrong_labels(case: ScoringCase, capsys: pytest.CaptureFixture[str], labels: list, message: str) -> None:
    rewrite_labels(case, layout.MIXED_NOISY_LABELS, labels)
    assert message in fails(case, capsys)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("SoftmaxWithNoisyLabelLoss", "EuclideanLoss", "in the TRAIN phase: expected 1, got 0; a net without one does"),
        ("ip_ntype", "ip_types", "trained.caffemodel: has no weights for ip_types"),
        ("loss_noisy", "loss_other", "trained.caffemodel: has no weights for loss_other"),
        ("num_output: 3", "num_output: 2", "expected (27, 3) or (27, 3, 1, 1), got (27, 2)"),
        ("crop_size: 6", "crop_size: 60", "expected records of at least 60 x 60 pixels, got 9 x 9"),
        ("mean.binaryproto", "none.binaryproto", "none.binaryproto: no mean file there"),
    ],
    ids=range(6),
)
def test_wrong_nets(case: ScoringCase, capsys: pytest.CaptureFixture[str], old: str, new: str, message: str) -> None:
    case.net.write_text(case.net.read_text().replace(old, new))
    assert message in fails(case, capsys, "--batch_size", "27", "--report", str(case.folder / "new/report.html"))
    assert not (case.folder / "new").exists()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_of_a_training_that_diverged(
    case: ScoringCase, capsys: pytest.CaptureFixture[str], value: float
) -> None:
    layers = {layer.name: layer for layer in read_layers(case.weights)}
    bias = layers["ip_ntype"].blobs[1]
    layers["ip_ntype"].blobs[1] = replace(bias, array=np.array([0, value, 0], np.float32))
    write_layers(case.weights, "two branches", list(layers.values()))
    message = 'trained.caffemodel: layer "ip_ntype": expected finite numbers, got nan or inf: the training diverged'
    assert message in fails(case, capsys)


def test_weights_that_never_had_c(case: ScoringCase, capsys: pytest.CaptureFixture[str]) -> None:
    """The scores would look right and be those of a C of zeros."""
    torch.manual_seed(1)
    text = NET.format(folder=case.folder).split('layer { name: "loss_noisy"')[0]
    Net(text, "TRAIN").save_weights(case.weights)
    assert "trained.caffemodel: has no weights for loss_noisy" in fails(case, capsys)


@pytest.mark.parametrize(
    ("truth", "message"),
    [
        (
            "key,clean\nx,1\n",
            'truth.csv:1: expected a header with key and true, or a list of "path label" lines, got key,clean',
        ),
        ("key,true\nx,1\n", "truth.csv: none of its keys is among the images, e.g. 'x'"),
        ("key,true\nx,1\ny,4\n", "truth.csv:3: true: expected a whole number in [0, 4), got '4'"),
        ("key,true\nx,1\nx,1\n", "truth.csv:3: key 'x' appears twice"),
        ("key,true\n", "truth.csv: no true label in it"),
    ],
)
def test_wrong_truth(case: ScoringCase, capsys: pytest.CaptureFixture[str], truth: str, message: str) -> None:
    (case.folder / "truth.csv").write_text(truth)
    assert message in fails(case, capsys, "--truth", str(case.folder / "truth.csv"))


def test_nothing_is_overwritten_unasked(case: ScoringCase, capsys: pytest.CaptureFixture[str]) -> None:
    (case.folder / "labels.csv").write_text("mine")
    assert "labels.csv: exists; --force overwrites it" in fails(case, capsys, "--csv", str(case.folder / "labels.csv"))


def test_a_place_that_cannot_be_written_is_found_before_scoring(
    case: ScoringCase, capsys: pytest.CaptureFixture[str]
) -> None:
    (case.folder / "file").write_text("in the way")
    message = fails(case, capsys, "--csv", str(case.folder / "file/labels.csv"))
    assert "file: " in message and "Scored" not in message


@pytest.mark.parametrize(
    "option",
    ["--names x", "--labels x", "--index x", "--clean_labels x", "--mean_file x", "--full", "--truth x", "--gpu 0",
     "--batch_size 7", "--backend leveldb", "--csv x"],
)  # fmt: skip
def test_options_without_effect_on_scores(case: ScoringCase, capsys: pytest.CaptureFixture[str], option: str) -> None:
    assert main(["--scores", "labels.parquet", "--lists", "lists", *option.split()]) == 2
    assert f"{option.split()[0]}: no effect with --scores" in capsys.readouterr().err
    assert main(["--scores", "labels.parquet"]) == 2
    assert "--scores: give one of --lists, --report, --export_cleanlab" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--index x", "--clean_labels x", "--backend leveldb"])
def test_options_without_effect_on_a_folder(case: ScoringCase, capsys: pytest.CaptureFixture[str], option: str) -> None:
    assert f"{option.split()[0]}: no effect with --data" in fails(case, capsys, *option.split())


def test_a_damaged_image_is_named_and_nothing_stays(case: ScoringCase, capsys: pytest.CaptureFixture[str]) -> None:
    case.images = [*case.images[:13], np.zeros((3, 5, 5), np.uint8), *case.images[14:]]
    case.order = np.arange(20)
    case.materialise()
    rewrite_labels(case, layout.MIXED_NOISY_LABELS, case.noisy)
    rewrite_labels(case, layout.MIXED_CLEAN_LABELS, case.clean)
    assert "00000013_shop 1/13,ä.png: all records of a batch must have one size" in fails(case, capsys)


def test_other_files_are_no_scores(tmp_path: Path, case: ScoringCase) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from caffe_compat.errors import DataError

    pq.write_table(pa.table({"key": ["a"]}), tmp_path / "other.parquet")
    for path, message in ((tmp_path / "other.parquet", "not a file of label scores"), (case.net, "not a Parquet file")):
        with pytest.raises(DataError, match=message):
            read_scores(path)
