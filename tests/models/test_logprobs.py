"""The log-probability of each trained token."""

from types import MethodType

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    CohereConfig,
    Gemma2Config,
    GPT2Config,
    LlamaConfig,
    MistralConfig,
    Qwen2Config,
    Qwen3Config,
    Qwen3MoeConfig,
)

from rlvr.config import ModelConfig, TokenizerConfig
from rlvr.data.batching import collate
from rlvr.models import logprobs as module
from rlvr.models.logprobs import distributions, token_logprobs
from rlvr.models.scratch import build_model
from rlvr.models.tokenizer import build_tokenizer
from rlvr.types import Sample

CPU = torch.device("cpu")
TOKENIZER = build_tokenizer(TokenizerConfig(), ["0 1 2 3 4 ="], max_length=32)
MODEL = build_model(ModelConfig(layers=2, width=16, heads=2), TOKENIZER, seed=0, device=CPU)

# Prompts of 4 and 3 tokens; the second row is padded by 2.
LONG = Sample(token_ids=[1, 6, 7, 8, 9, 10, 2], loss_mask=[False] * 4 + [True] * 3)
SHORT = Sample(token_ids=[1, 8, 11, 6, 2], loss_mask=[False] * 3 + [True] * 2)


def plain_distributions(sample, temperature=1.0):
    """log_softmax (N, V) of a plain forward pass of one row, at the places that predict its trained tokens."""
    logits = MODEL(torch.tensor([sample.token_ids])).logits[0]
    places = [place - 1 for place, trained in enumerate(sample.loss_mask) if trained]
    return torch.log_softmax(logits[places] / temperature, dim=-1)


def plain_logprobs(sample, temperature=1.0):
    trained = [token for token, trained in zip(sample.token_ids, sample.loss_mask, strict=True) if trained]
    return plain_distributions(sample, temperature)[range(len(trained)), trained]


def test_logprobs_are_those_of_a_plain_forward_pass_row_after_row():
    logprobs, _ = token_logprobs(MODEL, collate([LONG, SHORT], 0, CPU))
    expected = torch.cat([plain_logprobs(LONG), plain_logprobs(SHORT)])
    torch.testing.assert_close(logprobs, expected, atol=1e-5, rtol=0)


def test_logits_are_divided_by_the_temperature():
    logprobs, _ = token_logprobs(MODEL, collate([LONG], 0, CPU), temperature=0.5)
    torch.testing.assert_close(logprobs, plain_logprobs(LONG, temperature=0.5), atol=1e-5, rtol=0)


def test_entropy_is_that_of_the_distribution_at_the_temperature():
    _, entropy = token_logprobs(MODEL, collate([LONG], 0, CPU), temperature=2.0)
    distributions = plain_distributions(LONG, temperature=2.0)
    torch.testing.assert_close(entropy, -(distributions.exp() * distributions).sum(-1), atol=1e-5, rtol=0)


def test_a_document_trained_from_its_second_token_on():
    whole = Sample(token_ids=SHORT.token_ids, loss_mask=[False] + [True] * 4)
    logprobs, _ = token_logprobs(MODEL, collate([whole], 0, CPU))
    torch.testing.assert_close(logprobs, plain_logprobs(whole), atol=1e-5, rtol=0)


def test_logprobs_carry_gradients_and_entropy_does_not():
    logprobs, entropy = token_logprobs(MODEL, collate([LONG], 0, CPU))
    assert logprobs.requires_grad
    assert not entropy.requires_grad


# ------------------------------------------------------------------------------------------------ other architectures

SHAPE = {"vocab_size": 31, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4, "pad_token_id": 0}
LLAMA = {**SHAPE, "num_key_value_heads": 2, "head_dim": 4, "intermediate_size": 24, "max_position_embeddings": 64}
FAMILIES = {
    "llama": LlamaConfig(**LLAMA, tie_word_embeddings=True, attention_bias=True),
    "llama with scaled positions": LlamaConfig(
        **LLAMA,
        rope_parameters={
            "rope_type": "llama3", "rope_theta": 100.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
            "original_max_position_embeddings": 16,
        },
    ),
    "llama with changing positions": LlamaConfig(
        **LLAMA, rope_parameters={"rope_type": "dynamic", "rope_theta": 100.0, "factor": 4.0}
    ),
    "mistral": MistralConfig(**LLAMA, sliding_window=None),
    "mistral with a window": MistralConfig(**LLAMA, sliding_window=3),
    "qwen2": Qwen2Config(**LLAMA),
    "qwen3": Qwen3Config(**LLAMA),
    "qwen3 with experts": Qwen3MoeConfig(
        **LLAMA, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=12, norm_topk_prob=True,
        experts_implementation="eager",
    ),
    "gpt2": GPT2Config(vocab_size=31, n_embd=16, n_layer=2, n_head=2, n_positions=64),
    "gemma2": Gemma2Config(**LLAMA, sliding_window=64, query_pre_attn_scalar=4),
    "cohere": CohereConfig(
        **{key: value for key, value in LLAMA.items() if key != "head_dim"}, logit_scale=0.25
    ),
}  # fmt: skip
PLAIN_HEADS = [name for name in FAMILIES if name not in ("gemma2", "cohere")]


def norm_in_float64(norm, x):
    """transformers' RMS norms round to float32, by more than what is compared here."""
    return norm.weight * x * torch.rsqrt(x.square().mean(-1, keepdim=True) + norm.variance_epsilon)


def fresh(name):
    """A model of a family in float64, norms too, with weights large enough that caps and scales show."""
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(FAMILIES[name], dtype=torch.float64).eval()
    for part in model.modules():
        if hasattr(part, "variance_epsilon") and name != "cohere":
            part.forward = MethodType(norm_in_float64, part)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return model


