"""The comparison with cleanlab: its numbers by scikit-learn, its records by hand; and the export."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from caffe_compat.cli.compare_with_cleanlab import main
from caffe_compat.evaluation.label_quality.cleanlab_comparison import compare_with_cleanlab, export_for_cleanlab
from caffe_compat.evaluation.label_quality.label_scores import LabelScores
from caffe_compat.evaluation.label_quality.scores_file import ScoresInfo, ScoresWriter, read_scores

pytest.importorskip("pyarrow")

CLASSES, RECORDS = 4, 600


def normalised(rng: np.random.Generator, *shape: int) -> np.ndarray:
    values = rng.gamma(0.4, size=shape)
    return (values / values.sum(-1, keepdims=True)).astype(np.float32)


class Case:
    """Random scores; every fifth label is not known, every seventh image was clean in training."""

    def __init__(self, path: Path, full: bool = True) -> None:
        rng = np.random.default_rng(1)
        self.path = path
        self.noisy, self.truth = rng.integers(0, CLASSES, (2, RECORDS))
        self.truth = np.where(rng.random(RECORDS) < 0.5, self.noisy, self.truth)
        self.p_true, self.q_true = normalised(rng, RECORDS, CLASSES), normalised(rng, RECORDS, CLASSES)
        self.known = np.arange(RECORDS) % 5 > 0
        self.clean = np.where(np.arange(RECORDS) % 7 == 0, self.truth, -1)
        self.used = self.known & (self.clean < 0)
        self.types = normalised(rng, RECORDS, 3)
        self.write(path, np.where(self.known, self.truth, -1), full)

    def write(self, path: Path, truth: np.ndarray, full: bool = True) -> None:
        keys = [f"{number}.png" for number in range(RECORDS)]
        names = [str(label) for label in range(CLASSES)]
        info = ScoresInfo(names, np.zeros((CLASSES, CLASSES)).tolist(), "net", "weights", "images")
        with ScoresWriter(path, None, info, full) as writer:
            for part in (slice(0, 100), slice(100, RECORDS)):
                scores = LabelScores(keys[part], self.noisy[part], self.clean[part], self.p_true[part],
                                     self.types[part], self.q_true[part], self.types[part])  # fmt: skip
                writer.write(scores, truth[part])


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path / "labels.parquet")


def test_rankings_are_measured_as_scikit_learn_does(case: Case) -> None:
    """cleanlab's two scores in closed form: p(label), and half of 1 + p(label) - the highest other one."""
    pytest.importorskip("cleanlab")
    from sklearn.metrics import average_precision_score, roc_auc_score

    result = compare_with_cleanlab(read_scores(case.path))
    noisy, wrong = case.noisy[case.used], (case.noisy != case.truth)[case.used]
    p, rows = case.p_true[case.used].astype(np.float64), np.arange(case.used.sum())
    p /= p.sum(1, keepdims=True)
    others = p.copy()
    others[rows, noisy] = -1
    suspicion = {
        "ours: p_wrong": -case.q_true[case.used][rows, noisy],
        "cleanlab: self_confidence": -p[rows, noisy],
        "cleanlab: normalized_margin": others.max(1) - p[rows, noisy],
    }
    assert result["rankings"].keys() == suspicion.keys()
    for name, scores in suspicion.items():
        row = result["rankings"][name]
        assert row["average precision"] == pytest.approx(average_precision_score(wrong, scores), abs=1e-4)
        assert row["AUROC"] == pytest.approx(roc_auc_score(wrong, scores), abs=1e-4)
    assert result["records"] == case.used.sum() and result["wrong labels"] == wrong.sum()
    assert result["left out"] == {
        "truth not known": (~case.known).sum(),
        "clean label in training": (case.known & (case.clean >= 0)).sum(),
    }


