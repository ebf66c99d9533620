"""The keys and values of the tokens that rows have read: one block of memory, and how many rows fit into it."""

import torch
from transformers import PretrainedConfig, PreTrainedModel

from rlvr.errors import RlvrError

GIB = 2**30


class KeyValueCache:
    """Keys and values of S slots with P positions each, for every layer; allocated once and written in place.

    keys, values: (layers, S, kv heads, P, head size). Rows that are being written have the first slots, so that attention
    reads a view. Positions that no row has written hold zeros or what an earlier row left: numbers to be masked out.
    """

    def __init__(self, config: PretrainedConfig, slots: int, positions: int, dtype: torch.dtype, device: torch.device):
        self._store = torch.zeros((2, *_shape(config, slots, positions)), dtype=dtype, device=device)
        self.keys, self.values = self._store[0], self._store[1]

    def places(self, positions: torch.Tensor) -> torch.Tensor:
        """Where to write one position of each of the first slots. positions: (B,). Returns (B × kv heads,)."""
        _, _, heads, length, _ = self.keys.shape
        first = torch.arange(len(positions) * heads, device=positions.device).view(-1, heads) * length
        return (first + positions[:, None]).flatten()

    def write(self, layer: int, places: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> None:
        """Put the key and value (B, kv heads, head size) of one token of each of the first slots at their places."""
        size = key.shape[-1]
        self.keys[layer].view(-1, size).index_copy_(0, places, key.reshape(-1, size))
        self.values[layer].view(-1, size).index_copy_(0, places, value.reshape(-1, size))

    def read(self, slot: int, length: int) -> torch.Tensor:
        """A copy of a slot's first positions: (2, layers, kv heads, length, head size)."""
        return self._store[:, :, slot, :, :length].clone()

    def fill(self, slots: slice, prompt: torch.Tensor) -> None:
        """Put what was read of a slot into some slots."""
        self._store[:, :, slots, :, : prompt.shape[3]] = prompt[:, :, None]

    def move(self, source: torch.Tensor, target: torch.Tensor, length: int) -> None:
        """Copy the first positions of some slots (n,) into others (n,)."""
        self._store[:, :, target, :, :length] = self._store[:, :, source, :, :length]


def rows_that_fit(model: PreTrainedModel, positions: int, *, batch_size: int, cache_gib: float | None) -> int:
    """How many rows of so many positions are decoded together: batch_size, or fewer if the cache would be too large.

    Raises RlvrError if the cache cannot hold a single row.
    """
    if cache_gib is None:
        return batch_size
    element = torch.empty((), dtype=cache_dtype(model)).element_size()
    layers, _, heads, _, size = _shape(model.config, 1, positions)
    row = 2 * layers * heads * positions * size * element
    rows = int(cache_gib * GIB / row)
    if rows == 0:
        raise RlvrError(
            "rollout.cache_gib",
            f"the cache of one row of {positions} positions takes {row / GIB:.3g} GiB",
            got=cache_gib,
            remedy="raise it, or lower rollout.max_new_tokens",
        )
    return min(batch_size, rows)


def cache_dtype(model: PreTrainedModel) -> torch.dtype:
    """The type that attention reads: the model's own, or autocast's inside of it."""
    kind = model.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else model.dtype


def _shape(config: PretrainedConfig, slots: int, positions: int) -> tuple[int, int, int, int, int]:
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return config.num_hidden_layers, slots, heads, positions, size
