"""Evaluation runs beside a run: of the model that it made, and of the one that it began from."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from rlvr.config_file import differences
from rlvr.report.runs import Run, open_as_it_is, run_named
from rlvr.report.wording import Interval
from rlvr.runtime.metrics import Row
from rlvr.runtime.saved import step_folders
from rlvr.runtime.written import Fields
from rlvr.statistics import Estimate, paired_shares

MOST_BESIDE = 200
"""Folders beside a run that are looked at."""

SAME = ("task", "prompt", "reward", "rollout", "eval")
"""Sections of a configuration in which two evaluations agree if their numbers are to be compared."""

ANSWERED: Fields = {"index": int, "question": str, "correct": bool, "mode": str}
"""What is read of an evaluation's rollouts."""

Problem = tuple[str, str, int, str]
"""What tells problems apart: task, split, number and question."""


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What an evaluation's rollouts say, by problem: of each sampled answer its mode and whether it is right, and the greedy one."""

    sampled: dict[Problem, list[tuple[str, bool]]]
    greedy: dict[Problem, bool]


@dataclass(frozen=True, kw_only=True)
class Beside:
    """An evaluation of the model that a run began from and one of the model that it made; either may be missing.

    differing: the settings in which they differ, so that their numbers are not compared.
    """

    before: Run | None
    after: Run | None
    differing: list[str]

    @property
    def comparable(self) -> bool:
        """Whether there are both, made in the same way."""
        return self.before is not None and self.after is not None and not self.differing

    @cached_property
    def answers(self) -> list[Answers]:
        """What the evaluations that are there answered, the earlier one first; read once, since there may be many."""
        return [answers(side) for side in (self.before, self.after) if side is not None]


def evaluations_beside(run: Run) -> Beside:
    """The evaluations in the folders beside a run; of several pairs, the first that can be compared."""
    found = _evaluations(run)
    own, begun = _named(str(run.path.absolute()), run), _named(run.config.get("model"), run)
    after = [each for each in found if _named(each.config.get("model"), each) == own]
    before = [each for each in found if begun is not None and _named(each.config.get("model"), each) == begun]
    pairs = [(one, other, _differing(one, other)) for other in after for one in before]
    chosen = min(pairs, key=lambda pair: len(pair[2]), default=None)
    if chosen is not None:
        return Beside(before=chosen[0], after=chosen[1], differing=chosen[2])
    return Beside(before=next(iter(before), None), after=next(iter(after), None), differing=[])


def _evaluations(run: Run) -> list[Run]:
    """Finished evaluation runs in the same folder."""
    if run.stage == "eval":
        return []
    folders = sorted(file.parent for file in run.path.absolute().parent.glob("*/eval.json") if os.path.isfile(file))
    made = [open_as_it_is(path) for path in folders[:MOST_BESIDE] if os.path.isfile(path / "config.yaml")]
    return [each for each in made if each.stage == "eval" and each.rows]


def _named(model: object, near: Run) -> tuple[str, str] | None:
    """The run and the checkpoint that a ``model:`` value names, a run's newest unless it says which; of no run, the name itself."""
    if not isinstance(model, str):
        return None
    found = run_named(model, near.path)
    if found is None:
        return model, ""
    if found.name != Path(model).name:
        return os.path.realpath(found), Path(model).name
    newest = next(reversed(step_folders(found / "checkpoints")), None)
    return os.path.realpath(found), "" if newest is None else newest.name


def _differing(one: Run, other: Run) -> list[str]:
    old, new = ({key: run.config.get(key) for key in SAME} for run in (one, other))
    return differences(old, new)


def answers(run: Run) -> Answers:
    """An evaluation's rollouts by problem; of one without rollouts there are none. RlvrError as ``Run.rollouts`` says."""
    sampled: dict[Problem, list[tuple[str, bool]]] = {}
    greedy: dict[Problem, bool] = {}
    for step in run.rollout_steps()[-1:]:
        for record in run.rollouts(step, ANSWERED):
            problem = str(record.get("task")), str(record.get("split")), record["index"], record["question"]
            if record.get("greedy"):
                greedy[problem] = record["correct"]
            else:
                sampled.setdefault(problem, []).append((record["mode"], record["correct"]))
    return Answers(sampled=sampled, greedy=greedy)


def share_in(row: Row, name: str) -> Interval | None:
    """A share of a row with its interval; None unless the row has all three."""
    value, low, high = row.get(name), row.get(f"{name}_low"), row.get(f"{name}_high")
    return None if value is None or low is None or high is None else (value, low, high)


def changed(before: dict[Problem, float], after: dict[Problem, float]) -> Estimate | None:
    """The paired difference of a share; None unless the same problems were answered, two or more."""
    if before.keys() != after.keys() or len(before) < 2:
        return None
    return paired_shares([after[problem] - before[problem] for problem in before])


def shares(answered: Answers, mode: str | None = None) -> dict[Problem, float]:
    """By problem the share of sampled answers that are right or, with a mode, that are of this mode."""
    return {
        problem: sum(right if mode is None else name == mode for name, right in given) / len(given)
        for problem, given in answered.sampled.items()
    }


def first_and_last(rows: Sequence[Row], name: str) -> tuple[tuple[int, Interval], tuple[int, Interval]] | None:
    """The first and the last measurement of a share while training, each with its step; None unless there are two."""
    found = [(int(row["step"] or 0), share) for row in rows if (share := share_in(row, name)) is not None]
    return (found[0], found[-1]) if len(found) > 1 else None
