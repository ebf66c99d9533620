"""The batch source of RL: the model's own answers to new problems, with their advantages."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

import torch

from rlvr.accounting import Reference, length_change, rollout_accounts, signal_shares, with_new_modes
from rlvr.algo.advantages import ADVANTAGES, Context, explained_variance
from rlvr.algo.credit import of_relevant, overlong_penalty
from rlvr.algo.filters import chosen, has_variance
from rlvr.algo.masks import by_entropy
from rlvr.algo.samples import divisor, split_groups, to_samples
from rlvr.collect import Collector, noise_metrics, rollout_metrics, task_metrics, telling, to_json
from rlvr.config import RlConfig
from rlvr.curriculum import make_source
from rlvr.data.batching import to_batches
from rlvr.recorded import Recorded
from rlvr.runtime.files import Writing, write_jsonl
from rlvr.runtime.run_dir import RunDirectory
from rlvr.stages.branches import with_branch_values
from rlvr.stages.policies import Policies
from rlvr.tasks.task import KnowsWhatMatters
from rlvr.train.losses import LOGPROB_GAP
from rlvr.types import Completion, Group, Metrics, Rollout, StepData, Update


@dataclass
class Sampled:
    """A step's groups, and what it took to get them."""

    groups: list[Group] = field(default_factory=list)
    rounds: int = 0
    rollout_seconds: float = 0.0
    reward_seconds: float = 0.0


