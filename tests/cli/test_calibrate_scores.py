"""tools/calibrate_scores.py through its command line: p(wrong) of scores that are too sure."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pyarrow")

from caffe_compat.cli.calibrate_scores import main
from caffe_compat.cli.score_labels import main as score_labels
from caffe_compat.data.datum import encode_datum
from caffe_compat.data.lmdb_store import write_database
from caffe_compat.evaluation.label_quality.label_scores import LabelScores
from caffe_compat.evaluation.label_quality.ranked_lists import write_lists
from caffe_compat.evaluation.label_quality.scores_file import ScoresFile, ScoresInfo, ScoresWriter, read_scores
from caffe_compat.evaluation.report import content as content_module
from caffe_compat.evaluation.report import gather, page
from caffe_compat.evaluation.report.content import Content
from caffe_compat.evaluation.report.trust_section import trust_section

RECORDS, CLASSES = 3000, 3


def write_scores(path: Path, seed: int, truth_known: bool = False, **change: Any) -> np.ndarray:
    """Scores whose posterior is twice as sure as it should be, and for right; returns the true labels."""
    rng = np.random.default_rng(change.pop("seed_of_odds", seed))
    noisy = rng.integers(0, CLASSES, RECORDS)
    odds = rng.normal(-1, 2, RECORDS)  # of being wrong, as they are
    wrong = rng.random(RECORDS) < 1 / (1 + np.exp(-odds))
    truth = np.where(wrong, (noisy + 1) % CLASSES, noisy)
    q_true = np.zeros((RECORDS, CLASSES), np.float32)
    q_true[np.arange(RECORDS), noisy] = 1 / (1 + np.exp(2 * odds - 1.5))
    q_true[np.arange(RECORDS), (noisy + 1) % CLASSES] = 1 - q_true[np.arange(RECORDS), noisy]
    types = np.full((RECORDS, 3), 1 / 3, np.float32)
    clean = np.where(np.arange(RECORDS) < 100, truth, -1)
    keys = [f"{seed}/{number}.jpg" for number in range(RECORDS)]
    info = ScoresInfo(["a", "b", "c"], [[0.0, 0.5, 0.5]] * 3, "net", "weights", str(path.with_name("images")))
    info = replace(info, **change)
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
    before, after = read_scores(scores), read_scores(out)
    found = after.info.calibration
    assert found is not None and found.of_scored_images and found.images == 500
    assert (found.slope, found.offset) == pytest.approx((0.5, 0.75), abs=0.2)
    assert capsys.readouterr().out.splitlines() == [
        f"by 500 labels, {found.wrong} of them wrong, where p(wrong) expected {found.expected_before:.0f}: "
        f"mean squared error {found.error_before:.4f} before, {found.error_after:.4f} after (of labels that the fit "
        "did not see)",
        f"wrote {out}: {RECORDS} records", f"wrote {table}: {RECORDS} records",
    ]  # fmt: skip
    assert found.expected_before < found.wrong - 30 and found.error_after < found.error_before - 0.005
    assert error_of(scores, truth) > 0.06 and error_of(out, truth) < error_of(scores, truth) / 2
    columns = [name for name in before.columns if name not in ("p_wrong", "truth")]
    assert before.table(columns).equals(after.table(columns)), "nothing else is changed"
    values, p_wrong = after.arrays(["key", "q_noisy", "truth"]), after.arrays(["p_wrong"])["p_wrong"]
    assert (np.diff(p_wrong[np.argsort(values["q_noisy"])]) <= 0).all(), "nor the order"
    known = values["truth"] >= 0
    assert known.sum() == 500 and (values["truth"][known] == truth[known]).all()
    with open(table, newline="") as file:
        assert [float(row["p_wrong"]) for row in csv.DictReader(file)] == pytest.approx(p_wrong.tolist(), abs=1e-6)


def test_the_report_counts_with_it_and_says_so(scores: Path, sample: Path, truth: np.ndarray, tmp_path: Path) -> None:
    image = encode_datum(np.zeros((3, 2, 2), np.uint8))
    write_database(tmp_path / "images", ((b"%08d_1/%d.jpg" % (n, n), image) for n in range(RECORDS)))
    out = tmp_path / "calibrated.parquet"
    assert main(["--scores", str(scores), "--sample", str(sample), "--out", str(out)]) == 0
    before, after = (gather(read_scores(path)) for path in (scores, out))
    wrong = (truth != noisy_of(scores))[100:].sum()
    assert abs(after.expected_wrong - wrong) < 0.1 * wrong and abs(before.expected_wrong - wrong) > 0.2 * wrong
    found = after.info.calibration
    assert found is not None and "p(wrong) is calibrated" not in page(before)
    assert (
        f"p(wrong) is calibrated by 500 of these images that were looked at: of their labels {found.wrong} are "
        f"wrong, where it had expected {found.expected_before:.0f}. Its mean squared error was "
        f"{found.error_before:.3f}, and is "
        f"{found.error_after:.3f} on labels that the calibration did not see; what is measured below counts them, too."
    ) in page(after)


def gathered_without_images(scores: ScoresFile) -> Content:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(content_module, "_examples", lambda scores, pairs: {})
        return gather(scores)


def noisy_of(path: Path) -> np.ndarray:
    return read_scores(path).arrays(["noisy"])["noisy"]


def test_images_of_the_validation_split_do_as_well(scores: Path, truth: np.ndarray, tmp_path: Path) -> None:
    write_scores(tmp_path / "val.parquet", 2, truth_known=True)
    out = tmp_path / "calibrated.parquet"
    assert main(["--scores", str(scores), "--by", str(tmp_path / "val.parquet"), "--out", str(out)]) == 0
    assert error_of(out, truth) < error_of(scores, truth) / 2
    written = read_scores(out)
    found = written.info.calibration
    assert found is not None and found.images == RECORDS - 100 and not found.of_scored_images
    assert (written.arrays(["truth"])["truth"] == -1).all()
    said = trust_section(replace(gathered_without_images(written), trust=None))
    assert f"p(wrong) is calibrated by {RECORDS - 100:,} other images whose truth is known" in said
    assert "Nothing else is measured: no true label was given." in said and "calibrate_scores" not in said


def test_known_truths_stay(scores: Path, sample: Path, truth: np.ndarray, tmp_path: Path) -> None:
    write_scores(scores, 1, truth_known=True)
    for name, by in (("one", ["--by", str(scores)]), ("two", ["--sample", str(sample)])):
        assert main(["--scores", str(scores), *by, "--out", str(tmp_path / name)]) == 0
        assert (read_scores(tmp_path / name).arrays(["truth"])["truth"] == truth).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"class_names": ["a", "c", "b"]}, "got other class names"),
        ({"confusion": [[0.0, 0.4, 0.6]] * 3}, "got other C"),
        ({"weights": "elsewhere/other.caffemodel"}, "got other weights"),
        ({"weights": "elsewhere/weights"}, ""),
    ],
)
def test_scores_by_another_net(
    scores: Path, truth: np.ndarray, change: dict, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "val.parquet"
    write_scores(other, 2, truth_known=True, **change)
    assert main(["--scores", str(scores), "--by", str(other), "--out", str(tmp_path / "out")]) == (2 if message else 0)
    if message:
        assert f"{other}: expected scores by the net of {scores}, {message}" in capsys.readouterr().err


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


def test_the_sample_is_always_the_same_and_of_any_size(scores: Path, truth: np.ndarray, tmp_path: Path) -> None:
    """A net trained anew sorts the images otherwise; who was looked at stays."""
    write_scores(tmp_path / "again.parquet", 1, seed_of_odds=7)
    samples = []
    for name, size in ((scores, "500"), (tmp_path / "again.parquet", "800")):
        lists = tmp_path / f"lists {size}"
        assert score_labels(["--scores", str(name), "--lists", str(lists), "--sample_size", size]) == 0
        samples.append((lists / "random_sample.csv").read_text().splitlines())
    assert len(samples[1]) == 801
    assert [row.split(",")[0] for row in samples[0]] == [row.split(",")[0] for row in samples[1][:501]]


def test_no_sample_of_no_list(
    scores: Path, truth: np.ndarray, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert score_labels(["--scores", str(scores), "--report", "r.html", "--sample_size", "7"]) == 2
    assert "--sample_size is of --lists" in capsys.readouterr().err


def rows_of(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_what_was_not_drawn_at_random(
    scores: Path, sample: Path, truth: np.ndarray, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Labels that look wrong, that look right, and half and half; and a random sample with some of the first in it."""
    lists = tmp_path / "lists"
    wrong, right = (rows_of(lists / name)[:60] for name in ("0_1.csv", "0_0.csv"))
    for number_of, rows in enumerate((wrong, right[::-1][-60:], wrong[:30] + rows_of(lists / "0_0.csv")[-30:],
                                      rows_of(sample)[:200] + wrong[:45])):  # fmt: skip
        path = tmp_path / f"{number_of}.csv"
        lines = [f"{row['key']},{row['noisy']},{truth[number(row)]}\n" for row in rows]
        path.write_text("".join(["key,noisy,decision\n", *dict.fromkeys(lines)]))
        assert main(["--scores", str(scores), "--sample", str(path), "--out", str(tmp_path / "out")]) == 2, path
        said = capsys.readouterr().err
        assert f"{path}: expected labels drawn at random, got " in said and "% too many lie in one part" in said
    assert not (tmp_path / "out").exists()


