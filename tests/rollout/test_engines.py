"""Both engines sample from the policy that is trained, and each completion depends on its seed alone."""

from dataclasses import replace
from functools import cache

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from rlvr.config import ModelConfig, TokenizerConfig
from rlvr.data.batching import collate
from rlvr.models.logprobs import token_logprobs
from rlvr.models.scratch import build_model
from rlvr.models.tokenizer import build_tokenizer
from rlvr.rollout import ENGINES
from rlvr.types import Request, Sample, Sampling, StopReason

CPU = torch.device("cpu")
MODELS = {
    "llama": ModelConfig(family="llama", layers=2, width=16, heads=4, kv_heads=2, tie_embeddings=False),
    "qwen3": ModelConfig(family="qwen3", layers=2, width=16, heads=2, tie_embeddings=False),
    "qwen3_moe": ModelConfig(family="qwen3_moe", layers=2, width=16, heads=2, experts=4, experts_per_token=2),
}
PAD, STOPS = 0, [2, 7]
PROMPTS = [[1, 6, 7, 8, 9], [1, 10], [1, 8, 8, 11], [1, 9], [1, 6, 7, 8, 9, 10, 11, 6]]
REQUESTS = [
    Request(prompt_ids=prompt, seeds=[100 * number + j for j in range(6)]) for number, prompt in enumerate(PROMPTS)
]
SAMPLING = Sampling(max_new_tokens=12, temperature=0.8)


def repeats(token_ids):
    """Ends a completion with the first token that it has written before."""
    return token_ids[-1] in token_ids[:-1]


SAMPLINGS = {
    "all tokens": SAMPLING,
    "top-k": replace(SAMPLING, top_k=3),
    "top-p": replace(SAMPLING, top_p=0.7),
    "top-k, top-p and an end": replace(SAMPLING, top_k=5, top_p=0.9, ends=repeats),
}

families = pytest.mark.parametrize("family", [*MODELS, "gpt2"])  # gpt2: positions that are not relative
samplings = pytest.mark.parametrize("sampling", SAMPLINGS.values(), ids=SAMPLINGS.keys())


@pytest.fixture(params=ENGINES)
def kind(request):
    return request.param


@cache
def model_of(family):
    if family == "gpt2":
        torch.manual_seed(0)
        shape = {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 32, "initializer_range": 0.25}
        return GPT2LMHeadModel(GPT2Config(vocab_size=12, bos_token_id=1, eos_token_id=2, **shape)).eval()
    tokenizer = build_tokenizer(TokenizerConfig(), ["0 1 2 3 4 ="], max_length=64)
    return build_model(MODELS[family], tokenizer, seed=0, device=CPU)


def generate(kind, requests=REQUESTS, sampling=SAMPLING, *, family="llama", stop_ids=STOPS, batch_size=64):
    engine = ENGINES[kind](model_of(family), stop_ids=stop_ids, pad_id=PAD, batch_size=batch_size)
    return all_of(engine, requests, sampling)


def all_of(engine, requests, sampling):
    """The completions of every request, in order; each request is told of once."""
    results = [None] * len(requests)

    def finished(index, completions):
        assert results[index] is None
        results[index] = list(completions)

    engine.generate(requests, sampling, finished)
    return results


def tokens(results):
    return [[completion.token_ids for completion in group] for group in results]


def flat(results):
    return [completion for group in results for completion in group]


def plain_greedy(model, prompt, max_new_tokens):
    """The most likely token, one full forward pass after the other, without a cache."""
    ids = list(prompt)
    for _ in range(max_new_tokens):
        ids.append(int(model(torch.tensor([ids])).logits[0, -1].argmax()))
        if ids[-1] in STOPS:
            break
    return ids[len(prompt) :]


def trainer_logprobs(model, completions, temperature):
    """Log-probabilities of all tokens of the completions, as training computes them."""
    samples = [
        Sample(token_ids=c.prompt_ids + c.token_ids, loss_mask=[False] * len(c.prompt_ids) + [True] * len(c.token_ids))
        for c in completions
    ]
    return token_logprobs(model, collate(samples, PAD, CPU), temperature)[0]


@families
def test_greedy_tokens_are_the_argmax_of_the_plain_model(kind, family):
    requests = [Request(prompt_ids=prompt, seeds=[0]) for prompt in PROMPTS]
    results = generate(kind, requests, Sampling(max_new_tokens=10, temperature=0.0), family=family)
    assert tokens(results) == [[plain_greedy(model_of(family), prompt, 10)] for prompt in PROMPTS]


@samplings
@families
def test_logprobs_are_those_of_the_trainers_forward_pass(kind, family, sampling):
    completions = flat(generate(kind, sampling=sampling, family=family))
    recorded = torch.tensor([value for completion in completions for value in completion.logprobs])
    trained = trainer_logprobs(model_of(family), completions, SAMPLING.temperature)
    torch.testing.assert_close(recorded, trained, atol=1e-4, rtol=0)


