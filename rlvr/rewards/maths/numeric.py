"""Values to many digits, by mpmath in a context of our own, and what two such values say about equality."""

import hashlib
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, cast

from mpmath.ctx_mp import MPContext

from rlvr.rewards.maths.exact import Budget, exact
from rlvr.rewards.maths.values import (
    ARITHMETIC,
    Based,
    Call,
    Const,
    Measure,
    Negative,
    Node,
    Num,
    Power,
    Product,
    Quotient,
    RefusedError,
    Sum,
    Var,
    parts,
    variables,
)

PRECISIONS = (60, 160)
"""Decimal digits of the two evaluations. What is equal only by rounding at the first is not at the second."""
MAX_LOG = 1_000_000
"""The largest binary exponent of a power: far above any answer, far below what costs memory."""
_COST, _GAMMA_COST, _CONTEXT_COST = 12_000, 400_000, 150_000
"""What an operation takes from the budget, so that about five thousand fit into it."""
_RANGES = ((20, 90), (110, 300), (-300, 300), (-280, 310), (20, 95), (300, 700), (105, 260))
"""Where the points lie, in hundredths. Negative ones tell |x| from x."""

Value = Any
"""A number of mpmath, which is not typed."""


class UndefinedError(ValueError):
    """An expression has no value at a point, or no real one where a real one is asked for."""


@dataclass(frozen=True)
class Point:
    """Where to evaluate: what the variables are, and whether all intermediate values must be real. salt: its number."""

    values: dict[str, Fraction]
    real: bool
    salt: int = 0


def seeded(name: str, salt: int, low: int, high: int) -> Fraction:
    """A fixed pseudo-random number for a name, between low and high hundredths."""
    digest = hashlib.sha256(f"{salt}:{name}".encode("utf-8", "replace")).digest()
    return Fraction(low, 100) + Fraction(int.from_bytes(digest[:4], "big"), 1 << 32) * Fraction(high - low, 100)


def points(names: frozenset[str], *, real: bool) -> list[Point]:
    """The fixed points at which expressions in these variables are compared."""
    ranges = _RANGES if real else _RANGES[:2] + _RANGES[-2:]
    return [
        Point({name: seeded(name, salt, low, high) for name in names}, real, salt)
        for salt, (low, high) in enumerate(ranges)
    ]


