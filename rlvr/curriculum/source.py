"""A source of training problems, and the plainest one."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol

from rlvr.tasks.task import Task
from rlvr.types import Group, Metrics, Problem

LOOKED_AT = 64
"""Problems of a task without end that are looked at before they are drawn."""


class ProblemSource(Protocol):
    """Training problems, step by step. What has been recorded of a step changes what later steps draw."""

    def next(self, step: int, count: int) -> list[Problem]:
        """The next ``count`` problems for a step; may be called several times in a step.

        A problem's index is the number of its draw, so no two problems of a run have the same.
        """
        ...

    def possible(self, draws: int) -> list[Problem]:
        """Problems that so many draws may come upon, without drawing: all of a file's, the first of a task without end."""
        ...

    def record(self, step: int, groups: Sequence[Group]) -> None:
        """How the problems of a step fared; may be called several times in a step."""
        ...

    def metrics(self) -> Metrics:
        """Where the source stands after what was recorded."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """All that ``next`` depends on beside the step, as JSON; a copy that later steps do not change."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


class Stream:
    """Problems 0, 1, 2, … of the train split; a file is gone through again and again."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._drawn = 0

    def next(self, step: int, count: int) -> list[Problem]:
        first = self._drawn
        self._drawn += count
        return [self._task.problem("train", first + i) for i in range(count)]

    def possible(self, draws: int) -> list[Problem]:
        return first_problems(self._task, draws)

    def record(self, step: int, groups: Sequence[Group]) -> None:
        """Nothing: every problem comes in its turn."""

    def metrics(self) -> Metrics:
        return {}

    def state_dict(self) -> dict[str, Any]:
        return {"drawn": self._drawn}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._drawn = state["drawn"]


def first_problems(task: Task, count: int) -> list[Problem]:
    """The first problems of a task's train split, ``count`` at most, and of one without end no more than are looked at."""
    size = task.size("train")
    return [task.problem("train", index) for index in range(min(count, LOOKED_AT if size is None else size))]


def numbered(problems: Sequence[Problem], first: int) -> list[Problem]:
    """The problems with the numbers of their draws for indices."""
    return [replace(problem, index=first + i) for i, problem in enumerate(problems)]


def passed(group: Group) -> int:
    """How many rollouts of a group are right, as far as training can know: noise of the verifier is believed."""
    return sum(r.reward > r.oracle or (r.correct and r.reward == r.oracle) for r in group)
