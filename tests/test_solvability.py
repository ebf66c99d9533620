"""Expected shares of groups without variance: by hand, against brute force, and over many simulated evaluations."""

import random
from collections.abc import Callable
from itertools import combinations
from statistics import fmean

import pytest

from rlvr.solvability import GROUP_SIZES, Count, Spread, alike, expected_zero_variance, fit, solvability, zero_variance
from rlvr.statistics import at_least


def drawn(chances: list[float], samples: int, rng: random.Random) -> list[Count]:
    return [(samples, sum(rng.random() < chance for _ in range(samples))) for chance in chances]


@pytest.mark.parametrize("right", range(6))
def test_alike_is_the_share_of_choices_that_are_all_right_or_all_wrong(right: int) -> None:
    outcomes = [True] * right + [False] * (5 - right)
    for size in range(1, 6):
        choices = list(combinations(outcomes, size))
        assert alike(5, right, size) == pytest.approx(sum(len(set(choice)) == 1 for choice in choices) / len(choices))


def test_a_uniform_chance_gives_two_in_g_plus_one() -> None:
    """Without samples the mean of p^G over chances between 0 and 1 is 1 / (G + 1); after one right of one, p^2 has 1/2, (1 - p)^2 1/6."""
    uniform = Spread(mean=0.5, worth=2.0)
    assert zero_variance(uniform, (0, 0), 4) == pytest.approx(2 / 5)
    assert zero_variance(uniform, (1, 1), 2) == pytest.approx(1 / 2 + 1 / 6)


def test_the_fit_finds_the_spread_that_chances_were_drawn_from() -> None:
    rng = random.Random(0)
    found = fit(drawn([rng.betavariate(0.6, 1.4) for _ in range(2000)], 8, rng))
    assert found.mean == pytest.approx(0.3, abs=0.02)
    assert found.worth == pytest.approx(2.0, rel=0.15)


@pytest.mark.parametrize("right", [0, 8])
def test_none_of_eight_is_not_impossible(right: int) -> None:
    found = solvability([(8, right)] * 64)
    assert found is not None
    assert (found.never.mean, found.always.mean) == (float(right == 0), float(right == 8))
    assert 0.5 < found.zero_variance[32].mean < 1.0
    assert found.zero_variance[8].mean == 1.0
    assert found.zero_variance[8].low is not None
    assert found.zero_variance[8].low < 0.97
    assert (found.kept, found.group_size) == (0, None)


def test_nothing_is_said_of_one_sample_or_one_problem() -> None:
    assert solvability([(1, 0), (1, 1)]) is None
    assert solvability([(8, 4)]) is None


def beta(rng: random.Random) -> float:
    return rng.betavariate(0.5, 1.5)


def apart(rng: random.Random) -> float:
    """A third out of reach, a tenth always right, the others anything: no beta distribution."""
    where = rng.random()
    return 0.0 if where < 0.3 else 1.0 if where < 0.4 else rng.random()


@pytest.mark.parametrize(("chance", "sizes"), [(beta, (4, 8, 16, 32)), (apart, (4, 8))])
def test_over_many_evaluations_there_is_no_bias_and_intervals_cover(
    chance: Callable[[random.Random], float], sizes: tuple[int, ...]
) -> None:
    """Of 100 evaluations of 60 problems with 8 samples. Beyond 8, only where the chances are of the family that is assumed."""
    rng, rounds = random.Random(5), 100
    many = [chance(rng) for _ in range(50_000)]
    truth = {size: fmean(p**size + (1 - p) ** size for p in many) for size in sizes}
    means: dict[int, list[float]] = {size: [] for size in sizes}
    covered = dict.fromkeys(sizes, 0)
    for _ in range(rounds):
        counts = drawn([chance(rng) for _ in range(60)], 8, rng)
        spread = fit(counts) if max(sizes) > 8 else None
        for size in sizes:
            found = expected_zero_variance(counts, size, spread)
            assert found.low is not None
            assert found.high is not None
            means[size].append(found.mean)
            covered[size] += found.low <= truth[size] <= found.high
    for size in sizes:
        assert fmean(means[size]) == pytest.approx(truth[size], abs=0.02)
        assert covered[size] >= 0.88 * rounds


def test_problems_chosen_by_their_counts_have_the_groups_that_are_expected_of_them() -> None:
    """Chosen for having been solved sometimes, which no choice of the same samples can judge: of 2 samples, none of those is alike."""
    rng, expected, true = random.Random(6), [], []
    for _ in range(12):
        chances = [beta(rng) for _ in range(200)]
        counts = drawn(chances, 4, rng)
        found = solvability(counts)
        assert found is not None
        expected.append(found.kept_zero_variance[4])
        true.append(fmean(p**4 + (1 - p) ** 4 for p, (k, right) in zip(chances, counts, strict=True) if 0 < right < k))
    assert fmean(expected) == pytest.approx(fmean(true), abs=0.015)


def test_the_recommended_size_is_the_smallest_with_which_half_of_the_kept_groups_vary() -> None:
    def recommended(right: int) -> int:
        rng = random.Random(0)
        found = solvability(drawn([right / 100] * 200, 16, rng))
        assert found is not None
        assert found.group_size is not None
        assert found.kept_zero_variance[found.group_size] <= 0.5 or found.group_size == GROUP_SIZES[-1]
        return found.group_size

    # (1 - p)^G + p^G is 0.5 or less from G = 4 on for p = 0.2, from 14 on for 0.05, from 69 on for 0.01.
    assert [recommended(right) for right in (50, 20, 5, 1)] == [4, 4, 16, 32]


def test_at_least_so_many_of_independent_events() -> None:
    """0.5, 0.25 and 0.1: all of them 0.0125; two or more 0.125 + 0.05 + 0.025 - 2 x 0.0125."""
    chances = [0.5, 0.25, 0.1]
    assert [at_least(chances, count) for count in range(5)] == pytest.approx([1.0, 0.6625, 0.175, 0.0125, 0.0])
