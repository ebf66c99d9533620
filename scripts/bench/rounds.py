"""The sides of a comparison as processes that are asked in turn, and what they took."""

import argparse
import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

SCRIPTS = Path(__file__).resolve().parent.parent
MIB_OF_KIB = 1 / 1024


@dataclass(frozen=True, kw_only=True)
class Contender:
    """A side: its name in tables, its module in this package, the Python that has what it needs, and what it is told at the start."""

    name: str
    module: str
    python: str = sys.executable
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Seconds and useful tokens of each round, and the peak memory in MiB (None where the system does not tell).

    device_mib: of the device that it computes on, where that has memory of its own.
    """

    seconds: list[float] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    peak_mib: float | None = None
    device_mib: float | None = None

    @property
    def median(self) -> float:
        """Seconds of a round."""
        return statistics.median(self.seconds)


class Side:
    """A contender's process and what it starts, stopped while it is not its turn; as a context manager it ends.

    Some peers' processes would otherwise spin while they wait, on the cores that another side is measured on.
    """

    def __init__(self, contender: Contender, threads: int | None) -> None:
        """Start it and wait until it is ready. threads: of its arithmetic; None leaves that to each side."""
        self.name = contender.name
        self.device_mib: float | None = None
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115  # closed in __exit__
        self._process = subprocess.Popen(
            [contender.python, "-P", "-m", f"bench.{contender.module}", *contender.arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            env=_environment(threads),
            process_group=0,
        )

    def __enter__(self) -> Self:
        self._answer()
        self._signal(signal.SIGSTOP)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._signal(signal.SIGCONT)
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            self._process.wait()
        self._log.close()

    def ask(self, line: str) -> tuple[float, int]:
        """One turn: its seconds and its useful tokens."""
        assert self._process.stdin is not None
        self._signal(signal.SIGCONT)
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        found = self._answer()
        self._signal(signal.SIGSTOP)
        return found

    def peak_mib(self) -> float | None:
        """Peak resident memory since the start, of the process and the processes that it started and still has, added up."""
        peaks = [_peak_kib(pid) for pid in _with_children(self._process.pid)]
        return sum(peaks) * MIB_OF_KIB if any(peaks) else None

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def _answer(self) -> tuple[float, int]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._log.seek(0)
            sys.exit(f"error: {self.name} ended by itself:\n{self._log.read()[-3000:]}")
        told = json.loads(line)
        self.device_mib = told["device_mib"]
        return told["seconds"], told["tokens"]


@contextlib.contextmanager
def running(contenders: Sequence[Contender], threads: int | None) -> Iterator[list[Side]]:
    """The sides of contenders, started together and all ready."""
    started = [Side(contender, threads) for contender in contenders]
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(side) for side in started]


def warm_up(sides: Sequence[Side], line: str) -> None:
    """A round that does not count."""
    for side in sides:
        side.ask(line)


def alternate(sides: Sequence[Side], line: str, rounds: int, *, at_most: float = float("inf")) -> list[Measured]:
    """What each side takes for the same work; all sides work in turn in each round.

    Every second round goes backwards, so that no side always follows the same one. at_most: seconds after which no further round
    begins, though there is always one.
    """
    found = [Measured() for _ in sides]
    for number in range(rounds):
        for index in range(len(sides))[:: -1 if number % 2 else 1]:
            seconds, tokens = sides[index].ask(line)
            found[index].seconds.append(seconds)
            found[index].tokens.append(tokens)
        if sum(sum(each.seconds) for each in found) > at_most:
            break
    return [
        Measured(seconds=each.seconds, tokens=each.tokens, peak_mib=side.peak_mib(), device_mib=side.device_mib)
        for each, side in zip(found, sides, strict=True)
    ]


def chosen(*allowed: str) -> Callable[[str], list[str]]:
    """An option's value: some of the names that are allowed, with commas between them."""

    def parse(text: str) -> list[str]:
        if unknown := [name for name in text.split(",") if name not in allowed]:
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: unknown (allowed: {', '.join(allowed)})")
        return text.split(",")

    return parse


def program(text: str) -> str:
    """An option's value: a Python that is there."""
    if not os.access(text, os.X_OK):
        raise argparse.ArgumentTypeError(f"{text}: no such program; name the python of an environment, env/bin/python")
    return text


def row(cells: Sequence[object]) -> None:
    """Print a row of a Markdown table."""
    print("| " + " | ".join(str(cell) for cell in cells) + " |", flush=True)


def head(names: Sequence[str]) -> None:
    """Print the head of a Markdown table."""
    row(names)
    print("|" + "---|" * len(names), flush=True)


def mib(peak: float | None) -> str:
    """Peak memory for a table."""
    return "?" if peak is None else f"{peak:,.0f}"


def _environment(threads: int | None) -> Mapping[str, str]:
    """A side's environment: this package can be imported, idle threads sleep, and nothing is fetched."""
    own = {
        "OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY", "passive"),
        "PYTHONPATH": os.pathsep.join([str(SCRIPTS), *filter(None, [os.environ.get("PYTHONPATH")])]),
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
    return {**os.environ, **own, **({} if threads is None else {"OMP_NUM_THREADS": str(threads)})}


def _with_children(pid: int) -> list[int]:
    """A process and all that come from it."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [pid]
    for each in found:
        found.extend(parents.get(each, []))
    return found


def _peak_kib(pid: int) -> int:
    """Linux' high-water mark of a process's resident memory; 0 where there is none."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")), 0)
