"""A model's weights as they were: copies to go back to, and computing with them for a while."""

import contextlib
import math
from collections.abc import Iterator

import torch

Weights = dict[str, torch.Tensor]
"""A copy of every parameter by name, tied ones once."""


def copy_weights(model: torch.nn.Module) -> Weights:
    """The model's parameters as they are now."""
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


def not_finite(model: torch.nn.Module) -> str | None:
    """The name of the first parameter that holds inf or nan, or numbers so large that their sum does; None if there is none.

    One pass over the weights and no copy of them.
    """
    sums = {name: parameter.detach().sum() for name, parameter in model.named_parameters()}
    return next((name for name, total in sums.items() if not math.isfinite(total)), None)


@contextlib.contextmanager
def using(model: torch.nn.Module, weights: Weights) -> Iterator[None]:
    """Inside, the model computes with these weights; afterwards it has its own again, untouched and uncopied."""
    own = {name: parameter.data for name, parameter in model.named_parameters()}
    try:
        for name, parameter in model.named_parameters():
            parameter.data = weights[name]
        yield
    finally:
        for name, parameter in model.named_parameters():
            parameter.data = own[name]