def test_answers_are_counted(case: Case) -> None:
    pytest.importorskip("cleanlab")
    answer = compare_with_cleanlab(read_scores(case.path))["answers"]["ours: suggested label differs"]
    used, noisy = case.used, case.noisy
    found = (case.q_true.argmax(1) != noisy)[used]
    wrong = (noisy != case.truth)[used]
    assert answer["found"] == found.sum()
    assert answer["precision"] == pytest.approx((found & wrong).sum() / found.sum(), abs=1e-4)
    assert answer["recall"] == pytest.approx((found & wrong).sum() / wrong.sum(), abs=1e-4)
    first = np.argsort(case.q_true[used, noisy[used]], kind="stable")[: found.sum()]
    assert answer["precision of as many by our ranking"] == pytest.approx(wrong[first].mean(), abs=1e-4)


def test_suggestions_and_calibration(case: Case) -> None:
    """The calibration error in a loop over its ten bins."""
    pytest.importorskip("cleanlab")
    result = compare_with_cleanlab(read_scores(case.path))
    noisy, truth, q = case.noisy[case.used], case.truth[case.used], case.q_true[case.used]
    p_wrong, wrong = 1 - q[np.arange(len(noisy)), noisy].astype(np.float64), noisy != truth
    error = 0.0
    for low in np.arange(10) / 10:
        in_bin = (p_wrong >= low) & ((p_wrong < low + 0.1) | (low == 0.9))
        error += abs((p_wrong[in_bin] - wrong[in_bin]).sum()) / len(noisy)
    assert result["calibration error"]["ours: p_wrong"] == pytest.approx(error, abs=1e-3)
    assert result["right labels"] == pytest.approx(
        {
            "given": (noisy == truth).mean(),
            "suggested": (q.argmax(1) == truth).mean(),
            "p(y|x)": (case.p_true[case.used].argmax(1) == truth).mean(),
        },
        abs=1e-4,
    )


def test_command_line(case: Case, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("cleanlab")
    out = tmp_path / "out.json"
    assert main(["--scores", str(case.path), "--out", str(out)]) == 0
    result = json.loads(out.read_text())
    made = {"machine": result.pop("machine"), "versions": result.pop("versions")}
    assert result == compare_with_cleanlab(read_scores(case.path))
    assert made["machine"]["cores"] and {"torch", "cleanlab", "pyarrow"} <= made["versions"].keys()
    printed = capsys.readouterr().out
    for name, row in result["rankings"].items():
        assert any(name in line and f"{row['AUROC']:.4f}" in line for line in printed.splitlines())
    assert main(["--scores", str(case.path), "--out", str(out)]) == 2


def test_export_is_what_cleanlab_reads(case: Case, tmp_path: Path) -> None:
    export_for_cleanlab(read_scores(case.path), tmp_path / "export")
    probabilities, labels = (np.load(tmp_path / "export" / f"{name}.npy") for name in ("pred_probs", "labels"))
    np.testing.assert_array_equal(probabilities, case.p_true)
    np.testing.assert_array_equal(labels, case.noisy)
    assert (tmp_path / "export" / "keys.txt").read_text().splitlines() == [f"{n}.png" for n in range(RECORDS)]
    assert probabilities.dtype == np.float32 and labels.dtype == np.int64
    rank = pytest.importorskip("cleanlab.rank")
    assert len(rank.get_label_quality_scores(labels, probabilities)) == RECORDS


def test_scores_without_all_classes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("cleanlab")
    assert main(["--scores", str(Case(tmp_path / "short.parquet", full=False).path)]) == 2
    assert "lacks the probabilities of all classes; write it with score_labels --full" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("shift", "message"),
    [
        (None, "no record whose truth is known and was kept from the net"),
        (0, "every known label is right: there is nothing to find"),
        (1, "every known label is wrong: there is nothing to find"),
    ],
)
def test_truth_that_tells_nothing(
    case: Case, tmp_path: Path, capsys: pytest.CaptureFixture[str], shift: int | None, message: str
) -> None:
    pytest.importorskip("cleanlab")
    truth = np.full(RECORDS, -1) if shift is None else (case.noisy + shift) % CLASSES
    case.write(tmp_path / "other.parquet", truth)
    assert main(["--scores", str(tmp_path / "other.parquet")]) == 2
    assert message in capsys.readouterr().err
