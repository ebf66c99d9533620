"""Sums modulo M: direct guesses, or chains of running sums.

Parity (M = 2) of many bits is hard to learn in one step from few examples and easy one digit at a time, so the chain
mode is right where the direct mode guesses (Tsilivis et al., arXiv:2510.11495, untagged; the tag is our variant).
"""

from collections.abc import Iterable
from random import Random

from rlvr.config import ModsumConfig
from rlvr.runtime.seeding import generator
from rlvr.tasks import thinking
from rlvr.tasks.task import draw_digits, require_splittable
from rlvr.types import Problem, Split

DISTRACTORS = tuple(f"~{i}" for i in range(16))


class Modsum:
    """``1 0 1 =`` is answered ``0`` (direct) or ``<think> 1 1 0 </think> 0`` (cot; every k-th sum: leapk).

    Announced, a chain says first how it goes: ``<think> by1 1 1 0 </think> 0``. Untagged, it stands alone and its last word
    answers: ``1 1 0``. A chain of any length is taken for the mode whose own length is nearest. With empty thoughts a direct
    answer is written ``<think> </think> 0``.
    """

    name = "modsum"
    warnings: tuple[str, ...] = ()

    def __init__(self, config: ModsumConfig, seed: int) -> None:
        self._config, self._seed = config, seed
        self._leaps = {("cot" if leap == 1 else f"leap{leap}"): leap for leap in config.leaps}
        self.modes: tuple[str, ...] = ("direct", *self._leaps)
        self._words = {mode: f"by{leap}" for mode, leap in self._leaps.items()} if config.announced else {}
        pairs = [(total, digit) for total in range(config.modulus) for digit in range(config.modulus)]
        # Which pairs a biased demonstrator gets wrong is the same for every seed, so that stages agree.
        self._wrong_pairs = set(generator(0, "biased", config.modulus).sample(pairs, config.wrong_pairs))
        require_splittable(config.modulus, config.length)

    def problem(self, split: Split, index: int) -> Problem:
        modulus, length = self._config.modulus, self._config.length
        return draw_digits(modulus, length, _question, task=self.name, seed=self._seed, split=split, index=index)

    def size(self, split: Split) -> int | None:
        return None

    def respond(self, problem: Problem, mode: str, rng: Random) -> str:
        free = [rng.choice(DISTRACTORS) for _ in range(self._config.distractors)]
        return " ".join([*free, self._write(self._sums(problem, rng), mode)])

    def gold_response(self, problem: Problem) -> str:
        return self._write(self._sums(problem, None), self.modes[-1])

    def mode_of(self, problem: Problem, response: str) -> str:
        text = self._without_distractors(response)
        thoughts = thinking.split(text)[0] if self._config.tagged else text
        if thoughts is None:
            return "direct"
        written = thoughts.split()
        if written and written[0] in self._words.values():
            written.pop(0)  # what counts is what it does
        length = len(problem.question.split()) - 1
        lengths = {mode: -(-length // leap) for mode, leap in self._leaps.items()}
        if not self._config.tagged:
            lengths["direct"] = 1
        if self._config.empty_thoughts:
            lengths["direct"] = 0
        return min(lengths, key=lambda mode: abs(lengths[mode] - len(written)))

    def final_answer(self, problem: Problem, response: str) -> str | None:
        text = self._without_distractors(response)
        if not self._config.tagged:
            return text.split()[-1] if text else None
        return thinking.single_word(thinking.split(text)[1])

    def alphabet(self) -> Iterable[str]:
        yield " ".join(str(digit) for digit in range(self._config.modulus)) + " ="
        if self._words:
            yield " ".join(self._words.values())
        if self._config.distractors:
            yield " ".join(DISTRACTORS)

    def relevant(self, response: str) -> list[tuple[int, int]]:
        """All but the distractors before the response."""
        start = len(response) - len(response.lstrip())
        for word in response.split():
            if word not in DISTRACTORS:
                break
            start += len(word)
            start += len(response[start:]) - len(response[start:].lstrip())
        return [(start, len(response))]

    def _write(self, sums: list[int], mode: str) -> str:
        """The response of a demonstrator who found these running sums."""
        if mode == "direct":
            return thinking.wrap("", str(sums[-1])) if self._config.empty_thoughts else str(sums[-1])
        leap = self._leaps[mode]
        chain = sums[leap - 1 :: leap]
        if len(sums) % leap:
            chain.append(sums[-1])
        thoughts = " ".join([*([self._words[mode]] if self._words else []), *map(str, chain)])
        return thinking.wrap(thoughts, str(sums[-1])) if self._config.tagged else thoughts

    def _sums(self, problem: Problem, rng: Random | None) -> list[int]:
        """Running sums; with a generator, as the demonstrator gets them, errors carried on."""
        total, sums = 0, []
        for word in problem.question.split()[:-1]:
            digit = int(word)
            wrong = rng is not None and self._errs(total, digit, rng)
            total = (total + digit) % self._config.modulus
            if wrong and rng is not None:
                total = (total + rng.randrange(1, self._config.modulus)) % self._config.modulus
            sums.append(total)
        return sums

    def _errs(self, total: int, digit: int, rng: Random) -> bool:
        """Whether the demonstrator errs at this step: by chance, or because it always errs on this pair."""
        if not self._config.error_rate:
            return False
        if self._config.error_kind == "biased":
            return (total, digit) in self._wrong_pairs
        return rng.random() < self._config.error_rate

    def _without_distractors(self, response: str) -> str:
        words = response.split()
        while words and words[0] in DISTRACTORS:
            words.pop(0)
        return " ".join(words)


def _question(digits: list[int]) -> str:
    return " ".join(str(digit) for digit in digits) + " ="
