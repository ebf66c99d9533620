"""Other forms of a value: what ± stands for, matrices worked out, labels taken off, numbers that are fully evaluated."""

from collections.abc import Callable
from fractions import Fraction
from itertools import product as every_choice

from rlvr.rewards.maths.values import (
    ARITHMETIC,
    Based,
    Call,
    Const,
    Group,
    MalformedError,
    Matrix,
    Measure,
    Negative,
    Node,
    Num,
    PlusMinus,
    Power,
    Product,
    Quotient,
    RefusedError,
    Relation,
    Sum,
    Var,
    parts,
)

_MAX_SIGNS = 3
_MAX_SIZE = 5
"""The most rows or columns of a matrix that is multiplied."""


def _rebuilt(node: Node, change: Callable[[Node], Node]) -> Node:
    """The same arithmetic with its direct parts changed."""
    match node:
        case Negative(item):
            return Negative(change(item))
        case Sum(items):
            return Sum(tuple(map(change, items)))
        case Product(items):
            return Product(tuple(map(change, items)))
        case Quotient(top, bottom):
            return Quotient(change(top), change(bottom))
        case Power(base, exponent):
            return Power(change(base), change(exponent))
        case Call(name, args):
            return Call(name, tuple(map(change, args)))
        case Measure(value, unit):
            return Measure(change(value), unit)
        case _:
            return node


def _signs(node: Node) -> list[bool]:
    """The ± (True) and ∓ (False) in a value, from left to right."""
    own = [node.upper] if isinstance(node, PlusMinus) else []
    return own + [sign for part in parts(node) for sign in _signs(part)]


def alternatives(node: Node) -> tuple[Node, ...]:
    """The values that ± and ∓ stand for: all signs together if there is a ∓, else each for itself."""
    signs = _signs(node) if isinstance(node, (*ARITHMETIC, Measure)) else []
    if not signs:
        return (node,)
    if len(signs) > _MAX_SIGNS:
        raise RefusedError("too many ±")
    if all(signs):
        choices = list(every_choice((True, False), repeat=len(signs)))
    else:
        choices = [tuple(upper is up for upper in signs) for up in (True, False)]
    return tuple(_signed(node, list(choice)) for choice in choices)


def _signed(node: Node, choice: list[bool]) -> Node:
    """A value with its ± replaced from left to right by + for True and - for False."""
    if isinstance(node, PlusMinus):
        plus = choice.pop(0)
        item = _signed(node.item, choice)
        return item if plus else Negative(item)
    return _rebuilt(node, lambda part: _signed(part, choice))


def worked_out(node: Node) -> Node:
    """A value with sums, products and determinants of matrices worked out by entries; others are given back as they are."""
    match node:
        case Sum(items) | Product(items) if any(map(_has_matrix, items)):
            return _combined([worked_out(item) for item in items], isinstance(node, Sum))
        case Negative(item) if _has_matrix(item):
            return _scaled(Num(Fraction(-1)), worked_out(item))
        case Power(base, Num() as exponent) if _has_matrix(base) and exponent.value in (2, 3):
            return _combined([worked_out(base)] * int(exponent.value), adding=False)
        case Call("det", (matrix,)):
            return _determinant(worked_out(matrix))
        case _:
            return node


def _has_matrix(node: Node) -> bool:
    return isinstance(node, Matrix) or any(map(_has_matrix, parts(node)))


def _combined(items: list[Node], adding: bool) -> Node:
    if len(items) > 4:
        raise RefusedError("too many matrices")
    total = items[0]
    for item in items[1:]:
        total = _added(total, item) if adding else _multiplied(total, item)
    return total


def _added(left: Node, right: Node) -> Node:
    if not isinstance(left, Matrix) or not isinstance(right, Matrix) or _shape(left) != _shape(right):
        raise MalformedError("a sum of matrices of different shapes")
    rows = zip(left.rows, right.rows, strict=True)
    return Matrix(tuple(tuple(Sum(pair) for pair in zip(*row, strict=True)) for row in rows))


def _multiplied(left: Node, right: Node) -> Node:
    if isinstance(left, Matrix) and isinstance(right, Matrix):
        if _shape(left)[1] != _shape(right)[0] or max(_shape(left) + _shape(right)) > _MAX_SIZE:
            raise MalformedError("a product of matrices that do not fit")
        columns = list(zip(*right.rows, strict=True))
        return Matrix(tuple(tuple(_dot(row, column) for column in columns) for row in left.rows))
    if isinstance(right, Matrix):
        return _scaled(left, right)
    return _scaled(right, left)


