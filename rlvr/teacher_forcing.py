"""Models read completions that are given (teacher forcing): log-probabilities under a reference, a teacher or older weights, and
values."""

from collections.abc import Callable, Sequence

import torch
from transformers import PreTrainedModel

from rlvr.data.batching import collate, split_by_tokens
from rlvr.models.heads import ValueModel
from rlvr.models.logprobs import token_logprobs
from rlvr.runtime import signals
from rlvr.types import Completion, Sample


@torch.inference_mode()
def logprobs_of(
    model: PreTrainedModel, completions: Sequence[Completion], *, temperature: float, budget: int, pad_id: int
) -> list[list[float]]:
    """Log-probability of every token of the completions under a model, in order.

    temperature: logits are divided by it. budget: tokens of the rows in one forward pass.
    """
    return _by_token(
        lambda part: token_logprobs(model, collate(part, pad_id, model.device), temperature)[0], completions, budget
    )


@torch.inference_mode()
def values_of(model: ValueModel, completions: Sequence[Completion], *, budget: int, pad_id: int) -> list[list[float]]:
    """The value of the prefix before every token of the completions, in order."""
    device = model.head.weight.device
    return _by_token(lambda part: model(collate(part, pad_id, device)), completions, budget)


def _by_token(
    measure: Callable[[list[Sample]], torch.Tensor], completions: Sequence[Completion], budget: int
) -> list[list[float]]:
    """One number for every token of the completions, in order. measure: those of some rows, one after the other."""
    samples = [_sample(completion) for completion in completions]
    found: dict[int, list[float]] = {}
    for part in split_by_tokens(samples, budget):
        signals.check()
        values = measure(part).tolist()
        for sample in part:
            count = sum(sample.loss_mask)
            found[id(sample)], values = values[:count], values[count:]
    return [found[id(sample)] for sample in samples]


def _sample(completion: Completion) -> Sample:
    return Sample(
        token_ids=completion.prompt_ids + completion.token_ids,
        loss_mask=[False] * len(completion.prompt_ids) + [True] * len(completion.token_ids),
    )


def largest_gap(first: Sequence[Sequence[float]], second: Sequence[Sequence[float]]) -> float:
    """The largest difference between two accounts of the same tokens."""
    pairs = zip(first, second, strict=True)
    return max(abs(a - b) for mine, theirs in pairs for a, b in zip(mine, theirs, strict=True))
