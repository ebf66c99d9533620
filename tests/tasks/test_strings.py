"""Functions of strings, one after another."""

import json
from pathlib import Path
from random import Random

import pytest
from conftest import call

from rlvr.config import StringsConfig
from rlvr.tasks.strings import FUNCTIONS, GROUPS, Strings, leaves_out
from rlvr.types import Problem


def task(**fields: object) -> Strings:
    return Strings(StringsConfig.model_validate({"name": "strings", **fields}), seed=0)


def ask(question: str) -> Problem:
    return Problem(task="strings", split="train", index=0, question=question, answer="f e d c")


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("f0", (4, 1, 2, 5)),
        ("f1", (2, 1, 4, 5)),
        ("f2", (0, 3, 2, 5)),
        ("f3", (5, 5, 1, 4)),
        ("f4", (4, 2, 1, 5)),
        ("f5", (4, 5, 2, 1)),
        ("f6", (4, 1, 0, 3)),
        ("f7", (5, 2, 4, 4)),
    ],
)
def test_what_each_function_makes(name: str, made: tuple[int, ...]) -> None:
    """Of letters 5, 2, 1 and 4 of six; the next of the last is the first."""
    assert FUNCTIONS[name]((5, 2, 1, 4), 6) == made


def test_each_function_is_of_one_group_and_no_two_are_alike() -> None:
    assert sorted(GROUPS["A"] + GROUPS["B"]) == sorted(GROUPS["all"]) == sorted(FUNCTIONS)
    assert len({function((5, 2, 1, 4), 6) for function in FUNCTIONS.values()}) == len(FUNCTIONS)


def test_a_worked_response_leaves_one_place_less_in_each_line() -> None:
    """b c d e reversed is e d c b, and the next letters of that are f e d c."""
    made = task(level=2, places=4)
    worked = "<think> . f2 . . e d c b = f2 . . . e d c b = . . . . f e d c </think> f e d c"
    assert made.respond(ask("f0 . f2 . b c d e"), "cot", Random(0)) == worked
    assert made.respond(ask("f0 . f2 . b c d e"), "direct", Random(0)) == "f e d c"


@pytest.mark.parametrize(("functions", "level"), [("A", 1), ("B", 3), ("all", 4)])
def test_a_problem_applies_as_many_functions_of_its_group_as_its_level_says(functions: str, level: int) -> None:
    made = task(functions=functions, level=level, letters=3, length=5)
    places = set()
    for index in range(60):
        problem = made.problem("train", index)
        words = problem.question.split()
        named = [word for word in words[:4] if word != "."]
        assert (len(words), len(named), len(set(named))) == (9, level, level)
        assert set(named) <= set(GROUPS[functions])
        assert set(words[4:]) | set(problem.answer.split()) <= set("bcd")
        places.add(tuple(word == "." for word in words[:4]))
    assert len(places) == {1: 4, 3: 4, 4: 1}[level]  # a function may stand in any place


@pytest.mark.parametrize(
    ("response", "mode", "answer"),
    [
        ("f e d c", "direct", "f e d c"),
        ("  f  e d c ", "direct", "f e d c"),
        ("f e d", "direct", None),
        ("f e d c c", "direct", None),
        ("", "direct", None),
        ("<think> . . . . f e d c </think> f e d c", "cot", "f e d c"),
        ("<think> </think> f e d c", "cot", "f e d c"),
        ("<think> f e d c", "cot", None),
        ("<think> f e d c </think>", "cot", None),
        ("<think> </think> f e </think> d c", "cot", None),
        ("<think> </think> f e \x00 \ud800", "cot", "f e \x00 \ud800"),
    ],
)
def test_how_a_response_is_read(response: str, mode: str, answer: str | None) -> None:
    made = task()
    problem = ask("f0 . f2 . b c d e")
    assert (made.mode_of(problem, response), made.final_answer(problem, response)) == (mode, answer)


def test_more_functions_than_places_are_refused() -> None:
    with pytest.raises(ValueError, match="level 5 needs as many places, and there are 4"):
        task(level=5)


def test_more_functions_than_a_group_has_are_refused() -> None:
    with pytest.raises(ValueError, match="level 5 needs more than the 4 functions of B; use all"):
        task(functions="B", level=5, places=5)


@pytest.mark.parametrize(
    ("answer", "left_out"),
    [
        ("f e d c", False),  # both
        ("e d c b", True),  # reversed only
        ("c d e f", True),  # the next letters only
        ("b c d e", True),  # none
        ("g g g g", False),
        ("", False),
    ],
)
def test_answers_that_leave_a_function_out(answer: str, left_out: bool) -> None:
    assert leaves_out("f0 . f2 . b c d e", f"<think> b </think> {answer}", letters=6) is left_out


def test_the_command_line_draws_and_checks_them(tmp_path: Path) -> None:
    config = tmp_path / "eval.yaml"
    config.write_text("model: m\ntask: {name: strings, functions: B, level: 2, places: 2}\nreward: {exact: 1.0}\n")
    drawn = [json.loads(line) for line in call("data", config, "--count", "3").out.splitlines()]
    assert [len(row["question"].split()) for row in drawn] == [6, 6, 6]
    assert call("check", config).code == 0
    assert "level 3 needs as many places" in call("check", config, "--set", "task.level=3").err
