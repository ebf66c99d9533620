"""An adapter beside a model's weights: merged where plain weights are wanted, absent where the first model is."""

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from rlvr.config import LoraConfig, TokenizerConfig
from rlvr.errors import RlvrError
from rlvr.models.adapter import add_adapter, without_adapter
from rlvr.models.pretrained import restore_weights, save_model
from rlvr.models.tokenizer import build_tokenizer
from rlvr.models.weights import copy_weights, using
from rlvr.rollout import NativeEngine
from rlvr.teacher_forcing import largest_gap, logprobs_of
from rlvr.types import Request, Sampling

TOKENIZER = build_tokenizer(TokenizerConfig(), ["0 1 2 3 4 ="], max_length=64)
FAMILIES = {
    "llama": (LlamaConfig, LlamaForCausalLM, {"tie_word_embeddings": True}),
    "qwen2": (Qwen2Config, Qwen2ForCausalLM, {"tie_word_embeddings": False}),  # with biases
    "qwen3": (Qwen3Config, Qwen3ForCausalLM, {"tie_word_embeddings": True, "head_dim": 16}),
}
IDS = torch.tensor([[1, 6, 7, 8, 5, 6]])


def build(family="llama", seed=0):
    config, model, more = FAMILIES[family]
    shape = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    torch.manual_seed(seed)
    built = model(config(vocab_size=len(TOKENIZER), num_key_value_heads=2, max_position_embeddings=64, **shape, **more))
    for name, parameter in built.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(parameter)
    return built.eval()


def adapted(family="llama", *, trained=True, **settings):
    """A model with an adapter that is not zero, as after training."""
    model = build(family)
    add_adapter(model, LoraConfig(rank=4, **settings), base="owner/name", seed=0)
    if trained:
        draw = torch.Generator().manual_seed(1)
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.data.copy_(0.3 * torch.randn(parameter.shape, generator=draw))
    return model


@pytest.mark.parametrize("family", FAMILIES)
def test_the_native_engine_samples_with_the_adapter(family):
    model = adapted(family)
    engine = NativeEngine(model, stop_ids=[2], pad_id=0, batch_size=8)
    told = {}
    requests = [Request(prompt_ids=ids, seeds=[3, 4]) for ids in ([1, 6], [1, 7, 8, 9])]
    engine.generate(requests, Sampling(max_new_tokens=9, temperature=0.7), told.__setitem__)
    completions = [completion for index in range(2) for completion in told[index]]
    sampled = [completion.logprobs for completion in completions]
    found = logprobs_of(model, completions, temperature=0.7, budget=20, pad_id=0)
    assert largest_gap(found, sampled) < 1e-4
    with without_adapter(model):
        others = logprobs_of(model, completions, temperature=0.7, budget=20, pad_id=0)
    assert largest_gap(others, sampled) > 0.1


@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_what_is_saved_loads_unchanged_and_says_the_same_and_so_does_peft_with_the_first_model(family, tmp_path):
    from peft import PeftModel

    model = adapted(family)
    own = model(IDS).logits
    save_model(model, TOKENIZER, tmp_path)
    merged = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert type(merged) is type(model)
    assert (merged(IDS).logits - own).abs().max() < 1e-4
    assert (build(family)(IDS).logits - own).abs().max() > 0.1
    beside = PeftModel.from_pretrained(build(family), str(tmp_path / "adapter"))
    assert torch.equal(beside(IDS).logits, own)


@torch.no_grad()
def test_without_it_a_model_is_bit_by_bit_the_first_one_and_so_it_is_before_training():
    first = build()(IDS).logits
    assert torch.equal(adapted(trained=False)(IDS).logits, first)
    model = adapted()
    own = model(IDS).logits
    with without_adapter(model):
        assert torch.equal(model(IDS).logits, first)
    assert torch.equal(model(IDS).logits, own)


def test_a_copy_of_what_is_trained_is_a_copy_of_the_adapter_alone():
    model = adapted()
    own, copy = model(IDS).logits, copy_weights(model)
    assert all("lora_" in name for name in copy)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data.add_(1.0)
    with using(model, copy):
        assert torch.equal(model(IDS).logits, own)


def test_a_checkpoint_is_read_back_into_the_same_model_bit_by_bit_and_into_no_other(tmp_path):
    model = adapted(targets=["q_proj", "up_proj"])
    save_model(model, TOKENIZER, tmp_path)
    again = adapted(trained=False, targets=["q_proj", "up_proj"])
    restore_weights(again, tmp_path)
    mine, theirs = model.state_dict(), again.state_dict()
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)
    again.model.layers[0].mlp.gate_proj.weight.data[0, 0] += 0.01
    with pytest.raises(RlvrError, match="its adapter was trained on other weights"):
        restore_weights(again, tmp_path)
    with pytest.raises(RlvrError, match="is another model's adapter"):
        restore_weights(adapted(trained=False), tmp_path)


def test_a_wrong_target_is_one_line_with_the_names_of_the_linear_layers():
    with pytest.raises(RlvrError, match=r"lora.targets: .* got 'query'; allowed: down_proj, gate_proj, k_proj, o_proj"):
        adapted(targets=["q_proj", "query"])
    with pytest.raises(RlvrError, match=r"lora.targets: .* got 'lm_head'"):
        adapted(targets=["lm_head"])
