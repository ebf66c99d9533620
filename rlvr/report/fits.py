"""Straight lines through points, and through the log-odds of shares, with the intervals of their slopes. No torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rlvr.statistics import t95

FEWEST = 4
"""Steps that a fit needs: two for a line, and two for what it misses."""

TURNS, LARGEST = 25, 30.0
"""Of a logistic regression: steps of Newton's method at most, and the log-odds beyond which no rollout tells them apart."""


@dataclass(frozen=True, kw_only=True)
class Fit:
    """A straight line through points: its value is base + slope × x. low, high: the slope's 95 % interval.

    r2: share of the (weighted) variance of y that it explains; None if y does not vary. count: of points.
    """

    base: float
    slope: float
    low: float
    high: float
    r2: float | None
    count: int


def fitted(x: Sequence[float], y: Sequence[float], weights: Sequence[float]) -> Fit | None:
    """The line of weighted least squares (Aitken 1936), Σ w (y − base − slope x)² as small as can be; None if x varies too little.

    weights: one over the variance of each y. The slope's variance is s² / Σ w (x − x̄)², x̄ the weighted mean and s² the mean
    weighted square of what the line misses, over n − 2 (McCullagh and Nelder, "Generalized Linear Models", 1989, section 4.5), but,
    unlike there, at least 1: points may stray further than their variances say, and are not trusted more than those allow. The interval is Student's t of n − 2 degrees of freedom. Points count as independent.

    >>> fit = fitted([1, 2, 3, 4], [0.0, 2.0, 4.0, 6.0], [100.0] * 4)
    >>> round(fit.slope, 9), round(fit.base, 9), fit.r2
    (2.0, -2.0, 1.0)
    """
    count, total = len(x), sum(weights)
    if count < FEWEST or not total:
        return None
    centre, level = _dot(weights, x) / total, _dot(weights, y) / total
    spread = sum(w * (a - centre) ** 2 for w, a in zip(weights, x, strict=True))
    varied = sum(w * (b - level) ** 2 for w, b in zip(weights, y, strict=True))
    if spread <= 1e-12 * total:
        return None
    slope = sum(w * (a - centre) * (b - level) for w, a, b in zip(weights, x, y, strict=True)) / spread
    missed = sum(
        w * (b - level - slope * (a - centre)) ** 2 for w, a, b in zip(weights, x, y, strict=True)
    )  # weighted squares
    half = t95(count - 2) * math.sqrt(max(1.0, missed / (count - 2)) / spread)
    r2 = 1 - missed / varied if varied > 1e-12 * total else None
    return Fit(base=level - slope * centre, slope=slope, low=slope - half, high=slope + half, r2=r2, count=count)


def logistic(x: Sequence[float], shares: Sequence[float], counts: Sequence[float]) -> Fit | None:
    """The line of log-odds under which the shares of so many trials are likeliest; None if x varies too little.

    Logistic regression (Cox 1958) by iteratively weighted least squares (McCullagh and Nelder, "Generalized Linear Models", 1989, section
    2.5), so that a share of 0 counts like any other. r2 and the interval are ``fitted``'s of the last turn: each share's log-odds,
    linearised at the line, are weighted by n p (1 − p), p on the line.

    >>> fit = logistic([1, 2, 3, 4], [0.2, 1 / 3, 0.5, 2 / 3], [900] * 4)
    >>> round(fit.slope, 3)
    0.693
    """
    odds = [log_odds((share * n + 0.5) / (n + 1)) for share, n in zip(shares, counts, strict=True)]
    fit = fitted(x, odds, counts)
    for _ in range(TURNS):
        if fit is None:
            return None
        odds = [max(-LARGEST, min(LARGEST, fit.base + fit.slope * at)) for at in x]
        inside = [_variance(each) for each in odds]
        linear = [
            each + (share - 1 / (1 + math.exp(-each))) / variance
            for each, share, variance in zip(odds, shares, inside, strict=True)
        ]
        before, fit = fit, fitted(x, linear, [n * variance for n, variance in zip(counts, inside, strict=True)])
        if fit is not None and abs(fit.slope - before.slope) <= 1e-9 * max(1.0, abs(fit.slope)):
            break
    return fit


def _dot(first: Sequence[float], second: Sequence[float]) -> float:
    return sum(a * b for a, b in zip(first, second, strict=True))


def log_odds(p: float) -> float:
    """ln(p / (1 − p)) of a chance between 0 and 1."""
    return math.log(p / (1 - p))


def _variance(odds: float) -> float:
    """p (1 − p) of log-odds."""
    return 1 / (2 + math.exp(-odds) + math.exp(odds))
