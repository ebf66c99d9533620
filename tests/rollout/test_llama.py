"""Our decoder computes what transformers does, for every member of the family and whatever rows are beside each other."""

from functools import cache

import pytest
import torch
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from rlvr.data.batching import collate
from rlvr.errors import RlvrError
from rlvr.models.logprobs import token_logprobs
from rlvr.rollout import NativeEngine, continuous, native
from rlvr.rollout.cache import KeyValueCache
from rlvr.rollout.forward import ForwardDecoder
from rlvr.rollout.llama import obstacle
from rlvr.types import Request, Sample, Sampling

CPU = torch.device("cpu")
SHAPE = {
    "vocab_size": 40,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "initializer_range": 0.3,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 10000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
}
DYNAMIC = {"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 2.0}
MODELS = {
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**SHAPE)),
    "tied": lambda: LlamaForCausalLM(LlamaConfig(**SHAPE, tie_word_embeddings=True)),
    "all biases": lambda: LlamaForCausalLM(LlamaConfig(**SHAPE, attention_bias=True, mlp_bias=True)),
    "llama3 scaling": lambda: LlamaForCausalLM(LlamaConfig(**SHAPE, rope_parameters=LLAMA3)),
    "every head its own keys": lambda: LlamaForCausalLM(LlamaConfig(**SHAPE | {"num_key_value_heads": 4})),
    "wide heads": lambda: LlamaForCausalLM(LlamaConfig(**SHAPE, head_dim=16)),
    "qwen2": lambda: Qwen2ForCausalLM(Qwen2Config(**SHAPE)),
    "qwen3": lambda: Qwen3ForCausalLM(Qwen3Config(**SHAPE, head_dim=16)),
    "mistral": lambda: MistralForCausalLM(MistralConfig(**SHAPE)),
}
STOPS = [2, 7, 9]
PROMPTS = [[1, 3, 4, 5, 6, 8, 10, 11, 12], [1, 5], [1, 6, 30, 31, 32], [1], [1, 20, 21, 22, 23]]
REQUESTS = [Request(prompt_ids=ids, seeds=[10 * number + j for j in range(4)]) for number, ids in enumerate(PROMPTS)]
SAMPLING = Sampling(max_new_tokens=20, temperature=0.9)
BOUNDED = Sampling(max_new_tokens=20, temperature=0.9, top_k=12, top_p=0.9, ends=lambda ids: ids[-1] == ids[0] + 1)

models = pytest.mark.parametrize("name", MODELS)
samplings = pytest.mark.parametrize("sampling", [SAMPLING, BOUNDED], ids=["all tokens", "bounded"])


@cache
def model_of(name):
    torch.manual_seed(1)
    model = MODELS[name]().eval()
    for key, parameter in model.named_parameters():
        if key.endswith("bias") or "norm" in key:  # as made they are all 0 or all 1, and nobody would miss them
            parameter.data.add_(0.2 * torch.randn_like(parameter))
    return model


def generate(model, requests=REQUESTS, sampling=SAMPLING, *, batch_size=64, cache_gib=None):
    told = {}
    engine = NativeEngine(model, stop_ids=STOPS, pad_id=0, batch_size=batch_size, cache_gib=cache_gib)
    engine.generate(requests, sampling, told.__setitem__)
    return [completion for index in range(len(requests)) for completion in told[index]]


def tokens(completions):
    return [completion.token_ids for completion in completions]


def numbers(completions, field="logprobs"):
    return torch.tensor([value for completion in completions for value in getattr(completion, field)])


def trained(model, completions, temperature):
    """Log-probabilities and entropies as training computes them."""
    samples = [
        Sample(token_ids=c.prompt_ids + c.token_ids, loss_mask=[False] * len(c.prompt_ids) + [True] * len(c.token_ids))
        for c in completions
    ]
    return token_logprobs(model, collate(samples, 0, CPU), temperature)


@models
def test_it_is_our_decoder_that_runs(name):
    assert obstacle(model_of(name), 64) is None


@models
def test_greedy_tokens_are_the_argmax_of_the_plain_model(name):
    model = model_of(name)
    requests = [Request(prompt_ids=prompt, seeds=[0]) for prompt in PROMPTS]
    for request, completion in zip(
        requests, generate(model, requests, Sampling(max_new_tokens=20, temperature=0.0)), strict=True
    ):
        ids = list(request.prompt_ids)
        for token in completion.token_ids:
            assert token == int(model(torch.tensor([ids])).logits[0, -1].argmax())
            ids.append(token)


@models
@samplings
@pytest.mark.parametrize("batch_size", [64, 2])
def test_logprobs_and_entropies_are_those_of_the_trainers_forward_pass(name, batch_size, sampling):
    completions = generate(model_of(name), sampling=sampling, batch_size=batch_size)
    logprobs, entropies = trained(model_of(name), completions, SAMPLING.temperature)
    torch.testing.assert_close(numbers(completions), logprobs, atol=1e-4, rtol=0)
    torch.testing.assert_close(numbers(completions, "entropies"), entropies, atol=1e-4, rtol=0)


@models
@samplings
@pytest.mark.parametrize("batch_size", [1, 2, 7])
def test_refilled_places_change_no_completion(name, batch_size, sampling):
    free = generate(model_of(name), sampling=sampling)
    assert tokens(generate(model_of(name), sampling=sampling, batch_size=batch_size)) == tokens(free)


