"""Which side is to blame when rollouts are not those of the policy that is trained."""

from collections.abc import Callable, Iterator, Sequence

from transformers import PreTrainedModel

from rlvr.config import RlConfig
from rlvr.errors import RlvrError
from rlvr.models.pretrained import load_model
from rlvr.runtime.device import precision
from rlvr.runtime.run_dir import RunDirectory
from rlvr.runtime.saved import step_folders, step_of
from rlvr.teacher_forcing import largest_gap, logprobs_of
from rlvr.train.loop import Limit
from rlvr.train.losses import LOGPROB_GAP
from rlvr.types import Completion

COMPARED = 32
"""Completions whose log-probabilities are computed again under other weights."""


GAP_ALLOWED = {"float32": 1e-3, "bfloat16": 1.0}
"""Largest gap (nats) between a token's log-probability when sampled and when trained, by precision: several times
what rounding alone was seen to make (docs/decisions.md)."""


def same_policy(
    config: RlConfig,
    run: RunDirectory,
    model: PreTrainedModel,
    pad_id: int,
    newest: Callable[[], Sequence[Completion]],
) -> Limit:
    """The limit that stops a run whose rollouts came from another policy. newest: the last step's completions, as sampled."""
    allowed = GAP_ALLOWED[config.train.dtype]
    return Limit(
        metric=LOGPROB_GAP,
        value=allowed,
        meaning="the log-probabilities recorded while sampling are not those of the model that is trained, so "
        "the rollouts came from another policy",
        diagnose=lambda step: which_side(config, run, model, pad_id, newest(), step=step, allowed=allowed),
    )


def which_side(
    config: RlConfig,
    run: RunDirectory,
    model: PreTrainedModel,
    pad_id: int,
    completions: Sequence[Completion],
    *,
    step: int,
    allowed: float,
) -> str:
    """What can be told of completions whose recorded log-probabilities are not the model's, to end a sentence with.

    model: with the present weights. allowed: the gap (nats) up to which two accounts are the same. Weights that the
    sampler could have are those that are still on disk: what the run began from, and its checkpoints.
    """
    some = completions[:: max(1, len(completions) // COMPARED)][:COMPARED]

    def gap(weights: PreTrainedModel) -> float:
        budget, temperature = config.train.micro_batch_tokens, config.rollout.temperature
        with precision(weights.device, config.train.dtype):
            found = logprobs_of(weights, some, temperature=temperature, budget=budget, pad_id=pad_id)
        return largest_gap(found, [completion.logprobs for completion in some])

    if step == 1:
        return (
            " (nothing has been trained yet, so both sides have the same weights: sampling and training disagree about what "
            "they say, by precision, attention, masks or temperature)"
        )
    present = gap(model)
    if present <= allowed:
        return f" (of {len(some)} rollouts compared all agree, so the weights are the same and single rollouts differ)"
    others = {name: gap(weights) for name, weights in _known_weights(config, run, model)}
    name = min(others, key=lambda name: others[name], default="")
    if others and others[name] <= allowed:
        return (
            f" (the sampler is stale: they are those of {name}, to {others[name]:.1g} nats, while the present weights are "
            f"{present:.2g} away; the sampler does not get the trained weights)"
        )
    return (
        f" (which side is stale cannot be told: they are {present:.2g} nats from the present weights and fit none that are on disk, "
        f"{', '.join(others) or 'since there are none'}; the sampler has weights from between, or both sides disagree about the same weights)"
    )


def _known_weights(
    config: RlConfig, run: RunDirectory, model: PreTrainedModel
) -> Iterator[tuple[str, PreTrainedModel]]:
    """The models on disk that the sampler could be left with, by what they are; those that cannot be read are left out."""
    places = {"the weights that the run began from": config.model}
    for folder in step_folders(run.checkpoints):
        places[f"the weights after step {step_of(folder)}"] = str(folder)
    for name, place in places.items():
        try:
            yield name, load_model(place, config.prompt, model.device)[0]
        except RlvrError:
            continue
