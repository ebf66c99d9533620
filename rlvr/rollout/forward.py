"""Decoding by transformers' own forward pass, for the architectures that the native engine has no decoder for."""

from collections.abc import Sequence

import torch
from transformers import DynamicCache, PreTrainedModel

from rlvr.rollout.sampling import Sampler, Written, pad_left
from rlvr.runtime import signals
from rlvr.types import Completion, Request, Sampling

COMPACT_BELOW = 0.75
"""Finished rows are taken out of the cache once fewer than this share of its rows is still writing."""


class ForwardDecoder:
    """Prefills each prompt once, forks its cache for the completions, and decodes the unfinished rows together."""

    def __init__(self, model: PreTrainedModel, *, stop_ids: list[int], pad_id: int) -> None:
        self._model, self._stop_ids, self._pad_id = model, stop_ids, pad_id

    def decode(self, requests: Sequence[Request], sampling: Sampling) -> list[Completion]:
        """Complete each request once per seed, all completions in one list."""
        device = self._model.device
        counts = torch.tensor([len(request.seeds) for request in requests], device=device)
        seeds = [seed for request in requests for seed in request.seeds]
        sampler = Sampler(len(seeds), sampling, self._stop_ids, device)
        owners = [request for request in requests for _ in request.seeds]
        written = Written(len(seeds), sampling, self._stop_ids, device)
        for row, (seed, request) in enumerate(zip(seeds, owners, strict=True)):
            sampler.reseed(row, seed, request.begun)
            written.begin(row, request)

        ids, mask = pad_left([request.prompt_ids for request in requests], self._pad_id, device)
        cache = DynamicCache(config=self._model.config)
        logits = self._forward(ids, mask, cache)
        fork = torch.repeat_interleave(torch.arange(len(requests), device=device), counts)
        cache.batch_select_indices(fork)
        logits, mask = logits[fork], None if mask is None else mask[fork]

        rows = torch.arange(len(seeds), device=device)  # which row of `written` each row of the cache is
        finished = torch.zeros(len(seeds), dtype=torch.bool, device=device)
        for position in range(sampling.max_new_tokens):
            signals.check()
            drawn = sampler.draw(logits, rows, position)
            tokens, going = drawn.tokens, ~finished
            written.append(rows[going], position, drawn.of(going))
            finished = written.over(rows)
            unfinished = int((~finished).sum())
            if unfinished == 0:
                break
            if mask is not None:
                mask = torch.cat([mask, mask.new_ones(len(rows), 1)], dim=1)
            if unfinished < COMPACT_BELOW * len(rows):
                keep = (~finished).nonzero().squeeze(-1)
                cache.batch_select_indices(keep)
                rows, tokens, finished = rows[keep], tokens[keep], finished[keep]
                mask = None if mask is None else mask[keep]
            logits = self._forward(tokens[:, None], mask, cache)
        return written.completions(range(len(seeds)), [request.prompt_ids for request in owners])

    def _forward(self, ids: torch.Tensor, mask: torch.Tensor | None, cache: DynamicCache) -> torch.Tensor:
        """Logits (B, V) after the last of the new tokens ids (B, n); mask (B, past + n) covers the cache too."""
        positions = None
        if mask is not None:
            positions = (mask.cumsum(dim=-1) - 1).clamp(min=0)[:, -ids.shape[1] :]
        logits: torch.Tensor = self._model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        ).logits
        return logits[:, -1]
