"""Drawing one token per row, each row from its own random numbers."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch

from rlvr.rollout.engine import Finished
from rlvr.types import Completion, Request, Sampling, StopReason


class Drawn(NamedTuple):
    """One token for each of B rows: its id (B,) int64, its log-probability (B,) float32, and the entropy in nats of the
    distribution it was drawn from (B,) float32."""

    tokens: torch.Tensor
    logprobs: torch.Tensor
    entropies: torch.Tensor


class Sampler:
    """Draws tokens by inverse transform: the first token whose cumulated probability exceeds a uniform number.

    Row i uses the uniform numbers of a Philox generator keyed by its seed, the t-th for its t-th token, so what is
    drawn for a row does not depend on the rows beside it.
    """

    def __init__(self, seeds: Sequence[int], sampling: Sampling, stop_ids: Sequence[int], device: torch.device) -> None:
        uniform = np.empty((len(seeds), sampling.max_new_tokens))
        if sampling.temperature > 0:
            for row, seed in enumerate(seeds):
                uniform[row] = np.random.Generator(np.random.Philox(key=seed)).random(sampling.max_new_tokens)
        self._uniform = torch.from_numpy(uniform).to(device)  # (R, T) float64 in [0, 1)
        self._stop = torch.tensor(list(stop_ids), device=device)
        self._sampling = sampling

    def draw(self, logits: torch.Tensor, rows: torch.Tensor, position: int) -> Drawn:
        """The next token of some rows, its log-probability under the policy, and the policy's entropy there.

        logits: (B, V), any float dtype. rows: (B,) which of the sampler's rows they are. position: how many tokens
        each has written.
        """
        greedy = self._sampling.temperature == 0
        logprobs = torch.log_softmax(logits.float() / (1.0 if greedy else self._sampling.temperature), dim=-1)
        allowed = logprobs
        if position < self._sampling.min_new_tokens:
            allowed = logprobs.index_fill(-1, self._stop, -torch.inf)
        if greedy:
            tokens = allowed.argmax(dim=-1)
        else:
            cumulated = allowed.double().exp().cumsum(dim=-1)  # (B, V)
            threshold = self._uniform[rows, position, None] * cumulated[:, -1:]
            tokens = torch.searchsorted(cumulated, threshold, right=True).squeeze(-1)
            tokens = tokens.clamp(max=logits.shape[-1] - 1)  # beyond the end only for logits that are not numbers
        entropies = torch.special.entr(logprobs.exp()).sum(dim=-1)
        return Drawn(tokens=tokens, logprobs=logprobs.gather(-1, tokens[:, None]).squeeze(-1), entropies=entropies)

    def stopped(self, tokens: torch.Tensor) -> torch.Tensor:
        """Which tokens (B,) end their row: (B,) bool."""
        return torch.isin(tokens, self._stop)


class Written:
    """What each of R rows has written so far."""

    def __init__(self, rows: int, max_new_tokens: int, device: torch.device) -> None:
        self.tokens = torch.zeros((rows, max_new_tokens), dtype=torch.int64, device=device)
        self.logprobs = torch.zeros((rows, max_new_tokens), dtype=torch.float32, device=device)
        self.entropies = torch.zeros((rows, max_new_tokens), dtype=torch.float32, device=device)
        self.lengths = torch.zeros(rows, dtype=torch.int64, device=device)

    def append(self, rows: torch.Tensor, position: int, drawn: Drawn, going: torch.Tensor) -> None:
        """Note one more token of those rows that are going (B,) bool, all of which have written ``position`` tokens."""
        rows = rows[going]
        self.tokens[rows, position], self.logprobs[rows, position] = drawn.tokens[going], drawn.logprobs[going]
        self.entropies[rows, position] = drawn.entropies[going]
        self.lengths[rows] = position + 1

    def completions(self, prompts: Sequence[list[int]], stop_ids: Sequence[int]) -> list[Completion]:
        """One completion a row."""
        lengths, tokens, logprobs = self.lengths.tolist(), self.tokens.tolist(), self.logprobs.tolist()
        entropies = self.entropies.tolist()
        return [
            Completion(
                prompt_ids=prompt,
                token_ids=tokens[row][:length],
                logprobs=logprobs[row][:length],
                entropies=entropies[row][:length],
                stop_reason=StopReason.STOP if tokens[row][length - 1] in stop_ids else StopReason.LENGTH,
            )
            for row, (prompt, length) in enumerate(zip(prompts, lengths, strict=True))
        ]


def pad_left(
    prompts: Sequence[list[int]], pad_id: int, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Prompts padded on the left to one length L.

    Returns (ids (B, L) int64, mask (B, L) int64 with 1 on real tokens); the mask is None if nothing was padded.
    """
    length = max(len(prompt) for prompt in prompts)
    ids = np.full((len(prompts), length), pad_id, dtype=np.int64)
    mask = np.zeros((len(prompts), length), dtype=np.int64)
    for row, prompt in enumerate(prompts):
        ids[row, length - len(prompt) :], mask[row, length - len(prompt) :] = prompt, 1
    padded = not mask.all()
    return torch.from_numpy(ids).to(device), torch.from_numpy(mask).to(device) if padded else None


def decode_in_parts(
    requests: Sequence[Request],
    batch_size: int,
    decode: Callable[[list[Request]], list[Completion]],
    finished: Finished,
) -> None:
    """Decode requests of like prompt length together, at most batch_size completions unless one request has more.

    decode: completes each request of a part once per seed, all completions in one list. finished: see Engine.generate.
    """
    order = sorted(range(len(requests)), key=lambda index: len(requests[index].prompt_ids))
    parts: list[list[int]] = []
    rows = 0
    for index in order:
        count = len(requests[index].seeds)
        if not parts or rows + count > batch_size:
            parts.append([])
            rows = 0
        parts[-1].append(index)
        rows += count
    for part in parts:
        completions = iter(decode([requests[index] for index in part]))
        for index in part:
            finished(index, [next(completions) for _ in requests[index].seeds])