def test_a_folder_of_lists_is_that_of_its_sample(scores: Path, sample: Path, tmp_path: Path) -> None:
    assert main(["--scores", str(scores), "--sample", str(sample.parent), "--out", str(tmp_path / "out")]) == 0


def test_skipped_rows_are_told(
    scores: Path, sample: Path, truth: np.ndarray, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    undecided = {row["key"] for row in rows_of(sample)[10:13] + rows_of(sample)[300:]}
    decide(sample, lambda row: "" if row["key"] in undecided else str(truth[number(row)]))
    assert main(["--scores", str(scores), "--sample", str(sample), "--out", str(tmp_path / "out")]) == 0
    assert f"{sample}: 3 row(s) skipped before the last decision" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("elsewhere.jpg,0,1", "random_sample.csv: image 'elsewhere.jpg' is not among the scores "),
        ("1/7.jpg,CLEAN,1", "random_sample.csv: image '1/7.jpg' has a clean label: the net was told the answer"),
        ("KEY,OTHER,1", "random_sample.csv: image 'KEY': expected the noisy label of "),
        ("KEY,0,3", "random_sample.csv:502: decision: expected a label in [0, 3) or one of a, b, c, got '3'"),
    ],
)
def test_decisions_that_are_not_of_these_scores(
    scores: Path, sample: Path, line: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    noisy, drawn = noisy_of(scores), {number(row) for row in rows_of(sample)}
    other = min(set(range(100, RECORDS)) - drawn)
    line = line.replace("CLEAN", str(noisy[7])).replace("OTHER", str((noisy[other] + 1) % 3))
    line, message = (text.replace("KEY", f"1/{other}.jpg") for text in (line, message))
    sample.write_text(f"{sample.read_text()}{line}\n")
    assert main(["--scores", str(scores), "--sample", str(sample), "--out", str(tmp_path / "out")]) == 2
    assert message in capsys.readouterr().err


def test_lists_of_other_classes(scores: Path, sample: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (sample.parent / "names.txt").write_text("b\na\nc\n")
    assert main(["--scores", str(scores), "--sample", str(sample), "--out", str(tmp_path / "out")]) == 2
    said = f"{sample.parent}/names.txt: expected the classes of the scores, a, b, c, got b, a, c"
    assert said in capsys.readouterr().err


def test_too_few_decisions(scores: Path, sample: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    decide(sample, lambda row: "")
    assert main(["--scores", str(scores), "--sample", str(sample), "--out", str(tmp_path / "out")]) == 2
    assert f"{sample}: expected at least 50 labels that were looked at, got 0" in capsys.readouterr().err
    assert main(["--scores", str(scores), "--sample", str(tmp_path / "none.csv"), "--out", str(tmp_path / "out")]) == 2
    assert f"{tmp_path}/none.csv" in capsys.readouterr().err


def test_wrong_usage(scores: Path, truth: np.ndarray, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = ["--out", str(tmp_path / "out")]
    assert main(["--scores", str(scores), *out]) == 2
    for option in ("--by", "--sample"):
        file = tmp_path / "input"
        file.write_text("precious")
        assert main(["--scores", str(scores), option, str(file), "--out", str(file), "--force"]) == 2
        assert "is an input" in capsys.readouterr().err and file.read_text() == "precious"
    assert main(["--scores", str(scores), "--by", str(scores), *out]) == 2
    assert "no record whose truth is known and was kept from the net" in capsys.readouterr().err
