"""Checkpoints: a Hugging Face directory plus all that is needed to go on exactly; whole or absent, never pickled."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from rlvr.errors import RlvrError, TrainingStoppedError
from rlvr.models.pretrained import restore_weights, save_model
from rlvr.models.weights import not_finite
from rlvr.runtime.files import sync_folder, write_atomically, write_json
from rlvr.runtime.metrics import Row
from rlvr.runtime.run_dir import STATE, finished_checkpoints
from rlvr.train.optim import Optimizer

OPTIMIZER, SOURCE, COMPANION = "optimizer.safetensors", "source.safetensors", "companion.safetensors"
LATEST, REPLACED = "latest", ".tmp-old-"


@dataclass(frozen=True, kw_only=True)
class TrainState:
    """Where a run stands beside its tensors.

    step: updates done. source: the batch source's state after that step.
    row: the step's metrics if they have not been written yet, because its evaluation was interrupted.
    nonfinite: how many steps in a row, up to now, were not applied.
    updated: the last step that changed the weights: those of checkpoints before it gave a loss and gradient that were finite.
    """

    step: int
    source: dict[str, Any]
    row: Row | None = None
    nonfinite: int = 0
    updated: int = 0


@dataclass(frozen=True, kw_only=True)
class Checkpoints:
    """The checkpoints of one run. companion: a module that is trained beside the model; saved in a file of its own."""

    folder: Path
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    optimizer: Optimizer
    keep: int
    companion: torch.nn.Module | None = None

    def save(self, state: TrainState, tensors: dict[str, torch.Tensor] | None = None) -> None:
        """Write aside, sync, rename, then point ``latest`` at it and remove the oldest beyond ``keep``.

        tensors: the batch source's; a file of their own, if there are any. Raises TrainingStoppedError, and writes nothing,
        if a weight is not finite.
        """
        for module in (self.model, self.companion):
            if module is not None and (broken := not_finite(module)) is not None:
                raise TrainingStoppedError(
                    f"step {state.step}: the weights {broken} are no longer finite, so they are not saved; "
                    f"checkpoints from before are kept in {self.folder}; lower train.learning_rate and begin a new run "
                    "(--fresh, or another --run)"
                )
        aside, final = self.folder / f".tmp-{_name(state.step)}", self.folder / _name(state.step)
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir()
        save_model(self.model, self.tokenizer, aside)
        save_file(self._optimizer_tensors(), aside / OPTIMIZER)
        if self.companion is not None:
            save_file(_contiguous(self.companion.state_dict()), aside / COMPANION)
        if tensors:
            save_file(_contiguous(tensors), aside / SOURCE)
        write_json(aside / STATE, asdict(state))
        for file in aside.iterdir():
            _sync(file)
        sync_folder(aside)
        replaced = self.folder / f"{REPLACED}{_name(state.step)}"
        if final.exists():
            shutil.rmtree(replaced, ignore_errors=True)
            final.rename(replaced)
        aside.rename(final)
        sync_folder(self.folder)
        write_atomically(self.folder / LATEST, final.name + "\n")
        shutil.rmtree(replaced, ignore_errors=True)
        for old in finished_checkpoints(self.folder)[: -self.keep]:
            shutil.rmtree(old)

    def resume(self) -> TrainState | None:
        """Load the newest checkpoint into model and optimizer; None if there is none yet."""
        for replaced in self.folder.glob(f"{REPLACED}*"):
            if not (final := self.folder / replaced.name.removeprefix(REPLACED)).exists():
                replaced.rename(final)  # the crash came between the two renames of a replacement
        for leftover in self.folder.glob(".tmp-*"):
            if leftover.is_dir():
                shutil.rmtree(leftover)
            else:
                leftover.unlink()
        found = finished_checkpoints(self.folder)
        if not found:
            return None
        folder = found[-1]
        restore_weights(self.model, folder)
        try:
            self._load_optimizer(folder)
            if self.companion is not None:
                self.companion.load_state_dict(load_file(folder / COMPANION))
            return TrainState(**json.loads((folder / STATE).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError, SafetensorError) as error:
            raise RlvrError(
                str(folder), f"is a damaged checkpoint: {error}", remedy="remove it to go on from the one before"
            ) from error

    def source_tensors(self, step: int) -> dict[str, torch.Tensor]:
        """The batch source's tensors in the checkpoint of a step, on the model's device; none if it has none."""
        file = self.folder / _name(step) / SOURCE
        if not file.exists():
            return {}
        try:
            return {name: tensor.to(self.model.device) for name, tensor in load_file(file).items()}
        except (OSError, SafetensorError) as error:
            raise RlvrError(str(file), f"is damaged: {error}", remedy="remove its folder") from error

    def _optimizer_tensors(self) -> dict[str, torch.Tensor]:
        """Every tensor of the optimizer's state as ``<parameter>.<key>``."""
        return {
            f"{name}.{key}": value.contiguous()
            for name, parameter in self._parameters().items()
            for key, value in self.optimizer.state_of(parameter).items()
            if isinstance(value, torch.Tensor)
        }

    def _load_optimizer(self, folder: Path) -> None:
        tensors = load_file(folder / OPTIMIZER)
        parameters = self._parameters()
        for full_name, tensor in tensors.items():
            name, _, key = full_name.rpartition(".")
            if name not in parameters:
                raise RlvrError(str(folder / OPTIMIZER), "is of another model", got=full_name)
            self.optimizer.state_of(parameters[name])[key] = tensor.to(parameters[name].device)

    def _parameters(self) -> dict[str, torch.nn.Parameter]:
        """Every parameter by name; those of the companion begin with ``companion.``."""
        beside = self.companion.named_parameters() if self.companion is not None else ()
        return {**dict(self.model.named_parameters()), **{f"companion.{name}": value for name, value in beside}}


def _contiguous(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: tensor.contiguous() for name, tensor in tensors.items()}


def _name(step: int) -> str:
    return f"step_{step:06d}"


def _sync(file: Path) -> None:
    with file.open("rb") as stream:
        os.fsync(stream.fileno())
