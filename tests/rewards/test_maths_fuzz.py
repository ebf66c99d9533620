"""Random answers: nothing raises, no verdict is costly, and what is wrong by its construction is never right."""

from collections.abc import Callable

import pytest
from counted_work import counted_work
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rlvr.rewards.maths import grade_math

MOST_CALLS = 400_000
"""A verdict's bound, the same as for answers made to be costly."""

FEW, MANY = 150, 5_000
"""Examples of each of the four properties: in every run, and in the slow one."""

PIECES = (
    [
        *"0123456789xyzabnei+-*/^_=<>(){}[]|,;:!%&$.'\\ ",
        r"\frac", r"\frac{1}{2}", r"\sqrt", r"\sqrt{2}", r"\pi", r"\pm", r"\cdot", r"\times", r"\text{", r"\text{ and }", r"\text{ cm}",
        r"\left(", r"\right)", r"\{", r"\}", r"\begin{pmatrix}", r"\end{pmatrix}", r"\\", r"\infty", r"\cup", r"\in", r"\le", r"\ge",
        r"\ne", r"\approx", r"\sin", r"\log", r"\ln", r"\binom", r"^\circ", r"\%", r"\$", r"\mathbb{R}", r"\emptyset", r"\boxed{",
        "10^{10}", "9^9", "1000", "1,000", "12.5", "or", "and", "cm", "sqrt", "π", "²", "½", "√", "∞", "−", "\u200b", "\ud800", "e9",
        r"\overline{3}", r"\lfloor", r"\rfloor", r"\setminus", "f(", "x_1", "_2", "P(x)", "mod", "\x00", "𝟒", "٤", r"\mid", r"\choose",
        r"\{x:", r"\frac{\text{m}}{\text{s}}", "million", r"\textbf{(A)}", r"\color{red}", r"\ldots", "${", "km/h", r"\text{ to }",
        "<think>", "</think>", "<answer>", "</answer>", "####", "answer is",
    ]
)  # fmt: skip
HOSTILE = [
    "9^{9^{9^9}}", "((9!)!)!", "10^{-10^{10}}", r"\cos(10^{100})", "(x+1)^{10^{99}}", "1e999999999", r"\binom{10^9}{10^8}",
    "__import__('os')", "exec('1')", "{0.__class__}", "%(x)s", "[/bold]", "\x1b[31m", "(" * 40, "{" * 40, "-" * 40, "|" * 40,
    r"\sqrt{" * 40, r"\frac{1}{" * 40, ",1" * 250, r"\cup(1,2)" * 60, "x<" * 20, r"\{x:" * 40, r"\text{(A)}" * 40, "9" * 1200,
]  # fmt: skip
GOLDS = ["42", "-7", r"\frac{3}{7}", "0.125", r"2\sqrt{3}", "x^2+1", "(1,2)", r"\{1,2\}", "[0,1)", "x>5", "y=2x+1", r"5\text{ cm}", r"\text{even}", "C",
         r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", "1011_2", "3:4", r"90^\circ", r"50\%", "1,000", "0.333333333333", r"\emptyset", r"\pm3",
         r"\{x : x>2\}", r"20\text{ m/s}", r"\textbf{(D)}\ 12"]  # fmt: skip
FORMS = ["{}", "{}.0", "+{}", "({})", "x={}", r"{}\text{{ cm}}", r"{}\%", "{}.", r"\text{{{}}}", r"\frac{{{}}}{{1}}", r"\left({}\right)",
         "{}^\\circ", "{},", r"\color{{red}}{}", r"{}\text{{ apples}}", r"\{{{}\}}", "[{}]", r"x=y={}"]  # fmt: skip
HEDGES = [
    "{gold} or {other}", r"{other} \text{{ or }} {gold}", "{gold}, {other}", "{other}; {gold}", r"\text{{not }} {gold}", r"\neq {gold}",
    r"{other} \to {gold}", "{other} = {gold}", "{gold} = {other}", r"{gold} \text{{ is wrong}}", r"\{{{gold}, {other}\}}", "[{gold}, {other}]",
    r"{gold} \approx {other}", r"{gold} \pm {other}", "{gold}?", r"\text{{maybe }} {gold}", "{gold} {other}", r"{gold} \lor {other}",
    r"{gold} < {other}", r"\geq {gold}", r"{gold} \text{{ to }} {other}", r"({gold}, {other})", r"{gold} \mid {other}",
    r"\begin{{pmatrix}} {gold} & {other} \end{{pmatrix}}", r"\text{{about }} {gold}", r"{gold} \ldots {other}", "{gold}:{other}",
]  # fmt: skip