class Rollouts:
    """Each step answers the next P problems of its source (``rlvr.curriculum``), and more if groups are to be refilled; or it
    takes what another run recorded.

    Its state: where the source stands, the running mean of rewards, the modes' lengths at the beginning, and the weights that
    the policies keep. workers: how many batches of an update are trained on side by side.
    """

    def __init__(
        self,
        *,
        collector: Collector,
        policies: Policies,
        recorded: Recorded | None,
        config: RlConfig,
        run: RunDirectory,
        device: torch.device,
        workers: int,
    ) -> None:
        self._collector, self._policies, self._config = collector, policies, config
        self._recorded, self._run = recorded, run
        self._device, self._workers = device, workers
        self._source = make_source(config)
        self._reward_sum, self._reward_count = 0.0, 0
        self._lengths: Reference = {}
        self.newest: list[Completion] = []
        """The completions of the last step, as they were sampled."""
        self.examples: dict[bool, Rollout | None] = {True: None, False: None}
        """Of the last step a right rollout to show, and a wrong one."""

    def next_step(self, step: int) -> StepData:
        """Sample, score, estimate advantages, and batch the rollouts that carry a signal."""
        rollout, algo = self._config.rollout, self._config.algo
        lag = self._policies.begin(step)
        sampled = self._sample(step) if self._recorded is None else Sampled(groups=self._recorded.groups(step))
        groups = self._estimate(self._policies.measure(self._shaped(sampled.groups)))
        kept = chosen(groups, drop_zero_variance=algo.drop_zero_variance, imitate=algo.advantage == "positive")
        kept, row = self._credited(kept if self._recorded else kept[: rollout.problems_per_step], step)
        kept = self._policies.referred(kept)
        if step % rollout.save_every == 0 or step in (1, self._config.train.max_steps):
            with Writing(self._run.rollouts(step)):
                write_jsonl(self._run.rollouts(step), _lines(groups, kept))
        self._lengths = with_new_modes(self._lengths, groups)
        self.newest = [attempt.completion for group in groups for attempt in group]
        self.examples = {right: telling(groups, right=right) for right in (True, False)}
        row |= self._describe(groups, kept) | task_metrics(groups, self._collector.task.name) | self._source.metrics()
        if lag:
            row |= {"rollout/staleness": lag, LOGPROB_GAP: self._policies.gap(self.newest)}
        if algo.max_refills:
            row["rollout/extra_fraction"] = len(groups) / rollout.problems_per_step - 1
            row["rollout/refills"] = sampled.rounds - 1
        row["time/rollout_seconds"], row["time/reward_seconds"] = sampled.rollout_seconds, sampled.reward_seconds
        return StepData(updates=self._updates(kept, on_policy=lag == 0 and self._recorded is None), metrics=row)

    def _sample(self, step: int) -> Sampled:
        """Groups for the next problems, round after round until there are enough that differ or no refill is left."""
        rollout, sampled = self._config.rollout, Sampled()
        for _ in range(1 + self._config.algo.max_refills):
            problems = self._source.next(step, rollout.problems_per_step)
            begin = time.perf_counter()
            with self._policies.sampling():
                written = self._collector.sample(problems, group_size=rollout.group_size, purpose="rollout", step=step)
            middle = time.perf_counter()
            groups = self._collector.score(problems, written, step=step)
            self._source.record(step, groups)
            sampled.groups += groups
            sampled.rounds += 1
            sampled.rollout_seconds += middle - begin
            sampled.reward_seconds += time.perf_counter() - middle
            if sum(has_variance(group) for group in sampled.groups) >= rollout.problems_per_step:
                break
        return sampled

    def _shaped(self, groups: list[Group]) -> list[Group]:
        """The groups with the penalty for long answers at their last token."""
        longest = self._config.rollout.max_new_tokens
        buffer = round(self._config.algo.overlong_buffer * longest)
        if not buffer:
            return groups

        def shaped(rollout: Rollout) -> Rollout:
            penalty = overlong_penalty(rollout.length, longest=longest, buffer=buffer)
            return replace(rollout, shaping=[0.0] * (rollout.length - 1) + [penalty])

        return [[shaped(rollout) for rollout in group] for group in groups]

    def _estimate(self, groups: Sequence[Group]) -> list[Group]:
        """The groups with their advantages; their rewards join the running mean."""
        algo = self._config.algo
        mean = self._reward_sum / self._reward_count if self._reward_count else 0.0
        for group in groups:
            self._reward_sum += sum(rollout.shaped_reward for rollout in group)
            self._reward_count += len(group)
        return ADVANTAGES[algo.advantage](groups, Context(running_mean=mean, gae=algo.gae))

    def _credited(self, groups: list[Group], step: int) -> tuple[list[Group], Metrics]:
        """The groups with their advantages at the tokens that they belong to, and what finding those took."""
        algo, row = self._config.algo, Metrics()
        if algo.credit == "branches":
            assert algo.branches is not None
            with self._policies.sampling():
                groups, row = with_branch_values(self._collector, groups, algo.branches, step=step)
        if algo.credit == "oracle":
            groups = [[self._of_relevant(rollout) for rollout in group] for group in groups]
        if algo.entropy_mask is not None and groups:
            groups = by_entropy(groups, algo.entropy_mask, seed=self._config.seed, step=step)
        return groups, row

    def _of_relevant(self, rollout: Rollout) -> Rollout:
        task = self._collector.task
        assert isinstance(task, KnowsWhatMatters)
        tokens = self._collector.codec.token_spans(rollout.completion.token_ids)
        return of_relevant(rollout, tokens, task.relevant(rollout.text))

    def _describe(self, groups: list[Group], kept: list[Group]) -> Metrics:
        row = rollout_metrics(groups) | (noise_metrics(groups) if self._config.reward.noise is not None else {})
        rollouts = [rollout for group in groups for rollout in group]
        row |= rollout_accounts(groups) | length_change(self._lengths, groups) | signal_shares(groups, kept)
        if any(rollout.shaping is not None for rollout in rollouts):
            row["reward/shaping"] = sum(each.shaped_reward - each.reward for each in rollouts) / len(rollouts)
        if self._config.algo.advantage == "gae":
            row["rollout/explained_variance"] = explained_variance(rollouts)
        if self._config.algo.advantage == "teacher":
            row["rollout/kl_teacher"] = -sum(sum(each.advantages or ()) for each in rollouts) / row["tokens/rollout"]
        return row

    def _updates(self, groups: list[Group], *, on_policy: bool) -> list[Update]:
        """``updates_per_batch`` updates, each on the next part of the groups in turn.

        on_policy: the first of them trains the weights that sampled.
        """
        algo, budget = self._config.algo, self._config.train.micro_batch_tokens
        parts = []
        for part in split_groups(groups, algo.parts):
            samples = to_samples(part, algo.aggregation)
            if not samples:
                continue
            batches = to_batches(
                samples,
                budget=budget,
                pad_id=self._collector.codec.pad_id,
                device=self._device,
                workers=self._workers,
            )
            share = divisor(samples, algo.aggregation, self._config.rollout.max_new_tokens)
            parts.append(Update(batches=batches, divisor=share))
        if not parts:
            return []
        later = [replace(u, batches=[replace(b, on_policy=False) for b in u.batches]) for u in parts]
        turns = [later[number % len(later)] for number in range(algo.updates_per_batch)]
        return [parts[0], *turns[1:]] if on_policy else turns

    def state_dict(self) -> dict[str, Any]:
        return {
            "problems": self._source.state_dict(),
            "reward_sum": self._reward_sum,
            "reward_count": self._reward_count,
            "lengths": self._lengths,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._source.load_state_dict(state["problems"])
        self._reward_sum, self._reward_count = state["reward_sum"], state["reward_count"]
        self._lengths = state["lengths"]

    def tensors(self) -> dict[str, torch.Tensor]:
        return self._policies.tensors()

    def load_tensors(self, tensors: dict[str, torch.Tensor]) -> None:
        self._policies.load_tensors(tensors)


def _lines(groups: Sequence[Group], kept: Sequence[Group]) -> Iterator[dict[str, object]]:
    """All rollouts for their file; those that are trained on as they became, with the advantage of each token."""
    trained = {id(rollout.completion): rollout for rollout in chain.from_iterable(kept)}
    for rollout in chain.from_iterable(groups):
        found = trained.get(id(rollout.completion))
        which: bool | list[bool] = found is not None
        if found is not None and found.trained is not None:
            which = found.trained
        yield to_json(found or rollout, trained=which)
