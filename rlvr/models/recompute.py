"""Gradient checkpointing: of a layer only what it was given is kept, and the rest is computed again on the way back
(Chen et al., arXiv:1604.06174).

transformers' own needs models in training mode, in which some drop units out; here models are never in it.
"""

from types import MethodType
from typing import Any

import torch
from torch.utils.checkpoint import checkpoint
from transformers.modeling_layers import GradientCheckpointingLayer

from rlvr.errors import RlvrError
from rlvr.models.trunk import attention_again


def recompute_layers(model: torch.nn.Module) -> None:
    """Let every layer of a model forget what it computed when there is a gradient to come, in place.

    RlvrError if the model has no layers that transformers marks as fit for it.
    """
    layers = [module for module in model.modules() if isinstance(module, GradientCheckpointingLayer)]
    if not layers:
        what = f"transformers does not know the layers of {type(model).__name__} to be fit for it"
        raise RlvrError("train.gradient_checkpointing", what, got=True, remedy="remove it")
    for layer in layers:
        # A method rather than a closure, so that a copy of the layer gets one of its own.
        layer.forward = MethodType(_forward, layer)


def _forward(layer: Any, *args: Any, **kwargs: Any) -> Any:
    own = type(layer).forward
    if not torch.is_grad_enabled():
        return own(layer, *args, **kwargs)
    return checkpoint(
        own,
        layer,
        *args,
        use_reentrant=False,
        preserve_rng_state=False,  # nothing in a layer is random
        context_fn=lambda: attention_again(layer, kwargs),
        **kwargs,
    )
