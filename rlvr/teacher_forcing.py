"""Models read completions that are given (teacher forcing): log-probabilities under a reference, a teacher or older weights,
values, and what else two policies might have written."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from transformers import PreTrainedModel

from rlvr.data.batching import collate, split_by_tokens
from rlvr.models.heads import ValueModel
from rlvr.models.logprobs import LOGITS_AT_ONCE, distributions, token_logprobs
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


@dataclass(frozen=True, kw_only=True)
class Compared:
    """What two policies make of each of a completion's T tokens.

    logprobs, entropies: nats, under the first and under the second. likeliest: for each place the likeliest tokens of both and
    the one that is there, each with its probability under the first and under the second.
    """

    logprobs: tuple[list[float], list[float]] = field(default_factory=lambda: ([], []))
    entropies: tuple[list[float], list[float]] = field(default_factory=lambda: ([], []))
    likeliest: list[dict[int, tuple[float, float]]] = field(default_factory=list)


@torch.inference_mode()
def compare(
    models: tuple[PreTrainedModel, PreTrainedModel],
    completion: Completion,
    *,
    temperature: float,
    pad_id: int,
    count: int,
) -> Compared:
    """A completion as two models of one tokenizer read it. count: of the likeliest tokens of each model at each place.

    temperature: logits are divided by it.
    """
    batch = collate([_sample(completion)], pad_id, models[0].device)
    rows = max(1, LOGITS_AT_ONCE // max(map(vocabulary_size, models)))
    places = torch.split(torch.tensor(completion.token_ids, device=models[0].device), rows)
    both = [distributions(model, batch, temperature, rows=rows) for model in models]
    found = Compared()
    for sampled, *parts in zip(places, *both, strict=True):  # (n,), then (n, V) of each model
        signals.check()
        known = min(part.shape[-1] for part in parts)  # what one has beyond, no token has
        best = [part[:, :known].topk(min(count, known), dim=-1).indices for part in parts]
        ids = torch.cat([sampled[:, None], *best], dim=-1)  # (n, 1 + 2 count)
        for number, part in enumerate(parts):
            found.logprobs[number].extend(part.gather(-1, sampled[:, None]).squeeze(-1).tolist())
            found.entropies[number].extend(torch.special.entr(part.exp()).sum(dim=-1).tolist())
        first, second = (part.gather(-1, ids).exp().tolist() for part in parts)
        found.likeliest.extend(
            dict(zip(tokens, zip(mine, theirs, strict=True), strict=True))
            for tokens, mine, theirs in zip(ids.tolist(), first, second, strict=True)
        )
    return found


def vocabulary_size(model: PreTrainedModel) -> int:
    """How many tokens a model can read, those that no tokenizer knows included."""
    weight: torch.Tensor = model.get_input_embeddings().weight  # type: ignore[assignment]
    return len(weight)


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
