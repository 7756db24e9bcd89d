"""A progress bar with images per second and time left, where a person is watching."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Callable, Iterator

from caffe_compat.glog import LOGGER_NAME

Advance = Callable[[], None]


@contextlib.contextmanager
def progress_bar(iteration: int, max_iter: int, images_per_iteration: int, is_shown: bool = True) -> Iterator[Advance]:
    """Show a bar while the block runs; what is yielded is called after each iteration.

    There is a bar only if it shall be shown, stderr is a terminal and tqdm is installed: a log in a file stays a log.
    Log lines appear above the bar.
    """
    tqdm = _find_tqdm() if is_shown and sys.stderr.isatty() else None
    if tqdm is None:
        yield lambda: None
        return
    from tqdm.contrib.logging import logging_redirect_tqdm

    total, done = max_iter * images_per_iteration, iteration * images_per_iteration
    bar = tqdm(total=total, initial=done, unit=" images", unit_scale=True, dynamic_ncols=True, smoothing=0.05)
    with logging_redirect_tqdm([logging.getLogger(LOGGER_NAME)]), bar:
        yield lambda: bar.update(images_per_iteration)


def _find_tqdm() -> type | None:
    try:
        from tqdm import tqdm
    except ImportError:
        return None
    return tqdm
