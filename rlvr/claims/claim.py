"""What a claim is: who says what, the arms that try it, what is measured, and the bounds that were fixed before. No torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rlvr.report.blocks import Chart
from rlvr.report.runs import Run

Runs = Mapping[str, Run]
"""The runs of one seed, by the names of their arms."""

Measure = Callable[[Runs], float | None]
"""A number of one seed; None where it does not give it."""


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One run of a stage for every seed, of which only ``seed``, ``threads`` and ``model`` are set beside what stands here.

    name: as tables and charts say it, unique in its claim. config: its file below ``rlvr/claims/configs``. settings: dotted keys
    over the file's, as ``--set`` takes them; a table of weights is replaced as a whole. start: the arm whose model it begins from
    or evaluates. Arms that are alike in all of this, of one claim or of several, are run once.
    """

    name: str
    config: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    start: Arm | None = None


@dataclass(frozen=True, kw_only=True)
class Criterion:
    """A number that every seed gives, and where its mean over the seeds has to lie.

    arm: which arms it is about, quantity: what is measured, with its unit, both in words. measure: None where a seed does not give
    it, as a share that is never reached; then the criterion does not hold. at_least, at_most: without both it is told and judged by
    nobody. predicted: what theory says, in words or numbers.
    """

    arm: str
    quantity: str
    measure: Measure
    at_least: float | None = None
    at_most: float | None = None
    predicted: str = ""

    @property
    def judged(self) -> bool:
        """Whether the verdict depends on it."""
        return self.at_least is not None or self.at_most is not None

    def admits(self, value: float) -> bool:
        """Whether a number lies within the bounds."""
        return (self.at_least is None or value >= self.at_least) and (self.at_most is None or value <= self.at_most)

    @property
    def bounds(self) -> str:
        """The prediction and the bounds in words."""
        if self.at_least is not None and self.at_most is not None:
            within = f"{self.at_least:g} to {self.at_most:g}"
        elif self.at_least is not None:
            within = f"at least {self.at_least:g}"
        else:
            within = f"at most {self.at_most:g}" if self.at_most is not None else ""
        return "; ".join(filter(None, (self.predicted, within)))


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A claim of the talk and its papers as an experiment.

    said: in one sentence, by: the paper and the part of the talk. theory: why it should be so, and what would show that it is not.
    minutes: that all of it takes on two cores with three seeds. arms, criteria: of whether it is ``quick``, that is, on reduced grids.
    charts: of the runs of all seeds, whose names begin with ``id``. caveats: what it does not show, and which bounds were changed why.
    It passes if every criterion that is judged holds.
    """

    id: str
    title: str
    said: str
    by: str
    minutes: float
    theory: str
    arms: Callable[[bool], Sequence[Arm]]
    criteria: Callable[[bool], Sequence[Criterion]]
    charts: Callable[[Sequence[Runs]], list[Chart]]
    caveats: tuple[str, ...] = ()
