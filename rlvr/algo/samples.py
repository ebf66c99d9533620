"""Scored rollouts to rows of training data."""

from dataclasses import replace

from rlvr.algo.advantages import Estimator
from rlvr.types import Group, Rollout, Sample


def with_advantages(group: Group, estimator: Estimator) -> Group:
    """The group's rollouts with their advantages filled in."""
    advantages = estimator([rollout.reward for rollout in group])
    return [replace(rollout, advantage=advantage) for rollout, advantage in zip(group, advantages, strict=True)]


def to_sample(rollout: Rollout) -> Sample:
    """One row: the completion's tokens are trained, each with the rollout's advantage; sampled ids are kept as they are."""
    prompt, written = rollout.completion.prompt_ids, rollout.completion.token_ids
    nothing, advantage = [0.0] * len(prompt), rollout.advantage
    assert advantage is not None
    return Sample(
        token_ids=prompt + written,
        loss_mask=[False] * len(prompt) + [True] * len(written),
        advantages=nothing + [advantage] * len(written),
        old_logprobs=nothing + rollout.completion.logprobs,
    )
