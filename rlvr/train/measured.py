"""What a step's updates measured, added up."""

import math
from dataclasses import dataclass, field

import torch

from rlvr.types import Metrics


@dataclass
class Measured:
    """Sums with the count of tokens they are over, maxima, and each update's loss and gradient norm; a step's own."""

    losses: list[float] = field(default_factory=list)
    norms: list[float] = field(default_factory=list)
    tokens: int = 0
    sums: dict[str, tuple[float, int]] = field(default_factory=dict)
    maxima: dict[str, float] = field(default_factory=dict)

    def add(
        self, *, loss: float, norm: float, count: int, sums: dict[str, torch.Tensor], maxima: dict[str, torch.Tensor]
    ) -> None:
        """Add what one update measured on ``count`` tokens. A maximum that is not a number stays."""
        self.losses.append(loss)
        self.norms.append(norm)
        self.tokens += count
        for name, value in maxima.items():
            new, old = value.item(), self.maxima.get(name, -math.inf)
            self.maxima[name] = new if math.isnan(new) or new > old else old
        for name, value in sums.items():
            total, over = self.sums.get(name, (0.0, 0))
            self.sums[name] = (total + value.item(), over + count)

    def row(self) -> Metrics:
        """The step's metrics: means over the tokens of the updates that measured them, and the mean loss and norm of all
        updates. Without an update there is only ``tokens/train``, 0."""
        if not self.losses:
            return {"tokens/train": 0.0}
        return {
            "train/loss": sum(self.losses) / len(self.losses),
            **{name: total / over for name, (total, over) in self.sums.items()},
            **self.maxima,
            "train/grad_norm": sum(self.norms) / len(self.norms),
            "tokens/train": self.tokens,
        }
