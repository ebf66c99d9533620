"""What every task promises, over several configurations of each."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from rlvr.config import (
    ArithmeticConfig,
    FactsConfig,
    ModsumConfig,
    ProblemsConfig,
    StridesConfig,
    StringsConfig,
    TaskConfig,
    WordsConfig,
)
from rlvr.rewards.exact import exact
from rlvr.tasks import make_task
from rlvr.tasks.task import Task
from rlvr.types import Problem

DRAWS = 2000

GENERATED: dict[str, TaskConfig] = {
    "parity": ModsumConfig(name="modsum"),
    "modsum of few problems": ModsumConfig(name="modsum", modulus=2, length=6),
    "modsum untagged": ModsumConfig(name="modsum", modulus=7, length=9, tagged=False, leaps=[1, 2, 4]),
    "modsum with leaps": ModsumConfig(name="modsum", modulus=3, length=10, leaps=[1, 3, 5]),
    "modsum with distractors": ModsumConfig(name="modsum", modulus=10, length=5, distractors=3, leaps=[2]),
    "sums": ArithmeticConfig(name="arithmetic", digits=2),
    "products": ArithmeticConfig(name="arithmetic", digits=3, operation="product"),
    "S3": WordsConfig(name="words", group="S3", length=2),
    "S5": WordsConfig(name="words", group="S5", length=4),
    "A5": WordsConfig(name="words", group="A5", length=8),
    "strides": StridesConfig(name="strides"),
    "strides of digits": StridesConfig(name="strides", modulus=7, length=9, strides=[3, 1]),
    "S3 with a hidden factor": WordsConfig(name="words", group="S3", length=6, hidden=2),
    "strings": StringsConfig(name="strings"),
    "one function of strings": StringsConfig(name="strings", functions="B", level=1, places=1, length=6),
    "questions about facts": FactsConfig(name="facts", people=512),
    "statements of facts": FactsConfig(name="facts", first=3000, people=128, form="statement"),
}

Make = Callable[[int], Task]


@pytest.fixture(params=[*GENERATED, "problems"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    """The task of one configuration, by seed."""
    config = GENERATED.get(request.param)
    if config is None:
        rows = [
            {"question": f"{a} and {b}?", "answer": a + b, "solution": f"<think> {a}+{b} </think> {a + b}"}
            for a in range(15)
            for b in range(15)
        ]
        file = tmp_path / "sums.jsonl"
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        config = ProblemsConfig(name="problems", path=str(file))
    return lambda seed: make_task(config, seed)


def test_a_problem_depends_on_seed_split_and_index_only(make: Make) -> None:
    forwards, backwards = make(3), make(3)
    for split in ("train", "test"):
        there = [forwards.problem(split, index) for index in range(50)]
        back = [backwards.problem(split, index) for index in reversed(range(50))]
        assert there == back[::-1]


def test_another_seed_gives_other_problems(make: Make) -> None:
    one, other = make(0), make(1)
    assert [one.problem("train", i).question for i in range(20)] != [
        other.problem("train", i).question for i in range(20)
    ]


def test_train_and_test_never_overlap_whatever_the_seed(make: Make) -> None:
    one, other = make(0), make(12345)
    train = {one.problem("train", index).question for index in range(DRAWS)}
    test = {task.problem("test", index).question for task in (one, other) for index in range(DRAWS)}
    assert train
    assert not train & test


def test_problems_say_where_they_come_from(make: Make) -> None:
    task = make(0)
    problem = task.problem("test", 7)
    assert (problem.task, problem.split, problem.index) == (task.name, "test", 7)


def responses(task: Task) -> list[tuple[Problem, str, str]]:
    """(problem, mode, response) in every mode that the task writes."""
    rng = Random(0)
    problems = [task.problem("train", index) for index in range(30)]
    return [(problem, mode, task.respond(problem, mode, rng)) for problem in problems for mode in task.modes]


def test_every_mode_that_is_written_is_recognised(make: Make) -> None:
    task = make(0)
    assert [task.mode_of(problem, response) for problem, _, response in responses(task)] == [
        mode for _, mode, _ in responses(task)
    ]


def test_a_demonstrator_without_errors_answers_right_or_abstains(make: Make) -> None:
    task = make(0)
    for problem, mode, response in responses(task):
        assert task.final_answer(problem, response) == (problem.answer if mode != "abstain" else None)


def test_gold_is_rewarded_and_an_empty_response_is_not(make: Make) -> None:
    task = make(0)
    for index in range(30):
        problem = task.problem("train", index)
        gold = task.gold_response(problem)
        assert exact(problem.answer, task.final_answer(problem, gold) or "")
        assert not exact(problem.answer, task.final_answer(problem, "") or "")


def test_the_alphabet_holds_every_character_that_is_asked_or_answered(make: Make) -> None:
    task = make(0)
    known = set("".join(task.alphabet())) | set("<think> </think>")
    written = "".join(problem.question + response for problem, _, response in responses(task))
    assert set(written) <= known


FIXED_VOCABULARY = [name for name in (*GENERATED, "problems") if name not in ("sums", "products")]


@pytest.mark.parametrize("make", FIXED_VOCABULARY, indirect=True)
def test_the_alphabet_holds_every_word_of_tasks_with_a_fixed_vocabulary(make: Make) -> None:
    """Sums and products are numbers without spaces, made for a tokenizer of characters."""
    task = make(0)
    known = {word for text in task.alphabet() for word in text.split()} | {"<think>", "</think>"}
    written = {word for problem, _, response in responses(task) for word in f"{problem.question} {response}".split()}
    assert written <= known
