"""Sets of real numbers as pieces between two ends: intervals, unions, bounds on one variable, points left out."""

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
            return [Piece(Negative(_INFINITE), _INFINITE, False, False)]
        case Finite(items) if all(isinstance(item, ARITHMETIC) for item in items):
            return [Piece(item, item, True, True) for item in items]
        case SetTerm("cup", items) | Several(items):
            found = [pieces(item, budget) for item in items if not isinstance(item, ARITHMETIC)]
            if len(found) < len(items):
                return None
            return None if any(each is None for each in found) else [piece for each in found if each for piece in each]
        case SetTerm("setminus", (NumberSet("R"), Finite(items))):
            return _without(items, budget)
        case Relation():
            return _bounds(node, budget)
        case _:
            return None


def _without(items: tuple[Node, ...], budget: Budget) -> list[Piece] | None:
    """The real line without some points."""
    placed = [(real_value(item, 30, budget), item) for item in items]
    if any(value is None for value, _ in placed) or not placed:
        return None
    ends = [Negative(_INFINITE), *(item for _, item in sorted(placed, key=_place)), _INFINITE]
    return [Piece(low, high, False, False) for low, high in pairwise(ends)]


def _place(placed: tuple[Value, Node]) -> Value:
    return placed[0]


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
        return _without((relation.members[1 - at],), budget)
    low: Node = Negative(_INFINITE)
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
    if len(relation.operators) == 2 and (low == Negative(_INFINITE)) and (high == _INFINITE):
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
