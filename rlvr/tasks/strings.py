"""Functions of strings, one after another: each is easy alone, and what is to be learnt is to carry on with the next.

After the string functions of Yuan, Chen et al. (arXiv:2509.25123), here of fixed length and few letters, for small models.
"""

from collections.abc import Callable, Iterable
from itertools import combinations
from random import Random

from rlvr.config import StringsConfig
from rlvr.tasks import thinking
from rlvr.tasks.task import draw_question
from rlvr.types import Problem, Split

LETTERS = "bcdefghijklmnopqrstuvwxyz"
"""Without ``a``, which graders of text take for an article."""

String = tuple[int, ...]
"""Letters by number."""

FUNCTIONS: dict[str, Callable[[String, int], String]] = {
    "f0": lambda s, _: s[::-1],  # reverse
    "f1": lambda s, _: (*s[1:], s[0]),  # rotate left
    "f2": lambda s, letters: tuple((letter + 1) % letters for letter in s),  # each letter's next
    "f3": lambda s, _: (s[0], s[0], *s[2:]),  # double the first
    "f4": lambda s, _: (s[-1], *s[1:-1], s[0]),  # swap the ends
    "f5": lambda s, _: (s[-1], *s[:-1]),  # rotate right
    "f6": lambda s, letters: tuple((letter - 1) % letters for letter in s),  # each letter's previous
    "f7": lambda s, _: (*s[:-2], s[-1], s[-1]),  # double the last
}
"""A string and the number of letters there are -> a string as long."""

_NAMES = tuple(FUNCTIONS)
GROUPS = {"A": _NAMES[:4], "B": _NAMES[4:], "all": _NAMES}

BLANK, NEXT = ".", "="


class Strings:
    """``f0 . f2 . b c d e``, reverse and then take each letter's next, is answered ``f e d c`` (direct) or line by line first (cot).

    Each line is the problem that is left when the first place has been dealt with: its function applied, or nothing done at a dot.
    ``<think> . f2 . . e d c b = f2 . . . e d c b = . . . . f e d c </think> f e d c``. The functions of a problem are all different.
    """

    name = "strings"
    warnings: tuple[str, ...] = ()
    modes: tuple[str, ...] = ("direct", "cot")

    def __init__(self, config: StringsConfig, seed: int) -> None:
        self._config, self._seed = config, seed

    def problem(self, split: Split, index: int) -> Problem:
        words = draw_question(self._draw, " ".join, task=self.name, seed=self._seed, split=split, index=index)
        answer = " ".join(self._lines(words)[-1][self._config.places :])
        return Problem(task=self.name, split=split, index=index, question=" ".join(words), answer=answer)

    def size(self, split: Split) -> int | None:
        return None

    def respond(self, problem: Problem, mode: str, rng: Random) -> str:
        return problem.answer if mode == "direct" else self.gold_response(problem)

    def gold_response(self, problem: Problem) -> str:
        lines = [" ".join(line) for line in self._lines(problem.question.split())]
        return thinking.wrap(f" {NEXT} ".join(lines), problem.answer)

    def mode_of(self, problem: Problem, response: str) -> str:
        return "direct" if thinking.split(response)[0] is None else "cot"

    def final_answer(self, problem: Problem, response: str) -> str | None:
        words = (thinking.split(response)[1] or "").split()
        return " ".join(words) if len(words) == self._config.length else None

    def alphabet(self) -> Iterable[str]:
        yield " ".join([*LETTERS[: self._config.letters], *FUNCTIONS, BLANK, NEXT])

    def _draw(self, rng: Random) -> list[str]:
        """The words of a question: places with functions or dots, and the string."""
        config = self._config
        places = [BLANK] * config.places
        functions = rng.sample(GROUPS[config.functions], config.level)
        for place, function in zip(sorted(rng.sample(range(config.places), config.level)), functions, strict=True):
            places[place] = function
        return [*places, *(rng.choice(LETTERS[: config.letters]) for _ in range(config.length))]

    def _lines(self, question: list[str]) -> list[list[str]]:
        """What is left after each place, until no function is."""
        count = self._config.places
        places, string = question[:count], tuple(LETTERS.index(letter) for letter in question[count:])
        lines: list[list[str]] = []
        while set(places) != {BLANK}:
            if places[0] != BLANK:
                string = FUNCTIONS[places[0]](string, self._config.letters)
            places = [*places[1:], BLANK]
            lines.append([*places, *(LETTERS[letter] for letter in string)])
        return lines


def leaves_out(question: str, response: str, letters: int) -> bool:
    """Whether a response answers what the question's functions make of its string when at least one of them is left out.

    letters: how many there are. Such an answer can be right by chance, as where the function left out changes nothing.
    """
    words = question.split()
    functions = [word for word in words if word in FUNCTIONS]
    string = tuple(LETTERS.index(word) for word in words if word not in FUNCTIONS and word != BLANK)
    answer = (thinking.split(response)[1] or "").split()
    for count in range(len(functions)):
        for some in combinations(functions, count):
            made = string
            for function in some:
                made = FUNCTIONS[function](made, letters)
            if [LETTERS[letter] for letter in made] == answer:
                return True
    return False
