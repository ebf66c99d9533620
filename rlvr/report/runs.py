"""Reading run directories back: rows, rollouts, and the chain of runs that made a model."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from rlvr.config import stage_of
from rlvr.config_file import read_text
from rlvr.errors import RlvrError
from rlvr.runtime.metrics import Row, read_rows


@dataclass(frozen=True, kw_only=True)
class Run:
    """What a run directory says."""

    path: Path
    stage: str
    config: dict[str, Any]
    rows: list[Row]

    def seconds(self) -> float:
        """Wall time of all its steps."""
        return sum(row.get("time/step_seconds") or 0.0 for row in self.rows)

    def rollout_steps(self) -> list[int]:
        """Steps whose rollouts were written."""
        return sorted(int(file.stem.removeprefix("step_")) for file in (self.path / "rollouts").glob("step_*.jsonl"))

    def rollouts(self, step: int) -> list[dict[str, Any]]:
        """The rollouts of one step. RlvrError if they were not written."""
        file = self.path / "rollouts" / f"step_{step:06d}.jsonl"
        if not file.exists():
            steps = ", ".join(map(str, self.rollout_steps())) or "none"
            raise RlvrError(str(self.path), "has no rollouts of that step", got=step, allowed=steps)
        return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def open_finished(path: Path) -> Run:
    """Read a run directory. RlvrError if it is none."""
    file = path / "config.yaml"
    if not file.is_file():
        raise RlvrError(
            str(path), "is not a run directory: it has no config.yaml", remedy="give a directory under runs/"
        )
    try:
        config = yaml.safe_load(read_text(file))
    except yaml.YAMLError:
        config = None
    if not isinstance(config, dict):
        raise RlvrError(str(file), "is damaged: it is no mapping of keys to values")
    return Run(path=path, stage=stage_of(config), config=config, rows=read_rows(path / "metrics.jsonl"))


def ancestors(run: Run) -> Iterator[Run]:
    """The runs that made the model a run began from, nearest first, as far as they can be found."""
    seen = {run.path.resolve()}
    model = run.config.get("model")
    while isinstance(model, str) and (Path(model) / "config.yaml").is_file() and Path(model).resolve() not in seen:
        parent = open_finished(Path(model))
        seen.add(parent.path.resolve())
        yield parent
        model = parent.config.get("model")
