"""Models of known shapes and random weights, bfloat16, for machines that cannot fetch the trained ones."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, PretrainedConfig, Qwen2Config, Qwen3Config

ROPE = {"rope_type": "default", "rope_theta": 1e6}

SHAPES: dict[str, Callable[[], PretrainedConfig]] = {
    # As their config.json has them: huggingface.co/Qwen/Qwen2.5-0.5B and huggingface.co/Qwen/Qwen3-1.7B.
    "qwen2.5-0.5b": lambda: Qwen2Config(
        vocab_size=151_936,
        hidden_size=896,
        intermediate_size=4864,
        num_hidden_layers=24,
        num_attention_heads=14,
        num_key_value_heads=2,
        max_position_embeddings=32_768,
        tie_word_embeddings=True,
        rope_parameters=ROPE,
        eos_token_id=151_643,
    ),
    "qwen3-1.7b": lambda: Qwen3Config(
        vocab_size=151_936,
        hidden_size=2048,
        intermediate_size=6144,
        num_hidden_layers=28,
        num_attention_heads=16,
        num_key_value_heads=8,
        head_dim=128,
        max_position_embeddings=40_960,
        tie_word_embeddings=True,
        rope_parameters=ROPE,
        eos_token_id=151_643,
    ),
}


def make_shaped(name: str, folder: Path, layers: int | None = None) -> str:
    """Write a model of a shape; with other layers than it has, for a trial. Returns the folder."""
    torch.manual_seed(0)
    config = SHAPES[name]()
    if layers is not None:
        config.num_hidden_layers = layers
        if hasattr(config, "layer_types"):
            config.layer_types = config.layer_types[:layers]
    model: Any = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    model.save_pretrained(folder)
    return str(folder)
