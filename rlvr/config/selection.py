"""Which of a task's training problems RL trains on: selection from a file, and curricula over a generated task's dial."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, PositiveInt, model_validator

from rlvr.config.strict import Fraction, Strict

Band = Annotated[list[float], Field(min_length=2, max_length=2)]
"""The least and the greatest value, both included."""


class SelectConfig(Strict):
    """Which problems of a file are trained on; a visit is one group of rollouts of a problem."""

    difficulty: Band | None = None
    """Only lines whose number ``difficulty`` is in this band, both ends included."""
    pass_rate: Band | None = None
    """Leave out problems whose share of right rollouts, over the last ``window`` visits, is not in this band."""
    window: PositiveInt = 4
    """Visits that a problem's pass rate is taken over."""
    retire_after: PositiveInt | None = None
    """Leave out a problem after so many visits in a row in which it was solved."""
    solved_at: Annotated[float, Field(gt=0.0, le=1.0)] = 0.9
    """A visit counts as solved if at least this share of its rollouts is right."""
    return_after: PositiveInt | None = None
    """A problem that was left out is visited again so many steps after its last visit; None: never."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.difficulty is None and self.pass_rate is None and self.retire_after is None:
            raise ValueError("selects nothing: give difficulty, pass_rate or retire_after")
        for name, band in (("difficulty", self.difficulty), ("pass_rate", self.pass_rate)):
            if band is not None and band[0] > band[1]:
                raise ValueError(f"{name} {band} is empty: the first number must not exceed the second")
        if self.pass_rate is not None and not 0.0 <= self.pass_rate[0] <= self.pass_rate[1] <= 1.0:
            raise ValueError(f"pass_rate {self.pass_rate} is a band of shares; allowed: 0 to 1")
        if self.pass_rate == [0.0, 1.0]:
            raise ValueError("pass_rate [0, 1] has no effect: every problem is in it; remove it")
        if self.retire_after is None:
            self.refuse_set(("solved_at",), "without retire_after")
        if self.pass_rate is None and self.retire_after is None:
            self.refuse_set(("window", "return_after"), "without pass_rate or retire_after")
        return self


class CurriculumConfig(Strict):
    """Training on one value of a generated task's dial after the other, as the pass rate allows. Evaluations keep the
    task's own value."""

    dial: str
    """A key of the task that holds a number: length, modulus, digits, level, …; of a gym task also ``config.KEY``."""
    values: Annotated[list[int], Field(min_length=2)]
    """The dial's values, level by level; training begins at the first."""
    raise_at: Annotated[float, Field(gt=0.0, le=1.0)] = 0.8
    """Go to the next level once the pass rate of the level, over ``window`` steps, is at least this."""
    lower_at: Fraction | None = None
    """Go back a level once it is at most this; None: never."""
    window: PositiveInt = 5
    """Steps at a level that its pass rate is taken over; there is no move before so many."""
    earlier: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    """Share of the problems that come from earlier levels, each of them as likely, so that they are not forgotten."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(set(self.values)) < len(self.values):
            raise ValueError(f"values {self.values} must be different numbers")
        if self.lower_at is not None and self.lower_at >= self.raise_at:
            raise ValueError(f"lower_at {self.lower_at:g} must be below raise_at {self.raise_at:g}")
        return self
