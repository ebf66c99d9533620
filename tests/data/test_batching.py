"""Samples to batches under a token budget."""

from random import Random

import pytest
import torch

from rlvr.data.batching import collate, split_by_tokens, to_batches
from rlvr.types import Batch, Sample

CPU = torch.device("cpu")


def sample(length: int, first: int = 0) -> Sample:
    """A sample whose token ids count up from ``first``."""
    return Sample(token_ids=list(range(first, first + length)), loss_mask=[False] + [True] * (length - 1))


def group(prompt: list[int], completions: list[int] | list[list[int]]) -> list[Sample]:
    """Samples of one prompt with each of the completions, given whole or by their length."""
    written = [list(range(10, 10 + each)) if isinstance(each, int) else each for each in completions]
    return [Sample(token_ids=prompt + each, loss_mask=[False] * len(prompt) + [True] * len(each)) for each in written]


def lengths(parts: list[list[Sample]]) -> list[list[int]]:
    return [[len(sample.token_ids) for sample in part] for part in parts]


@pytest.fixture
def many() -> list[Sample]:
    """Samples of every length from 2 to 60, told apart by their first token."""
    rng = Random(0)
    return [sample(rng.randrange(2, 61), first=1000 * n) for n in range(300)]


def test_the_longest_come_first_and_parts_keep_to_the_budget() -> None:
    assert lengths(split_by_tokens([sample(n) for n in (3, 4, 4, 3, 4)], 12)) == [[4, 4, 4], [3, 3]]


def test_a_sample_longer_than_the_budget_is_alone() -> None:
    assert lengths(split_by_tokens([sample(50), sample(4), sample(40)], 10)) == [[50], [40], [4]]


def test_samples_that_share_their_prefix_stay_together() -> None:
    first, second = [group([5, n], [length]) for n in (6, 7) for length in (2, 4)], group([5, 7], [3])
    assert lengths(split_by_tokens([*(row for rows in first for row in rows), *second], 1000)) == [[6, 4, 6, 5, 4]]


def test_nothing_makes_no_parts() -> None:
    assert split_by_tokens([], 10) == []


@pytest.mark.parametrize("budget", [1, 64, 300, 100_000])
def test_every_sample_is_in_exactly_one_part(budget: int, many: list[Sample]) -> None:
    placed = [sample.token_ids[0] for part in split_by_tokens(many, budget) for sample in part]
    assert sorted(placed) == [1000 * n for n in range(300)]


@pytest.mark.parametrize("budget", [64, 300, 100_000])
def test_parts_keep_to_the_budget(budget: int, many: list[Sample]) -> None:
    assert max(sum(part) for part in lengths(split_by_tokens(many, budget))) <= budget


def test_parts_do_not_depend_on_chance(many: list[Sample]) -> None:
    assert split_by_tokens(many, 300) == split_by_tokens(list(many), 300)


def test_rows_are_padded_on_the_right() -> None:
    batch = collate([sample(3, first=5), sample(2, first=8)], pad_id=99, device=CPU)
    assert batch.input_ids.tolist() == [[5, 6, 7], [8, 9, 99]]
    assert batch.loss_mask.tolist() == [[False, True, True], [False, True, False]]
    assert batch.input_ids.dtype == torch.int64


def test_what_rows_share_is_read_once_and_the_last_token_never() -> None:
    """By hand: prompt 5 6 with completions 7 8 9 and 7 4; the third row has a prompt of its own and one trained token."""
    layout = collate([*group([5, 6], [[7, 8, 9], [7, 4]]), *group([3], [[5]])], pad_id=0, device=CPU).layout
    assert layout.ids.tolist() == [5, 6, 7, 8, 7, 3]
    assert layout.positions.tolist() == [0, 1, 2, 3, 2, 0]
    assert layout.blocks == ((1, 4), (1, 3), (1, 1))
    assert layout.read.tolist() == [0, 1, 2, 3, 0, 1, 4, 5]
    assert layout.first.tolist() == [0, 1, 2, 3, 6, 7]
    assert layout.again.tolist() == [4, 5]
    assert layout.before.tolist() == [1, 2, 3, 1, 4, 5]


def test_what_stands_after_the_last_trained_token_is_not_read() -> None:
    row = Sample(token_ids=[4, 5, 6, 7, 8], loss_mask=[False, False, True, False, False])
    layout = collate([row], pad_id=0, device=CPU).layout
    assert (layout.ids.tolist(), layout.before.tolist()) == ([4, 5], [1])


MIXTURES = {
    "skewed": [64 if n % 10 == 0 else 3 for n in range(256)],
    "uniform": [1 + n * 37 % 64 for n in range(256)],
    "two that differ": [3, 60],
    "one": [5],
}


@pytest.mark.parametrize("budget", [1000, 16384])
@pytest.mark.parametrize("completions", MIXTURES.values(), ids=MIXTURES)
def test_padding_is_less_than_a_twentieth(completions: list[int], budget: int) -> None:
    groups = [group([4 + n, *range(15)], completions[8 * n : 8 * n + 8]) for n in range(32)]
    rows = [row for members in groups for row in members]
    for batch in to_batches(rows, budget=budget, pad_id=0, device=CPU):
        real = len(batch.layout.first) + len(batch.layout.again)
        assert real > 0.95 * len(batch.layout.read)
    all_of_them = [batch.layout for batch in to_batches(rows, budget=10**6, pad_id=0, device=CPU)]
    assert sum(len(layout.ids) for layout in all_of_them) == sum(length - 1 for length in completions) + 16 * sum(
        bool(members) for members in groups
    )


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
    """The real tokens of each row, those up to its last trained one, and their loss mask."""
    ends = [mask.nonzero().max().item() + 1 for mask in batch.loss_mask]
    rows = zip(batch.input_ids.tolist(), batch.loss_mask.tolist(), ends, strict=True)
    return [(ids[:end], mask[:end]) for ids, mask, end in rows]


def test_batches_hold_every_sample_once_and_unchanged(many: list[Sample]) -> None:
    batches = to_batches(many, budget=300, pad_id=-1, device=CPU)
    found = [row for batch in batches for row in rows_of(batch)]
    assert sorted(found) == sorted((sample.token_ids, sample.loss_mask) for sample in many)
