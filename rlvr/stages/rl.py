"""``rlvr rl``: on-policy RL. Sample groups, score them, compare each rollout with its group, follow the policy gradient."""

from rlvr.collect import make_collector
from rlvr.config import RlConfig
from rlvr.evaluation import scheduled
from rlvr.models.heads import ValueModel
from rlvr.models.pretrained import load_model
from rlvr.rewards import Scorer, graders_used
from rlvr.runtime.device import start
from rlvr.runtime.run_dir import RunDirectory
from rlvr.stages.rollouts import Rollouts
from rlvr.train.loop import Fit, Limit, fit
from rlvr.train.losses import LOGPROB_GAP, policy_loss, with_effective_samples

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
    """Load a model and fit its own rollouts, sampled anew for every step."""
    device = start(config, run, graders_used(config.reward))
    model, codec = load_model(config.model, config.prompt, device)
    with Scorer(config.reward) as scorer:
        collector = make_collector(
            model, codec, scorer, task=config.task, reward=config.reward, rollout=config.rollout, seed=config.seed
        )
        critic = ValueModel(model) if config.algo.advantage == "gae" else None
        fit(
            Fit(
                label="rl",
                model=model,
                tokenizer=codec.tokenizer,
                source=Rollouts(model=model, critic=critic, collector=collector, config=config, run=run),
                config=config.train,
                run=run,
                loss=policy_loss(config.algo, config.rollout.temperature, critic),
                companion=critic,
                describe=with_effective_samples,
                evaluate=scheduled(config, model, codec, scorer),
                limits=(SAME_POLICY[config.train.dtype],),
            )
        )
