"""Stopping where it is safe: where there is something to save, the first SIGINT or SIGTERM is only noted; elsewhere it ends
the command where it is. The second one ends the program at once in both cases."""

import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Callable, Iterator
from types import FrameType

from rlvr.errors import EndedError, StopRequestedError

NUMBERS = (signal.SIGINT, signal.SIGTERM)

PR_SET_PDEATHSIG = 1
"""Of prctl(2): the signal that a process gets when the one that started it ends."""

_received: int | None = None


def _announce() -> None:
    with contextlib.suppress(OSError):  # the same Ctrl-C may have ended whoever reads our messages
        os.write(2, b"\nstopping as soon as it is safe; once more to stop at once\n")


_tell: Callable[[], None] = _announce


@contextlib.contextmanager
def ending() -> Iterator[None]:
    """Inside, a first signal raises EndedError wherever the program is, so that it gives back what it holds."""

    def end(number: int) -> None:
        raise EndedError(number)

    with _first_one_told(end):
        yield


@contextlib.contextmanager
def watched() -> Iterator[None]:
    """Inside, a first signal only makes the next ``check`` raise; the end of the block is the last."""
    global _received
    _received = None

    def note(number: int) -> None:
        global _received
        _received = number
        _tell()

    with _first_one_told(note):
        yield
        check()


@contextlib.contextmanager
def told_by(tell: Callable[[], None]) -> Iterator[None]:
    """Inside, ``tell`` lets the person know of a signal that is only noted, in the signal's handler; elsewhere a line on stderr does."""
    global _tell
    previous, _tell = _tell, tell
    try:
        yield
    finally:
        _tell = previous


@contextlib.contextmanager
def left_to_the_system() -> Iterator[None]:
    """Inside, the first signal ends the program without a word: for a long call in which no handler of ours would run."""
    with _handled_by(signal.SIG_DFL):
        yield


def end_with_parent(number: int) -> None:
    """From now on this process gets a signal when the one that started it ends, however that does. Linux only; elsewhere nothing is done."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number)


def check() -> None:
    """Raise StopRequestedError if a signal has come. Called between any two pieces of work of about a second."""
    if _received is not None:
        raise StopRequestedError(_received)


@contextlib.contextmanager
def _first_one_told(tell: Callable[[int], None]) -> Iterator[None]:
    """Inside, a first signal is told; a second one acts as the system has it."""

    def first(number: int, _frame: FrameType | None) -> None:
        for each in NUMBERS:
            signal.signal(each, signal.SIG_DFL)
        tell(number)

    with _handled_by(first):
        yield


@contextlib.contextmanager
def _handled_by(handler: Callable[[int, FrameType | None], None] | signal.Handlers) -> Iterator[None]:
    previous = {number: signal.getsignal(number) for number in NUMBERS}
    for number in NUMBERS:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number in NUMBERS:
            signal.signal(number, previous[number])
