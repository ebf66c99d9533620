"""Samples to padded batches under a token budget."""

from collections.abc import Sequence

import numpy as np
import torch

from rlvr.types import Batch, Sample

STRETCH = 1.5
"""The longest row of a batch is at most so many times as long as its shortest: bounds what padding wastes."""


def split_by_tokens(samples: Sequence[Sample], budget: int) -> list[list[Sample]]:
    """Samples of like length together, each part at most ``budget`` padded tokens; a longer sample is alone.

    The order depends on the samples only. Each sample is in exactly one part.
    """
    parts: list[list[Sample]] = []
    current: list[Sample] = []
    for sample in sorted(samples, key=lambda sample: len(sample.token_ids), reverse=True):
        longest = len(current[0].token_ids) if current else 0
        full = longest * (len(current) + 1) > budget or longest > STRETCH * len(sample.token_ids)
        if current and full:
            parts.append(current)
            current = []
        current.append(sample)
    return [*parts, current] if current else parts


def collate(samples: Sequence[Sample], pad_id: int, device: torch.device) -> Batch:
    """Pad samples on the right to one batch; see types.Batch for shapes."""
    rows, length = len(samples), max(len(sample.token_ids) for sample in samples)
    ids = np.full((rows, length), pad_id, dtype=np.int64)
    real, trained = np.zeros((rows, length), dtype=bool), np.zeros((rows, length), dtype=bool)
    for row, sample in enumerate(samples):
        end = len(sample.token_ids)
        ids[row, :end], real[row, :end], trained[row, :end] = sample.token_ids, True, sample.loss_mask
    weights = np.array([sample.weight for sample in samples], dtype=np.float32)
    assert not trained[:, 0].any(), "the first token of a row has nothing before it to be predicted from"
    return Batch(
        input_ids=torch.from_numpy(ids).to(device),
        attention_mask=None if real.all() else torch.from_numpy(real).to(device),
        loss_mask=torch.from_numpy(trained).to(device),
        advantages=_padded([sample.advantages for sample in samples], length, device),
        old_logprobs=_padded([sample.old_logprobs for sample in samples], length, device),
        ref_logprobs=_padded([sample.ref_logprobs for sample in samples], length, device),
        returns=_padded([sample.returns for sample in samples], length, device),
        weights=None if (weights == 1.0).all() else torch.from_numpy(weights).to(device),
    )


def _padded(lists: Sequence[list[float] | None], length: int, device: torch.device) -> torch.Tensor | None:
    """Numbers padded on the right with zeros, (B, L) float32; None if the samples have none."""
    values = np.zeros((len(lists), length), dtype=np.float32)
    for row, numbers in enumerate(lists):
        if numbers is None:
            return None
        values[row, : len(numbers)] = numbers
    return torch.from_numpy(values).to(device)


def to_batches(samples: Sequence[Sample], *, budget: int, pad_id: int, device: torch.device) -> list[Batch]:
    """The samples in batches of at most ``budget`` padded tokens."""
    return [collate(part, pad_id, device) for part in split_by_tokens(samples, budget)]
