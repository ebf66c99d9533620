"""Exact values of constant expressions: rational numbers, or None where there is no exact value to be had cheaply."""

import math
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from rlvr.rewards.maths.values import (
    Based,
    Call,
    Measure,
    Negative,
    Node,
    Num,
    Power,
    Product,
    Quotient,
    RefusedError,
    Sum,
)

MAX_BITS = 40_000
"""No numerator or denominator gets longer; what would is refused before it is computed."""
MAX_FACTORIAL = 3000


@dataclass
class Budget:
    """How much work may still be done for one answer, in 64-bit words squared, which is what a division costs.

    done: what was computed for this answer and may be asked for again.
    """

    left: int = 40_000_000
    done: dict[Any, Any] = field(default_factory=dict)

    def spend(self, *numbers: Fraction) -> None:
        """Take off what an operation on these numbers costs at most."""
        words = 1
        for number in numbers:
            words += (number.numerator.bit_length() + number.denominator.bit_length()) // 64
        self.spend_words(words)

    def spend_words(self, words: int) -> None:
        """Take off the cost of an operation on so many words."""
        self.left -= 20 + words * words
        if self.left < 0:
            raise RefusedError("too much work")


def _bits(number: Fraction) -> int:
    return max(number.numerator.bit_length(), number.denominator.bit_length())


def exact(node: Node, budget: Budget) -> Fraction | None:
    """The rational value of an expression without variables; None if it has none that is seen here."""
    match node:
        case Num(value):
            return value
        case Based():
            return Fraction(node.value)
        case Negative(item):
            inner = exact(item, budget)
            return None if inner is None else -inner
        case Sum(items):
            return _fold(items, budget, multiply=False)
        case Product(items):
            return _fold(items, budget, multiply=True)
        case Quotient(top, bottom):
            return _quotient(exact(top, budget), exact(bottom, budget), budget)
        case Power(base, exponent):
            return _power(exact(base, budget), exact(exponent, budget), budget)
        case Measure(value, "percent"):
            part = exact(value, budget)
            return None if part is None else part / 100
        case Call(name, args):
            return _call(name, [exact(arg, budget) for arg in args], budget)
        case _:
            return None


def _fold(items: tuple[Node, ...], budget: Budget, *, multiply: bool) -> Fraction | None:
    total = Fraction(int(multiply))
    known = True
    for item in items:
        value = exact(item, budget)
        if value is None:
            # The rest is still looked at, so that a tower in it is refused here.
            known = False
        elif known:
            budget.spend(total, value)
            total = total * value if multiply else total + value
            if _bits(total) > MAX_BITS:
                raise RefusedError("numbers too long")
    return total if known else None


def _quotient(top: Fraction | None, bottom: Fraction | None, budget: Budget) -> Fraction | None:
    if top is None or bottom is None or bottom == 0:
        return None
    budget.spend(top, bottom)
    return top / bottom


def _power(base: Fraction | None, exponent: Fraction | None, budget: Budget) -> Fraction | None:
    """A power if it is rational and short enough. Powers of 0, 1 and -1 are short whatever the exponent."""
    if base is None or exponent is None:
        return None
    if base == 0:
        return Fraction(0) if exponent > 0 else None
    if base == 1:
        return base
    if exponent.denominator != 1:
        return _rational_root(base, exponent, budget)
    if base == -1:
        return Fraction(-1 if exponent.numerator % 2 else 1)
    return _whole_power(base, exponent.numerator, budget)


def _whole_power(base: Fraction, exponent: int, budget: Budget) -> Fraction:
    if _bits(base) * abs(exponent) > MAX_BITS:
        raise RefusedError("a power too large")
    budget.spend_words(_bits(base) * abs(exponent) // 64)
    return base**exponent


def _rational_root(base: Fraction, exponent: Fraction, budget: Budget) -> Fraction | None:
    if base < 0 or exponent.denominator > 64:
        return None
    root = whole_root(base, exponent.denominator, budget)
    return None if root is None else _whole_power(root, exponent.numerator, budget)


def whole_root(base: Fraction, degree: int, budget: Budget) -> Fraction | None:
    """The degree-th root of a number that is not negative, if it is rational."""
    budget.spend(base, base)
    top, bottom = _integer_root(base.numerator, degree), _integer_root(base.denominator, degree)
    return None if top is None or bottom is None else Fraction(top, bottom)


def _integer_root(number: int, degree: int) -> int | None:
    """Newton's iteration from above; None if the root is not whole."""
    if number < 2:
        return number
    if degree == 2:
        root = math.isqrt(number)
        return root if root * root == number else None
    if degree > 64 or number.bit_length() > 4000:
        return None
    guess = 1 << -(-number.bit_length() // degree)
    while True:
        following = ((degree - 1) * guess + number // guess ** (degree - 1)) // degree
        if following >= guess:
            return guess if guess**degree == number else None
        guess = following


def _call(name: str, args: list[Fraction | None], budget: Budget) -> Fraction | None:
    known = [arg for arg in args if arg is not None]
    if len(known) < len(args) or not known:
        return None
    first = known[0]
    match name:
        case "abs":
            return abs(first)
        case "floor":
            return Fraction(math.floor(first))
        case "ceil":
            return Fraction(math.ceil(first))
        case "max":
            return max(known)
        case "min":
            return min(known)
        case "factorial":
            return _factorial(first, budget)
        case "root":
            return _root(first, known[1], budget)
        case "binomial":
            return _binomial(first, known[1], budget)
        case "gcd" | "lcm" if all(arg.denominator == 1 for arg in known):
            return _gcd_or_lcm(name, [arg.numerator for arg in known], budget)
        case _:
            return None


def _factorial(number: Fraction, budget: Budget) -> Fraction | None:
    if number.denominator != 1 or number < 0:
        return None
    if number > MAX_FACTORIAL:
        raise RefusedError("a factorial too large")
    budget.spend_words(int(number) // 6)
    return Fraction(math.factorial(int(number)))


def _root(number: Fraction, degree: Fraction, budget: Budget) -> Fraction | None:
    if degree.denominator != 1 or not 2 <= degree <= 64:
        return None
    if number >= 0:
        return whole_root(number, int(degree), budget)
    root = whole_root(-number, int(degree), budget) if degree % 2 else None
    return None if root is None else -root


def _binomial(top: Fraction, bottom: Fraction, budget: Budget) -> Fraction | None:
    if top.denominator != 1 or bottom.denominator != 1 or top < 0 or bottom < 0:
        return None
    smaller = min(bottom, top - bottom)
    if smaller > 0 and (smaller > MAX_FACTORIAL or int(smaller) * int(top).bit_length() > MAX_BITS):
        raise RefusedError("a binomial too large")
    budget.spend_words(200)
    return Fraction(math.comb(int(top), int(bottom))) if smaller >= 0 else Fraction(0)


def _gcd_or_lcm(name: str, numbers: list[int], budget: Budget) -> Fraction:
    budget.spend(*map(Fraction, numbers))
    if name == "lcm" and sum(number.bit_length() for number in numbers) > MAX_BITS:
        raise RefusedError("numbers too long")
    return Fraction(math.gcd(*numbers) if name == "gcd" else math.lcm(*numbers))
