"""Decoding for the Llama family as transformers defines it, over the live parameters of the training model.

What is computed is transformers' own forward pass; what is left out is its Python, its masks and its growing cache.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from transformers import (
    LlamaForCausalLM,
    MistralForCausalLM,
    PreTrainedModel,
    Qwen2ForCausalLM,
    Qwen3ForCausalLM,
)
from transformers.activations import ACT2FN

from rlvr.models.adapter import is_linear, weight_and_bias
from rlvr.models.trunk import CHANGING_ROPE
from rlvr.rollout.cache import KeyValueCache

FAMILY = (LlamaForCausalLM, MistralForCausalLM, Qwen2ForCausalLM, Qwen3ForCausalLM)


def obstacle(model: PreTrainedModel, positions: int) -> str | None:
    """Why a model cannot be decoded here up to so many positions; None if it can."""
    if type(model) not in FAMILY:
        return f"{type(model).__name__} is not of the Llama family"
    base: Any = model.model
    window = getattr(model.config, "sliding_window", None)
    if window is not None and window < positions:
        return f"its attention slides over {window} of {positions} positions"
    if base.rotary_emb.rope_type in CHANGING_ROPE:
        return f"its rotary embedding ({base.rotary_emb.rope_type}) changes with the length"
    blocks = [part for layer in base.layers for part in (layer.self_attn, layer.mlp)]
    projections = [module for block in blocks for name, module in block.named_children() if name.endswith("_proj")]
    if not all(is_linear(module) for module in [*projections, model.lm_head]):
        return "some of its linear layers are not plain ones"
    return None


class _Linear(NamedTuple):
    """A linear layer: weight (out, in), bias (out,) or None."""

    weight: torch.Tensor
    bias: torch.Tensor | None

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return F.linear(x, self.weight, self.bias)


class _PackedLinear(NamedTuple):
    """A linear layer whose weight oneDNN has laid out once, as it would otherwise do at each call; the same bits."""

    weight: torch.Tensor
    bias: torch.Tensor | None

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        x = x.to(self.weight.dtype)
        return torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, "none", [], "")  # type: ignore[no-any-return]


AnyLinear = _Linear | _PackedLinear


class _Norm(NamedTuple):
    """RMS norm in float32, rounded to the input's type before it is weighted, as transformers does it."""

    weight: torch.Tensor
    eps: float

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        if x.dtype == torch.float32:
            return F.rms_norm(x, x.shape[-1:], None, self.eps).mul_(self.weight)
        return self.weight * F.rms_norm(x, x.shape[-1:], None, self.eps)


def _packs(weight: torch.Tensor) -> bool:
    """Whether a layout of its own makes products with a weight faster: bfloat16 on processors that multiply it."""
    if weight.dtype != torch.bfloat16 or weight.device.type != "cpu" or not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


class _Layer(NamedTuple):
    """The parameters of one layer. head_norm: of queries and keys, weight (heads + kv heads, head size), if there is one."""

    before_attention: _Norm
    qkv: AnyLinear
    head_norm: _Norm | None
    scaling: float
    out: AnyLinear
    before_mlp: _Norm
    gate: AnyLinear
    up: AnyLinear
    down: AnyLinear
    activation: Callable[[torch.Tensor], torch.Tensor]


