"""Which tokens an advantage goes to, by hand on rollouts of three tokens."""

from dataclasses import replace

import pytest
from test_algo import rollout

from rlvr.algo.credit import of_branches, of_relevant, overlong_penalty


@pytest.mark.parametrize(
    ("relevant", "expected"),
    [
        ([(0, 5)], [True, True, True]),
        ([(3, 5)], [False, True, True]),
        ([(2, 2)], [False, False, True]),  # nothing but the end, which has no width
        ([(0, 1), (4, 5)], [True, True, True]),
    ],
)
def test_tokens_are_trained_that_overlap_what_matters(relevant: list[tuple[int, int]], expected: list[bool]) -> None:
    """Tokens ``~1`` and `` ok`` and an end token."""
    assert of_relevant(rollout(1.0), [(0, 2), (2, 5), (5, 5)], relevant).trained == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, [0.5, 0.5, 0.5]),
        ({1: 0.25, 2: 0.75}, [-0.25, 0.5, 0.25]),
        ({2: 0.0}, [-0.5, -0.5, 1.0]),
        ({1: 1.0, 3: 0.1}, [0.5, 0.0, 0.0]),  # after its last token there is no prefix to go on from
    ],
)
def test_branches_part_the_advantage_by_hand(values: dict[int, float], expected: list[float]) -> None:
    """Reward 1 and baseline 0.5."""
    assert of_branches(rollout(1.0, [0.5] * 3), values).advantages == expected


def test_the_parts_of_an_advantage_sum_to_it_whatever_the_values() -> None:
    found = of_branches(rollout(0.0, [-0.3] * 3), {1: 0.9, 2: 0.2}).advantages
    assert sum(found or ()) == pytest.approx(-0.3)  # one token between any two prefixes


def test_what_was_added_at_tokens_is_part_of_the_reward() -> None:
    shaped = replace(rollout(1.0, [0.25] * 3), shaping=[0.0, 0.0, -0.5])
    assert of_branches(shaped, {1: 0.5}).advantages == [0.25, 0.0, 0.0]  # baseline 0.25, reward 0.5


@pytest.mark.parametrize(("length", "expected"), [(1, 0.0), (16, 0.0), (17, -0.25), (19, -0.75), (20, -1.0)])
def test_the_penalty_for_length_by_hand(length: int, expected: float) -> None:
    assert overlong_penalty(length, longest=20, buffer=4) == expected
