"""Selection from a file's problems: by difficulty, by pass rate, and without those that are solved."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from rlvr.config import SelectConfig
from rlvr.curriculum.source import numbered, passed
from rlvr.errors import RlvrError
from rlvr.tasks.task import Task
from rlvr.types import Group, Metrics, Problem


class Standing(StrEnum):
    """Whether a problem is drawn, and if not, why."""

    ACTIVE = "active"
    RETIRED = "retired"
    """It was solved in so many visits in a row."""
    OUT_OF_BAND = "out_of_band"
    """Its pass rate is too low or too high."""


@dataclass(frozen=True, kw_only=True)
class Visits:
    """What is remembered of a problem.

    rates: its share of right rollouts in each of the last visits. streak: how many visits in a row, up to the last,
    solved it. last: the step of the last.
    """

    rates: tuple[float, ...]
    streak: int
    last: int

    @property
    def pass_rate(self) -> float:
        """The mean over the visits."""
        return sum(self.rates) / len(self.rates)


def standing(visits: Visits | None, step: int, select: SelectConfig) -> Standing:
    """A problem's standing at a step. One that has not been visited is active, and so is one whose time away is over."""
    if visits is None or (select.return_after is not None and step - visits.last >= select.return_after):
        return Standing.ACTIVE
    if select.retire_after is not None and visits.streak >= select.retire_after:
        return Standing.RETIRED
    if select.pass_rate is not None and not select.pass_rate[0] <= visits.pass_rate <= select.pass_rate[1]:
        return Standing.OUT_OF_BAND
    return Standing.ACTIVE


def visited(visits: Visits | None, rate: float, step: int, select: SelectConfig) -> Visits:
    """What is remembered after one more visit, in which the share ``rate`` of the rollouts was right."""
    rates, streak = ((), 0) if visits is None else (visits.rates, visits.streak)
    return Visits(
        rates=(*rates, rate)[-select.window :], streak=streak + 1 if rate >= select.solved_at else 0, last=step
    )


class Selected:
    """The active problems of a file in the order of its stream; none twice in a step while there is another.

    Where fewer are active than a step needs, those that were left out the longest are visited again
    (``problems/recalled``), so that a step is always whole. A problem is known by its line.
    Raises RlvrError if no problem has the difficulty that is asked for.
    """

    def __init__(self, task: Task, select: SelectConfig, *, path: str) -> None:
        self._task, self._select = task, select
        problems = [task.problem("train", index) for index in range(max(1, task.size("train") or 0))]
        self._problems: dict[int, Problem] = {
            problem.metadata["line"]: problem for problem in problems if _wanted(problem, select, path)
        }
        if not self._problems:
            raise RlvrError(
                "select.difficulty", f"is of none of the {len(problems)} problems of {path}", got=select.difficulty
            )
        self._visits: dict[int, Visits] = {}
        self._cursor, self._drawn = 0, 0
        self._step, self._recalled = 0, 0
        self._now: set[int] = set()  # the lines that this step has drawn

    def next(self, step: int, count: int) -> list[Problem]:
        if step != self._step:
            self._step, self._recalled, self._now = step, 0, set()
        active = {line for line in self._problems if self._standing(line) is Standing.ACTIVE}
        fresh, problems = active - self._now, []
        for _ in range(count):
            if len(self._now) == len(self._problems):
                fresh, self._now = set(active), set()
            line = self._advance(fresh) if fresh else self._longest_left_out()
            fresh.discard(line)
            self._now.add(line)
            problems.append(self._problems[line])
        self._drawn += count
        return numbered(problems, self._drawn - count)

    def possible(self, draws: int) -> list[Problem]:
        return list(self._problems.values())

    def record(self, step: int, groups: Sequence[Group]) -> None:
        for group in groups:
            line = group[0].problem.metadata["line"]
            rate = passed(group) / len(group)
            self._visits[line] = visited(self._visits.get(line), rate, step, self._select)

    def metrics(self) -> Metrics:
        """How many problems there are of each standing, and the mean of their pass rates."""
        standings = [self._standing(line) for line in self._problems]
        row: Metrics = {f"problems/{each}": standings.count(each) for each in Standing}
        row["problems/unseen"] = len(self._problems) - len(self._visits)
        row["problems/recalled"] = self._recalled
        if self._visits:
            row["problems/pass_rate"] = math.fsum(v.pass_rate for v in self._visits.values()) / len(self._visits)
        return row

    def state_dict(self) -> dict[str, Any]:
        visits = {str(line): [list(v.rates), v.streak, v.last] for line, v in self._visits.items()}
        return {"cursor": self._cursor, "drawn": self._drawn, "visits": visits}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._cursor, self._drawn = state["cursor"], state["drawn"]
        self._visits = {
            int(line): Visits(rates=tuple(rates), streak=streak, last=last)
            for line, (rates, streak, last) in state["visits"].items()
        }

    def _standing(self, line: int) -> Standing:
        return standing(self._visits.get(line), self._step, self._select)

    def _advance(self, fresh: set[int]) -> int:
        """The next line of the stream that is among these; every line comes once in each turn."""
        while True:
            line: int = self._task.problem("train", self._cursor).metadata["line"]
            self._cursor += 1
            if line in fresh:
                return line

    def _longest_left_out(self) -> int:
        """Of those that this step has not drawn, the line whose last visit is the longest ago; the first of equals."""
        self._recalled += 1
        return min((line for line in self._problems if line not in self._now), key=lambda n: (self._visits[n].last, n))


def _wanted(problem: Problem, select: SelectConfig, path: str) -> bool:
    """Whether a problem's difficulty is asked for; RlvrError if it has none that could be compared."""
    if select.difficulty is None:
        return True
    difficulty = problem.metadata.get("difficulty")
    if isinstance(difficulty, bool) or not isinstance(difficulty, int | float):
        raise RlvrError(
            f"{path}:{problem.metadata['line']}",
            "has no number as its difficulty, which select.difficulty goes by",
            got=difficulty,
            remedy="add it to the line, or remove select.difficulty",
        )
    return select.difficulty[0] <= difficulty <= select.difficulty[1]
