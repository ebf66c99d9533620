"""The one training loop. It knows batches, a loss and a schedule, and no stage."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from transformers import PreTrainedModel

from rlvr.config import TrainConfig
from rlvr.errors import RlvrError, StopRequestedError, TrainingStoppedError
from rlvr.runtime import signals
from rlvr.runtime.device import precision
from rlvr.runtime.live import Fresh
from rlvr.runtime.manifest import damage
from rlvr.runtime.metrics import MetricsFile, read_rows, without_infinities
from rlvr.runtime.notes import Notes
from rlvr.runtime.progress import StepProgress
from rlvr.runtime.run_dir import RunDirectory
from rlvr.runtime.saved import step_folders, step_of
from rlvr.runtime.tracking import tracked
from rlvr.train.checkpoint import Checkpoints, TrainState
from rlvr.train.gradient import leave_gradient
from rlvr.train.losses import Loss
from rlvr.train.measured import Measured
from rlvr.train.optim import Optimizer, learning_rate, make_optimizer
from rlvr.types import Batch, LossOutput, Metrics, StepData, Update

MAX_NONFINITE = 3
"""Steps in a row with a loss or gradient that is not finite, after which a run stops; one is enough if it is the last of all."""


class BatchSource(Protocol):
    """Where batches come from: documents by number, or rollouts of the model as it is now."""

    def next_step(self, step: int) -> StepData:
        """What step ``step`` (from 1) learns from."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """All that ``next_step`` depends on beside the step, the model and the tensors, as JSON."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...

    def tensors(self) -> dict[str, torch.Tensor]:
        """The tensors that ``next_step`` depends on beside the model, as they are now. They must serve for the step that
        was done last and for doing again one that was begun since."""
        ...

    def load_tensors(self, tensors: dict[str, torch.Tensor]) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Limit:
    """The largest value a metric may have, and what it means if it is above. diagnose: the step's number to what is wrong then."""

    metric: str
    value: float
    meaning: str
    diagnose: Callable[[int], str] = lambda _step: ""


@dataclass(frozen=True, kw_only=True)
class Fit:
    """What to train, on what, and what to say.

    companion: a module that the loss trains beside the model, by the same optimizer; its gradient is clipped by itself.
    evaluate: metrics of the model after a step, none where no evaluation is due.
    describe: further metrics that follow from a step's row.
    limits: metrics that must not exceed a value; above it the run stops before the update.
    track: other programs that get the rows.
    fresh: one of the newest answers, to be shown.
    """

    label: str
    model: PreTrainedModel
    tokenizer: Any
    source: BatchSource
    loss: Loss
    config: TrainConfig
    run: RunDirectory
    evaluate: Callable[[int], Metrics]
    describe: Callable[[Metrics], Metrics] = lambda row: row
    limits: tuple[Limit, ...] = ()
    companion: torch.nn.Module | None = None
    track: Sequence[str] = ()
    fresh: Fresh = lambda _right: None


def fit(job: Fit) -> None:
    """Train until ``max_steps``, going on from the newest checkpoint of the run if there is one.

    Raises TrainingStoppedError when going on would do harm, and StopRequestedError after a signal, once a checkpoint
    of the last whole update is saved.
    """
    optimizer = make_optimizer(job.model, job.config, job.companion)
    checkpoints = Checkpoints(
        folder=job.run.checkpoints,
        model=job.model,
        tokenizer=job.tokenizer,
        optimizer=optimizer,
        keep=job.config.keep_checkpoints,
        companion=job.companion,
    )
    resumed = checkpoints.resume()
    if resumed is not None:
        job.source.load_state_dict(resumed.source)
        job.source.load_tensors(checkpoints.source_tensors(resumed.step))
    state, saved = resumed or TrainState(step=0, source=job.source.state_dict()), resumed
    metrics = MetricsFile(job.run.metrics, state.step if state.row is None else state.step - 1)
    rows = read_rows(job.run.metrics)
    with (
        signals.watched(),
        StepProgress(job.label, job.config.max_steps, state.step, rows) as progress,
        tracked(job.run.path, job.track, progress.say),
    ):
        notes = Notes(job.run.path, rows, progress.say)
        try:
            while state.step < job.config.max_steps or state.row is not None:
                signals.check()
                begin = time.perf_counter()
                if state.row is None:
                    state = _update(job, optimizer, state)
                with precision(job.model.device, job.config.dtype):
                    row = {**(state.row or {}), **job.evaluate(state.step)}
                timed = {**row, "time/step_seconds": time.perf_counter() - begin}
                metrics.write(state.step, timed)
                progress.update(state.step, timed, job.fresh)
                notes.add(state.step, row)
                state = replace(state, row=None)
                last = state.step == job.config.max_steps
                if last or (state.step % job.config.save_every == 0 and not state.nonfinite):
                    metrics.sync()
                    checkpoints.save(state, job.source.tensors())
                    saved = state
        except (StopRequestedError, RlvrError):
            if state is not saved:
                metrics.sync()
                checkpoints.save(state, job.source.tensors())
            raise
        finally:
            metrics.close()
            notes.close()


