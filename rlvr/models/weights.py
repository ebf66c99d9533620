"""A model's weights as they were: copies to go back to, and computing with them for a while."""

import contextlib
import math
from collections.abc import Iterator

import torch

Weights = dict[str, torch.Tensor]
"""Copies of parameters by name, tied ones once."""


def copy_weights(model: torch.nn.Module) -> Weights:
    """The model's parameters as they are now; those that are never trained are left out."""
    return {name: each.detach().clone() for name, each in model.named_parameters() if each.requires_grad}


def not_finite(model: torch.nn.Module) -> str | None:
    """The name of the first parameter that holds inf or nan, or numbers so large that their sum does; None if there is none.

    One pass over the weights and no copy of them.
    """
    sums = {name: parameter.detach().sum() for name, parameter in model.named_parameters()}
    return next((name for name, total in sums.items() if not math.isfinite(total)), None)


@contextlib.contextmanager
def using(model: torch.nn.Module, weights: Weights) -> Iterator[None]:
    """Inside, the model computes with these weights; afterwards it has its own again, untouched and uncopied."""
    parameters = dict(model.named_parameters())
    own = {name: parameters[name].data for name in weights}
    try:
        for name, tensor in weights.items():
            parameters[name].data = tensor
        yield
    finally:
        for name, tensor in own.items():
            parameters[name].data = tensor
