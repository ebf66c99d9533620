"""What a person sees of a running stage: progress, the numbers that matter with their history, the last note, a fresh completion.

A view makes lines of text from what it was told and the size of a terminal; ``rlvr.runtime.screen`` draws them.
"""

from __future__ import annotations

import math
import re
import textwrap
import time
from collections.abc import Callable, Sequence
from threading import Lock

from rich.cells import chop_cells
from rich.text import Text

from rlvr.explain import over_modes
from rlvr.runtime.literal import on_one_line, printable
from rlvr.runtime.metrics import Row
from rlvr.runtime.sparkline import History, sparkline
from rlvr.types import Rollout

Fresh = Callable[[bool], Rollout | None]
"""Gives one of the newest rollouts, if there are any: a right one where True is asked for and there is one, else a wrong one."""

MOST_LINES = 12
"""Of a view: half of a small terminal, so that what was there before can still be read."""

NOTE_LINES, COMPLETION_LINES = 3, 3

NARROWEST = 24
"""Columns that a view is made for at least; a narrower terminal cuts its lines."""

BAR = 40
"""Columns of the progress bar at most."""

SECONDS_TO_READ = 4.0
"""A completion is shown for so long at least."""

SO_FAR = "so_far/"
"""Before the names of what an evaluation has measured on the problems that are done."""

MODE = "mode"
"""The probability of the mode whose advantage is highest, where there are several, else the share of right answers."""

FOLLOWED = (
    ("reward/mean", MODE, "rollout/length_mean", "entropy/mean", "signal/trained"),
    ("train/loss", "eval/documents/loss", "accuracy", "train/grad_norm", "tokens/second", "train/perplexity"),
    ("accuracy", "greedy_accuracy", "reward_mean", "length_mean", MODE),
)
"""The numbers to follow, the first five that are known, by the first of them: of rollouts, of documents, of an evaluation."""

MOST_NUMBERS = 5

LABELS = {
    "reward/mean": "reward",
    "rollout/length_mean": "length",
    "entropy/mean": "entropy",
    "signal/trained": "signal trained",
    "train/loss": "loss",
    "train/perplexity": "perplexity",
    "train/grad_norm": "gradient norm",
    "tokens/second": "tokens a second",
    "eval/documents/loss": "held-out loss",
    "accuracy": "accuracy",
    "greedy_accuracy": "greedy accuracy",
    "reward_mean": "reward",
    "length_mean": "length",
}
LABEL_CELLS, FIGURE_CELLS = 15, 11

SHARES = ("signal/trained", "accuracy", "greedy_accuracy")
"""Drawn from 0 to 1, as probabilities are; other numbers from their lowest to their highest."""

RUNNING = ("reward_mean", "length_mean")
"""Means over what is done, which do not change with time but become more certain."""

_MODE = re.compile(r"mode/.+/(advantage|probability(_low|_high)?)", re.DOTALL)


