"""``rlvr study``: what models make of saved rollouts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rlvr.errors import RlvrError

if TYPE_CHECKING:
    import torch

    from rlvr.config import EvalConfig, RlConfig
    from rlvr.study import Policy


def study(path: Path, step: int | None, extent: tuple[int, int, int | None], against: str | None) -> None:
    """Look into rollouts of a step, or of the first and the last that were saved, and print the files written.

    extent: how many rollouts, how many samples from each position, and of which problem alone.
    """
    from rlvr.config import EvalConfig, RlConfig
    from rlvr.config_file import load
    from rlvr.report.runs import open_finished
    from rlvr.rewards import Scorer
    from rlvr.runtime import signals
    from rlvr.runtime.device import choose_device
    from rlvr.runtime.run_dir import reopen_run
    from rlvr.study import Extent, Study

    source = open_finished(path)
    stage, config = load(path / "config.yaml", [])
    if not isinstance(config, (RlConfig, EvalConfig)):
        raise RlvrError(str(path), f"is a run of rlvr {stage}, which writes no rollouts", allowed="runs of rl, eval")
    saved = source.rollout_steps()
    if not saved:
        raise RlvrError(str(path), "has no rollouts to study")
    if step is not None and step not in saved:
        raise RlvrError("--step", "has no rollouts", got=step, allowed=", ".join(map(str, saved)))
    rollouts, samples, problem = extent
    wanted = Extent(rollouts=rollouts, samples=samples, problem=problem)
    with reopen_run(path) as run, signals.watched():
        device = choose_device(config.device, config.threads)
        policy, earlier = _policy(path, config, device), _against(path, config, against, device)
        with Scorer(config.reward) as scorer:
            made = Study(config=config, run=run, scorer=scorer, policy=policy, against=earlier, extent=wanted)
            for each in sorted({saved[0], saved[-1]}) if step is None else [step]:
                made.of_step(each)
                print(run.study(each), flush=True)


def _policy(path: Path, config: RlConfig | EvalConfig, device: torch.device) -> Policy:
    """The newest checkpoint of a run, or the model that an evaluation is of."""
    from rlvr.config import EvalConfig
    from rlvr.models.pretrained import load_model
    from rlvr.runtime.saved import newest_whole, step_of
    from rlvr.study import Policy

    if isinstance(config, EvalConfig):
        model, codec = load_model(config.model, config.prompt, device)
        return Policy(name=config.model, steps=0, model=model, codec=codec)
    newest = newest_whole(path / "checkpoints")
    if newest is None:
        raise RlvrError(str(path), "has no checkpoint yet", remedy="let that run reach one")
    model, codec = load_model(str(newest.folder), config.prompt, device)
    return Policy(name=f"checkpoints/{newest.folder.name}", steps=step_of(newest.folder), model=model, codec=codec)


def _against(path: Path, config: RlConfig | EvalConfig, name: str | None, device: torch.device) -> Policy:
    """The earlier model: the one that is named, or that the policy began from."""
    from rlvr.config import RlConfig
    from rlvr.models.pretrained import load_model
    from rlvr.runtime.saved import STEP, step_of
    from rlvr.study import Policy

    start = config.model if isinstance(config, RlConfig) else None
    chosen = name or start or _beginning(config.model)
    try:
        model, codec = load_model(chosen, config.prompt, device)
    except RlvrError as error:
        raise RlvrError("--against" if name else str(path), str(error)) from error
    folder, steps = Path(chosen), 0 if chosen == start else None
    if folder.resolve().parent == (path / "checkpoints").resolve() and STEP.fullmatch(folder.name):
        chosen, steps = f"checkpoints/{folder.name}", step_of(folder)
    return Policy(name=chosen, steps=steps, model=model, codec=codec)


def _beginning(model: str) -> str:
    """The model that the run which made a model began from. RlvrError if no run did, or one that began with none."""
    from rlvr.config_file import read_mapping

    file = Path(model) / "config.yaml"
    found = read_mapping(file).get("model") if file.is_file() else None
    if not isinstance(found, str):
        raise RlvrError(
            "--against", f"is needed: {model} does not say which model it began from", remedy="name an earlier model"
        )
    return found
