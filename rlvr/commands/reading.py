"""What reads: runs in the terminal, and what a configuration would draw."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rlvr.ending import say
from rlvr.errors import RlvrError

if TYPE_CHECKING:
    from rich.console import RenderableType


def inspect(paths: list[Path], step: int | None, count: int) -> None:
    """``rlvr inspect``: what runs say, as text."""
    from rich.table import Table

    from rlvr.report.runs import open_finished
    from rlvr.report.terminal import comparison, explanations, growth, last_row, rollout_views
    from rlvr.runtime.progress import output

    runs = [open_finished(path) for path in paths]
    evaluations = [run for run in runs if run.stage == "eval" and run.rows]
    views: list[RenderableType] = [comparison(evaluations)] if evaluations else []
    views += [view for run in runs if run.stage == "rl" and (view := growth(run)) is not None]
    views += [last_row(run) for run in runs if run.stage in ("pretrain", "sft") and run.rows]
    views += [view for run in runs if (view := explanations(run)) is not None]
    views += rollout_views(runs, step, count) if count else []
    if not views:
        say("there is nothing to show yet: no rows, no rollouts")
    console = output()
    for view in views:
        console.print(view, soft_wrap=not isinstance(view, Table))


def data(file: Path, settings: list[str] | None, count: int, split: str, out: Path | None) -> None:
    """``rlvr data``: problems or documents as JSON lines, to stdout or a file."""
    from json import dumps

    from rlvr.config_file import load
    from rlvr.corpus import draw_rows
    from rlvr.runtime.files import write_jsonl

    if split not in ("train", "test"):
        raise RlvrError("--split", "unknown split", got=split, allowed="train, test")
    _, config = load(file, settings or [])
    rows = draw_rows(config, split, count)  # type: ignore[arg-type]
    if out is None:
        for row in rows:
            print(dumps(row))
        return
    try:
        write_jsonl(out, rows)
    except OSError as error:
        raise RlvrError(
            f"--out {out}", f"cannot be written: {error.strerror}", remedy="name a file you can write"
        ) from None
    print(out)
