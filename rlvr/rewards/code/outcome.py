"""What a sandbox is to the grader: one program on one test in, one outcome out."""

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol


class Status(StrEnum):
    """How a program's run ended."""

    RAN = "ran"
    RAISED = "raised"
    """It ended with an exception or an exit that says failure."""
    MALFORMED = "malformed"
    """It does not compile, or has no such function."""
    REFUSED = "refused"
    """What it gave back or printed is too large or not plain, or it called for what is not there."""
    FUEL = "fuel"
    MEMORY = "memory"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of one run. value and printed are the program's word; fuel: how many instructions, if they are counted."""

    status: Status
    value: object = None
    printed: str = ""
    fuel: int = 0


class SandboxError(Exception):
    """The sandbox itself failed, whatever the program was."""


class Sandbox(Protocol):
    """Runs programs, each in a fresh interpreter that has no way out. May be used by several threads."""

    def run(self, source: str, *, function: str | None = None, arguments: object = (), stdin: str = "") -> Outcome:
        """Run a program, then call one of its functions, or with none named give it a text on standard input."""


def request_text(source: str, function: str | None, arguments: object, stdin: str) -> str:
    """All that a test needs, and nothing of what is expected: what guest.py.txt reads.

    ASCII, so that a lone surrogate in the source reaches the compiler there and not the encoder here.
    """
    return json.dumps({"source": source, "fn": function, "arguments": arguments, "stdin": stdin})


def read_reply(reply: str | bytes, fuel: int = 0) -> Outcome:
    """The reply's fields. The program may have rewritten who replies, so anything may stand there."""
    try:
        tree: Any = json.loads(reply)
    except (ValueError, RecursionError):
        return Outcome(status=Status.REFUSED, fuel=fuel)
    match tree:
        case {"status": "ran", "value": value}:
            return Outcome(status=Status.RAN, value=value, fuel=fuel)
        case {"status": "ran", "stdout": str(printed)}:
            return Outcome(status=Status.RAN, printed=printed, fuel=fuel)
        case {"status": "raised" | "malformed" | "memory" as status}:
            return Outcome(status=Status(status), fuel=fuel)
    return Outcome(status=Status.REFUSED, fuel=fuel)
