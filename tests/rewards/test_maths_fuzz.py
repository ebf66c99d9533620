"""Random answers: nothing raises, and a number that was changed is never right."""

import random

import pytest
from counted_work import counted_work

from rlvr.rewards.maths import grade_math

MOST_CALLS = 400_000
"""A verdict's bound, the same as for answers made to be costly."""

PIECES = (
    [
        *"0123456789xyzabnei+-*/^_=<>(){}[]|,;:!%&$.'\\ ",
        r"\frac", r"\frac{1}{2}", r"\sqrt", r"\sqrt{2}", r"\pi", r"\pm", r"\cdot", r"\times", r"\text{", r"\text{ and }", r"\text{ cm}",
        r"\left(", r"\right)", r"\{", r"\}", r"\begin{pmatrix}", r"\end{pmatrix}", r"\\", r"\infty", r"\cup", r"\in", r"\le", r"\ge",
        r"\ne", r"\approx", r"\sin", r"\log", r"\ln", r"\binom", r"^\circ", r"\%", r"\$", r"\mathbb{R}", r"\emptyset", r"\boxed{",
        "10^{10}", "9^9", "1000", "1,000", "12.5", "or", "and", "cm", "sqrt", "π", "²", "½", "√", "∞", "−", "\u200b", "\ud800", "e9",
        r"\overline{3}", r"\lfloor", r"\rfloor", r"\setminus", "f(", "x_1", "_2", "P(x)", "mod", "\x00", "𝟒", "٤",
    ]
)  # fmt: skip
GOLDS = ["42", "-7", r"\frac{3}{7}", "0.125", r"2\sqrt{3}", "x^2+1", "(1,2)", r"\{1,2\}", "[0,1)", "x>5", "y=2x+1", r"5\text{ cm}", r"\text{even}", "C",
         r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", "1011_2", "3:4", r"90^\circ", r"50\%", "1,000", "0.333333333333"]  # fmt: skip
FORMS = [
    "{}",
    "{}.0",
    "+{}",
    "({})",
    "x={}",
    r"{}\text{{ cm}}",
    r"{}\%",
    "{}.",
    r"\text{{{}}}",
    r"\frac{{{}}}{{1}}",
    r"\left({}\right)",
    "{}^\\circ",
]


def fuzzed(generator: random.Random) -> str:
    return "".join(generator.choice(PIECES) for _ in range(generator.randint(1, 25)))


def mutated(gold: str, generator: random.Random) -> str:
    at = generator.randrange(len(gold) + 1)
    return gold[:at] + generator.choice(PIECES) + gold[at + generator.randint(0, 2) :]


def check_no_exception(cases: int, seed: int) -> None:
    generator = random.Random(seed)
    for _ in range(cases):
        gold = generator.choice(GOLDS)
        answer = fuzzed(generator) if generator.random() < 0.5 else mutated(gold, generator)
        response = f"\\boxed{{{answer}}}" if generator.random() < 0.8 else answer
        verdict, calls = counted_work(lambda gold=gold, response=response: grade_math(gold, response))
        assert verdict.reward in (0.0, 1.0)
        assert calls < MOST_CALLS, (gold, response)


def check_changed_numbers(cases: int, seed: int) -> None:
    """Another whole number, in any of the forms that a number comes in, is never right."""
    generator = random.Random(seed)
    for _ in range(cases):
        number = generator.randrange(10 ** generator.randint(1, 20))
        digits = list(str(number))
        at = generator.randrange(len(digits))
        digits[at] = generator.choice([digit for digit in "0123456789" if digit != digits[at]])
        other = "".join(digits)
        form = generator.choice(FORMS)
        assert not grade_math(str(number), f"\\boxed{{{form.format(other)}}}"), (number, form, other)


def check_changed_decimals(cases: int, seed: int) -> None:
    """A long decimal with another digit, not the last, is never right: neither for the decimal nor for the fraction it rounds."""
    generator = random.Random(seed)
    for _ in range(cases):
        top, bottom = generator.randint(1, 999), generator.choice([3, 7, 9, 11, 13, 17, 19, 21, 23, 97])
        if top % bottom == 0:
            continue
        whole, rest = divmod(top, bottom)
        decimals = f"{rest * 10**14 // bottom:014d}"
        at = generator.randrange(13)
        other = decimals[:at] + generator.choice([d for d in "0123456789" if d != decimals[at]]) + decimals[at + 1 :]
        assert grade_math(f"{top}/{bottom}", f"\\boxed{{{whole}.{decimals}}}")
        for gold in (f"{top}/{bottom}", f"{whole}.{decimals}"):
            assert not grade_math(gold, f"\\boxed{{{whole}.{other}}}"), (gold, other)


def test_changed_decimals_are_wrong() -> None:
    check_changed_decimals(1000, seed=5)


def test_random_answers_raise_nothing() -> None:
    check_no_exception(3000, seed=1)


def test_changed_numbers_are_wrong() -> None:
    check_changed_numbers(3000, seed=2)


@pytest.mark.slow
def test_many_random_answers_raise_nothing() -> None:
    check_no_exception(100_000, seed=3)


@pytest.mark.slow
def test_many_changed_numbers_are_wrong() -> None:
    check_changed_numbers(100_000, seed=4)
