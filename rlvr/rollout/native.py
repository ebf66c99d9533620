"""The native engine: decoding over the training model itself, so there are no weights to bring up to date."""

from collections.abc import Sequence
from functools import cache, partial

import torch
from transformers import PreTrainedModel

from rlvr.rollout.cache import KeyValueCache, cache_dtype, rows_that_fit
from rlvr.rollout.continuous import ContinuousBatch, Job
from rlvr.rollout.engine import Finished
from rlvr.rollout.forward import ForwardDecoder
from rlvr.rollout.llama import LlamaDecoder, obstacle
from rlvr.rollout.sampling import Sampler, Written, decode_in_parts, longest_row
from rlvr.runtime.device import openmp_sleeps
from rlvr.runtime.progress import say
from rlvr.runtime.threads import CACHED_BYTES, deal, most_workers, side_by_side
from rlvr.types import Request, Sampling

ROWS_EACH = 16
"""Fewer rows than this a thread are not worth a thread: threads that run many small products mostly wait for each other in Python."""


class NativeEngine:
    """Our own decoder with continuous batching for the Llama family; transformers' forward pass for the others."""

    def __init__(
        self,
        model: PreTrainedModel,
        *,
        stop_ids: list[int],
        pad_id: int,
        batch_size: int,
        cache_gib: float | None = None,
    ) -> None:
        self._model, self._stop_ids, self._pad_id = model, stop_ids, pad_id
        self._batch_size, self._cache_gib = batch_size, cache_gib

    @torch.inference_mode()
    def generate(self, requests: Sequence[Request], sampling: Sampling, finished: Finished) -> None:
        """See Engine.generate."""
        if not requests:
            return
        model = self._model
        longest = longest_row(requests, sampling)
        rows = rows_that_fit(model, longest, batch_size=self._batch_size, cache_gib=self._cache_gib)
        seeds = sum(len(request.seeds) for request in requests)
        reason = obstacle(model, longest)
        if reason is not None:
            _say_why_not(reason)
            forward = ForwardDecoder(model, stop_ids=self._stop_ids, pad_id=self._pad_id)
            decode_in_parts(requests, rows, lambda part: forward.decode(part, sampling), finished)
            return
        self._decode(requests, sampling, finished, slots=max(1, min(rows, seeds)), positions=longest)

    def _decode(
        self, requests: Sequence[Request], sampling: Sampling, finished: Finished, *, slots: int, positions: int
    ) -> None:
        """By our own decoder, slots rows at once: on several threads while there are rows enough for each."""
        model, dtype = self._model, cache_dtype(self._model)
        decoder = LlamaDecoder(model, positions, dtype)
        whole = KeyValueCache(model.config, slots, positions, dtype, model.device)
        job = Job(
            requests=requests,
            sampling=sampling,
            sampler=Sampler(slots, sampling, self._stop_ids, model.device),
            written=Written(slots, sampling, self._stop_ids, model.device),
            device=model.device,
        )
        size = sum(parameter.numel() for parameter in model.parameters()) * dtype.itemsize
        workers = min(len(requests), workers_for(slots, parameter_bytes=size, device=model.device))
        parts = deal([len(request.prompt_ids) for request in requests], workers)
        if workers == 1:
            ContinuousBatch(decoder, whole, job, range(slots), parts[0]).run(finished)
            return
        seats = [range(slots * part // workers, slots * (part + 1) // workers) for part in range(workers)]
        batches = [
            ContinuousBatch(decoder, whole.part(own), job, own, part) for own, part in zip(seats, parts, strict=True)
        ]
        openmp = max(1, torch.get_num_threads() // workers)
        side_by_side([partial(batch.run, leave=ROWS_EACH - 1) for batch in batches], finished, openmp=openmp)
        rest = ContinuousBatch(decoder, whole, job, range(slots), [])
        for batch in batches:
            rest.take(batch)
        side_by_side([rest.run], finished, openmp=openmp)


def workers_for(rows: int, *, parameter_bytes: int, device: torch.device) -> int:
    """On how many threads to decode so many rows: several only if each has the weights in its cache or OpenMP's own threads
    would have to be woken for each product."""
    if parameter_bytes > CACHED_BYTES and not openmp_sleeps():
        return 1
    return max(1, min(most_workers(device), rows // ROWS_EACH))


@cache
def _say_why_not(reason: str) -> None:
    """Once for each reason."""
    say(f"rollout.engine native: transformers' forward pass decodes this model, since {reason}")
