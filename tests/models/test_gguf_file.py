"""A GGUF file that we write is, read back, the same model with the same tokens."""

import pytest
import torch
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from rlvr.config import PromptConfig, TokenizerConfig
from rlvr.errors import RlvrError
from rlvr.models.gguf_file import check_gguf, write_gguf
from rlvr.models.pretrained import load_model
from rlvr.models.tokenizer import build_tokenizer, make_codec

CPU = torch.device("cpu")
TEXTS = ["What is nine plus twelve? It is 21, surely.", "Words and 1 number; don't stop."] * 40
BYTES = build_tokenizer(TokenizerConfig(kind="bpe", vocab_size=320), TEXTS, max_length=64)
SHAPE = {
    "hidden_size": 64,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}
MODELS = {
    "llama": lambda n: LlamaForCausalLM(LlamaConfig(vocab_size=n, tie_word_embeddings=False, rope_theta=5e4, **SHAPE)),
    "tied llama": lambda n: LlamaForCausalLM(LlamaConfig(vocab_size=n, tie_word_embeddings=True, **SHAPE)),
    "qwen2": lambda n: Qwen2ForCausalLM(Qwen2Config(vocab_size=n, **SHAPE)),
    "qwen3": lambda n: Qwen3ForCausalLM(Qwen3Config(vocab_size=n, head_dim=128, **SHAPE)),
}  # fmt: skip


def build(name, size):
    torch.manual_seed(0)
    model = MODELS[name](size).eval()
    for parameter_name, parameter in model.named_parameters():
        if parameter_name.endswith("bias"):
            torch.nn.init.normal_(parameter)
    return model


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("name", MODELS)
@torch.no_grad()
def test_read_back_it_says_the_same(name, dtype, tmp_path):
    model = build(name, len(BYTES) + 5)  # some rows have no token, as in models that are padded
    for parameter in model.parameters():  # so that casting is exact
        parameter.copy_(parameter.to(getattr(torch, dtype)))
    write_gguf(model, make_codec(BYTES, PromptConfig()), tmp_path / "model.gguf", dtype)
    again, codec = load_model(str(tmp_path / "model.gguf"), PromptConfig(), CPU)
    assert type(again) is type(model)
    ids = torch.arange(20)[None]
    assert (again(ids).logits - model(ids).logits).abs().max() < 1e-5
    mine, theirs = (each(TEXTS[0], add_special_tokens=False)["input_ids"] for each in (BYTES, codec.tokenizer))
    if "llama" in name:  # for the others transformers takes the cutting of Qwen's tokenizer, whatever the file says
        assert theirs == mine
        assert codec.stop_ids[0] == BYTES.eos_token_id


def test_what_llama_cpp_would_not_read_as_it_is_is_refused():
    words = build_tokenizer(TokenizerConfig(), ["0 1 2 ="], max_length=64)
    scaled = build("llama", 320)
    scaled.config.rope_parameters = {"rope_type": "yarn", "rope_theta": 1e4, "factor": 2.0}
    other = GPT2LMHeadModel(GPT2Config(vocab_size=320, n_embd=8, n_layer=1, n_head=2))
    for model, tokenizer, message in (
        (build("llama", 320), words, "its tokenizer has no byte pairs"),
        (scaled, BYTES, r"its rotary embedding \(yarn\) is scaled"),
        (other, BYTES, "GPT2LMHeadModel is not of the Llama family"),
    ):
        with pytest.raises(RlvrError, match=message):
            check_gguf(model, tokenizer)
