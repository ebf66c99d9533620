"""How much better a rollout is than its group: one pure function an estimator, by name in one table."""

from collections.abc import Callable, Sequence
from statistics import fmean

Estimator = Callable[[Sequence[float]], list[float]]

_SMALL = 1e-6


def mean_centred(rewards: Sequence[float]) -> list[float]:
    """Reward minus the group's mean (Dr. GRPO, arXiv:2503.20783, section 3.2).

    rewards: one scalar per rollout of the same problem, length G. Returns G advantages in reward units, sum zero.

    >>> mean_centred([1.0, 0.0, 0.0, 0.0])
    [0.75, -0.25, -0.25, -0.25]
    """
    mean = fmean(rewards)
    return [reward - mean for reward in rewards]


def standardised(rewards: Sequence[float]) -> list[float]:
    """Mean-centred and divided by the group's standard deviation (GRPO, arXiv:2402.03300, section 4.1.2).

    The deviation is the sample's (G - 1), as in the widely used implementations; 1e-6 is added to it. Dimensionless.
    """
    centred = mean_centred(rewards)
    deviation = (sum(value * value for value in centred) / max(1, len(centred) - 1)) ** 0.5
    return [value / (deviation + _SMALL) for value in centred]


def correct_only(rewards: Sequence[float]) -> list[float]:
    """The reward where it is positive, else 0: imitate what was rewarded (STaR, arXiv:2203.14465; RAFT)."""
    return [max(0.0, reward) for reward in rewards]


ADVANTAGES: dict[str, Estimator] = {
    "mean_centred": mean_centred,
    "standardised": standardised,
    "correct_only": correct_only,
}
