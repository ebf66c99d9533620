"""The hf engine: transformers' generate, for any architecture that it can run."""

from collections.abc import Sequence

import torch
from transformers import (
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
    PreTrainedModel,
    StoppingCriteriaList,
)

from rlvr.rollout.cache import rows_that_fit
from rlvr.rollout.engine import Finished
from rlvr.rollout.sampling import Sampler, Written, decode_in_parts, longest_row, pad_left
from rlvr.runtime import signals
from rlvr.types import Completion, Request, Sampling


class HfEngine:
    """generate with our own drawing of tokens put in as a logits processor, so that seeds and log-probabilities are
    the interface's."""

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
        longest = longest_row(requests, sampling)
        rows = rows_that_fit(self._model, longest, batch_size=self._batch_size, cache_gib=self._cache_gib)
        decode_in_parts(requests, rows, lambda part: self._decode(part, sampling), finished)

    def _decode(self, requests: Sequence[Request], sampling: Sampling) -> list[Completion]:
        owners = [request for request in requests for _ in request.seeds]
        prompts = [request.prompt_ids for request in owners]
        seeds = [seed for request in requests for seed in request.seeds]
        ids, mask = pad_left(prompts, self._pad_id, self._model.device)
        draw = _Draw(seeds, owners, sampling, self._stop_ids, ids.shape[1], self._model.device)
        # The model's own generation defaults (top-k, penalties, …) would change the policy that is sampled.
        neutral = GenerationConfig(
            do_sample=False,
            num_beams=1,
            max_new_tokens=sampling.max_new_tokens - min(request.begun for request in owners),
            eos_token_id=self._stop_ids,
            pad_token_id=self._pad_id,
            bos_token_id=self._model.config.bos_token_id,
        )
        own, self._model.generation_config = self._model.generation_config, neutral
        try:
            self._model.generate(  # type: ignore[operator]
                ids,
                attention_mask=torch.ones_like(ids) if mask is None else mask,
                generation_config=neutral,
                logits_processor=LogitsProcessorList([draw]),
                stopping_criteria=StoppingCriteriaList([draw.ended]),
            )
        finally:
            self._model.generation_config = own
        return draw.written.completions(range(len(prompts)), prompts)


class _Draw(LogitsProcessor):
    """Draws the next token itself and leaves generate no other choice than it."""

    def __init__(
        self,
        seeds: Sequence[int],
        owners: Sequence[Request],
        sampling: Sampling,
        stop_ids: list[int],
        prompt_length: int,
        device: torch.device,
    ) -> None:
        """seeds, owners: of each row its seed and the request that it completes. prompt_length: with padding."""
        self._sampler = Sampler(len(seeds), sampling, stop_ids, device)
        self._rows = torch.arange(len(seeds), device=device)
        self._finished = torch.zeros(len(seeds), dtype=torch.bool, device=device)
        self._prompt_length = prompt_length
        self.written = Written(len(seeds), sampling, stop_ids, device)
        for row, (seed, request) in enumerate(zip(seeds, owners, strict=True)):
            self._sampler.reseed(row, seed, request.begun)
            self.written.begin(row, request)

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """scores: (B, V) logits at position L of input_ids (B, L). Returns scores with all but the drawn token ruled out."""
        signals.check()
        position = input_ids.shape[1] - self._prompt_length
        drawn = self._sampler.draw(scores, self._rows, position)
        going = ~self._finished
        self.written.append(self._rows[going], position, drawn.of(going))
        self._finished = self.written.over(self._rows)
        return torch.full_like(scores, -torch.inf).scatter(-1, drawn.tokens[:, None], 0.0)

    def ended(self, _input_ids: torch.Tensor, _scores: torch.Tensor, **_: object) -> torch.Tensor:
        """Which rows are done, asked by generate after each token: (B,) bool."""
        return self._finished