expressions = st.recursive(
    st.one_of(
        st.integers(-(10**6), 10**6).map(str),
        st.sampled_from([*"xyzabne", r"\pi", "i", "0.5", r"\infty", r"\alpha", "1e5"]),
    ),
    lambda inner: st.one_of(
        st.builds(
            "{}{}{}".format,
            inner,
            st.sampled_from(["+", "-", "*", "/", r"\cdot ", "^", "=", "<", ",", r"\cup ", ":"]),
            inner,
        ),
        st.builds("{}{{{}}}{{{}}}".format, st.sampled_from([r"\frac", r"\binom", r"\sqrt", r"\text"]), inner, inner),
        st.builds("{}({})".format, st.sampled_from([*"f-", r"\sin", r"\ln", r"\max", r"\left", "", "n!"]), inner),
        st.builds(r"\{{x : {}\}}".format, inner),
        st.builds(r"\begin{{pmatrix}}{}&{}\end{{pmatrix}}".format, inner, inner),
        st.builds(
            "{}{}".format, inner, st.sampled_from([r"\%", r"^\circ", r"\text{ cm}", "!", r" \text{ million}", "."])
        ),
    ),
    max_leaves=20,
)
"""Answers as the grammar has them."""
noise = st.lists(st.one_of(st.sampled_from(PIECES), st.sampled_from(HOSTILE), st.text(max_size=3)), max_size=25).map(
    "".join
)
"""Anything at all."""


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """A gold answer or an expression with a piece of it replaced."""
    text = draw(st.one_of(st.sampled_from(GOLDS), expressions))
    at = draw(st.integers(0, len(text)))
    return text[:at] + draw(st.sampled_from(PIECES)) + text[at + draw(st.integers(0, 2)) :]


@st.composite
def changed_digits(draw: st.DrawFn) -> tuple[str, str]:
    """A whole number and the same with one digit changed."""
    number = str(draw(st.integers(0, 10**20)))
    at = draw(st.integers(0, len(number) - 1))
    digit = draw(st.sampled_from("0123456789").filter(lambda digit: digit != number[at]))
    return number, number[:at] + digit + number[at + 1 :]


def nothing_raises(gold: str, answer: str, in_box: bool) -> None:
    """No text raises; its verdict is all or nothing, cheap, and the same again."""
    response = f"\\boxed{{{answer}}}" if in_box else answer
    verdict, calls = counted_work(lambda: grade_math(gold, response))
    assert verdict.reward in (0.0, 1.0)
    assert calls < MOST_CALLS
    assert grade_math(gold, response) == verdict


def another_number_is_wrong(numbers: tuple[str, str], form: str) -> None:
    """Another whole number is never right, in any of the forms that a number comes in."""
    gold, other = numbers
    assert not grade_math(gold, f"\\boxed{{{form.format(other)}}}")


def a_hedge_is_wrong(gold: int, gap: int, hedge: str, root: bool) -> None:
    """Two candidates, a denial or a false equation are never right."""
    forms = [str(gold), str(gold + gap)]
    right, other = (rf"\sqrt{{{abs(gold) + 2}}}{number}" for number in forms) if root else forms
    right, other = (f"({text})" if text.startswith("-") else text for text in (right, other))
    assert not grade_math(forms[0] if not root else right, f"\\boxed{{{hedge.format(gold=right, other=other)}}}")


def another_decimal_is_wrong(top: int, bottom: int, at: int, step: int) -> None:
    """A long decimal with another digit, not the last, is right neither for the decimal nor for the fraction that it rounds."""
    whole, rest = divmod(top, bottom)
    decimals = f"{rest * 10**14 // bottom:014d}"
    other = decimals[:at] + str((int(decimals[at]) + step) % 10) + decimals[at + 1 :]
    assert not grade_math(f"{top}/{bottom}", f"\\boxed{{{whole}.{other}}}")
    assert not grade_math(f"{whole}.{decimals}", f"\\boxed{{{whole}.{other}}}")


PROPERTIES = [
    given(gold=st.sampled_from(GOLDS), answer=st.one_of(noise, mutated(), expressions), in_box=st.booleans())(nothing_raises),
    given(numbers=changed_digits(), form=st.sampled_from(FORMS))(another_number_is_wrong),
    given(gold=st.integers(2, 999), gap=st.integers(1, 9), hedge=st.sampled_from(HEDGES), root=st.booleans())(a_hedge_is_wrong),
    given(
        top=st.integers(1, 999), bottom=st.sampled_from([3, 7, 9, 11, 13, 17, 19, 21, 23, 97]), at=st.integers(0, 12), step=st.integers(1, 9)
    )(another_decimal_is_wrong),
]  # fmt: skip


def check(prop: Callable[[], None], examples: int) -> None:
    """Run a property on so many examples, the same ones every time."""
    settings(
        max_examples=examples, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
    )(prop)()


@pytest.mark.parametrize("prop", PROPERTIES, ids=lambda prop: prop.__name__)
def test_properties(prop: Callable[[], None]) -> None:
    check(prop, FEW)


@pytest.mark.slow
@pytest.mark.parametrize("prop", PROPERTIES, ids=lambda prop: prop.__name__)
def test_properties_on_many_examples(prop: Callable[[], None]) -> None:
    check(prop, MANY)
