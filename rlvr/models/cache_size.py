"""How much memory a model's keys and values take, before there is a model to ask. No torch."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlvr.config import ModelConfig
from rlvr.errors import RlvrError
from rlvr.models.location import ModelLocation, object_in

GIB = 2**30

OLDER_NAMES = {"num_hidden_layers": "n_layer", "num_attention_heads": "n_head", "hidden_size": "n_embd"}
"""What GPT-2 and its like call the same in config.json."""


@dataclass(frozen=True, kw_only=True)
class CacheShape:
    """What is kept of every token that was read: in each layer, a key and a value of ``size`` numbers for each head.

    heads: those that have keys of their own.
    """

    layers: int
    heads: int
    size: int

    def row_bytes(self, positions: int, itemsize: int) -> int:
        """Bytes of a row of so many positions, of numbers of so many bytes."""
        return 2 * self.layers * self.heads * self.size * positions * itemsize

    def rows_in(self, gib: float, *, positions: int, itemsize: int) -> int:
        """How many rows a cache of so many GiB holds. RlvrError if it cannot hold one."""
        row = self.row_bytes(positions, itemsize)
        rows = int(gib * GIB / row)
        if rows == 0:
            raise RlvrError(
                "rollout.cache_gib",
                f"the cache of one row of {positions} positions takes {row / GIB:.3g} GiB",
                got=gib,
                remedy="raise it, or lower rollout.max_new_tokens",
            )
        return rows


def cache_shape(field: Callable[[str], Any]) -> CacheShape | None:
    """The shape that a model's configuration describes; None if it does not say.

    field: a value of that configuration by its name in transformers; None for what it lacks.
    """
    layers, heads, width = field("num_hidden_layers"), field("num_attention_heads"), field("hidden_size")
    if not all(isinstance(number, int) and number for number in (layers, heads, width)):
        return None
    keyed, size = field("num_key_value_heads") or heads, field("head_dim") or width // heads
    if not isinstance(keyed, int) or not isinstance(size, int) or not size:
        return None  # of a model whose layers differ
    return CacheShape(layers=layers, heads=keyed, size=size)


def cache_shape_of(model: ModelConfig | ModelLocation | None) -> CacheShape | None:
    """The shape of a model that will be built, or of one in a directory; None if it is not known."""
    if isinstance(model, ModelConfig):
        return CacheShape(layers=model.layers, heads=model.kv_heads or model.heads, size=model.width // model.heads)
    config = None if model is None or model.kind != "directory" else object_in(Path(model.path) / "config.json")
    if config is None:
        return None
    return cache_shape(lambda name: config.get(name, config.get(OLDER_NAMES.get(name, ""))))
