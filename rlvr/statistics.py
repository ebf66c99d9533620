"""Intervals, estimators and tests, in plain Python."""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

Value = TypeVar("Value")

Z95 = 1.959963984540054
MOST_FLIPS = 30
"""Differences whose signs are flipped in all ways."""


def wilson(share: float, count: float) -> tuple[float, float]:
    """The 95 % Wilson score interval of a share seen in ``count`` independent trials (Wilson 1927, equation 4).

    >>> tuple(round(bound, 4) for bound in wilson(0.5, 100))
    (0.4038, 0.5962)
    >>> wilson(0.0, 0)
    (0.0, 1.0)
    """
    if count <= 0:
        return 0.0, 1.0
    z2 = Z95 * Z95 / count
    centre = (share + z2 / 2) / (1 + z2)
    half = Z95 * math.sqrt(share * (1 - share) / count + z2 / (4 * count)) / (1 + z2)
    return max(0.0, centre - half), min(1.0, centre + half)


def effective_count(groups: Sequence[Sequence[bool]]) -> float:
    """How many independent trials grouped 0/1 outcomes are worth (Kish 1965): total / design effect.

    Samples of one problem are alike, so k samples of n problems are worth between n and k × n trials. The variance
    of the mean is estimated from the groups' means; where all outcomes agree it cannot be, and n is returned.
    """
    sizes = [len(group) for group in groups]
    total = sum(sizes)
    if len(groups) < 2:
        return float(total)
    mean = sum(map(sum, groups)) / total
    residuals = [sum(group) - mean * len(group) for group in groups]
    variance = sum(r * r for r in residuals) / total**2 * len(groups) / (len(groups) - 1)
    if mean in (0.0, 1.0):
        return float(len(groups))
    if variance == 0:
        return float(total)
    return min(float(total), max(float(len(groups)), mean * (1 - mean) / variance))


