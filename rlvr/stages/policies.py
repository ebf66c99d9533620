"""The policies beside the one that is trained: older weights that sample, a reference, a teacher, a value model."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from transformers import PreTrainedModel

from rlvr.config import RlConfig
from rlvr.errors import RlvrError
from rlvr.models.heads import ValueModel
from rlvr.models.pretrained import load_model
from rlvr.models.tokenizer import Codec
from rlvr.models.weights import Weights, copy_weights, using
from rlvr.runtime.device import precision
from rlvr.teacher_forcing import largest_gap, logprobs_of, values_of
from rlvr.train.losses import KL_ESTIMATORS
from rlvr.types import Completion, Group, Rollout

CHECKED = 32
"""Completions of an older policy whose log-probabilities are computed again, to see that it is the one that is meant."""


@dataclass(frozen=True, kw_only=True)
class OtherModels:
    """Models that a run has beside its own, each None where the algorithm needs none."""

    critic: ValueModel | None = None
    teacher: PreTrainedModel | None = None


def make_other_models(config: RlConfig, model: PreTrainedModel, codec: Codec) -> OtherModels:
    """What the algorithm needs. RlvrError if the teacher cannot be loaded or does not write with the model's tokens."""
    critic = ValueModel(model) if config.algo.advantage == "gae" else None
    if config.algo.teacher is None:
        return OtherModels(critic=critic)
    try:
        teacher, its_codec = load_model(config.algo.teacher, config.prompt, model.device)
    except RlvrError as error:
        raise RlvrError("algo.teacher", str(error)) from error
    if its_codec.tokenizer.get_vocab() != codec.tokenizer.get_vocab():
        raise RlvrError(
            "algo.teacher",
            "has another tokenizer than the model, so it cannot say what it would have made of the model's tokens",
            got=config.algo.teacher,
            remedy="choose a teacher of the same family",
        )
    return OtherModels(critic=critic, teacher=teacher.requires_grad_(requires_grad=False))


class Policies:
    """Who samples, and what the others make of the rollouts.

    Older weights and the reference are copies, put into the model while they are needed.
    """

    def __init__(self, model: PreTrainedModel, others: OtherModels, config: RlConfig, *, pad_id: int) -> None:
        self._model, self._others, self._config, self._pad_id = model, others, config, pad_id
        self._history: dict[int, Weights] = {}  # by the number of steps done
        # The model is the one that the run starts from here: a checkpoint is loaded into it later.
        self._reference = copy_weights(model) if config.algo.kl is not None else None
        self._lag = 0

    def begin(self, step: int) -> int:
        """Keep the weights as they are before a step, and forget what is too old; how many steps old the oldest are.

        Doing the same step again, from the same weights, leaves the same.
        """
        algo = self._config.algo
        if algo.kl is not None and algo.kl.reset_every is not None and (step - 1) % algo.kl.reset_every == 0:
            self._reference = copy_weights(self._model)
        if algo.staleness:
            self._history[step - 1] = copy_weights(self._model)
            self._history = {s: w for s, w in self._history.items() if step - 1 - algo.staleness <= s < step}
            self._lag = step - 1 - min(self._history)
        return self._lag

    @contextlib.contextmanager
    def sampling(self) -> Iterator[None]:
        """Inside, the model is the policy that samples in this step, in the precision of the run."""
        stale = using(self._model, self._history[min(self._history)]) if self._lag else contextlib.nullcontext()
        with stale, self._precision():
            yield

    def gap(self, completions: Sequence[Completion]) -> float:
        """The largest difference between log-probabilities recorded and computed again, both by the sampling policy."""
        some = completions[:CHECKED]
        with self.sampling():
            return largest_gap(self._logprobs(self._model, some), [completion.logprobs for completion in some])

    def measure(self, groups: Sequence[Group]) -> list[Group]:
        """The groups with what teacher and value model make of them, and with a penalty that belongs into the reward."""
        groups, kl = list(groups), self._config.algo.kl
        if kl is not None and kl.where == "reward":
            referred = self._with_reference(groups)
            groups = [[_penalised(each, kl.coefficient, kl.estimator) for each in group] for group in referred]
        rollouts = [rollout for group in groups for rollout in group]
        completions = [rollout.completion for rollout in rollouts]
        if self._others.teacher is not None:
            with self._precision():
                found = self._logprobs(self._others.teacher, completions)
            rollouts = [replace(each, teacher_logprobs=values) for each, values in zip(rollouts, found, strict=True)]
        if self._others.critic is not None:
            budget = self._config.train.micro_batch_tokens
            with self._precision():
                found = values_of(self._others.critic, completions, budget=budget, pad_id=self._pad_id)
            rollouts = [replace(each, values=values) for each, values in zip(rollouts, found, strict=True)]
        return _regrouped(rollouts, groups)

    def referred(self, groups: Sequence[Group]) -> list[Group]:
        """The groups that are trained on, with what the reference makes of them; groups that are left out cost nothing."""
        kl = self._config.algo.kl
        return list(groups) if kl is None or kl.where == "reward" else self._with_reference(groups)

    def _with_reference(self, groups: Sequence[Group]) -> list[Group]:
        assert self._reference is not None
        rollouts = [rollout for group in groups for rollout in group]
        with using(self._model, self._reference), self._precision():
            found = self._logprobs(self._model, [rollout.completion for rollout in rollouts])
        return _regrouped([replace(each, ref_logprobs=v) for each, v in zip(rollouts, found, strict=True)], groups)

    def tensors(self) -> dict[str, torch.Tensor]:
        """``history/<steps done>/<parameter>`` and, if it is ever reset, ``reference/<parameter>``."""
        found = {f"history/{s}/{name}": value for s, w in self._history.items() for name, value in w.items()}
        kl = self._config.algo.kl
        if kl is not None and kl.reset_every is not None and self._reference is not None:
            found |= {f"reference/{name}": value for name, value in self._reference.items()}
        return found

    def load_tensors(self, tensors: dict[str, torch.Tensor]) -> None:
        for full_name, tensor in tensors.items():
            kind, _, name = full_name.partition("/")
            if kind == "reference":
                assert self._reference is not None
                self._reference[name] = tensor
            else:
                number, _, name = name.partition("/")
                self._history.setdefault(int(number), {})[name] = tensor

    def _logprobs(self, model: PreTrainedModel, completions: Sequence[Completion]) -> list[list[float]]:
        return logprobs_of(
            model,
            completions,
            temperature=self._config.rollout.temperature,
            budget=self._config.train.micro_batch_tokens,
            pad_id=self._pad_id,
        )

    def _precision(self) -> contextlib.AbstractContextManager[object]:
        return precision(self._model.device, self._config.train.dtype)


def _regrouped(rollouts: Sequence[Rollout], groups: Sequence[Group]) -> list[Group]:
    """The rollouts, one after the other, in groups of the sizes of those that are given."""
    following = iter(rollouts)
    return [[next(following) for _ in group] for group in groups]


def _penalised(rollout: Rollout, coefficient: float, estimator: str) -> Rollout:
    """The rollout with minus the estimated distance to the reference, times a coefficient, added at each token."""
    distance = torch.tensor(rollout.completion.logprobs) - torch.tensor(rollout.ref_logprobs)
    penalties = (-coefficient * KL_ESTIMATORS[estimator](distance)).tolist()
    before = rollout.shaping or [0.0] * rollout.length
    return replace(rollout, shaping=[a + b for a, b in zip(before, penalties, strict=True)])
