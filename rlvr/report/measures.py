"""What runs are compared by: the main numbers of their rows, and what each comes to in the end."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

from rlvr.explain import over_modes
from rlvr.report.runs import Run
from rlvr.runtime.metrics import Row

MODE = re.compile("mode/(.+)/probability")
EVALUATED = re.compile("eval/((?:(?!/mode/).)+)/(accuracy|kl_base)")
EVALUATED_MODE = re.compile("eval/(.+)/mode/(.+)/probability")
MOST_MODES = 2
"""Modes whose shares are shown."""
RIGHT, CHOSEN = "share right", "share of rollouts"


@dataclass(frozen=True, kw_only=True)
class Measure:
    """A number of a row, None where it has none. key: unique; share: it lies between 0 and 1."""

    key: str
    title: str
    y: str
    of: Callable[[Row], float | None]
    share: bool = False

    @property
    def evaluated(self) -> bool:
        """Whether it comes from evaluations, so that its last value is what a run came to."""
        return self.key.startswith("eval/")

    def values(self, run: Run) -> dict[float, float]:
        """Step to value, where there is one."""
        found = ((row.get("step"), self.of(row)) for row in run.rows)
        return {step: value for step, value in found if step is not None and value is not None}

    def final(self, run: Run) -> float | None:
        """What a run came to: the last evaluation, or the mean of the last tenth of the values; None without any."""
        values = list(self.values(run).values())
        return fmean(values[-1:] if self.evaluated else _last_tenth(values)) if values else None


def measures(runs: Sequence[Run]) -> list[Measure]:
    """The main numbers that any of some runs of one stage has, outcomes first."""
    keys = list(dict.fromkeys(key for run in runs for row in run.rows for key in row))
    found = [_evaluated(key, match[1], match[2]) for key in keys if (match := EVALUATED.fullmatch(key))]
    modes = [match[1] for key in keys if (match := MODE.fullmatch(key))]
    chances = [
        _plain(key, f"P({match[2]}) on {match[1]}", CHOSEN, share=True)
        for key in keys
        if (match := EVALUATED_MODE.fullmatch(key))
    ]
    if modes:
        found.append(_accuracy())
        chances = [_chance(mode, modes) for mode in modes]
    plain = [(key, title, y) for key, title, y in PLAIN if key in keys]
    if any(run.stage == "rl" for run in runs):  # its loss measures nothing: advantages with a baseline cancel in it
        plain = [each for each in plain if each[0] != "train/loss"]
    return [*found, *(_plain(*each) for each in plain), *_most_changed(chances, runs)]


PLAIN = [
    ("reward/mean", "Mean reward", "reward"),
    ("train/loss", "Training loss", "loss"),
    ("eval/documents/loss", "Loss on held-out documents", "nats a token"),
    ("rollout/length_mean", "Length of completions", "tokens"),
    ("entropy/mean", "Entropy", "nats a token"),
]


def _plain(key: str, title: str, y: str, *, share: bool = False) -> Measure:
    """A number as rows have it."""
    return Measure(key=key, title=title, y=y, of=lambda row: row.get(key), share=share)


def _accuracy() -> Measure:
    """The share of right rollouts of a step, added up over the modes."""
    return Measure(
        key="accuracy",
        title="Accuracy while training",
        y=RIGHT,
        of=lambda row: over_modes([row], "accuracy"),
        share=True,
    )


def _chance(mode: str, modes: Sequence[str]) -> Measure:
    """The share of a mode; 0 in a row that has other modes alone."""
    key, others = f"mode/{mode}/probability", [f"mode/{other}/probability" for other in modes]

    def of(row: Row) -> float | None:
        return row[key] if key in row else 0.0 if any(other in row for other in others) else None

    return Measure(key=key, title=f"P({mode})", y=CHOSEN, of=of, share=True)


def _evaluated(key: str, task: str, what: str) -> Measure:
    if what == "kl_base":
        return _plain(key, f"Distance from the first model on {task}", "KL, nats a token")
    return _plain(key, f"Accuracy on {task}", RIGHT, share=True)


def _most_changed(chances: Sequence[Measure], runs: Sequence[Run]) -> list[Measure]:
    """Those whose beginnings and ends, of all runs, lie furthest apart; of two modes both do, and the first stays the first."""

    def spread(measure: Measure) -> float:
        values = [list(measure.values(run).values()) for run in runs]
        ends = [fmean(_last_tenth(side)) for each in values if each for side in (each[::-1], each)]
        return round(max(ends) - min(ends), 9) if ends else 0.0

    return sorted(chances, key=spread, reverse=True)[:MOST_MODES]


def _last_tenth(values: Sequence[float]) -> Sequence[float]:
    return values[-max(1, len(values) // 10) :]
