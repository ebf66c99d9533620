"""Sums modulo M in strides of free length: forks, where the length is chosen, among tokens that follow from it.

Short strides can be learned, long ones are the parity of many digits at once, which takes a small model long (see modsum), or which nobody can
learn since its demonstrators only guess. Whether an answer is right is so decided by few tokens, the forks, as is said of large
models (Wang et al., arXiv:2506.01939).
"""

from collections.abc import Iterable, Sequence
from random import Random

from rlvr.config import StridesConfig
from rlvr.tasks.task import draw_digits, require_splittable
from rlvr.types import Problem, Split

BLANK = "."
"""Stands for what is not written of a stride, so that every response is as long as its question."""

TAKE = "take"
"""Begins the words that choose a stride."""


class Strides:
    """``1 + 0 + 1 =`` is answered ``take2 . . 1 take1 0``: each stride is chosen, then blanks, then the running sum.

    The last running sum is the answer. A stride of n digits has 2n words, as many as its digits have in the question.
    """

    name = "strides"
    modes: tuple[str, ...] = ("careful", "free")
    warnings: tuple[str, ...] = ()

    def __init__(self, config: StridesConfig, seed: int) -> None:
        self._config, self._seed = config, seed
        self._long = [f"{TAKE}{stride}" for stride in config.strides if stride > 1]
        require_splittable(config.modulus, config.length)

    def problem(self, split: Split, index: int) -> Problem:
        modulus, length = self._config.modulus, self._config.length
        return draw_digits(modulus, length, _question, task=self.name, seed=self._seed, split=split, index=index)

    def size(self, split: Split) -> int | None:
        return None

    def respond(self, problem: Problem, mode: str, rng: Random) -> str:
        if mode == "careful":
            return self.gold_response(problem)
        chosen = self._drawn(len(_digits(problem)), rng)
        while set(chosen) == {1}:
            chosen = self._drawn(len(_digits(problem)), rng)
        return self._write(problem, chosen, rng if self._config.guessed else None)

    def gold_response(self, problem: Problem) -> str:
        return self._write(problem, [1] * len(_digits(problem)))

    def mode_of(self, problem: Problem, response: str) -> str:
        return "free" if any(word in response.split() for word in self._long) else "careful"

    def final_answer(self, problem: Problem, response: str) -> str | None:
        """The last word, unless a stride was begun and not finished."""
        last = response.split()[-1:]
        return None if not last or last[0] == BLANK or last[0].startswith(TAKE) else last[0]

    def alphabet(self) -> Iterable[str]:
        yield " ".join(str(digit) for digit in range(self._config.modulus)) + f" + = {BLANK}"
        yield " ".join(f"{TAKE}{stride}" for stride in self._config.strides)

    def _drawn(self, left: int, rng: Random) -> list[int]:
        """Strides over so many digits, each drawn among those that fit."""
        chosen: list[int] = []
        while left:
            chosen.append(rng.choice([stride for stride in self._config.strides if stride <= left]))
            left -= chosen[-1]
        return chosen

    def _write(self, problem: Problem, chosen: list[int], guess: Random | None = None) -> str:
        """The response that takes the digits in these strides. guess: what the sum after the longest is drawn from; None to add it up."""
        words, taken, total, digits = [], 0, 0, _digits(problem)
        for stride in chosen:
            total = (total + sum(digits[taken : taken + stride])) % self._config.modulus
            if guess is not None and stride == max(self._config.strides):
                total = guess.randrange(self._config.modulus)
            taken += stride
            words += [f"{TAKE}{stride}", *[BLANK] * (2 * stride - 2), str(total)]
        return " ".join(words)


def choices_left(words: Sequence[str], length: int, strides: Sequence[int]) -> list[int | None]:
    """How many strides could have been chosen at each word of a response to ``length`` digits; None for words that choose none.

    A fork is where there are two or more.

    >>> choices_left(["take2", ".", ".", "1", "take1", "0"], 3, [1, 2])
    [2, None, None, None, 1, None]
    """
    taking = {f"{TAKE}{stride}": stride for stride in strides}
    left, found = length, list[int | None]()
    for word in words:
        found.append(sum(stride <= left for stride in strides) if word in taking else None)
        left -= taking.get(word, 0)
    return found


def _digits(problem: Problem) -> list[int]:
    return [int(word) for word in problem.question.split()[::2]]


def _question(digits: list[int]) -> str:
    return " + ".join(map(str, digits)) + " ="
