"""How much better a rollout, or a token of it, is than expected: one pure function an estimator, by name in one table."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, pvariance

from rlvr.config import GaeConfig
from rlvr.types import Group, Rollout

_SMALL = 1e-6
"""Added to a deviation that is divided by."""


def group_mean(rewards: Sequence[float]) -> list[float]:
    """Reward minus the group's mean (Dr. GRPO, arXiv:2503.20783, section 3.2).

    rewards: one scalar per rollout of the same problem, length G. Returns G advantages in reward units, sum zero.

    >>> group_mean([1.0, 0.0, 0.0, 0.0])
    [0.75, -0.25, -0.25, -0.25]
    """
    mean = fmean(rewards)
    return [reward - mean for reward in rewards]


def leave_one_out(rewards: Sequence[float]) -> list[float]:
    """Reward minus the mean of the group's other rewards (RLOO, arXiv:2402.14740, section 2.2; Kool et al. 2019).

    That is G / (G - 1) times the group-mean advantage, and its baseline does not depend on the rollout itself.

    >>> leave_one_out([1.0, 0.0, 0.0])
    [1.0, -0.5, -0.5]
    """
    total, others = sum(rewards), max(1, len(rewards) - 1)
    return [reward - (total - reward) / others for reward in rewards]


def standardised(rewards: Sequence[float]) -> list[float]:
    """Mean-centred and divided by the standard deviation (GRPO, arXiv:2402.03300, section 4.1.2, over a group).

    The deviation is the sample's (n - 1), as in the widely used implementations; 1e-6 is added to it. Dimensionless.
    """
    centred = group_mean(rewards)
    deviation = (sum(value * value for value in centred) / max(1, len(centred) - 1)) ** 0.5
    return [value / (deviation + _SMALL) for value in centred]


def positive(rewards: Sequence[float]) -> list[float]:
    """The reward where it is positive, else 0: imitate what was rewarded (STaR, arXiv:2203.14465; RAFT, arXiv:2304.06767)."""
    return [max(0.0, reward) for reward in rewards]


@dataclass(frozen=True, kw_only=True)
class Context:
    """What an estimator may know beside the step's own groups.

    running_mean: of the rewards of all steps before; 0 at first. gae: its dials, None for other estimators.
    """

    running_mean: float = 0.0
    gae: GaeConfig | None = None


Estimator = Callable[[Sequence[Group], Context], list[Group]]
"""Groups to the same groups with each rollout's advantages, one a token."""


def _reward(groups: Sequence[Group], _context: Context) -> list[Group]:
    """The reward itself: no baseline (Williams 1992)."""
    return [_spread(group, [rollout.shaped_reward for rollout in group]) for group in groups]


def _running_mean(groups: Sequence[Group], context: Context) -> list[Group]:
    """Reward minus the mean of all steps before (the moving average of arXiv:2402.14740, section 2.2)."""
    mean = context.running_mean
    return [_spread(group, [rollout.shaped_reward - mean for rollout in group]) for group in groups]


def _batch_standardised(groups: Sequence[Group], _context: Context) -> list[Group]:
    """Standardised over all of the step's rollouts (REINFORCE++, arXiv:2501.03262)."""
    values = iter(standardised([rollout.shaped_reward for group in groups for rollout in group]))
    return [_spread(group, [next(values) for _ in group]) for group in groups]


def generalised(rewards: Sequence[float], values: Sequence[float], *, discount: float, trace: float) -> list[float]:
    """Advantages A_t = δ_t + γλ A_(t+1) with δ_t = r_t + γ V_(t+1) - V_t (GAE, arXiv:1506.02438, equation 16).

    rewards: after each of T tokens. values: expected before each of them; after the last there is nothing to expect.

    >>> generalised([0.0, 1.0], [0.5, 0.25], discount=1.0, trace=0.5)
    [0.125, 0.75]
    """
    advantages, following, value_after = [0.0] * len(rewards), 0.0, 0.0
    for t in reversed(range(len(rewards))):
        following = rewards[t] + discount * value_after - values[t] + discount * trace * following
        advantages[t], value_after = following, values[t]
    return advantages


def _gae(groups: Sequence[Group], context: Context) -> list[Group]:
    """GAE by token, then standardised over all tokens of the step, as in the widely used implementations of PPO.

    Returns are advantages before that plus values: the λ-return, which the value model is to learn.
    """
    assert context.gae is not None
    rollouts, advantages = [rollout for group in groups for rollout in group], []
    for rollout in rollouts:
        assert rollout.values is not None
        rewards = token_rewards(rollout)
        advantages.append(generalised(rewards, rollout.values, discount=context.gae.discount, trace=context.gae.trace))
    scaled = iter(standardised([value for row in advantages for value in row]))
    estimated = iter(
        replace(
            rollout,
            advantages=[next(scaled) for _ in row],
            returns=[a + v for a, v in zip(row, rollout.values or (), strict=True)],
        )
        for rollout, row in zip(rollouts, advantages, strict=True)
    )
    return [[next(estimated) for _ in group] for group in groups]


def _teacher(groups: Sequence[Group], _context: Context) -> list[Group]:
    """How much likelier a token is to the teacher than to the policy that sampled it: minus the reverse KL's estimate there
    (on-policy distillation: arXiv:2306.13649, equation 3 with the reverse KL; Lu et al. 2025, thinkingmachines.ai)."""

    def estimated(rollout: Rollout) -> Rollout:
        assert rollout.teacher_logprobs is not None
        pairs = zip(rollout.teacher_logprobs, rollout.completion.logprobs, strict=True)
        return replace(rollout, advantages=[theirs - own for theirs, own in pairs])

    return [[estimated(rollout) for rollout in group] for group in groups]


def explained_variance(rollouts: Sequence[Rollout]) -> float:
    """1 - Var(return - value) / Var(return) over all tokens: 1 for a value model that knows, 0 for one that says the same
    everywhere; 0 if the returns do not vary."""
    returns = [value for rollout in rollouts for value in rollout.returns or ()]
    values = [value for rollout in rollouts for value in rollout.values or ()]
    variance = pvariance(returns)
    errors = pvariance([r - v for r, v in zip(returns, values, strict=True)])
    return 1.0 - errors / variance if variance else 0.0


def token_rewards(rollout: Rollout) -> list[float]:
    """The reward after each token: what was added there, and the outcome after the last."""
    rewards = list(rollout.shaping or [0.0] * rollout.length)
    rewards[-1] += rollout.reward
    return rewards


def _by_group(estimate: Callable[[Sequence[float]], list[float]]) -> Estimator:
    """An estimator that looks at the rewards of one group at a time."""

    def estimator(groups: Sequence[Group], _context: Context) -> list[Group]:
        return [_spread(group, estimate([rollout.shaped_reward for rollout in group])) for group in groups]

    return estimator


def _spread(group: Group, advantages: Sequence[float]) -> Group:
    """The rollouts with one advantage each, the same for all of its tokens."""
    pairs = zip(group, advantages, strict=True)
    return [replace(rollout, advantages=[advantage] * rollout.length) for rollout, advantage in pairs]


ADVANTAGES: dict[str, Estimator] = {
    "reward": _reward,
    "group_mean": _by_group(group_mean),
    "leave_one_out": _by_group(leave_one_out),
    "running_mean": _running_mean,
    "group_standardised": _by_group(standardised),
    "batch_standardised": _batch_standardised,
    "positive": _by_group(positive),
    "gae": _gae,
    "teacher": _teacher,
}
