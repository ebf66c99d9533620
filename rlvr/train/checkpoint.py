"""Checkpoints: a Hugging Face directory plus all that is needed to go on exactly; whole or absent, never pickled."""

from __future__ import annotations

import json
import secrets
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from rlvr.errors import RlvrError, TrainingStoppedError
from rlvr.models.pretrained import restore_weights, save_model
from rlvr.models.weights import not_finite
from rlvr.runtime.files import Writing, sync, write_json
from rlvr.runtime.manifest import damage, seal
from rlvr.runtime.metrics import Row
from rlvr.runtime.progress import say
from rlvr.runtime.run_dir import free_name
from rlvr.runtime.saved import ASIDE, REPLACED, STATE, is_checkpoint, newest_whole, point_at, remove, step_folders
from rlvr.train.optim import Optimizer

OPTIMIZER, SOURCE, COMPANION = "optimizer.safetensors", "source.safetensors", "companion.safetensors"


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
    """The checkpoints of one run. companion: a module that is trained beside the model; saved in a file of its own.

    whole: names of folders that this process wrote or read, so that they need not be read again to be counted.
    """

    folder: Path
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    optimizer: Optimizer
    keep: int
    companion: torch.nn.Module | None = None
    whole: set[str] = field(default_factory=set)

    def save(self, state: TrainState, tensors: dict[str, torch.Tensor] | None = None) -> None:
        """Write aside, sync, rename, point ``latest`` at it, and only then remove the oldest beyond ``keep``.

        tensors: the batch source's; a file of their own, if there are any.
        Raises TrainingStoppedError if it cannot be written or a weight is not finite; the checkpoints from before are as
        they were.
        """
        self._refuse_broken(state.step)
        final = self.folder / _name(state.step)
        aside = self.folder / f"{ASIDE}{final.name}-{secrets.token_hex(4)}"
        replaced = self.folder / f"{REPLACED}{final.name}"
        with Writing(final):
            try:
                self._write(aside, state, tensors)
                if is_checkpoint(final):
                    shutil.rmtree(replaced, ignore_errors=True)
                    final.rename(replaced)
                elif final.exists():
                    final.rename(free_name(final))
                aside.rename(final)
            finally:
                shutil.rmtree(aside, ignore_errors=True)
            point_at(final)
            self.whole.add(final.name)
            shutil.rmtree(replaced, ignore_errors=True)
            self._remove_oldest()

    def resume(self) -> TrainState | None:
        """Load the newest whole checkpoint into model and optimizer, and say which newer ones are damaged.

        None if there is none yet. Raises RlvrError if all are damaged, or the newest whole one is of another model.
        """
        newest = newest_whole(self.folder)
        if newest is None:
            return None
        folder = newest.folder
        for damaged in newest.passed:
            say(f"warning: {damaged}; going on from {folder.name}")
        restore_weights(self.model, folder)
        try:
            self._load_optimizer(folder)
            if self.companion is not None:
                self.companion.load_state_dict(load_file(folder / COMPANION))
            state = TrainState(**json.loads((folder / STATE).read_text(encoding="utf-8")))
        except (ValueError, TypeError, SafetensorError) as error:
            raise RlvrError(
                str(folder), f"is not a checkpoint of this run: {error}", remedy="begin anew with --fresh"
            ) from error
        self.whole.add(folder.name)
        return state

    def _refuse_broken(self, step: int) -> None:
        """Raise TrainingStoppedError if a weight is not finite."""
        for module in (self.model, self.companion):
            if module is not None and (broken := not_finite(module)) is not None:
                raise TrainingStoppedError(
                    f"step {step}: the weights {broken} are no longer finite, so they are not saved; "
                    f"checkpoints from before are kept in {self.folder}; lower train.learning_rate and begin a new run "
                    "(--fresh, or another --run)"
                )

    def _write(self, folder: Path, state: TrainState, tensors: dict[str, torch.Tensor] | None) -> None:
        """A checkpoint in a new folder, with its manifest at last, durable but for the folder's own name."""
        folder.mkdir()
        save_model(self.model, self.tokenizer, folder)
        save_file(self._optimizer_tensors(), folder / OPTIMIZER)
        if self.companion is not None:
            save_file(_contiguous(self.companion.state_dict()), folder / COMPANION)
        if tensors:
            save_file(_contiguous(tensors), folder / SOURCE)
        write_json(folder / STATE, asdict(state))
        seal(folder)
        for path in [*folder.rglob("*"), folder]:
            sync(path)

    def _remove_oldest(self) -> None:
        """Remove our own folders that are older than the ``keep`` newest whole checkpoints."""
        kept = 0
        for folder in reversed(step_folders(self.folder)):
            if kept < self.keep:
                kept += folder.name in self.whole or damage(folder) is None
            elif is_checkpoint(folder):
                remove(folder)
                self.whole.discard(folder.name)

    def source_tensors(self, step: int) -> dict[str, torch.Tensor]:
        """The batch source's tensors in the checkpoint of a step, on the model's device; none if it has none."""
        file = self.folder / _name(step) / SOURCE
        if not file.exists():
            return {}
        return {name: tensor.to(self.model.device) for name, tensor in load_file(file).items()}

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
