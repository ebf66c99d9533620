"""The training stages and check: load the configuration, open the run directory, run the stage."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rlvr.ending import say
from rlvr.errors import RlvrError

if TYPE_CHECKING:
    from rlvr.config import StageConfig
    from rlvr.preflight import Plan


def train(stage: str, file: Path, run: Path | None, settings: list[str] | None, fresh: bool, dry_run: bool) -> None:
    """A training stage, from its file to a finished run directory, or what ``check`` says of it."""
    from rlvr.config_file import load
    from rlvr.launch import checked, launch
    from rlvr.preflight import plan

    _, config = load(file, settings or [], stage)
    if dry_run:
        print_plan(stage, config, plan(config, starting=False), json=False)
        return
    path = run or default_run(file)
    launch(stage, config, checked(config), path, fresh=fresh)
    print(path)


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
    print_plan(stage, config, plan(config, starting=False), json=as_json)


def print_plan(stage: str, config: StageConfig, plan: Plan, *, json: bool) -> None:
    """What ``check`` and ``--dry-run`` say: the resolved configuration on stdout, what it would take on stderr; or both as JSON."""
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
        trained = f" (trained: {plan.trained:,})" if plan.trained not in (None, plan.parameters) else ""
        say(f"parameters: {plan.parameters:,}{trained}; memory for {kept}: {plan.memory_bytes / 2**20:,.1f} MiB")
    for what, tokens in plan.tokens.items():
        say(f"tokens, {what}: {tokens:,}")
    for warning in plan.warnings:
        say(f"warning: {warning}")
