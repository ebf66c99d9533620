"""The scorers of reasoning-gym as a reward: marks, what is not passed on, what is ended, and a run from end to end."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("reasoning_gym", reason="the extra gym is not installed")

from rlvr.config import GymConfig, RewardConfig
from rlvr.gold import to_attempt
from rlvr.rewards import Reason, Scorer, Verdict, gym
from rlvr.tasks import make_task
from rlvr.tasks.task import Task
from tests.conftest import call, read_metrics, write_config


def task(dataset: str, **fields: Any) -> Task:
    return make_task(GymConfig.model_validate({"name": "gym", "dataset": dataset, **fields}), 0)


@pytest.fixture(scope="module")
def scorer() -> Iterator[Scorer]:
    with Scorer(RewardConfig.model_validate({"gym": {"weight": 1.0, "seconds": 1.5}})) as made:
        yield made


def verdict(scorer: Scorer, of: Task, response: str, index: int = 0) -> Verdict:
    return scorer.verdicts([to_attempt(of, of.problem("train", index), response)])[0]["gym"]


@pytest.mark.parametrize("dataset", ["chain_sum", "countdown", "n_queens", "arc_1d", "graph_color", "acre"])
def test_gold_earns_full_marks_and_junk_does_not(scorer: Scorer, dataset: str) -> None:
    of = task(dataset)
    for index in range(3):
        problem = of.problem("train", index)
        assert verdict(scorer, of, of.gold_response(problem), index).reward == 1.0
        thinking = f"<think> {problem.answer}? </think> So: <answer>\n{problem.answer}\n</answer>"
        assert verdict(scorer, of, thinking, index).reward == 1.0
        assert verdict(scorer, of, "", index).reason == "no_answer"
        assert verdict(scorer, of, "<answer>junk</answer>", index).reward < 0.1


def test_partial_scores_are_kept_unless_only_full_marks_are_paid(scorer: Scorer) -> None:
    of = task("chain_sum")
    problem = of.problem("train", 0)
    hedge = f"{problem.answer} or not"
    found = verdict(scorer, of, f"<answer>{hedge}</answer>")
    assert found == Verdict(reward=len(problem.answer) / len(hedge), reason=Reason.WRONG, extracted=hedge)
    with Scorer(RewardConfig.model_validate({"gym": {"weight": 1.0, "partial": False, "extract": "boxed"}})) as strict:
        assert verdict(strict, of, f"\\boxed{{{hedge}}}").reward == 0.0
        assert verdict(strict, of, f"so \\boxed{{{problem.answer}}}").reward == 1.0
        assert verdict(strict, of, of.gold_response(problem)).reason == "no_answer"


def test_a_long_answer_needs_no_tags(scorer: Scorer) -> None:
    of = task("modulo_grid", instruction="")
    problem = of.problem("train", 0)
    assert len(problem.answer) > 200
    assert verdict(scorer, of, of.gold_response(problem)).reward == 1.0
    assert verdict(scorer, of, "I think of it. " * 200).reason == "no_answer"


HARMLESS = {
    "countdown": ["(3 + 4)*5 - 6/2", "12", "3**2"],
    "simple_integration": ["x**2/2 + 3.5*sin(2*x) + C", "exp(x)*log(x)"],
    "n_queens": ["[['Q', '_'], ['_', 'Q']]", "_ Q\nQ _"],
    "chain_sum": ["__import__('os')"],
}
HARMFUL = {
    "countdown": [
        "__import__('os').system('true')",
        "exec(1)",
        "x.real",
        "[1][0]",
        "1 if 2 else 3",
        "open('f', 'w')",
        "1;2",
    ],
    "simple_integration": ["(lambda: 0)()", "eval(x)", "x . y", "'a'", "exit()"],
    "n_queens": ["open('f', 'w')", "[exit()]", "(lambda: 0)()"],
}


def test_what_would_be_evaluated_must_look_like_a_list_or_a_formula() -> None:
    for dataset, answers in HARMLESS.items():
        assert [answer for answer in answers if not gym.may_be_scored(dataset, answer)] == []
    for dataset, answers in HARMFUL.items():
        assert [answer for answer in answers if gym.may_be_scored(dataset, answer)] == []


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("__import__('os').system('touch FILE')", "refused"),
        ("open('FILE', 'w')", "refused"),
        ("7" * 10_000_000, "no_answer"),
        ("7" * 10_000, "too_long"),
        ("(" * 2000 + ")" * 2000, "wrong"),
        ("\ud800", "refused"),
        ("1/0", "wrong"),
    ],
    ids=["import", "open", "10 MB", "long", "nested", "half a character", "zero"],
)
def test_hostile_answers_earn_nothing_and_do_nothing(scorer: Scorer, answer: str, reason: str, tmp_path: Path) -> None:
    found = verdict(scorer, task("countdown"), f"<answer>{answer.replace('FILE', str(tmp_path / 'f'))}</answer>")
    assert found.reason == reason
    assert found.reward < 0.1
    assert list(tmp_path.iterdir()) == []


def test_a_scorer_that_never_ends_is_ended_and_the_next_answer_is_scored(scorer: Scorer) -> None:
    of = task("countdown")
    assert verdict(scorer, of, "<answer>9**9**9**9</answer>").reason == "timeout"
    assert verdict(scorer, of, of.gold_response(of.problem("train", 0))).reward == 1.0


ATTEMPTS = """
import os, socket, subprocess, sys
from rlvr.rewards import gym
gym.refuse_while_scoring()
tries = {
    "system": lambda: os.system("true"),
    "open": lambda: open(sys.argv[1], "w"),
    "os.open": lambda: os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT),
    "fork": os.fork,
    "run": lambda: subprocess.run(["true"]),
    "socket": lambda: socket.socket().connect(("127.0.0.1", 1)),
    "read": lambda: open("/dev/null").read(),
    "compute": lambda: eval("1 + 1"),
    "import": lambda: __import__("colorsys"),
}
for name, attempt in tries.items():
    try:
        with gym._Watched():
            attempt()
        print(name)
    except PermissionError as error:
        print(name, "refused")
