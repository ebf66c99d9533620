"""The stages, evaluation and check: load the configuration, open the run directory, run the stage."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlvr.ending import say
from rlvr.errors import RlvrError

if TYPE_CHECKING:
    from rlvr.config import StageConfig
    from rlvr.preflight import Plan
    from rlvr.runtime.run_dir import RunDirectory


def _prepare(
    stage: str, file: Path, settings: list[str] | None, dry_run: bool, *, json: bool = False
) -> tuple[Any, list[str]] | None:
    """The checked configuration and what was warned of; None if checking was all that was asked."""
    from rlvr.config_file import load
    from rlvr.preflight import plan

    _, config = load(file, settings or [], stage)
    if dry_run:
        _print_plan(stage, config, plan(config, starting=False), json=json)
        return None
    warnings = plan(config, starting=True).warnings
    for warning in warnings:
        say(f"warning: {warning}")
    return config, warnings


def train(stage: str, file: Path, run: Path | None, settings: list[str] | None, fresh: bool, dry_run: bool) -> None:
    """A training stage, from its file to a finished run directory, or what ``check`` says of it."""
    prepared = _prepare(stage, file, settings, dry_run)
    if prepared is None:
        return
    config, warnings = prepared
    from rlvr.runtime.run_dir import open_run, record_warnings

    with open_run(run or default_run(file), config, _inputs(config), fresh=fresh) as directory:
        if directory.finished(config.train.max_steps):
            say(f"{directory.path} is finished ({config.train.max_steps} steps); --fresh starts anew")
        else:
            from rlvr.stages import pretrain, rl, sft

            record_warnings(directory, warnings)
            stages: dict[str, Callable[[Any, RunDirectory], None]]
            stages = {"pretrain": pretrain.run, "sft": sft.run, "rl": rl.run}
            stages[stage](config, directory)
    print(directory.path)


def evaluate(
    file: Path, run: Path | None, settings: list[str] | None, fresh: bool, dry_run: bool, as_json: bool
) -> None:
    """``rlvr eval``: measure, unless it was done, and show the table or print the JSON."""
    import json

    prepared = _prepare("eval", file, settings, dry_run, json=as_json)
    if prepared is None:
        return
    config, warnings = prepared
    from rlvr.runtime.run_dir import open_run, record_warnings
    from rlvr.runtime.written import read_object

    with open_run(run or default_run(file), config, _inputs(config), fresh=fresh) as directory:
        result = directory.path / "eval.json"
        if result.exists():
            say(f"{directory.path} is finished; --fresh evaluates anew")
        else:
            from rlvr.stages import evaluate

            record_warnings(directory, warnings)
            evaluate.run(config, directory)
    if as_json:
        print(json.dumps(read_object(result)))
    else:
        from rlvr.report.runs import open_finished
        from rlvr.report.terminal import comparison
        from rlvr.runtime.progress import console

        console().print(comparison([open_finished(directory.path)]))
        print(directory.path)


def _inputs(config: Any) -> dict[str, str]:
    """The SHA-256 of every file that the run learns or starts from; of a function of the user's it is said too."""
    from rlvr.preflight import inputs

    found = inputs(config)
    own = config.reward.own
    if own is not None:
        say(f"reward.own: {own.function} of {own.file} (sha256 {found[own.file]})")
    return found


def default_run(file: Path) -> Path:
    """``runs/<name>``: the file's path below a folder named configs, else its bare name.

    Raises RlvrError for a name that leads out of ``runs``.
    """
    parts = file.with_suffix("").parts
    below = parts[len(parts) - parts[::-1].index("configs") :] if "configs" in parts[:-1] else parts[-1:]
    if not set(below).isdisjoint((".", "..")):
        raise RlvrError(str(file), "gives a run no name inside runs/", remedy="choose a directory with --run")
    return Path("runs", *below)


def check(file: Path, settings: list[str] | None, as_json: bool) -> None:
    """``rlvr check``: the resolved configuration and what it would take."""
    from rlvr.config_file import load
    from rlvr.preflight import plan

    stage, config = load(file, settings or [])
    _print_plan(stage, config, plan(config, starting=False), json=as_json)


def _print_plan(stage: str, config: StageConfig, plan: Plan, *, json: bool) -> None:
    from json import dumps

    from rlvr.config_file import dump

    if json:
        print(dumps({"stage": stage, "config": config.model_dump(exclude_none=True), **plan.to_json()}))
        return
    print(dump(config), end="")
    say(f"rlvr {stage}: the configuration is valid")
    if plan.parameters is not None and plan.memory_bytes is not None:
        kept = "weights and optimizer"
        if plan.cache_bytes is not None:
            kept += f", and a cache of {plan.cache_bytes / 2**20:,.1f} MiB"
        say(f"parameters: {plan.parameters:,}; memory for {kept}: {plan.memory_bytes / 2**20:,.1f} MiB")
    for what, tokens in plan.tokens.items():
        say(f"tokens, {what}: {tokens:,}")
    for warning in plan.warnings:
        say(f"warning: {warning}")
