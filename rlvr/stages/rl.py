"""``rlvr rl``: on-policy RL. Sample groups, score them, compare each rollout with its group, follow the policy gradient."""

from rlvr.accounting import signal_after_updates
from rlvr.collect import make_collector
from rlvr.config import RlConfig
from rlvr.evaluation import scheduled
from rlvr.models.pretrained import load_model
from rlvr.rewards import Scorer
from rlvr.runtime.device import start
from rlvr.runtime.run_dir import RunDirectory
from rlvr.stages.identity import which_side
from rlvr.stages.rollouts import Rollouts
from rlvr.train.loop import Fit, Limit, fit
from rlvr.train.losses import LOGPROB_GAP, policy_loss, with_effective_samples

GAP_ALLOWED = {"float32": 1e-3, "bfloat16": 1.0}
"""Largest gap (nats) between a token's log-probability when sampled and when trained, by precision: several times
what rounding alone was seen to make (docs/decisions.md)."""

MEANING = (
    "the log-probabilities recorded while sampling are not those of the model that is trained, so "
    "the rollouts came from another policy"
)


def run(config: RlConfig, run: RunDirectory) -> None:
    """Load a model and fit its own rollouts, sampled anew for every step."""
    device = start(config, run)
    model, codec = load_model(config.model, config.prompt, device)
    with Scorer(config.reward) as scorer:
        collector = make_collector(
            model, codec, scorer, task=config.task, reward=config.reward, rollout=config.rollout, seed=config.seed
        )
        source = Rollouts(collector=collector, config=config, run=run, device=device)
        allowed = GAP_ALLOWED[config.train.dtype]
        fit(
            Fit(
                label="rl",
                model=model,
                tokenizer=codec.tokenizer,
                source=source,
                config=config.train,
                run=run,
                loss=policy_loss(config.algo, config.rollout.temperature),
                describe=lambda row: signal_after_updates(
                    with_effective_samples(row), clips=config.algo.loss == "clipped"
                ),
                evaluate=scheduled(config, model, codec, scorer),
                limits=(
                    Limit(
                        metric=LOGPROB_GAP,
                        value=allowed,
                        meaning=MEANING,
                        diagnose=lambda step: which_side(
                            config, run, model, codec.pad_id, source.newest, step=step, allowed=allowed
                        ),
                    ),
                ),
            )
        )
