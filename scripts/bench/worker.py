"""A side's end of the conversation: it waits for a line, works, and tells how long that took. Standard library alone."""

import json
import os
import sys
import time
from collections.abc import Callable


class Turns:
    """One line on standard input is one turn; what a turn took is one line of JSON on standard output.

    Whatever else the process prints goes to standard error.
    """

    def __init__(self, peak_mib: Callable[[], float | None] = lambda: None) -> None:
        """peak_mib: the most memory that a device of the side's had in use; None without one."""
        self._peak_mib = peak_mib
        self._out = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)
        self._begin: float | None = None

    def wait(self, tokens: int = 0) -> str:
        """Tell of the turn that ends here, or at first that all is ready, and return the line that begins the next.

        tokens: useful tokens of the turn. Raises SystemExit when no turn is wanted any more.
        """
        seconds = 0.0 if self._begin is None else time.perf_counter() - self._begin
        told = {"seconds": seconds, "tokens": tokens, "device_mib": self._peak_mib()}
        print(json.dumps(told), file=self._out, flush=True)
        line = sys.stdin.readline()
        if not line:
            raise SystemExit(0)
        self._begin = time.perf_counter()
        return line


def serve(work: Callable[[str], int], peak_mib: Callable[[], float | None] = lambda: None) -> None:
    """Do the work of each line; work returns its useful tokens."""
    turns = Turns(peak_mib)
    line = turns.wait()
    while True:
        line = turns.wait(work(line))
