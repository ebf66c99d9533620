"""Stopping where it is safe: the first SIGINT or SIGTERM is noted, the second ends the program at once."""

import contextlib
import os
import signal
from collections.abc import Iterator
from types import FrameType

from rlvr.errors import StopRequestedError

_received: int | None = None


@contextlib.contextmanager
def watched() -> Iterator[None]:
    """Inside, a first SIGINT or SIGTERM only makes the next ``check`` raise; a second one acts as usual."""
    global _received
    _received = None
    numbers = (signal.SIGINT, signal.SIGTERM)
    previous = {number: signal.getsignal(number) for number in numbers}

    def note(number: int, _frame: FrameType | None) -> None:
        global _received
        _received = number
        for each in numbers:
            signal.signal(each, signal.SIG_DFL)
        os.write(2, b"\nstopping as soon as it is safe; once more to stop at once\n")

    for number in numbers:
        signal.signal(number, note)
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, previous[number])


def check() -> None:
    """Raise StopRequestedError if a signal has come. Called between any two pieces of work of about a second."""
    if _received is not None:
        raise StopRequestedError(_received)
