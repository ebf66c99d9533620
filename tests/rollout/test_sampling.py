"""Drawing one token per row."""

import numpy as np
import pytest
import torch

from rlvr.rollout.sampling import Drawn, Sampler, Written, decode_in_parts, inverse, most_likely, pad_left
from rlvr.types import Completion, Request, Sampling, StopReason

CPU = torch.device("cpu")
SEEDS = list(range(32))
ROWS = torch.arange(len(SEEDS))
LOGITS = torch.tensor([0.5, 0.3, 0.2]).log().repeat(len(SEEDS), 1)


def uniforms(count=1):
    """The numbers that the rows of SEEDS draw with, (rows, count)."""
    return np.stack([np.random.Generator(np.random.Philox(key=seed)).random(count) for seed in SEEDS])


def sampler(stop_ids=(), **sampling):
    found = Sampler(len(SEEDS), Sampling(max_new_tokens=4, **sampling), list(stop_ids), CPU)
    for row, seed in enumerate(SEEDS):
        found.reseed(row, seed)
    return found


def test_the_token_is_the_first_whose_cumulated_probability_exceeds_the_uniform_number():
    tokens = sampler().draw(LOGITS, ROWS, 0).tokens
    expected = [0 if u < 0.5 else 1 if u < 0.8 else 2 for u in uniforms()[:, 0]]
    assert tokens.tolist() == expected
    assert set(expected) == {0, 1, 2}


def test_the_t_th_token_takes_the_t_th_number():
    tokens = sampler().draw(LOGITS, ROWS, 2).tokens
    assert tokens.tolist() == [0 if u < 0.5 else 1 if u < 0.8 else 2 for u in uniforms(3)[:, 2]]


def test_a_row_keeps_its_numbers_when_others_have_left():
    tokens = sampler().draw(LOGITS, ROWS, 1).tokens
    some = torch.tensor([5, 1])
    alone = sampler().draw(LOGITS[:2], some, 1).tokens
    assert alone.tolist() == tokens[some].tolist()


def test_rows_may_have_written_different_numbers_of_tokens():
    positions = torch.arange(len(SEEDS)) % 4
    tokens = sampler().draw(LOGITS, ROWS, positions).tokens.tolist()
    assert tokens == [int(sampler().draw(LOGITS, ROWS, row % 4).tokens[row]) for row in range(len(SEEDS))]
    held = sampler(stop_ids=[0], min_new_tokens=2).draw(LOGITS, ROWS, positions).tokens
    assert 0 not in held[positions < 2].tolist()
    assert 0 in held[positions >= 2].tolist()


def test_a_row_may_be_given_another_seed():
    drawn = sampler()
    drawn.reseed(0, 5)
    drawn.reseed(1, 7)
    assert (
        drawn.draw(LOGITS[:2], torch.tensor([0, 1]), 1).tokens.tolist()
        == sampler().draw(LOGITS, ROWS, 1).tokens[[5, 7]].tolist()
    )


def test_temperature_one_half_squares_the_probabilities():
    tokens, logprobs, _ = sampler(temperature=0.5).draw(LOGITS, ROWS, 0)
    shares = np.array([25, 9, 4]) / 38
    assert tokens.tolist() == [int(np.searchsorted(shares.cumsum(), u, side="right")) for u in uniforms()[:, 0]]
    assert logprobs.tolist() == pytest.approx(np.log(shares[tokens]), abs=1e-6)


def test_temperature_zero_takes_the_most_likely_and_reports_its_probability_at_one():
    tokens, logprobs, _ = sampler(temperature=0.0).draw(LOGITS, ROWS, 0)
    assert tokens.tolist() == [0] * 32
    assert logprobs.tolist() == pytest.approx([np.log(0.5)] * 32)


def test_a_ruled_out_stop_token_leaves_its_share_to_the_others():
    tokens, logprobs, _ = sampler(stop_ids=[0], min_new_tokens=1).draw(LOGITS, ROWS, 0)
    assert tokens.tolist() == [1 if u < 0.6 else 2 for u in uniforms()[:, 0]]
    assert logprobs.tolist() == pytest.approx([np.log([0.5, 0.3, 0.2])[token] for token in tokens], abs=1e-6)


def test_a_stop_token_may_come_once_enough_is_written():
    tokens = sampler(stop_ids=[0], min_new_tokens=1).draw(LOGITS, ROWS, 1).tokens
    assert 0 in tokens.tolist()


