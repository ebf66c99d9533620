"""Work on several Python threads: on a CPU small products are done faster side by side than each shared among all processors."""

import contextlib
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

import torch

Tell = Callable[..., None]
"""Takes what a work found, as soon as it has it."""
Work = Callable[[Tell], None]

MAX_WORKERS = 4
"""Python itself runs in one thread at a time, so more would wait for each other."""
CACHED_BYTES = 32 * 2**20
"""Weights of more than this are read from memory again and again, which several threads would do at once."""


def most_workers(device: torch.device) -> int:
    """On how many threads to work side by side at most."""
    return min(MAX_WORKERS, torch.get_num_threads()) if device.type == "cpu" else 1


def deal(sizes: Sequence[int], parts: int) -> list[list[int]]:
    """The indices of works, of like total size in each part; the same for the same sizes.

    They are dealt to and fro, 0 1 1 0 0 1 …: a part would else get all of those that are special at every other place.
    """
    order = sorted(range(len(sizes)), key=sizes.__getitem__)
    dealt: list[list[int]] = [[] for _ in range(parts)]
    for place, index in enumerate(order):
        turn, part = divmod(place, parts)
        dealt[part if turn % 2 == 0 else parts - 1 - part].append(index)
    return dealt


def side_by_side(works: Sequence[Work], told: Tell, *, openmp: int) -> None:
    """Do every work, at most MAX_WORKERS, on a thread of its own, with so many of OpenMP's threads; ``told`` is called on the
    caller's.

    What a work raises is raised here, once all threads have stopped.
    """
    found: queue.SimpleQueue[tuple[Any, ...] | None] = queue.SimpleQueue()
    stopped = threading.Event()
    threads, context = torch.get_num_threads(), _context()

    def tell(*what: Any) -> None:
        if stopped.is_set():
            raise _StoppedError
        found.put(what)

    def do(work: Work) -> None:
        torch.set_num_threads(openmp)
        with context(), contextlib.suppress(_StoppedError):
            work(tell)

    def ended(future: Future[None]) -> None:
        if future.exception() is not None:
            stopped.set()
        found.put(None)

    futures = [_pool.submit(do, work) for work in works]
    for future in futures:
        future.add_done_callback(ended)
    try:
        for _ in works:
            while (what := found.get()) is not None:
                told(*what)
    finally:
        stopped.set()
        wait(futures)
        torch.set_num_threads(threads)  # parts of what a thread sets hold for all of them
    for future in futures:
        future.result()


_pool = ThreadPoolExecutor(MAX_WORKERS)
"""Kept, since a thread that begins when memory is short can die before anybody is told."""


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
