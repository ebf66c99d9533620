"""Intervals and estimators for evaluation, in plain Python."""

import math
from collections.abc import Sequence

Z95 = 1.959963984540054


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
