"""Hidden states of a batch's rows; for the Llama family as transformers defines it, each distinct token is computed once.

What is computed is transformers' own forward pass; what differs is which tokens stand beside each other, and what is kept
for the backward pass.
"""

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from transformers import LlamaModel, MistralModel, Qwen2Model, Qwen3Model, Qwen3MoeModel

from rlvr.models.fused import gated, normalised, rotated, spread
from rlvr.types import Layout

PACKED = (LlamaModel, MistralModel, Qwen2Model, Qwen3Model, Qwen3MoeModel)
"""Trunks in which tokens meet in attention only, and a token's position is all that is known of its place."""
CHANGING_ROPE = ("dynamic", "longrope")


def hidden_before(trunk: torch.nn.Module, layout: Layout) -> torch.Tensor:
    """The hidden state (N, W) of the token before each trained one, from a trunk with all its layers and the last norm."""
    if _packs(trunk, layout):
        return _packed(trunk, layout)
    parts = [trunk(input_ids=ids, use_cache=False).last_hidden_state.flatten(0, 1) for ids in block_ids(layout)]
    return torch.cat(parts)[layout.first[layout.before]]


def block_ids(layout: Layout) -> list[torch.Tensor]:
    """The token ids (rows, length) of every block. Padding needs no mask: it comes after all tokens that are used."""
    parts = torch.split(layout.ids[layout.read], [rows * length for rows, length in layout.blocks])
    return [part.view(block) for part, block in zip(parts, layout.blocks, strict=True)]


def _packs(trunk: Any, layout: Layout) -> bool:
    """Whether a trunk is known to be what ``_packed`` computes, at the lengths that there are."""
    if type(trunk) not in PACKED or trunk.rotary_emb.rope_type in CHANGING_ROPE:
        return False
    window = getattr(trunk.config, "sliding_window", None)
    return window is None or window >= max(length for _, length in layout.blocks)


def _packed(trunk: Any, layout: Layout) -> torch.Tensor:
    """What transformers' forward pass of the trunk computes, over its own modules, for each distinct token once."""
    hidden = trunk.embed_tokens(layout.ids)  # (T, W)
    cos, sin = (table[0, :, None] for table in trunk.rotary_emb(hidden[None], layout.positions[None]))  # (T, 1, D)
    for layer in trunk.layers:
        hidden = hidden + _attention(layer.self_attn, _norm(layer.input_layernorm, hidden), cos, sin, layout)
        hidden = hidden + _mlp(layer.mlp, _norm(layer.post_attention_layernorm, hidden), trunk.config.hidden_act)
    return _norm(trunk.norm, hidden[layout.before])


def _norm(norm: Any, x: torch.Tensor) -> torch.Tensor:
    return normalised(x, norm.weight, norm.variance_epsilon)


def _mlp(mlp: Any, x: torch.Tensor, activation: str) -> torch.Tensor:
    if activation == "silu" and hasattr(mlp, "gate_proj"):
        return mlp.down_proj(gated(mlp.gate_proj(x), mlp.up_proj(x)))  # type: ignore[no-any-return]
    return mlp(x[None])[0]  # type: ignore[no-any-return]


def _attention(attention: Any, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, layout: Layout) -> torch.Tensor:
    """Causal attention within every row. x: (T, W), normed. Returns (T, W)."""
    size = attention.head_dim
    query, key, value = (
        projection(x).view(len(x), -1, size) for projection in (attention.q_proj, attention.k_proj, attention.v_proj)
    )  # (T, heads, D), the latter two (T, kv heads, D)
    if hasattr(attention, "q_norm"):
        query, key = _norm(attention.q_norm, query), _norm(attention.k_norm, key)
    heads = [query.shape[1], key.shape[1], key.shape[1]]
    joined = spread(rotated(query, key, value, cos, sin), layout)  # (S, all heads, D)
    attended = []
    for block, part in zip(layout.blocks, torch.split(joined, [r * n for r, n in layout.blocks]), strict=True):
        q, k, v = torch.split(part.view(*block, -1, size).transpose(1, 2), heads, dim=1)  # (rows, heads, length, D)
        found = F.scaled_dot_product_attention(
            q, k, v, is_causal=True, scale=attention.scaling, enable_gqa=heads[0] != heads[1]
        )
        attended.append(found.transpose(1, 2).reshape(-1, heads[0] * size))
    return attention.o_proj(torch.cat(attended)[layout.first])  # type: ignore[no-any-return]
