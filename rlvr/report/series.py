"""The metrics of a run as columns over its steps, its modes, and sentences about them. No torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from rlvr.report.plots import Line
from rlvr.report.runs import Run
from rlvr.report.wording import number
from rlvr.runtime.metrics import Row
from rlvr.statistics import wilson

Column = list[float | None]
"""A value for each row; None where there is none, or none that is finite."""

DRAWN = 6
"""Modes that have a line of their own; there may be hundreds, and no picture holds more."""

OTHERS = "others"
"""What the modes beyond those are called together."""

FEWEST = 5
"""Rollouts of a mode in a step, below which their mean is mostly chance."""

ENDS = 10
"""What a run began and ended with is the mean over a tenth of its steps, of at most so many: single steps are noisy."""

CLEAR = 4
"""Values at each end of which all are above all: of as many from one distribution, once in 35 times (rank-sum test, 2 / 70)."""


@dataclass(frozen=True)
class Series:
    """A run's rows, by metric. steps: of each row."""

    steps: list[float]
    columns: dict[str, Column]

    def column(self, name: str) -> Column:
        """A metric in every row."""
        return self.columns.get(name) or [None] * len(self.steps)

    def has(self, *names: str) -> bool:
        """Whether some row has a value of one of these."""
        return any(name in self.columns for name in names)

    def line(self, name: str, label: str) -> Line | None:
        """A metric as a line, with its interval where ``…_low`` and ``…_high`` were written; None if no row has it.

        What is measured at fewer than half of the steps, as evaluations are, has points at those alone.
        """
        if not self.has(name):
            return None
        values, places = self.column(name), list(range(len(self.steps)))
        known = [place for place in places if values[place] is not None]
        places = known if len(known) < len(places) / 2 else places
        low, high = self.column(f"{name}_low"), self.column(f"{name}_high")
        interval = self.has(f"{name}_low") and self.has(f"{name}_high")
        return Line(
            name=label,
            x=[self.steps[place] for place in places],
            values=[values[place] for place in places],
            low=[low[place] for place in places] if interval else None,
            high=[high[place] for place in places] if interval else None,
        )

    def lines(self, labels: dict[str, str]) -> list[Line]:
        """The lines of those metrics that the run has, by name with their labels."""
        return [line for name, label in labels.items() if (line := self.line(name, label)) is not None]

    def names(self, start: str, end: str = "") -> list[str]:
        """What stands between, of all metrics that begin and end so: modes, components, tasks."""
        return [
            name[len(start) : len(name) - len(end)]
            for name in self.columns
            if name.startswith(start) and name.endswith(end) and len(name) > len(start) + len(end)
        ]

    @cached_property
    def rollouts(self) -> Column:
        """How many rollouts each row is of, refills among them."""
        return self.rollouts_of("")

    def rollouts_of(self, part: str) -> Column:
        """How many rollouts of a part, ``task/NAME/`` of a mixture's, each row is of: all their tokens over their mean length."""
        pairs = zip(self.column(f"{part}tokens/rollout"), self.column(f"{part}rollout/length_mean"), strict=True)
        return [round(tokens / mean) if tokens and mean else None for tokens, mean in pairs]


def series_of(run: Run) -> Series:
    """A run's rows by metric; what is not finite is none, and what no row has a value of is left out."""
    return series_in(run.rows)


def series_in(rows: Sequence[Row]) -> Series:
    """
    >>> series_in([{"step": 1, "a": 0.5}, {"step": 2, "a": None, "b": 1.0}]).columns
    {'a': [0.5, None], 'b': [None, 1.0]}
    """
    columns: dict[str, Column] = {}
    for place, row in enumerate(rows):
        for name, value in row.items():
            if value is None or not math.isfinite(value):
                continue
            if (column := columns.get(name)) is None:
                column = columns[name] = [None] * len(rows)
            column[place] = value
    steps = columns.pop("step", [None] * len(rows))
    return Series([float(place + 1 if step is None else step) for place, step in enumerate(steps)], columns)


# ------------------------------------------------------------------------------------------------ modes


@dataclass(frozen=True)
class Modes:
    """The modes of a run, the most frequent first.

    shares: of each mode the share of each step's rollouts, 0 where it did not occur; None where nothing is known of any.
    """

    series: Series
    shares: dict[str, Column]

    @property
    def drawn(self) -> list[str]:
        """Those that have lines of their own."""
        return list(self.shares)[:DRAWN]

    @property
    def rest(self) -> list[str]:
        """Those that are drawn together, as others."""
        return list(self.shares)[DRAWN:]

    def of(self, mode: str, what: str) -> Column:
        """A mode's accuracy, advantage, … in every row."""
        return self.series.column(f"mode/{mode}/{what}")

    def share(self, modes: Sequence[str]) -> Column:
        """The share of the rollouts that are of one of these modes."""
        return [_sum(values) for values in zip(*(self.shares[mode] for mode in modes), strict=True)]

    def pooled(self, modes: Sequence[str], what: str) -> Column:
        """The mean of something over all rollouts of these modes: Σ share × value / Σ share, over the modes that have one."""
        top, bottom = [0.0] * len(self.series.steps), [0.0] * len(self.series.steps)
        for mode in modes:
            for place, (share, value) in enumerate(zip(self.shares[mode], self.of(mode, what), strict=True)):
                if share and value is not None:
                    top[place] += share * value
                    bottom[place] += share
        return [total / weight if weight else None for total, weight in zip(top, bottom, strict=True)]

    def lines(self, what: str) -> list[Line]:
        """A line for each mode that is drawn, and one for the others: their share (``probability``) or the mean of something.

        Shares, ``accuracy`` among them, have 95 % Wilson intervals, each rollout counted as a trial of its own. A mean over fewer than
        FEWEST rollouts is left out, unless there are no others.
        """
        parts = [(mode, [mode]) for mode in self.drawn] + ([(OTHERS, self.rest)] if self.rest else [])
        found = []
        for label, modes in parts:
            share = self.share(modes)
            counts = self.series.rollouts if what == "probability" else _product(self.series.rollouts, share)
            values = share if what == "probability" else _of_enough(self.pooled(modes, what), counts)
            if any(value is not None for value in values):
                interval = what in ("probability", "accuracy")
                found.append(with_interval(label, self.series.steps, values, counts if interval else None))
        return found


