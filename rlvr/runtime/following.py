"""A process that follows a run's metrics.jsonl and keeps trackers' files of it (``python -m rlvr.runtime.following NAME…``).

The present folder is the run directory. Standard input ends with the run, or with whoever started this process: then the rest is
written, and this process ends. Standard output has one line for each tracker that failed. What the libraries do here (their threads,
random numbers, handlers of signals, chatter) is nothing to the training.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO, TextIO

from rlvr.config_file import read_mapping
from rlvr.runtime.files import write_jsonl
from rlvr.runtime.foreign import Foreign
from rlvr.runtime.metrics import Row
from rlvr.runtime.trackers import FOLDER, TRACKERS, Tracked, Tracker
from rlvr.runtime.written import NUMBER, read_lines

SECONDS_BETWEEN = 0.5
"""Between two looks at the file."""

FINISH_SECONDS = 30.0
"""In which what is left must be written once the run has ended: a server that does not answer is not waited for longer."""

LOCK, TIMES, METRICS, CONFIG = FOLDER / ".lock", FOLDER / "times.jsonl", Path("metrics.jsonl"), Path("config.yaml")


def main(names: Sequence[str]) -> None:
    """Follow the run in the present folder with the trackers of these names until standard input ends."""
    told = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # where the libraries' chatter goes
    ended = threading.Event()
    threading.Thread(target=_wait_for_end, args=(ended,), daemon=True).start()
    with Foreign() as call:
        FOLDER.mkdir(exist_ok=True)
        with LOCK.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # the process before this one may still write what was left
            _follow([Guarded(name, told) for name in names], ended)
    if call.error is not None:
        _tell(told, "the trackers", call.error)


def _wait_for_end(ended: threading.Event) -> None:
    """Say that standard input has ended, and end a process that hangs over it."""
    while os.read(0, 4096):
        pass
    ended.set()
    time.sleep(FINISH_SECONDS)
    os._exit(1)


def _follow(trackers: Sequence[Guarded], ended: threading.Event) -> None:
    with METRICS.open("rb") as file:
        times, new, going = Times(TIMES), NewRows(file), True
        while going and any(tracker.works for tracker in trackers):
            going = not ended.wait(SECONDS_BETWEEN)  # the last look is after the end
            if rows := times.of(new.read()):
                for tracker in trackers:
                    tracker.write(rows)
    for tracker in trackers:
        tracker.finish()


class Guarded:
    """A tracker with nothing in its folder yet, until its first fault: that is told, and the tracker is let go."""

    def __init__(self, name: str, told: TextIO) -> None:
        self._name, self._told = name, told
        self._tracker: Tracker | None = None
        self._do(self._begin)

    @property
    def works(self) -> bool:
        return self._tracker is not None

    def write(self, rows: Sequence[Tracked]) -> None:
        if self._tracker is not None:
            self._do(partial(self._tracker.write, rows))

    def finish(self) -> None:
        if self._tracker is not None:
            self._do(self._tracker.finish)

    def _begin(self) -> None:
        folder = FOLDER / self._name
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir()
        self._tracker = TRACKERS[self._name](folder, Path.cwd().name, read_mapping(CONFIG))

    def _do(self, work: Callable[[], None]) -> None:
        with Foreign() as call:
            work()
        if call.error is not None:
            self._tracker = None
            _tell(self._told, self._name, call.error)


class Times:
    """When the row of each step was first seen, kept in a file: what is written anew says when it was, not when it was written."""

    def __init__(self, file: Path) -> None:
        self._file = file
        lines = read_lines(file, {"step": int, "time": NUMBER})
        self._before: dict[int, float] | None = {line["step"]: line["time"] for line in lines}

    def of(self, rows: Sequence[Row]) -> list[Tracked]:
        """The rows with their times. The first call is about all that the run goes on from; other steps are forgotten."""
        now, known = time.time(), self._before or {}
        tracked = []
        for row in rows:
            step = int(row["step"] or 0)
            values = {name: value for name, value in row.items() if name != "step"}
            tracked.append(Tracked(step=step, time=known.get(step, now), values=values))
        lines = [{"step": row.step, "time": row.time} for row in tracked]
        if self._before is not None:
            write_jsonl(self._file, lines)
            self._before = None
        else:
            with self._file.open("a", encoding="utf-8") as file:
                file.writelines(json.dumps(line) + "\n" for line in lines)
        return tracked


class NewRows:
    """The rows of an open metrics.jsonl, as they come; half a line is left for the next time."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._half = file, b""

    def read(self) -> list[Row]:
        """The whole rows since the last call."""
        *whole, self._half = (self._half + self._file.read()).split(b"\n")
        return [json.loads(line) for line in whole]


def _tell(told: TextIO, who: str, error: Exception) -> None:
    """One line about a fault. That nobody reads it any more changes nothing."""
    with Foreign():
        text = " ".join(str(error).split())[:300]
        print(f"{who} stopped tracking ({type(error).__name__}: {text})", file=told, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
