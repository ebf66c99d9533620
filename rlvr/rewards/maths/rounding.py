"""Decimals that stand for another number: rounded or cut off at their last place, or noisy as binary numbers are."""

from fractions import Fraction

from rlvr.rewards.maths.exact import Budget, exact
from rlvr.rewards.maths.numeric import real_value
from rlvr.rewards.maths.values import Negative, Node, Num, variables

LONG = 8
"""A gold decimal of so many significant digits was rounded; a shorter one is exact."""
ROUNDED = 10
"""A decimal answer needs so many significant digits to stand for a fraction whose decimals do not end …"""
ROUNDED_REAL = 15
"""… and so many to stand for an irrational number."""


def same_when_rounded(gold: Node, answer: Node, budget: Budget) -> bool:
    """Whether one is the other to the digits of a long decimal."""
    if variables(gold) or variables(answer):
        return False
    if is_decimal(gold):
        return _rounds_to(gold, answer, budget)
    if not is_decimal(answer):
        return False
    value = exact(gold, budget)
    if value is None:
        return _digits(answer) >= ROUNDED_REAL and near(answer, gold, budget)
    return not _terminates(value) and _digits(answer) >= ROUNDED and near(answer, gold, budget)


def _rounds_to(gold: Node, answer: Node, budget: Budget) -> bool:
    """A decimal gold answer: a long one is right to its digits; a short one but for the noise of binary numbers."""
    if is_decimal(answer):
        value, noisy = exact(gold, budget), exact(answer, budget)
        if value is None or noisy is None:
            return False
        if _digits(answer) >= 17 and abs(noisy - value) <= abs(value) / 2**52:
            return True
        shorter, longer = (gold, answer) if _places(gold) <= _places(answer) else (answer, gold)
        return min(_digits(gold), _digits(answer)) >= ROUNDED and near(shorter, longer, budget)
    return is_long(gold) and near(gold, answer, budget)


def near(decimal: Node, other: Node, budget: Budget) -> bool:
    """Whether a decimal is another number rounded or cut off at its last place."""
    digits = _digits(decimal) + 30
    if digits > 400:
        return False
    left, right = real_value(decimal, digits, budget), real_value(other, digits, budget)
    if left is None or right is None:
        return False
    gap = abs(right - left) * 10 ** _places(decimal)
    return bool(gap * 2 <= 1 or (gap < 1 and abs(left) < abs(right)))


def is_decimal(node: Node) -> bool:
    """Whether a value is written with digits after the point."""
    inner = node.item if isinstance(node, Negative) else node
    return isinstance(inner, Num) and inner.form in ("decimal", "scientific") and inner.places > 0


def is_long(node: Node) -> bool:
    """Whether a value is a decimal of so many digits that it was rounded."""
    return is_decimal(node) and _digits(node) >= LONG


def _digits(node: Node) -> int:
    inner = node.item if isinstance(node, Negative) else node
    return inner.digits if isinstance(inner, Num) else 0


def _places(node: Node) -> int:
    inner = node.item if isinstance(node, Negative) else node
    return inner.places if isinstance(inner, Num) else 0


def _terminates(value: Fraction) -> bool:
    """Whether the decimals of a fraction end: its denominator has no prime factor but 2 and 5."""
    rest = value.denominator
    for prime in (2, 5):
        while rest % prime == 0 and rest.bit_length() < 5000:
            rest //= prime
    return rest == 1
