"""Which problems a model solves never, sometimes or always, and how many groups of rollouts RL could learn from.

A group whose rollouts are all right, or all wrong, has no variance of rewards: nothing is learnt from it. With chance p of a right
answer that happens to G rollouts with probability z_G(p) = p^G + (1 - p)^G. Of each problem only c right answers of k are known.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from rlvr.statistics import Estimate, t95, t_interval, wilson

GROUP_SIZES = (4, 8, 16, 32)
ENOUGH = 0.5
"""Share of groups that should have variance, for a group size to be recommended."""
FEWEST_SAMPLES = 2
"""Samples of a problem below which nothing is known of how alike they are."""

Count = tuple[int, int]
"""Of a problem: how many samples, and how many of them are right."""


@dataclass(frozen=True, kw_only=True)
class Spread:
    """A beta distribution of problems' chances of a right answer: its mean and how many trials it is worth (alpha + beta)."""

    mean: float
    worth: float


@dataclass(frozen=True, kw_only=True)
class Solvability:
    """What samples of a model say about training it on the same problems.

    never, sometimes, always: shares of the problems by how many of their samples are right. zero_variance: by group size, the expected
    share of groups whose rollouts are all right or all wrong; exact: the sizes of which no distribution had to be assumed.
    kept: how many problems are sometimes solved; kept_zero_variance: the same of these alone. group_size: the one recommended; None if none is kept.
    found: of the problems never solved, the share that as many samples again are expected to solve.
    """

    problems: int
    samples: int
    histogram: dict[int, int]
    never: Estimate
    sometimes: Estimate
    always: Estimate
    zero_variance: dict[int, Estimate]
    exact: tuple[int, ...]
    kept: int
    kept_zero_variance: dict[int, float]
    group_size: int | None
    found: float | None

    def to_json(self) -> dict[str, Any]:
        """The same for a JSON file."""
        return {
            "problems": self.problems,
            "samples": self.samples,
            **{name: _ends(getattr(self, name)) for name in ("never", "sometimes", "always")},
            "zero_variance": {str(size): _ends(each) for size, each in self.zero_variance.items()},
            "zero_variance_without_a_model": list(self.exact),
            "kept": self.kept,
            "kept_zero_variance": {str(size): value for size, value in self.kept_zero_variance.items()},
            "recommended_group_size": self.group_size,
            "never_solved_but_expected_with_as_many_again": self.found,
        }


def solvability(counts: Sequence[Count]) -> Solvability | None:
    """What counts of right samples say; None for fewer than two problems, or than two samples of each."""
    if len(counts) < 2 or min((samples for samples, _ in counts), default=0) < FEWEST_SAMPLES:
        return None
    fewest, spread = min(samples for samples, _ in counts), fit(counts)
    kept = [(samples, right) for samples, right in counts if 0 < right < samples]
    never = [(samples, right) for samples, right in counts if right == 0]
    of_kept = {size: _mean_zero_variance(spread, kept, size) for size in GROUP_SIZES if kept}
    enough = [size for size, share in of_kept.items() if 1 - share >= ENOUGH]
    return Solvability(
        problems=len(counts),
        samples=fewest,
        histogram=dict(sorted(Counter(right for _, right in counts).items())),
        never=_share(len(never) / len(counts), len(counts)),
        sometimes=_share(len(kept) / len(counts), len(counts)),
        always=_share((len(counts) - len(never) - len(kept)) / len(counts), len(counts)),
        zero_variance={size: expected_zero_variance(counts, size, spread) for size in GROUP_SIZES},
        exact=tuple(size for size in GROUP_SIZES if size <= fewest),
        kept=len(kept),
        kept_zero_variance=of_kept,
        group_size=(enough or GROUP_SIZES[-1:])[0] if kept else None,
        found=1 - _mean(never, lambda each: _none_right(spread, each, each[0])) if never else None,
    )


def expected_zero_variance(counts: Sequence[Count], size: int, spread: Spread | None = None) -> Estimate:
    """The expected share of groups of ``size`` rollouts that are all right or all wrong, and its 95 % interval over problems.

    Up to the number of samples: for each problem the share of all choices of so many of its samples that are alike,
    (C(c, G) + C(k - c, G)) / C(k, G), which is z_G(p) without bias (Halmos 1946) and makes no assumption, with Student's interval over the
    problems. Beyond it: the mean over problems of what is expected given their counts, under a beta distribution of chances fitted
    to all of them (``fit``), with the interval of an M-estimator (Huber 1967) over problems, on the logit's scale. That is as good as the
    distribution: where many problems are out of reach for ever, it says too little.
    """
    if all(samples >= size for samples, _ in counts):
        found = t_interval([alike(samples, right, size) for samples, right in counts])
        return _bounded(found, len(counts))
    spread = spread or fit(counts)
    by_count = Counter(counts)

    def mean(at: Spread) -> float:
        return _mean_zero_variance(at, counts, size)

    values, total = _influences(by_count, spread, mean), mean(spread)
    moves = {each: zero_variance(spread, each, size) - total + values[each] for each in by_count}
    variance = sum(number * moves[each] ** 2 for each, number in by_count.items()) / len(counts) / (len(counts) - 1)
    if not 1e-9 < total < 1 - 1e-9:
        return _share(total, len(counts))
    error = math.sqrt(variance) / (total * (1 - total))  # of the logit, whose ends are shares
    half = min(30.0, t95(len(counts) - 1) * error)
    low, high = (1 / (1 + (1 - total) / total * math.exp(-sign * half)) for sign in (-1, 1))
    return _bounded(Estimate(mean=total, low=low, high=high, p=None), len(counts))


