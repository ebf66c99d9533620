"""The native engine: decoding over the training model itself, so there are no weights to bring up to date."""

from collections.abc import Sequence
from functools import cache, partial

import torch
from transformers import PreTrainedModel

from rlvr.rollout.cache import KeyValueCache, cache_dtype, rows_that_fit
from rlvr.rollout.continuous import ContinuousBatch
from rlvr.rollout.engine import Finished
from rlvr.rollout.forward import ForwardDecoder
from rlvr.rollout.llama import LlamaDecoder, obstacle
from rlvr.rollout.sampling import decode_in_parts
from rlvr.rollout.threads import deal, side_by_side, workers_for
from rlvr.runtime.progress import console
from rlvr.types import Request, Sampling


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
        longest = max(len(request.prompt_ids) for request in requests) + sampling.max_new_tokens
        rows = rows_that_fit(model, longest, batch_size=self._batch_size, cache_gib=self._cache_gib)
        reason = obstacle(model, longest)
        if reason is not None:
            _say_why_not(reason)
            forward = ForwardDecoder(model, stop_ids=self._stop_ids, pad_id=self._pad_id)
            decode_in_parts(requests, rows, lambda part: forward.decode(part, sampling), finished)
            return
        dtype = cache_dtype(model)
        decoder = LlamaDecoder(model, longest, dtype)
        size = sum(parameter.numel() for parameter in model.parameters()) * dtype.itemsize
        most = min(rows, sum(len(request.seeds) for request in requests))
        parts = deal(requests, min(len(requests), workers_for(most, parameter_bytes=size, device=model.device)))

        def decode(part: list[int], told: Finished) -> None:
            own = [requests[index] for index in part]
            slots = max(1, min(rows // len(parts), sum(len(request.seeds) for request in own)))
            store = KeyValueCache(model.config, slots, longest, dtype, model.device)
            batch = ContinuousBatch(decoder, store, slots, own, sampling, self._stop_ids, model.device)
            batch.run(lambda index, completions: told(part[index], completions))

        if len(parts) == 1:
            decode(parts[0], finished)
        else:
            side_by_side([partial(decode, part) for part in parts], finished)


@cache
def _say_why_not(reason: str) -> None:
    """Once for each reason."""
    console().print(
        f"rollout.engine native: transformers' forward pass decodes this model, since {reason}", markup=False
    )
