"""Reading run directories back: rows, rollouts, and the chain of runs that made a model."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rlvr.config import stage_of
from rlvr.config_file import read_mapping
from rlvr.errors import RlvrError
from rlvr.models.location import looks_local
from rlvr.report import sound
from rlvr.report.wording import counted
from rlvr.runtime.metrics import Row, read_rows
from rlvr.runtime.saved import step_folders
from rlvr.runtime.written import Fields, read_lines, read_object, sound_lines

STEP = re.compile("step_([0-9]{6,12})")

LARGEST_OBJECT = 10_000_000
"""Bytes of a file that holds one JSON object of ours; a thousand times what they have."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """What a run directory says.

    gaps: None if what is damaged is an error. Else it is left out, and said here, by file: of a report the rest is shown.
    """

    path: Path
    stage: str
    config: dict[str, Any]
    rows: list[Row]
    gaps: dict[str, str] | None = None

    def seconds(self) -> float:
        """Wall time of all its steps, evaluations while training apart."""
        return sum((row.get("time/step_seconds") or 0.0) - (row.get("time/eval_seconds") or 0.0) for row in self.rows)

    def setting(self, *keys: str) -> Any:
        """A value of the configuration, ``setting("train", "max_steps")``; None if it has none."""
        value: Any = self.config
        for key in keys:
            value = value.get(key) if isinstance(value, dict) else None
        return value

    def rollout_steps(self) -> list[int]:
        """Steps whose rollouts were written."""
        return _steps(self.path / "rollouts")

    def study_steps(self) -> list[int]:
        """Steps of which rollouts were studied."""
        return _steps(self.path / "study")

    def rollouts(self, step: int, fields: Fields | None = None) -> list[dict[str, Any]]:
        """The rollouts of one step. RlvrError if they were not written, are damaged, or lack one of the fields, unless damage is left out."""
        return list(self.numbered_rollouts(step, fields).values())

    def numbered_rollouts(
        self, step: int, fields: Fields | None = None, only: Collection[int] | None = None
    ) -> dict[int, dict[str, Any]]:
        """The same by line of their file, from 0. only: as ``lines`` has it."""
        name = f"rollouts/step_{step:06d}.jsonl"
        if self.gaps is None and not (self.path / name).exists():
            steps = ", ".join(map(str, self.rollout_steps())) or "none"
            raise RlvrError(str(self.path), "has no rollouts of that step", got=step, allowed=steps)
        found = self.lines(name, fields or {}, sound.rollout, only)
        if not found and only is None and self.gaps is not None:
            self.gaps.setdefault(name, f"{self.path / name}: holds no rollouts")
        return found

    def lines(
        self,
        name: str,
        fields: Fields,
        flaw: Callable[[dict[str, Any]], str | None] = lambda _: None,
        only: Collection[int] | None = None,
    ) -> dict[int, dict[str, Any]]:
        """The objects of one of its files by line, from 0; none without the file. RlvrError if it is damaged.

        Where damage is left out: ``flaw`` says what is wrong with an object beyond its fields, and lines that are not in ``only``
        are passed over, which saves the time that long rollouts take. Elsewhere all lines are read and must be whole.
        """
        if self.gaps is None:
            return dict(enumerate(read_lines(self.path / name, fields, whole=True)))
        found, left_out = sound_lines(self.path / name, fields, flaw, only)
        if left_out is not None:
            self.gaps.setdefault(name, left_out)
        return found

    def object(self, name: str) -> dict[str, Any]:
        """The JSON object in one of its files; an empty one without the file. RlvrError if it is damaged."""
        file = self.path / name
        if not os.path.lexists(file):
            return {}
        try:
            if file.is_file() and file.stat().st_size > LARGEST_OBJECT:
                raise RlvrError(str(file), f"is larger than {LARGEST_OBJECT} bytes")
            return read_object(file)
        except RlvrError as error:
            if self.gaps is None:
                raise
            self.gaps.setdefault(name, str(error))
            return {}

    def take_gaps_of(self, other: Run) -> None:
        """Note what is damaged of another run too, since its numbers stand in the report of this one."""
        if self.gaps is not None and other.gaps is not None:
            self.gaps.update({f"{other.path}/{name}": text for name, text in other.gaps.items()})

    def newest_checkpoint(self) -> Path | None:
        """The folder of its newest checkpoint, whole or not; None if there is none."""
        return next(reversed(step_folders(self.path / "checkpoints")), None)

    def began_from(self) -> Path | None:
        """The run directory whose model it began from, or evaluates; None if no run made that, or none that is found here."""
        model = self.config.get("model")
        return run_named(model, self.path) if isinstance(model, str) else None


def open_finished(path: Path) -> Run:
    """Read a run directory. RlvrError if it is none, or damaged."""
    config = read_mapping(_configuration(path))
    return Run(path=path, stage=stage_of(config), config=config, rows=read_rows(path / "metrics.jsonl"))


def open_as_it_is(path: Path) -> Run:
    """Read a run directory for a report: what is damaged is left out and noted in ``gaps``. RlvrError if it is none."""
    file = _configuration(path)
    gaps: dict[str, str] = {}
    try:
        config = read_mapping(file)
    except RlvrError as error:
        config = {}
        gaps["config.yaml"] = str(error)
    run = Run(path=path, stage="", config=config, rows=[], gaps=gaps)
    rows = _one_a_step(run)
    return replace(run, stage=stage_of(config) if config else _likely_stage(path, rows), rows=rows)


def run_named(model: str, near: Path) -> Path | None:
    """The run directory that a ``model:`` value names, itself or by one of its checkpoints; None if it is no run's.

    A relative name is looked for in the working directory, then upwards from ``near``: a run may be read from elsewhere.
    """
    here = [Path(), *near.absolute().parents]
    for folder in [place / os.path.expanduser(model) for place in here]:
        for candidate in (folder, folder.parent.parent):
            found = os.path.isfile(candidate / "config.yaml")  # no error, as Path's would be, for a name that is none
            if found and (candidate == folder or folder.parent.name == "checkpoints"):
                return candidate
    return None


def ancestry(run: Run) -> Iterator[Run]:
    """The runs that made the model that a run began from, the nearest first, read as they are."""
    seen = {run.path.resolve()}
    parent = run.began_from()
    while parent is not None and parent.resolve() not in seen:
        seen.add(parent.resolve())
        found = open_as_it_is(parent)
        yield found
        parent = found.began_from()


def training_seconds(run: Run) -> float | None:
    """Seconds spent on training the model that a run began from, in all the runs that made it.

    None if one of them cannot be found from here; a model that no run made cost nothing here.
    """
    made = list(ancestry(run))
    first = made[-1] if made else run
    model = first.config.get("model")
    if isinstance(model, str) and first.began_from() is None and looks_local(model) and not Path(model).exists():
        return None
    return sum(each.seconds() for each in made)


def _configuration(path: Path) -> Path:
    file = path / "config.yaml"
    if not os.path.isfile(file):  # no error, as Path's would be, for a name that is none
        raise RlvrError(
            str(path), "is not a run directory: it has no config.yaml", remedy="give a directory under runs/"
        )
    return file


def _steps(folder: Path) -> list[int]:
    """The steps that files in a folder are named by."""
    return sorted(int(found[1]) for file in folder.glob("step_*.jsonl") if (found := STEP.fullmatch(file.stem)))


def _one_a_step(run: Run) -> list[Row]:
    """The rows in the order of their steps; of several for one step the last, and what that leaves out is noted."""
    found = [_finite(row) for row in run.lines("metrics.jsonl", {"step": int}, sound.row).values()]
    by_step = {row["step"] or 0.0: row for row in found}
    if run.gaps is not None and len(by_step) < len(found):
        text = f"{run.path / 'metrics.jsonl'}: {counted(len(found) - len(by_step), 'row')} left out, since later ones are of the same steps"
        run.gaps.setdefault("metrics.jsonl", text)
    return [by_step[step] for step in sorted(by_step)]


def _finite(row: dict[str, Any]) -> Row:
    """The row with None where a value is no number of a usual size."""
    return {name: value if sound.is_number(value) else None for name, value in row.items()}


def _likely_stage(path: Path, rows: list[Row]) -> str:
    """The stage of a run whose configuration is lost, by what it wrote."""
    if (path / "eval.json").exists():
        return "eval"
    return "rl" if any("reward/mean" in row for row in rows) else "pretrain"
