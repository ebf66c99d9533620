"""Intervals and estimators, against values known by hand and brute force."""

from itertools import combinations

import pytest

from rlvr.statistics import Z95, effective_count, pass_at_k, wilson


@pytest.mark.parametrize(
    ("share", "count", "low", "high"),
    [
        (0.5, 100, 0.4038, 0.5962),
        (0.2, 50, 0.1124, 0.3304),
        (0.0, 10, 0.0, 0.2775),  # z^2 / (n + z^2) = 3.8415 / 13.8415
        (1.0, 10, 0.7225, 1.0),
    ],
)
def test_wilson_at_known_values(share: float, count: int, low: float, high: float) -> None:
    assert wilson(share, count) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize("count", [1, 7, 1000])
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_the_bounds_of_wilson_are_where_the_score_test_just_rejects(share: float, count: int) -> None:
    """|share - p| = z sqrt(p (1 - p) / n) at both ends, or the end is 0 or 1."""
    for bound in wilson(share, count):
        assert abs(share - bound) == pytest.approx(Z95 * (bound * (1 - bound) / count) ** 0.5, abs=1e-7)


def test_nothing_seen_says_nothing() -> None:
    assert wilson(0.0, 0) == (0.0, 1.0)


@pytest.mark.parametrize("samples", [1, 2, 5, 6])
def test_pass_at_k_is_the_share_of_choices_with_a_right_one(samples: int) -> None:
    for correct in range(samples + 1):
        outcomes = [True] * correct + [False] * (samples - correct)
        for k in range(1, samples + 1):
            choices = list(combinations(outcomes, k))
            assert pass_at_k(samples, correct, k) == pytest.approx(sum(map(any, choices)) / len(choices), abs=1e-12)


@pytest.mark.parametrize("k", [0, 5])
def test_pass_at_k_wants_as_many_samples(k: int) -> None:
    with pytest.raises(ValueError, match=f"k {k} must lie between 1 and samples 4"):
        pass_at_k(4, 1, k)


def test_single_samples_are_independent() -> None:
    assert effective_count([[True], [False], [True]]) == 3


def test_samples_that_always_agree_count_once_a_problem() -> None:
    assert effective_count([[True] * 4] * 5 + [[False] * 4] * 5) == 10


def test_samples_alike_only_by_chance_all_count() -> None:
    """Every problem is right in half of its samples: problems differ less than by chance."""
    assert effective_count([[True, False]] * 10) == 20


def test_effective_count_between_the_extremes() -> None:
    """Mean 1/2; problems off by 1, -1, 0, 0; variance of the mean 2/64 * 4/3 = 1/24; (1/4) / (1/24) = 6."""
    groups = [[True, True], [False, False], [True, False], [False, True]]
    assert effective_count(groups) == pytest.approx(6.0)


@pytest.mark.parametrize(
    "groups",
    [
        [[True, True, True], [False], [True, False]],
        [[True, False, False, False], [True, True, True, False], [False] * 4],
        [[True, True], [True, True]],
        [[False, True, True]],
    ],
)
def test_effective_count_lies_between_problems_and_samples(groups: list[list[bool]]) -> None:
    assert len(groups) <= effective_count(groups) <= sum(map(len, groups))