class LlamaDecoder:
    """A model's parameters as they are now, laid out for decoding rows of at most P positions.

    Made anew for each call to generate and never kept, so it cannot be stale. Parameters are used where they are; only
    queries, keys and values are projected by one joined copy, an adapter is merged into a copy, inside autocast weights are
    cast once instead of at every token, and weights in bfloat16 on a CPU are copied to the layout that its products want.
    """

    def __init__(self, model: PreTrainedModel, positions: int, dtype: torch.dtype) -> None:
        """dtype: what linear layers compute in."""
        base: Any = model.model
        self._dtype = dtype
        self._embedding = base.embed_tokens.weight
        self._heads = model.config.num_attention_heads
        self._kv_heads = model.config.num_key_value_heads
        self._size = base.layers[0].self_attn.head_dim
        self._layers = [self._layer(layer) for layer in base.layers]
        self._norm = _Norm(base.norm.weight, base.norm.variance_epsilon)
        self._head = self._linear(model.lm_head)
        cos, sin = base.rotary_emb(self._embedding[:1], torch.arange(positions, device=model.device)[None])
        half = sin.shape[-1] // 2
        self._cos = cos[0][:, None]  # (P, 1, head size), the same for all heads
        self._sin = torch.cat([-sin[0, :, :half], sin[0, :, half:]], dim=-1)[:, None]  # sign of rotating by a half

    def _linear(self, *modules: torch.nn.Module) -> AnyLinear:
        parts = [weight_and_bias(module) for module in modules]
        weights = [weight.to(self._dtype) for weight, _ in parts]
        biases = [bias.to(self._dtype) for _, bias in parts if bias is not None]
        weight = weights[0] if len(weights) == 1 else torch.cat(weights)
        bias = (biases[0] if len(biases) == 1 else torch.cat(biases)) if biases else None
        if _packs(weight):
            return _PackedLinear(torch.ops.mkldnn._reorder_linear_weight(weight.detach()), bias)
        return _Linear(weight, bias)

    def _layer(self, layer: Any) -> _Layer:
        attention, mlp = layer.self_attn, layer.mlp
        head_norm = None
        if hasattr(attention, "q_norm"):
            weights = [
                attention.q_norm.weight.expand(self._heads, -1),
                attention.k_norm.weight.expand(self._kv_heads, -1),
            ]
            head_norm = _Norm(torch.cat(weights), attention.q_norm.variance_epsilon)
        return _Layer(
            before_attention=_Norm(layer.input_layernorm.weight, layer.input_layernorm.variance_epsilon),
            qkv=self._linear(attention.q_proj, attention.k_proj, attention.v_proj),
            head_norm=head_norm,
            scaling=attention.scaling,
            out=self._linear(attention.o_proj),
            before_mlp=_Norm(layer.post_attention_layernorm.weight, layer.post_attention_layernorm.variance_epsilon),
            gate=self._linear(mlp.gate_proj),
            up=self._linear(mlp.up_proj),
            down=self._linear(mlp.down_proj),
            activation=partial(F.silu, inplace=True) if type(mlp.act_fn) is type(ACT2FN["silu"]) else mlp.act_fn,
        )

    def prefill(
        self, ids: torch.Tensor, lengths: torch.Tensor, cache: KeyValueCache, first_slot: int, prompt_of: torch.Tensor
    ) -> torch.Tensor:
        """Read prompts and put what they leave into the cache slots from first_slot on.

        ids: (N, L), padded on the right with any token. lengths: (N,). prompt_of: (R,) the prompt of each slot.
        Returns the logits (N, V) after each prompt. Padding needs no mask: it comes after all tokens that are used.
        """
        length, last = ids.shape[1], len(self._layers) - 1
        slots, prompts = slice(first_slot, first_slot + len(prompt_of)), torch.arange(len(ids), device=ids.device)
        cos, sin = self._cos[:length], self._sin[:length]
        hidden = F.embedding(ids, self._embedding)  # (N, L, W)
        for index, layer in enumerate(self._layers):
            query, key, value = (x.transpose(1, 2) for x in self._project(layer, hidden, cos, sin))  # (N, heads, L, D)
            query, key, value = query.to(self._dtype), key.to(self._dtype), value.to(self._dtype)
            cache.keys[index, slots, :, :length] = key[prompt_of]
            cache.values[index, slots, :, :length] = value[prompt_of]
            mask = None
            if index == last:  # of which nothing is used but the last token's output
                hidden, query = hidden[prompts, lengths - 1, None], query[prompts, :, lengths - 1, None]
                mask = (torch.arange(length, device=ids.device) < lengths[:, None])[:, None, None]  # (N, 1, 1, L)
            attended = F.scaled_dot_product_attention(
                query,
                key,
                value,
                attn_mask=mask,
                is_causal=mask is None,
                scale=layer.scaling,
                enable_gqa=self._kv_heads != self._heads,
            )
            hidden = self._finish(layer, hidden, attended.transpose(1, 2).flatten(2))
        return self._head(self._norm(hidden[:, 0]))

    def step(self, tokens: torch.Tensor, positions: torch.Tensor, cache: KeyValueCache) -> torch.Tensor:
        """Read one more token in each of the first B slots.

        tokens: (B,). positions: (B,) where each stands in its row, which is how many tokens the slot holds.
        Returns the logits (B, V) after it.
        """
        live = int(positions.max()) + 1
        return self.step_within(live, tokens, positions, cache, ragged=int(positions.min()) + 1 < live)

    def step_within(
        self, live: int, tokens: torch.Tensor, positions: torch.Tensor, cache: KeyValueCache, *, ragged: bool
    ) -> torch.Tensor:
        """The same where all positions are known to be below ``live``; the host waits for nothing on the device.

        ragged: whether some row may hold fewer than ``live`` tokens with this one.
        """
        rows = len(tokens)
        places, mask = cache.places(positions), None
        if ragged:
            columns = torch.arange(live, device=tokens.device)
            mask = (columns <= positions[:, None])[:, None, None]  # (B, 1, 1, live), True where attention may look
        cos, sin = self._cos[positions], self._sin[positions]  # (B, 1, D)
        hidden = F.embedding(tokens, self._embedding)  # (B, W)
        for index, layer in enumerate(self._layers):
            query, key, value = self._project(layer, hidden, cos, sin)  # (B, heads, D)
            cache.write(index, places, key.to(self._dtype), value.to(self._dtype))
            attended = F.scaled_dot_product_attention(
                # The queries that share a key head stand in the place of query positions: no key is repeated.
                query.to(self._dtype).view(rows, self._kv_heads, -1, self._size),
                cache.keys[index, :rows, :, :live],
                cache.values[index, :rows, :, :live],
                attn_mask=mask,
                scale=layer.scaling,
            )
            hidden = self._finish(layer, hidden, attended.reshape(rows, -1))
        return self._head(self._norm(hidden))

    def _project(
        self, layer: _Layer, hidden: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Queries (…, heads, D), keys and values (…, kv heads, D) of hidden (…, W), the first two rotated."""
        joined = layer.qkv(layer.before_attention(hidden)).view(*hidden.shape[:-1], -1, self._size)
        rotated = joined[..., : self._heads + self._kv_heads, :]
        if layer.head_norm is not None:
            rotated = layer.head_norm(rotated)
        half = self._size // 2
        swapped = torch.cat([rotated[..., half:], rotated[..., :half]], dim=-1)
        rotated = (rotated * cos).addcmul_(swapped.to(sin.dtype), sin)
        value = joined[..., self._heads + self._kv_heads :, :]
        return rotated[..., : self._heads, :], rotated[..., self._heads :, :], value

    def _finish(self, layer: _Layer, hidden: torch.Tensor, attended: torch.Tensor) -> torch.Tensor:
        """The rest of a layer. hidden: (…, W) its input, which becomes its output. attended: (…, heads × D)."""
        hidden = hidden.add_(layer.out(attended))
        x = layer.before_mlp(hidden)
        return hidden.add_(layer.down(layer.activation(layer.gate(x)).mul_(layer.up(x))))