def _dot(row: tuple[Node, ...], column: tuple[Node, ...]) -> Node:
    terms = tuple(Product(pair) for pair in zip(row, column, strict=True))
    return terms[0] if len(terms) == 1 else Sum(terms)


def _scaled(scalar: Node, matrix: Node) -> Node:
    if not isinstance(matrix, Matrix):
        return Product((scalar, matrix))
    return Matrix(tuple(tuple(Product((scalar, cell)) for cell in row) for row in matrix.rows))


def _shape(matrix: Matrix) -> tuple[int, int]:
    return len(matrix.rows), len(matrix.rows[0])


def _determinant(matrix: Node) -> Node:
    if not isinstance(matrix, Matrix) or _shape(matrix) not in ((1, 1), (2, 2)):
        raise RefusedError("a determinant that is not worked out here")
    if _shape(matrix) == (1, 1):
        return matrix.rows[0][0]
    (a, b), (c, d) = matrix.rows
    return Sum((Product((a, d)), Negative(Product((b, c)))))


def is_label(node: Node) -> bool:
    """Whether a value only names what it is equal to: ``x``, ``f(2)``, ``(x, y)``, ``AB``, ``m+n``, ``dy/dx``."""
    match node:
        case Var():
            return True
        case Call(name, args):
            named = name.startswith("apply:") and all(isinstance(arg, Var | Num) for arg in args)
            return named or (name == "abs" and is_label(args[0]))
        case Quotient(Product((Var("d"), Var())), Product((Var("d"), Var()))):
            return True
        case Sum(items) | Product(items) | Group("(", items, ")"):
            return bool(items) and all(isinstance(item, Var) for item in items)
        case _:
            return False


def without_label(node: Node) -> tuple[Node | None, Node]:
    """(label, value) of ``label = value`` or ``value = label``; the label is None if there is none.

    A chain keeps its other members, but ``x = y = 5`` has a label and one value.
    """
    if not isinstance(node, Relation) or set(node.operators) != {"="}:
        return None, node
    members = node.members
    values = [member for member in members if not isinstance(member, Var)]
    if len(values) == 1 and len(members) > 2:
        return next(member for member in members if isinstance(member, Var)), values[0]
    for label, rest in ((members[0], members[1:]), (members[-1], members[:-1])):
        named = isinstance(label, Call) and len(rest) == 1
        if is_label(label) and (named or not any(is_label(member) for member in rest)):
            return label, rest[0] if len(rest) == 1 else Relation(rest, ("=",) * (len(rest) - 1))
    return None, node


def infinity(node: Node) -> int:
    """1 for ∞, -1 for -∞, 0 for anything else."""
    if isinstance(node, Negative):
        return -infinity(node.item)
    return int(node == Const("inf"))


def evaluated(node: Node) -> bool:
    """Whether a value is a number as one writes it when the work is done: digits, a mixed number, times a power of ten."""
    match node:
        case Num() | Based():
            return True
        case Negative(item):
            return not isinstance(item, Negative) and evaluated(item)
        case Measure(value):
            return evaluated(value)
        case Product((Num(), power)):
            return _power_of_ten(power)
        case _:
            return _power_of_ten(node)


def _power_of_ten(node: Node) -> bool:
    if not isinstance(node, Power) or not isinstance(node.base, Num) or node.base.value != 10:
        return False
    exponent = node.exponent.item if isinstance(node.exponent, Negative) else node.exponent
    return isinstance(exponent, Num) and exponent.form == "integer"


def nearly_evaluated(node: Node) -> bool:
    """Whether a value is a number or a fraction or power of numbers: no sum or product is left to do."""
    match node:
        case Quotient(top, bottom):
            return nearly_evaluated(top) and nearly_evaluated(bottom)
        case Power(base, exponent):
            return nearly_evaluated(base) and nearly_evaluated(exponent)
        case Negative(item):
            return nearly_evaluated(item)
        case _:
            return evaluated(node)


def literal_rational(node: Node) -> bool:
    """Whether a gold answer is a rational number that is written out."""
    match node:
        case Quotient(top, bottom):
            return evaluated(top) and evaluated(bottom)
        case Negative(item):
            return literal_rational(item)
        case _:
            return evaluated(node)


def literal_integer(node: Node) -> bool:
    """Whether a gold answer is a whole number in digits."""
    if isinstance(node, Negative | Measure):
        return literal_integer(node.item if isinstance(node, Negative) else node.value)
    return isinstance(node, Num) and node.value.denominator == 1
