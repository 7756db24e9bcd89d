"""SIGINT and SIGHUP become requests, and only while the block runs."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from caffe_compat.solver import Action, signal_actions


def send(number: signal.Signals) -> None:
    signal.raise_signal(number)


@pytest.mark.parametrize("sigint", Action)
@pytest.mark.parametrize("sighup", Action)
def test_effects(sigint: Action, sighup: Action) -> None:
    with signal_actions(sigint, sighup) as request:
        assert request() is Action.NONE
        send(signal.SIGINT)
        assert request() is sigint
        assert request() is Action.NONE
        send(signal.SIGINT)
        send(signal.SIGHUP)
        assert [request(), request()] == [sighup, sigint]


@pytest.fixture
def sigint_raises() -> Iterator[None]:
    """A shell's background job inherits SIGINT ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("sigint_raises")
def test_the_handlers_of_before_come_back() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGHUP)
    with pytest.raises(RuntimeError), signal_actions():
        assert signal.getsignal(signal.SIGINT) is not before[0]
        raise RuntimeError
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGHUP)) == before
    with pytest.raises(KeyboardInterrupt):
        send(signal.SIGINT)