@models
@samplings
def test_a_row_beside_others_differs_from_itself_alone_by_rounding_only(name, sampling):
    """Prompts of all lengths. Not bit for bit: products of matrices of another height may add in another order."""
    together = generate(model_of(name), sampling=sampling)
    alone = [
        generate(model_of(name), [Request(prompt_ids=c.prompt_ids, seeds=[seed])], sampling)[0]
        for c, seed in zip(together, [seed for request in REQUESTS for seed in request.seeds], strict=True)
    ]
    assert tokens(alone) == tokens(together)
    torch.testing.assert_close(numbers(alone), numbers(together), atol=5e-5, rtol=0)


@pytest.mark.parametrize("dtype", ["autocast", "weights"])
def test_in_bfloat16_logprobs_are_near_the_trainers(dtype):
    """Two roundings to 8 bits apart, as two paths through transformers are too."""
    model = model_of("qwen3") if dtype == "autocast" else MODELS["qwen3"]().eval().to(torch.bfloat16)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == "autocast"):
        completions = generate(model)
        logprobs, _ = trained(model, completions, SAMPLING.temperature)
    gap = (numbers(completions) - logprobs).abs()
    assert gap.mean() < 0.05
    assert gap.max() < 0.5


def test_a_prompt_is_read_once_for_all_its_completions_though_they_are_admitted_one_by_one(monkeypatch):
    read = []
    original = continuous.LlamaDecoder.prefill

    def noted(self, ids, *rest):
        read.append(len(ids))
        return original(self, ids, *rest)

    monkeypatch.setattr(continuous.LlamaDecoder, "prefill", noted)
    for batch_size in (1, 2, 3, 64):
        read.clear()
        generate(model_of("llama"), batch_size=batch_size)
        assert sum(read) == len(PROMPTS)


def test_long_prompts_are_read_in_parts(monkeypatch):
    expected = tokens(generate(model_of("llama")))
    monkeypatch.setattr(continuous, "PREFILL_TOKENS", 6)
    assert tokens(generate(model_of("llama"))) == expected


def test_requests_are_told_of_as_soon_as_they_are_done():
    told = []
    short, long = Request(prompt_ids=[1, 5], seeds=list(range(30))), Request(prompt_ids=[1, 6, 7], seeds=[3])
    engine = NativeEngine(model_of("llama"), stop_ids=list(range(2, 40)), pad_id=0, batch_size=4)
    engine.generate([long, short], Sampling(max_new_tokens=4), lambda index, group: told.append((index, len(group))))
    assert sorted(told) == [(0, 1), (1, 30)]


def test_a_request_without_seeds_has_no_completions():
    told = {}
    engine = NativeEngine(model_of("llama"), stop_ids=STOPS, pad_id=0, batch_size=4)
    engine.generate([Request(prompt_ids=[1, 5], seeds=[])], SAMPLING, told.__setitem__)
    assert told == {0: []}


@pytest.mark.parametrize(
    ("build", "why"),
    [
        (lambda: MistralForCausalLM(MistralConfig(**SHAPE, sliding_window=8)), "slides over 8 of 29 positions"),
        (lambda: LlamaForCausalLM(LlamaConfig(**SHAPE, rope_parameters=DYNAMIC)), "dynamic"),
    ],
)
def test_what_our_decoder_cannot_do_is_left_to_transformers_and_said_once(build, why, monkeypatch, capsys):
    torch.manual_seed(0)
    model = build().eval()
    assert why in obstacle(model, 29)
    native._say_why_not.cache_clear()
    completions = generate(model)
    assert tokens(generate(model, batch_size=3)) == tokens(completions)
    assert " ".join(capsys.readouterr().err.split()).count(why) == 1
    torch.testing.assert_close(numbers(completions), trained(model, completions, 0.9)[0], atol=1e-4, rtol=0)


def test_a_layer_of_another_kind_is_left_to_transformers():
    model = MODELS["llama"]()
    model.model.layers[1].mlp.up_proj = torch.nn.Sequential(model.model.layers[1].mlp.up_proj)
    assert "not plain" in obstacle(model, 16)


@samplings
def test_both_decoders_write_the_same(sampling):
    for name in MODELS:
        forward = ForwardDecoder(model_of(name), stop_ids=STOPS, pad_id=0)
        with torch.inference_mode():
            assert tokens(forward.decode(REQUESTS, sampling)) == tokens(generate(model_of(name), sampling=sampling))


def slots_of(monkeypatch, **bounds):
    """How many rows the cache is made for, that of all threads together."""
    made = []

    class Noted(KeyValueCache):
        def __init__(self, config, slots, positions, dtype, device):
            made.append(slots)
            super().__init__(config, slots, positions, dtype, device)

    monkeypatch.setattr(native, "KeyValueCache", Noted)
    completions = generate(model_of("llama"), **bounds)
    return sum(made), tokens(completions)


def test_the_cache_bounds_the_rows_that_are_decoded_together(monkeypatch):
    # A row has 9 + 20 positions of 3 layers × 2 heads × 8 numbers × 4 bytes, as keys and as values: 11,136 bytes.
    free = tokens(generate(model_of("llama")))
    assert slots_of(monkeypatch, cache_gib=3.5 * 11_136 / 2**30) == (3, free)
    assert slots_of(monkeypatch, cache_gib=1.0) == (20, free)
    assert slots_of(monkeypatch, cache_gib=1.0, batch_size=5) == (5, free)


def test_a_cache_that_holds_no_row_is_an_error_with_the_numbers():
    with pytest.raises(RlvrError, match=r"rollout.cache_gib: .* one row of 29 positions takes 1.04e-05 GiB; got 1e-06"):
        generate(model_of("llama"), cache_gib=1e-6)