os.system("true")
"""


def test_while_an_answer_is_scored_only_computing_and_reading_goes_through(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", ATTEMPTS, tmp_path / "f"], capture_output=True, text=True, check=True)
    refused = ["system refused", "open refused", "os.open refused", "fork refused", "run refused", "socket refused"]
    assert done.stdout.splitlines() == [*refused, "read", "compute", "import"]
    assert list(tmp_path.iterdir()) == []


def test_a_problem_that_is_not_from_a_data_set_or_comes_out_differently_is_told(scorer: Scorer) -> None:
    of = task("chain_sum")
    attempt = to_attempt(of, of.problem("train", 0), "1")
    for metadata, message in (
        ({}, "not of a reasoning-gym data set"),
        ({"gym": {**attempt.metadata["gym"], "number": 5}}, "comes out differently here"),
        ({"gym": {**attempt.metadata["gym"], "number": "5"}}, "has no entry '5'"),
    ):
        with pytest.raises(ValueError, match=message):
            scorer.verdicts([replace(attempt, metadata=metadata)])


def test_a_run_from_nothing_to_rl(tmp_path: Path) -> None:
    sums = {"min_terms": 2, "max_terms": 2, "min_digits": 1, "max_digits": 1}
    made = {"name": "gym", "dataset": "chain_sum", "config": sums, "instruction": ""}
    pretrain = {
        "model": {"layers": 1, "width": 16, "heads": 2},
        "tokenizer": {"kind": "characters"},
        "task": made,
        "data": {"mixture": {"direct": 1.0}},
        "train": {"max_steps": 1, "learning_rate": 1e-3, "batch_tokens": 512},
    }
    assert call("pretrain", write_config(tmp_path / "pre.yaml", pretrain), "--run", tmp_path / "pre").code == 0
    rl = {
        "model": str(tmp_path / "pre"),
        "task": made,
        "reward": {"gym": 1.0},
        "rollout": {"problems_per_step": 2, "group_size": 2, "max_new_tokens": 4},
        "train": {"max_steps": 1, "learning_rate": 1e-3},
        "study": {"rollouts": 0},
    }
    path = write_config(tmp_path / "rl.yaml", rl)
    answer = call("rl", path, "--run", tmp_path / "rl")
    assert answer.code == 0, answer.err
    assert 0 <= read_metrics(tmp_path / "rl")[-1]["reward/gym"] <= 1
    [row, *_] = (tmp_path / "rl" / "rollouts" / "step_000001.jsonl").read_text().splitlines()
    assert json.loads(row)["metadata"]["gym"]["config"] == sums
