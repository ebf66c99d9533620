"""Problems of reasoning-gym's data sets, split by question so that train and test share none."""

from collections.abc import Iterable
from random import Random

from rlvr.config import GymConfig
from rlvr.errors import RlvrError
from rlvr.gym_entries import NUMBERS, UNSOUND, Entry, gym_entries
from rlvr.tasks import thinking
from rlvr.tasks.task import draw_question
from rlvr.types import Problem, Split

TEST_SHARE = 1 / 4
"""Share of the questions that belong to the test split: large, as every one that falls into the other split is made in vain."""

ATTEMPTS = 200
"""Entries that are made for one problem at most; with many different questions, so many never fall into one split."""

DIRECT_WORDS = 5
"""A response of at most so many words beside its tagged answer, without thoughts, answers at once."""

LOOKED_AT = 16
"""Problems whose questions are compared to see how many there are, and that stand for all in ``alphabet``."""

FEW = 12

OPEN, CLOSE = "<answer>", "</answer>"


class Gym:
    """Entry after entry of a data set, each drawn by a number of its own, which the metadata hold with its configuration.

    ``direct`` writes the gold answer. No worked solutions are known, so ``cot`` is only recognised: thoughts, or more than a
    few words beside the answer. Raises RlvrError for a data set without gold answers, and like ``GymEntries``.
    """

    name = "gym"
    modes: tuple[str, ...] = ("direct",)

    def __init__(self, config: GymConfig, seed: int) -> None:
        self._config, self._seed = config, seed
        self._entries = gym_entries(config.dataset, config.config, config.level)
        warnings = (
            [f"gym {config.dataset} is a data set {UNSOUND[config.dataset]}"] if config.dataset in UNSOUND else []
        )
        different = len({self.problem("train", index).question for index in range(LOOKED_AT)})
        if different < FEW:
            warnings.append(
                f"gym {config.dataset} has few questions: of its first {LOOKED_AT}, {different} are different"
            )
        self.warnings: tuple[str, ...] = tuple(warnings)

    def problem(self, split: Split, index: int) -> Problem:
        number, entry = draw_question(
            self._draw,
            lambda drawn: str(drawn[1]["question"]),
            task=f"{self.name} {self._config.dataset}",
            seed=self._seed,
            split=split,
            index=index,
            test_share=TEST_SHARE,
            attempts=ATTEMPTS,
        )
        gold = self._entries.gold(entry)
        if gold is None:
            raise RlvrError(
                "task.dataset", f"{self._config.dataset} has no gold answers", remedy="choose another (docs/gym.md)"
            )
        source = {
            "dataset": self._config.dataset,
            "config": self._config.config,
            "level": self._config.level,
            "number": number,
        }
        return Problem(
            task=self.name,
            split=split,
            index=index,
            question="\n\n".join(part for part in (entry["question"], self._config.instruction) if part),
            answer=gold,
            metadata={"gym": source},
        )

    def size(self, split: Split) -> int | None:
        return None

    def respond(self, problem: Problem, mode: str, rng: Random) -> str:
        return self.gold_response(problem)

    def gold_response(self, problem: Problem) -> str:
        return f"{OPEN}{problem.answer}{CLOSE}" if OPEN in self._config.instruction else problem.answer

    def mode_of(self, problem: Problem, response: str) -> str:
        thoughts, rest = thinking.split(response)
        answer = _tagged(rest or "")
        words = len((rest or "").split()) - len((problem.answer if answer is None else answer).split())
        return "direct" if thoughts is None and words <= DIRECT_WORDS else "cot"

    def final_answer(self, problem: Problem, response: str) -> str | None:
        rest = thinking.split(response)[1] or ""
        answer = _tagged(rest)
        return (rest if answer is None else answer) or None

    def alphabet(self) -> Iterable[str]:
        yield " ".join(map(chr, range(33, 127)))
        for split in ("train", "test"):
            for index in range(LOOKED_AT):
                problem = self.problem(split, index)
                yield f"{problem.question} {self.gold_response(problem)}"

    def _draw(self, rng: Random) -> tuple[int, Entry]:
        """A number whose entry can be made, and the entry."""
        for _ in range(ATTEMPTS):
            number = rng.randrange(NUMBERS)
            entry = self._entries.entry(number)
            if entry is not None:
                return number, entry
        what = f"{self._config.dataset} makes no entries with it ({self._entries.trouble})"
        raise RlvrError("task.config", what, got=self._config.config)


def _tagged(text: str) -> str | None:
    """What stands between the last pair of tags; None without one."""
    end = text.rfind(CLOSE)
    start = text.rfind(OPEN, 0, end) if end >= 0 else -1
    return text[start + len(OPEN) : end] if start >= 0 else None