def pass_at_k(samples: int, correct: int, k: int) -> float:
    """The chance that at least one of k samples is right, without bias from ``samples`` of which ``correct`` are.

    1 - C(n - c, k) / C(n, k) (Chen et al., arXiv:2107.03374, equation 1). k must not exceed samples.

    >>> pass_at_k(4, 1, 2)
    0.5
    """
    if not 1 <= k <= samples:
        raise ValueError(f"k {k} must lie between 1 and samples {samples}")
    return 1.0 - math.comb(samples - correct, k) / math.comb(samples, k)


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A mean with its 95 % interval, and the p-value (two-sided) of the hypothesis that it is 0. None where nothing can be said."""

    mean: float
    low: float | None
    high: float | None
    p: float | None


def t_tail(t: float, freedom: int) -> float:
    """The chance that Student's t of so many degrees of freedom lies further from 0 than ``t``, on either side.

    Student, "The probable error of a mean", Biometrika 6 (1908); the finite sums of Abramowitz and Stegun, 26.7.3 and 26.7.4.

    >>> round(t_tail(1.0, 1), 12)
    0.5
    """
    angle, odd = math.atan(abs(t) / math.sqrt(freedom)), freedom % 2
    term, total = (math.cos(angle) if odd else 1.0), 0.0
    for k in range(odd, freedom - 1, 2):
        total += term
        term *= (k + 1) / (k + 2) * math.cos(angle) ** 2
    inside = math.sin(angle) * total
    return max(0.0, 1 - (2 / math.pi * (angle + inside) if odd else inside))


@cache
def t95(freedom: int) -> float:
    """How far from 0 Student's t lies in one case of twenty, by bisection of ``t_tail``.

    >>> round(t95(2), 3)
    4.303
    """
    near, far = 0.0, 20.0
    while far - near > 1e-12 * far:
        middle = (near + far) / 2
        near, far = (middle, far) if t_tail(middle, freedom) > 0.05 else (near, middle)
    return far


def t_interval(values: Sequence[float]) -> Estimate:
    """The mean of independent values of a normal distribution, with its t-interval and t-test (Student 1908).

    Of differences of pairs, this is the paired t-test. One value has no interval; values that are all alike have no test.
    """
    count = len(values)
    mean = math.fsum(values) / count
    if count < 2:
        return Estimate(mean=mean, low=None, high=None, p=None)
    error = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (count - 1) / count)
    half = t95(count - 1) * error
    alike = max(values) - min(values) <= 1e-12 * max(map(abs, values))  # but for rounding
    return Estimate(mean=mean, low=mean - half, high=mean + half, p=None if alike else t_tail(mean / error, count - 1))


def pass_interval(counts: Sequence[tuple[int, int]], k: int) -> tuple[float, float, float]:
    """pass@k over problems, each with how many samples it has and how many are right, and a 95 % interval.

    Chen et al. (arXiv:2107.03374, equation 1), and Student's interval over the problems, whose samples are not independent of one
    another; Wilson's where all problems are alike.
    """
    passes = [pass_at_k(samples, right, k) for samples, right in counts]
    found = t_interval(passes)
    if found.low is None or found.high is None or min(passes) == max(passes):
        return found.mean, *wilson(found.mean, len(passes))
    return found.mean, max(0.0, found.low), min(1.0, found.high)


def at_least(chances: Sequence[float], count: int) -> float:
    """The chance that ``count`` or more of some independent events happen, each of which has a chance of its own (Poisson 1837).

    >>> at_least([0.5, 0.5], 1)
    0.75
    """
    fewer = [1.0] + [0.0] * count
    for chance in chances:
        for number in range(count, 0, -1):
            fewer[number] += chance * (fewer[number - 1] - fewer[number])
        fewer[0] *= 1 - chance
    return max(0.0, 1 - math.fsum(fewer[:count]))


def sign_flips(differences: Sequence[float]) -> float:
    """The exact p-value of the hypothesis that each difference could as well have had the other sign (Fisher, "The Design of Experiments", 1935, chapter III).

    The share of all 2^n choices of signs whose sum is at least as far from 0 as the sum seen; never below 2 / 2^n. At most 30 differences:
    the sums of both halves are listed and matched, 2^(n / 2) of each.

    >>> sign_flips([1, 1, 1, 1, 1, 1])
    0.03125
    """
    if len(differences) > MOST_FLIPS:
        raise ValueError(f"{len(differences)} differences are more than {MOST_FLIPS}")
    half = len(differences) // 2
    ones, others = _signed_sums(differences[:half]), sorted(_signed_sums(differences[half:]))
    seen = abs(math.fsum(differences)) - 1e-9 * math.fsum(map(abs, differences))
    far: int = sum(
        len(others) if seen <= 0 else bisect_right(others, -seen - one) + len(others) - bisect_left(others, seen - one)
        for one in ones
    )
    return far / (1 << len(differences))


def _signed_sums(values: Sequence[float]) -> list[float]:
    sums = [0.0]
    for value in values:
        sums = [each + sign for each in sums for sign in (value, -value)]
    return sums


def mcnemar(only_one: int, only_other: int) -> float:
    """The exact two-sided p-value that two graders of the same problems, each right where the other is wrong so often, are as good.

    McNemar, Psychometrika 12 (1947), by the binomial distribution instead of chi squared.

    >>> mcnemar(0, 5)
    0.0625
    """
    count = only_one + only_other
    tail = sum(math.comb(count, k) for k in range(min(only_one, only_other) + 1))
    return min(1.0, 2 * tail / (1 << count))


def paired_shares(differences: Sequence[float]) -> Estimate:
    """The mean difference of two shares on the same problems, with a 95 % interval and p-value by the normal distribution.

    differences: of each problem, between -1 and 1. The interval is that of Bonett and Price (J. Educ. Behav. Stat. 37, 2012): Wald's
    after adding one pair won and one lost, so that it has a width where all pairs agree. Unlike there, a difference may be a
    fraction, as the share of right answers among several samples of a problem is (Miller, arXiv:2411.00640).
    """
    count = len(differences) + 2
    total = math.fsum(differences)
    centre = total / count
    error = math.sqrt((math.fsum(d * d for d in differences) + 2 - count * centre**2) / count**2)
    mean = total / len(differences) if differences else 0.0
    low, high = max(-1.0, centre - Z95 * error), min(1.0, centre + Z95 * error)
    return Estimate(mean=mean, low=low, high=high, p=math.erfc(abs(centre) / error / math.sqrt(2)))


def difference(before: tuple[float, float, float], after: tuple[float, float, float], *, most: float = 1.0) -> Estimate:
    """The difference of two independent shares, each a value with the ends of its 95 % Wilson interval.

    Method 10 of Newcombe, "Interval estimation for the difference between independent proportions" (Statistics in Medicine 17,
    1998): the distances to the ends are squared and added. Of shares on the same problems the interval is wider than need be.
    Means with other intervals are dealt with alike (Zou and Donner, Statistics in Medicine 27, 2008). most: how far apart two values can be.

    >>> found = difference((0.5, 0.4, 0.6), (0.75, 0.67, 0.81))
    >>> round(found.low, 3), round(found.mean, 3), round(found.high, 3)
    (0.122, 0.25, 0.367)
    """
    value = after[0] - before[0]
    down = math.hypot(after[0] - after[1], before[2] - before[0])
    up = math.hypot(after[2] - after[0], before[0] - before[1])
    return Estimate(mean=value, low=max(-most, value - down), high=min(most, value + up), p=None)


def spread(values: Sequence[Value], most: int) -> list[Value]:
    """At most so many (two or more) of some values, evenly from the first to the last.

    >>> spread(range(1, 10), 3)
    [1, 5, 9]
    """
    if len(values) <= most:
        return list(values)
    return [values[round(number * (len(values) - 1) / (most - 1))] for number in range(most)]


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """P-values for several tests at once: one below 0.05 is a false alarm among all of them in one case of twenty.

    Holm, Scand. J. Stat. 6 (1979). None, a test that could not be made, stays None and does not count.

    >>> holm([0.25, None, 0.125])
    [0.25, None, 0.25]
    """
    found = sorted((p, number) for number, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for rank, (p, number) in enumerate(found):
        largest = max(largest, min(1.0, p * (len(found) - rank)))
        adjusted[number] = largest
    return adjusted
