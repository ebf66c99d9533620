"""The graders of one line each, and the weighted sum of their verdicts."""

from fractions import Fraction

import pytest
from pydantic import ValidationError

from rlvr.config import RewardConfig
from rlvr.rewards import GRADERS, Attempt, RewardSum, Scorer, Verdict, Verdicts, grade
from rlvr.rewards.number import last_number
from rlvr.rewards.verdict import Reason


def sum_of(table: dict[str, object]) -> RewardSum:
    return RewardSum(RewardConfig.model_validate(table))


def verdicts_of(table: dict[str, object], one: Attempt) -> Verdicts:
    with Scorer(RewardConfig.model_validate(table)) as scorer:
        return scorer.verdicts([one])[0]


def attempt(gold: str, response: str, answer: str | None, length: int = 1) -> Attempt:
    return Attempt(gold=gold, response=response, answer=answer, length=length)


@pytest.mark.parametrize(
    ("kind", "gold", "response", "reason"),
    [
        ("exact", "Paris", "paris", "correct"),
        ("exact", "paris", "<think>Hm, London?</think>Paris.", "correct"),
        ("exact", "hello world", "  hello   world ", "correct"),
        ("exact", "the derivative", "<answer>derivative</answer>", "correct"),
        ("exact", "0 1 2", "<answer>2 1 0</answer>", "wrong"),
        ("exact", ".*", "<answer>anything</answer>", "wrong"),
        ("exact", "12", "012", "wrong"),
        ("exact", "12", "", "no_answer"),
        ("exact", "12", "<think> 12", "no_answer"),
        ("number", "0.3", "0.30", "correct"),
        ("number", "0.3", "0.30000000000000001", "wrong"),
        ("number", "42", "It is 41, no, 42.", "correct"),
        ("number", "42", "none", "no_answer"),
        ("number", "33", "\\boxed{not 33}", "malformed"),
        ("number", "33", "\\boxed{40 or 33}", "malformed"),
        ("number", "33", "\\boxed{33 (this is wrong)}", "malformed"),
        ("number", "33", "\\boxed{40 = 33}", "malformed"),
        ("number", "33", "The answer is definitely not 33.", "malformed"),
        ("number", "33", "The answer is 33 apples.", "correct"),
        ("number", "5 meters", "\\boxed{5 feet}", "malformed"),
        ("number", "5 meters", "\\boxed{5}", "correct"),
        ("number", "Total: 33", "#### 33", "correct"),
        ("number", "33", "33, that is \\boxed{}", "no_answer"),
        ("number", "1000", "<answer>$1,000</answer>", "correct"),
        ("choice", "C", "\\boxed{(C)}", "correct"),
        ("choice", "c", "C.", "correct"),
        ("choice", "E", "\\boxed{\\text{E}}", "correct"),
        ("choice", "C", "The answer is C", "correct"),
        ("choice", "C", "\\boxed{D}", "wrong"),
        ("choice", "A", "A good question. I do not know.", "malformed"),
        ("choice", "A", "A or B", "malformed"),
        ("json", '{"a": [1, 2], "b": null}', '{"b": null, "a": [1.0, 2]}', "correct"),
        ("json", "[1, 2]", "Here it is:\n```json\n[1, 2]\n```", "correct"),
        ("json", "[1, 2]", "[2, 1]", "wrong"),
        ("json", "1", "true", "wrong"),
        ("json", "1", '{"a": 1, "a": 2}', "malformed"),
        ("json", "1", "NaN", "malformed"),
        ("json", "1", "[" * 20000, "malformed"),
        ("json", "1", "1" * 70000, "too_long"),
        ("regex", "[ab]+", "abba", "correct"),
        ("regex", "[ab]+", "abc", "wrong"),
        ("math", "1/2", "\\boxed{\\frac{2}{4}}", "correct"),
        ("math", "42", "\\boxed{41 = 42}", "malformed"),
        ("format", "2", "<think> 1 </think> 2", "correct"),
        ("format", "2", "<think></think>2\n", "correct"),
        ("format", "2", "<think> 1 </think>", "malformed"),
        ("format", "2", "<think> 1 2", "malformed"),
        ("format", "2", "2", "malformed"),
        ("format", "2", "so <think> 1 </think> 2", "malformed"),
        ("format", "2", "<think> <think> 1 </think> 2", "malformed"),
    ],
)
def test_a_grader_says_why(kind: str, gold: str, response: str, reason: str) -> None:
    verdict = grade(kind, gold, response)
    assert verdict.reason == reason
    assert bool(verdict) is (reason == "correct")