def test_top_k_leaves_the_share_of_the_others_to_the_k_most_likely():
    tokens, logprobs, _ = sampler(top_k=2).draw(LOGITS, ROWS, 0)
    assert tokens.tolist() == [0 if u < 5 / 8 else 1 for u in uniforms()[:, 0]]
    assert logprobs.tolist() == pytest.approx(np.log([0.5, 0.3, 0.2])[tokens], abs=1e-6)  # the whole policy's


@pytest.mark.parametrize(("top_p", "kept"), [(0.49, 1), (0.51, 2), (0.79, 2), (0.81, 3)])
def test_top_p_leaves_the_fewest_tokens_that_hold_its_share(top_p, kept):
    left = most_likely(LOGITS[:1], None, top_p)
    assert left.isfinite().tolist() == [[True] * kept + [False] * (3 - kept)]
    assert torch.equal(left[0, :kept], LOGITS[0, :kept])
    assert max(sampler(top_p=top_p).draw(LOGITS, ROWS, 0).tokens.tolist()) == kept - 1


def test_top_p_is_a_share_of_what_top_k_left():
    # Of the two most likely tokens the first holds 5/8.
    assert most_likely(LOGITS[:1], 2, 0.62).isfinite().tolist() == [[True, False, False]]
    assert most_likely(LOGITS[:1], 2, 0.63).isfinite().tolist() == [[True, True, False]]


def test_no_bound_leaves_everything():
    assert most_likely(LOGITS, None, None) is LOGITS
    assert torch.equal(most_likely(LOGITS, 99, None), LOGITS)


def test_as_many_are_left_as_top_k_says_where_all_are_alike():
    assert most_likely(torch.zeros(2, 9), 4, None).isfinite().sum(dim=-1).tolist() == [4, 4]


def test_the_bounds_apply_to_what_min_new_tokens_has_left():
    drawn = sampler(stop_ids=[0], min_new_tokens=1, top_k=1)
    assert drawn.draw(LOGITS, ROWS, 0).tokens.tolist() == [1] * 32
    assert drawn.draw(LOGITS, ROWS, 1).tokens.tolist() == [0] * 32


def test_the_bounds_change_no_entropy():
    whole, bounded = (sampler(**bounds).draw(LOGITS, ROWS, 0).entropies for bounds in ({}, {"top_k": 2, "top_p": 0.6}))
    assert torch.equal(whole, bounded)


def test_a_token_of_no_probability_is_never_drawn():
    logits = torch.tensor([[-torch.inf, 0.0, -torch.inf]]).repeat(len(SEEDS), 1)
    tokens = sampler().draw(logits, ROWS, 0).tokens
    assert tokens.tolist() == [1] * 32


def test_not_even_by_the_number_zero():
    drawn = sampler()
    drawn._uniform.zero_()
    logits = torch.tensor([[-torch.inf, 0.0, 0.0]]).repeat(len(SEEDS), 1)
    assert drawn.draw(logits, ROWS, 0)[0].tolist() == [1] * 32


@pytest.mark.parametrize("sampling", [{"temperature": 0.0}, {}, {"top_k": 2}, {"top_p": 0.5}])
def test_logits_that_are_not_numbers_give_some_token(sampling):
    tokens, logprobs, _ = sampler(**sampling).draw(torch.full((32, 3), torch.nan), ROWS, 0)
    assert all(0 <= token < 3 for token in tokens.tolist())
    assert logprobs.isnan().all()


def test_stop_tokens_end_their_rows():
    written = Written(3, Sampling(max_new_tokens=4), [2, 0], CPU)
    drawn = Drawn(tokens=torch.tensor([0, 1, 2]), logprobs=torch.zeros(3), entropies=torch.zeros(3))
    written.append(torch.arange(3), 0, drawn)
    assert written.stopped.tolist() == [True, False, True]


def test_what_ends_a_row_is_told_its_tokens_with_those_it_begins_with():
    told = []
    sampling = Sampling(max_new_tokens=4, ends=lambda ids: told.append(list(ids)) or ids[-1] == 8)
    written = Written(2, sampling, [], CPU)
    written.begin(0, Request(prompt_ids=[1, 5, 6], seeds=[0], begun=2))
    written.begin(1, Request(prompt_ids=[1, 5, 6], seeds=[0]))
    zeros = torch.zeros(2)
    rows = torch.arange(2)
    written.append(rows, 0, Drawn(torch.tensor([7, 8]), zeros, zeros))
    assert written.over(rows).tolist() == [False, True]
    written.append(rows[:1], 1, Drawn(torch.tensor([8]), zeros[:1], zeros[:1]))
    assert written.over(rows).tolist() == [True, True]
    assert told == [[5, 6, 7], [8], [5, 6, 7, 8]]
    reasons = [completion.stop_reason for completion in written.completions([0, 1], [[1], [1]])]
    assert reasons == [StopReason.STOP, StopReason.STOP]


