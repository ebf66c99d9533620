"""What a person sees while a stage runs, on stderr: a bar on a terminal, one plain line a step elsewhere."""

from __future__ import annotations

import contextlib
import sys
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from rlvr.runtime.metrics import Row

SHOWN = {
    "train/loss": "loss",
    "train/perplexity": "perplexity",
    "eval/documents/perplexity": "held-out perplexity",
    "reward/mean": "reward",
    "rollout/length_mean": "length",
}

PIPED_WIDTH = 120
"""Columns of what goes to a file or another program."""

WORTH_SAYING = 0.005
"""A share below this is 0.00."""


def printable(text: str) -> str:
    """Text with every control character but line ends made visible, so that it can do nothing to a terminal."""
    return "".join(c if c == "\n" or c.isprintable() else f"\\x{ord(c):02x}" for c in text)


def say(message: str) -> None:
    """A message as one line on stderr. That whoever reads it has gone, as a pipe's reader does at Ctrl-C, ends no run."""
    with contextlib.suppress(BrokenPipeError):
        print(printable(message.replace("\n", " ")), file=sys.stderr, flush=True)


def console() -> Console:
    """A console for tables, taken literally; stdout is kept for what programs read."""
    return Console(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=True)


def output() -> Console:
    """A console for what a person asked to read, on stdout, taken literally; wide where no terminal says how wide."""
    wide = Console(highlight=False, markup=False, emoji=False)
    if not wide.is_terminal:
        wide.width = PIPED_WIDTH
    return wide


def summary(row: Row) -> str:
    """The few numbers of a row that a person follows."""
    known = {name: value for name, value in row.items() if value is not None}
    parts = [f"{word} {known[name]:.4g}" for name, word in SHOWN.items() if name in known]
    parts += _signal(known)
    for name, value in known.items():
        if name.startswith("mode/") and name.endswith("/probability"):
            parts.append(f"P({name.split('/')[1]}) {value:.3f}")
        elif name.startswith("eval/") and name.endswith("accuracy") and "/mode/" not in name:
            parts.append(f"{name.removeprefix('eval/')} {value:.3f}")
    return "  ".join(parts)


def _signal(row: dict[str, float]) -> list[str]:
    """The share of sampled tokens that was trained, and where most of the rest went."""
    if "signal/trained" not in row:
        return []
    lost = {name.removeprefix("signal/"): share for name, share in row.items() if name.startswith("signal/")}
    trained = lost.pop("trained")
    why = max(lost, key=lambda name: lost[name])
    return [f"signal {trained:.2f}" + (f" ({why} {lost[why]:.2f})" if lost[why] >= WORTH_SAYING else "")]


class StepProgress:
    """Progress over numbered steps, with rate and time left."""

    def __init__(self, label: str, total: int, start: int = 0) -> None:
        self._label, self._total, self._start = label, total, start
        self._begin = time.monotonic()
        self._console = console()
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._bar = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(bar_width=24),
                MofNCompleteColumn(),
                TextColumn("{task.fields[rate]}", markup=False),
                TimeRemainingColumn(),
                TextColumn("{task.fields[text]}", markup=False),
                console=self._console,
            )
            self._task = self._bar.add_task(self._label, total=self._total, completed=self._start, rate="", text="")
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def say(self, text: str) -> None:
        """One line of its own, above the bar if there is one."""
        if self._bar is not None:
            self._console.print(text, markup=False)
        else:
            say(text)

    def update(self, step: int, text: str = "") -> None:
        """Say that ``step`` steps are done. step: at most the total."""
        seconds = (time.monotonic() - self._begin) / max(1, step - self._start)
        rate = f"{1 / seconds:.1f} step/s" if seconds < 1 else f"{seconds:.1f} s/step"
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=step, rate=rate, text=text)
        else:
            left = seconds * (self._total - step)
            say(f"{self._label} {step}/{self._total}  {text}  {rate}  {left:.0f} s left")
