"""Samples to batches under a token budget, with hardly any padding and what rows share read once."""

from collections.abc import Sequence
from itertools import accumulate

import numpy as np
import torch

from rlvr.types import Batch, Layout, Sample

PADDING = 0.05
"""The largest share of a block's places that may be padding: bounds what the longest row of a block wastes."""


def to_batches(
    samples: Sequence[Sample], *, budget: int, pad_id: int, device: torch.device, workers: int = 1
) -> list[Batch]:
    """The samples in batches of which ``workers`` have at most ``budget`` tokens together."""
    return [collate(part, pad_id, device) for part in split_by_tokens(samples, budget, workers)]


def split_by_tokens(samples: Sequence[Sample], budget: int, workers: int = 1) -> list[list[Sample]]:
    """Parts of at most a worker's share of ``budget`` tokens, counted row by row; a longer sample is alone.

    For several workers the parts are of like size, as many for each. Samples that share their prefix stand together, and those of
    like length otherwise: longest first. The order depends on the samples only. Each sample is in exactly one part.
    """
    longest: dict[tuple[int, ...], int] = {}
    keys = [_prefix(sample) for sample in samples]
    for key, sample in zip(keys, samples, strict=True):
        longest[key] = max(longest.get(key, 0), len(sample.token_ids))
    order = sorted(range(len(samples)), key=lambda i: (-longest[keys[i]], keys[i], -len(samples[i].token_ids)))
    ordered = [samples[index] for index in order]
    return _filled(ordered, budget) if workers == 1 else _evened(ordered, budget // workers, workers)


def _filled(samples: Sequence[Sample], budget: int) -> list[list[Sample]]:
    """Parts that are as full as their order allows."""
    parts: list[list[Sample]] = []
    room = 0
    for sample in samples:
        if not parts or len(sample.token_ids) > room:
            parts.append([])
            room = budget
        parts[-1].append(sample)
        room -= len(sample.token_ids)
    return parts


def _evened(samples: Sequence[Sample], budget: int, workers: int) -> list[list[Sample]]:
    """The fewest parts of like size, their number a multiple of workers, that keep to the budget where a single sample does."""
    ends = list(accumulate(len(sample.token_ids) for sample in samples))
    for count in range(workers, len(samples) + 1, workers):
        parts: list[list[Sample]] = [[] for _ in range(count)]
        for sample, end in zip(samples, ends, strict=True):
            middle = end - len(sample.token_ids) / 2
            parts[int(middle * count / ends[-1])].append(sample)
        parts = [part for part in parts if part]
        if all(len(part) == 1 or sum(len(each.token_ids) for each in part) <= budget for part in parts):
            return parts
    return [[sample] for sample in samples]


def collate(samples: Sequence[Sample], pad_id: int, device: torch.device) -> Batch:
    """Samples to one batch; see types.Batch for shapes."""
    rows, length = len(samples), max(len(sample.token_ids) for sample in samples)
    ids, trained = np.full((rows, length), pad_id, dtype=np.int64), np.zeros((rows, length), dtype=bool)
    for row, sample in enumerate(samples):
        end = len(sample.token_ids)
        ids[row, :end], trained[row, :end] = sample.token_ids, sample.loss_mask
    weights = np.array([sample.weight for sample in samples], dtype=np.float32)
    assert not trained[:, 0].any(), "the first token of a row has nothing before it to be predicted from"
    return Batch(
        input_ids=torch.from_numpy(ids).to(device),
        loss_mask=torch.from_numpy(trained).to(device),
        layout=_layout(samples, device),
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


def _prefix(sample: Sample) -> tuple[int, ...]:
    """The tokens before the first trained one."""
    return tuple(sample.token_ids[: sample.loss_mask.index(True)])


def _layout(samples: Sequence[Sample], device: torch.device) -> Layout:
    """Which tokens a model reads of the samples, every distinct one once; see types.Layout."""
    ids: list[int] = []
    positions: list[int] = []
    prefixes: dict[tuple[int, ...], int] = {}  # where among the distinct tokens a prefix stands
    rows: list[np.ndarray] = []  # of each sample, the distinct token at each position that is read
    before = []
    for sample in samples:
        prefix = _prefix(sample)
        end = len(sample.loss_mask) - 1 - sample.loss_mask[::-1].index(True)  # the last trained token is not read
        if prefix not in prefixes:
            prefixes[prefix] = len(ids)
            ids += prefix
            positions += range(len(prefix))
        start = prefixes[prefix]
        row = np.r_[start : start + len(prefix), len(ids) : len(ids) + end - len(prefix)]
        ids += sample.token_ids[len(prefix) : end]
        positions += range(len(prefix), end)
        rows.append(row)
        before.append(row[np.flatnonzero(sample.loss_mask) - 1])
    order = sorted(range(len(rows)), key=lambda index: -len(rows[index]))  # longest first, else as they come
    blocks = _blocks([len(rows[index]) for index in order])
    lengths = [length for count, length in blocks for _ in range(count)]
    starts = [0, *accumulate(lengths)]
    read, real = np.zeros(starts[-1], dtype=np.int64), np.zeros(starts[-1], dtype=bool)
    for index, start in zip(order, starts, strict=False):
        read[start : start + len(rows[index])] = rows[index]
        real[start : start + len(rows[index])] = True
    places = np.flatnonzero(real)
    first = places[np.unique(read[places], return_index=True)[1]]
    real[first] = False
    arrays = (np.array(ids), np.array(positions), read, first, np.flatnonzero(real), np.concatenate(before))
    tensors = [torch.from_numpy(array.astype(np.int64)).to(device) for array in arrays]
    names = ("ids", "positions", "read", "first", "again", "before")
    return Layout(blocks=tuple(blocks), **dict(zip(names, tensors, strict=True)))


def _blocks(lengths: Sequence[int]) -> list[tuple[int, int]]:
    """Rows of falling lengths to blocks, each with the number of its rows and its longest; padding stays below its share."""
    blocks: list[tuple[int, int]] = []
    tokens = 0
    for length in lengths:
        if blocks:
            count, longest = blocks[-1]
            if tokens + length > (1 - PADDING) * (count + 1) * longest:
                blocks[-1] = (count + 1, longest)
                tokens += length
                continue
        blocks.append((1, length))
        tokens = length
    return blocks
