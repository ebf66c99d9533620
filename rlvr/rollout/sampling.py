"""Drawing one token per row, each row from its own random numbers."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

from rlvr.rollout.engine import Finished
from rlvr.types import Completion, Request, Sampling, StopReason

LEAST = -1e4
"""The least log-probability: its exponential is 0, and times 0 it is no NaN as minus infinity would be."""

BELOW_ONE = 1 - 2**-50
"""A part of the whole times this is less than the whole, however the product is rounded."""
BLOCK = 128
"""Tokens whose shares are added up before one of them is looked for; what vocabularies are mostly multiples of."""


class Drawn(NamedTuple):
    """One token for each of B rows: its id (B,) int64, its log-probability under the policy (B,) float32, and the policy's
    entropy in nats there (B,) float32."""

    tokens: torch.Tensor
    logprobs: torch.Tensor
    entropies: torch.Tensor

    def of(self, rows: torch.Tensor) -> "Drawn":
        """What was drawn for some rows: a mask (B,) or their numbers."""
        return Drawn(self.tokens[rows], self.logprobs[rows], self.entropies[rows])


class Sampler:
    """Draws tokens by inverse transform: the first token whose cumulated probability exceeds a uniform number.

    Row i uses the uniform numbers of a Philox generator keyed by its seed, the t-th for its t-th token, so what is
    drawn for a row does not depend on the rows beside it.
    """

    def __init__(self, rows: int, sampling: Sampling, stop_ids: Sequence[int], device: torch.device) -> None:
        """rows: how many; each is given its seed before it draws."""
        self._uniform = torch.zeros((rows, sampling.max_new_tokens), dtype=torch.float64, device=device)
        self._begun = torch.zeros(rows, dtype=torch.int64, device=device)
        self._stop = torch.tensor(list(stop_ids), dtype=torch.int64, device=device)
        self._sampling = sampling

    def reseed(self, row: int, seed: int, begun: int = 0) -> None:
        """From now on a row draws with the numbers of a seed, for a completion of which so many tokens were there before."""
        self._begun[row] = begun
        if self._sampling.temperature > 0:
            numbers = np.random.Generator(np.random.Philox(key=seed)).random(self._sampling.max_new_tokens)
            self._uniform[row] = torch.from_numpy(numbers)  # float64 in [0, 1)

    def draw(self, logits: torch.Tensor, rows: torch.Tensor, position: int | torch.Tensor) -> Drawn:
        """The next token of some rows, its log-probability under the policy, and the policy's entropy there.

        logits: (B, V), any float dtype. rows: (B,) which of the sampler's rows they are. position: how many tokens
        each has written, one number for all or (B,).
        The policy is the softmax over all tokens at the temperature. What min_new_tokens, top_k and top_p rule out is never
        drawn, but changes no log-probability: the trainer, which knows of none of them, computes the same ones.
        """
        temperature, logits = self._sampling.temperature, logits.float()
        if temperature not in (0.0, 1.0):
            logits = logits / temperature
        logprobs = torch.log_softmax(logits, dim=-1).clamp_(min=LEAST)
        shares = logprobs.exp()
        tokens = self._token(logprobs, shares, rows, position)
        entropies = -shares.mul_(logprobs).sum(dim=-1)
        return Drawn(tokens=tokens, logprobs=logprobs.gather(-1, tokens[:, None]).squeeze(-1), entropies=entropies)

    def _token(
        self, logprobs: torch.Tensor, shares: torch.Tensor, rows: torch.Tensor, position: int | torch.Tensor
    ) -> torch.Tensor:
        """The tokens (B,) that logprobs (B, V) and shares, their exponential, give; both are left as they were."""
        sampling = self._sampling
        plain = sampling.temperature > 0 and sampling.top_k is None and sampling.top_p is None
        if plain and sampling.min_new_tokens == 0:
            return inverse(shares, self._uniform[rows, position])
        early = (position + self._begun[rows])[:, None] < sampling.min_new_tokens  # (B, 1)
        if plain:
            of_stops = shares[:, self._stop]  # a copy
            shares[:, self._stop] = of_stops.masked_fill(early, 0.0)
            tokens = inverse(shares, self._uniform[rows, position])
            shares[:, self._stop] = of_stops
            return tokens
        if sampling.min_new_tokens > 0:
            stops = logprobs[:, self._stop].masked_fill(early, -torch.inf)
            logprobs = logprobs.index_copy(-1, self._stop, stops)
        if sampling.temperature == 0:
            return logprobs.argmax(dim=-1)
        allowed = most_likely(logprobs, sampling.top_k, sampling.top_p)
        return inverse(allowed.exp_(), self._uniform[rows, position])


def inverse(shares: torch.Tensor, uniform: torch.Tensor) -> torch.Tensor:
    """Of each row, the first token whose cumulated share exceeds a part of the whole; never one without a share.

    shares: (B, V), not negative, whatever their sum. uniform: (B,) float64 in [0, 1), the part. Returns (B,) int64; the last
    token for shares that are not numbers. Of many tokens the block is found first, so that only one block is cumulated.
    """
    size, part = shares.shape[-1], (uniform * BELOW_ONE)[:, None]
    if size <= 2 * BLOCK:
        cumulated = shares.cumsum(dim=-1, dtype=torch.float64)
        return _first_above(cumulated, part * cumulated[:, -1:]).squeeze(-1)
    blocks = (F.pad(shares, (0, -size % BLOCK)) if size % BLOCK else shares).view(len(shares), -1, BLOCK)
    ends = blocks.sum(dim=-1).cumsum(dim=-1, dtype=torch.float64)  # (B, V / BLOCK)
    threshold = part * ends[:, -1:]
    block = _first_above(ends, threshold)  # (B, 1)
    start = F.pad(ends, (1, 0)).gather(-1, block)
    inside = blocks[torch.arange(len(blocks), device=blocks.device), block[:, 0]].cumsum(dim=-1, dtype=torch.float64)
    # The block's shares were added up in float32 before: rounding must not lead beyond its last one.
    rest = torch.minimum(threshold - start, BELOW_ONE * inside[:, -1:])
    token = block * BLOCK + _first_above(inside, rest)
    return token.squeeze(-1).clamp(max=size - 1)


def _first_above(cumulated: torch.Tensor, threshold: torch.Tensor) -> torch.Tensor:
    """Where (B, 1) rows that rise (B, N) first exceed a threshold (B, 1)."""
    found = torch.searchsorted(cumulated, threshold, right=True)
    return found.clamp(max=cumulated.shape[-1] - 1)  # beyond the end only for what are no numbers


def most_likely(logprobs: torch.Tensor, top_k: int | None, top_p: float | None) -> torch.Tensor:
    """Log-probabilities (B, V) with -inf for all but the most likely tokens, and the others as they were.

    top_k: how many are left. top_p: of those, and of the share that they hold together, the fewest that hold at least this
    share ("nucleus", Holtzman et al. 2020, arXiv:1904.09751). None for no bound.
    """
    if top_k is None and top_p is None:
        return logprobs
    size = logprobs.shape[-1]
    best, ids = logprobs.topk(size if top_k is None else min(top_k, size), dim=-1)  # (B, K), the likeliest first
    if top_p is not None:
        shares = best.double().softmax(dim=-1)
        before = shares.cumsum(dim=-1) - shares
        best = best.masked_fill(before >= top_p, -torch.inf)
    return torch.full_like(logprobs, -torch.inf).scatter(-1, ids, best)


class Written:
    """What each of R rows has written so far, and whether it has ended."""

    def __init__(self, rows: int, sampling: Sampling, stop_ids: Sequence[int], device: torch.device) -> None:
        shape = (rows, sampling.max_new_tokens)
        self.tokens = torch.zeros(shape, dtype=torch.int64, device=device)
        self.logprobs = torch.zeros(shape, dtype=torch.float32, device=device)
        self.entropies = torch.zeros(shape, dtype=torch.float32, device=device)
        self.lengths = torch.zeros(rows, dtype=torch.int64, device=device)
        self.stopped = torch.zeros(rows, dtype=torch.bool, device=device)
        self._begun = torch.zeros(rows, dtype=torch.int64, device=device)
        self._stop = torch.tensor(list(stop_ids), dtype=torch.int64, device=device)
        self._sampling = sampling
        self._ids: list[list[int]] = [[] for _ in range(rows)]  # kept only where `sampling.ends` is to be told of them

    def begin(self, row: int, request: Request) -> None:
        """From now on a row writes a completion of a request."""
        self.stopped[row], self._begun[row] = False, request.begun
        self._ids[row] = request.prompt_ids[len(request.prompt_ids) - request.begun :]

    def append(self, rows: torch.Tensor, position: int | torch.Tensor, drawn: Drawn) -> None:
        """Note one more token of some rows (B,), and which of them it has ended.

        position: how many each has written, one number for all or (B,).
        """
        self.tokens[rows, position], self.logprobs[rows, position] = drawn.tokens, drawn.logprobs
        self.entropies[rows, position] = drawn.entropies
        self.lengths[rows] = position + 1
        ended = torch.isin(drawn.tokens, self._stop)
        if self._sampling.ends is not None:
            late = position + self._begun[rows] >= self._sampling.min_new_tokens
            ended |= self._told(rows, drawn.tokens, self._sampling.ends) & late
        self.stopped[rows] = ended

    def over(self, rows: torch.Tensor) -> torch.Tensor:
        """Which of some rows (B,) have ended or may write no more: (B,) bool."""
        return self.stopped[rows] | (self.lengths[rows] + self._begun[rows] >= self._sampling.max_new_tokens)

    def _told(self, rows: torch.Tensor, tokens: torch.Tensor, ends: Callable[[list[int]], bool]) -> torch.Tensor:
        """Which of some rows (B,) are ended by their last tokens (B,) in the eyes of ``ends``: (B,) bool."""
        found = []
        for row, token in zip(rows.tolist(), tokens.tolist(), strict=True):
            self._ids[row].append(token)
            found.append(ends(self._ids[row]))
        return torch.tensor(found, dtype=torch.bool, device=rows.device)

    def completions(self, rows: Sequence[int], prompts: Sequence[list[int]]) -> list[Completion]:
        """One completion for each of some rows, with its prompt."""
        chosen = torch.tensor(rows, dtype=torch.int64, device=self.lengths.device)
        lengths, stopped = self.lengths[chosen].tolist(), self.stopped[chosen].tolist()
        longest = max(lengths, default=0)
        tokens, logprobs, entropies = (
            part[chosen, :longest].tolist() for part in (self.tokens, self.logprobs, self.entropies)
        )
        return [
            Completion(
                prompt_ids=prompt,
                token_ids=tokens[row][:length],
                logprobs=logprobs[row][:length],
                entropies=entropies[row][:length],
                stop_reason=StopReason.STOP if stopped[row] else StopReason.LENGTH,
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


def longest_row(requests: Sequence[Request], sampling: Sampling) -> int:
    """Tokens of the longest row that completing the requests may make, prompt and completion together; 0 without requests."""
    return max((len(each.prompt_ids) - each.begun + sampling.max_new_tokens for each in requests), default=0)
