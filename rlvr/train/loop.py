"""The one training loop. It knows batches, a loss and a schedule, and no stage."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from transformers import PreTrainedModel

from rlvr.config import TrainConfig
from rlvr.errors import RlvrError, StopRequestedError, TrainingStoppedError
from rlvr.runtime import signals
from rlvr.runtime.device import precision
from rlvr.runtime.metrics import MetricsFile, without_infinities
from rlvr.runtime.progress import StepProgress, summary
from rlvr.runtime.run_dir import RunDirectory
from rlvr.train.checkpoint import Checkpoints, TrainState
from rlvr.train.losses import Loss
from rlvr.train.optim import learning_rate, make_optimizer
from rlvr.types import Batch, Metrics, StepData

MAX_NONFINITE = 3
"""Steps in a row with a loss or gradient that is not finite, after which a run stops."""


class BatchSource(Protocol):
    """Where batches come from: documents by number, or rollouts of the model as it is now."""

    def next_step(self, step: int) -> StepData:
        """What update ``step`` (from 1) learns from."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """All that ``next_step`` depends on beside the step and the model, as JSON."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Limit:
    """The largest value a metric may have, and what it means if it is above."""

    metric: str
    value: float
    meaning: str


@dataclass(frozen=True, kw_only=True)
class Fit:
    """What to train, on what, and what to say.

    evaluate: metrics of the model after a step, none where no evaluation is due.
    describe: further metrics that follow from a step's row.
    limits: metrics that must not exceed a value; above it the run stops before the update.
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


def fit(job: Fit) -> None:
    """Train until ``max_steps``, going on from the newest checkpoint of the run if there is one.

    Raises TrainingStoppedError when going on would do harm, and StopRequestedError after a signal, once a checkpoint
    of the last whole update is saved.
    """
    optimizer = make_optimizer(job.model, job.config)
    checkpoints = Checkpoints(
        folder=job.run.checkpoints,
        model=job.model,
        tokenizer=job.tokenizer,
        optimizer=optimizer,
        keep=job.config.keep_checkpoints,
    )
    resumed = checkpoints.resume()
    if resumed is not None:
        job.source.load_state_dict(resumed.source)
    state = saved = resumed or TrainState(step=0, source=job.source.state_dict())
    metrics = MetricsFile(job.run.metrics, state.step if state.row is None else state.step - 1)
    with signals.watched(), StepProgress(job.label, job.config.max_steps, state.step) as progress:
        try:
            while state.step < job.config.max_steps or state.row is not None:
                begin = time.perf_counter()
                if state.row is None:
                    state = _update(job, optimizer, state)
                with precision(job.model.device, job.config.dtype):
                    row = {**(state.row or {}), **job.evaluate(state.step)}
                metrics.write(state.step, {**row, "time/step_seconds": time.perf_counter() - begin})
                progress.update(state.step, summary(row))
                state = replace(state, row=None)
                due = state.step % job.config.save_every == 0 or state.step == job.config.max_steps
                if due and not state.nonfinite:
                    checkpoints.save(state)
                    saved = state
        except (StopRequestedError, RlvrError):
            if state is not saved or resumed is None:
                checkpoints.save(state)
            raise
        finally:
            metrics.close()


def _update(job: Fit, optimizer: torch.optim.Optimizer, state: TrainState) -> TrainState:
    """One update of the model; the state after it, its metrics not yet written."""
    step = state.step + 1
    data = job.source.next_step(step)
    start = time.perf_counter()
    row = _gradient(job, optimizer, data.batches) if data.batches else {"tokens/train": 0.0}
    _refuse_beyond_limits(job, step, row)
    rate = learning_rate(job.config, step)
    for group in optimizer.param_groups:
        group["lr"] = rate
    nonfinite = state.nonfinite
    if data.batches:
        finite = math.isfinite(row["train/loss"]) and math.isfinite(row["train/grad_norm"])
        nonfinite = 0 if finite else nonfinite + 1
        if finite:
            optimizer.step()
    if nonfinite >= MAX_NONFINITE:
        raise TrainingStoppedError(
            f"step {step}: loss {row['train/loss']:.3g} and gradient norm {row['train/grad_norm']:.3g} were not finite for "
            f"{nonfinite} steps in a row; no such step was applied, and checkpoints from before are kept in {job.run.checkpoints}; "
            "lower train.learning_rate and begin a new run (--fresh, or another --run)"
        )
    row = {**data.metrics, **row, "train/learning_rate": rate, "train/nonfinite_steps": nonfinite}
    row["time/train_seconds"] = time.perf_counter() - start
    return TrainState(
        step=step, source=job.source.state_dict(), row=without_infinities(job.describe(row)), nonfinite=nonfinite
    )


def _gradient(job: Fit, optimizer: torch.optim.Optimizer, batches: list[Batch]) -> Metrics:
    """Leave the clipped gradient of the mean loss in the model, and return what was measured on the way.

    At least one batch. Sums over batches are divided by the count of all trained tokens, so how they were split cannot change the gradient.
    """
    optimizer.zero_grad(set_to_none=True)
    count = sum(int(batch.loss_mask.sum()) for batch in batches)
    sums: dict[str, torch.Tensor] = {}
    maxima: dict[str, torch.Tensor] = {}
    for batch in batches:
        signals.check()
        with precision(job.model.device, job.config.dtype):
            output = job.loss(job.model, batch)
        (output.loss_sum / count).backward()  # type: ignore[no-untyped-call]
        for name, value in {"train/loss": output.loss_sum.detach(), **output.sums}.items():
            sums[name] = sums[name] + value if name in sums else value
        for name, value in output.maxima.items():
            maxima[name] = torch.maximum(maxima[name], value) if name in maxima else value
    norm = torch.nn.utils.clip_grad_norm_(job.model.parameters(), job.config.max_grad_norm)
    return {
        **{name: value.item() / count for name, value in sums.items()},
        **{name: value.item() for name, value in maxima.items()},
        "train/grad_norm": norm.item(),
        "tokens/train": count,
    }


def _refuse_beyond_limits(job: Fit, step: int, row: Metrics) -> None:
    for limit in job.limits:
        if row.get(limit.metric, 0.0) > limit.value:
            raise TrainingStoppedError(
                f"step {step}: {limit.metric} is {row[limit.metric]:.3g}, above {limit.value:g}: {limit.meaning}; "
                "the update was not applied and the last checkpoint is kept"
            )
