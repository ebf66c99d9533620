"""Equations and inequalities: equal if one side minus the other is, but for a factor."""

from rlvr.rewards.maths.exact import Budget
from rlvr.rewards.maths.numeric import proportion, same_value
from rlvr.rewards.maths.values import ARITHMETIC, Negative, Node, Relation, Sum, variables

_MIRRORED = {">": "<", ">=": "<="}


def _comparisons(relation: Relation) -> list[tuple[str, Node, Node]]:
    """A chain as comparisons of two, with > turned round into <."""
    pairs = zip(relation.operators, relation.members[:-1], relation.members[1:], strict=True)
    return [(_MIRRORED.get(sign, sign), *((b, a) if sign in _MIRRORED else (a, b))) for sign, a, b in pairs]


def same_relation(gold: Relation, answer: Relation, budget: Budget) -> bool:
    """Whether two chains make the same comparisons, in any order."""
    rest = _comparisons(answer)
    wanted = _comparisons(gold)
    if len(rest) != len(wanted):
        return False
    for comparison in wanted:
        found = next((k for k, other in enumerate(rest) if _same_comparison(comparison, other, budget)), None)
        if found is None:
            return False
        rest.pop(found)
    return True


def _same_comparison(gold: tuple[str, Node, Node], answer: tuple[str, Node, Node], budget: Budget) -> bool:
    sign, left, right = gold
    if sign != answer[0] or not all(isinstance(node, ARITHMETIC) for node in (left, right, *answer[1:])):
        return False
    names, others = variables(left) | variables(right), variables(answer[1]) | variables(answer[2])
    if names != others:
        return False
    if not names:
        return same_value(left, answer[1], budget) and same_value(right, answer[2], budget)
    gap, other = Sum((left, Negative(right))), Sum((answer[1], Negative(answer[2])))
    return proportion(gap, other, budget, positive=sign in ("<", "<="))
