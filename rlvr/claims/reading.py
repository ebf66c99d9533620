"""What claims read from runs. No torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from rlvr.claims.claim import Measure, Runs
from rlvr.report.plots import Bar, Line
from rlvr.report.runs import Run
from rlvr.report.series import Column, series_of
from rlvr.statistics import t_interval


def evaluated(run: Run, what: str, task: str | None = None) -> float | None:
    """The last ``eval/<task>/<what>`` that was measured, in an evaluation or while training; None if nothing was.

    task: a member of a mixture; by default the task of the run's configuration. A share of a mode that did not occur is 0.
    """
    name = f"eval/{task or run.setting('task', 'name')}"
    for row in reversed(run.rows):
        if f"{name}/accuracy" in row:
            value = row.get(f"{name}/{what}")
            return 0.0 if value is None and _is_share_of_mode(what) else value
    return None


def column(run: Run, name: str) -> Column:
    """A metric in every row; None where it was not measured."""
    return series_of(run).column(name)


def steps(run: Run) -> list[float]:
    """The step of every row."""
    return series_of(run).steps


def first_step(run: Run, name: str, at_least: float) -> float | None:
    """The first step at which a metric reached a value; None if it never did."""
    series = series_of(run)
    pairs = zip(series.steps, series.column(name), strict=True)
    return next((step for step, value in pairs if value is not None and value >= at_least), None)


def mean_line(name: str, seeds: Sequence[Runs], points: Callable[[Runs], dict[float, float]]) -> Line:
    """A line of means over seeds, with t-intervals where there are several; points: of one seed, y by x."""
    found = [points(runs) for runs in seeds]
    x = sorted({at for one in found for at in one})
    estimates = [t_interval([one[at] for one in found if at in one]) for at in x]
    several = len(seeds) > 1
    return Line(
        name=name,
        x=x,
        values=[each.mean for each in estimates],
        low=[each.low for each in estimates] if several else None,
        high=[each.high for each in estimates] if several else None,
    )


def mean_bars(seeds: Sequence[Runs], drawn: Iterable[tuple[str, str, Measure]]) -> list[Bar]:
    """A bar of a mean over seeds, with its t-interval, for each category, series and measure; none where no seed gives a number."""
    found = []
    for category, series, measure in drawn:
        values = [value for runs in seeds if (value := measure(runs)) is not None]
        if values:
            mean = t_interval(values)
            found.append(Bar(category=category, series=series, value=mean.mean, low=mean.low, high=mean.high))
    return found


def by_step(arm: str, metric: str) -> Callable[[Runs], dict[float, float]]:
    """The values of a metric in the rows of an arm, by step, for ``mean_line``. A way that did not occur has probability 0."""
    absent = 0.0 if _is_share_of_mode(metric) else None

    def points(runs: Runs) -> dict[float, float]:
        series = series_of(runs[arm])
        pairs = zip(series.steps, series.column(metric), strict=True)
        return {step: found for step, value in pairs if (found := absent if value is None else value) is not None}

    return points


def _is_share_of_mode(metric: str) -> bool:
    return metric.startswith("mode/") and metric.endswith("probability")
