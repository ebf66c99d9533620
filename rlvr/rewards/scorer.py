"""Scores attempts: the cheap graders here, those that could hang or die in processes that can be ended."""

import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from types import TracebackType
from typing import Any, Self

from rlvr.config import GymRewardConfig, MathConfig, OwnConfig, RewardConfig, TextAnswerConfig
from rlvr.errors import RlvrError
from rlvr.gym_entries import require_gym
from rlvr.rewards import math_verify
from rlvr.rewards.attempt import Attempt
from rlvr.rewards.components import Components
from rlvr.rewards.processes import LostProcessError, ScoringProcess
from rlvr.rewards.verdict import Reason, Verdict
from rlvr.runtime.own_process import processors

Verdicts = dict[str, Verdict]
"""Each component's verdict by name; those that do not apply are absent."""

APART = ("math", "code", "regex", "gym", "own")
"""Components that are always scored in processes of their own; a pattern of the user's for finding the answer is, too."""

PATIENCE_SECONDS = 600.0
"""A grader of ours is bounded by what it counts, not by a clock; after this long something is broken."""
FOREIGN_SECONDS = 5.0
"""For math-verify and patterns of the user's, whose time has no other bound."""
MAX_PROCESSES = 32


class Scorer:
    """Scores attempts by every component of a reward; a context manager that ends its processes.

    Processes start when there is work for them, one a usable core at most. One that dies or takes too long is
    replaced, and only the component and attempt it was at are charged, with the reasons error and timeout.
    Noise is no business of a scorer's: its verdicts are the true ones.
    """

    def __init__(self, config: RewardConfig) -> None:
        self._names = [name for name, _ in config.components()]
        self._config = config
        self._here = None if _apart(config) else Components(config)
        self._limits = {name: _seconds(name, component) for name, component in config.components()}
        self._threads = ThreadPoolExecutor(_processes(), thread_name_prefix="scoring") if self._here is None else None
        self._lock = threading.Lock()
        self._idle: list[ScoringProcess] = []
        self._all: set[ScoringProcess] = set()
        self._closed = False
        if config.math is not None and config.math.verifier == "math_verify":
            math_verify.require()
        if config.gym is not None:
            require_gym("reward.gym")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._threads is None:
            return
        with self._lock:
            self._closed = True
            for process in self._all:
                process.kill()
        self._threads.shutdown(cancel_futures=True)
        for process in self._all:
            process.end()

    def submit(self, attempt: Attempt) -> Future[Verdicts]:
        """Start scoring; the result raises ValueError for a gold answer that cannot be read, RlvrError for broken input."""
        if self._here is None:
            assert self._threads is not None
            return self._threads.submit(self._score, attempt)
        future: Future[Verdicts] = Future()
        try:
            future.set_result(_present({name: self._here.verdict(name, attempt) for name in self._names}))
        except (ValueError, RlvrError) as error:
            future.set_exception(error)
        return future

    def verdicts(self, attempts: Sequence[Attempt]) -> list[Verdicts]:
        """The verdicts on attempts, in their order."""
        return [future.result() for future in [self.submit(attempt) for attempt in attempts]]

    def _score(self, attempt: Attempt) -> Verdicts:
        return _present({name: self._ask(name, attempt) for name in self._names})

    def _ask(self, name: str, attempt: Attempt) -> Verdict | None:
        """One component's verdict from a process."""
        process = self._take()
        try:
            reply = process.ask({"component": name, "attempt": asdict(attempt)}, self._limits[name])
        except LostProcessError as lost:
            self._forget(process)
            if name == "own":
                return self._own_failed(str(lost), attempt, Reason.TIMEOUT if lost.hung else Reason.ERROR)
            return Verdict(reward=0.0, reason=Reason.TIMEOUT if lost.hung else Reason.ERROR)
        with self._lock:
            self._idle.append(process)
        return self._read(reply, attempt)

    def _take(self) -> ScoringProcess:
        """An idle process, or a new one. RlvrError if it finds the configuration wrong."""
        with self._lock:
            if self._closed:
                raise RuntimeError("the scorer is closed")
            if self._idle:
                return self._idle.pop()
            process = ScoringProcess(show_output=self._config.own is not None)
            self._all.add(process)  # from now on whoever closes the scorer ends it, though it may never answer
        try:
            started = process.start(self._config.model_dump(exclude_none=True))
        except LostProcessError as lost:
            self._forget(process)
            raise RlvrError("reward", f"a scoring process {lost} while it started", remedy=_START_REMEDY) from None
        if "refused" in started:
            process.end()
            self._forget(process)
            raise _refused(started)
        return process

    def _forget(self, process: ScoringProcess) -> None:
        """A process that is gone."""
        with self._lock:
            self._all.discard(process)

    def _read(self, reply: dict[str, Any], attempt: Attempt) -> Verdict | None:
        if "bug" in reply:
            raise RuntimeError(f"a scoring process failed:\n{reply['bug']}")
        if "gold" in reply:
            raise ValueError(reply["gold"])
        if "refused" in reply:
            raise _refused(reply)
        if "failed" in reply:
            return self._own_failed(reply["failed"], attempt, Reason.ERROR)
        verdict = reply["verdict"]
        if verdict is None:
            return None
        return Verdict(reward=verdict["reward"], reason=Reason(verdict["reason"]), extracted=verdict["extracted"])

    def _own_failed(self, what: str, attempt: Attempt, reason: Reason) -> Verdict:
        """The charge for what went wrong in the user's function, or RlvrError if that is to stop the run."""
        own = self._config.own
        assert own is not None
        if own.on_error == "zero":
            return Verdict(reward=0.0, reason=reason)
        line = f", line {attempt.metadata['line']}" if "line" in attempt.metadata else ""
        limit = f" (reward.own.seconds: {own.seconds:g})" if reason is Reason.TIMEOUT else ""
        raise RlvrError(
            f"reward.own: {own.file}: {own.function}",
            f"{what}{limit} for the response {attempt.response[:60]!r} to {attempt.question[:60]!r}{line}",
            remedy="mend the function, or set reward.own.on_error: zero",
        )


_START_REMEDY = "see what it printed above; a function of yours must be quick to import"


def _refused(reply: dict[str, Any]) -> RlvrError:
    where, _, what = str(reply["refused"]).partition(": ")
    return RlvrError(where, what)


def _present(found: dict[str, Verdict | None]) -> Verdicts:
    return {name: verdict for name, verdict in found.items() if verdict is not None}


def _apart(config: RewardConfig) -> bool:
    """Whether a reward has a component that could hang or die."""
    return any(
        name in APART or (isinstance(component, TextAnswerConfig) and component.pattern is not None)
        for name, component in config.components()
    )


def _seconds(name: str, component: object) -> float:
    """How long one verdict of a component may take."""
    if isinstance(component, OwnConfig | GymRewardConfig):
        return component.seconds
    if isinstance(component, MathConfig) and component.verifier == "math_verify":
        return FOREIGN_SECONDS
    if name == "regex" or (isinstance(component, TextAnswerConfig) and component.pattern is not None):
        return FOREIGN_SECONDS
    return PATIENCE_SECONDS


def _processes() -> int:
    return min(MAX_PROCESSES, processors())
