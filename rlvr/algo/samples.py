"""Scored rollouts to rows of training data, and what a sum of their losses is divided by."""

from collections.abc import Sequence

from rlvr.types import Group, Rollout, Sample


def to_sample(rollout: Rollout, *, weight: float = 1.0) -> Sample:
    """One row: the completion's tokens are trained, all or some, each with its advantage; sampled ids are kept as they are."""
    prompt, written = rollout.completion.prompt_ids, rollout.completion.token_ids
    nothing, advantages = [0.0] * len(prompt), rollout.advantages
    ref_logprobs, returns = rollout.ref_logprobs, rollout.returns
    assert advantages is not None
    return Sample(
        token_ids=prompt + written,
        loss_mask=[False] * len(prompt) + (rollout.trained or [True] * len(written)),
        weight=weight,
        advantages=nothing + advantages,
        old_logprobs=nothing + rollout.completion.logprobs,
        ref_logprobs=None if ref_logprobs is None else nothing + ref_logprobs,
        returns=None if returns is None else nothing + returns,
    )


def to_samples(groups: Sequence[Group], aggregation: str) -> list[Sample]:
    """A row for each rollout with a trained token. By ``sequence`` a token's loss weighs one over its row's trained tokens."""
    rollouts = [rollout for group in groups for rollout in group if trained_tokens(rollout)]
    by_sequence = aggregation == "sequence"
    return [to_sample(each, weight=1.0 / trained_tokens(each) if by_sequence else 1.0) for each in rollouts]


def trained_tokens(rollout: Rollout) -> int:
    """How many of its tokens are trained."""
    return rollout.length if rollout.trained is None else sum(rollout.trained)


def divisor(samples: Sequence[Sample], aggregation: str, max_new_tokens: int) -> float:
    """What the weighted sum of all tokens' losses is divided by.

    token: their count (DAPO, arXiv:2503.14476, section 3.3). sequence: the count of rollouts (GRPO, arXiv:2402.03300,
    equation 3). constant: that times the most tokens a rollout may have (Dr. GRPO, arXiv:2503.20783, section 3.2).
    """
    if aggregation == "token":
        return sum(sum(sample.loss_mask) for sample in samples)
    return len(samples) * (max_new_tokens if aggregation == "constant" else 1)


def split_groups(groups: Sequence[Group], parts: int) -> list[list[Group]]:
    """The groups dealt out in turn, each whole, into at most so many parts; none is empty."""
    return [list(part) for i in range(parts) if (part := groups[i::parts])]
