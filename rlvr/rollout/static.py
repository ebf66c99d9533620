"""Decoding steps of few fixed shapes, which a CUDA device records once and then replays whole.

A step of a model of a few billion parameters is hundreds of kernels, most of which run for less time than Python takes to start
them. A CUDA graph starts them all at once, but holds addresses and sizes: so tokens and positions are copied to where they always
stand, and rows and columns are rounded up to few numbers of each.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from rlvr.rollout.cache import KeyValueCache
from rlvr.rollout.llama import LlamaDecoder

COLUMNS = 128
"""Positions of the cache that attention reads are rounded up to a multiple of this."""

Step = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""(tokens (B,), positions (B,)) of the first B slots: the logits (B, V). See LlamaDecoder.step."""
Work = Callable[[], torch.Tensor]
Record = Callable[[Work], Work]
"""Takes work whose inputs and outputs stay where they are, and returns a way to do it again with what stands there then."""


def step_of(decoder: LlamaDecoder, cache: KeyValueCache) -> Step:
    """How a decoder reads one more token in each of the first slots of a cache: recorded where that helps, on a CUDA device."""
    if cache.keys.device.type == "cuda":
        return StaticStep(decoder, cache, partial(cuda_graph, pool=torch.cuda.graph_pool_handle()))
    return lambda tokens, positions: decoder.step(tokens, positions, cache)


def cuda_graph(work: Work, *, pool: Any) -> Work:
    """Record work that was done once before. pool: where all graphs take their memory from, since no two run at a time."""
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, pool=pool, capture_error_mode="thread_local"):
        found = work()

    def replay() -> torch.Tensor:
        graph.replay()
        return found

    return replay


class StaticStep:
    """A Step of fixed shapes: the first step of a shape runs as it is, the second is recorded, and those after it are replayed.

    Rows are rounded up to the slots of the cache halved again and again. Those beyond the live ones read some token at the first
    position of slots that nobody uses, and nobody looks at what they give. Logits are good until the next step.
    """

    def __init__(self, decoder: LlamaDecoder, cache: KeyValueCache, record: Record) -> None:
        self._decoder, self._cache, self._record = decoder, cache, record
        self._slots, self._longest = cache.keys.shape[1], cache.keys.shape[3]
        self._tokens = torch.zeros(self._slots, dtype=torch.int64, device=cache.keys.device)
        self._positions = torch.zeros_like(self._tokens)
        self._recorded: dict[tuple[int, int], Work | None] = {}

    def __call__(self, tokens: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        rows, columns = self._shape(len(tokens), int(positions.max()) + 1)
        self._tokens[: len(tokens)] = tokens
        self._positions[: len(tokens)] = positions
        self._positions[len(tokens) : rows] = 0
        return self._work(rows, columns)()[: len(tokens)]

    def _shape(self, rows: int, live: int) -> tuple[int, int]:
        """Rows and columns to compute for so many that are wanted."""
        rounded = self._slots
        while rounded // 2 >= rows:
            rounded //= 2
        return rounded, min(self._longest, -(-live // COLUMNS) * COLUMNS)

    def _work(self, rows: int, columns: int) -> Work:
        """How a step of a shape is done this time."""
        shape = rows, columns
        own = (self._tokens[:rows], self._positions[:rows], self._cache)
        work = partial(self._decoder.step_within, columns, *own, ragged=True)
        if shape not in self._recorded:
            self._recorded[shape] = None
            return work
        recorded = self._recorded[shape] or self._record(work)
        self._recorded[shape] = recorded
        return recorded
