"""What an answer can be: a tree of small frozen values, from a number to a union of intervals.

The parser makes them, the comparison reads them. No value computes anything when it is made, so that reading a text costs no
more than its length.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias


class MalformedError(ValueError):
    """The text is not one answer in the notation that is read here."""


class RefusedError(ValueError):
    """The text is too deep, too large or too costly to work on."""


@dataclass(frozen=True, slots=True)
class Num:
    """A number as it was written: ``42``, ``0.50``, ``1\\frac12``, ``3.5e8``.

    places: digits after the point, 0 for an integer. digits: significant digits written. form: integer, decimal, mixed, scientific.
    """

    value: Fraction
    form: str = "integer"
    places: int = 0
    digits: int = 1


@dataclass(frozen=True, slots=True)
class Const:
    """A named number: pi, e, i or infinity."""

    name: str


@dataclass(frozen=True, slots=True)
class Var:
    """A variable, with its subscript, primes and accents: ``x``, ``a_n``, ``f'``."""

    name: str


@dataclass(frozen=True, slots=True)
class Negative:
    """Minus its item."""

    item: "Node"


@dataclass(frozen=True, slots=True)
class PlusMinus:
    """Plus or minus its item; upper is True for ± and False for ∓."""

    item: "Node"
    upper: bool


@dataclass(frozen=True, slots=True)
class Sum:
    """The sum of two or more items."""

    items: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Product:
    """The product of two or more items."""

    items: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Quotient:
    """top over bottom."""

    top: "Node"
    bottom: "Node"


@dataclass(frozen=True, slots=True)
class Power:
    """base to the exponent."""

    base: "Node"
    exponent: "Node"


@dataclass(frozen=True, slots=True)
class Call:
    """A known function of its arguments; ``apply:f`` is a function that only has a name."""

    name: str
    args: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Measure:
    """A value with a unit in its canonical spelling; ``percent`` and ``degree`` are units too."""

    value: "Node"
    unit: str


@dataclass(frozen=True, slots=True)
class Group:
    """Items in brackets, in order: a point, a vector or an interval, as the brackets and the gold answer say."""

    left: str
    items: tuple["Node", ...]
    right: str


@dataclass(frozen=True, slots=True)
class Finite:
    """A finite set in braces."""

    items: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Several:
    """Answers with commas, ``and`` or ``or`` between them, without brackets. word: the ``and`` or ``or``, if there is one."""

    items: tuple["Node", ...]
    word: str = ""


@dataclass(frozen=True, slots=True)
class SetTerm:
    """Sets joined by one operator: cup, cap or setminus; or, for ``where``, a variable and the conditions on it."""

    operator: str
    items: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class NumberSet:
    """ℕ, ℤ, ℚ, ℝ or ℂ, by its letter."""

    name: str


@dataclass(frozen=True, slots=True)
class Relation:
    """``members[0] operators[0] members[1] …``; the operators are ``= < > <= >= != ~ in``."""

    members: tuple["Node", ...]
    operators: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Matrix:
    """A matrix by rows, all of the same length."""

    rows: tuple[tuple["Node", ...], ...]


@dataclass(frozen=True, slots=True)
class Ratio:
    """``a:b`` or ``a:b:c``, or a time of the day; clock is True if the last part is written with two digits."""

    items: tuple["Node", ...]
    clock: bool


@dataclass(frozen=True, slots=True)
class Based:
    """A whole number in a base that is written with it: ``1011_2``."""

    digits: str
    base: int
    value: int


@dataclass(frozen=True, slots=True)
class Phrase:
    """Words, or notation that is only compared as text; in the normal form of ``words.plain_words``."""

    text: str


Node: TypeAlias = (
    Num
    | Const
    | Var
    | Negative
    | PlusMinus
    | Sum
    | Product
    | Quotient
    | Power
    | Call
    | Measure
    | Group
    | Finite
    | Several
    | SetTerm
    | NumberSet
    | Relation
    | Matrix
    | Ratio
    | Based
    | Phrase
)


def parts(node: Node) -> tuple[Node, ...]:
    """The direct children of a value."""
    match node:
        case Negative(item) | PlusMinus(item):
            return (item,)
        case Sum(items) | Product(items) | Finite(items) | Several(items):
            return items
        case Quotient(top, bottom):
            return (top, bottom)
        case Power(base, exponent):
            return (base, exponent)
        case Measure(value):
            return (value,)
        case Call() | Group() | SetTerm() | Relation() | Ratio() | Matrix():
            return _listed(node)
        case _:
            return ()


def _listed(node: Call | Group | SetTerm | Relation | Ratio | Matrix) -> tuple[Node, ...]:
    match node:
        case Call():
            return node.args
        case Relation():
            return node.members
        case Matrix():
            return tuple(cell for row in node.rows for cell in row)
        case _:
            return node.items


def variables(node: Node) -> frozenset[str]:
    """The names of the variables and unknown functions in a value."""
    if isinstance(node, Var):
        return frozenset({node.name})
    own = frozenset({node.name}) if isinstance(node, Call) and node.name.startswith("apply:") else frozenset()
    return own.union(*(variables(part) for part in parts(node)))


ARITHMETIC = (Num, Const, Var, Negative, PlusMinus, Sum, Product, Quotient, Power, Call)
"""The values that are one number, or one expression for a number."""
