"""The check that a task's gold answers earn full marks and empty ones none."""

import json
from collections.abc import Iterable
from pathlib import Path
from random import Random

import pytest

from rlvr.config import ArithmeticConfig, ModsumConfig, ProblemsConfig, RewardConfig
from rlvr.errors import RlvrError
from rlvr.gold import CHECKED, check_gold
from rlvr.tasks import make_task
from rlvr.tasks.problems import Problems
from rlvr.types import Problem, Split


def file_task(folder: Path, answers: Iterable[str]) -> Problems:
    rows = [{"question": f"q{n}", "answer": answer} for n, answer in enumerate(answers)]
    (folder / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return Problems(ProblemsConfig(name="problems", path=str(folder / "data.jsonl"), test_fraction=1), 0)


@pytest.mark.parametrize("config", [ModsumConfig(name="modsum"), ArithmeticConfig(name="arithmetic")])
@pytest.mark.parametrize("weights", [{"exact": 1.0}, {"number": 1.0}, {"exact": 1.0, "number": 1.0, "format": 0.1}])
def test_generated_tasks_pass(config: ModsumConfig | ArithmeticConfig, weights: dict[str, float]) -> None:
    assert check_gold(make_task(config, 0), RewardConfig.model_validate(weights), ("train",)) is None


def test_a_gold_answer_that_earns_nothing_is_named(tmp_path: Path) -> None:
    """The answer that is found in the third line's own gold response is its last word alone."""
    task = file_task(tmp_path, ["1", "2", "<think> 1 </think> 3"])
    with pytest.raises(
        RlvrError, match=r"problem 2 of problems, line 3 \('q2'\): the gold answer does not earn full marks"
    ):
        check_gold(task, RewardConfig.model_validate({"exact": 1.0}), ("test",))


def test_an_answer_that_is_no_number_is_found(tmp_path: Path) -> None:
    with pytest.raises(
        RlvrError,
        match=r"problem 1 of problems, line 2 \('q1'\): its gold answer 'many' cannot be read: it is not one number",
    ):
        check_gold(file_task(tmp_path, ["1", "many"]), RewardConfig.model_validate({"number": 1.0}), ("test",))


def test_every_problem_of_a_file_is_checked(tmp_path: Path) -> None:
    task = file_task(tmp_path, [*["1"] * CHECKED, "many"])
    with pytest.raises(RlvrError, match=f"line {CHECKED + 1}"):
        check_gold(task, RewardConfig.model_validate({"number": 1.0}), ("test",))


def test_a_reward_that_pays_a_gold_answer_no_more_than_an_empty_one_is_refused() -> None:
    """The gold response of modsum thinks first, for which this reward takes away more than it gives."""
    reward = RewardConfig.model_validate({"exact": 0.5, "format": -1.0})
    with pytest.raises(RlvrError, match=r"reward: a gold answer earns -0\.5, no more than the 0 of an empty one"):
        check_gold(make_task(ModsumConfig(name="modsum"), 0), reward, ("test",))


def test_a_split_without_problems_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RlvrError, match="has no problem in the train split"):
        check_gold(file_task(tmp_path, ["1"]), RewardConfig.model_validate({"exact": 1.0}), ("train",))


class Lenient:
    """A task that finds the right answer in any response."""

    name = "lenient"
    modes: tuple[str, ...] = ("direct",)
    warnings: tuple[str, ...] = ()

    def problem(self, split: Split, index: int) -> Problem:
        return Problem(task=self.name, split=split, index=index, question="?", answer="7")

    def size(self, split: Split) -> int | None:
        return None

    def respond(self, problem: Problem, mode: str, rng: Random) -> str:
        return "7"

    def gold_response(self, problem: Problem) -> str:
        return "7"

    def mode_of(self, problem: Problem, response: str) -> str:
        return "direct"

    def final_answer(self, problem: Problem, response: str) -> str | None:
        return "7"

    def alphabet(self) -> Iterable[str]:
        return ["? 7"]


def test_an_empty_response_that_earns_full_marks_is_refused() -> None:
    with pytest.raises(RlvrError, match=r"problem 0 of lenient \('\?'\): an empty answer earns full marks"):
        check_gold(Lenient(), RewardConfig.model_validate({"exact": 1.0}), ("train",))
