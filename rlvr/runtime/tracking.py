"""TensorBoard, Weights & Biases and trackio of a run, each with the rows of metrics.jsonl, all in the run directory."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import IO

from rlvr.errors import MissingExtraError
from rlvr.runtime.following import FINISH_SECONDS
from rlvr.runtime.own_process import command, environment

REMEDY = "the run goes on, and metrics.jsonl has all"


def require_trackers(names: Sequence[str]) -> None:
    """MissingExtraError if the package of a tracker, which has its name, is not installed."""
    for name in names:
        try:
            metadata.distribution(name)
        except metadata.PackageNotFoundError:
            raise MissingExtraError("track", name, "track") from None


@contextlib.contextmanager
def tracked(run: Path, names: Sequence[str], say: Callable[[str], None]) -> Iterator[None]:
    """Inside, the rows of a run's metrics.jsonl are tracked by another process; the end of the block waits for the last ones.

    The file must hold the rows that the run goes on from, and no others. say: shows one line, from any thread; nothing that
    goes wrong with a tracker is more than that.
    """
    if not names:
        yield
        return
    try:
        process = _start(run, names)
    except OSError as error:
        say(f"warning: tracking cannot start ({error.strerror}); {REMEDY}")
        yield
        return
    assert process.stdin is not None
    assert process.stdout is not None
    listener = threading.Thread(target=_pass_on, args=(process.stdout, say), daemon=True)
    listener.start()
    try:
        yield
    finally:
        process.stdin.close()
        if not _ended_well(process):
            say(f"warning: tracking ended before the last rows; {REMEDY}")
        listener.join()
        process.stdout.close()


def _start(run: Path, names: Sequence[str]) -> subprocess.Popen[str]:
    """The process, in a session of its own: a Ctrl-C at the terminal is not for it."""
    return subprocess.Popen(
        command("rlvr.runtime.following", *names),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=run,
        start_new_session=True,
        env=environment(),
    )


def _pass_on(lines: IO[str], say: Callable[[str], None]) -> None:
    for line in lines:
        say(f"warning: {line.rstrip()}; {REMEDY}")


def _ended_well(process: subprocess.Popen[str]) -> bool:
    """Wait for the process, which ends by itself in FINISH_SECONDS; it is killed if it does not."""
    try:
        return process.wait(FINISH_SECONDS + 10) == 0
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return False