@pytest.mark.parametrize("kind", sorted(set(GRADERS) - {"code"}))  # tests/rewards/test_code.py has its own
@pytest.mark.parametrize(
    "response",
    [
        "",
        " ",
        "\x00",
        "\ud800",
        "\x1b]0;x\x07",
        "[/bold]",
        "\\boxed{",
        "}" * 5000,
        "<think>" * 999,
        "9" * 100_000,
        "a" * 1_000_000,
    ],
    ids=lambda text: repr(text[:8]),
)
def test_no_text_makes_a_grader_fail_or_pay(kind: str, response: str) -> None:
    assert not grade(kind, {"json": "[1]", "choice": "C"}.get(kind, "42"), response)


@pytest.mark.parametrize(
    ("kind", "gold"),
    [("number", "many"), ("choice", "CD"), ("json", "{"), ("regex", "("), ("regex", "a*"), ("exact", " ")],
)
def test_a_gold_answer_that_is_none_of_its_kind_is_a_mistake_in_the_data(kind: str, gold: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        grade(kind, gold, "1")


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


def test_components_are_kept_unweighted_and_the_total_weighs_them() -> None:
    table: dict[str, object] = {"exact": 1.0, "format": 0.25}
    verdicts = verdicts_of(table, attempt("2", "<think> 1 </think> 3", "3"))
    assert {name: verdict.reward for name, verdict in verdicts.items()} == {"exact": 0.0, "format": 1.0}
    assert sum_of(table).total(verdicts) == 0.25


def test_weights_may_be_negative_and_given_in_a_section() -> None:
    table: dict[str, object] = {"exact": {"weight": 1.0}, "format": -0.5}
    assert sum_of(table).total(verdicts_of(table, attempt("2", "<think> 1 </think> 2", "2"))) == 0.5


def test_an_answer_that_the_task_does_not_find_is_none() -> None:
    verdicts = verdicts_of({"exact": 1.0}, attempt("2", "<think> 2", None))
    assert verdicts["exact"] == Verdict(reward=0.0, reason=Reason.NO_ANSWER)


@pytest.mark.parametrize(("length", "reward"), [(1, 0.0), (100, 0.0), (150, 0.5), (200, 1.0), (999, 1.0)])
def test_length_is_what_a_response_is_over_its_target(length: int, reward: float) -> None:
    table: dict[str, object] = {"exact": 1.0, "length": {"weight": -0.1, "target": 100}}
    verdicts = verdicts_of(table, attempt("2", "2", "2", length))
    assert verdicts["length"].reward == reward
    assert sum_of(table).total(verdicts) == pytest.approx(1.0 - 0.1 * reward)


@pytest.mark.parametrize(
    ("response", "answer", "correct"),
    [
        ("2", "2", True),  # the form of an answer does not make it wrong
        ("<think> 1 </think> 3", "3", False),
        ("<think> 1 </think> two, that is 2", "two, that is 2", False),  # the number is right, the text is not
    ],
)
def test_correct_means_full_marks_of_every_component_that_checks_the_answer(
    response: str, answer: str, correct: bool
) -> None:
    table: dict[str, object] = {"exact": 1.0, "number": 1.0, "format": 1.0}
    assert sum_of(table).correct(verdicts_of(table, attempt("2", response, answer))) is correct


@pytest.mark.parametrize(
    ("table", "part"),
    [
        ({"exat": 1.0}, "exat"),
        ({"format": 1.0}, "no component checks the answer; add one of exact, number, math"),
        ({"exact": 1.0, "length": -0.1}, "target"),
        ({"exact": 0.0}, "weight 0; what checks the answer needs one above 0"),
        ({"exact": 1.0, "number": -1.0}, "weight -1; what checks"),
        ({"regex": 0.0, "format": 1.0}, "weight 0; what checks"),
        ({"exact": "much"}, "exact"),
    ],
)
def test_a_table_that_makes_no_sense_is_refused(table: dict[str, object], part: str) -> None:
    with pytest.raises(ValidationError, match=part):
        sum_of(table)
