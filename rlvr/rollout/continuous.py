"""Continuous batching: rows of different requests and ages decoded together, a finished row's place given to the next."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

import numpy as np
import torch

from rlvr.rollout.cache import KeyValueCache
from rlvr.rollout.engine import Finished
from rlvr.rollout.llama import LlamaDecoder
from rlvr.rollout.sampling import Sampler, Written
from rlvr.rollout.static import step_of
from rlvr.runtime import signals
from rlvr.types import Completion, Request, Sampling

PREFILL_TOKENS = 1024
"""Prompt tokens, padding included, that are read in one forward pass: bounds its memory."""
REFILL_SHARE = 0.125
"""Rows are admitted once this share of all places is free: reading a prompt alone costs nearly what many cost together."""


class _Row(NamedTuple):
    """A completion to be written: which request's, and the how manieth."""

    request: int
    number: int


@dataclass(frozen=True, kw_only=True)
class Job:
    """What all batches of one call to generate share. Sampler and written have a row for each seat."""

    requests: Sequence[Request]
    sampling: Sampling
    sampler: Sampler
    written: Written
    device: torch.device


class ContinuousBatch:
    """Rows being written, and those that wait.

    Live rows have the first slots of the cache, in no order that matters. Each also has a seat, which it keeps while
    slots are moved: its row in the sampler and in what was written.
    """

    def __init__(
        self, decoder: LlamaDecoder, cache: KeyValueCache, job: Job, seats: range, part: Sequence[int]
    ) -> None:
        """cache: its own, with a slot for each of its seats. part: which of the job's requests it completes, in this order."""
        self._decoder, self._cache, self._seats_given = decoder, cache, seats
        self._step = step_of(decoder, cache)
        self._requests, self._sampling, self._device = job.requests, job.sampling, job.device
        self._sampler, self._written = job.sampler, job.written
        # The next row is the last: a list gives up its end for nothing.
        self._queue = [_Row(index, number) for index in part for number in range(len(job.requests[index].seeds))][::-1]
        self._open: tuple[int, torch.Tensor, torch.Tensor] | None = None  # a request with rows admitted and waiting
        self._free_seats = list(seats)
        self._seated: dict[int, _Row] = {}
        self._done: dict[int, dict[int, Completion]] = {index: {} for index in part}
        none = torch.zeros(0, dtype=torch.int64, device=job.device)
        # Of each live row, by slot: its seat, its last token, that token's position, and how many it has written.
        self._seats, self._tokens, self._positions, self._counts = none, none, none, none

    def run(self, finished: Finished, leave: int = 0) -> None:
        """Write all rows, or until none waits and at most ``leave`` are being written. finished: see Engine.generate."""
        slots = len(self._seats_given)
        for index in self._done:
            if not self._requests[index].seeds:
                finished(index, [])
        while self._queue or len(self._seats) > leave:
            signals.check()
            free = slots - len(self._seats)
            if self._queue and (free >= REFILL_SHARE * slots or len(self._queue) <= free):
                logits = self._admit(free)
            else:
                logits = self._step(self._tokens, self._positions)
            self._draw(logits)
            self._retire(finished)

    def take(self, other: "ContinuousBatch") -> None:
        """Go on with the rows that another batch has left, whose cache is the part of this one's at its seats."""
        count, held = len(other._seats), len(self._seats)
        if count:
            slots = torch.arange(count, device=self._device)
            self._cache.move(slots + other._seats_given.start, slots + held, int(other._positions.max()) + 1)
        self._seats = torch.cat([self._seats, other._seats])
        self._tokens = torch.cat([self._tokens, other._tokens])
        self._positions = torch.cat([self._positions, other._positions])
        self._counts = torch.cat([self._counts, other._counts])
        self._seated |= other._seated
        self._done |= {index: done for index, done in other._done.items() if self._requests[index].seeds}

    def _draw(self, logits: torch.Tensor) -> None:
        """One more token for the last rows, as many as there are logits (n, V)."""
        start = len(self._seats) - len(logits)
        seats, counts = self._seats[start:], self._counts[start:]
        drawn = self._sampler.draw(logits, seats, counts)
        self._written.append(seats, counts, drawn)
        self._tokens[start:] = drawn.tokens
        self._positions[start:] += 1
        self._counts[start:] += 1

    def _admit(self, count: int) -> torch.Tensor:
        """Give waiting rows a seat and a slot after the live ones, and read their prompts. Returns their logits (n, V)."""
        rows = [self._queue.pop() for _ in range(min(count, len(self._queue)))]
        seats = [self._free_seats.pop() for _ in rows]
        for seat, row in zip(seats, rows, strict=True):
            self._seated[seat] = row
            request = self._requests[row.request]
            self._sampler.reseed(seat, request.seeds[row.number], request.begun)
            self._written.begin(seat, request)
        first = len(self._seats)
        lengths = [len(self._requests[row.request].prompt_ids) for row in rows]
        zeros = torch.zeros(len(rows), dtype=torch.int64, device=self._device)
        self._seats = torch.cat([self._seats, torch.tensor(seats, device=self._device)])
        self._tokens, self._counts = torch.cat([self._tokens, zeros]), torch.cat([self._counts, zeros])
        self._positions = torch.cat([self._positions, torch.tensor(lengths, device=self._device) - 1])
        return self._prefill(
            [(index, len(list(group))) for index, group in groupby(row.request for row in rows)], first
        )

    def _prefill(self, admitted: list[tuple[int, int]], slot: int) -> torch.Tensor:
        """Read the prompts of admitted requests (index, number of rows) into the slots from one on: logits of the rows."""
        found = []
        if self._open is not None and self._open[0] == admitted[0][0]:
            _, prompt, logits = self._open
            count = admitted.pop(0)[1]
            self._cache.fill(slice(slot, slot + count), prompt)
            found.append(logits.expand(count, -1))
            slot += count
        while admitted:
            signals.check()
            # Requests are in order of length, so the last is the longest.
            part = 1
            while part < len(admitted) and (part + 1) * self._length(admitted[part][0]) <= PREFILL_TOKENS:
                part += 1
            found.append(self._read(admitted[:part], slot))
            slot += len(found[-1])
            last, admitted = admitted[part - 1][0], admitted[part:]
            if not admitted and self._queue and self._queue[-1].request == last:
                self._open = last, self._cache.read(slot - 1, self._length(last)), found[-1][-1:].clone()
        return torch.cat(found)

    def _read(self, admitted: list[tuple[int, int]], slot: int) -> torch.Tensor:
        """Read some prompts in one forward pass: the logits of their rows."""
        lengths = [self._length(index) for index, _ in admitted]
        ids = np.zeros((len(admitted), max(lengths)), dtype=np.int64)
        for row, (index, _) in enumerate(admitted):
            ids[row, : lengths[row]] = self._requests[index].prompt_ids
        prompt_of = torch.tensor([row for row, (_, count) in enumerate(admitted) for _ in range(count)])
        prompt_of = prompt_of.to(self._device)
        there = (torch.from_numpy(ids).to(self._device), torch.tensor(lengths, device=self._device))
        return self._decoder.prefill(*there, self._cache, slot, prompt_of)[prompt_of]

    def _length(self, request: int) -> int:
        return len(self._requests[request].prompt_ids)

    def _retire(self, finished: Finished) -> None:
        """Take out the rows that are done, and move the last rows into the slots that they leave."""
        over = self._written.over(self._seats)
        if not bool(over.any()):
            return
        seats = self._seats[over].tolist()
        left = len(self._seats) - len(seats)
        holes, movers = over[:left].nonzero().squeeze(-1), (~over[left:]).nonzero().squeeze(-1) + left
        if len(holes):
            self._cache.move(movers, holes, int(self._positions.max()))
        for state in (self._seats, self._tokens, self._positions, self._counts):
            state[holes] = state[movers]
        self._seats, self._tokens = self._seats[:left], self._tokens[:left]
        self._positions, self._counts = self._positions[:left], self._counts[:left]
        self._hand_over(seats, finished)

    def _hand_over(self, seats: list[int], finished: Finished) -> None:
        """Note what was written at some seats, free them, and tell of the requests that are complete."""
        rows = [self._seated.pop(seat) for seat in seats]
        prompts = [self._requests[row.request].prompt_ids for row in rows]
        self._free_seats.extend(seats)
        for row, completion in zip(rows, self._written.completions(seats, prompts), strict=True):
            done = self._done[row.request]
            done[row.number] = completion
            if len(done) == len(self._requests[row.request].seeds):
                del self._done[row.request]
                finished(row.request, [done[number] for number in sorted(done)])