class View:
    """All that is known of a stage that runs. One thread may tell it while another one looks.

    rows: those that the stage goes on from. finished: only progress, numbers and the note are left to see.
    """

    def __init__(
        self,
        label: str,
        total: int,
        start: int = 0,
        rows: Sequence[Row] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._label, self._total, self._done = label, total, start
        self._clock, self._begin, self._told_at = clock, clock(), clock()
        self._seconds: float | None = None
        self._series: dict[str, History] = {}
        self._newest: dict[str, float | None] = {}
        self._fresh: Rollout | None = None
        self._fresh_at = float("-inf")
        self._lock = Lock()
        self._moded = 0  # rows with modes
        self.note = ""
        self.finished = self._stopping = False
        for row in rows:
            self._add(row)

    def update(self, step: int, row: Row, fresh: Fresh, seconds: float) -> None:
        """Take what a step has measured, if anything; a completion is asked for when the last one could be read. seconds: of a step."""
        now = self._clock()
        chosen = None
        if now - self._fresh_at >= SECONDS_TO_READ:
            chosen = fresh(self._fresh is None or not self._fresh.correct)
        with self._lock:
            self._done, self._seconds, self._told_at = step, seconds, now
            if row:
                self._add(row)
            if chosen is not None:
                self._fresh, self._fresh_at = chosen, now

    def stop_soon(self) -> None:
        """Say that a signal has come. For its handler: nothing is waited for."""
        self._stopping = True

    def _add(self, row: Row) -> None:
        self._newest = numbers(row)
        modes = list(filter(_is_probability, self._newest))
        for name in modes:
            if name not in self._series:  # no rollout was of that mode until now
                self._series[name] = History()
                for _ in range(self._moded):
                    self._series[name].add(0.0)
        if modes:
            self._newest |= {name: 0.0 for name in self._series if _is_probability(name) and name not in modes}
            self._moded += 1
        for name, value in self._newest.items():
            if value is not None:
                self._series.setdefault(name, History()).add(value)

    def lines(self, width: int, height: int) -> list[Text]:
        """The view in at most ``width`` cells a line and ``height`` lines, and never more than ``MOST_LINES``."""
        width, height = max(NARROWEST, width), max(1, min(height, MOST_LINES))
        with self._lock:
            found = [self._progress(width), *(self._number(name, width) for name in self._followed())][:height]
            found += self._noted(width, height - len(found))
            if not self.finished:
                found += self._completion(width, height - len(found))
        for line in found:
            line.truncate(width, overflow="ellipsis")
            line.rstrip()
        return found

    # ------------------------------------------------------------------------------------------------ its parts

    def _progress(self, width: int) -> Text:
        """How many steps are done, how fast, and how long it takes yet."""
        waited = self._clock() - self._told_at
        words = [f"{self._done}/{self._total}"]
        if self._seconds is not None:
            words.append(pace(self._seconds))
        if self.finished or self._done >= self._total:
            words.append(f"{duration(self._clock() - self._begin)} in all")
        elif self._stopping:
            words.append("stopping as soon as it is safe; Ctrl-C stops at once")
        elif self._seconds is not None:
            left = max(0.0, self._seconds * (self._total - self._done) - waited)
            words.append(f"{duration(left)} left")
        text = "  ".join(words)
        room = min(BAR, width - len(self._label) - len(text) - 3)
        line = Text(f"{printable(self._label)} ", style="bold", no_wrap=True)
        if room >= 5:
            done = room * self._done // max(1, self._total)
            line.append("━" * done, style="green").append("─" * (room - done), style="dim").append("  ")
        return line.append(text, style="not bold")

    def _followed(self) -> list[str]:
        """The names of the numbers to show."""
        names: Sequence[str] = next((names for names in FOLLOWED if names[0] in self._series), ())
        named = [self._telling_mode() if name == MODE else name for name in names]
        return [name for name in named if name in self._series][:MOST_NUMBERS]

    def _telling_mode(self) -> str:
        modes = list(filter(_is_probability, self._series))
        if len(modes) < 2:
            return "accuracy"
        return max(modes, key=lambda name: self._advantage(name))

    def _advantage(self, probability: str) -> float:
        series = self._series.get(probability.replace("/probability", "/advantage"))
        return series.mean if series is not None else -math.inf

    def _number(self, name: str, width: int) -> Text:
        """A number: its name, what it is now, its change since the beginning or its interval, and its history."""
        series = self._series[name]
        assert series.first is not None
        assert series.last is not None
        share = name in SHARES or _is_probability(name)
        label = f"P({name.split('/')[1]})" if _is_probability(name) else LABELS[name]
        now = "not finite" if self._newest.get(name, 0.0) is None else figure(series.last, share=share)
        low, high = self._newest.get(f"{name}_low"), self._newest.get(f"{name}_high")
        if low is not None and high is not None:
            beside = f"{low:.3f}–{high:.3f}"
        else:
            beside = "" if name in RUNNING else figure(series.last - series.first, share=share, sign="+")
        line = Text(no_wrap=True)
        label = on_one_line(label, LABEL_CELLS)
        line.append(label).append(" " * (LABEL_CELLS - Text(label).cell_len))
        line.append(f"{now:>{FIGURE_CELLS}}", style="bold").append(f"{beside:>{FIGURE_CELLS + 1}}", style="dim")
        room = max(1, width - LABEL_CELLS - 2 * FIGURE_CELLS - 3)
        bounds = (0.0, 1.0) if share else (None, None)
        return line.append(f"  {sparkline(series.columns(room), *bounds)}", style="cyan")

    def _noted(self, width: int, room: int) -> list[Text]:
        room = min(room, NOTE_LINES)
        if not self.note or room <= 0:
            return []
        text = printable(" ".join(self.note.split()))
        wrapped = textwrap.wrap(text, width, max_lines=room, placeholder=" …")
        return [Text(line, style="yellow", no_wrap=True) for line in wrapped]

    def _completion(self, width: int, room: int) -> list[Text]:
        """A fresh completion with its question and its verdict; nothing where there is no room for all three."""
        shown = self._fresh
        if shown is None or room < 3:
            return []
        room = min(room - 2, COMPLETION_LINES)
        cells = width - 9
        verdict = "right" if shown.correct else "wrong"
        rest = f", reward {shown.reward:.4g}, mode {shown.mode}, gold answer {on_one_line(shown.problem.answer, 20)}"
        head = Text("fresh    ", style="dim", no_wrap=True)
        head.append(verdict, style="not dim bold " + ("green" if shown.correct else "red"))
        head.append(on_one_line(rest, max(10, cells - len(verdict))), style="not dim")
        text = on_one_line(shown.text, room * (cells - 1)) if shown.text else "(nothing)"
        parts = [on_one_line(shown.problem.question, cells), *chop_cells(text, cells)[:room]]
        found = [head]
        for title, part in zip(("asked    ", "answered "), parts, strict=False):
            found.append(Text(title, style="dim", no_wrap=True).append(part, style="not dim"))
        return found + [Text(f"{'':9}{part}", no_wrap=True) for part in parts[2:]]


def numbers(row: Row) -> dict[str, float | None]:
    """What a view follows of a row, by name; None where it was not finite.

    accuracy: the share of right answers of the rollouts, else of the evaluation. tokens/second: of documents, evaluations
    apart.
    """
    found = {name.removeprefix(SO_FAR): value for name, value in row.items()}
    right = over_modes([row], "accuracy")
    tested = [name for name in row if name.startswith("eval/") and name.endswith("/accuracy") and "/mode/" not in name]
    if right is not None or tested:
        found["accuracy"] = right if right is not None else row[tested[0]]
    tokens, seconds = row.get("tokens/documents"), row.get("time/step_seconds")
    if tokens is not None and seconds is not None:
        found["tokens/second"] = tokens / max(1e-9, seconds - (row.get("time/eval_seconds") or 0.0))
    return {
        name: value if value is not None and math.isfinite(value) else None
        for name, value in found.items()
        if name.removesuffix("_low").removesuffix("_high") in LABELS or _MODE.fullmatch(name)
    }


def _is_probability(name: str) -> bool:
    return name.startswith("mode/") and name.endswith("/probability")


def figure(value: float, *, share: bool, sign: str = "") -> str:
    """A number in at most 11 characters: three decimals of a share, else four digits. sign: "+" to write it always."""
    if share:
        return f"{value:{sign}.3f}"
    return f"{value:{sign},.0f}" if 1e3 <= abs(value) < 1e7 else f"{value:{sign}.4g}"


def pace(seconds: float) -> str:
    """How fast steps go that take so many seconds each."""
    return f"{1 / seconds:.1f} step/s" if seconds < 1 else f"{seconds:.1f} s/step"


def duration(seconds: float) -> str:
    """A time as a person says it."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
