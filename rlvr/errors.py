"""Who is at fault: the user (exit 2), the training itself (exit 3) or a signal (exit 130/143).

    RlvrError             the user's input is wrong; one line, exit 2
      MissingExtraError   an optional dependency is absent; the line names the extra
    TrainingStoppedError  training had to stop to do no harm; the last good checkpoint is kept, exit 3
    StopRequestedError    a signal asked to stop; a checkpoint was saved, exit 128 + signal number
    EndedError            a signal ended a command that had nothing to save, exit 128 + signal number

Our own mistakes are ordinary exceptions: they rise and end the program with exit 1. A model's bad text is never
an exception; it is a low reward.
"""

import re
from collections.abc import Iterable
from difflib import get_close_matches

NOTHING = object()
"""Stands for a value that there is nothing to say of; None can be what was got."""


LOGIN = re.compile(r"(?P<before>\w:/+)[^/\s@]+@|(?P<start>^|[\s/'\"])[^\s/@:'\"]+:[^\s/@]+@")
"""What stands before the host in an address: https://token@host, name:password@host."""


class RlvrError(Exception):
    """The user's input is wrong. The message says where, what, what was got, what is allowed and what to do.

    Names and passwords in addresses are left out: messages end up in logs.
    """

    exit_code = 2

    def __init__(
        self, where: str, what: str, *, got: object = NOTHING, allowed: str | None = None, remedy: str | None = None
    ) -> None:
        parts = [f"{where}: {what}"]
        if got is not NOTHING:
            parts.append(f"got {_shorten(got)}")
        if allowed is not None:
            parts.append(f"allowed: {allowed}")
        if remedy is not None:
            parts.append(remedy)
        super().__init__(_without_logins("; ".join(parts)))


class MissingExtraError(RlvrError):
    """An optional dependency is not installed."""

    def __init__(self, where: str, package: str, extra: str) -> None:
        super().__init__(where, f"needs the package {package}", remedy=f"install it with: pip install 'rlvr[{extra}]'")


class TrainingStoppedError(Exception):
    """Training stopped before it could do harm; everything up to the last checkpoint is kept."""

    exit_code = 3


class StopRequestedError(Exception):
    """A signal asked the program to stop; raised where it is safe to leave a step unfinished."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(f"stopped by signal {signal_number}")
        self.exit_code = 128 + signal_number


NO_MEMORY = re.compile(
    r"out of memory|(can.?t|cannot) allocate memory|bad_alloc|failed to map segment|can.t start new thread", re.I
)
"""What torch, the C++ library, the loader and Python say when there is no memory for what they were asked."""


def out_of_memory(error: BaseException) -> str | None:
    """What to say of an exception that means that memory ran out, on the CPU or another device; None for any other."""
    text = " ".join(str(error).split())[:200]
    if not isinstance(error, MemoryError) and NO_MEMORY.search(text) is None:
        return None
    return (
        f"out of memory ({text or 'for an object'}); what was saved before is kept; "
        "lower train.micro_batch_tokens or rollout.batch_size, or choose a smaller model"
    )


class EndedError(KeyboardInterrupt):
    """A signal came while there was nothing to save; raised wherever the program was, and no Exception, as Ctrl-C is none."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(f"stopped by signal {signal_number}")
        self.exit_code = 128 + signal_number


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``Did you mean <nearest>?`` or an empty string when nothing known is near."""
    near = get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f"Did you mean {near[0]}?" if near else ""


def _shorten(value: object) -> str:
    text = _without_logins(repr(value))
    return text if len(text) <= 80 else text[:77] + "..."


def _without_logins(text: str) -> str:
    return LOGIN.sub(lambda found: f"{found['before'] or found['start'] or ''}…@", text)
