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
    weighted = samples[0].advantages is not None
    advantages, old = np.zeros((rows, length), dtype=np.float32), np.zeros((rows, length), dtype=np.float32)
    for row, sample in enumerate(samples):
        end = len(sample.token_ids)
        ids[row, :end], real[row, :end], trained[row, :end] = sample.token_ids, True, sample.loss_mask
        if sample.advantages is not None and sample.old_logprobs is not None:
            advantages[row, :end], old[row, :end] = sample.advantages, sample.old_logprobs
    weights = np.array([sample.weight for sample in samples], dtype=np.float32)
    assert not trained[:, 0].any(), "the first token of a row has nothing before it to be predicted from"
    return Batch(
        input_ids=torch.from_numpy(ids).to(device),
        attention_mask=None if real.all() else torch.from_numpy(real).to(device),
        loss_mask=torch.from_numpy(trained).to(device),
        advantages=torch.from_numpy(advantages).to(device) if weighted else None,
        old_logprobs=torch.from_numpy(old).to(device) if weighted else None,
        weights=None if (weights == 1.0).all() else torch.from_numpy(weights).to(device),
    )


def to_batches(samples: Sequence[Sample], *, budget: int, pad_id: int, device: torch.device) -> list[Batch]:
    """The samples in batches of at most ``budget`` padded tokens."""
    return [collate(part, pad_id, device) for part in split_by_tokens(samples, budget)]
