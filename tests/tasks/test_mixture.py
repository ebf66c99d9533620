"""Several tasks at once."""

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest

from rlvr.config import MixtureConfig
from rlvr.tasks import make_task
from rlvr.tasks.mixture import most_due
from rlvr.tasks.task import Task

PARITY = {"task": {"name": "modsum", "length": 8, "leaps": [1, 4]}}
SUMS = {"task": {"name": "arithmetic", "digits": 2}}


def mixture(seed: int = 0, **tasks: Any) -> Task:
    return make_task(MixtureConfig.model_validate({"name": "mixture", "tasks": tasks}), seed)


def file(folder: Path, count: int, **member: Any) -> dict[str, Any]:
    path = folder / "p.jsonl"
    path.write_text("".join(json.dumps({"question": f"q{n}", "answer": "a"}) + "\n" for n in range(count)))
    return {"task": {"name": "problems", "path": str(path), "test_fraction": 1.0}, **member}


def test_the_name_furthest_behind_its_share_is_next() -> None:
    counts, order = {"a": 0, "b": 0}, ""
    for _ in range(9):
        order += most_due({"a": 2.0, "b": 1.0}, counts)
        counts[order[-1]] += 1
    assert order == "abaabaaba"


def test_members_draw_what_they_would_draw_alone() -> None:
    made = mixture(parity={**PARITY, "weight": 2.0}, sums=SUMS)
    problems = [made.problem("train", index) for index in range(6)]
    assert [problem.task for problem in problems] == ["parity", "sums", "parity", "parity", "sums", "parity"]
    assert [problem.index for problem in problems] == [0, 1, 2, 3, 4, 5]
    alone = make_task(
        MixtureConfig.model_validate({"name": "mixture", "tasks": {"a": SUMS, "b": SUMS}}).tasks["a"].task, 0
    )
    assert [problems[1].question, problems[4].question] == [alone.problem("train", i).question for i in (0, 1)]


def test_a_problem_depends_on_seed_split_and_index_only() -> None:
    one, same, other = (mixture(seed, parity=PARITY, sums=SUMS) for seed in (0, 0, 1))
    drawn = [one.problem("test", index) for index in range(20)]
    assert drawn == [same.problem("test", index) for index in reversed(range(20))][::-1]
    assert drawn != [other.problem("test", index) for index in range(20)]


def test_a_response_is_read_by_the_member_that_asked() -> None:
    made = mixture(parity=PARITY, sums=SUMS)
    for index in range(10):
        problem = made.problem("train", index)
        for mode in made.modes:
            response = made.respond(problem, mode, Random(0))
            assert (made.mode_of(problem, response), made.final_answer(problem, response)) == (mode, problem.answer)
        assert made.final_answer(problem, made.gold_response(problem)) == problem.answer


def test_its_modes_are_those_that_every_member_has() -> None:
    assert mixture(parity=PARITY, sums=SUMS).modes == ("direct", "cot")


def test_a_member_without_further_problems_leaves_its_share_to_the_others(tmp_path: Path) -> None:
    made = mixture(parity=PARITY, few=file(tmp_path, 2))
    names = [made.problem("test", index).task for index in range(8)]
    assert (names.count("few"), names[4:]) == (2, ["parity"] * 4)
    assert made.size("test") is None


def test_a_mixture_of_files_is_as_large_as_they_are_together(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    made = mixture(few=file(tmp_path, 2), more=file(tmp_path / "other", 5))
    assert made.size("test") == 7
    assert len({(p.task, p.question) for p in (made.problem("test", index) for index in range(7))}) == 7
    assert made.problem("test", 7).task == "few"  # beyond them it starts over


def test_a_member_may_name_the_grader_of_its_problems() -> None:
    made = mixture(parity={**PARITY, "grader": "exact"}, sums=SUMS)
    assert [made.problem("train", index).metadata for index in range(2)] == [{"grader": "exact"}, {}]


def test_the_alphabet_is_that_of_all_members() -> None:
    text = "".join(mixture(parity=PARITY, sums=SUMS).alphabet())
    assert {"9", "+", "="} <= set(text)


@pytest.mark.parametrize("name", ["", "a/b", "mixture", "documents"])
def test_a_name_that_no_metric_could_go_by_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="cannot be a task's name here"):
        mixture(**{name: PARITY, "other": SUMS})
