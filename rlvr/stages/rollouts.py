"""The batch source of RL: the model's own answers to new problems, with their advantages."""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from rlvr.accounting import Reference, length_change, rollout_accounts, signal_shares, with_new_modes
from rlvr.algo.advantages import ADVANTAGES, Context
from rlvr.algo.filters import chosen, has_variance
from rlvr.algo.samples import divisor, split_groups, to_samples
from rlvr.collect import Collector, noise_metrics, rollout_metrics, to_json
from rlvr.config import RlConfig
from rlvr.data.batching import to_batches
from rlvr.runtime.device import precision
from rlvr.runtime.files import write_jsonl
from rlvr.runtime.run_dir import RunDirectory
from rlvr.types import Completion, Group, StepData, Update


class Rollouts:
    """Step t answers problems (t-1)·P … t·P-1 of the train split.

    Its state beside the step: the running mean of rewards, and the modes' lengths at the beginning.
    """

    def __init__(self, *, collector: Collector, config: RlConfig, run: RunDirectory, device: torch.device) -> None:
        self._collector, self._config, self._run, self._device = collector, config, run, device
        self._reward_sum, self._reward_count = 0.0, 0
        self._lengths: Reference = {}
        self.newest: list[Completion] = []
        """The completions of the last step, as they were sampled."""

    def next_step(self, step: int) -> StepData:
        """Sample, score, estimate advantages, and batch the rollouts that carry a signal."""
        rollout, algo, train = self._config.rollout, self._config.algo, self._config.train
        first = (step - 1) * rollout.problems_per_step
        problems = [self._collector.task.problem("train", first + i) for i in range(rollout.problems_per_step)]
        begin = time.perf_counter()
        with precision(self._device, train.dtype):
            written = self._collector.sample(problems, group_size=rollout.group_size, purpose="rollout", step=step)
        sampled = time.perf_counter()
        self.newest = [each.completion for group in written for each in group]
        groups = self._collector.score(problems, written, step=step)
        scored = time.perf_counter()
        groups = self._estimate(groups)
        kept = chosen(groups, drop_zero_variance=algo.drop_zero_variance, imitate=algo.advantage == "positive")
        if step % rollout.save_every == 0 or step in (1, train.max_steps):
            write_jsonl(self._run.rollouts(step), (to_json(attempt) for group in groups for attempt in group))
        row = rollout_metrics(groups) | (noise_metrics(groups) if self._config.reward.noise is not None else {})
        row["rollout/zero_variance_fraction"] = sum(not has_variance(group) for group in groups) / len(groups)
        self._lengths = with_new_modes(self._lengths, groups)
        row |= rollout_accounts(groups) | length_change(self._lengths, groups)
        row |= signal_shares(groups, kept, drop_zero_variance=algo.drop_zero_variance)
        row["time/rollout_seconds"], row["time/reward_seconds"] = sampled - begin, scored - sampled
        return StepData(updates=self._updates(kept), metrics=row)

    def _estimate(self, groups: Sequence[Group]) -> list[Group]:
        """The groups with their advantages; their rewards join the running mean."""
        mean = self._reward_sum / self._reward_count if self._reward_count else 0.0
        for group in groups:
            self._reward_sum += sum(rollout.shaped_reward for rollout in group)
            self._reward_count += len(group)
        return ADVANTAGES[self._config.algo.advantage](groups, Context(running_mean=mean))

    def _updates(self, groups: list[Group]) -> list[Update]:
        """``updates_per_batch`` updates, each on the next part of the groups in turn."""
        algo, train = self._config.algo, self._config.train
        parts = []
        for part in split_groups(groups, algo.parts):
            samples = to_samples(part, algo.aggregation)
            batches = to_batches(
                samples, budget=train.micro_batch_tokens, pad_id=self._collector.codec.pad_id, device=self._device
            )
            share = divisor(samples, algo.aggregation, self._config.rollout.max_new_tokens)
            parts.append(Update(batches=batches, divisor=share))
        if not parts:
            return []
        later = [replace(u, batches=[replace(b, on_policy=False) for b in u.batches]) for u in parts]
        turns = [later[number % len(later)] for number in range(algo.updates_per_batch)]
        return [parts[0], *turns[1:]]

    def state_dict(self) -> dict[str, Any]:
        return {"reward_sum": self._reward_sum, "reward_count": self._reward_count, "lengths": self._lengths}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._reward_sum, self._reward_count = state["reward_sum"], state["reward_count"]
        self._lengths = state["lengths"]
