"""What reads: runs in the terminal, and what a configuration would draw."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from rlvr.ending import say
from rlvr.errors import RlvrError

if TYPE_CHECKING:
    from rlvr.report.choosing import Choice
    from rlvr.report.runs import Run


def inspect(
    paths: list[Path],
    step: int | None,
    count: int,
    *,
    only: str | None,
    mode: str | None,
    search: str,
    problem: int | None,
    against: int | None,
    tokens: str | None,
    plain: bool,
) -> None:
    """``rlvr inspect``: a browser of rollouts in a terminal; what runs say as text where there is none."""
    from rlvr.report.choosing import Choice
    from rlvr.report.runs import open_finished
    from rlvr.report.tokens_text import QUANTITIES

    if tokens is not None and tokens not in QUANTITIES:
        raise RlvrError("--tokens", "unknown quantity", got=tokens, allowed=", ".join(QUANTITIES))
    choice = Choice(only=only, mode=mode, search=search, problem=problem)
    runs = [open_finished(path) for path in paths]
    if count and not plain and _in_terminal() and any(run.rollout_steps() for run in runs):
        from rlvr.report.browser.app import browse

        browse(runs, step, choice, against=against, tokens=tokens)
    else:
        _print_runs(runs, step, count, choice, against, tokens)


def _in_terminal() -> bool:
    both = (sys.stdin, sys.stdout)
    return all(stream is not None and stream.isatty() for stream in both) and os.environ.get("TERM") != "dumb"


def _print_runs(
    runs: list[Run], step: int | None, count: int, choice: Choice, against: int | None, tokens: str | None
) -> None:
    """What runs say; where something is asked of their rollouts, only that."""
    from rich.table import Table

    from rlvr.report.choosing import open_step
    from rlvr.report.rollouts_text import opened, rollouts_view, sides_view, tokens_view
    from rlvr.report.terminal import run_views
    from rlvr.runtime.progress import output

    console = output()
    asked = bool(choice.words()) or against is not None or tokens is not None
    views = [] if asked else run_views(runs)
    for each in opened(runs, step) if count else []:
        if tokens is not None:
            views.append(tokens_view(each, choice, count, tokens, console.width))
        if against is not None:
            views += sides_view(each, open_step(each.run, against), choice, count)
        if tokens is None and against is None:
            views.append(rollouts_view(each, choice, count))
    if not views:
        say("there is nothing to show yet: no rows, no rollouts")
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
