"""A stage from its configuration to a finished run directory, whoever asks for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from rlvr.config import EvalConfig, StageConfig
from rlvr.preflight import inputs, plan
from rlvr.runtime.progress import say
from rlvr.runtime.run_dir import RunDirectory, open_run, record_warnings

EVALUATION = "eval.json"
"""What a finished evaluation leaves in its run directory."""


def checked(config: StageConfig) -> list[str]:
    """Everything that can be known before a run starts: RlvrError if it cannot, else what is to be warned of, which is said."""
    warnings = plan(config, starting=True).warnings
    for warning in warnings:
        say(f"warning: {warning}")
    return warnings


def launch(stage: str, config: Any, warnings: list[str], path: Path, *, fresh: bool = False) -> None:
    """Run a stage, or go on with it, in its run directory; one that is finished is left as it is, which is said.

    warnings: of ``checked``. fresh: move an existing run aside first. Raises what ``open_run`` and the stages raise.
    """
    with open_run(path, config, _inputs(config), fresh=fresh) as directory:
        if isinstance(config, EvalConfig):
            if (directory.path / EVALUATION).exists():
                say(f"{directory.path} is finished; --fresh evaluates anew")
                return
        elif directory.finished(config.train.max_steps):
            say(f"{directory.path} is finished ({config.train.max_steps} steps); --fresh starts anew")
            return
        record_warnings(directory, warnings)
        _run(stage)(config, directory)


def _run(stage: str) -> Callable[[Any, RunDirectory], None]:
    """The recipe of a stage; only here is torch loaded."""
    from rlvr.stages import evaluate, pretrain, rl, sft

    stages: dict[str, Callable[[Any, RunDirectory], None]]
    stages = {"pretrain": pretrain.run, "sft": sft.run, "rl": rl.run, "eval": evaluate.run}
    return stages[stage]


def _inputs(config: Any) -> dict[str, str]:
    """The SHA-256 of every file that the run learns or starts from; of a function of the user's it is said too."""
    found = inputs(config)
    own = config.reward.own
    if own is not None:
        say(f"reward.own: {own.function} of {own.file} (sha256 {found[own.file]})")
    return found
