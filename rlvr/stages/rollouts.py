"""The batch source of RL: the model's own answers to new problems, with their advantages."""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from transformers import PreTrainedModel

from rlvr.accounting import Reference, length_change, rollout_accounts, signal_shares, with_new_modes
from rlvr.algo.advantages import ADVANTAGES, Context, explained_variance
from rlvr.algo.filters import chosen, has_variance
from rlvr.algo.masks import by_entropy
from rlvr.algo.samples import divisor, split_groups, to_samples
from rlvr.collect import Collector, Written, noise_metrics, rollout_metrics, to_json
from rlvr.config import RlConfig
from rlvr.data.batching import to_batches
from rlvr.models.heads import ValueModel
from rlvr.models.weights import Weights, copy_weights, using
from rlvr.policies import largest_gap, logprobs_of, values_of
from rlvr.runtime.device import precision
from rlvr.runtime.files import write_jsonl
from rlvr.runtime.run_dir import RunDirectory
from rlvr.train.losses import KL_ESTIMATORS, LOGPROB_GAP
from rlvr.types import Completion, Group, Metrics, Problem, StepData, Update

CHECKED = 32
"""Completions of an older policy whose log-probabilities are computed again, to see that it is the one that is meant."""


class Rollouts:
    """Step t answers problems (t-1)·P … t·P-1 of the train split.

    Its state beside the step: the running mean of rewards, the modes' lengths at the beginning, the weights of the last
    ``staleness`` steps, the reference.
    """

    def __init__(
        self,
        *,
        model: PreTrainedModel,
        critic: ValueModel | None,
        collector: Collector,
        config: RlConfig,
        run: RunDirectory,
    ) -> None:
        self._model, self._critic, self._collector, self._config, self._run = model, critic, collector, config, run
        self._reward_sum, self._reward_count = 0.0, 0
        self._lengths: Reference = {}
        self.newest: list[Completion] = []
        """The completions of the last step, as they were sampled."""
        self._history: dict[int, Weights] = {}  # by the number of steps done
        # The model is the one that the run starts from here: a checkpoint is loaded into it later.
        self._reference = copy_weights(model) if config.algo.kl is not None else None

    def next_step(self, step: int) -> StepData:
        """Sample, score, estimate advantages, and batch the rollouts that carry a signal."""
        rollout, algo, train = self._config.rollout, self._config.algo, self._config.train
        lag = self._remember(step)
        first = (step - 1) * rollout.problems_per_step
        problems = [self._collector.task.problem("train", first + i) for i in range(rollout.problems_per_step)]
        begin = time.perf_counter()
        written, row = self._sample(problems, step, lag)
        sampled = time.perf_counter()
        groups = self._collector.score(problems, written, step=step)
        scored = time.perf_counter()
        groups = self._estimate(self._with_values(self._with_reference(groups)))
        kept = chosen(groups, drop_zero_variance=algo.drop_zero_variance, imitate=algo.advantage == "positive")
        if algo.entropy_mask is not None and kept:
            kept = by_entropy(kept, algo.entropy_mask, seed=self._config.seed, step=step)
        if step % rollout.save_every == 0 or step in (1, train.max_steps):
            write_jsonl(self._run.rollouts(step), (to_json(attempt) for group in groups for attempt in group))
        self._lengths = with_new_modes(self._lengths, groups)
        self.newest = [attempt.completion for group in groups for attempt in group]
        row |= self._describe(groups, kept)
        row["time/rollout_seconds"], row["time/reward_seconds"] = sampled - begin, scored - sampled
        return StepData(updates=self._updates(kept, on_policy=lag == 0), metrics=row)

    def _remember(self, step: int) -> int:
        """Keep the weights as they are before a step, and forget what is too old; how many steps old the oldest are.

        Doing the same step again, from the same weights, leaves the same.
        """
        algo = self._config.algo
        if algo.kl is not None and algo.kl.reset_every is not None and (step - 1) % algo.kl.reset_every == 0:
            self._reference = copy_weights(self._model)
        if not algo.staleness:
            return 0
        self._history[step - 1] = copy_weights(self._model)
        self._history = {s: w for s, w in self._history.items() if step - 1 - algo.staleness <= s < step}
        return step - 1 - min(self._history)

    def _sample(self, problems: list[Problem], step: int, lag: int) -> tuple[list[list[Written]], Metrics]:
        """Completions of the policy of ``lag`` steps ago; if that is another one, what it was measured to be."""
        size = self._config.rollout.group_size
        if not lag:
            with self._precision():
                return self._collector.sample(problems, group_size=size, purpose="rollout", step=step), {}
        with using(self._model, self._history[step - 1 - lag]), self._precision():
            written = self._collector.sample(problems, group_size=size, purpose="rollout", step=step)
            some = [each.completion for group in written for each in group][:CHECKED]
            gap = largest_gap(self._logprobs(some), [completion.logprobs for completion in some])
        return written, {"rollout/staleness": lag, LOGPROB_GAP: gap}

    def _with_reference(self, groups: list[Group]) -> list[Group]:
        """The groups with the reference's log-probabilities, and with the penalty if it belongs into the reward."""
        kl = self._config.algo.kl
        if kl is None:
            return groups
        assert self._reference is not None
        with using(self._model, self._reference), self._precision():
            found = iter(self._logprobs([rollout.completion for group in groups for rollout in group]))
        groups = [[replace(rollout, ref_logprobs=next(found)) for rollout in group] for group in groups]
        if kl.where == "loss":
            return groups
        estimate = KL_ESTIMATORS[kl.estimator]
        with_penalty = []
        for group in groups:
            for rollout in group:
                distance = torch.tensor(rollout.completion.logprobs) - torch.tensor(rollout.ref_logprobs)
                with_penalty.append(replace(rollout, shaping=(-kl.coefficient * estimate(distance)).tolist()))
        penalised = iter(with_penalty)
        return [[next(penalised) for _ in group] for group in groups]

    def _with_values(self, groups: list[Group]) -> list[Group]:
        if self._critic is None:
            return groups
        budget, pad_id = self._config.train.micro_batch_tokens, self._collector.codec.pad_id
        with self._precision():
            completions = [rollout.completion for group in groups for rollout in group]
            values = iter(values_of(self._critic, completions, budget=budget, pad_id=pad_id))
        return [[replace(rollout, values=next(values)) for rollout in group] for group in groups]

    def _estimate(self, groups: Sequence[Group]) -> list[Group]:
        """The groups with their advantages; their rewards join the running mean."""
        mean = self._reward_sum / self._reward_count if self._reward_count else 0.0
        for group in groups:
            self._reward_sum += sum(rollout.shaped_reward for rollout in group)
            self._reward_count += len(group)
        return ADVANTAGES[self._config.algo.advantage](groups, Context(running_mean=mean, gae=self._config.algo.gae))

    def _describe(self, groups: list[Group], kept: list[Group]) -> Metrics:
        row = rollout_metrics(groups) | (noise_metrics(groups) if self._config.reward.noise is not None else {})
        rollouts = [rollout for group in groups for rollout in group]
        row["rollout/zero_variance_fraction"] = sum(not has_variance(group) for group in groups) / len(groups)
        row |= rollout_accounts(groups) | length_change(self._lengths, groups)
        row |= signal_shares(groups, kept)
        if any(rollout.shaping is not None for rollout in rollouts):
            row["reward/shaping"] = sum(each.shaped_reward - each.reward for each in rollouts) / len(rollouts)
        if self._critic is not None:
            row["rollout/explained_variance"] = explained_variance(rollouts)
        return row

    def _updates(self, groups: list[Group], *, on_policy: bool) -> list[Update]:
        """``updates_per_batch`` updates, each on the next part of the groups in turn.

        on_policy: the first of them trains the weights that sampled.
        """
        algo, train = self._config.algo, self._config.train
        parts = []
        for part in split_groups(groups, algo.parts):
            samples = to_samples(part, algo.aggregation)
            if not samples:
                continue
            batches = to_batches(
                samples,
                budget=train.micro_batch_tokens,
                pad_id=self._collector.codec.pad_id,
                device=self._model.device,
            )
            share = divisor(samples, algo.aggregation, self._config.rollout.max_new_tokens)
            parts.append(Update(batches=batches, divisor=share))
        if not parts:
            return []
        later = [replace(u, batches=[replace(b, on_policy=False) for b in u.batches]) for u in parts]
        turns = [later[number % len(later)] for number in range(algo.updates_per_batch)]
        return [parts[0], *turns[1:]] if on_policy else turns

    def _logprobs(self, completions: list[Completion]) -> list[list[float]]:
        """Log-probabilities of the completions' tokens under the weights that the model has now."""
        return logprobs_of(
            self._model,
            completions,
            temperature=self._config.rollout.temperature,
            budget=self._config.train.micro_batch_tokens,
            pad_id=self._collector.codec.pad_id,
        )

    def _precision(self) -> Any:
        return precision(self._model.device, self._config.train.dtype)

    def state_dict(self) -> dict[str, Any]:
        return {"reward_sum": self._reward_sum, "reward_count": self._reward_count, "lengths": self._lengths}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._reward_sum, self._reward_count = state["reward_sum"], state["reward_count"]
        self._lengths = state["lengths"]

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
