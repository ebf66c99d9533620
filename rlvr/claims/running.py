"""Makes the runs of claims, several at a time, each on one thread: what is finished is kept, what was interrupted goes on. No torch."""

from __future__ import annotations

import contextlib
import json
import selectors
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from rlvr.claims.jobs import Job
from rlvr.errors import RlvrError, TrainingStoppedError
from rlvr.runtime import signals
from rlvr.runtime.own_process import command, environment

LOOK_EVERY = 0.5
"""Seconds between looks for a signal."""

Tell = Callable[[Job, int, int], None]
"""Told of every run that is finished: how many are, and of how many."""


class Worker:
    """A process of ``rlvr.claims.worker``, in a session of its own: a Ctrl-C at the terminal is not for it."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            command("rlvr.claims.worker"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # each run has a log of its own
            text=True,
            start_new_session=True,
            env=environment(),
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.stdin, self.stdout = self.process.stdin, self.process.stdout
        self.job: Job | None = None

    def begin(self, job: Job) -> None:
        """Have a run made."""
        self.job = job
        settings = list(job.settings)
        asked = {"file": str(job.file), "settings": settings, "run": str(job.path), "log": str(log_of(job))}
        self.stdin.write(json.dumps(asked) + "\n")
        self.stdin.flush()

    def ended(self) -> tuple[Job, dict[str, str]]:
        """The run that was asked for and how it ended. A mistake of ours, which ended the process, is raised."""
        assert self.job is not None
        job, self.job = self.job, None
        line = self.stdout.readline()
        if not line:
            log = log_of(job)
            said = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
            raise RuntimeError(
                f"a run ended without an answer ({''.join(said[-1:])}); all that it said is in {log_of(job)}"
            )
        return job, json.loads(line)

    def end(self) -> None:
        """Have it save what it is making, and end."""
        self.process.terminate()
        with contextlib.suppress(BrokenPipeError):
            self.stdin.close()
        self.process.wait()
        self.stdout.close()


def log_of(job: Job) -> Path:
    """Where what a run says is kept."""
    return job.path.with_name(f"{job.path.name}.log")


def make(jobs: Sequence[Job], count: int, tell: Tell) -> dict[str, str]:
    """Make all runs, those that others start from before these; of those whose training had to stop, why, by key.

    jobs: as ``in_order`` gives them. count: of processes. A run that starts from a stopped one goes on from its last checkpoint, or
    is stopped too if there is none. Raises RlvrError if a run is refused, TrainingStoppedError if one cannot be written, which says
    nothing about the claim, and StopRequestedError at a signal, when all is saved.
    """
    waiting, done, stopped = {job.key: job for job in jobs}, set[str](), dict[str, str]()
    for folder in {job.path.parent for job in jobs}:
        _make_folder(folder)
    with signals.watched(), _workers(min(count, len(jobs))) as (idle, selector):
        while len(done) < len(jobs):
            while idle and (job := _ready(waiting, done)) is not None:
                worker = idle.pop()
                worker.begin(waiting.pop(job.key))
                selector.register(worker.stdout, selectors.EVENT_READ, worker)
            for key, _ in selector.select(LOOK_EVERY):
                selector.unregister(key.fileobj)
                idle.append(key.data)
                job, ended = key.data.ended()
                if job.start is not None and job.start.key in stopped and "refused" in ended:
                    ended = {"stopped": f"it starts from a run that stopped: {ended['refused']}"}
                if "refused" in ended:
                    raise RlvrError(str(log_of(job)), ended["refused"])
                if "unwritten" in ended:
                    raise TrainingStoppedError(ended["unwritten"])
                if "stopped" in ended:
                    stopped[job.key] = ended["stopped"]
                done.add(job.key)
                tell(job, len(done), len(jobs))
            signals.check()
    return stopped


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RlvrError(str(folder), f"cannot be made: {error.strerror}", remedy="choose another with --out") from None


def _ready(waiting: dict[str, Job], done: set[str]) -> Job | None:
    """The first run that can begin."""
    return next((job for job in waiting.values() if job.start is None or job.start.key in done), None)


@contextlib.contextmanager
def _workers(count: int) -> Iterator[tuple[list[Worker], selectors.BaseSelector]]:
    workers = [Worker() for _ in range(count)]
    try:
        with selectors.DefaultSelector() as selector:
            yield list(workers), selector
    finally:
        for worker in workers:
            worker.end()
