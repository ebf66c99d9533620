"""Decoding on several threads: small products are done faster side by side than each shared among all processors."""

import contextlib
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import torch

from rlvr.rollout.engine import Finished
from rlvr.runtime.device import openmp_sleeps
from rlvr.types import Completion, Request

Work = Callable[[Finished], None]
"""Completes some requests and tells of each, by its index among all."""

MAX_WORKERS = 4
"""Python itself runs in one thread at a time, so more would wait for each other."""
ROWS_EACH = 16
"""Fewer rows than this a thread are not worth a thread: threads that run many small products mostly wait for each other in Python."""
CACHED_BYTES = 32 * 2**20
"""Weights of more than this are read from memory at each token, which two threads would do twice."""


def workers_for(rows: int, *, parameter_bytes: int, device: torch.device) -> int:
    """On how many threads to decode so many rows: several only on a CPU, and if each has the weights in its cache or OpenMP's
    own threads would have to be woken for each product."""
    if device.type != "cpu" or (parameter_bytes > CACHED_BYTES and not openmp_sleeps()):
        return 1
    return max(1, min(MAX_WORKERS, torch.get_num_threads(), rows // ROWS_EACH))


def deal(requests: Sequence[Request], parts: int) -> list[list[int]]:
    """The indices of requests, of like total prompt length in each part; the same for the same requests.

    They are dealt to and fro, 0 1 1 0 0 1 …: a part would else get all of those that are special at every other place.
    """
    order = sorted(range(len(requests)), key=lambda index: len(requests[index].prompt_ids))
    dealt: list[list[int]] = [[] for _ in range(parts)]
    for place, index in enumerate(order):
        turn, part = divmod(place, parts)
        dealt[part if turn % 2 == 0 else parts - 1 - part].append(index)
    return dealt


def side_by_side(works: Sequence[Work], finished: Finished, *, openmp: int) -> None:
    """Do every work on a thread of its own, with so many of OpenMP's threads; ``finished`` is told on the caller's.

    What a work raises is raised here, once all threads have stopped.
    """
    told: queue.SimpleQueue[tuple[int, Sequence[Completion]] | None] = queue.SimpleQueue()
    stopped = threading.Event()
    threads, context = torch.get_num_threads(), _context()

    def tell(index: int, completions: Sequence[Completion]) -> None:
        if stopped.is_set():
            raise _StoppedError
        told.put((index, completions))

    def do(work: Work) -> None:
        torch.set_num_threads(openmp)
        with context(), contextlib.suppress(_StoppedError):
            work(tell)

    def ended(future: Future[None]) -> None:
        if future.exception() is not None:
            stopped.set()
        told.put(None)

    try:
        with ThreadPoolExecutor(len(works)) as pool:
            futures = [pool.submit(do, work) for work in works]
            for future in futures:
                future.add_done_callback(ended)
            try:
                for _ in works:
                    while (item := told.get()) is not None:
                        finished(*item)
            finally:
                stopped.set()
    finally:
        torch.set_num_threads(threads)  # parts of what a thread sets hold for all of them
    for future in futures:
        future.result()


class _StoppedError(Exception):
    """Nobody waits for what this thread does any more."""


def _context() -> Callable[[], contextlib.AbstractContextManager[None]]:
    """The caller's inference mode and autocast, which each thread has for itself."""
    inference, autocast = torch.is_inference_mode_enabled(), torch.is_autocast_enabled("cpu")
    dtype = torch.get_autocast_dtype("cpu")

    @contextlib.contextmanager
    def entered() -> Iterator[None]:
        with torch.inference_mode(inference), torch.autocast("cpu", dtype=dtype, enabled=autocast):
            yield

    return entered