def test_logprobs_are_the_policys_own_where_stop_tokens_were_ruled_out(kind):
    completions = flat(generate(kind, sampling=Sampling(max_new_tokens=6, min_new_tokens=6)))
    recorded = torch.tensor([value for completion in completions for value in completion.logprobs])
    torch.testing.assert_close(recorded, trainer_logprobs(model_of("llama"), completions, 1.0), atol=1e-4, rtol=0)


@samplings
@families
def test_the_engines_write_the_same_tokens(family, sampling):
    native, hf = (generate(kind, sampling=sampling, family=family) for kind in ("native", "hf"))
    assert tokens(native) == tokens(hf)
    torch.testing.assert_close(
        torch.tensor([value for completion in flat(native) for value in completion.logprobs]),
        torch.tensor([value for completion in flat(hf) for value in completion.logprobs]),
        atol=1e-4,
        rtol=0,
    )


@samplings
@pytest.mark.parametrize("batch_size", [1, 7, 13])
def test_the_batch_size_changes_no_completion(kind, batch_size, sampling):
    assert tokens(generate(kind, sampling=sampling, batch_size=batch_size)) == tokens(generate(kind, sampling=sampling))


def test_the_order_of_the_requests_changes_no_completion(kind):
    assert tokens(generate(kind, REQUESTS[::-1])) == tokens(generate(kind))[::-1]


@samplings
def test_a_completion_alone_is_the_same_as_among_others(kind, sampling):
    """The same tokens; its log-probabilities differ by the rounding of products of another shape."""
    for request, group in zip(REQUESTS, generate(kind, sampling=sampling), strict=True):
        for seed, written in zip(request.seeds, group, strict=True):
            [[alone]] = generate(kind, [Request(prompt_ids=request.prompt_ids, seeds=[seed])], sampling)
            assert (alone.token_ids, alone.stop_reason) == (written.token_ids, written.stop_reason)
            assert alone.logprobs == pytest.approx(written.logprobs, abs=1e-5)


def test_the_same_seed_writes_the_same_and_another_seed_something_else(kind):
    [group] = tokens(generate(kind, [Request(prompt_ids=[1, 6, 7], seeds=[5, 6, 5])]))
    assert group[0] == group[2] != group[1]


def test_completions_keep_the_order_of_requests_and_their_prompts(kind):
    results = generate(kind)
    assert [[completion.prompt_ids for completion in group] for group in results] == [[p] * 6 for p in PROMPTS]


def test_a_stop_token_ends_a_row_and_is_its_last_token(kind):
    completions = flat(generate(kind))
    stopped = [completion for completion in completions if completion.stop_reason is StopReason.STOP]
    assert {completion.token_ids[-1] for completion in stopped} == set(STOPS)
    assert not any(token in STOPS for completion in completions for token in completion.token_ids[:-1])


def test_a_row_without_a_stop_token_is_as_long_as_allowed(kind):
    completions = flat(generate(kind))
    cut = [completion for completion in completions if completion.stop_reason is StopReason.LENGTH]
    assert cut
    assert all(len(completion.token_ids) == 12 and completion.token_ids[-1] not in STOPS for completion in cut)
    assert all(len(completion.logprobs) == len(completion.token_ids) for completion in completions)


def test_a_stop_token_as_the_last_allowed_token_counts_as_a_stop(kind):
    first = [completion.token_ids[0] for completion in flat(generate(kind))]
    completions = flat(generate(kind, sampling=Sampling(max_new_tokens=1, temperature=0.8)))
    assert [completion.token_ids for completion in completions] == [[token] for token in first]
    assert [completion.stop_reason is StopReason.STOP for completion in completions] == [t in STOPS for t in first]


@families
def test_a_row_ends_with_the_first_token_that_is_said_to_end_it(kind, family):
    """Up to there it is what it would have been without."""
    free = flat(generate(kind, family=family))
    ended = flat(generate(kind, sampling=replace(SAMPLING, ends=repeats), family=family))
    for whole, cut in zip(free, ended, strict=True):
        ids = whole.token_ids
        length = next((count for count in range(1, len(ids)) if repeats(ids[:count])), len(ids))
        assert cut.token_ids == ids[:length]
        assert cut.logprobs == pytest.approx(whole.logprobs[:length], abs=1e-5)
        said = repeats(cut.token_ids) or cut.token_ids[-1] in STOPS
        assert cut.stop_reason is (StopReason.STOP if said else StopReason.LENGTH)
    assert len({len(completion.token_ids) for completion in ended}) > 3


def test_nothing_ends_a_row_before_min_new_tokens(kind):
    held = Sampling(max_new_tokens=12, min_new_tokens=7, ends=lambda _: True)
    completions = flat(generate(kind, sampling=held))
    assert {len(completion.token_ids) for completion in completions} == {8}
    assert {completion.stop_reason for completion in completions} == {StopReason.STOP}


