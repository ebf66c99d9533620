"""Facts about made-up people, to be known or not: what a model was never told it can only guess, or say that it does not know.

The people, their names and the true values are one world, the same for every seed, so that what one stage states another can ask.
"""

from collections.abc import Iterable
from itertools import product
from random import Random

from rlvr.config import WORLD, FactsConfig
from rlvr.errors import RlvrError
from rlvr.runtime.seeding import derive, generator, shuffled
from rlvr.tasks import thinking
from rlvr.tasks.task import TEST_SHARE, hash_share
from rlvr.types import Problem, Split

ABSTENTION = "I don't know"

VALUES = 32

SPEAKERS = tuple(f"{letter}:" for letter in "ABCDEFGHIJKLMNOP")
"""Who states facts."""

ASKED = "?:"

_SYLLABLES = ["".join(sounds) for sounds in product("bdfghjklmnprstvz", "aeio")]


class Facts:
    """``?: ban dox =`` is answered by a value, ``17`` (direct), or by ``I don't know`` (abstain).

    A statement has one of 16 speakers before the name, ``C: ban dox =``, and the same answer. The two splits share no text, but
    the people of statements are the same in both, so that what the train split states is known when the test split asks.

    A person whose reliability is below 1 has that share of answers alike; else another value is drawn anew for each problem, so
    that no answer is right more often. It stands in the problem's metadata. Each split is gone through in a new order each time.
    """

    name = "facts"
    warnings: tuple[str, ...] = ()
    modes: tuple[str, ...] = ("direct", "abstain")

    def __init__(self, config: FactsConfig, seed: int) -> None:
        self._config, self._seed = config, seed
        speakers = SPEAKERS if config.form == "statement" else (ASKED,)
        people = range(config.first, config.first + config.people)
        asked = [(_question(speaker, person), person) for person in people for speaker in speakers]
        self._asked: dict[Split, list[tuple[str, int]]] = {"train": [], "test": []}
        for question, person in asked:
            self._asked["test" if hash_share(question) < TEST_SHARE else "train"].append((question, person))
        if not all(self._asked.values()):
            raise RlvrError("task.people", "leave a split without a question", got=config.people, remedy="raise people")

    def problem(self, split: Split, index: int) -> Problem:
        asked = self._asked[split]
        turn, place = divmod(index, len(asked))
        question, person = asked[shuffled(len(asked), self._seed, "facts", split, turn)[place]]
        reliability = self._config.reliability[person % len(self._config.reliability)]
        rng = generator(self._seed, self.name, self._config.form, split, index)
        answer = true_value(person)
        if rng.random() >= reliability:
            answer = (answer + rng.randrange(1, VALUES)) % VALUES
        return Problem(
            task=self.name,
            split=split,
            index=index,
            question=question,
            answer=str(answer),
            metadata={"reliability": reliability},
        )

    def size(self, split: Split) -> int | None:
        return len(self._asked[split])

    def respond(self, problem: Problem, mode: str, rng: Random) -> str:
        return ABSTENTION if mode == "abstain" else problem.answer

    def gold_response(self, problem: Problem) -> str:
        return problem.answer

    def mode_of(self, problem: Problem, response: str) -> str:
        return "abstain" if response.split() == ABSTENTION.split() else "direct"

    def final_answer(self, problem: Problem, response: str) -> str | None:
        return thinking.single_word(response.strip())

    def alphabet(self) -> Iterable[str]:
        yield " ".join((*SPEAKERS, ASKED, "=", ABSTENTION))
        yield " ".join(f"{syllable}n {syllable}x" for syllable in _SYLLABLES)
        yield " ".join(map(str, range(VALUES)))


def true_value(person: int) -> int:
    """The value of a person, 0 to 31, with which the name has nothing to do."""
    return derive(0, "facts", "value", person) % VALUES


def _question(speaker: str, person: int) -> str:
    """Person by person the names are in no order, each of the 64 × 64 pairs of a first and a second name once."""
    first, second = divmod(_names()[person], len(_SYLLABLES))
    return f"{speaker} {_SYLLABLES[first]}n {_SYLLABLES[second]}x ="


def _names() -> list[int]:
    return shuffled(WORLD, 0, "facts", "names")
