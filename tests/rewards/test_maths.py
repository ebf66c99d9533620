"""The maths verifier: what is equal, what is not, what is refused, and at what cost."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import maths_pairs as pairs
import mpmath
import pytest
from counted_work import counted_work

from rlvr.rewards.maths import grade_math, parse_gold
from rlvr.rewards.verdict import Reason

MOST_CALLS = 400_000
"""A verdict's bound; the costliest of these made 158,094."""

EQUAL = [
    *pairs.EQUAL_NUMBERS,
    *pairs.EQUAL_EXPRESSIONS,
    *pairs.EQUAL_STRUCTURES,
    *pairs.EQUAL_WORDS_AND_UNITS,
    *pairs.EQUAL_IN_UNICODE,
]
DIFFERENT = [
    *pairs.OTHER_NUMBERS,
    *pairs.OTHER_EXPRESSIONS,
    *pairs.OTHER_STRUCTURES,
    *pairs.OTHER_WORDS_AND_UNITS,
    *pairs.OTHER_IN_UNICODE,
    *pairs.HEDGES,
    *pairs.NOT_WORKED_OUT,
]
GOLDS = ("5", "x+1", r"\sqrt{2}", "1,2", r"\frac{1}{3}", "[0,1)", r"\text{even}", r"5\text{ cm}")
COSTLY = [
    "9^{9^{9^9}}",
    "9^9^9^9",
    "10^{10^{10}}",
    "1000000!",
    "((9!)!)!",
    "9!!!!",
    r"\cos(10^{10^{10}})",
    "(x+1)^{10^{99}}",
    r"\binom{10^9}{10^8}",
    "(" * 2000 + "5" + ")" * 2000,
    "{" * 2000 + "5" + "}" * 2000,
    "(" * 60 + "5" + ")" * 60,
    "-" * 3000 + "6",
    "9" * 4000,
    "9" * 999 + "^" + "9" * 999,
    "+".join(["x"] * 900),
    "/".join(["5"] * 900),
    "^".join(["x"] * 500),
    r"\frac{1}{" * 500 + "5" + "}" * 500,
    r"\sqrt{" * 500 + "5" + "}" * 500,
    "|" * 1000,
    "x=" * 900 + "6",
    r"\pm" * 500 + "5",
    r"\pm 1 " * 50,
    r"\sin " * 300 + "x",
    "e^{e^{e^{e^{e^{9}}}}}",
    "1e999999999",
    "10^{-10^{10}}",
    "*".join([r"\sqrt{2}"] * 300),
    "*".join(f"{i}!" for i in range(100, 140)),
    "+".join(f"1/{i}!" for i in range(2900, 2990)),
    "*".join(f"(x+{i})" for i in range(250)),
    "+".join(rf"\sqrt{{{i}}}" for i in range(2, 200)),
    r"\text{" * 500,
    r"\begin{pmatrix}" * 200,
    "\\" * 3999,
]


def boxed(answer: str) -> str:
    return f"So the answer is $\\boxed{{{answer}}}$."


@pytest.mark.parametrize(("gold", "answer"), EQUAL)
def test_equal_answers_are_right(gold: str, answer: str) -> None:
    assert grade_math(gold, boxed(answer)).reason is Reason.CORRECT


@pytest.mark.parametrize(("gold", "answer"), DIFFERENT)
def test_other_answers_are_not(gold: str, answer: str) -> None:
    assert not grade_math(gold, boxed(answer))


@pytest.mark.parametrize("gold", sorted({gold for gold, _ in [*EQUAL, *DIFFERENT]}))
def test_a_gold_answer_is_equal_to_itself(gold: str) -> None:
    assert grade_math(gold, boxed(gold))


@pytest.mark.check("R33")
@pytest.mark.parametrize("answer", pairs.CODE)
def test_code_is_no_answer(answer: str) -> None:
    assert not grade_math("5", boxed(answer))


@pytest.mark.parametrize("answer", pairs.JUNK)
def test_junk_is_no_answer(answer: str) -> None:
    assert not grade_math("0", boxed(answer))


@pytest.mark.check("R33")
@pytest.mark.parametrize("gold", GOLDS)
def test_costly_answers_are_refused_at_once(gold: str) -> None:
    for answer in COSTLY:
        verdict, calls = counted_work(lambda answer=answer: grade_math(gold, boxed(answer)))
        assert not verdict
        assert calls < MOST_CALLS, answer[:40]


