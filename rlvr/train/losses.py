"""Losses: pure functions of a batch that return SUMS over trained tokens; the loop divides once."""

from collections.abc import Callable

from transformers import PreTrainedModel

from rlvr.models.logprobs import token_logprobs
from rlvr.types import Batch, LossOutput

Loss = Callable[[PreTrainedModel, Batch], LossOutput]

LOGPROB_GAP = "rollout/logprob_gap_max"


def cross_entropy(model: PreTrainedModel, batch: Batch) -> LossOutput:
    """Minus the log-probability of every trained token, summed (nats)."""
    logprobs, entropy = token_logprobs(model, batch)
    return LossOutput(loss_sum=-logprobs.sum(), sums={"train/entropy": entropy.sum()}, maxima={})


def policy_gradient(temperature: float) -> Loss:
    """REINFORCE: minus advantage times log-probability, summed over trained tokens (Williams 1992, equation 4).

    The batch is used for one update, so sampler and trainer are the same policy and no importance ratio is needed.
    That they are the same is measured: the largest gap between their log-probabilities is returned among the maxima.

    temperature: the one that rollouts were sampled at.
    """

    def loss(model: PreTrainedModel, batch: Batch) -> LossOutput:
        assert batch.advantages is not None
        assert batch.old_logprobs is not None
        logprobs, entropy = token_logprobs(model, batch, temperature)  # (N,) each
        advantages = batch.advantages[batch.loss_mask]
        gap = (logprobs.detach() - batch.old_logprobs[batch.loss_mask]).abs().max()
        return LossOutput(
            loss_sum=-(advantages * logprobs).sum(), sums={"train/entropy": entropy.sum()}, maxima={LOGPROB_GAP: gap}
        )

    return loss
