"""A number's history as one line of blocks, whatever its length."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

BLOCKS = "▁▂▃▄▅▆▇█"

MOST = 512
"""Points that are kept: more than twice as many as the widest line has columns."""


class History:
    """A series of numbers. It keeps means of so many numbers in a row that there are never more than ``MOST`` of them."""

    def __init__(self) -> None:
        self._means: list[float] = []
        self._each = 1
        self._sum, self._pending = 0.0, 0
        self._total, self._count = 0.0, 0
        self.first: float | None = None
        self.last: float | None = None

    def add(self, value: float) -> None:
        """Take the next number."""
        self.first = value if self.first is None else self.first
        self.last = value
        self._total, self._count = self._total + value, self._count + 1
        self._sum, self._pending = self._sum + value, self._pending + 1
        if self._pending == self._each:
            self._means.append(self._sum / self._each)
            self._sum, self._pending = 0.0, 0
        if len(self._means) == MOST:
            self._means = [(a + b) / 2 for a, b in zip(self._means[::2], self._means[1::2], strict=True)]
            self._each *= 2

    @property
    def mean(self) -> float:
        """The mean of all numbers; 0 of none."""
        return self._total / self._count if self._count else 0.0

    def columns(self, most: int) -> list[float]:
        """The series as at most so many means, in order; the last one holds the newest numbers."""
        means = [*self._means, self._sum / self._pending] if self._pending else self._means
        count = min(most, len(means))
        edges = [number * len(means) // count for number in range(count + 1)] if count else [0]
        parts = [means[begin:end] for begin, end in pairwise(edges)]
        return [sum(part) / len(part) for part in parts]


def sparkline(values: Sequence[float], low: float | None = None, high: float | None = None) -> str:
    """One block a value, the lowest for ``low`` and the highest for ``high``, by default the ends of what is drawn."""
    if not values:
        return ""
    low = min(values) if low is None else low
    high = max(values) if high is None else high
    if not low < high:
        return BLOCKS[len(BLOCKS) // 2 - 1] * len(values)
    top = len(BLOCKS) - 1
    return "".join(BLOCKS[round(top * min(1.0, max(0.0, (value - low) / (high - low))))] for value in values)
