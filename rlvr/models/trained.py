"""What of a model is trained, and how its layers are gone back through."""

import torch
from transformers import PreTrainedModel

from rlvr.config import LoraConfig, TrainConfig
from rlvr.models.adapter import add_adapter
from rlvr.models.parts import frozen
from rlvr.models.recompute import recompute_layers


def choose_trained(
    model: PreTrainedModel, train: TrainConfig, lora: LoraConfig | None = None, *, base: str = "", seed: int = 0
) -> None:
    """Add the adapter, freeze what is not to be trained, and set up gradient checkpointing, in place.

    base: what ``model:`` names. seed: of the run. RlvrError for what the model has not; MissingExtraError without peft.
    """
    if lora is not None:
        add_adapter(model, lora, base=base, seed=seed)
    if train.freeze is not None:
        _freeze(model, train.freeze)
    if train.gradient_checkpointing:
        recompute_layers(model)


def _freeze(model: PreTrainedModel, patterns: list[str]) -> None:
    parameters = dict(model.named_parameters())
    ends = {}
    for kind, module in (("embeddings", model.get_input_embeddings()), ("head", model.get_output_embeddings())):
        own = set(map(id, module.parameters())) if isinstance(module, torch.nn.Module) else set()
        ends[kind] = [name for name, parameter in parameters.items() if id(parameter) in own]
    if ends["head"] == ends["embeddings"]:
        ends["head"] = []
    for name in frozen(patterns, list(parameters), **ends):
        parameters[name].requires_grad = False
