"""glog from Python: ``init_log`` and ``log``. Source: python/caffe/_caffe.cpp."""

from __future__ import annotations

import logging

from caffe_compat.errors import expected_got
from caffe_compat.glog import set_up_logging

_LEVELS = (logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL)  # glog's 0 to 3


def init_log(level: int = 0) -> None:
    """Show what nets and solvers log, as glog's lines on stderr. Before this call nothing of it is shown.

    Args:
        level: the least that is shown, as glog counts: 0 all, 1 warnings, 2 errors, 3 what is fatal.
    Raises: ValueError for another level.
    """
    if level not in range(len(_LEVELS)):
        raise ValueError(f"init_log: {expected_got('a level from 0 to 3', level)}")
    set_up_logging(level=_LEVELS[level])


def log(message: str) -> None:
    """A line in the log."""
    logging.getLogger("caffe_compat").info("%s", message)
