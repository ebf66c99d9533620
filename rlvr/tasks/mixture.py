"""Several tasks at once, in fixed proportions."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from random import Random

from rlvr.tasks.task import Task
from rlvr.types import Problem, Split


class Member:
    """A task under the name that it has in a mixture; its problems go by that name.

    grader: the one component that grades its problems, where they do not name one themselves; None for all.
    """

    def __init__(self, name: str, task: Task, grader: str | None = None) -> None:
        self.name, self.modes, self.warnings = name, task.modes, task.warnings
        self._task, self._grader = task, grader

    def problem(self, split: Split, index: int) -> Problem:
        problem = replace(self._task.problem(split, index), task=self.name)
        if self._grader is None:
            return problem
        return replace(problem, metadata={"grader": self._grader, **problem.metadata})

    def size(self, split: Split) -> int | None:
        return self._task.size(split)

    def respond(self, problem: Problem, mode: str, rng: Random) -> str:
        return self._task.respond(problem, mode, rng)

    def gold_response(self, problem: Problem) -> str:
        return self._task.gold_response(problem)

    def mode_of(self, problem: Problem, response: str) -> str:
        return self._task.mode_of(problem, response)

    def final_answer(self, problem: Problem, response: str) -> str | None:
        return self._task.final_answer(problem, response)

    def alphabet(self) -> Iterable[str]:
        return self._task.alphabet()


class Mixture:
    """Problems of several tasks, each task's in its own order, as many of each as its weight says.

    The shares are kept to within one problem at every index, by no chance (``most_due``). In the train split a member
    without further problems starts over; in the test split it leaves its share to the others, while they have any.
    ``modes``: those that every member has.
    """

    name = "mixture"

    def __init__(self, members: Mapping[str, Task], weights: Mapping[str, float]) -> None:
        self._members, self._weights = dict(members), dict(weights)
        first, *others = self._members.values()
        self.modes = tuple(mode for mode in first.modes if all(mode in other.modes for other in others))
        self.warnings = tuple(warning for member in self._members.values() for warning in member.warnings)
        self._order: dict[Split, list[tuple[str, int]]] = {"train": [], "test": []}
        self._counts: dict[Split, dict[str, int]] = {s: dict.fromkeys(self._members, 0) for s in self._order}

    def problem(self, split: Split, index: int) -> Problem:
        while len(self._order[split]) <= index:
            self._extend(split)
        name, own = self._order[split][index]
        return replace(self._members[name].problem(split, own), index=index)

    def size(self, split: Split) -> int | None:
        sizes = [member.size(split) for member in self._members.values()]
        return None if None in sizes else sum(size for size in sizes if size is not None)

    def respond(self, problem: Problem, mode: str, rng: Random) -> str:
        return self._members[problem.task].respond(problem, mode, rng)

    def gold_response(self, problem: Problem) -> str:
        return self._members[problem.task].gold_response(problem)

    def mode_of(self, problem: Problem, response: str) -> str:
        return self._members[problem.task].mode_of(problem, response)

    def final_answer(self, problem: Problem, response: str) -> str | None:
        return self._members[problem.task].final_answer(problem, response)

    def alphabet(self) -> Iterable[str]:
        for member in self._members.values():
            yield from member.alphabet()

    def _extend(self, split: Split) -> None:
        counts = self._counts[split]
        weights = self._weights
        if split == "test":
            more = {name: weight for name, weight in weights.items() if self._has_more(name, counts[name])}
            weights = more or weights
        name = most_due(weights, counts)
        self._order[split].append((name, counts[name]))
        counts[name] += 1

    def _has_more(self, name: str, used: int) -> bool:
        size = self._members[name].size("test")
        return size is None or used < size


def most_due(weights: Mapping[str, float], counts: Mapping[str, int]) -> str:
    """The name that is furthest behind its share of one more; of equals the first.

    >>> most_due({"a": 2.0, "b": 1.0}, {"a": 1, "b": 0})
    'b'
    """
    total, after = sum(weights.values()), sum(counts[name] for name in weights) + 1
    return max(weights, key=lambda name: weights[name] / total * after - counts[name])
