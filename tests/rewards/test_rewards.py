"""Rewards: what counts as right, and their weighted sum."""

from fractions import Fraction

import pytest

from rlvr.errors import RlvrError
from rlvr.rewards import RewardSum
from rlvr.rewards.exact import exact
from rlvr.rewards.format import thinks_then_answers
from rlvr.rewards.number import last_number, number
from rlvr.types import Problem


def gold(answer: str) -> Problem:
    return Problem(task="t", split="train", index=4, question="?", answer=answer)


@pytest.mark.parametrize(
    ("answer", "reward"),
    [("12", 1.0), (" 12 ", 1.0), ("012", 0.0), ("12.0", 0.0), ("1 2", 0.0), ("", 0.0), (None, 0.0)],
)
def test_exact_wants_the_same_text(answer: str | None, reward: float) -> None:
    assert exact(gold("12"), "whatever", answer) == reward


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("7", 7),
        ("-7", -7),
        ("−7", -7),  # the minus of typesetting
        ("+7", 7),
        ("x = -7.", -7),
        ("(-7)", -7),
        ("12-5", 5),
        ("12 - 5 = 7", 7),
        ("f(3)-5", 5),
        ("3.50 dollars", Fraction(7, 2)),
        (".5", Fraction(1, 2)),
        ("-.5", Fraction(-1, 2)),
        ("1,234", 1234),
        ("-1,234,567.5", Fraction(-2469135, 2)),
        ("1,2345", 2345),
        ("2,3", 3),
        ("5%", 5),
        ("$1,000", 1000),
        ("first 3, then 4", 4),
        ("007", 7),
        ("1e3", 1000),
        ("2.5e-1", Fraction(1, 4)),
        ("1e999999999", None),  # longer than 1000 digits when written out
        ("0.1", Fraction(1, 10)),
        ("9" * 1000, 10**1000 - 1),
        ("9" * 1001, None),
        ("٣", None),  # a digit, but not an ASCII one
        ("½", None),
        ("none", None),
        ("", None),
    ],
    ids=lambda value: str(value)[:20],
)
def test_last_number(text: str, value: Fraction | int | None) -> None:
    assert last_number(text) == value


@pytest.mark.parametrize(
    ("answer", "reward"),
    [("0.3", 1.0), ("0.30", 1.0), ("It is 0.3.", 1.0), ("0.30000000000000001", 0.0), ("none", 0.0), (None, 0.0)],
)
def test_number_compares_decimals_exactly(answer: str | None, reward: float) -> None:
    assert number(gold("0.3"), "whatever", answer) == reward


def test_a_gold_answer_that_is_no_number_is_a_mistake_in_the_data() -> None:
    with pytest.raises(ValueError, match="the gold answer is not a number"):
        number(gold("many"), "3", "3")


@pytest.mark.parametrize(
    ("response", "reward"),
    [
        ("<think> 1 </think> 2", 1.0),
        ("  <think></think>2\n", 1.0),
        ("<think> 1 </think>", 0.0),
        ("<think> 1 2", 0.0),
        ("2", 0.0),
        ("so <think> 1 </think> 2", 0.0),
        ("<think> <think> 1 </think> 2", 0.0),
        ("<think> 1 </think> 2 </think> 3", 0.0),
        ("", 0.0),
    ],
)
def test_format_wants_one_thought_and_then_something(response: str, reward: float) -> None:
    assert thinks_then_answers(gold("2"), response, None) == reward


def test_components_are_kept_unweighted_and_the_total_weighs_them() -> None:
    rewards = RewardSum({"exact": 1.0, "format": 0.25})
    components = rewards.components(gold("2"), "<think> 1 </think> 3", "3")
    assert components == {"exact": 0.0, "format": 1.0}
    assert rewards.total(components) == 0.25


def test_weights_may_be_negative() -> None:
    assert RewardSum({"exact": 1.0, "format": -0.5}).total({"exact": 1.0, "format": 1.0}) == 0.5


@pytest.mark.parametrize(
    ("components", "correct"),
    [
        ({"exact": 1.0, "number": 1.0, "format": 0.0}, True),  # the form of an answer does not make it wrong
        ({"exact": 0.0, "number": 1.0, "format": 1.0}, False),
        ({"exact": 1.0, "number": 0.0, "format": 1.0}, False),
    ],
)
def test_correct_means_full_marks_of_every_component_that_checks_the_answer(
    components: dict[str, float], correct: bool
) -> None:
    assert RewardSum({"exact": 1.0, "number": 1.0, "format": 1.0}).correct(components) is correct


def test_an_unknown_reward_is_refused() -> None:
    with pytest.raises(
        RlvrError, match=r"unknown reward; got 'exat'; allowed: exact, number, format; Did you mean exact\?"
    ):
        RewardSum({"exat": 1.0})


def test_a_sum_that_checks_no_answer_is_refused() -> None:
    with pytest.raises(RlvrError, match=r"no component checks the answer; .*; add exact or number"):
        RewardSum({"format": 1.0})
