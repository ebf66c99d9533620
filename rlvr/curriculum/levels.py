"""A curriculum: one value of a task's dial after the other, as the pass rate allows."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from rlvr.config import CurriculumConfig
from rlvr.curriculum.source import first_problems, numbered, passed
from rlvr.runtime.seeding import generator
from rlvr.tasks.task import Task
from rlvr.types import Group, Metrics, Problem


class Levels:
    """Problems of the current level, and a share of earlier ones; their metadata says the dial's value.

    A step's level is decided when the first of its problems are drawn, from the steps before: the pass rate over the
    last ``window`` steps at the level, none of them from before the last move. Each level goes on in its own order
    where it stopped.
    tasks: one for each of the curriculum's values.
    """

    def __init__(self, tasks: Sequence[Task], config: CurriculumConfig, seed: int) -> None:
        self._tasks, self._config, self._seed = tasks, config, seed
        self._level = 0
        self._drawn = [0 for _ in tasks]  # of each level
        self._window: list[tuple[int, int, int]] = []  # (step, right rollouts, rollouts) of the current level
        self._step = 0

    def next(self, step: int, count: int) -> list[Problem]:
        if step != self._step:
            self._step = step
            self._move()
        first, problems = sum(self._drawn), []
        for number in range(first, first + count):
            level = self._level_of(number)
            problem = self._tasks[level].problem("train", self._drawn[level])
            metadata = {**problem.metadata, self._config.dial: self._config.values[level]}
            problems.append(replace(problem, metadata=metadata))
            self._drawn[level] += 1
        return numbered(problems, first)

    def possible(self, draws: int) -> list[Problem]:
        return [problem for task in self._tasks for problem in first_problems(task, draws)]

    def record(self, step: int, groups: Sequence[Group]) -> None:
        value = self._config.values[self._level]
        current = [group for group in groups if group[0].problem.metadata[self._config.dial] == value]
        if not current:
            return
        right, tried = sum(map(passed, current)), sum(map(len, current))
        if self._window and self._window[-1][0] == step:
            _, *before = self._window.pop()
            right, tried = right + before[0], tried + before[1]
        self._window = [*self._window, (step, right, tried)][-self._config.window :]

    def metrics(self) -> Metrics:
        """curriculum/level (from 1), the dial's value, and the pass rate that decides, once there is one."""
        row: Metrics = {
            "curriculum/level": self._level + 1,
            f"curriculum/{self._config.dial}": self._config.values[self._level],
        }
        return row | ({"curriculum/pass_rate": self._pass_rate()} if self._window else {})

    def state_dict(self) -> dict[str, Any]:
        return {"level": self._level, "drawn": list(self._drawn), "window": [list(entry) for entry in self._window]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._level, self._drawn = state["level"], list(state["drawn"])
        self._window = [(step, right, tried) for step, right, tried in state["window"]]

    def _move(self) -> None:
        """Go up or down a level if the window is full and its pass rate says so."""
        if len(self._window) < self._config.window:
            return
        rate, level = self._pass_rate(), self._level
        if rate >= self._config.raise_at:
            level = min(level + 1, len(self._tasks) - 1)
        elif self._config.lower_at is not None and rate <= self._config.lower_at:
            level = max(level - 1, 0)
        if level != self._level:
            self._level, self._window = level, []

    def _pass_rate(self) -> float:
        return sum(right for _, right, _ in self._window) / sum(tried for _, _, tried in self._window)

    def _level_of(self, number: int) -> int:
        """The level of draw ``number``: the current one, or by chance an earlier one."""
        if not self._level or not self._config.earlier:
            return self._level
        rng = generator(self._seed, "curriculum", self._tasks[0].name, number)
        return rng.randrange(self._level) if rng.random() < self._config.earlier else self._level
