"""Sums in strides: how they are written, where they fork, how they are read."""

from collections import Counter
from random import Random

import pytest
from pydantic import ValidationError

from rlvr.config import StridesConfig
from rlvr.errors import RlvrError
from rlvr.tasks.strides import Strides, choices_left
from rlvr.types import Problem


def task(**fields: object) -> Strides:
    return Strides(StridesConfig.model_validate({"name": "strides", **fields}), seed=0)


def ask(question: str) -> Problem:
    return Problem(task="strides", split="train", index=0, question=question, answer="")


def test_a_question_is_a_sum_and_its_answer() -> None:
    for index in range(20):
        problem = task(modulus=7, length=5, strides=[1, 2]).problem("train", index)
        *rest, end = problem.question.split()
        assert (end, rest[1::2]) == ("=", ["+"] * 4)
        assert problem.answer == str(sum(map(int, rest[::2])) % 7)


def test_gold_takes_one_digit_at_a_time() -> None:
    """1 + 0 + 1 + 1 modulo 2, whose running sums are 1, 1, 0, 1."""
    assert task().gold_response(ask("1 + 0 + 1 + 1 =")) == "take1 1 take1 1 take1 0 take1 1"


def test_a_response_is_as_long_as_its_question_and_every_sum_in_it_is_right() -> None:
    made, rng = task(modulus=5, length=9, strides=[1, 2, 4]), Random(0)
    for index in range(30):
        problem = made.problem("train", index)
        words = made.respond(problem, "free", rng).split()
        digits = [int(word) for word in problem.question.split()[::2]]
        assert len(words) == len(problem.question.split())
        assert any(word in ("take2", "take4") for word in words)
        for place, word in enumerate(words):
            if word.isdigit():  # it stands where its last digit does in the question, with the word after it
                assert (place % 2, int(word)) == (1, sum(digits[: place // 2 + 1]) % 5)


def test_a_guessed_stride_is_right_by_chance_and_gone_on_from() -> None:
    made, rng = task(modulus=5, length=9, strides=[1, 2, 4], guessed=True), Random(0)
    right: dict[int, list[bool]] = {1: [], 2: [], 4: []}
    for index in range(200):
        problem = made.problem("train", index)
        digits = [int(word) for word in problem.question.split()[::2]]
        before, taken, stride = 0, 0, 0
        for word in made.respond(problem, "free", rng).split():
            if word.startswith("take"):
                stride = int(word.removeprefix("take"))
            elif word != ".":
                right[stride].append(int(word) == (before + sum(digits[taken : taken + stride])) % 5)
                before, taken = int(word), taken + stride
    assert all(right[1])
    assert all(right[2])
    assert 0.1 < sum(right[4]) / len(right[4]) < 0.3
    assert made.gold_response(made.problem("train", 0)) == task(modulus=5, length=9, strides=[1, 2, 4]).gold_response(
        made.problem("train", 0)
    )


def test_a_demonstrator_draws_every_stride_that_fits_equally_often() -> None:
    made, rng = task(length=12, strides=[1, 2, 6]), Random(0)
    first = Counter(made.respond(made.problem("train", 0), "free", rng).split()[0] for _ in range(900))
    assert set(first) == {"take1", "take2", "take6"}
    assert min(first.values()) > 240


def test_forks_are_where_more_than_one_stride_fits() -> None:
    response = "take6 . . . . . . . . . . 1 take2 . . 0 take1 1 take2 . . 0 take1 1"
    found = [choices for choices in choices_left(response.split(), 12, [1, 2, 6]) if choices is not None]
    assert found == [3, 3, 2, 2, 1]


@pytest.mark.parametrize(
    ("response", "mode", "answer"),
    [
        ("take1 1 take1 0", "careful", "0"),
        ("take2 . . 1", "free", "1"),
        ("take2 . .", "free", None),
        ("take1 1 take1", "careful", None),
        ("take999 1", "careful", "1"),
        ("1", "careful", "1"),
        ("", "careful", None),
        ("=", "careful", "="),
    ],
)
def test_how_a_response_is_read(response: str, mode: str, answer: str | None) -> None:
    made = task(length=12, strides=[1, 2, 6])
    problem = made.problem("train", 0)
    assert (made.mode_of(problem, response), made.final_answer(problem, response)) == (mode, answer)


@pytest.mark.parametrize("strides", [[1], [2, 4], [1, 1, 2], [1, 17], [1, 0]])
def test_strides_that_cannot_be_walked_are_refused(strides: list[int]) -> None:
    with pytest.raises(ValidationError, match="strides"):
        StridesConfig(name="strides", length=16, strides=strides)


def test_too_few_problems_are_refused() -> None:
    with pytest.raises(RlvrError, match="too few to split"):
        task(length=5, strides=[1, 2])
