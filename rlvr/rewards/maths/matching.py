"""Matches the items of two lists in any order."""

from collections.abc import Callable, Sequence
from typing import TypeVar

Item = TypeVar("Item")


def matched(
    gold: Sequence[Item], answer: Sequence[Item], rough: Callable[[Item], str], same: Callable[[Item, Item], bool]
) -> bool:
    """Whether each gold item is the same as an answer's item of its own, and none is left over.

    rough: a text that is mostly the same for equal items. Those that look equal are compared first, so that a long list is matched in
    about as many comparisons as it has items.
    """
    if len(gold) != len(answer):
        return False
    rest = [(rough(item), item) for item in answer]
    for wanted in gold:
        look = rough(wanted)
        likely_first = sorted(range(len(rest)), key=lambda k: rest[k][0] != look)
        found = next((k for k in likely_first if same(wanted, rest[k][1])), None)
        if found is None:
            return False
        rest.pop(found)
    return True
