"""Loading and saving models as plain Hugging Face directories: safetensors only, no remote code."""

import importlib.util
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import (
    CONFIG_MAPPING,
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging as transformers_logging

from rlvr.config import AttentionName, PromptConfig
from rlvr.errors import MissingExtraError, RlvrError, out_of_memory
from rlvr.models.adapter import ADAPTER, has_adapter, load_adapter, merged_state, same_but_rounding, save_adapter
from rlvr.models.location import ModelLocation, count_parameters, locate, object_in
from rlvr.models.tokenizer import Codec, make_codec
from rlvr.models.vetting import vet
from rlvr.models.weights import not_finite
from rlvr.runtime.foreign import Foreign

transformers_logging.disable_progress_bar()
transformers_logging.set_verbosity_error()


def load_model(
    name: str, prompt: PromptConfig, device: torch.device, attention: AttentionName | None = None
) -> tuple[PreTrainedModel, Codec]:
    """The causal language model that ``model:`` names, in float32 on a device with dropout off, and its codec.

    Dropout stays off in every stage: the sampler and the trainer must be the same policy.
    attention: how transformers computes the model's; None leaves it to transformers.
    Raises RlvrError if there is no model of a kind that transformers knows, or one with weights that are not finite.
    """
    location = locate(name)
    if location is None:
        raise RlvrError(
            "model", "no such file or directory", got=name, remedy="run the stage that makes it, or mend the path"
        )
    options: dict[str, str] = {"gguf_file": location.file} if location.file else {}
    if attention is not None:
        _check_attention(attention, device)
        options["attn_implementation"] = attention
    if location.kind == "gguf":
        _need_gguf()
    model, tokenizer = _load(location, options)
    if (broken := not_finite(model)) is not None:
        raise RlvrError(
            "model", f"its weights {broken} hold numbers that are not finite", got=name, remedy="choose another model"
        )
    generation = model.generation_config.eos_token_id if model.generation_config is not None else None
    stops = generation if isinstance(generation, list) else [generation]
    model.to(device)  # type: ignore[arg-type]
    model.eval()
    return model, make_codec(tokenizer, prompt, [i for i in stops if i is not None])


def _check_attention(attention: AttentionName, device: torch.device) -> None:
    """RlvrError if this machine has not what an attention needs; transformers would fetch it."""
    if attention == "flash_attention_2" and (device.type != "cuda" or importlib.util.find_spec("flash_attn") is None):
        raise RlvrError(
            "attention", "needs a CUDA device and the package flash-attn", got=attention, allowed="sdpa, eager"
        )


def _load(location: ModelLocation, options: dict[str, Any]) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    options = {**options, "local_files_only": location.kind != "hub"}
    if location.kind == "directory":
        _check_room(location)
    model = _weights(location.path, options)
    tokenizer: Any = None
    with Foreign() as call:
        given = {key: value for key, value in options.items() if key != "attn_implementation"}
        tokenizer = AutoTokenizer.from_pretrained(location.path, trust_remote_code=False, **given)
    if call.error is not None:
        raise _cannot_be_loaded(location.path, call.error) from call.error
    if location.kind == "gguf":
        model = _dequantized(model)
        _take_special_tokens(tokenizer, model)
    return model, tokenizer


def _check_room(location: ModelLocation) -> None:
    """RlvrError if a directory's config.json describes no model that transformers knows, or a larger one than its weights
    are: it would be built before that is seen."""
    path, stored = location.path, count_parameters(location)
    kind = (object_in(Path(path) / "config.json") or {}).get("model_type")
    if not isinstance(kind, str) or kind not in CONFIG_MAPPING:
        raise RlvrError(
            "model",
            "cannot be loaded: its config.json has a model_type that transformers does not know",
            got=kind,
            remedy="code that comes with a model is never run",
        )
    described: torch.nn.Module | None = None
    with Foreign() as call, torch.device("meta"):
        config = AutoConfig.from_pretrained(path, trust_remote_code=False, local_files_only=True)
        described = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    if described is None:
        assert call.error is not None
        raise _cannot_be_loaded(path, call.error) from call.error
    needed = sum(parameter.numel() for parameter in described.parameters())
    if stored is not None and needed > stored:
        what = f"its config.json describes {needed} parameters, and its weights are {stored}"
        raise RlvrError("model", f"cannot be loaded: its weights do not fit its config.json ({what})", got=path)


def _weights(path: str, options: dict[str, Any]) -> PreTrainedModel:
    """The model in a directory, float32. RlvrError unless every weight is there and has its shape: transformers would
    fill in random ones."""
    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            path,
            dtype=torch.float32,
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # so that they are reported, and refused below
            **options,
        )
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise _cannot_be_loaded(path, error) from error
    model: PreTrainedModel = loaded[0]
    if has_adapter(model):  # a name on the hub may be that of an adapter
        raise RlvrError("model", "is an adapter", got=path, remedy="merge it into its model and save that")
    for trouble in ("missing_keys", "mismatched_keys"):
        if wrong := sorted(str(key) for key in loaded[1][trouble]):
            what = f"cannot be loaded: its weights do not fit its config.json ({trouble}: {wrong[0]})"
            raise RlvrError("model", what, got=path)
    return model


def _cannot_be_loaded(path: str, error: Exception) -> RlvrError:
    lines = str(error).strip().splitlines()
    return RlvrError("model", f"cannot be loaded: {lines[0][:400] if lines else type(error).__name__}", got=path)


def _dequantized(model: PreTrainedModel) -> PreTrainedModel:
    """The same weights in a model whose configuration no longer says that they are quantized."""
    config = model.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    plain: PreTrainedModel = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    plain.load_state_dict(model.state_dict())
    return plain


def _take_special_tokens(tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel) -> None:
    """The end and padding tokens of the model's configuration: transformers reads a GGUF file's into that alone."""
    config = model.config
    for name, token_id in (("eos_token", config.eos_token_id), ("pad_token", config.pad_token_id)):
        if isinstance(token_id, int):
            setattr(tokenizer, name, tokenizer.convert_ids_to_tokens(token_id))
    tokenizer.clean_up_tokenization_spaces = False


def _need_gguf() -> None:
    for package in ("gguf", "accelerate"):
        if importlib.util.find_spec(package) is None:
            raise MissingExtraError("model", package, "gguf")


def save_model(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Write model.safetensors, config.json and the tokenizer, to be loaded anywhere by transformers.

    An adapter is merged into the weights, and written into a folder of its own beside them too.
    """
    if has_adapter(model):
        model.save_pretrained(folder, state_dict=merged_state(model))
        save_adapter(model, folder / ADAPTER)
    else:
        model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def restore_weights(model: PreTrainedModel, folder: Path) -> None:
    """Copy the weights of a checkpoint of ours into a model of the same shape, in place.

    Where the model has an adapter, that alone is copied: its other weights must be those that the checkpoint was made with.
    RlvrError if the folder holds what a model's may not, or the weights of another model.
    """
    vet(folder)
    weights = _weights(str(folder), {"local_files_only": True}).state_dict()
    if has_adapter(model):
        load_adapter(model, folder / ADAPTER)
        if not same_but_rounding(merged_state(model), weights):
            what = "its adapter was trained on other weights than those of the model that is loaded"
            raise RlvrError(str(folder), what, remedy="put that model back, or begin anew with --fresh")
        return
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        if out_of_memory(error) is not None:
            raise
        raise RlvrError(str(folder), "is of another model", remedy="begin anew with --fresh") from error
