"""Sums and products: what is asked and how it is worked."""

from random import Random

import pytest

from rlvr.config import ArithmeticConfig
from rlvr.tasks.arithmetic import Arithmetic
from rlvr.types import Problem


def task(operation: str, digits: int = 2) -> Arithmetic:
    return Arithmetic(ArithmeticConfig(name="arithmetic", operation=operation, digits=digits), seed=0)


def worked(operation: str, question: str, answer: str) -> str:
    problem = Problem(task="arithmetic", split="train", index=0, question=question, answer=answer)
    return task(operation).respond(problem, "cot", Random(0))


@pytest.mark.parametrize(
    ("question", "answer", "response"),
    [
        ("47+85=", "132", "<think> 7+5+0=12 4+8+1=13 </think> 132"),
        ("12+34=", "46", "<think> 2+4+0=6 1+3+0=4 </think> 46"),
        ("999+999=", "1998", "<think> 9+9+0=18 9+9+1=19 9+9+1=19 </think> 1998"),
    ],
)
def test_sums_are_worked_from_the_last_digit_with_the_carry(question: str, answer: str, response: str) -> None:
    assert worked("sum", question, answer) == response


@pytest.mark.parametrize(
    ("question", "answer", "response"),
    [
        ("47*85=", "3995", "<think> 47*5=235 47*80=3760 235+3760=3995 </think> 3995"),
        ("12*30=", "360", "<think> 12*0=0 12*30=360 0+360=360 </think> 360"),
        ("12*345=", "4140", "<think> 12*5=60 12*40=480 60+480=540 12*300=3600 540+3600=4140 </think> 4140"),
    ],
)
def test_products_are_worked_digit_by_digit_with_the_total(question: str, answer: str, response: str) -> None:
    assert worked("product", question, answer) == response


@pytest.mark.parametrize(("operation", "sign"), [("sum", "+"), ("product", "*")])
def test_a_question_has_two_numbers_of_k_digits_and_the_answer_is_right(operation: str, sign: str) -> None:
    made = task(operation, digits=4)
    for index in range(20):
        problem = made.problem("test", index)
        a, b = problem.question.removesuffix("=").split(sign)
        assert len(a) == len(b) == 4
        assert problem.answer == str(int(a) + int(b) if sign == "+" else int(a) * int(b))


def test_the_last_step_of_a_worked_product_is_the_answer() -> None:
    made = task("product", digits=5)
    for index in range(20):
        problem = made.problem("train", index)
        assert made.gold_response(problem).split()[-3].partition("=")[2] == problem.answer


@pytest.mark.parametrize(
    ("response", "mode", "answer"),
    [
        ("132", "direct", "132"),
        ("<think>7+5+0=12</think>132", "cot", "132"),
        ("<think> 7+5", "cot", None),
        ("132 133", "direct", None),
        ("", "direct", None),
    ],
)
def test_how_a_response_is_read(response: str, mode: str, answer: str | None) -> None:
    made = task("sum")
    problem = made.problem("train", 0)
    assert (made.mode_of(problem, response), made.final_answer(problem, response)) == (mode, answer)
