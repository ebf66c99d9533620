"""The product of a word over a permutation group, which no shallow circuit finds when the group is not solvable.

Word problems of A5 and S5 are complete for NC1 (Barrington 1989); a transformer of fixed depth must write the prefix
products down (Liu et al., arXiv:2210.10749). S3 is solvable and easier.
"""

from collections.abc import Iterable
from itertools import permutations
from random import Random

from rlvr.config import WordsConfig
from rlvr.tasks import thinking
from rlvr.tasks.task import draw_question
from rlvr.types import Problem, Split

Permutation = tuple[int, ...]

FILLER, BLANK = "...", "?"


class Words:
    """``p213 p132 =`` is answered by the product ``p312`` (direct) or by every prefix product first (cot).

    ``p231`` maps 1 to 2, 2 to 3 and 3 to 1. The product applies the left factor first. Mode filler writes ``...`` in
    place of each prefix product: as many tokens as cot, without what they say. With a hidden factor, ``p213 ? =``, the
    answer is still of the whole word; nobody can work it out, so there is no mode cot.
    """

    name = "words"
    warnings: tuple[str, ...] = ()

    def __init__(self, config: WordsConfig, seed: int) -> None:
        self._config, self._seed = config, seed
        self._elements = group_elements(config.group)
        self._by_name = {element_name(p): p for p in self._elements}
        self.modes: tuple[str, ...] = ("direct", "cot", "filler") if config.hidden is None else ("direct", "filler")

    def problem(self, split: Split, index: int) -> Problem:
        size = self.size(split)
        word = draw_question(
            lambda rng: [rng.choice(self._elements) for _ in range(self._config.length)],
            self._question,
            task=self.name,
            seed=self._seed
            if size is None
            else 0,  # so that all stages go through the same problems, whatever their seed
            split=split,
            index=index if size is None else index % size,
        )
        answer = element_name(_prefix_products(word)[-1])
        return Problem(task=self.name, split=split, index=index, question=self._question(word), answer=answer)

    def size(self, split: Split) -> int | None:
        return self._config.training_problems if split == "train" else None

    def respond(self, problem: Problem, mode: str, rng: Random) -> str:
        if mode == "direct":
            return problem.answer
        if mode == "filler":
            return thinking.wrap(" ".join([FILLER] * len(_factors(problem))), problem.answer)
        return self.gold_response(problem)

    def gold_response(self, problem: Problem) -> str:
        if self._config.hidden is not None:
            return problem.answer
        word = [self._by_name[name] for name in _factors(problem)]
        return thinking.wrap(" ".join(element_name(p) for p in _prefix_products(word)), problem.answer)

    def mode_of(self, problem: Problem, response: str) -> str:
        thoughts = thinking.split(response)[0]
        if thoughts is None:
            return "direct"
        return "filler" if set(thoughts.split()) == {FILLER} else "cot"

    def final_answer(self, problem: Problem, response: str) -> str | None:
        return thinking.single_word(thinking.split(response)[1])

    def alphabet(self) -> Iterable[str]:
        yield f"{' '.join(self._by_name)} {BLANK} = {FILLER}"

    def _question(self, word: list[Permutation]) -> str:
        names = [element_name(p) for p in word]
        if self._config.hidden is not None:
            names[self._config.hidden - 1] = BLANK
        return " ".join(names) + " ="


def group_elements(group: str) -> list[Permutation]:
    """All elements of S3, S5 or A5 as tuples: entry i is the image of i."""
    everything = list(permutations(range(int(group[1]))))
    return [p for p in everything if group[0] == "S" or is_even(p)]


def is_even(p: Permutation) -> bool:
    """Whether a permutation has an even number of inversions."""
    return sum(p[i] > p[j] for j in range(len(p)) for i in range(j)) % 2 == 0


def product(first: Permutation, then: Permutation) -> Permutation:
    """The permutation that applies ``first`` and after it ``then``."""
    return tuple(then[image] for image in first)


def element_name(p: Permutation) -> str:
    """``p`` and the images of 1, 2, …"""
    return "p" + "".join(str(image + 1) for image in p)


def _prefix_products(word: list[Permutation]) -> list[Permutation]:
    products = [word[0]]
    for element in word[1:]:
        products.append(product(products[-1], element))
    return products


def _factors(problem: Problem) -> list[str]:
    """The names in a question, and the blank."""
    return problem.question.split()[:-1]
