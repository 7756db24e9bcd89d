"""What a running solver may be asked to do from outside, and the two signals that ask it."""

from __future__ import annotations

import contextlib
import enum
import signal
from collections.abc import Callable, Iterator
from types import FrameType


class Action(enum.Enum):
    """Asked for between iterations. The values are the words of ``--sigint_effect`` and ``--sighup_effect``."""

    NONE = "none"
    STOP = "stop"
    SNAPSHOT = "snapshot"


ActionRequest = Callable[[], Action]


@contextlib.contextmanager
def signal_actions(sigint: Action = Action.STOP, sighup: Action = Action.SNAPSHOT) -> Iterator[ActionRequest]:
    """Catch SIGINT and SIGHUP while the block runs; what is yielded tells, and forgets, what they ask for.

    Of several requests SIGHUP's is told first, as in Caffe (src/caffe/util/signal_handler.cpp). An action of NONE
    means that the signal does nothing. The handlers of before come back when the block ends.
    """
    effects = {signal.SIGHUP: sighup, signal.SIGINT: sigint}
    received: dict[signal.Signals, bool] = dict.fromkeys(effects, False)

    def note(number: int, frame: FrameType | None) -> None:
        received[signal.Signals(number)] = True

    def request() -> Action:
        for number, effect in effects.items():
            if received[number]:
                received[number] = False
                return effect
        return Action.NONE

    before = {number: signal.signal(number, note) for number in effects}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