def alike(samples: int, right: int, size: int) -> float:
    """The share of all choices of ``size`` of the samples that are all right or all wrong.

    >>> alike(4, 2, 2)
    0.3333333333333333
    """
    return (math.comb(right, size) + math.comb(samples - right, size)) / math.comb(samples, size)


def zero_variance(spread: Spread, count: Count, size: int) -> float:
    """What z_G is expected to be of a problem with such a count, its chance drawn from ``spread``: by its posterior, which is a beta too."""
    samples, right = count
    return _none_right(spread, count, size) + _none_right(
        Spread(mean=1 - spread.mean, worth=spread.worth), (samples, samples - right), size
    )


def _mean_zero_variance(spread: Spread, counts: Sequence[Count], size: int) -> float:
    return _mean(counts, lambda each: zero_variance(spread, each, size))


def _none_right(spread: Spread, count: Count, more: int) -> float:
    """The chance that ``more`` further samples of such a problem are all wrong."""
    samples, right = count
    alpha, beta = spread.mean * spread.worth + right, (1 - spread.mean) * spread.worth + samples - right
    return math.exp(math.fsum(math.log(beta + each) - math.log(alpha + beta + each) for each in range(more)))


# ------------------------------------------------------------------------------------- the chances of all problems


def fit(counts: Sequence[Count]) -> Spread:
    """The beta distribution of chances under which the counts are likeliest (beta-binomial: Skellam, J. R. Stat. Soc. B 10, 1948).

    A weak prior keeps it finite where all problems were solved never, or always: that of Jeffreys on the mean, and the uniform
    shrinkage prior on the rest (1 / (1 + worth) is as likely to be anything; Christiansen and Morris 1997). By a search on a grid
    that closes in.
    """
    by_count = Counter(counts)

    def height(logit: float, log_worth: float) -> float:
        spread = _at(logit, log_worth)
        known = sum(number * _log_chance(spread, each) for each, number in by_count.items())
        return known + _log_prior(spread)

    best, reach = (0.0, 0.0), 8.0
    while reach > 1e-5:
        grid = [(best[0] + i * reach / 4, best[1] + j * reach / 4) for i in range(-4, 5) for j in range(-4, 5)]
        best = max((point for point in grid if max(map(abs, point)) <= 12), key=lambda point: height(*point))
        reach *= 0.4
    return _at(*best)


def _at(logit: float, log_worth: float) -> Spread:
    return Spread(mean=1 / (1 + math.exp(-logit)), worth=math.exp(log_worth))


def _log_chance(spread: Spread, count: Count) -> float:
    """Of a count under a spread, but for a constant."""
    samples, right = count
    alpha, beta = spread.mean * spread.worth, (1 - spread.mean) * spread.worth
    gained = math.lgamma(alpha + right) - math.lgamma(alpha) + math.lgamma(beta + samples - right) - math.lgamma(beta)
    return gained - math.lgamma(spread.worth + samples) + math.lgamma(spread.worth)


def _log_prior(spread: Spread) -> float:
    """Densities in the logit of the mean and the logarithm of the worth, but for a constant."""
    return 0.5 * math.log(spread.mean * (1 - spread.mean)) + math.log(spread.worth) - 2 * math.log1p(spread.worth)


def _influences(by_count: Counter[Count], spread: Spread, of: Callable[[Spread], float]) -> dict[Count, float]:
    """By count, how far one problem more of it would move a function of the fitted spread, times the number of problems.

    One Newton step: the function's gradient times the inverse of the height's curvature times the gradient of the problem's own part.
    """
    at, step = (math.log(spread.mean / (1 - spread.mean)), math.log(spread.worth)), 1e-3

    def moved(i: float, j: float) -> Spread:
        return _at(at[0] + i * step, at[1] + j * step)

    def gradient(function: Callable[[Spread], float]) -> tuple[float, float]:
        first = (function(moved(1, 0)) - function(moved(-1, 0))) / (2 * step)
        return first, (function(moved(0, 1)) - function(moved(0, -1))) / (2 * step)

    def height(where: Spread) -> float:
        return sum(n * _log_chance(where, each) for each, n in by_count.items()) + _log_prior(where)

    middle = height(spread)
    a = -(height(moved(1, 0)) + height(moved(-1, 0)) - 2 * middle) / step**2
    d = -(height(moved(0, 1)) + height(moved(0, -1)) - 2 * middle) / step**2
    both = height(moved(1, 1)) + height(moved(-1, -1)) - height(moved(1, -1)) - height(moved(-1, 1))
    b = -both / (4 * step**2)
    area = a * d - b * b
    if area <= 0:
        return dict.fromkeys(by_count, 0.0)  # at an edge of the grid, where nothing moves it
    x, y = gradient(of)
    slope, total = ((d * x - b * y) / area, (a * y - b * x) / area), sum(by_count.values())
    own = {each: gradient(partial(_log_chance, count=each)) for each in by_count}
    return {each: total * (slope[0] * first + slope[1] * second) for each, (first, second) in own.items()}


def _share(share: float, of: int) -> Estimate:
    low, high = wilson(share, of)
    return Estimate(mean=share, low=low, high=high, p=None)


def _bounded(found: Estimate, problems: int) -> Estimate:
    """An interval of a share ends where shares do; where all problems are alike it is Wilson's."""
    assert found.low is not None
    assert found.high is not None
    if found.high - found.low < 1e-9:
        return _share(found.mean, problems)
    return Estimate(mean=found.mean, low=max(0.0, found.low), high=min(1.0, found.high), p=None)


def _mean(counts: Sequence[Count], of: Callable[[Count], float]) -> float:
    """The mean over problems of what follows from each one's count."""
    return math.fsum(number * of(each) for each, number in Counter(counts).items()) / len(counts)


def _ends(found: Estimate) -> dict[str, float | None]:
    return {"share": found.mean, "low": found.low, "high": found.high}
