"""Shares of mistakes, with 95 % intervals."""

from collections.abc import Sequence
from dataclasses import dataclass

from rlvr.statistics import effective_count, wilson


@dataclass(frozen=True, kw_only=True)
class Rate:
    """How many of some trials went wrong. share: None if there was none. low, high: 95 % Wilson interval of the share."""

    count: int
    wrong: int
    share: float | None
    low: float
    high: float

    def to_json(self, name: str) -> dict[str, float | int | None]:
        """The share under a name, and the rest under the name and an ending."""
        return {
            name: self.share,
            f"{name}_low": self.low,
            f"{name}_high": self.high,
            f"{name}_count": self.count,
            f"{name}_wrong": self.wrong,
        }


def rate(groups: Sequence[Sequence[bool]]) -> Rate:
    """The rate of True in trials grouped by problem: trials of one problem are alike, and count as fewer for the interval.

    >>> rate([[True, False], [], [False, False]]).share
    0.25
    """
    groups = [group for group in groups if group]
    count, wrong = sum(map(len, groups)), sum(map(sum, groups))
    if not count:
        return Rate(count=0, wrong=0, share=None, low=0.0, high=1.0)
    low, high = wilson(wrong / count, effective_count(groups))
    return Rate(count=count, wrong=wrong, share=wrong / count, low=low, high=high)


def shortened(text: str, length: int = 400) -> str:
    """A text's beginning, and how long it is if that is not all."""
    return text if len(text) <= length else f"{text[:length]}… ({len(text):,} characters)"
