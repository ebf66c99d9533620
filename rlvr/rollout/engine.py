"""What an engine is: token ids in, completions out."""

from collections.abc import Callable, Sequence
from typing import Protocol

from transformers import PreTrainedModel

from rlvr.types import Completion, Request, Sampling

Finished = Callable[[int, Sequence[Completion]], None]
"""(which request, its completions in the order of its seeds)."""


class Engine(Protocol):
    """Samples from the live weights of a model."""

    def generate(self, requests: Sequence[Request], sampling: Sampling, finished: Finished) -> None:
        """Complete every request once per seed.

        finished: told of each request as soon as all its completions are written, in whatever order requests finish. A
        completion's randomness depends on its seed alone, not on what is sampled beside it.
        """
        ...


class EngineFactory(Protocol):
    """How to make an engine that samples from a model.

    batch_size: completions decoded together at most. cache_gib: memory for their keys and values, in GiB; None for
    no bound.
    """

    def __call__(
        self,
        model: PreTrainedModel,
        *,
        stop_ids: list[int],
        pad_id: int,
        batch_size: int,
        cache_gib: float | None = None,
    ) -> Engine: ...
