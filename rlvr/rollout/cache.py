"""The keys and values of the tokens that rows have read: one block of memory, and how many rows fit into it."""

import math

import numpy as np
import torch
from transformers import PretrainedConfig, PreTrainedModel

from rlvr.models.cache_size import CacheShape, cache_shape


class KeyValueCache:
    """Keys and values of S slots with P positions each, for every layer; allocated once and written in place.

    keys, values: (layers, S, kv heads, P, head size), in memory by position first: one token of one row is written and
    read as one run. Rows that are being written have the first slots, so that attention
    reads a view. Positions that no row has written hold zeros or what an earlier row left: numbers to be masked out.
    """

    def __init__(self, config: PretrainedConfig, slots: int, positions: int, dtype: torch.dtype, device: torch.device):
        shape = shape_in(config)
        store = _zeros((2, shape.layers, slots, positions, shape.heads, shape.size), dtype, device)
        self._hold(store)

    def _hold(self, store: torch.Tensor) -> None:
        """store: (2, layers, S, P, kv heads, head size)."""
        self._flat = store.view(*store.shape[:2], -1, store.shape[4] * store.shape[5])  # a copy would be an error
        self._store = store.transpose(3, 4)
        self.keys, self.values = self._store[0], self._store[1]

    def part(self, slots: range) -> "KeyValueCache":
        """A cache of some of the slots, in the same memory."""
        part = KeyValueCache.__new__(KeyValueCache)
        part._hold(self._store[:, :, slots.start : slots.stop].transpose(3, 4))
        return part

    def places(self, positions: torch.Tensor) -> torch.Tensor:
        """Where to write one position of each of the first slots. positions: (B,). Returns (B,)."""
        return torch.arange(len(positions), device=positions.device) * self.keys.shape[3] + positions

    def write(self, layer: int, places: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> None:
        """Put the key and value (B, kv heads, head size) of one token of each of the first slots at their places."""
        self._flat[0, layer].index_copy_(0, places, key.flatten(1))
        self._flat[1, layer].index_copy_(0, places, value.flatten(1))

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
    return min(
        batch_size,
        shape_in(model.config).rows_in(cache_gib, positions=positions, itemsize=cache_dtype(model).itemsize),
    )


def cache_dtype(model: PreTrainedModel) -> torch.dtype:
    """The type that attention reads: the model's own, or autocast's inside of it."""
    kind = model.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else model.dtype


def _zeros(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """Zeros. On a CPU numpy gives memory that takes up room only where it is written, in large pages if there are any;
    torch.zeros would write to all of it first."""
    if device.type != "cpu":
        return torch.zeros(shape, dtype=dtype, device=device)
    memory = np.zeros(math.prod(shape) * dtype.itemsize, dtype=np.uint8)
    return torch.from_numpy(memory).view(dtype).view(shape)


def shape_in(config: PretrainedConfig) -> CacheShape:
    """What the cache of a loaded model holds of every token."""
    shape = cache_shape(lambda name: getattr(config, name, None))
    assert shape is not None, f"{type(config).__name__} does not say what its cache holds"
    return shape
