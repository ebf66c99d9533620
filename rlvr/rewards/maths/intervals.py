"""Sets of real numbers as pieces between two ends: intervals, unions, bounds on one variable, points left out."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from rlvr.rewards.maths.exact import Budget
from rlvr.rewards.maths.forms import infinity
from rlvr.rewards.maths.numeric import Value, real_value, same_value
from rlvr.rewards.maths.values import (
    ARITHMETIC,
    Const,
    Finite,
    Group,
    Negative,
    Node,
    NumberSet,
    Relation,
    SetTerm,
    Several,
    Var,
    variables,
)

_INFINITE = Const("inf")
_LOWEST = Negative(_INFINITE)


@dataclass(frozen=True)
class Piece:
    """The numbers between two ends, with each end or without."""

    low: Node
    high: Node
    with_low: bool
    with_high: bool


def pieces(node: Node, budget: Budget) -> list[Piece] | None:
    """The pieces of a set of real numbers; None if it is not seen as one. A point in round brackets is seen as an interval."""
    match node:
        case Group(left, (low, high), right) if left in "([" and right in ")]":
            return [Piece(low, high, left == "[" and not infinity(low), right == "]" and not infinity(high))]
        case NumberSet("R"):
            return [Piece(_LOWEST, _INFINITE, False, False)]
        case Finite(items) if all(isinstance(item, ARITHMETIC) for item in items):
            return [Piece(item, item, True, True) for item in items]
        case SetTerm("cup", items):
            return _joined(items, budget)
        case Several(items, either):
            return (None if either else _common(items, budget)) or _joined(items, budget)
        case SetTerm("setminus", (NumberSet("R"), left_out)):
            return _complement(pieces(left_out, budget), budget)
        case SetTerm("where", (name, *conditions)):
            return _members(name, conditions, budget)
        case Relation():
            return _bounds(node, budget)
        case _:
            return None


def _joined(items: Sequence[Node], budget: Budget) -> list[Piece] | None:
    """The pieces of several sets together."""
    found = [None if isinstance(item, ARITHMETIC) else pieces(item, budget) for item in items]
    return None if any(each is None for each in found) else [piece for each in found if each for piece in each]


def _common(items: Sequence[Node], budget: Budget) -> list[Piece] | None:
    """What lies in all of several sets, where that is surely meant; None otherwise."""
    return _left_out(items, budget) or _overlap(items, budget)


def _overlap(items: Sequence[Node], budget: Budget) -> list[Piece] | None:
    """What ``x > 1, x < 3`` have in common; None if they are not two rays that overlap, and so mean something else."""
    if len(items) != 2 or not all(isinstance(item, Relation) and bounded_variable(item) for item in items):
        return None
    found = _joined(items, budget)
    if found is None or len(found) != 2:
        return None
    up, down = found if infinity(found[1].low) < 0 else found[::-1]
    if infinity(up.high) != 1 or infinity(down.low) != -1 or infinity(up.low) or infinity(down.high):
        return None
    low, high = real_value(up.low, 30, budget), real_value(down.high, 30, budget)
    if low is None or high is None or low >= high:
        return None
    return [Piece(up.low, down.high, up.with_low, down.with_high)]


def _complement(left_out: list[Piece] | None, budget: Budget) -> list[Piece] | None:
    """The real line without some pieces; None if their order is not known or they overlap."""
    placed: list[tuple[Value, Value, Piece]] = [
        (real_value(piece.low, 30, budget), real_value(piece.high, 30, budget), piece) for piece in left_out or []
    ]
    if not placed or any(low is None or high is None or low > high for low, high, _ in placed):
        return None
    placed.sort(key=_place)
    if any(before[1] >= after[0] for before, after in pairwise(placed)):
        return None
    rest: list[Piece] = []
    low: Node = _LOWEST
    with_low = False
    for *_, piece in placed:
        rest.append(Piece(low, piece.low, with_low, not piece.with_low))
        low, with_low = piece.high, not piece.with_high
    return [*rest, Piece(low, _INFINITE, with_low, False)]


def _place(placed: tuple[Value, Value, Piece]) -> Value:
    return placed[0]


def _left_out(items: Sequence[Node], budget: Budget) -> list[Piece] | None:
    """The real line without the points of ``x != 0, x != 1`` or ``x != 0, 1``; None if that is not what the items are."""
    if not items:
        return None
    first, points = items[0], list[Node]()
    name = bounded_variable(first) if isinstance(first, Relation) else None
    for item in items:
        if isinstance(item, Relation) and item.operators == ("!=",) and bounded_variable(item) == name:
            points += [member for member in item.members if not isinstance(member, Var)]
        elif name is not None and isinstance(item, ARITHMETIC) and not variables(item):
            points.append(item)
        else:
            return None
    return _complement([Piece(point, point, True, True) for point in points], budget)


def _members(name: Node, conditions: Sequence[Node], budget: Budget) -> list[Piece] | None:
    """The real numbers that conditions on one variable let through; None if they are not bounds."""
    rest = [condition for condition in conditions if condition != Relation((name, NumberSet("R")), ("in",))]
    if any(not variables(condition) <= variables(name) for condition in rest):
        return None
    return pieces(rest[0], budget) if len(rest) == 1 else _common(rest, budget)


def bounded_variable(relation: Relation) -> str | None:
    """The one variable that a relation bounds by constants, as in ``0 < x <= 1``; None if it is not of that form."""
    names = [member.name for member in relation.members if isinstance(member, Var)]
    others = [member for member in relation.members if not isinstance(member, Var)]
    return names[0] if len(names) == 1 and not any(map(variables, others)) else None


def _bounds(relation: Relation, budget: Budget) -> list[Piece] | None:
    if bounded_variable(relation) is None or len(relation.members) > 3:
        return None
    at = next(k for k, member in enumerate(relation.members) if isinstance(member, Var))
    if relation.operators == ("in",):
        return pieces(relation.members[1], budget) if at == 0 else None
    if relation.operators == ("!=",):
        left_out = relation.members[1 - at]
        return _complement([Piece(left_out, left_out, True, True)], budget)
    low: Node = _LOWEST
    high: Node = _INFINITE
    with_low = with_high = False
    for k, operator in enumerate(relation.operators):
        if operator not in ("<", ">", "<=", ">=") or at not in (k, k + 1):
            return None
        bound = relation.members[k + 1 if at == k else k]
        closed = "=" in operator and not infinity(bound)
        if (at == k) == (operator[0] == "<"):
            high, with_high = bound, closed
        else:
            low, with_low = bound, closed
    if len(relation.operators) == 2 and (low == _LOWEST) and (high == _INFINITE):
        return None
    return [Piece(low, high, with_low, with_high)]


def same_pieces(gold: list[Piece], answer: list[Piece], budget: Budget) -> bool:
    """Whether two lists have the same pieces, in any order."""
    rest = list(answer)
    for piece in gold:
        found = next((other for other in rest if _same_piece(piece, other, budget)), None)
        if found is None:
            return False
        rest.remove(found)
    return not rest


def _same_piece(gold: Piece, answer: Piece, budget: Budget) -> bool:
    if (gold.with_low, gold.with_high) != (answer.with_low, answer.with_high):
        return False
    return same_end(gold.low, answer.low, budget) and same_end(gold.high, answer.high, budget)


def same_end(gold: Node, answer: Node, budget: Budget) -> bool:
    """Whether two ends, numbers or infinities, are equal."""
    if infinity(gold) or infinity(answer):
        return infinity(gold) == infinity(answer)
    return same_value(gold, answer, budget)
