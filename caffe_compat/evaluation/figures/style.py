"""The one style of all plots: readable in grey and by colour-blind people. matplotlib is imported where it is used."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any, ParamSpec, TypeVar

from caffe_compat.errors import CaffeCompatError

# Okabe and Ito's colours, which colour-blind people tell apart, in an order that alternates dark and light in grey.
COLOURS = ("#000000", "#E69F00", "#0072B2", "#56B4E9", "#D55E00", "#009E73", "#CC79A7")
DASHES = ("-", "--", "-.", ":")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", "*")  # as many as go round apart from the colours
HATCHES = ("", "////", "....", "xxxx")

SEQUENTIAL = "cividis"  # the same to colour-blind eyes, and its lightness rises evenly
DIVERGING = "PuOr"  # both ends are dark in grey: numbers with signs go with it
REFERENCE = {"color": "0.35", "linewidth": 1.0, "linestyle": (0, (1, 2)), "zorder": 1}  # lines to compare with
BAND = {"alpha": 0.18, "linewidth": 0}
SMALL = 7.5  # points
DARK, LIGHT = "#111111", "#FFFFFF"  # text on light and on dark colours

_RC: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "0.88",
    "grid.linewidth": 0.6,
    "hatch.linewidth": 0.5,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "lines.linewidth": 1.6,
    "lines.markersize": 4.5,
    "savefig.dpi": 150,
    "svg.fonttype": "path",
    "svg.hashsalt": "caffe_compat",
}

_P = ParamSpec("_P")
_T = TypeVar("_T")


@contextlib.contextmanager
def in_style() -> Iterator[None]:
    """What is drawn or saved inside has the style; matplotlib's own settings come back afterwards.

    Raises: CaffeCompatError if matplotlib is not installed.
    """
    try:
        import matplotlib
        import matplotlib.figure  # noqa: F401  what new_figure needs
    except ImportError as exc:
        raise CaffeCompatError("plots need the Python package matplotlib: pip install matplotlib") from exc
    with matplotlib.rc_context(_RC):
        yield


def styled(draw: Callable[_P, _T]) -> Callable[_P, _T]:
    """Decorator of a function that draws: all of it happens :func:`in_style`."""

    @functools.wraps(draw)
    def styled_draw(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        with in_style():
            return draw(*args, **kwargs)

    return styled_draw


def new_figure(width: float, height: float) -> Any:
    """An empty ``matplotlib.figure.Figure`` of this size in inches, apart from pyplot's state."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def line_style(number: int) -> dict[str, Any]:
    """The colour, dash and marker of the line with this number, 0-based: three ways to tell it from its neighbours."""
    return {
        "color": COLOURS[number % len(COLOURS)],
        "linestyle": DASHES[number % len(DASHES)],
        "marker": MARKERS[number % len(MARKERS)],
        "markerfacecolor": "white",
    }


def text_colour(rgba: tuple[float, float, float, float]) -> str:
    """Dark or light, whichever reads on this colour (luma of ITU-R BT.601)."""
    red, green, blue = rgba[:3]
    return DARK if 0.299 * red + 0.587 * green + 0.114 * blue > 0.5 else LIGHT
