"""The files of figures, and the style: the same bytes every time, nothing of matplotlib's settings changed."""

from __future__ import annotations

import numpy as np
import pytest

from caffe_compat.errors import CaffeCompatError
from caffe_compat.evaluation.figures.label_confusion import draw_label_confusion
from caffe_compat.evaluation.figures.saving import save_figure
from caffe_compat.evaluation.figures.style import COLOURS, line_style, text_colour

matplotlib = pytest.importorskip("matplotlib")

COUNTS = np.array([[6, 1, 2], [3, 8, 0], [1, 1, 5]])


def figure():
    return draw_label_confusion(COUNTS, ["coat", "dress", "shirt"])


def test_both_kinds_and_the_same_bytes(tmp_path):
    folders = [tmp_path / name for name in "ab"]
    for folder in folders:
        folder.mkdir()
        assert save_figure(figure(), folder, "f") == [folder / "f.png", folder / "f.svg"]
    for name in ("f.png", "f.svg"):
        first, second = ((folder / name).read_bytes() for folder in folders)
        assert first == second
    assert b"<dc:date>" not in first and b"Matplotlib v" not in first
    assert sorted(path.name for path in folders[0].iterdir()) == ["f.png", "f.svg"]


def test_nothing_stays_of_a_figure_that_cannot_be_drawn(tmp_path, monkeypatch):
    broken = figure()

    def fail(part, format, metadata):
        part.write_text("half")
        if format == "svg":
            raise OSError("disk full")

    monkeypatch.setattr(broken, "savefig", fail)
    with pytest.raises(OSError, match="disk full"):
        save_figure(broken, tmp_path, "f")
    assert list(tmp_path.iterdir()) == []


def test_settings_of_matplotlib_come_back_and_pyplot_is_not_used(tmp_path):
    before = dict(matplotlib.rcParams)
    save_figure(figure(), tmp_path, "f")
    assert dict(matplotlib.rcParams) == before
    pyplot = matplotlib.__dict__.get("pyplot")
    assert pyplot is None or not pyplot.get_fignums()


def test_without_matplotlib(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    with pytest.raises(CaffeCompatError, match="plots need the Python package matplotlib"):
        figure()


def test_neighbouring_lines_differ_in_colour_dash_and_marker():
    styles = [line_style(number) for number in range(8)]
    for first, second in zip(styles, styles[1:], strict=False):
        assert all(first[part] != second[part] for part in ("color", "linestyle", "marker"))


def test_neighbouring_colours_differ_in_grey():
    from matplotlib.colors import to_rgb

    grey = [np.dot(to_rgb(colour), (0.299, 0.587, 0.114)) for colour in COLOURS[:5]]
    assert np.abs(np.diff(grey)).min() > 0.1


def test_text_reads_on_dark_and_on_light():
    assert text_colour((0, 0.13, 0.3, 1)) == "#FFFFFF"
    assert text_colour((1, 0.9, 0.2, 1)) == "#111111"
