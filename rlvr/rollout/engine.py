"""What an engine is: token ids in, completions out."""

from collections.abc import Sequence
from typing import Protocol

from transformers import PreTrainedModel

from rlvr.types import Completion, Request, Sampling


class Engine(Protocol):
    """Samples from the live weights of a model."""

    def generate(self, requests: Sequence[Request], sampling: Sampling) -> list[list[Completion]]:
        """Complete every request once per seed.

        Returns one list per request, in order, its completions in the order of its seeds. A completion's randomness
        depends on its seed alone, not on what is sampled beside it.
        """
        ...


class EngineFactory(Protocol):
    """How to make an engine that samples from a model."""

    def __call__(self, model: PreTrainedModel, *, stop_ids: list[int], pad_id: int, batch_size: int) -> Engine: ...
