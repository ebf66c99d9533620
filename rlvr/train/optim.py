"""Optimizers and learning-rate schedules."""

import math

import torch
from transformers import PreTrainedModel

from rlvr.config import TrainConfig

FINAL_SHARE = 0.1
"""The cosine schedule ends at this share of the learning rate."""


def make_optimizer(model: PreTrainedModel, config: TrainConfig) -> torch.optim.Optimizer:
    """AdamW or SGD over all parameters; vectors (norms, biases) are not decayed."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.dim() >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.dim() < 2], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    if config.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=config.learning_rate, momentum=config.momentum or 0.0, fused=True)
    first, second = config.betas or (0.9, 0.95)
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=(first, second), fused=True)


def learning_rate(config: TrainConfig, step: int) -> float:
    """The learning rate of update ``step`` (from 1): linear warm-up, then constant or a cosine down to a tenth."""
    if step <= config.warmup_steps:
        return config.learning_rate * step / config.warmup_steps
    if config.schedule == "constant":
        return config.learning_rate
    done = (step - config.warmup_steps) / max(1, config.max_steps - config.warmup_steps)
    return config.learning_rate * (FINAL_SHARE + (1 - FINAL_SHARE) * 0.5 * (1 + math.cos(math.pi * done)))