def test_a_completion_that_is_continued_ends_by_what_it_began_with_too(kind):
    """The same prompt's last three tokens are the completion's in one request and the prompt's in the other."""
    sampling = Sampling(max_new_tokens=5, min_new_tokens=4, ends=lambda ids: len(ids) == 5)
    requests = [Request(prompt_ids=[1, 6, 8, 9], seeds=[3], begun=begun) for begun in (3, 0)]
    completions = flat(generate(kind, requests, sampling))
    assert [len(completion.token_ids) for completion in completions] == [2, 5]
    assert {completion.stop_reason for completion in completions} == {StopReason.STOP}


def test_a_completion_that_is_continued_counts_what_it_began_with(kind):
    """Of 6 tokens, 4 are there already: 2 more, the same as are first written without them, together with others."""
    sampling = Sampling(max_new_tokens=6, min_new_tokens=6)
    requests = [Request(prompt_ids=[1, 6, 8, 9, 7], seeds=[3, 4], begun=begun) for begun in (4, 0, 1)]
    continued, whole, other = generate(kind, requests, sampling)
    assert [len(completion.token_ids) for completion in (*continued, *whole, *other)] == [2, 2, 6, 6, 5, 5]
    assert [each.token_ids for each in continued] == [each.token_ids[:2] for each in whole]
    assert {each.stop_reason for each in (*continued, *whole)} == {StopReason.LENGTH}


def test_the_greedy_token_is_the_same_however_few_are_left(kind):
    whole, bounded = (
        generate(kind, sampling=Sampling(max_new_tokens=8, temperature=0.0, **bounds))
        for bounds in ({}, {"top_k": 2, "top_p": 0.5})
    )
    assert tokens(whole) == tokens(bounded)


@families
def test_only_the_most_likely_tokens_are_drawn_in_their_own_proportion(kind, family):
    count, prompt = 3000, [1, 6, 8]
    requests = [Request(prompt_ids=prompt, seeds=list(range(count)))]
    [group] = generate(
        kind, requests, Sampling(max_new_tokens=1, temperature=0.7, top_k=3), family=family, batch_size=count
    )
    share = torch.softmax(model_of(family)(torch.tensor([prompt])).logits[0, -1] / 0.7, dim=-1)
    best = share.topk(3)
    drawn = torch.tensor([completion.token_ids[0] for completion in group])
    assert set(drawn.tolist()) == set(best.indices.tolist())
    for token, part in zip(best.indices, best.values / best.values.sum(), strict=True):
        assert abs(float((drawn == token).sum()) - count * part) <= 4 * (count * part * (1 - part)) ** 0.5


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_no_stop_token_is_written_before_min_new_tokens(kind, temperature):
    held = Sampling(max_new_tokens=12, temperature=temperature, min_new_tokens=5)
    completions = flat(generate(kind, sampling=held, stop_ids=[2, 6, 7, 8]))
    assert not any(token in [2, 6, 7, 8] for completion in completions for token in completion.token_ids[:5])


def test_the_first_token_after_min_new_tokens_may_be_a_stop_token(kind):
    completions = flat(generate(kind, sampling=Sampling(max_new_tokens=12, min_new_tokens=5), stop_ids=[2, 6, 7, 8]))
    assert min(len(completion.token_ids) for completion in completions) == 6


def test_nothing_is_asked_for(kind):
    assert generate(kind, []) == []


def test_tokens_are_drawn_as_often_as_the_model_says(kind):
    count, prompt = 4000, [1, 6, 7]
    sampling = Sampling(max_new_tokens=1, temperature=0.7)
    [group] = generate(kind, [Request(prompt_ids=prompt, seeds=list(range(count)))], sampling, batch_size=count)
    drawn = torch.bincount(torch.tensor([completion.token_ids[0] for completion in group]), minlength=12)
    share = torch.softmax(model_of("llama")(torch.tensor([prompt])).logits[0, -1] / 0.7, dim=-1)
    deviation = (count * share * (1 - share)).sqrt()
    assert ((drawn - count * share).abs() <= 4 * deviation).all()


def test_sampling_leaves_the_model_as_it_was(kind):
    model = model_of("llama")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    generation, state = model.generation_config.to_dict(), torch.random.get_rng_state()
    generate(kind)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert model.generation_config.to_dict() == generation
    assert torch.equal(torch.random.get_rng_state(), state)


def test_sampling_uses_the_weights_as_they_are_now(kind):
    model = build_model(
        MODELS["llama"],
        build_tokenizer(TokenizerConfig(), ["0 1 2 3 4 ="], max_length=64),
        seed=1,
        device=CPU,
    )
    engine = ENGINES[kind](model, stop_ids=STOPS, pad_id=PAD, batch_size=64)
    all_of(engine, REQUESTS, SAMPLING)
    model.load_state_dict(model_of("llama").state_dict())
    assert tokens(all_of(engine, REQUESTS, SAMPLING)) == tokens(generate(kind))