def _update(job: Fit, optimizer: Optimizer, state: TrainState) -> TrainState:
    """One step: the updates on its data, one or several; the state after it, its metrics not yet written."""
    step = state.step + 1
    data = job.source.next_step(step)
    start = time.perf_counter()
    rate = learning_rate(job.config, step)
    for group in optimizer.param_groups:
        group["lr"] = learning_rate(job.config, step, group["peak"])
    measured, skipped = Measured(), 0
    for number, update in enumerate(data.updates):
        # Once a step has changed the weights it is finished, so that a checkpoint never falls inside it.
        norm = _gradient(job, optimizer, update, measured, interruptible=number == 0)
        _refuse_beyond_limits(job, step, {**data.metrics, **measured.row()})
        applied = math.isfinite(measured.losses[-1]) and math.isfinite(norm)
        skipped += not applied
        if applied:
            optimizer.step()
    nonfinite = state.nonfinite if not data.updates else state.nonfinite + 1 if skipped else 0
    row = measured.row()
    if skipped and (nonfinite >= MAX_NONFINITE or step == job.config.max_steps):
        times = f"for {nonfinite} steps in a row" if nonfinite > 1 else "at the last step"
        raise TrainingStoppedError(
            f"step {step}: loss {row['train/loss']:.3g} and gradient norm {row['train/grad_norm']:.3g} were not finite {times}; "
            f"no such step was applied; {_last_good(job, state.updated)}; "
            "lower train.learning_rate and begin a new run (--fresh, or another --run)"
        )
    row = {**data.metrics, **row, "train/learning_rate": rate, "train/nonfinite_steps": nonfinite}
    if skipped:
        row["train/skipped_updates_fraction"] = skipped / len(data.updates)
    row["time/train_seconds"] = time.perf_counter() - start
    return TrainState(
        step=step,
        source=job.source.state_dict(),
        row=without_infinities(job.describe(row)),
        nonfinite=nonfinite,
        updated=step if skipped < len(data.updates) else state.updated,
    )


def _gradient(job: Fit, optimizer: Optimizer, update: Update, measured: Measured, *, interruptible: bool) -> float:
    """Leave the clipped gradient of an update's loss in the model, add what was measured on the way; the gradient's norm.

    Sums over batches are divided once, by what is the same for every split into batches, so the split cannot change
    the gradient.
    """
    optimizer.zero_grad()
    count = sum(int(batch.loss_mask.sum()) for batch in update.batches)
    divisor = count if update.divisor is None else update.divisor

    def forward(batch: Batch) -> LossOutput:
        with precision(job.model.device, job.config.dtype):
            return job.loss(job.model, batch)

    found = leave_gradient(
        forward,
        update.batches,
        divisor,
        model=job.model,
        companion=job.companion,
        check=signals.check if interruptible else lambda: None,
    )
    norm = torch.nn.utils.clip_grad_norm_(job.model.parameters(), job.config.max_grad_norm).item()
    if job.companion is not None:
        beside = torch.nn.utils.clip_grad_norm_(job.companion.parameters(), job.config.max_grad_norm).item()
        norm = norm if math.isfinite(beside) else beside
    measured.add(loss=found.loss_sum.item() / divisor, norm=norm, count=count, sums=found.sums, maxima=found.maxima)
    return norm


def _last_good(job: Fit, updated: int) -> str:
    """Which checkpoint is the newest from before the step that last changed the weights."""
    for folder in reversed(step_folders(job.run.checkpoints)):
        if step_of(folder) < updated and damage(folder) is None:
            return f"the last good checkpoint is {folder}"
    return f"no checkpoint in {job.run.checkpoints} is known to be good"


def _refuse_beyond_limits(job: Fit, step: int, row: Metrics) -> None:
    for limit in job.limits:
        if row.get(limit.metric, 0.0) > limit.value:
            raise TrainingStoppedError(
                f"step {step}: {limit.metric} is {row[limit.metric]:.3g}, above {limit.value:g}: {limit.meaning}{limit.diagnose(step)}; "
                "the update was not applied and the last checkpoint is kept"
            )