class Evaluator:
    """Evaluates expressions to a number of decimal digits. Each answer has its own: mpmath's contexts have state."""

    def __init__(self, digits: int, budget: Budget) -> None:
        self.context = MPContext()
        self.context.dps = digits
        self.budget = budget
        budget.left -= _CONTEXT_COST

    def at(self, node: Node, point: Point) -> Value:
        """The value of an expression. Raises UndefinedError or RefusedError."""
        try:
            value = self._value(node, point)
        except (ZeroDivisionError, OverflowError, ValueError, TypeError) as problem:
            if isinstance(problem, (RefusedError, UndefinedError)):
                raise
            raise UndefinedError(str(problem)) from problem
        if not self.context.isfinite(value):
            raise UndefinedError("not finite")
        return value

    def _number(self, value: Fraction) -> Value:
        return self.context.mpf(value.numerator) / value.denominator

    def _value(self, node: Node, point: Point) -> Value:
        self.budget.left -= _COST
        if self.budget.left < 0:
            raise RefusedError("too much work")
        match node:
            case Num(value):
                return self._number(value)
            case Based():
                return self.context.mpf(node.value)
            case Var(name):
                return self._number(point.values[name])
            case Const(name):
                return self._constant(name)
            case Negative(item):
                return -self._value(item, point)
            case Sum(items):
                return self.context.fsum([self._value(item, point) for item in items])
            case Product(items):
                return self.context.fprod([self._value(item, point) for item in items])
            case Quotient(top, bottom):
                return self._value(top, point) / self._value(bottom, point)
            case Power(base, exponent):
                return self._power(self._value(base, point), self._value(exponent, point), point)
            case Measure(value, unit):
                return self._measure(self._value(value, point), unit)
            case Call(name, args):
                return self._call(name, [self._value(arg, point) for arg in args], point)
            case _:
                raise UndefinedError("no number")

    def _constant(self, name: str) -> Value:
        if name == "inf":
            raise UndefinedError("infinite")
        return {"pi": +self.context.pi, "e": +self.context.e, "i": self.context.mpc(0, 1)}[name]

    def _measure(self, value: Value, unit: str) -> Value:
        match unit:
            case "percent":
                return value / 100
            case "degree":
                return value * self.context.pi / 180
            case "radian":
                return value
            case _:
                raise UndefinedError("a unit inside an expression")

    def _log(self, value: Value) -> float:
        """The binary logarithm of an absolute value, roughly, without computing one."""
        return float(self.context.mag(value)) if value else 0.0

    def _power(self, base: Value, exponent: Value, point: Point) -> Value:
        if not base:
            if self.context.re(exponent) <= 0:
                raise UndefinedError("a power of 0")
            return base
        if self._log(exponent) > 40 or (abs(self._log(base)) + 2) * abs(exponent) > MAX_LOG:
            raise RefusedError("a power too large")
        if point.real and base < 0 and not self.context.isint(exponent):
            raise UndefinedError("not real")
        return base**exponent

    def _real(self, value: Value, point: Point, *, allowed: bool) -> None:
        if point.real and not allowed:
            raise UndefinedError("not real")

    def _call(self, name: str, args: list[Value], point: Point) -> Value:
        first = args[0]
        if name.startswith("apply:"):
            return self._unknown(name, args)
        if name in ("root", "binomial", "max", "min"):
            return self._call_of_two(name, args, point)
        if self._log(first) > (20 if name in ("sinh", "cosh", "tanh") else 3000):
            raise RefusedError("an argument too large")
        context = self.context
        match name:
            case "factorial":
                return self._factorial(first)
            case "ln" | "log10":
                if not first:
                    raise UndefinedError("log of 0")
                self._real(first, point, allowed=not point.real or first > 0)
                return context.log(first) if name == "ln" else context.log(first) / context.log(10)
            case "asin" | "acos":
                self._real(first, point, allowed=not point.real or abs(first) <= 1)
                return getattr(context, name)(first)
            case "abs" | "floor" | "ceil":
                return {"abs": abs, "floor": context.floor, "ceil": context.ceil}[name](first)
            case "sin" | "cos" | "tan" | "cot" | "sec" | "csc" | "atan" | "sinh" | "cosh" | "tanh" | "arg":
                return getattr(context, name)(first)
            case _:
                raise UndefinedError(f"{name} is not evaluated")

    def _call_of_two(self, name: str, args: list[Value], point: Point) -> Value:
        if name in ("max", "min"):
            return max(args) if name == "max" else min(args)
        first, second = args
        if name == "root":
            return self._root(first, second, point)
        self.budget.left -= _GAMMA_COST
        if self._log(first) > 12 or self._log(second) > 12:
            raise RefusedError("a binomial too large")
        return self.context.binomial(first, second)

    def _factorial(self, number: Value) -> Value:
        self.budget.left -= _GAMMA_COST
        if self._log(number) > 12:
            raise RefusedError("a factorial too large")
        return self.context.factorial(number)

    def _root(self, number: Value, degree: Value, point: Point) -> Value:
        """The principal root, but the real one of a negative number if the degree is odd, as at school."""
        if not degree:
            raise UndefinedError("the 0th root")
        real = self.context.im(number) == 0
        if real and self.context.re(number) < 0 and self.context.isint(degree) and int(degree) % 2:
            return -self._power(-number, 1 / degree, point)
        if degree == 2:
            self._real(number, point, allowed=not point.real or number >= 0)
            return self.context.sqrt(number)
        return self._power(number, 1 / degree, point)

    def _unknown(self, name: str, args: list[Value]) -> Value:
        """A fixed polynomial that stands for a function which only has a name: no functional equation holds for it."""
        total = self._number(seeded(name, len(args), 100, 900))
        for k, arg in enumerate(args):
            slope, curve = seeded(name, 10 + k, 100, 900), seeded(name, 20 + k, 100, 900)
            total += self._number(slope) * arg + self._number(curve) * arg * arg
        return total


