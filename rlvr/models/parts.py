"""Parts of a model by the names of its parameters: what an adapter is put beside, what is frozen. No torch."""

import importlib.util
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from math import prod
from typing import Literal

from rlvr.config import LoraConfig
from rlvr.errors import MissingExtraError, RlvrError
from rlvr.models.headers import Stored

ALL_LINEAR = "all-linear"
EMBEDDINGS = ("embed_tokens.weight", "wte.weight", "wpe.weight", "embed_in.weight", "word_embeddings.weight")
HEAD = ("lm_head.weight", "embed_out.weight")
NO_LINEAR = (".experts.", ".mlp.gate.weight", "norm", "rotary", "conv")
"""In names of matrices in files that no linear layer multiplies by."""


def need_peft() -> None:
    """MissingExtraError if the package for adapters is not installed."""
    if importlib.util.find_spec("peft") is None:
        raise MissingExtraError("lora", "peft", "lora")


def targeted(targets: Literal["all-linear"] | Sequence[str], linear: Sequence[str]) -> list[str]:
    """The linear layers, of those given by name, that ``lora.targets`` means. RlvrError for a target that names none."""
    last = ", ".join(sorted({name.rpartition(".")[2] for name in linear}))
    if not linear:
        raise RlvrError("lora", "the model has no linear layers to put an adapter beside", remedy="remove it")
    if isinstance(targets, str):
        return list(linear)
    for target in targets:
        if not any(_named(name, target) for name in linear):
            raise RlvrError("lora.targets", "the model has no such linear layer", got=target, allowed=last)
    return [name for name in linear if any(_named(name, target) for target in targets)]


def _named(name: str, target: str) -> bool:
    return name == target or name.endswith(f".{target}")


def frozen(
    patterns: Sequence[str], names: Sequence[str], *, embeddings: Sequence[str], head: Sequence[str]
) -> set[str]:
    """The parameters, of those given by name, that ``train.freeze`` means.

    embeddings, head: which of them are; the head is none where it is tied to the embeddings. RlvrError for a pattern that
    means none, or if nothing is left.
    """
    found: set[str] = set()
    for pattern in patterns:
        groups = {"embeddings": list(embeddings), "head": list(head)}
        means = groups.get(pattern) or [name for name in names if fnmatchcase(name, pattern)]
        if not means:
            tied = pattern == "head"
            what = "the head is tied to the embeddings" if tied else "the model has no such parameters"
            remedy = "freeze embeddings, which is both" if tied else "give a name as in its files, with * for any part"
            raise RlvrError("train.freeze", what, got=pattern, remedy=remedy)
        found.update(means)
    if found >= set(names):
        raise RlvrError("train.freeze", "leaves nothing to train", remedy="freeze less")
    return found


def adapter_sizes(config: LoraConfig, stored: Mapping[str, Stored]) -> tuple[int, int]:
    """Numbers in an adapter, and in the weights that it is put beside, by a model's files. RlvrError for a wrong target."""
    linear = {
        name.removesuffix(".weight"): tensor.shape
        for name, tensor in stored.items()
        if name.endswith(".weight")
        and len(tensor.shape) == 2
        and not name.endswith((*EMBEDDINGS, *HEAD))
        and not any(part in name for part in NO_LINEAR)
    }
    names = targeted(config.targets, list(linear))
    return sum(config.rank * sum(linear[name]) for name in names), sum(prod(linear[name]) for name in names)


def frozen_size(patterns: Sequence[str], stored: Mapping[str, Stored]) -> int:
    """Numbers in the frozen parameters, by a model's files. RlvrError for a pattern that means none."""
    names = list(stored)
    own = frozen(
        patterns,
        names,
        embeddings=[name for name in names if name.endswith(EMBEDDINGS)],
        head=[name for name in names if name.endswith(HEAD)],
    )
    return sum(prod(stored[name].shape) for name in own)
