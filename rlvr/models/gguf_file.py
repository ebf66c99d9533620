"""A model of the Llama family as one GGUF file, which llama.cpp runs (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md)."""

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import torch
from transformers import (
    LlamaForCausalLM,
    MistralForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Qwen2ForCausalLM,
    Qwen3ForCausalLM,
)

from rlvr.errors import MissingExtraError, RlvrError
from rlvr.models.tokenizer import Codec

ARCHITECTURES = {
    LlamaForCausalLM: "llama",
    MistralForCausalLM: "llama",
    Qwen2ForCausalLM: "qwen2",
    Qwen3ForCausalLM: "qwen3",
}
TYPES = {"float32": "F32", "float16": "F16", "bfloat16": "BF16"}
NORMAL, CONTROL, USER_DEFINED, UNUSED = 1, 3, 4, 5
"""GGUF's kinds of tokens."""

DIGITS = {"type": "Digits", "individual_digits": True}
QWEN2 = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
LLAMA3 = QWEN2.replace("|\\p{N}|", "|\\p{N}{1,3}|")
SPLITS = {QWEN2: "qwen2", LLAMA3: "llama-bpe"}
"""Patterns by which text is cut before byte pairs are merged, and what llama.cpp calls that."""


def check_gguf(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """RlvrError if a model cannot be written as a GGUF file here; MissingExtraError without the package for it."""
    if importlib.util.find_spec("gguf") is None:
        raise MissingExtraError("--gguf", "gguf", "gguf")
    name = type(model).__name__
    if type(model) not in ARCHITECTURES:
        raise _cannot(f"{name} is not of the Llama family")
    config: Any = model.config
    rope = (config.rope_parameters or {}).get("rope_type", "default")
    if rope != "default":
        raise _cannot(f"its rotary embedding ({rope}) is scaled")
    if ARCHITECTURES[type(model)] == "qwen3" and config.head_dim != 128:
        raise _cannot(
            f"Qwen3 with heads of {config.head_dim} numbers is not read back by transformers, which takes them for 128"
        )
    _cut(_tree(tokenizer))


def write_gguf(
    model: PreTrainedModel, codec: Codec, file: Path, dtype: Literal["float32", "bfloat16", "float16"]
) -> None:
    """Write weights, tokenizer and chat template. dtype: of the matrices; vectors are float32. Raises as ``check_gguf``."""
    check_gguf(model, codec.tokenizer)
    import gguf

    config: Any = model.config
    architecture = ARCHITECTURES[type(model)]
    kind = gguf.GGMLQuantizationType[TYPES[dtype]]
    writer = gguf.GGUFWriter(file, architecture)
    writer.add_file_type(gguf.LlamaFileType[{"F32": "ALL_F32"}.get(kind.name, f"MOSTLY_{kind.name}")])
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_vocab_size(config.vocab_size)
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    writer.add_rope_dimension_count(size)
    writer.add_key_length(size)
    writer.add_value_length(size)
    _add_tokenizer(writer, codec, config.vocab_size)
    for name, tensor in _tensors(model, architecture):
        numbers = tensor.float().cpu().contiguous().numpy()
        own = kind if tensor.dim() > 1 else gguf.GGMLQuantizationType.F32
        writer.add_tensor(name, gguf.quants.quantize(numbers, own), raw_dtype=own)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _tensors(model: PreTrainedModel, architecture: str) -> Iterator[tuple[str, torch.Tensor]]:
    """The parameters by GGUF's names. A head that is tied to the embeddings is left out: it is looked for there."""
    import gguf

    config: Any = model.config
    kinds = {name: kind for kind, name in gguf.MODEL_ARCH_NAMES.items()}
    names = gguf.get_tensor_name_map(kinds[architecture], config.num_hidden_layers)
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
    for name, parameter in model.named_parameters():
        found = names.get_name(name, try_suffixes=(".weight", ".bias"))
        if found is None:
            raise _cannot(f"GGUF has no name for its {name}")
        part = name.split(".")[-2]
        tensor = parameter.detach()
        if architecture == "llama" and part in heads:
            tensor = _interleaved(tensor, heads[part])
        yield found, tensor


def _interleaved(tensor: torch.Tensor, heads: int) -> torch.Tensor:
    """The rows (heads · D, …) of a projection of queries or keys with both halves of each head interleaved: llama.cpp rotates
    neighbours, where transformers rotates the halves of a head."""
    return tensor.view(heads, 2, -1, *tensor.shape[1:]).transpose(1, 2).reshape(tensor.shape)


def _add_tokenizer(writer: Any, codec: Codec, size: int) -> None:
    tokenizer, tree = codec.tokenizer, _tree(codec.tokenizer)
    by_id = {number: token for token, number in tokenizer.get_vocab().items()}
    added = {token["id"]: CONTROL if token["special"] else USER_DEFINED for token in tree["added_tokens"]}
    writer.add_tokenizer_model("gpt2")  # what GGUF calls byte pairs
    writer.add_tokenizer_pre(_cut(tree))
    writer.add_token_list([by_id.get(number, f"[PAD{number}]") for number in range(size)])
    writer.add_token_types([added.get(n, NORMAL if n in by_id else UNUSED) for n in range(size)])
    merges = tree["model"]["merges"]
    writer.add_token_merges([merge if isinstance(merge, str) else " ".join(merge) for merge in merges])
    for add, number in (
        (writer.add_bos_token_id, tokenizer.bos_token_id),
        (writer.add_eos_token_id, codec.stop_ids[0]),
        (writer.add_unk_token_id, tokenizer.unk_token_id),
        (writer.add_pad_token_id, codec.pad_id),
    ):
        if number is not None:
            add(number)
    writer.add_add_bos_token(tokenizer("a")["input_ids"][0] == tokenizer.bos_token_id)
    if isinstance(template := getattr(tokenizer, "chat_template", None), str):
        writer.add_chat_template(template)


def _tree(tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    """The tokenizer as its tokenizer.json has it."""
    backend: Any = getattr(tokenizer, "backend_tokenizer", None)
    return json.loads(backend.to_str()) if backend is not None else {}


def _cut(tree: dict[str, Any]) -> str:
    """llama.cpp's name of how a tokenizer cuts text before it merges byte pairs. RlvrError if it has none that we know."""
    if tree.get("model", {}).get("type") != "BPE":
        raise _cannot("its tokenizer has no byte pairs")
    before = tree["pre_tokenizer"] or {}
    steps = before.get("pretokenizers", [before])
    last = steps[-1]
    if last.get("type") == "ByteLevel" and not last["add_prefix_space"]:
        if len(steps) == 1 and last["use_regex"]:
            return "gpt-2"
        if len(steps) == 2 and last["use_regex"] and steps[0] == DIGITS:
            return "smollm"
        pattern = steps[0].get("pattern", {}).get("Regex")
        if len(steps) == 2 and not last["use_regex"] and pattern in SPLITS:
            return SPLITS[pattern]
    raise _cannot("its tokenizer cuts text in a way that llama.cpp has no name for that we know")


def _cannot(why: str) -> RlvrError:
    return RlvrError("--gguf", f"the model cannot be written as a GGUF file: {why}", remedy="leave out --gguf")
