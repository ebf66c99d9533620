"""Samples to padded batches under a token budget."""

from random import Random

import pytest
import torch

from rlvr.data.batching import STRETCH, collate, split_by_tokens, to_batches
from rlvr.types import Batch, Sample

CPU = torch.device("cpu")


def sample(length: int, first: int = 0) -> Sample:
    """A sample whose token ids count up from ``first``."""
    return Sample(token_ids=list(range(first, first + length)), loss_mask=[False] + [True] * (length - 1))


def lengths(parts: list[list[Sample]]) -> list[list[int]]:
    return [[len(sample.token_ids) for sample in part] for part in parts]


@pytest.fixture
def many() -> list[Sample]:
    """Samples of every length from 1 to 60, told apart by their first token."""
    rng = Random(0)
    return [sample(rng.randrange(1, 61), first=1000 * n) for n in range(300)]


def test_samples_of_like_length_come_together_within_the_budget() -> None:
    """Budget 12: rows of 4 fit three times, rows of 3 four times."""
    assert lengths(split_by_tokens([sample(n) for n in (3, 4, 4, 3, 4, 3, 4, 3)], 12)) == [[4, 4, 4], [4, 3, 3], [3, 3]]


def test_a_part_ends_where_rows_would_be_stretched_too_far() -> None:
    assert lengths(split_by_tokens([sample(n) for n in (9, 6, 5, 3, 2)], 1000)) == [[9, 6], [5], [3, 2]]


def test_a_sample_longer_than_the_budget_is_alone() -> None:
    assert lengths(split_by_tokens([sample(50), sample(4), sample(40)], 10)) == [[50], [40], [4]]


def test_nothing_makes_no_parts() -> None:
    assert split_by_tokens([], 10) == []


@pytest.mark.parametrize("budget", [1, 64, 300, 100_000])
def test_every_sample_is_in_exactly_one_part(budget: int, many: list[Sample]) -> None:
    placed = [sample.token_ids[0] for part in split_by_tokens(many, budget) for sample in part]
    assert sorted(placed) == [1000 * n for n in range(300)]


@pytest.mark.parametrize("budget", [64, 300, 100_000])
def test_parts_keep_to_budget_and_stretch(budget: int, many: list[Sample]) -> None:
    for part in lengths(split_by_tokens(many, budget)):
        assert max(part) * len(part) <= budget
        assert max(part) <= STRETCH * min(part)


def test_parts_do_not_depend_on_chance(many: list[Sample]) -> None:
    assert split_by_tokens(many, 300) == split_by_tokens(list(many), 300)


def test_rows_are_padded_on_the_right() -> None:
    batch = collate([sample(3, first=5), sample(2, first=8)], pad_id=99, device=CPU)
    assert batch.input_ids.tolist() == [[5, 6, 7], [8, 9, 99]]
    assert batch.attention_mask.tolist() == [[True, True, True], [True, True, False]]
    assert batch.loss_mask.tolist() == [[False, True, True], [False, True, False]]
    assert batch.input_ids.dtype == torch.int64


def test_rows_of_one_length_need_no_attention_mask() -> None:
    assert collate([sample(3), sample(3)], pad_id=0, device=CPU).attention_mask is None


def test_documents_have_neither_advantages_nor_old_logprobs() -> None:
    batch = collate([sample(3)], pad_id=0, device=CPU)
    assert (batch.advantages, batch.old_logprobs) == (None, None)


def test_advantages_and_old_logprobs_stand_at_their_tokens() -> None:
    rows = [
        Sample(
            token_ids=[4, 5, 6], loss_mask=[False, True, True], advantages=[0, 0.5, 0.5], old_logprobs=[0, -1.0, -2.0]
        ),
        Sample(token_ids=[7, 8], loss_mask=[False, True], advantages=[0, -0.5], old_logprobs=[0, -0.25]),
    ]
    batch = collate(rows, pad_id=0, device=CPU)
    assert batch.advantages.tolist() == [[0, 0.5, 0.5], [0, -0.5, 0]]
    assert batch.old_logprobs.tolist() == [[0, -1.0, -2.0], [0, -0.25, 0]]


def test_a_trained_first_token_is_our_own_mistake() -> None:
    with pytest.raises(AssertionError, match="nothing before it"):
        collate([Sample(token_ids=[1, 2], loss_mask=[True, True])], pad_id=0, device=CPU)


def rows_of(batch: Batch) -> list[tuple[list[int], list[bool]]]:
    """The real tokens of each row and their loss mask."""
    real = batch.attention_mask if batch.attention_mask is not None else torch.ones_like(batch.loss_mask)
    return [
        (ids[keep].tolist(), mask[keep].tolist())
        for ids, mask, keep in zip(batch.input_ids, batch.loss_mask, real, strict=True)
    ]


def test_batches_hold_every_sample_once_and_unchanged(many: list[Sample]) -> None:
    batches = to_batches(many, budget=300, pad_id=-1, device=CPU)
    found = [row for batch in batches for row in rows_of(batch)]
    assert sorted(found) == sorted((sample.token_ids, sample.loss_mask) for sample in many)
    assert max(batch.input_ids.numel() for batch in batches) <= 300
