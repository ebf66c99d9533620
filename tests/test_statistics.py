"""Intervals and estimators, against values known by hand and brute force."""

import random
from itertools import combinations, product

import pytest

from rlvr.statistics import (
    Z95,
    effective_count,
    holm,
    mcnemar,
    paired_shares,
    pass_at_k,
    sign_flips,
    t95,
    t_interval,
    t_tail,
    wilson,
)


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


@pytest.mark.parametrize(
    ("freedom", "point"),
    [(1, 12.706), (2, 4.303), (3, 3.182), (4, 2.776), (5, 2.571), (9, 2.262), (10, 2.228), (30, 2.042), (120, 1.980)],
)
def test_the_points_of_t_in_every_table(freedom: int, point: float) -> None:
    assert t95(freedom) == pytest.approx(point, abs=5e-4)


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 7, 10, 29])
@pytest.mark.parametrize("t", [0.0, 0.3, -2.0, 9.0])
def test_the_tail_of_t_is_the_incomplete_beta_function(t: float, freedom: int) -> None:
    """P(|T| > t) = I_{v / (v + t^2)}(v / 2, 1 / 2) (Abramowitz and Stegun, 26.7.1 and 26.5.27)."""
    from mpmath import betainc

    beta = betainc(freedom / 2, 0.5, 0, freedom / (freedom + t * t), regularized=True)
    assert t_tail(t, freedom) == pytest.approx(float(beta), abs=1e-13)


SLEEP = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4]
"""Hours of sleep gained with one drug over the other, of ten patients: Student 1908, Illustration I."""


def test_students_own_example() -> None:
    """Mean 1.58, standard deviation with n - 1 of 1.23, t = 4.06 on 9 degrees of freedom, p = 0.0028."""
    found = t_interval(SLEEP)
    assert found.mean == pytest.approx(1.58)
    assert (found.low, found.high) == (pytest.approx(0.700, abs=5e-4), pytest.approx(2.460, abs=5e-4))
    assert found.p == pytest.approx(0.00283, abs=5e-6)


def test_one_value_has_no_interval_and_values_alike_have_no_test() -> None:
    assert (t_interval([2.0]).low, t_interval([2.0]).p) == (None, None)
    assert (t_interval([0.5, 0.5]).low, t_interval([0.5, 0.5]).high, t_interval([0.5, 0.5]).p) == (0.5, 0.5, None)


@pytest.mark.parametrize("differences", [SLEEP, [1.0, -1.0], [0.0, 0.0, 0.0], [3.0, 1.0, -2.0, 0.5, 0.5, -0.25, 4.0]])
def test_flipping_signs_is_what_listing_all_of_them_says(differences: list[float]) -> None:
    seen = abs(sum(differences))
    sums = [
        sum(s * d for s, d in zip(signs, differences, strict=True))
        for signs in product((1, -1), repeat=len(differences))
    ]
    assert sign_flips(differences) == sum(abs(total) >= seen - 1e-9 for total in sums) / len(sums)


def test_flipping_signs_cannot_say_more_than_its_count_allows() -> None:
    assert sign_flips([0.3] * 8) == 2 / 2**8
    with pytest.raises(ValueError, match="31 differences are more than 30"):
        sign_flips([1.0] * 31)


def test_mcnemar_is_a_coin_thrown_for_each_problem_that_only_one_solves() -> None:
    assert mcnemar(0, 0) == 1.0
    assert mcnemar(5, 5) == 1.0
    assert mcnemar(1, 9) == pytest.approx(2 * (1 + 10) / 1024)
    assert mcnemar(9, 1) == mcnemar(1, 9)


def test_paired_shares_by_hand() -> None:
    """8 pairs, 3 won and 1 lost; with one more each way 4 and 2 of 10: 0.2, variance (0.6 - 0.04) / 10."""
    found = paired_shares([1, 1, 1, -1, 0, 0, 0, 0])
    half = Z95 * (0.56 / 10) ** 0.5
    assert found.mean == 0.25
    assert (found.low, found.high) == (pytest.approx(0.2 - half), pytest.approx(0.2 + half))
    assert found.p is not None
    assert found.p > 0.05


def test_pairs_that_all_agree_still_have_an_interval() -> None:
    found = paired_shares([0.0] * 50)
    assert found.low is not None
    assert (found.low, found.p) == (pytest.approx(-found.high), 1.0)
    assert 0.01 < found.high < 0.1


def test_the_interval_of_paired_shares_covers_the_truth_as_often_as_it_says() -> None:
    """Two models right in 90 % and 80 % of 40 problems, independently, one sample each: 2,000 evaluations of both."""
    draw, covered = random.Random(0), 0
    for _ in range(2000):
        found = paired_shares([(draw.random() < 0.9) - (draw.random() < 0.8) for _ in range(40)])
        covered += found.low <= 0.1 <= found.high
    assert 0.94 < covered / 2000 < 0.98


def test_holm_at_three_tests() -> None:
    """0.01 x 3; 0.04 x 1 is less than 0.03 x 2, and may not fall below it."""
    assert holm([0.04, 0.01, 0.03, None]) == [pytest.approx(0.06), pytest.approx(0.03), pytest.approx(0.06), None]
