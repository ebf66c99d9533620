"""Problems of several sources, in fixed proportions."""

from collections.abc import Mapping, Sequence
from typing import Any

from rlvr.curriculum.source import ProblemSource, numbered
from rlvr.tasks.mixture import most_due
from rlvr.types import Group, Metrics, Problem


class Mixed:
    """The sources' problems, as many of each as its weight says, to within one problem at every draw.

    Groups are recorded with the source whose name their problem's ``task`` is.
    """

    def __init__(self, sources: Mapping[str, ProblemSource], weights: Mapping[str, float]) -> None:
        self._sources, self._weights = dict(sources), dict(weights)
        self._counts = dict.fromkeys(self._sources, 0)

    def next(self, step: int, count: int) -> list[Problem]:
        first, turns = sum(self._counts.values()), []
        for _ in range(count):
            turns.append(most_due(self._weights, self._counts))
            self._counts[turns[-1]] += 1
        drawn = {name: iter(source.next(step, turns.count(name))) for name, source in self._sources.items()}
        return numbered([next(drawn[name]) for name in turns], first)

    def possible(self, draws: int) -> list[Problem]:
        return [problem for source in self._sources.values() for problem in source.possible(draws)]

    def record(self, step: int, groups: Sequence[Group]) -> None:
        for name, source in self._sources.items():
            source.record(step, [group for group in groups if group[0].problem.task == name])

    def metrics(self) -> Metrics:
        """Each source's, under ``task/<name>/``."""
        return {
            f"task/{name}/{key}": value
            for name, source in self._sources.items()
            for key, value in source.metrics().items()
        }

    def state_dict(self) -> dict[str, Any]:
        sources = {name: source.state_dict() for name, source in self._sources.items()}
        return {"counts": dict(self._counts), "sources": sources}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._counts = dict(state["counts"])
        for name, source in self._sources.items():
            source.load_state_dict(state["sources"][name])
