"""Hidden states of a batch's rows, each distinct token computed once where the model is known to allow it."""

import contextlib
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from transformers import (
    LlamaModel,
    MistralModel,
    PreTrainedModel,
    Qwen2Model,
    Qwen3Model,
    Qwen3MoeModel,
)
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from rlvr.types import Layout

PACKED = (LlamaModel, MistralModel, Qwen2Model, Qwen3Model, Qwen3MoeModel)
"""Trunks in which tokens meet in attention only, through transformers' interface, and positions are what they are told."""
CHANGING_ROPE = ("dynamic", "longrope")
"""Rotary embeddings that depend on how long a row is."""
ATTENTION = "rlvr_blocks"


def hidden_before(trunk: torch.nn.Module, layout: Layout) -> torch.Tensor:
    """The hidden state (N, W) of the token before each trained one, from a trunk with all its layers and the last norm."""
    if _packs(trunk, layout):
        with _attention_by_blocks(trunk):
            output = trunk(
                input_ids=layout.ids[None], position_ids=layout.positions[None], use_cache=False, layout=layout
            )
        hidden: torch.Tensor = output.last_hidden_state[0]  # (T, W)
        return rows_of(hidden, layout.before)
    parts = [trunk(input_ids=ids, use_cache=False).last_hidden_state.flatten(0, 1) for ids in block_ids(layout)]
    return rows_of(torch.cat(parts), layout.first[layout.before])


def rows_of(x: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """The rows (N, W) of (T, W) at N places, a place as often as it is named.

    As an embedding is looked up: of the gradients of one place that adds up in order, where indexing on a CPU lets
    threads add as they come, so that two runs would differ in their last bits.
    """
    return F.embedding(rows, x)


def block_ids(layout: Layout) -> list[torch.Tensor]:
    """The token ids (rows, length) of every block. Padding needs no mask: it comes after all tokens that are used."""
    parts = torch.split(layout.ids[layout.read], [rows * length for rows, length in layout.blocks])
    return [part.view(block) for part, block in zip(parts, layout.blocks, strict=True)]


def _packs(trunk: Any, layout: Layout) -> bool:
    """Whether computing each distinct token once is exact with this trunk."""
    if type(trunk) not in PACKED or trunk.rotary_emb.rope_type in CHANGING_ROPE:
        return False
    window = getattr(trunk.config, "sliding_window", None)
    return window is None or window >= max(length for _, length in layout.blocks)


def takes_threads(model: PreTrainedModel) -> bool:
    """Whether several threads may use a model's trunk at once: all of them pack their batches, and nothing in it changes."""
    trunk: Any = model.base_model
    if type(trunk) not in PACKED or trunk.rotary_emb.rope_type in CHANGING_ROPE:
        return False
    return getattr(model.config, "sliding_window", None) is None


def attention_again(
    layer: Any, given: Mapping[str, Any]
) -> tuple[contextlib.AbstractContextManager[None], contextlib.AbstractContextManager[None]]:
    """What a layer is to be inside of while it computes, and when it computes the same once more, outside of its trunk.

    given: by name, what its trunk gave it.
    """
    by_blocks = "layout" in given
    return contextlib.nullcontext(), _attention_by_blocks(layer.self_attn) if by_blocks else contextlib.nullcontext()


@contextlib.contextmanager
def _attention_by_blocks(part: Any) -> Iterator[None]:
    """Inside, the tokens of a trunk, or of a part of one, meet as their layout says. Several threads may be inside
    (``takes_threads``)."""
    config = part.config
    with _entering:
        inside, own = _inside.get(id(config), (0, config._attn_implementation))
        _inside[id(config)] = (inside + 1, own)
        config._attn_implementation = ATTENTION
    try:
        yield
    finally:
        with _entering:
            inside, own = _inside.pop(id(config))
            if inside > 1:
                _inside[id(config)] = (inside - 1, own)
            else:
                config._attn_implementation = own


_entering = threading.Lock()
_inside: dict[int, tuple[int, str]] = {}
"""By a trunk's configuration: how many threads are inside, and the attention it has outside."""


def _attention(
    _module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    _mask: None,
    *,
    layout: Layout,
    scaling: float,
    **_rest: object,
) -> tuple[torch.Tensor, None]:
    """Causal attention within every row, as transformers' attention functions are called.

    query (1, heads, T, D), key and value (1, kv heads, T, D). Returns (1, T, heads, D).
    """
    sizes = [rows * length for rows, length in layout.blocks]
    plain = len(sizes) == 1 and len(layout.ids) == len(layout.read)  # nothing shared, nothing padded: already as rows
    given = [x[0].transpose(0, 1) for x in (query, key, value)]  # (T, heads, D)
    parts = [torch.split(x if plain else _spread(x, layout), sizes) for x in given]
    attended = []
    for (rows, length), q, k, v in zip(layout.blocks, *parts, strict=True):
        q, k, v = (x.view(rows, length, *x.shape[1:]).transpose(1, 2) for x in (q, k, v))
        found = F.scaled_dot_product_attention(
            q, k, v, is_causal=True, scale=scaling, enable_gqa=q.shape[1] != k.shape[1]
        )
        attended.append(found.transpose(1, 2).flatten(0, 1))  # (rows · length, heads, D)
    return (attended[0] if plain else torch.cat(attended)[layout.first])[None], None


ALL_ATTENTION_FUNCTIONS.register(ATTENTION, _attention)


class _Spread(torch.autograd.Function):
    """Distinct tokens (T, …) to their places (S, …); of the gradients at its places a token gets the sum, padded ones apart.

    Those are zero: no row looks at its padding, and nothing is taken from it. Autograd would add them up one by one.
    """

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, layout: Layout) -> torch.Tensor:
        ctx.layout = layout
        return x.index_select(0, layout.read)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, None]:
        layout = ctx.layout
        found = grad.index_select(0, layout.first)
        if len(layout.again):
            found.index_add_(0, layout.read[layout.again], grad.index_select(0, layout.again))
        return found, None


def _spread(x: torch.Tensor, layout: Layout) -> torch.Tensor:
    found: torch.Tensor = _Spread.apply(x, layout)  # type: ignore[no-untyped-call]
    return found
