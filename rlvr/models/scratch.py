"""A model from scratch: a transformers configuration from a few dials."""

import torch
from transformers import (
    AutoModelForCausalLM,
    LlamaConfig,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Qwen3Config,
    Qwen3MoeConfig,
)

from rlvr.config import ModelConfig

CONFIGS: dict[str, type[PretrainedConfig]] = {"llama": LlamaConfig, "qwen3": Qwen3Config, "qwen3_moe": Qwen3MoeConfig}


def build_model(
    config: ModelConfig, tokenizer: PreTrainedTokenizerBase, *, seed: int, device: torch.device
) -> PreTrainedModel:
    """A freshly initialised causal language model in float32, the same for the same seed.

    Weights are drawn with standard deviation width^-1/2: at transformers' 0.02 a narrow model stays for hundreds of
    steps on the plateau before it learns to look back (docs/decisions.md).
    """
    shape = {
        "vocab_size": len(tokenizer),
        "hidden_size": config.width,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "num_key_value_heads": config.kv_heads or config.heads,
        "head_dim": config.width // config.heads,
        "max_position_embeddings": config.max_positions,
        "tie_word_embeddings": config.tie_embeddings,
        "initializer_range": config.width**-0.5,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    if config.experts is None:
        shape["intermediate_size"] = config.mlp_width or 4 * config.width
    else:
        shape["moe_intermediate_size"] = config.mlp_width or config.width
        shape["num_experts"] = config.experts
        shape["num_experts_per_tok"] = config.experts_per_token
        shape["norm_topk_prob"] = True
        shape["router_aux_loss_coef"] = 0.0
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model: PreTrainedModel = AutoModelForCausalLM.from_config(CONFIGS[config.family](**shape), dtype=torch.float32)
    model.to(device)  # type: ignore[arg-type]
    model.eval()
    return model