def test_what_a_row_begins_with_counts_among_the_tokens_it_may_write():
    written = Written(2, Sampling(max_new_tokens=4), [], CPU)
    written.begin(0, Request(prompt_ids=[1, 5, 6], seeds=[0], begun=2))
    rows, zeros = torch.arange(2), torch.zeros(2)
    over = []
    for position in range(4):
        written.append(rows, position, Drawn(torch.tensor([7, 7]), zeros, zeros))
        over.append(written.over(rows).tolist())
    assert over == [[False, False], [True, False], [True, False], [True, True]]


def test_prompts_are_padded_on_the_left():
    ids, mask = pad_left([[5, 6], [7, 8, 9]], 0, CPU)
    assert ids.tolist() == [[0, 5, 6], [7, 8, 9]]
    assert mask.tolist() == [[0, 1, 1], [1, 1, 1]]


def test_prompts_of_one_length_need_no_mask():
    assert pad_left([[5, 6], [7, 8]], 0, CPU)[1] is None


def test_requests_are_decoded_in_parts_of_like_length_and_told_of_once():
    lengths = [3, 1, 2, 1]
    requests = [Request(prompt_ids=[n] * n, seeds=[10 * n, 10 * n + 1]) for n in lengths]
    parts = []

    def echo(part):
        parts.append([len(request.prompt_ids) for request in part])
        return [
            Completion(prompt_ids=request.prompt_ids, token_ids=[seed], logprobs=[0.0], stop_reason=StopReason.LENGTH)
            for request in part
            for seed in request.seeds
        ]

    told = []
    decode_in_parts(requests, 4, echo, lambda index, group: told.append((index, [c.token_ids for c in group])))
    assert parts == [[1, 1], [2, 3]]
    assert told == [(index, [[10 * lengths[index]], [10 * lengths[index] + 1]]) for index in (1, 3, 2, 0)]


def test_a_request_of_more_completions_than_the_batch_size_is_decoded_alone():
    sizes = []

    def count(part):
        sizes.append([len(request.seeds) for request in part])
        return [None] * sum(sizes[-1])

    decode_in_parts([Request(prompt_ids=[1], seeds=list(range(n))) for n in (1, 5, 1)], 3, count, lambda *_: None)
    assert sizes == [[1], [5], [1]]


@pytest.mark.parametrize("size", [3, 49, 256, 257, 1000, 4096])
def test_the_first_token_whose_cumulated_share_exceeds_a_part(size: int) -> None:
    """Against the definition in numpy, where no part is within rounding of a step."""
    rng = np.random.default_rng(size)
    shares = (rng.random((64, size)) * (rng.random((64, size)) < 0.5)).astype(np.float32)
    shares[:, 0], shares[:, -1] = 0.5, 0.0
    uniform = rng.random(64)
    cumulated = shares.astype(np.float64).cumsum(axis=1)
    threshold = uniform[:, None] * cumulated[:, -1:]
    found = inverse(torch.from_numpy(shares), torch.from_numpy(uniform)).numpy()
    clear = np.abs(cumulated - threshold).min(axis=1) > 1e-4 * cumulated[:, -1]
    assert clear.sum() > (10 if size < 4096 else 0)
    assert (found == (cumulated > threshold).argmax(axis=1))[clear].all()
    assert (shares[np.arange(64), found] > 0).all()


@pytest.mark.parametrize("size", [7, 300, 1024])
def test_a_token_without_a_share_is_never_drawn(size: int) -> None:
    """At both ends of the interval, and with blocks of nothing at both ends of the vocabulary."""
    shares = torch.zeros(2, size)
    shares[:, size // 2] = 0.3
    found = inverse(shares, torch.tensor([0.0, np.nextafter(1.0, 0.0)], dtype=torch.float64))
    assert found.tolist() == [size // 2] * 2


def test_shares_that_are_no_numbers_give_a_token_that_exists() -> None:
    shares = torch.full((1, 300), torch.nan)
    assert 0 <= inverse(shares, torch.tensor([0.5], dtype=torch.float64)).item() < 300
