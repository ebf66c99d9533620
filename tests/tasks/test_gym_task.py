"""Data sets of reasoning-gym as tasks: splits, seeds, configurations, levels, and what is refused."""

from __future__ import annotations

import random
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("reasoning_gym", reason="the extra gym is not installed")

from rlvr.config import CurriculumConfig, GymConfig, MemberConfig, MixtureConfig, at_level
from rlvr.errors import MissingExtraError, RlvrError
from rlvr.gym_entries import HASHED, dataset_names, gym_entries
from rlvr.tasks import make_task
from tests.conftest import call, write_config

SMALL = {"min_terms": 2, "max_terms": 2, "min_digits": 1, "max_digits": 1}


def config(dataset: str, **fields: Any) -> GymConfig:
    return GymConfig.model_validate({"name": "gym", "dataset": dataset, **fields})


@pytest.mark.parametrize("fields", [{"dataset": "chain_sum", "config": SMALL}, {"dataset": "list_functions"}])
def test_problems_depend_on_seed_split_and_index_and_the_splits_share_no_question(fields: dict[str, Any]) -> None:
    one, again, other = (make_task(config(**fields), seed) for seed in (0, 0, 7))
    train = [one.problem("train", index) for index in range(60)]
    assert train == [again.problem("train", index) for index in reversed(range(60))][::-1]
    assert [problem.question for problem in train] != [other.problem("train", index).question for index in range(60)]
    test = {task.problem("test", index).question for task in (one, other) for index in range(40)}
    assert not test & {problem.question for problem in train}
    assert len(test) > 20


def test_a_generator_with_few_questions_is_warned_about_or_refused() -> None:
    few = make_task(config("chain_sum", config={**SMALL, "allow_negation": False}, instruction=""), 0)
    assert few.warnings == ()
    bits = config("count_bits", config={"min_n": 1, "max_n": 8})
    assert "has few questions: of its first 16" in make_task(bits, 0).warnings[0]
    with pytest.raises(RlvrError, match="task gym count_bits: has no question in the test split"):
        make_task(config("count_bits", config={"min_n": 5, "max_n": 5}), 0).problem("test", 0)


def test_a_data_set_whose_scorer_is_unsound_is_warned_about() -> None:
    assert "takes any text for right" in make_task(config("game_of_life_halting"), 0).warnings[0]


def test_gold_responses_are_tagged_where_the_instruction_asks_for_tags() -> None:
    asked, bare = make_task(config("lcm"), 0), make_task(config("lcm", instruction=""), 0)
    problem, alone = asked.problem("train", 0), bare.problem("train", 0)
    assert problem.question.endswith("between <answer> and </answer>.")
    assert asked.gold_response(problem) == f"<answer>{problem.answer}</answer>"
    assert asked.final_answer(problem, f"Hm. {asked.gold_response(problem)}") == problem.answer
    assert bare.gold_response(alone) == alone.answer == problem.answer
    assert problem.question.startswith(alone.question)
    for response, mode in {
        asked.gold_response(problem): "direct",
        "12": "direct",
        "<think> 3 * 4 </think> 12": "cot",
        "We multiply three by four and see. <answer>12</answer>": "cot",
    }.items():
        assert asked.mode_of(problem, response) == mode


def test_levels_and_numbers_of_the_configuration_are_dials() -> None:
    task = config("chain_sum", instruction="")
    low, high = at_level(task, "level", 0), at_level(task, "level", 5)
    lengths = [sum(len(make_task(each, 0).problem("train", i).question) for i in range(20)) for each in (low, high)]
    assert lengths[0] < lengths[1]
    assert at_level(task, "config.max_terms", 3).config == {"max_terms": 3}  # type: ignore[union-attr]
    MemberConfig(task=task, curriculum=CurriculumConfig(dial="config.max_terms", values=[2, 3]))
    with pytest.raises(ValueError, match=r"gym has no dial terms; its dials: level, config\.KEY"):
        MemberConfig(task=task, curriculum=CurriculumConfig(dial="terms", values=[2, 3]))


def test_several_data_sets_make_a_mixture() -> None:
    members = {name: {"task": {"name": "gym", "dataset": name}} for name in ("lcm", "gcd")}
    mixture = make_task(MixtureConfig.model_validate({"name": "mixture", "tasks": members}), 0)
    problems = [mixture.problem("train", index) for index in range(4)]
    assert [problem.task for problem in problems] == ["lcm", "gcd", "lcm", "gcd"]
    assert all(problem.metadata["gym"]["dataset"] == problem.task for problem in problems)


def test_making_an_entry_leaves_global_randomness_and_stdout_alone(capsys: pytest.CaptureFixture[str]) -> None:
    state = random.getstate()
    first = gym_entries("pool_matrix", {}, None).entry(5)
    gym_entries("bf", {}, None).entry(1)
    assert random.getstate() == state
    assert gym_entries("pool_matrix", {}, None).entry(5) == first
    assert capsys.readouterr().out == ""


MISTAKES = {
    "reasoning-gym has no data set chain_sums. Did you mean chain_sum?": {"dataset": "chain_sums"},
    "chain_sum has no key max_tems. Did you mean max_terms?; allowed: min_terms, ": {"config": {"max_tems": 3}},
    "max_terms must be >= min_terms; got": {"config": {"max_terms": 0}},
    "chain_sum cannot take it: TypeError": {"config": {"max_terms": "x"}},
    "chain_sum makes no entries with it (": {"config": {"min_terms": 2.5}},
    "chain_sum has levels 0 to 10; got 99": {"level": 99},
    "acre has no curriculum; got 1; remove level": {"dataset": "acre", "level": 1},
    "composite is no task; use task mixture": {"dataset": "composite"},
    "rush_hour has no gold answers": {"dataset": "rush_hour"},
    "config: seed has no effect here": {"config": {"seed": 3}},
    "set PYTHONHASHSEED=0 in the environment": {"dataset": "word_ladder"},
}


@pytest.mark.parametrize("message", MISTAKES)
def test_a_mistake_is_one_line(message: str, tmp_path: Path) -> None:
    if "PYTHONHASHSEED" in message and not sys.flags.hash_randomization:
        pytest.skip("hashes are fixed here")
    tree = {
        "model": "somewhere/else",
        "task": {"name": "gym", "dataset": "chain_sum", **MISTAKES[message]},
        "reward": {"gym": 1.0},
        "train": {"max_steps": 1, "learning_rate": 1e-3},
    }
    answer = call("check", write_config(tmp_path / "rl.yaml", tree))
    assert answer.code == 2
    assert message in answer.err
    assert len(answer.err.strip().splitlines()) == 1


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "reasoning_gym", None)
    with pytest.raises(
        MissingExtraError, match=r"needs the package reasoning-gym; install it with: pip install 'rlvr\[gym\]'"
    ):
        make_task(config("leg_counting"), 0)


def test_what_names_data_sets_here_knows_them() -> None:
    assert set(HASHED) < set(dataset_names())
    assert "composite" not in dataset_names()
