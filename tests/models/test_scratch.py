"""Models from a few dials."""

import pytest
import torch
from transformers import AutoModelForCausalLM

from rlvr.config import ModelConfig, TokenizerConfig
from rlvr.models.pretrained import save_model
from rlvr.models.scratch import build_model
from rlvr.models.tokenizer import build_tokenizer
from rlvr.models.vocabulary import parameter_count

CPU = torch.device("cpu")
TOKENIZER = build_tokenizer(TokenizerConfig(), ["0 1 2 3 4 ="], max_length=32)
IDS = torch.tensor([[1, 6, 7, 8], [1, 9, 10, 11]])

MODELS = {
    "llama": ModelConfig(family="llama", layers=1, width=16, heads=2),
    "qwen3": ModelConfig(family="qwen3", layers=2, width=16, heads=4, kv_heads=2, tie_embeddings=False),
    "qwen3_moe": ModelConfig(family="qwen3_moe", layers=1, width=16, heads=2, experts=4, experts_per_token=2),
}
families = pytest.mark.parametrize("config", MODELS.values(), ids=MODELS)


def build(config, seed=0):
    return build_model(config, TOKENIZER, seed=seed, device=CPU)


@families
def test_a_family_is_built_with_the_vocabulary_of_its_tokenizer(config):
    model = build(config)
    assert model.config.model_type == config.family
    assert model(IDS).logits.shape == (2, 4, 12)
    assert model.dtype is torch.float32
    assert not model.training


@families
def test_the_number_of_parameters_is_the_one_foretold(config):
    model = build(config)
    assert sum(parameter.numel() for parameter in model.parameters()) == parameter_count(config, vocab_size=12)


@families
def test_the_same_seed_gives_the_same_weights(config):
    first, again, other = build(config).state_dict(), build(config).state_dict(), build(config, seed=1).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["model.embed_tokens.weight"], other["model.embed_tokens.weight"])


def test_building_a_model_leaves_the_global_generator_alone():
    before = torch.random.get_rng_state()
    build(MODELS["llama"])
    assert torch.equal(torch.random.get_rng_state(), before)


def test_weights_are_drawn_with_standard_deviation_width_to_the_minus_half():
    model = build(ModelConfig(layers=1, width=64, heads=2))
    assert model.model.layers[0].mlp.up_proj.weight.std().item() == pytest.approx(1 / 8, rel=0.02)


@pytest.mark.parametrize("tied", [True, False])
def test_embeddings_are_tied_as_asked(tied):
    model = build(ModelConfig(layers=1, width=16, heads=2, tie_embeddings=tied))
    assert (model.lm_head.weight is model.model.embed_tokens.weight) is tied


@families
def test_plain_transformers_loads_a_saved_model_with_the_same_logits(config, tmp_path):
    model = build(config)
    save_model(model, TOKENIZER, tmp_path)
    plain = AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    torch.testing.assert_close(plain(IDS).logits, model(IDS).logits, atol=1e-5, rtol=0)
