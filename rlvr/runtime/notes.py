"""explanations.jsonl: one object for each explanation of a run's metrics, and what is said of them while it trains."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rlvr.explain import Explainer, Explanation
from rlvr.runtime.files import Writing, write_atomically
from rlvr.runtime.metrics import Row
from rlvr.runtime.written import read_lines

FILE = "explanations.jsonl"

SECONDS_BETWEEN = 60.0
"""At most one explanation is said in so much time; all are in the file."""


class Notes:
    """Explains a run row by row. What is in the file follows from the rows alone; when it is said depends on the clock.

    rows: those that the run goes on from, whose explanations are written anew. say: shows one line.
    """

    def __init__(
        self,
        folder: Path,
        rows: Sequence[Row],
        say: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._explainer, self._say, self._clock = Explainer(), say, clock
        self._waiting: list[Explanation] = []
        self._said_at = float("-inf")
        told = [new for row in rows if (new := self._explainer.add(int(row["step"] or 0), row)) is not None]
        self._file = folder / FILE
        if told or self._file.exists():
            with Writing(self._file):
                write_atomically(self._file, "".join(map(_line, told)))

    def add(self, step: int, row: Row) -> None:
        """Note what is new with a row, and say what is due."""
        new = self._explainer.add(step, row)
        if new is not None:
            with Writing(self._file), self._file.open("a", encoding="utf-8") as file:
                file.write(_line(new))
            self._waiting.append(new)
        if self._waiting and self._clock() - self._said_at >= SECONDS_BETWEEN:
            first = self._waiting.pop(0)
            self._say(f"note: step {first.step}: {first.sentence}")
            self._said_at = self._clock()

    def close(self) -> None:
        """Say how many have not been said."""
        if self._waiting:
            self._say(f"note: {len(self._waiting)} more in {self._file} (rlvr inspect shows them)")


def _line(explanation: Explanation) -> str:
    return json.dumps(asdict(explanation)) + "\n"


def read_explanations(folder: Path) -> list[dict[str, Any]]:
    """The explanations of a run; none without the file. A last line cut off by a crash is left out."""
    return read_lines(folder / FILE, {"step": int, "sentence": str})
