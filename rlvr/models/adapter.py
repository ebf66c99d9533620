"""LoRA: low-rank matrices beside a model's linear layers, trained in the place of its weights (Hu et al., arXiv:2106.09685).

Where a layer has the weight W (out, in), the model computes with W + alpha / rank · B A, with A (rank, in) and B (out, rank),
which is zero at first. The matrices are put in by peft, and merged here for what wants plain weights.
"""

import contextlib
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel

from rlvr.config import LoraConfig
from rlvr.errors import RlvrError
from rlvr.models.parts import ALL_LINEAR, need_peft, targeted
from rlvr.models.weights import using
from rlvr.runtime.seeding import derive

ADAPTER = "adapter"
"""The folder of a checkpoint with the adapter as peft reads it; the checkpoint itself has it merged."""

NAME = "default"
"""Of the one adapter, for peft."""

FILE = "adapter_model.safetensors"


def add_adapter(model: PreTrainedModel, config: LoraConfig, *, base: str, seed: int) -> None:
    """Put an adapter beside the linear layers that are named, in place; from then on it alone is trained.

    base: what ``model:`` names, for readers of the adapter. Raises RlvrError if a target names no linear layer, and
    MissingExtraError without peft.
    """
    need_peft()
    import peft

    head = model.get_output_embeddings()
    linear = [name for name, module in model.named_modules() if type(module) is torch.nn.Linear and module is not head]
    names = targeted(config.targets, linear)
    last = sorted({name.rpartition(".")[2] for name in names}) if config.targets == ALL_LINEAR else config.targets
    settings = peft.LoraConfig(
        r=config.rank,
        lora_alpha=int(config.alpha) if config.alpha.is_integer() else config.alpha,  # type: ignore[arg-type]
        target_modules=list(last),
        lora_dropout=0.0,
        bias="none",
        task_type="CAUSAL_LM",
        base_model_name_or_path=base,
    )
    model.requires_grad_(requires_grad=False)
    with torch.random.fork_rng(devices=[]):  # peft draws on the CPU
        torch.manual_seed(derive(seed, "lora"))
        peft.inject_adapter_in_model(settings, model, NAME)
    model.eval()


def has_adapter(model: torch.nn.Module) -> bool:
    """Whether an adapter was put into a model."""
    return any(map(_is_adapted, model.modules()))


def is_linear(module: torch.nn.Module) -> bool:
    """Whether a module does no more than multiply and add: a plain linear layer, or one with an adapter."""
    return type(module) is torch.nn.Linear or _is_adapted(module)


def weight_and_bias(module: Any) -> tuple[torch.Tensor, torch.Tensor | None]:
    """What a linear layer computes with: weight (out, in), into which an adapter is merged, and bias (out,)."""
    if not _is_adapted(module):
        return module.weight, module.bias
    base, down, up = module.base_layer, module.lora_A[NAME].weight, module.lora_B[NAME].weight
    with torch.autocast(up.device.type, enabled=False):
        return torch.addmm(base.weight, up, down, alpha=module.scaling[NAME]), base.bias


def _is_adapted(module: torch.nn.Module) -> bool:
    """Whether a module is peft's linear layer with an adapter, told without loading peft."""
    return {"base_layer", "lora_A", "lora_B"} <= {name for name, _ in module.named_children()}


@torch.no_grad()
def merged_state(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The model's tensors by the names they have without an adapter, which is merged into them."""
    adapted = {name: module for name, module in model.named_modules() if _is_adapted(module)}
    found = {}
    for name, tensor in model.state_dict().items():
        layer, _, kind = name.rpartition(".base_layer.")
        if layer in adapted:
            found[f"{layer}.{kind}"] = weight_and_bias(adapted[layer])[0] if kind == "weight" else tensor
        elif _layer_of(name) not in adapted:
            found[name] = tensor
    return found


def _layer_of(name: str) -> str:
    """The layer whose adapter a tensor is of, or what no layer is called."""
    return name.partition(".lora_A.")[0] if ".lora_A." in name else name.partition(".lora_B.")[0]


def same_but_rounding(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    """Whether two models have the same tensors; merging an adapter may round by the number of threads."""
    return first.keys() == second.keys() and all(
        first[name].shape == second[name].shape
        and torch.allclose(first[name], second[name].to(first[name].device), rtol=1e-5, atol=1e-7)
        for name in first
    )


def save_adapter(model: PreTrainedModel, folder: Path) -> None:
    """Write adapter_model.safetensors and adapter_config.json, by which peft puts the adapter beside the same model."""
    settings: Any = model.peft_config
    settings[NAME].save_pretrained(str(folder))
    save_file({_saved_name(name): each.contiguous() for name, each in _matrices(model).items()}, folder / FILE)


def load_adapter(model: PreTrainedModel, folder: Path) -> None:
    """Copy a saved adapter's matrices into those of a model, in place. RlvrError if they are another adapter's."""
    try:
        stored = load_file(folder / FILE)
    except (OSError, SafetensorError) as error:
        raise RlvrError(str(folder / FILE), f"cannot be read: {error}", remedy="begin anew with --fresh") from error
    own = {_saved_name(name): each for name, each in _matrices(model).items()}
    shapes = ({name: each.shape for name, each in tensors.items()} for tensors in (own, stored))
    if next(shapes) != next(shapes):
        raise RlvrError(str(folder), "is another model's adapter", remedy="begin anew with --fresh")
    for name, parameter in own.items():
        parameter.data.copy_(stored[name])


def _matrices(model: torch.nn.Module) -> dict[str, torch.nn.Parameter]:
    """The adapter's parameters by name: those that are trained."""
    return {name: each for name, each in model.named_parameters() if each.requires_grad}


def _saved_name(name: str) -> str:
    """A parameter's name as peft saves it."""
    return "base_model.model." + name.replace(f".{NAME}.", ".")


def without_adapter(model: torch.nn.Module) -> contextlib.AbstractContextManager[None]:
    """Inside, a model with an adapter is, bit by bit, the one that the adapter was put beside."""
    return using(model, {n: torch.zeros_like(each) for n, each in _matrices(model).items() if ".lora_B." in n})
