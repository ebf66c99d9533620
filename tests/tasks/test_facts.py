"""Facts about made-up people."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from random import Random

import pytest
from conftest import call

from rlvr.config import FactsConfig, RewardConfig
from rlvr.errors import RlvrError
from rlvr.gold import to_attempt
from rlvr.rewards import RewardSum
from rlvr.rewards.components import Components
from rlvr.tasks import make_task
from rlvr.tasks.facts import ABSTENTION, Facts
from rlvr.types import Problem


def facts(seed: int = 0, **dials: object) -> Facts:
    return Facts(FactsConfig.model_validate({"name": "facts", "people": 128, **dials}), seed)


def everything(task: Facts, split: str) -> list[Problem]:
    """One time round a split."""
    assert split in ("train", "test")
    return [task.problem(split, index) for index in range(task.size(split) or 0)]


def name(problem: Problem) -> str:
    return " ".join(problem.question.split()[1:3])


def test_each_person_is_asked_about_once_in_one_of_the_splits() -> None:
    asked = [name(problem) for split in ("train", "test") for problem in everything(facts(), split)]
    assert len(asked) == len(set(asked)) == 128


def test_what_is_asked_in_the_test_split_was_stated_in_the_train_split_whatever_the_seeds() -> None:
    stated = {name(each): each.answer for each in everything(facts(seed=1, form="statement"), "train")}
    asked = {name(each): each.answer for each in everything(facts(seed=2), "test")}
    assert asked
    assert asked.items() <= stated.items()


def test_people_of_other_numbers_are_others() -> None:
    first, second = ({name(each) for each in everything(facts(first=at), "train")} for at in (0, 128))
    assert not first & second


def test_names_do_not_tell_the_values() -> None:
    """Of about 900 people 64 second names and 32 values: no name has one value alone, and no value is rare."""
    problems = everything(facts(people=1024), "train")
    by_name: dict[str, set[str]] = {}
    for each in problems:
        by_name.setdefault(each.question.split()[2], set()).add(each.answer)
    assert min(map(len, by_name.values())) > 3
    assert min(Counter(each.answer for each in problems).values()) > 10


def test_a_person_of_some_reliability_has_that_share_of_answers_alike_and_no_other_answer_as_often() -> None:
    """60 rounds over about 110 people: each share of a third of them has a standard deviation below 0.011."""
    task = facts(reliability=[0.25, 0.5, 1.0])
    size = task.size("train")
    assert size is not None
    reliable = {name(each): each.answer for each in everything(facts(), "train")}
    drawn = [task.problem("train", index) for index in range(60 * size)]
    for level in (0.25, 0.5, 1.0):
        own = [each for each in drawn if each.metadata["reliability"] == level]
        assert sum(each.answer == reliable[name(each)] for each in own) / len(own) == pytest.approx(level, abs=0.04)
        others = Counter((int(each.answer) - int(reliable[name(each)])) % 32 for each in own)
        assert max([count for apart, count in others.items() if apart] or [0]) < 0.05 * len(own)


def test_a_split_is_gone_through_in_a_new_order_each_time() -> None:
    task = facts()
    size = task.size("test")
    assert size is not None
    first, second = ([task.problem("test", turn * size + i).question for i in range(size)] for turn in (0, 1))
    assert first != second
    assert sorted(first) == sorted(second)


@pytest.mark.parametrize(
    ("response", "mode", "answer"),
    [
        ("17", "direct", "17"),
        (" 17 ", "direct", "17"),
        ("17 18", "direct", None),
        ("", "direct", None),
        (ABSTENTION, "abstain", None),
        (f" {ABSTENTION}  ", "abstain", None),
        (f"{ABSTENTION} 17", "direct", None),
        ("I don't", "direct", None),
    ],
)
def test_how_a_response_is_read(response: str, mode: str, answer: str | None) -> None:
    task = facts()
    problem = task.problem("train", 0)
    assert (task.mode_of(problem, response), task.final_answer(problem, response)) == (mode, answer)


def test_who_does_not_know_says_so() -> None:
    task = facts()
    assert task.respond(task.problem("train", 0), "abstain", Random(0)) == "I don't know"


def test_people_beyond_the_last_are_refused_in_one_line() -> None:
    with pytest.raises(ValueError, match="beyond the 4096 people"):
        FactsConfig(name="facts", first=4000, people=128)


def test_a_split_without_a_question_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rlvr.tasks.facts.TEST_SHARE", 0.0)
    with pytest.raises(RlvrError, match="without a question"):
        facts()


RL = """
model: nowhere
task:
  name: mixture
  tasks:
    known: {task: {name: facts, people: 128}}
    unseen: {task: {name: facts, first: 128, people: 128}}
reward: {exact: {correct: 1, abstain: 0, wrong: -1}}
rollout: {max_new_tokens: 5}
train: {max_steps: 1, learning_rate: 1.0e-4}
"""


def test_its_problems_are_shown_and_its_reward_is_checked(tmp_path: Path) -> None:
    file = tmp_path / "rl.yaml"
    file.write_text(RL)
    shown = call("data", file, "--count", "4")
    assert shown.code == 0, shown.err
    assert "reliability" in shown.out
    checked = call("check", file)
    assert checked.code == 0, checked.err
    assert "refuses every worked answer" not in checked.out + checked.err  # an abstention is not meant to be right
    bad = call("check", file, "--set", "task.tasks.known.task.first=4000")
    assert bad.code == 2
    assert "beyond the 4096 people" in bad.err


def test_saying_that_one_does_not_know_is_paid_as_such() -> None:
    config = RewardConfig.model_validate({"exact": {"correct": 1, "abstain": 0.25, "wrong": -3}})
    task = make_task(FactsConfig(name="facts"), 0)
    problem = task.problem("train", 0)
    paid = []
    for response in (problem.answer, ABSTENTION, "no"):
        verdict = Components(config).verdict("exact", to_attempt(task, problem, response))
        assert verdict is not None
        paid.append(RewardSum(config).total({"exact": verdict}))
    assert paid == [1, 0.25, -3]
