"""Documents as the batches of one update after another."""

from typing import Any

import torch

from rlvr.data.batching import to_batches
from rlvr.data.documents import DocumentSource
from rlvr.data.text import to_samples
from rlvr.errors import RlvrError
from rlvr.models.tokenizer import Codec
from rlvr.types import Metrics, Sample, StepData, Update

AT_ONCE = 64
"""Documents that are made and tokenized together."""


class DocumentBatches:
    """A batch source: training documents in order, as many to an update as fit into ``batch_tokens`` tokens.

    whole: every token of a document is trained, not the response alone.
    longest: most tokens a document may have; RlvrError names a longer one.
    budget: tokens in the batches of all workers, which are those that work side by side.
    """

    def __init__(
        self,
        document: DocumentSource,
        codec: Codec,
        *,
        whole: bool,
        longest: int,
        batch_tokens: int,
        budget: int,
        device: torch.device,
        workers: int = 1,
    ) -> None:
        self._document, self._codec, self._whole, self._longest = document, codec, whole, longest
        self._batch_tokens, self._budget, self._workers = batch_tokens, budget, workers
        self._pad_id, self._device = codec.pad_id, device
        self._next = 0
        self._ready: dict[int, Sample] = {}

    def next_step(self, step: int) -> StepData:
        """Documents from the next one on; always at least one."""
        samples = [self._sample(self._next)]
        tokens = len(samples[0].token_ids)
        self._next += 1
        while tokens + len((sample := self._sample(self._next)).token_ids) <= self._batch_tokens:
            samples.append(sample)
            tokens += len(sample.token_ids)
            self._next += 1
        self._ready = {number: sample for number, sample in self._ready.items() if number >= self._next}
        batches = to_batches(
            samples, budget=self._budget, pad_id=self._pad_id, device=self._device, workers=self._workers
        )
        metrics: Metrics = {"tokens/documents": tokens, "data/documents": len(samples)}
        return StepData(updates=[Update(batches=batches)], metrics=metrics)

    def state_dict(self) -> dict[str, Any]:
        return {"next_document": self._next}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._next = state["next_document"]

    def tensors(self) -> dict[str, torch.Tensor]:
        return {}

    def load_tensors(self, tensors: dict[str, torch.Tensor]) -> None:
        """Nothing to restore: the next document's number says it all."""

    def _sample(self, number: int) -> Sample:
        if number not in self._ready:
            numbers = range(number, number + AT_ONCE)
            documents = [self._document("train", n) for n in numbers]
            made = to_samples(documents, self._codec, whole=self._whole)
            self._ready |= dict(zip(numbers, made, strict=True))
            for n, document, sample in zip(numbers, documents, made, strict=True):
                if len(sample.token_ids) > self._longest:
                    raise RlvrError(
                        f"document {n} of {document.source}",
                        "is longer than the model's positions",
                        got=f"{len(sample.token_ids)} tokens",
                        allowed=f"at most {self._longest}",
                        remedy="shorten the task or the block, or raise model.max_positions",
                    )
        return self._ready[number]
