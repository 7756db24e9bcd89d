"""Plots of training logs: which curves are drawn, and the files; what they look like is for people to judge."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import pytest

from caffe_compat.cli.plot_log import main
from caffe_compat.evaluation.log_plot import curves, read_series

GOLDEN = Path(__file__).parents[1] / "golden/run"
LOG, RESUMED = GOLDEN / "train_BINARYPROTO.log", GOLDEN / "resumed/train.log"


def test_losses_and_accuracies_go_to_different_panels() -> None:
    losses, others = curves(read_series([LOG]))
    assert [curve.label for curve in losses] == ["training loss", "test loss"]
    assert [curve.label for curve in others] == ["test accuracy"]
    assert losses[0].points == {0: 1.60391, 5: 0.599058, 10: 0.0231003, 15: 0.0021877, 20: 0.000653505, 25: 0.00251245,
                                30: 0.00252376}  # fmt: skip
    assert others[0].points == {0: 0.09375, 10: 1, 20: 1, 30: 1}


def test_names_of_the_runs(tmp_path: Path) -> None:
    assert [each.name for each in read_series([LOG, RESUMED])] == ["train_BINARYPROTO", "train"]
    assert [each.name for each in read_series([RESUMED, RESUMED])] == [str(RESUMED)] * 2
    several = tmp_path / "several.log"
    several.write_text(2 * LOG.read_text() + RESUMED.read_text())
    series = read_series([several])
    assert [each.name for each in series] == ["several, run 1", "several, run 2"]
    assert [each.run.losses[20] for each in series] == [0.000653505, 0.000186354]  # the second was resumed
    assert [curve.label for curve in curves(series)[1]] == [f"{each.name}: test accuracy" for each in series]


def test_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    assert main([str(LOG), str(RESUMED), "--out", str(tmp_path / "plot.png")]) == 0
    picture = cv2.imread(str(tmp_path / "plot.png"))
    assert picture.shape[1] == 1200 and (picture < 100).any()
    assert main([str(LOG), "--out", str(tmp_path / "plot.svg")]) == 0
    assert "<svg" in (tmp_path / "plot.svg").read_text()[:1000]


def test_wrong_input(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    for argv, message in (
        ([str(LOG), "--out", "plot.gif"], "plot.gif: expected a name that ends in .png, .svg, .pdf, got .gif"),
        ([str(GOLDEN / "time.log"), "--out", "plot.png"], "time.log: no losses and no test outputs in it"),
        ([str(LOG), "--out", "plot.png"], "plots need the Python package matplotlib: pip install matplotlib"),
        ([str(LOG)], "--out"),
    ):
        assert main(argv) == 2
        assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
