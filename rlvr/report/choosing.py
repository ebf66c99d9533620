"""Which rollouts of a step are read, and in which order: by what went wrong, by mode, by words, by problem."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import NoneType
from typing import Any

from rlvr.errors import RlvrError
from rlvr.report.runs import Run
from rlvr.runtime.written import NUMBER, Fields

SHOWN: Fields = {
    "index": int,
    "question": str,
    "answer": str,
    "completion": str,
    "mode": str,
    "token_ids": list,
    "reward": NUMBER,
    "advantage": (*NUMBER, NoneType),
    "correct": bool,
}
"""What is shown of a rollout in a list; files of every version have it."""

Record = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Step:
    """The rollouts of one step as their file has them, in its order."""

    run: Run
    number: int
    records: list[Record]


def open_step(run: Run, number: int) -> Step:
    """Read one step's file and no other. RlvrError if it is not there, or damaged."""
    return Step(run=run, number=number, records=run.rollouts(number, SHOWN))


def uncertainty(record: Record) -> float | None:
    """Mean entropy of a rollout's tokens, in nats; None where it was not recorded."""
    entropies = record.get("entropies")
    if not isinstance(entropies, list):
        return None
    known = [value for value in entropies if isinstance(value, NUMBER)]
    return sum(known) / len(known) if known else None


def _wrong_rewarded(record: Record) -> bool:
    return not record["correct"] and record["reward"] > 0


def _every(_record: Record) -> bool:
    return True


WHICH: dict[str, Callable[[Record], bool]] = {
    "wrong-rewarded": _wrong_rewarded,
    "wrong": lambda record: not record["correct"],
    "right": lambda record: record["correct"],
    "longest": _every,
    "uncertain": lambda record: uncertainty(record) is not None,
}
"""Every filter by name, and what it lets through."""

FIRST: dict[str, Callable[[Record], float]] = {
    "wrong-rewarded": lambda record: record["reward"],
    "longest": lambda record: len(record["token_ids"]),
    "uncertain": lambda record: uncertainty(record) or 0.0,
}
"""The filters that also sort: what is highest comes first."""


WORDS = {"wrong-rewarded": "wrong but rewarded", "longest": "longest first", "uncertain": "most uncertain first"}


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What is asked for; None and "" ask for nothing. only: a name of ``WHICH``. search: in question or completion, in any case."""

    only: str | None = None
    mode: str | None = None
    search: str = ""
    problem: int | None = None

    def __post_init__(self) -> None:
        if self.only is not None and self.only not in WHICH:
            raise RlvrError("--only", "unknown filter", got=self.only, allowed=", ".join(WHICH))

    def words(self) -> str:
        """The choice in words, empty where everything is shown."""
        parts = [] if self.only is None else [WORDS.get(self.only, self.only)]
        parts += [] if self.mode is None else [f"mode {self.mode}"]
        parts += [f"with “{self.search}”"] if self.search else []
        parts += [] if self.problem is None else [f"problem {self.problem}"]
        return ", ".join(parts)


def chosen(records: Sequence[Record], choice: Choice) -> list[int]:
    """The lines (from 0) that a choice lets through, in the file's order or, where the filter sorts, highest first."""
    lines = [line for line, record in enumerate(records) if _passes(record, choice)]
    first = FIRST.get(choice.only or "")
    return lines if first is None else sorted(lines, key=lambda line: -first(records[line]))


def _passes(record: Record, choice: Choice) -> bool:
    text = choice.search.casefold()
    return (
        (choice.only is None or WHICH[choice.only](record))
        and (choice.mode is None or record["mode"] == choice.mode)
        and (choice.problem is None or record["index"] == choice.problem)
        and (not text or text in record["question"].casefold() or text in record["completion"].casefold())
    )


@dataclass(frozen=True, kw_only=True)
class Group:
    """The rollouts of one problem in one step. lines: those chosen; the figures are of all ``count`` of them."""

    index: int
    question: str
    answer: str
    lines: list[int]
    count: int
    right: int
    reward: float
    modes: dict[str, int]


def groups_of(records: Sequence[Record], lines: Sequence[int]) -> list[Group]:
    """The problems of the chosen lines, in the order in which they come first."""
    own: dict[int, list[int]] = {}
    for line in lines:
        own.setdefault(records[line]["index"], []).append(line)
    members: dict[int, list[Record]] = {index: [] for index in own}
    for record in records:
        if record["index"] in members:
            members[record["index"]].append(record)
    return [_group(members[index], chosen_lines) for index, chosen_lines in own.items()]


def _group(members: Sequence[Record], lines: list[int]) -> Group:
    first = members[0]
    return Group(
        index=first["index"],
        question=first["question"],
        answer=first["answer"],
        lines=lines,
        count=len(members),
        right=sum(record["correct"] for record in members),
        reward=sum(record["reward"] for record in members) / len(members),
        modes=dict(Counter(record["mode"] for record in members).most_common()),
    )


def modes_in(records: Sequence[Record]) -> list[str]:
    """The modes of a step, most frequent first."""
    return [mode for mode, _ in Counter(record["mode"] for record in records).most_common()]


def filters_for(records: Sequence[Record]) -> list[str]:
    """The filters that a step's rollouts can be put through: without entropies there is no ``uncertain``."""
    known = any(uncertainty(record) is not None for record in records)
    return [name for name in WHICH if known or name != "uncertain"]


def lines_of(records: Sequence[Record], index: int) -> list[int]:
    """The lines of one problem."""
    return chosen(records, Choice(problem=index))


def same_problem(step: Step, group: Group) -> Group | None:
    """The problem of a group in a step: the same number and the same question. None if the step does not have it."""
    lines = lines_of(step.records, group.index)
    found = groups_of(step.records, [line for line in lines if step.records[line]["question"] == group.question])
    return found[0] if found else None


Place = tuple[Run, int]
"""A run and one of its steps that has rollouts."""


def places(step: Step, runs: Sequence[Run]) -> list[Place]:
    """Where a problem of a step may be found again: other steps of its run in order, then those of the other runs."""
    own = [(step.run, number) for number in step.run.rollout_steps() if number != step.number]
    return own + [(run, number) for run in runs if run.path != step.run.path for number in run.rollout_steps()]


def likeliest(step: Step, found: Sequence[Place]) -> list[Place]:
    """The places in the order in which they are worth a look: the steps before it, nearest first, the first; then the others."""
    parted: dict[bool, list[Place]] = {True: [], False: []}
    for run, number in found:
        parted[run is step.run and number < step.number].append((run, number))
    before, later = parted[True], parted[False]
    return [before[-1], *before[:-1][:1], *before[-2:0:-1], *later] if before else later
