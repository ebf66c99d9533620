"""The hf engine: transformers' generate, for any architecture that it can run."""

from collections.abc import Sequence

import torch
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList, PreTrainedModel

from rlvr.rollout.engine import Finished
from rlvr.rollout.sampling import Sampler, Written, decode_in_parts, pad_left
from rlvr.runtime import signals
from rlvr.types import Completion, Request, Sampling


class HfEngine:
    """generate with our own drawing of tokens put in as a logits processor, so that seeds and log-probabilities are
    the interface's."""

    def __init__(self, model: PreTrainedModel, *, stop_ids: list[int], pad_id: int, batch_size: int) -> None:
        self._model, self._stop_ids, self._pad_id, self._batch_size = model, stop_ids, pad_id, batch_size

    @torch.inference_mode()
    def generate(self, requests: Sequence[Request], sampling: Sampling, finished: Finished) -> None:
        """See Engine.generate."""
        decode_in_parts(requests, self._batch_size, lambda part: self._decode(part, sampling), finished)

    def _decode(self, requests: Sequence[Request], sampling: Sampling) -> list[Completion]:
        prompts = [request.prompt_ids for request in requests for _ in request.seeds]
        seeds = [seed for request in requests for seed in request.seeds]
        ids, mask = pad_left(prompts, self._pad_id, self._model.device)
        draw = _Draw(seeds, sampling, self._stop_ids, ids.shape[1], self._model.device)
        # The model's own generation defaults (top-k, penalties, …) would change the policy that is sampled.
        neutral = GenerationConfig(
            do_sample=False,
            num_beams=1,
            max_new_tokens=sampling.max_new_tokens,
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
            )
        finally:
            self._model.generation_config = own
        return draw.written.completions(prompts, self._stop_ids)


class _Draw(LogitsProcessor):
    """Draws the next token itself and leaves generate no other choice than it."""

    def __init__(
        self, seeds: Sequence[int], sampling: Sampling, stop_ids: list[int], prompt_length: int, device: torch.device
    ) -> None:
        self._sampler = Sampler(seeds, sampling, stop_ids, device)
        self._rows = torch.arange(len(seeds), device=device)
        self._finished = torch.zeros(len(seeds), dtype=torch.bool, device=device)
        self._prompt_length = prompt_length
        self.written = Written(len(seeds), sampling.max_new_tokens, device)

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """scores: (B, V) logits at position L of input_ids (B, L). Returns scores with all but the drawn token ruled out."""
        signals.check()
        position = input_ids.shape[1] - self._prompt_length
        drawn = self._sampler.draw(scores, self._rows, position)
        self.written.append(self._rows, position, drawn, ~self._finished)
        self._finished = self._finished | self._sampler.stopped(drawn.tokens)
        return torch.full_like(scores, -torch.inf).scatter(-1, drawn.tokens[:, None], 0.0)
