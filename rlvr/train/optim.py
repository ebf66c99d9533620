"""Optimizers and learning-rate schedules."""

import math
from collections import defaultdict
from typing import Any

import torch
from transformers import PreTrainedModel

from rlvr.config import TrainConfig
from rlvr.errors import RlvrError

FINAL_SHARE = 0.1
"""Every schedule but the constant one ends at this share of the learning rate."""

DECAY_SHARE = 0.2
"""Share of the steps in which the wsd schedule (warm-up, stable, decay) decays."""


class Optimizer:
    """One torch optimizer, or two for different parameters, as one. ``peak`` of a group is its highest learning rate."""

    def __init__(self, *parts: torch.optim.Optimizer) -> None:
        self._parts = parts

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        return [group for part in self._parts for group in part.param_groups]

    def zero_grad(self) -> None:
        for part in self._parts:
            part.zero_grad(set_to_none=True)

    def step(self) -> None:
        for part in self._parts:
            part.step()

    def state_of(self, parameter: torch.Tensor) -> dict[str, Any]:
        """What is remembered of a parameter, to be read or filled; empty before its first update."""
        for part in self._parts:
            if any(parameter is own for group in part.param_groups for own in group["params"]):
                state: dict[str, Any] = part.state[parameter]
                return state
        return {}


def make_optimizer(model: torch.nn.Module, config: TrainConfig, companion: torch.nn.Module | None = None) -> Optimizer:
    """AdamW, SGD or Muon over all parameters; vectors (norms, biases) are not decayed.

    Muon (Jordan 2024; torch's own, with steps of the size of AdamW's, arXiv:2502.16982, section 2.2) takes the hidden matrices,
    AdamW the rest. companion: a module trained beside the model; RlvrError if a rate is set for what is not there.
    """
    groups = _groups(model, config, companion)
    if config.optimizer == "sgd":
        return Optimizer(torch.optim.SGD(groups, lr=config.learning_rate, momentum=config.momentum or 0.0, fused=True))
    if config.optimizer == "adamw":
        return Optimizer(_adamw(groups, config))
    if not hasattr(torch.optim, "Muon"):
        raise RlvrError("train.optimizer", "needs torch 2.9 or later", got="muon", allowed="adamw, sgd")
    hidden = [group for group in groups if (group["kind"], group["dimensions"]) == ("hidden", 2)]
    rest = [group for group in groups if (group["kind"], group["dimensions"]) != ("hidden", 2)]
    momentum = 0.95 if config.momentum is None else config.momentum
    muon = torch.optim.Muon(hidden, lr=config.learning_rate, momentum=momentum, adjust_lr_fn="match_rms_adamw")
    return Optimizer(muon, _adamw(rest, config))


def _adamw(groups: list[dict[str, Any]], config: TrainConfig) -> torch.optim.Optimizer:
    first, second = config.betas or (0.9, 0.95)
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=(first, second), fused=True)


def _groups(model: torch.nn.Module, config: TrainConfig, companion: torch.nn.Module | None) -> list[dict[str, Any]]:
    """Parameters by kind, each kind with its own rate and decay. Frozen ones are left out."""
    kinds: dict[tuple[str, int], list[torch.nn.Parameter]] = defaultdict(list)
    for owner, module in (("model", model), ("value", companion)):
        for parameter in module.parameters() if module is not None else ():
            if parameter.requires_grad:
                kind = _kind(model, parameter) if owner == "model" else owner
                kinds[kind, parameter.dim()].append(parameter)
    rates = config.learning_rates.model_dump(exclude_none=True) if config.learning_rates is not None else {}
    for kind in rates:
        if not any(kind == found for found, _ in kinds):
            remedy = "remove it; a head that is tied to the embeddings has their rate"
            raise RlvrError(
                f"train.learning_rates.{kind}", "the model has no such parameters of its own", remedy=remedy
            )
    return [
        {
            "params": parameters,
            "kind": kind,
            "peak": rates.get(kind, config.learning_rate),
            "weight_decay": config.weight_decay if dimensions >= 2 else 0.0,
            "dimensions": dimensions,
        }
        for (kind, dimensions), parameters in kinds.items()
    ]


def _kind(model: torch.nn.Module, parameter: torch.nn.Parameter) -> str:
    """embeddings, head, vectors, or hidden for the matrices between, those of several experts in one tensor too."""
    if isinstance(model, PreTrainedModel):
        if parameter is model.get_input_embeddings().weight:
            return "embeddings"
        head = model.get_output_embeddings()
        if head is not None and parameter is head.weight:
            return "head"
    return "hidden" if parameter.dim() >= 2 else "vectors"


def learning_rate(config: TrainConfig, step: int, peak: float | None = None) -> float:
    """The learning rate of step ``step`` (from 1): linear warm-up to the peak, then as the schedule says.

    constant; cosine or linear down to a tenth at the last step; wsd: constant, and linear to a tenth in the last fifth of all
    steps (arXiv:2404.06395, section 4). peak: None means the configuration's.
    """
    peak = config.learning_rate if peak is None else peak
    if step <= config.warmup_steps:
        return peak * step / config.warmup_steps
    if config.schedule == "constant":
        return peak
    begin = config.warmup_steps
    if config.schedule == "wsd":
        begin = max(begin, round((1 - DECAY_SHARE) * config.max_steps))
    done = max(0.0, (step - begin) / max(1, config.max_steps - begin))
    left = 0.5 * (1 + math.cos(math.pi * done)) if config.schedule == "cosine" else 1 - done
    return peak * (FINAL_SHARE + (1 - FINAL_SHARE) * left)
