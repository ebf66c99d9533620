"""One scoring process as its owner sees it: asked a question, it answers in time or is ended."""

import contextlib
import json
import os
import selectors
import signal
import subprocess
import time
from typing import Any

from rlvr.runtime.own_process import command, environment

START_SECONDS = 120.0
"""For starting up, a user's own imports included."""
MAX_REPLY = 8 << 20
"""Bytes. No reply of ours is longer."""


class LostProcessError(Exception):
    """A scoring process did not answer. hung: it was still running when its time was over."""

    def __init__(self, *, hung: bool) -> None:
        super().__init__("took too long" if hung else "ended without an answer")
        self.hung = hung


class ScoringProcess:
    """A process of ``rlvr.rewards.worker``, in a session of its own: a Ctrl-C at the terminal is not for it.

    show_output: what graders print goes to our standard error, else nowhere.
    """

    def __init__(self, *, show_output: bool) -> None:
        self._process = subprocess.Popen(
            command("rlvr.rewards.worker"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None if show_output else subprocess.DEVNULL,
            start_new_session=True,
            env=environment(),
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._stdin, self._stdout = self._process.stdin, self._process.stdout
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._stdout, selectors.EVENT_READ)

    def start(self, reward: dict[str, Any]) -> dict[str, Any]:
        """The reply to the reward section, as JSON, that all questions are about. Raises LostProcessError like ``ask``."""
        return self.ask({"reward": reward}, START_SECONDS)

    def ask(self, question: dict[str, Any], seconds: float) -> dict[str, Any]:
        """The reply to a question. Raises LostProcessError, after which this process is gone."""
        try:
            self._stdin.write(json.dumps({**question, "seconds": seconds}).encode() + b"\n")
            self._stdin.flush()
            reply = json.loads(self._line(time.monotonic() + seconds))
        except (OSError, ValueError):
            self.end()
            raise LostProcessError(hung=False) from None
        except LostProcessError:
            self.end()
            raise
        if not isinstance(reply, dict):
            self.end()
            raise LostProcessError(hung=False)
        return reply

    def _line(self, deadline: float) -> bytes:
        got = bytearray()
        while not got.endswith(b"\n"):
            if not self._selector.select(max(0.0, deadline - time.monotonic())):
                raise LostProcessError(hung=True)
            part = os.read(self._stdout.fileno(), 1 << 16)
            if not part or len(got) > MAX_REPLY:
                raise LostProcessError(hung=False)
            got += part
        return bytes(got)

    def kill(self) -> None:
        """End the process and all that it started; whoever waits for its reply is told. From any thread."""
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def end(self) -> None:
        """Kill the process and give back what it holds; only when nobody waits for a reply. May be called again."""
        self.kill()
        self._selector.close()
        self._stdout.close()
        with contextlib.suppress(BrokenPipeError):
            self._stdin.close()
