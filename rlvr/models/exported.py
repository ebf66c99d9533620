"""A trained model as a directory to be given away: any type of numbers, an end that generation stops at, no traces of training."""

from pathlib import Path
from typing import Literal

import torch
from transformers import GenerationConfig

from rlvr.config import PromptConfig
from rlvr.errors import RlvrError
from rlvr.models.gguf_file import check_gguf, write_gguf
from rlvr.models.pretrained import load_model, save_model

DType = Literal["float32", "bfloat16", "float16"]
DTYPES: dict[DType, torch.dtype] = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def export_model(checkpoint: Path, prompt: PromptConfig, folder: Path, dtype: DType, *, gguf: bool) -> None:
    """Write the model of a checkpoint into a folder, weights cast to a type, tokenizer with its chat template.

    prompt: how questions were put to it, from which the tokens follow that end an answer. gguf: write model.gguf beside them.
    RlvrError if the checkpoint cannot be loaded, its weights do not fit the type, or there is no GGUF of such a model.
    """
    model, codec = load_model(str(checkpoint), prompt, torch.device("cpu"))
    if gguf:
        check_gguf(model, codec.tokenizer)
    model.to(DTYPES[dtype])  # type: ignore[arg-type]
    if not all(bool(parameter.isfinite().all()) for parameter in model.parameters()):
        raise RlvrError("--dtype", "has no numbers as large as some weights", got=dtype, allowed="float32, bfloat16")
    generation = model.generation_config or GenerationConfig()
    generation.eos_token_id, generation.pad_token_id = codec.stop_ids, codec.pad_id
    model.generation_config = generation
    save_model(model, codec.tokenizer, folder)
    if gguf:
        write_gguf(model, codec, folder / "model.gguf", dtype)