def test_a_tower_equals_the_same_tower_and_no_other() -> None:
    assert grade_math("9^{9^9}", boxed("9^{9^9}"))
    assert grade_math("9^{9^9}", boxed("9^{9^8}")).reason is Reason.REFUSED


@pytest.mark.parametrize(
    "gold",
    [
        "",
        " ",
        "$",
        "$$",
        r"\boxed{}",
        "{}",
        "()",
        "41 = 42",
        r"\frac{1}{",
        "1 +",
        "(1,2",
        "]",
        "\u2603",
        "?",
        r"\frac13 \approx 0.34",
        r"The answer is $\frac{1}{2}$ because the integral converges.",
    ],
)
def test_a_gold_answer_that_is_none_is_an_error(gold: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_gold(gold)


def test_a_gold_answer_can_be_read_once_for_many_responses() -> None:
    gold = parse_gold(r"\frac{1}{2}")
    assert grade_math(gold, boxed("0.5"))
    assert not grade_math(gold, boxed("0.6"))


def test_a_gold_answer_is_read_once() -> None:
    assert parse_gold(r"\frac{3}{8}") is parse_gold(r"\frac{3}{8}")


@pytest.mark.parametrize(
    "gold", [r"A \to B", r"\text{all integers } n \geq 2", r"\mathcal{O}(n)", r"1,2,\ldots,10", "1, 2, ..., n"]
)
def test_short_notation_is_a_gold_answer(gold: str) -> None:
    assert grade_math(gold, boxed(gold))
    assert not grade_math(gold, boxed("z" + gold))


@pytest.mark.parametrize("item", [r"\sqrt{%d}", r"\pi+%d", "x-%d", "(%d,1)", r"\frac{1}{%d}", r"\{%d,\pi\}"])
def test_long_lists_are_matched_in_any_order(item: str) -> None:
    items = [item % number for number in range(2, 42)]
    gold, reversed_list = ",".join(items), ",".join(reversed(items))
    parse_gold(gold)
    verdict, calls = counted_work(lambda: grade_math(gold, boxed(reversed_list)))
    assert verdict
    assert calls < MOST_CALLS
    assert not grade_math(gold, boxed(reversed_list + "7"))


def test_whether_numbers_must_be_worked_out_can_be_said() -> None:
    assert not grade_math("408", boxed(r"12\cdot34"))
    assert grade_math("408", boxed(r"12\cdot34"), require_evaluated=False)
    assert grade_math("2^{10}", boxed(r"2\cdot2^9"))
    assert not grade_math("2^{10}", boxed(r"2\cdot2^9"), require_evaluated=True)
    assert grade_math("2^{10}", boxed("1024"), require_evaluated=True)


def test_reasons() -> None:
    assert grade_math("42", "").reason is Reason.NO_ANSWER
    assert grade_math("42", r"<think>\boxed{42}").reason is Reason.NO_ANSWER
    assert grade_math("42", boxed("41")).reason is Reason.WRONG
    assert grade_math("42", boxed("not 42")).reason is Reason.MALFORMED
    assert grade_math(r"\sqrt{2}", boxed("10^{10^{10}}")).reason is Reason.REFUSED
    assert grade_math("42", boxed("4" * 5000)).reason is Reason.TOO_LONG
    assert grade_math("42", boxed("41")).extracted == "41"


@pytest.mark.check("R32")
def test_verdicts_are_the_same_in_threads_and_again() -> None:
    rows = [*EQUAL, *DIFFERENT][::4]

    def grade(row: tuple[str, str]) -> Reason:
        return grade_math(row[0], boxed(row[1])).reason

    once = [grade(row) for row in rows]
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(grade, rows)) == once
    assert [grade(row) for row in reversed(rows)] == once[::-1]


def test_mpmath_s_own_precision_is_left_alone() -> None:
    mpmath.mp.dps = 15
    grade_math(r"\sqrt{2}", boxed(r"2^{1/2}"))
    assert mpmath.mp.dps == 15


def test_it_works_where_little_of_the_stack_is_left() -> None:
    def deep(levels: int) -> bool:
        return deep(levels - 1) if levels else bool(grade_math("5", boxed("(" * 31 + "5" + ")" * 31)))

    assert deep(300)


def test_it_loads_neither_torch_nor_sympy_and_nothing_of_the_other_cores() -> None:
    script = (
        "import sys; from rlvr.rewards.maths import grade_math; assert grade_math('1/2', '\\\\boxed{0.5}');"
        "assert not {'torch', 'sympy', 'transformers', 'rlvr.models', 'rlvr.algo'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
