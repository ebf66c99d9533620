"""``rlvr rl``: on-policy RL. Sample groups, score them, compare each rollout with its group, follow the policy gradient."""

import time
from dataclasses import dataclass
from typing import Any

import torch

from rlvr.algo.advantages import ADVANTAGES
from rlvr.algo.filters import chosen, has_variance
from rlvr.algo.samples import to_sample, with_advantages
from rlvr.collect import Collector, make_collector, noise_metrics, rollout_metrics, to_json
from rlvr.config import RlConfig
from rlvr.data.batching import to_batches
from rlvr.evaluation import scheduled
from rlvr.models.pretrained import load_model
from rlvr.rewards import Scorer
from rlvr.runtime.device import precision, start
from rlvr.runtime.files import write_jsonl
from rlvr.runtime.run_dir import RunDirectory
from rlvr.train.loop import Fit, Limit, fit
from rlvr.train.losses import LOGPROB_GAP, policy_gradient
from rlvr.types import StepData

GAP_ALLOWED = {"float32": 1e-3, "bfloat16": 1.0}
"""Largest gap (nats) between a token's log-probability when sampled and when trained, by precision: several times
what rounding alone was seen to make (docs/decisions.md)."""


SAME_POLICY = {
    dtype: Limit(
        metric=LOGPROB_GAP,
        value=allowed,
        meaning="the log-probabilities recorded while sampling are not those of the model that is trained, so "
        "the rollouts came from another policy",
    )
    for dtype, allowed in GAP_ALLOWED.items()
}


def run(config: RlConfig, run: RunDirectory) -> None:
    """Load a model and fit its own rollouts, sampled anew for every update."""
    device = start(config, run)
    model, codec = load_model(config.model, config.prompt, device)
    with Scorer(config.reward) as scorer:
        collector = make_collector(
            model, codec, scorer, task=config.task, reward=config.reward, rollout=config.rollout, seed=config.seed
        )
        source = Rollouts(collector=collector, config=config, run=run, device=device)
        fit(
            Fit(
                label="rl",
                model=model,
                tokenizer=codec.tokenizer,
                source=source,
                config=config.train,
                run=run,
                loss=policy_gradient(config.rollout.temperature),
                evaluate=scheduled(config, model, codec, scorer),
                limits=(SAME_POLICY[config.train.dtype],),
            )
        )


@dataclass(frozen=True, kw_only=True)
class Rollouts:
    """A batch source: the model's own answers to new problems of the train split, with their advantages.

    Step t answers problems (t-1)·P … t·P-1, so there is no state beside the step.
    """

    collector: Collector
    config: RlConfig
    run: RunDirectory
    device: torch.device

    def next_step(self, step: int) -> StepData:
        """Sample, score, estimate advantages, and batch the rollouts that carry a signal."""
        rollout, algo, train = self.config.rollout, self.config.algo, self.config.train
        first = (step - 1) * rollout.problems_per_step
        problems = [self.collector.task.problem("train", first + i) for i in range(rollout.problems_per_step)]
        begin = time.perf_counter()
        with precision(self.device, train.dtype):
            written = self.collector.sample(problems, group_size=rollout.group_size, purpose="rollout", step=step)
        sampled = time.perf_counter()
        groups = self.collector.score(problems, written, step=step)
        scored = time.perf_counter()
        groups = [with_advantages(group, ADVANTAGES[algo.advantage]) for group in groups]
        kept = chosen(groups, drop_zero_variance=algo.drop_zero_variance, imitate=algo.advantage == "correct_only")
        samples = [to_sample(attempt) for group in kept for attempt in group]
        if step % rollout.save_every == 0 or step in (1, train.max_steps):
            write_jsonl(self.run.rollouts(step), (to_json(attempt) for group in groups for attempt in group))
        row = rollout_metrics(groups) | (noise_metrics(groups) if self.config.reward.noise is not None else {})
        row["rollout/zero_variance_fraction"] = sum(not has_variance(group) for group in groups) / len(groups)
        row["rollout/signal_fraction"] = sum(attempt.length for g in kept for attempt in g) / row["tokens/rollout"]
        row["time/rollout_seconds"], row["time/reward_seconds"] = sampled - begin, scored - sampled
        batches = to_batches(
            samples, budget=train.micro_batch_tokens, pad_id=self.collector.codec.pad_id, device=self.device
        )
        return StepData(batches=batches, metrics=row)

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Nothing to restore: the step says it all."""
