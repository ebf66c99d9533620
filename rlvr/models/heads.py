"""Models with a number instead of a next token at their end."""

import copy

import torch
from transformers import PreTrainedModel

from rlvr.models.trunk import hidden_before
from rlvr.types import Batch


class ValueModel(torch.nn.Module):
    """How much reward is expected after each prefix: a copy of a model's trunk with one linear output, zero at first."""

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.trunk = copy.deepcopy(model.base_model)
        width = model.config.hidden_size
        self.head = torch.nn.Linear(width, 1, device=model.device, dtype=model.dtype)
        torch.nn.init.zeros_(self.head.weight)
        torch.nn.init.zeros_(self.head.bias)

    def forward(self, batch: Batch) -> torch.Tensor:
        """The value of the prefix before every trained token, (N,) in row-major order."""
        before = hidden_before(self.trunk, batch.layout)  # (N, W)
        values: torch.Tensor = self.head(before.to(self.head.weight.dtype)).squeeze(-1)
        return values.to(torch.promote_types(values.dtype, torch.float32))
