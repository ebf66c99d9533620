"""What a person sees while a stage runs, on stderr: a view on a terminal (``live``), one plain line a step elsewhere."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console

from rlvr.runtime.literal import printable
from rlvr.runtime.live import Fresh, View, pace
from rlvr.runtime.metrics import Row
from rlvr.runtime.screen import Screen, can_be_drawn_on
from rlvr.runtime.signals import told_by

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
    """Progress over numbered steps, with rate and time left.

    rows: those that the steps go on from.
    """

    def __init__(self, label: str, total: int, start: int = 0, rows: Sequence[Row] = ()) -> None:
        self._label, self._total, self._start = label, total, start
        self._begin = time.monotonic()
        terminal = console()
        drawn = can_be_drawn_on(terminal)
        self._screen = Screen(View(label, total, start, rows), terminal) if drawn else None
        self._closing = contextlib.ExitStack()

    def __enter__(self) -> Self:
        if self._screen is not None:
            self._closing.callback(self._screen.stop)
            self._screen.start()
            self._closing.enter_context(told_by(self._screen.view.stop_soon))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.close()

    @property
    def drawn(self) -> bool:
        """Whether there is a view: without one it is not worth measuring what it alone shows."""
        return self._screen is not None

    def say(self, text: str) -> None:
        """One line of its own; a view has a place for it, and the line that was there goes above the view."""
        if self._screen is None:
            say(text)
        else:
            self._screen.note(text)

    def update(self, step: int, row: Row | None = None, fresh: Fresh = lambda _right: None) -> None:
        """Say that ``step`` steps are done. step: at most the total. row: what the last one measured."""
        row = row or {}
        seconds = (time.monotonic() - self._begin) / max(1, step - self._start)
        if self._screen is not None:
            self._screen.view.update(step, row, fresh, seconds)
        else:
            left = seconds * (self._total - step)
            say(f"{self._label} {step}/{self._total}  {summary(row)}  {pace(seconds)}  {left:.0f} s left")
