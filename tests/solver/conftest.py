"""What the solver's tests share."""

from __future__ import annotations

import logging

import pytest


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """The library's log lines: ``log.messages``."""
    caplog.set_level(logging.INFO, "caffe_compat")
    return caplog
