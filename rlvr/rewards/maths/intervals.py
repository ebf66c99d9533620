"""Sets of real numbers as pieces between two ends: intervals, unions, bounds on one variable, points left out."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from rlvr.rewards.maths.exact import Budget
from rlvr.rewards.maths.forms import infinity
from rlvr.rewards.maths.matching import matched
from rlvr.rewards.maths.numeric import Value, real_value, rough_value, same_value
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
_STEP = 100
"""The cost of a comparison of two pieces, in words."""
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
        case Several(items, word):
            if len({bounded_variable(item) for item in items if isinstance(item, Relation)}) > 1:
                return None
            if word == "and" and all(isinstance(item, Relation) for item in items):
                return _common(items, budget)
            return (None if word == "or" else _common(items, budget)) or _joined(items, budget)
        case SetTerm("setminus", (NumberSet("R"), left_out)):
            return _complement(pieces(left_out, budget), budget)
        case SetTerm("setminus", (whole, left_out)):
            rest, kept = _complement(pieces(left_out, budget), budget), pieces(whole, budget)
            return _intersection(kept, rest, budget) if kept and rest else None
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
    """What bounds have in common, as ``x > 1, x < 3`` or ``x != 0, 1``; None if they may mean what lies in any of them."""
    each: list[list[Piece]] = []
    for item in items:
        points_too = items[0].operators == ("!=",) if isinstance(items[0], Relation) else False
        if isinstance(item, ARITHMETIC) and points_too and not variables(item):
            found = _complement([Piece(item, item, True, True)], budget)
        else:
            found = pieces(item, budget) if isinstance(item, Relation) and bounded_variable(item) else None
        if found is None:
            return None
        each.append(found)
    common = each[0] if each else None
    for other in each[1:]:
        together = _intersection(common, other, budget) if common else None
        # Where one lies in the other, nobody would write both.
        common = None if together in (None, [], common, other) else together
    return common


def _intersection(left: list[Piece], right: list[Piece], budget: Budget) -> list[Piece] | None:
    """What lies in both; None if the order of the ends is not known."""
    ours, theirs = _placed(left, budget), _placed(right, budget)
    if ours is None or theirs is None:
        return None
    found: list[Piece] = []
    for low, high, piece in ours:
        for other_low, other_high, other in theirs:
            budget.spend_words(_STEP)
            if max(low, other_low) >= min(high, other_high):
                continue
            first, last = (other if other_low > low else piece), (other if other_high < high else piece)
            with_low = first.with_low and (low != other_low or other.with_low)
            with_high = last.with_high and (high != other_high or other.with_high)
            found.append(Piece(first.low, last.high, with_low, with_high))
    return found


def _complement(left_out: list[Piece] | None, budget: Budget) -> list[Piece] | None:
    """The real line without some pieces; None if their order is not known or they overlap."""
    placed = _placed(left_out or [], budget)
    if not placed or any(infinity(piece.low) or infinity(piece.high) for piece in left_out or []):
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


def _placed(found: list[Piece], budget: Budget) -> list[tuple[Value, Value, Piece]] | None:
    """Pieces with the places of their ends on the line; None if one has none or the ends are the wrong way round."""
    placed = [(_end(piece.low, budget), _end(piece.high, budget), piece) for piece in found]
    return None if any(low is None or high is None or low > high for low, high, _ in placed) else placed


def _end(node: Node, budget: Budget) -> Value | None:
    return infinity(node) * float("inf") if infinity(node) else real_value(node, 30, budget)


def _place(placed: tuple[Value, Value, Piece]) -> Value:
    return placed[0]


def _members(name: Node, conditions: Sequence[Node], budget: Budget) -> list[Piece] | None:
    """The real numbers that conditions on one variable let through; None if they are not bounds."""
    rest = [condition for condition in conditions if condition != Relation((name, NumberSet("R")), ("in",))]
    if any(not variables(condition) <= variables(name) for condition in rest):
        return None
    if len(rest) < 2:
        return pieces(rest[0] if rest else NumberSet("R"), budget)
    return _common(rest, budget)


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

    def rough(piece: Piece) -> str:
        return ",".join(rough_value(end, budget) for end in (piece.low, piece.high))

    return matched(gold, answer, rough, lambda piece, other: _same_piece(piece, other, budget))


def _same_piece(gold: Piece, answer: Piece, budget: Budget) -> bool:
    budget.spend_words(_STEP)
    if (gold.with_low, gold.with_high) != (answer.with_low, answer.with_high):
        return False
    return same_end(gold.low, answer.low, budget) and same_end(gold.high, answer.high, budget)


def same_end(gold: Node, answer: Node, budget: Budget) -> bool:
    """Whether two ends, numbers or infinities, are equal."""
    if infinity(gold) or infinity(answer):
        return infinity(gold) == infinity(answer)
    return same_value(gold, answer, budget)