def _evaluator(digits: int, budget: Budget) -> Evaluator:
    if digits not in budget.done:
        budget.done[digits] = Evaluator(digits, budget)
    return cast(Evaluator, budget.done[digits])


def _value_at(node: Node, point: Point, digits: int, budget: Budget) -> Value | None:
    """The value of an expression at a point, computed once for each answer; None if it has none."""
    key = (node, point.salt, point.real, digits)
    if key not in budget.done:
        try:
            budget.done[key] = _evaluator(digits, budget).at(node, point)
        except UndefinedError:
            budget.done[key] = None
    return budget.done[key]


def rough_value(node: Node, budget: Budget) -> str:
    """A few digits of the values in a node, at one point: what differs here is hardly equal."""
    if not isinstance(node, (*ARITHMETIC, Based)):
        return ",".join(rough_value(part, budget) for part in parts(node))
    value = _value_at(node, points(variables(node), real=False)[0], PRECISIONS[0], budget)
    return "" if value is None else str(_evaluator(PRECISIONS[0], budget).context.nstr(value, 12))


def same_value(left: Node, right: Node, budget: Budget) -> bool:
    """Whether two expressions are equal: exactly if both are rational, else at many digits at the fixed points."""
    names = variables(left) | variables(right)
    if not names:
        exact_left, exact_right = exact(left, budget), exact(right, budget)
        if exact_left is not None and exact_right is not None:
            return exact_left == exact_right
        return _agree(left, right, Point({}, real=False), budget) is True
    agreed = 0
    for real, needed in ((True, 3), (False, 2)):
        for point in points(names, real=real):
            answer = _agree(left, right, point, budget)
            if answer is False:
                return False
            agreed += answer is True
        if agreed >= needed:
            return True
    return False


def _agree(left: Node, right: Node, point: Point, budget: Budget) -> bool | None:
    """Whether two expressions agree at a point; None if one of them has no value there."""
    gaps: list[Value] = []
    size: Value = 0
    ten: Value = 10
    for digits in PRECISIONS:
        a, b = _value_at(left, point, digits, budget), _value_at(right, point, digits, budget)
        if a is None or b is None:
            return None
        ten = _evaluator(digits, budget).context.mpf(10)
        size, gap = max(abs(a), abs(b)), abs(a - b)
        if gap > size * ten**-8 and gap > ten**-30:
            return False
        gaps.append(gap)
    first, second = gaps
    return bool(second <= size * ten**-130 or second <= first * ten**-60)


def real_value(node: Node, digits: int, budget: Budget) -> Value | None:
    """The real value of an expression to so many digits; None if it has none, or has variables."""
    value = None if variables(node) else _value_at(node, Point({}, real=True), digits, budget)
    return value if value is not None and value.__class__.__name__ == "mpf" else None


def proportion(left: Node, right: Node, budget: Budget, *, positive: bool) -> bool:
    """Whether two expressions in variables are a constant multiple of each other (a positive one, if so asked), nowhere both 0."""
    names = variables(left) | variables(right)
    first: Value | None = None
    agreed = 0
    for real in (True, False):
        for point in points(names, real=real):
            a, b = (_value_at(side, point, PRECISIONS[0], budget) for side in (left, right))
            if a is None or not b:
                continue
            ratio = a / b
            context = _evaluator(PRECISIONS[0], budget).context
            limit = context.mpf(10) ** -40
            if abs(ratio) < limit or abs(ratio) > 1 / limit or (positive and not context.re(ratio) > 0):
                return False
            if first is not None and abs(ratio - first) > abs(first) * limit:
                return False
            first = ratio
            agreed += 1
        if agreed >= 3:
            return True
    return agreed >= 2