def modes_of(series: Series) -> Modes:
    """A run's modes, by their mean share."""
    found = {mode: series.column(f"mode/{mode}/probability") for mode in series.names("mode/", "/probability")}
    known = [any(value is not None for value in values) for values in zip(*found.values(), strict=True)]
    filled: dict[str, Column] = {
        mode: [(value or 0.0) if there else None for value, there in zip(column, known, strict=True)]
        for mode, column in found.items()
    }
    order = sorted(filled, key=lambda mode: -sum(value or 0.0 for value in filled[mode]))
    return Modes(series, {mode: filled[mode] for mode in order})


def with_interval(name: str, x: Sequence[float], values: Column, counts: Column | None) -> Line:
    """Shares with the Wilson intervals of as many trials; without counts there is no interval."""
    if counts is None or not any(counts):
        return Line(name=name, x=x, values=values)
    ends = [
        wilson(min(1.0, max(0.0, value)), count) if value is not None and count else (None, None)
        for value, count in zip(values, counts, strict=True)
    ]
    return Line(name=name, x=x, values=values, low=[low for low, _ in ends], high=[high for _, high in ends])


def _of_enough(values: Column, counts: Column) -> Column:
    enough = [
        value if count is None or count > FEWEST - 0.5 else None for value, count in zip(values, counts, strict=True)
    ]
    return enough if any(value is not None for value in enough) else values


def _sum(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _product(first: Column, second: Column) -> Column:
    return [None if a is None or b is None else a * b for a, b in zip(first, second, strict=True)]


# ------------------------------------------------------------------------------------------------ sentences


def all_told(lines: Sequence[Line], unit: str = "", label: str = "{}") -> str:
    """How lines went, with numbers, as one sentence: from the mean of their first values to the mean of their last.

    label: how a line is spoken of, by its name. It rose or fell where the two ends are clearly apart: their intervals, or, without
    intervals, all of at least CLEAR values at each end; else it only went from one to the other.

    >>> all_told([Line(name="cot", x=[1, 2, 3], values=[0.05, None, 1.0])], label="P({})")
    'P(cot) went from 0.05 to 1 over 3 steps.'
    >>> all_told([Line(name="a", x=[4], values=[20.0]), Line(name="b", x=[1, 2], values=[3.0, 2.0], low=[2.9, 1.9], high=[3.1, 2.1])])
    'a was 20 at step 4; b fell from 3 [2.9, 3.1] to 2 [1.9, 2.1] over 2 steps.'
    """
    ways = [_way(line, label.replace("{}", line.name), unit and f" {unit}") for line in lines]
    spans, most = {way.span for way in ways}, max((way.ends for way in ways), default=1)
    parts = [way.words + (way.span if len(spans) > 1 else "") for way in ways]
    means = f" (from and to: means of up to {most} values)" if most > 1 else ""
    return "; ".join(parts) + (spans.pop() if len(spans) == 1 else "") + means + "."


@dataclass(frozen=True)
class _Way:
    """How a line went, over which steps, and how many values each end is the mean of."""

    words: str
    span: str
    ends: int


def _way(line: Line, name: str, unit: str) -> _Way:
    known = [(at, value) for at, value in zip(line.x, line.values, strict=True) if value is not None]
    if not known:
        return _Way(f"{name} was never measured", "", 1)
    first, last = known[0][0], known[-1][0]
    ends = max(1, min(ENDS, len(known) // 10))
    low, high = _ends(line.low, ends), _ends(line.high, ends)
    marks = ["", ""]
    if low is not None and high is not None and ends == 1:
        marks = [f" [{number(a)}, {number(b)}]" for a, b in zip(low, high, strict=True)]
    if len(known) == 1:
        return _Way(f"{name} was {number(known[0][1])}{marks[0]}{unit}", f" at step {first:.0f}", 1)
    first_values, last_values = ([value for _, value in part] for part in (known[:ends], known[-ends:]))
    begin, end = sum(first_values) / ends, sum(last_values) / ends
    if low is not None and high is not None:
        apart = low[0] > high[1] or low[1] > high[0]
    else:
        apart = ends >= CLEAR and (min(first_values) > max(last_values) or min(last_values) > max(first_values))
    span = f" over {last:.0f} steps" if first == 1 else f" from step {first:.0f} to step {last:.0f}"
    if number(begin) == number(end):
        return _Way(f"{name} began and ended at {number(begin)}{marks[1]}{unit}", span, ends)
    way = "went" if not apart else "rose" if end > begin else "fell"
    return _Way(f"{name} {way} from {number(begin)}{marks[0]} to {number(end)}{marks[1]}{unit}", span, ends)


def _ends(bound: Sequence[float | None] | None, count: int) -> tuple[float, float] | None:
    """The means of a bound's first and last values."""
    known = [value for value in bound or () if value is not None]
    return (sum(known[:count]) / count, sum(known[-count:]) / count) if len(known) >= count else None