def rows():
    """Two groups with prompts of 5 and 3 tokens, completions of 1 to 7; of one completion only two tokens are trained."""
    generator = torch.Generator().manual_seed(1)

    def ids(count):
        return torch.randint(3, 31, (count,), generator=generator).tolist()

    found = []
    for length in (5, 3):
        prompt = ids(length)
        for count in (1, 7, 4, 7):
            found.append(Sample(token_ids=prompt + ids(count), loss_mask=[False] * len(prompt) + [True] * count))
    found[1].loss_mask[5:9] = [False, True, False, True]
    return found


def weighted_gradient(model, logprobs, entropy):
    """The flat gradient of a sum with weights that differ from token to token."""
    weights = torch.linspace(-1, 2, len(logprobs), dtype=logprobs.dtype)
    (logprobs * weights + entropy * weights.flip(0)).sum().backward()
    found = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    gradient = torch.cat([grad.flatten() for grad in found])
    model.zero_grad()
    return gradient


def row_by_row(model, samples, temperature):
    """What is computed, from plain forward passes of one row each."""
    logprobs, entropies = [], []
    for sample in samples:
        ids, mask = torch.tensor(sample.token_ids), torch.tensor(sample.loss_mask)
        distributions = torch.log_softmax(model(ids[None]).logits[0, :-1][mask[1:]] / temperature, dim=-1)
        logprobs.append(distributions.gather(-1, ids[mask][:, None]).squeeze(-1))
        entropies.append(-(distributions.exp() * distributions).sum(-1))
    return torch.cat(logprobs), torch.cat(entropies)


@pytest.mark.parametrize("at_once", [2**24, 62], ids=["at once", "two tokens at once"])
@pytest.mark.parametrize("name", FAMILIES)
def test_every_architecture_is_read_as_row_by_row(name, at_once, monkeypatch):
    monkeypatch.setattr(module, "LOGITS_AT_ONCE", at_once)
    model, samples = fresh(name), rows()
    expected = row_by_row(model, samples, 0.7)
    wanted = weighted_gradient(model, *expected)
    for part in (samples, samples[::-1]):
        found = token_logprobs(model, collate(part, 0, CPU), 0.7, entropy_gradient=True)
        ours = weighted_gradient(model, *found) if part is samples else None
        for mine, theirs in zip(found, expected if part is samples else row_by_row(model, part, 0.7), strict=True):
            torch.testing.assert_close(mine, theirs, atol=1e-10, rtol=1e-10)
        if ours is not None:
            assert (ours - wanted).norm() < 1e-6 * wanted.norm()


@pytest.mark.parametrize("name", FAMILIES)
def test_a_head_that_does_more_than_multiply_is_found_out(name):
    assert module._has_plain_head(fresh(name)) == (name in PLAIN_HEADS)


@pytest.mark.parametrize("at_once", [1, 62, 2**24])
def test_the_gradient_by_chunks_is_that_of_finite_differences(at_once, monkeypatch):
    monkeypatch.setattr(module, "LOGITS_AT_ONCE", at_once)
    generator = torch.Generator().manual_seed(2)
    shapes = [(5, 4), (31, 4), (31,)]
    inputs = [torch.randn(s, generator=generator, dtype=torch.float64, requires_grad=True) for s in shapes]
    targets = torch.tensor([3, 0, 30, 7, 7])
    for bias in (inputs[2], None):
        assert torch.autograd.gradcheck(
            lambda hidden, weight, bias=bias: module._ByChunks.apply(hidden, weight, bias, targets, 0.7), inputs[:2]
        )


@pytest.mark.parametrize("name", FAMILIES)
def test_every_architecture_says_all_it_might_have_written(name):
    model, samples = fresh(name), rows()[:1]
    parts = list(distributions(model, collate(samples, 0, CPU), 0.7, rows=2))
    assert {len(part) for part in parts[:-1]} <= {2}
    found = torch.cat(parts)
    targets = torch.tensor(
        [t for t, trained in zip(samples[0].token_ids, samples[0].loss_mask, strict=True) if trained]
    )
    logprobs, entropy = row_by_row(model, samples, 0.7)
    torch.testing.assert_close(found.gather(-1, targets[:, None])[:, 0], logprobs.to(found), atol=1e-6, rtol=0)
    torch.testing.assert_close(-(found.exp() * found).sum(-1), entropy.to(found), atol=1e-5, rtol=0)


def test_no_more_logits_are_held_than_fit_at_once(monkeypatch):
    monkeypatch.setattr(module, "LOGITS_AT_ONCE", 62)
    sizes = []
    plain = module._logits
    monkeypatch.setattr(module, "_logits", lambda *given: sizes.append((out := plain(*given)).numel()) or out)
    model = fresh("llama")
    logprobs, _ = token_logprobs(model, collate(rows(), 0, CPU))
    logprobs.sum().backward()
    assert max(sizes) == 62
    assert sum(sizes) == 2 * 31 * len(logprobs)


def test_inside_autocast_logits_and_weights_stay_float32():
    model, batch = fresh("llama").float(), collate(rows(), 0, CPU)
    exact, _ = token_logprobs(model, batch)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logprobs, entropy = token_logprobs(model, batch)
    assert (logprobs.dtype, entropy.dtype) == (torch.float32, torch.float32)
    assert 0 < (logprobs - exact).abs().max() < 0.2
    logprobs.sum().backward()
    assert {parameter.grad.dtype for parameter in model.parameters()} == {torch.float32}
