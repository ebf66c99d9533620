"""Audits of a reward: by probes, or by grading saved rollouts again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from rlvr.commands.stages import default_run
from rlvr.ending import say
from rlvr.errors import RlvrError, TrainingStoppedError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from rlvr.audit import AuditResult, RescoreResult


def audit(
    file: Path | None,
    run: Path | None,
    settings: list[str] | None,
    problems: int | None,
    rescored: Path | None,
    limits: tuple[float | None, float | None],
    as_json: bool,
) -> None:
    """``rlvr audit``: show or print the rates, keep them in the run directory, and hold them against limits."""
    from json import dumps

    from rlvr.audit import record
    from rlvr.runtime.progress import output

    result, view, directory = (
        _probed(file, run, settings, problems)
        if rescored is None
        else _rescored(file, run, settings, problems, rescored)
    )
    if directory is not None:
        record(directory, "probes" if rescored is None else "rescore", result.to_json())
    if as_json:
        print(dumps(result.to_json()))
    else:
        output().print(view)
        if directory is not None:
            print(directory / "audit.json")
    _check_limits(result, limits)


def _probed(
    file: Path | None, run: Path | None, settings: list[str] | None, problems: int | None
) -> tuple[AuditResult, RenderableType, Path | None]:
    """An audit by probes, how it looks, and the run directory to keep it in."""
    from rlvr.audit import PROBLEMS, audit
    from rlvr.config_file import load
    from rlvr.report.audits import audit_view
    from rlvr.report.runs import open_finished

    if file is None:
        raise RlvrError(
            "rlvr audit", "nothing to audit", remedy="name a configuration, or a run directory with --rescore"
        )
    _, config = load(file, settings or [])
    directory = run or default_run(file)
    if run is not None:
        open_finished(run)
    result = audit(config, problems=problems or PROBLEMS)
    return result, audit_view(result), directory if (directory / "config.yaml").is_file() else None


def _rescored(
    file: Path | None, run: Path | None, settings: list[str] | None, problems: int | None, directory: Path
) -> tuple[RescoreResult, RenderableType, Path | None]:
    """The saved rollouts of a run graded again, how that looks, and the run directory to keep it in."""
    from rlvr.audit import NEEDED, rescore
    from rlvr.config_file import load
    from rlvr.report.audits import rescore_view
    from rlvr.report.runs import open_finished

    for option, given in (("--run", run), ("--problems", problems)):
        if given is not None:
            raise RlvrError(option, "has no effect beside --rescore", remedy="remove it")
    source = open_finished(directory)
    _, made_by = load(directory / "config.yaml", [])
    _, present = load(file or directory / "config.yaml", settings or [])
    rollouts = ((step, source.rollouts(step, NEEDED)) for step in source.rollout_steps())
    result = rescore(str(directory), made_by, present, rollouts)
    return result, rescore_view(result), directory


def _check_limits(result: AuditResult | RescoreResult, limits: tuple[float | None, float | None]) -> None:
    """Exit 3, with one line that says why, if a measured rate is above its limit."""
    from rlvr.report.audits import share_text

    broken = [
        f"{name} {share_text(rate)} is above {option} {limit:g}"
        for name, option, rate, limit in (
            ("fp", "--max-fp", result.fp, limits[0]),
            ("fn", "--max-fn", result.fn, limits[1]),
        )
        if limit is not None and rate.share is not None and rate.share > limit
    ]
    if broken:
        say(f"error: {'; '.join(broken)}")
        raise typer.Exit(TrainingStoppedError.exit_code)
