"""Losses: pure functions of a batch that return SUMS over trained tokens; the loop divides once."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel

from rlvr.config import AlgoConfig
from rlvr.models.heads import ValueModel
from rlvr.models.logprobs import token_logprobs
from rlvr.types import Batch, LossOutput, Metrics

Loss = Callable[[PreTrainedModel, Batch], LossOutput]

LOGPROB_GAP = "rollout/logprob_gap_max"
RATIO, RATIO_SQUARE = "train/ratio_mean", "train/ratio_square_mean"

MAX_LOG_RATIO = 20.0
"""Log-ratios are bounded by this before exp, so that no ratio is infinite."""


def cross_entropy(model: PreTrainedModel, batch: Batch) -> LossOutput:
    """Minus the log-probability of every trained token, summed (nats)."""
    logprobs, entropy = token_logprobs(model, batch)
    return LossOutput(loss_sum=-logprobs.sum(), sums={"train/entropy": entropy.sum()}, maxima={})


# ------------------------------------------------------------------------------------------------ importance ratios


def _token_ratio(log_ratio: torch.Tensor, _rows: torch.Tensor, _count: int) -> torch.Tensor:
    return log_ratio


def _sequence_ratio(log_ratio: torch.Tensor, rows: torch.Tensor, count: int) -> torch.Tensor:
    return log_ratio.new_zeros(count).index_add(0, rows, log_ratio)[rows]


def _geometric_ratio(log_ratio: torch.Tensor, rows: torch.Tensor, count: int) -> torch.Tensor:
    lengths = torch.bincount(rows, minlength=count).clamp(min=1)
    return _sequence_ratio(log_ratio / lengths[rows], rows, count)


RATIOS: dict[str, Callable[[torch.Tensor, torch.Tensor, int], torch.Tensor]] = {
    "token": _token_ratio,
    "sequence": _sequence_ratio,
    "geometric": _geometric_ratio,
}
"""Log-ratios of tokens (N,), their rows (N,) and the number of rows to the log-ratio that each token is weighted by (N,):
its own, its row's sum, or its row's mean (GSPO, arXiv:2507.18071, equation 7)."""


# ----------------------------------------------------------------------------------------- distance to a reference

KL_ESTIMATORS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "k1": lambda d: d,
    "k2": lambda d: d.square() / 2,
    "k3": lambda d: torch.exp(-d) - 1 + d,
}
"""The log-ratio d of policy to reference at tokens of the policy to estimates of KL(policy ‖ reference), one a token
(Schulman 2020, http://joschu.net/blog/kl-approx.html). k1 and k3 are unbiased; k3 is never negative."""


# ------------------------------------------------------------------------------------------------ policy gradients


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What a loss is made of; each (N,) over trained tokens in row-major order.

    logprobs: under the policy that is trained; alone carries a gradient. advantages: constants.
    ratio: how much likelier than when sampled, a constant, by token or by row.
    """

    logprobs: torch.Tensor
    advantages: torch.Tensor
    ratio: torch.Tensor


TokenLoss = Callable[[Terms, AlgoConfig], tuple[torch.Tensor, torch.Tensor | None]]
"""Terms to each token's loss (N,) and which tokens had their ratio bounded (N,) bool, None if none can."""


def policy_gradient(terms: Terms, _algo: AlgoConfig) -> tuple[torch.Tensor, None]:
    """Minus advantage times log-probability (REINFORCE, Williams 1992): no correction for another policy's rollouts."""
    return -(terms.advantages * terms.logprobs), None


def clipped(terms: Terms, algo: AlgoConfig) -> tuple[torch.Tensor, torch.Tensor]:
    """Minus min(r A, clip(r, 1 - low, 1 + high) A) (PPO, arXiv:1707.06347, equation 7; low ≠ high: arXiv:2503.14476, eq. 8).

    A ratio of a whole row has its value, and each token's gradient is that of its own log-probability
    (GSPO-token, arXiv:2507.18071, equations 13 and 14), which sums to the row's. With a cap, r A is at least cap A where A is
    negative (dual clip, arXiv:1912.09729): else one token that became far likelier would outweigh all others.
    """
    assert algo.clip_low is not None
    assert algo.clip_high is not None
    ratio = terms.ratio * torch.exp(terms.logprobs - terms.logprobs.detach())
    bounded = ratio.clamp(1 - algo.clip_low, 1 + algo.clip_high)
    free, held = ratio * terms.advantages, bounded * terms.advantages
    gain = torch.minimum(free, held)
    if algo.cap is not None:
        gain = torch.where(terms.advantages < 0, torch.maximum(gain, algo.cap * terms.advantages), gain)
    return -gain, gain.detach() != free.detach()


def truncated(terms: Terms, algo: AlgoConfig) -> tuple[torch.Tensor, torch.Tensor]:
    """Minus min(r, cap) A log-probability, the ratio a constant weight (CISPO, arXiv:2506.13585, equations 4 and 5).

    Every token keeps a gradient. By sequence this is truncated importance sampling (Ionides 2008).
    """
    assert algo.cap is not None
    weight = terms.ratio.clamp(max=algo.cap)
    return -(weight * terms.advantages * terms.logprobs), terms.ratio > algo.cap


LOSSES: dict[str, TokenLoss] = {
    "policy_gradient": policy_gradient,
    "clipped": clipped,
    "truncated": truncated,
}


def policy_loss(algo: AlgoConfig, temperature: float, critic: ValueModel | None = None) -> Loss:
    """The loss of a batch of rollouts, as the configuration says.

    temperature: the one that rollouts were sampled at. critic: a value model, which learns the batch's returns by squared
    error; it shares no weights, so the policy's gradient is the same with and without it. While the policy is still the one that sampled, the largest gap
    between their log-probabilities is measured, which must be rounding; after that the ratios are.
    """
    token_loss, level = LOSSES[algo.loss], RATIOS[algo.ratio or "token"]
    bonus, kl = algo.entropy_bonus, algo.kl if algo.kl is not None and algo.kl.where == "loss" else None

    def loss(model: PreTrainedModel, batch: Batch) -> LossOutput:
        assert batch.advantages is not None
        assert batch.old_logprobs is not None
        logprobs, entropy = token_logprobs(model, batch, temperature, entropy_gradient=bonus > 0)  # (N,) each
        rows = batch.loss_mask.nonzero()[:, 0]  # (N,)
        log_ratio = logprobs.detach() - batch.old_logprobs[batch.loss_mask]
        leveled = level(log_ratio, rows, len(batch.loss_mask)).clamp(-MAX_LOG_RATIO, MAX_LOG_RATIO)
        terms = Terms(logprobs=logprobs, advantages=batch.advantages[batch.loss_mask], ratio=leveled.exp())
        losses, held = token_loss(terms, algo)
        sums = {"train/entropy": entropy.detach().sum()}
        if bonus:
            losses = losses - bonus * entropy
        if batch.ref_logprobs is not None:
            distance = logprobs - batch.ref_logprobs[batch.loss_mask]
            sums["train/kl_ref"] = KL_ESTIMATORS["k3"](distance.detach()).sum()
            if kl is not None:
                losses = losses + kl.coefficient * KL_ESTIMATORS[kl.estimator](distance)
        if critic is not None:
            assert batch.returns is not None
            errors = (critic(batch) - batch.returns[batch.loss_mask]).square() / 2
            sums["train/value_loss"] = errors.detach().sum()
            losses = losses + errors
        if batch.weights is not None:
            losses = losses * batch.weights[rows]
        if batch.on_policy:
            maxima = {LOGPROB_GAP: log_ratio.abs().max()}
        else:
            maxima = {"train/ratio_max": terms.ratio.max()}
            sums |= {RATIO: terms.ratio.sum(), RATIO_SQUARE: terms.ratio.square().sum()}
        if held is not None:
            sums["train/clip_fraction"] = held.sum()
        return LossOutput(loss_sum=losses.sum(), sums=sums, maxima=maxima)

    return loss


def with_effective_samples(row: Metrics) -> Metrics:
    """The row with ``train/effective_sample_fraction``, (mean r)² / mean r² of the ratios (Kish 1965), in place of mean r²."""
    if RATIO_SQUARE not in row:
        return row
    rest = {name: value for name, value in row.items() if name != RATIO_SQUARE}
    return {**rest, "train/effective_sample_fraction": row[RATIO] ** 2 / row[RATIO_SQUARE]}
