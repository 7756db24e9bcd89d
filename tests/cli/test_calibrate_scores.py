"""tools/calibrate_scores.py through its command line: p(wrong) of scores that are too sure."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pyarrow")

from caffe_compat.cli.calibrate_scores import main
from caffe_compat.cli.score_labels import main as score_labels
from caffe_compat.data.datum import encode_datum
from caffe_compat.data.lmdb_store import write_database
from caffe_compat.evaluation.label_quality.label_scores import LabelScores
from caffe_compat.evaluation.label_quality.ranked_lists import write_lists
from caffe_compat.evaluation.label_quality.scores_file import ScoresInfo, ScoresWriter, read_scores
from caffe_compat.evaluation.report import gather, page

RECORDS, CLASSES = 3000, 3


def write_scores(path: Path, seed: int, truth_known: bool = False) -> np.ndarray:
    """Scores whose posterior is twice as sure as it should be in its log-odds; returns the true labels."""
    rng = np.random.default_rng(seed)
    noisy = rng.integers(0, CLASSES, RECORDS)
    odds = rng.normal(-1, 2, RECORDS)  # of being wrong, as they are
    wrong = rng.random(RECORDS) < 1 / (1 + np.exp(-odds))
    truth = np.where(wrong, (noisy + 1) % CLASSES, noisy)
    q_true = np.zeros((RECORDS, CLASSES), np.float32)
    q_true[np.arange(RECORDS), noisy] = 1 / (1 + np.exp(2 * odds))
    q_true[np.arange(RECORDS), (noisy + 1) % CLASSES] = 1 - q_true[np.arange(RECORDS), noisy]
    types = np.full((RECORDS, 3), 1 / 3, np.float32)
    clean = np.where(np.arange(RECORDS) < 100, truth, -1)
    keys = [f"{seed}/{number}.jpg" for number in range(RECORDS)]
    info = ScoresInfo(["a", "b", "c"], [[0.0, 0.5, 0.5]] * 3, "net", "weights", str(path.with_name("images")))
    with ScoresWriter(path, None, info) as writer:
        writer.write(LabelScores(keys, noisy, clean, q_true, types, q_true, types), truth if truth_known else None)
    return truth


@pytest.fixture
def scores(tmp_path: Path) -> Path:
    return tmp_path / "labels.parquet"


@pytest.fixture
def truth(scores: Path) -> np.ndarray:
    return write_scores(scores, 1)


@pytest.fixture
def sample(scores: Path, truth: np.ndarray, tmp_path: Path) -> Path:
    write_lists(tmp_path / "lists", read_scores(scores))
    decide(tmp_path / "lists/random_sample.csv", lambda row: str(truth[number(row)]))
    return tmp_path / "lists/random_sample.csv"


def number(row: dict[str, str]) -> int:
    return int(row["key"].split("/")[1].removesuffix(".jpg"))


def decide(path: Path, decision: Callable[[dict[str, str]], str]) -> None:
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(row | {"decision": decision(row)} for row in rows)


def error_of(path: Path, truth: np.ndarray) -> float:
    """How far p_wrong is from the share of wrong labels, over tenths of it."""
    columns = read_scores(path).arrays(["noisy", "p_wrong"])
    wrong, bins = columns["noisy"] != truth, np.minimum((columns["p_wrong"] * 10).astype(int), 9)
    gaps = [
        (bins == one).mean() * abs(columns["p_wrong"][bins == one].mean() - wrong[bins == one].mean())
        for one in np.unique(bins)
    ]
    return float(sum(gaps))


def test_a_random_sample_makes_p_wrong_a_probability(
    scores: Path, truth: np.ndarray, sample: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, table = tmp_path / "new/calibrated.parquet", tmp_path / "new/calibrated.csv"
    assert main(["--scores", str(scores), "--sample", str(sample), "--out", str(out), "--csv", str(table)]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("by 500 labels, ") and said[1:] == [
        f"wrote {out}: {RECORDS} records", f"wrote {table}: {RECORDS} records"
    ]  # fmt: skip
    assert error_of(scores, truth) > 0.06 and error_of(out, truth) < error_of(scores, truth) / 2
    before, after = read_scores(scores), read_scores(out)
    assert after.info.calibration is not None and after.info.calibration.slope == pytest.approx(0.5, abs=0.1)
    columns = [name for name in before.columns if name not in ("p_wrong", "truth")]
    assert before.table(columns).equals(after.table(columns)), "nothing else is changed"
    found, p_wrong = after.arrays(["key", "q_noisy", "truth"]), after.arrays(["p_wrong"])["p_wrong"]
    assert (np.diff(p_wrong[np.argsort(found["q_noisy"])]) <= 0).all(), "nor the order"
    known = found["truth"] >= 0
    assert known.sum() == 500 and (found["truth"][known] == truth[known]).all()
    with open(table, newline="") as file:
        assert [float(row["p_wrong"]) for row in csv.DictReader(file)] == pytest.approx(p_wrong.tolist(), abs=1e-6)


def test_the_report_counts_with_it_and_says_so(scores: Path, sample: Path, truth: np.ndarray, tmp_path: Path) -> None:
    image = encode_datum(np.zeros((3, 2, 2), np.uint8))
    write_database(tmp_path / "images", ((b"%08d_1/%d.jpg" % (n, n), image) for n in range(RECORDS)))
    out = tmp_path / "calibrated.parquet"
    assert main(["--scores", str(scores), "--sample", str(sample), "--out", str(out)]) == 0
    before, after = (gather(read_scores(path)) for path in (scores, out))
    wrong = (truth != noisy_of(scores))[100:].sum()
    assert abs(after.expected_wrong - wrong) < 0.1 * wrong
    said = "p(wrong) is calibrated by 500 labels that were looked at"
    assert said in page(after) and said not in page(before)


def noisy_of(path: Path) -> np.ndarray:
    return read_scores(path).arrays(["noisy"])["noisy"]


def test_images_of_the_validation_split_do_as_well(scores: Path, truth: np.ndarray, tmp_path: Path) -> None:
    write_scores(tmp_path / "val.parquet", 2, truth_known=True)
    out = tmp_path / "calibrated.parquet"
    assert main(["--scores", str(scores), "--by", str(tmp_path / "val.parquet"), "--out", str(out)]) == 0
    assert error_of(out, truth) < error_of(scores, truth) / 2
    found = read_scores(out)
    assert found.info.calibration is not None and found.info.calibration.images == RECORDS - 100
    assert (found.arrays(["truth"])["truth"] == -1).all()


def test_calibrated_scores_make_lists_and_can_be_calibrated_anew(scores: Path, sample: Path, tmp_path: Path) -> None:
    one, two = tmp_path / "one.parquet", tmp_path / "two.parquet"
    assert main(["--scores", str(scores), "--sample", str(sample), "--out", str(one)]) == 0
    assert main(["--scores", str(one), "--sample", str(sample), "--out", str(two)]) == 0
    assert read_scores(one).table(["p_wrong"]).equals(read_scores(two).table(["p_wrong"]))
    assert score_labels(["--scores", str(one), "--lists", str(tmp_path / "again")]) == 0


def test_the_sample_says_nothing_of_what_the_net_thinks(scores: Path, sample: Path) -> None:
    with open(sample, newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["key", "noisy", "decision"] and len({row["key"] for row in rows}) == 500
    numbers = [number(row) for row in rows]
    assert min(numbers) >= 100, "nobody needs to look at images with a clean label"
    assert abs(np.mean(numbers[:100]) - RECORDS / 2) < 350, "any first part is a random sample"


def test_lists_of_errors_are_no_random_sample(
    scores: Path, sample: Path, truth: np.ndarray, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    decide(tmp_path / "lists/0_1.csv", lambda row: str(truth[number(row)]))
    command = ["--scores", str(scores), "--sample", str(tmp_path / "lists/0_1.csv"), "--out", str(tmp_path / "out")]
    assert main(command) == 2
    said = capsys.readouterr().err
    assert (
        f"{scores}: expected labels drawn at random, got " in said and "look wrong more often than the others" in said
    )
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("elsewhere.jpg,0,1", "labels.parquet: image 'elsewhere.jpg', which was decided, is not among the scores"),
        ("1/7.jpg,CLEAN,1", "labels.parquet: image '1/7.jpg' has a clean label: the net was told the answer"),
        ("1/500.jpg,OTHER,1", "labels.parquet: image '1/500.jpg': expected the noisy label "),
    ],
)
def test_decisions_that_are_not_of_these_scores(
    scores: Path, sample: Path, line: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    noisy = noisy_of(scores)
    line = line.replace("CLEAN", str(noisy[7])).replace("OTHER", str((noisy[500] + 1) % 3))
    lines = sample.read_text().splitlines(keepends=True)
    sample.write_text("".join(each for each in lines if not each.startswith("1/500.jpg")) + f"{line}\n")
    assert main(["--scores", str(scores), "--sample", str(sample), "--out", str(tmp_path / "out")]) == 2
    assert message in capsys.readouterr().err


def test_too_few_decisions(scores: Path, sample: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    decide(sample, lambda row: "")
    assert main(["--scores", str(scores), "--sample", str(sample), "--out", str(tmp_path / "out")]) == 2
    assert f"{scores}: expected at least 20 labels that were looked at, got 0" in capsys.readouterr().err


def test_wrong_usage(scores: Path, truth: np.ndarray, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = ["--out", str(tmp_path / "out")]
    assert main(["--scores", str(scores), *out]) == 2
    assert main(["--scores", str(scores), "--by", str(scores), "--names", "n", *out]) == 2
    assert "--names is of --sample" in capsys.readouterr().err
    assert main(["--scores", str(scores), "--by", str(scores), "--out", str(scores), "--force"]) == 2
    assert "is an input" in capsys.readouterr().err
    assert main(["--scores", str(scores), "--by", str(scores), *out]) == 2
    assert "no record whose truth is known and was kept from the net" in capsys.readouterr().err
