"""Reading run directories back: rows, rollouts, and the chain of runs that made a model."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlvr.config import stage_of
from rlvr.config_file import read_mapping
from rlvr.errors import RlvrError
from rlvr.models.location import looks_local
from rlvr.runtime.metrics import Row, read_rows
from rlvr.runtime.written import Fields, read_lines

STEP = re.compile("step_([0-9]+)")


@dataclass(frozen=True, kw_only=True)
class Run:
    """What a run directory says."""

    path: Path
    stage: str
    config: dict[str, Any]
    rows: list[Row]

    def seconds(self) -> float:
        """Wall time of all its steps, evaluations while training apart."""
        return sum((row.get("time/step_seconds") or 0.0) - (row.get("time/eval_seconds") or 0.0) for row in self.rows)

    def rollout_steps(self) -> list[int]:
        """Steps whose rollouts were written."""
        files = (self.path / "rollouts").glob("step_*.jsonl")
        return sorted(int(found[1]) for file in files if (found := STEP.fullmatch(file.stem)))

    def rollouts(self, step: int, fields: Fields | None = None) -> list[dict[str, Any]]:
        """The rollouts of one step. RlvrError if they were not written, are damaged, or lack one of the fields."""
        file = self.path / "rollouts" / f"step_{step:06d}.jsonl"
        if not file.exists():
            steps = ", ".join(map(str, self.rollout_steps())) or "none"
            raise RlvrError(str(self.path), "has no rollouts of that step", got=step, allowed=steps)
        return read_lines(file, fields or {}, whole=True)


def open_finished(path: Path) -> Run:
    """Read a run directory. RlvrError if it is none."""
    file = path / "config.yaml"
    if not file.is_file():
        raise RlvrError(
            str(path), "is not a run directory: it has no config.yaml", remedy="give a directory under runs/"
        )
    config = read_mapping(file)
    return Run(path=path, stage=stage_of(config), config=config, rows=read_rows(path / "metrics.jsonl"))


def training_seconds(run: Run) -> float | None:
    """Seconds spent on training the model that a run began from, in all the runs that made it.

    None if one of them cannot be found from here; a model that no run made cost nothing here.
    """
    total, seen = 0.0, {run.path.resolve()}
    model = run.config.get("model")
    while isinstance(model, str):
        path = Path(model)
        if not path.exists() and looks_local(model):
            return None
        if not (path / "config.yaml").is_file() or path.resolve() in seen:
            break
        parent = open_finished(path)
        seen.add(path.resolve())
        total += parent.seconds()
        model = parent.config.get("model")
    return total
