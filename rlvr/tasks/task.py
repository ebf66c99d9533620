"""What a task is, and what all generated tasks share: a split that cannot overlap."""

import hashlib
from collections.abc import Callable, Iterable
from random import Random
from typing import Protocol, TypeVar, runtime_checkable

from rlvr.errors import RlvrError
from rlvr.runtime.seeding import generator
from rlvr.types import Problem, Split

TEST_SHARE = 1 / 8
"""Share of a generated task's question space that belongs to the test split."""

_ATTEMPTS = 10_000

Content = TypeVar("Content")


class Task(Protocol):
    """Problems and ways of answering them."""

    name: str
    modes: tuple[str, ...]
    """Ways of answering that ``respond`` writes and ``mode_of`` recognises."""
    warnings: tuple[str, ...]
    """What a user should know about these problems before they are used."""

    def problem(self, split: Split, index: int) -> Problem:
        """Problem number ``index`` of a split; depends on (seed, split, index) only."""
        ...

    def size(self, split: Split) -> int | None:
        """How many different problems a split has; None for tasks that generate them without end."""
        ...

    def respond(self, problem: Problem, mode: str, rng: Random) -> str:
        """A demonstrator's response in a mode, with the errors the task is set to make."""
        ...

    def gold_response(self, problem: Problem) -> str:
        """A response without errors, which the task's own reward must accept."""
        ...

    def mode_of(self, problem: Problem, response: str) -> str:
        """The mode in which a response to a problem, good or bad, is written."""
        ...

    def final_answer(self, problem: Problem, response: str) -> str | None:
        """The one answer that a response to a problem gives, or None if it gives none or more than one."""
        ...

    def alphabet(self) -> Iterable[str]:
        """Texts that together hold every character, and if questions are made of words every word, of any problem."""
        ...


@runtime_checkable
class KnowsWhatMatters(Protocol):
    """A task that can say which parts of a response its reward can depend on."""

    def relevant(self, response: str) -> list[tuple[int, int]]:
        """Where they stand, as spans of characters, each from its first to before its end."""
        ...


def available(task: Task, split: Split, wanted: int) -> int:
    """How many different problems of a split there are to use: those wanted, or all if there are fewer."""
    size = task.size(split)
    return wanted if size is None else min(wanted, size)


def name_of(problem: Problem) -> str:
    """A problem as an error message names it."""
    line = f", line {problem.metadata['line']}" if "line" in problem.metadata else ""
    return f"problem {problem.index} of {problem.task}{line} ({problem.question[:60]!r})"


def hash_share(question: str) -> float:
    """A number in [0, 1) that a question's text alone decides; below the test share it belongs to the test split."""
    digest = hashlib.blake2b(question.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def draw_digits(
    modulus: int, length: int, write: Callable[[list[int]], str], *, task: str, seed: int, split: Split, index: int
) -> Problem:
    """The problem of adding up so many digits modulo M; write: its question."""
    digits = draw_question(
        lambda rng: [rng.randrange(modulus) for _ in range(length)],
        write,
        task=task,
        seed=seed,
        split=split,
        index=index,
    )
    return Problem(task=task, split=split, index=index, question=write(digits), answer=str(sum(digits) % modulus))


def require_splittable(modulus: int, length: int) -> None:
    """Raise RlvrError if there are too few rows of so many digits modulo M to split."""
    if modulus**length < 64:
        raise RlvrError(
            "task.length",
            f"{modulus}^{length} problems are too few to split",
            got=length,
            remedy="raise length or modulus to have at least 64",
        )


def draw_question(
    draw: Callable[[Random], Content],
    write: Callable[[Content], str],
    *,
    task: str,
    seed: int,
    split: Split,
    index: int,
    test_share: float = TEST_SHARE,
    attempts: int = _ATTEMPTS,
) -> Content:
    """Draw from a generator of its own until the question falls into the split.

    draw: makes one question's content. write: its text, which alone decides the split.
    Raises RlvrError if the space of questions is so small that the split is empty.
    """
    rng = generator(seed, task, split, index)
    for _ in range(attempts):
        content = draw(rng)
        if (hash_share(write(content)) < test_share) == (split == "test"):
            return content
    raise RlvrError(f"task {task}", f"has no question in the {split} split", remedy="make the task larger")
