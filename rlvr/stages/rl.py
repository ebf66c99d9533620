"""``rlvr rl``: on-policy RL. Sample groups, score them, compare each rollout with its group, follow the policy gradient."""

from rlvr.accounting import signal_after_updates
from rlvr.collect import check_room, make_collector
from rlvr.config import RlConfig
from rlvr.evaluation import scheduled
from rlvr.models.pretrained import load_model
from rlvr.models.trained import choose_trained
from rlvr.recorded import Recorded
from rlvr.rewards import Scorer, graders_used
from rlvr.runtime.device import start
from rlvr.runtime.run_dir import RunDirectory
from rlvr.stages.identity import same_policy
from rlvr.stages.policies import Policies, make_other_models
from rlvr.stages.rollouts import Rollouts
from rlvr.study import study_ends
from rlvr.train.gradient import gradient_workers
from rlvr.train.loop import Fit, fit
from rlvr.train.losses import policy_loss, with_effective_samples


def run(config: RlConfig, run: RunDirectory) -> None:
    """Load a model and fit its own rollouts, sampled anew for every step."""
    device = start(config, run, graders_used(config.reward))
    model, codec = load_model(config.model, config.prompt, device, config.attention)
    choose_trained(model, config.train, config.lora, base=config.model, seed=config.seed)
    check_room(config, model, codec)
    with Scorer(config.reward) as scorer:
        collector = make_collector(
            model, codec, scorer, task=config.task, reward=config.reward, rollout=config.rollout, seed=config.seed
        )
        others = make_other_models(config, model, codec)
        policies = Policies(model, others, config, pad_id=codec.pad_id)
        recorded = Recorded(config.algo.offline, codec.text) if config.algo.offline is not None else None
        source = Rollouts(
            collector=collector,
            policies=policies,
            recorded=recorded,
            config=config,
            run=run,
            device=device,
            workers=gradient_workers(model, others.critic),
        )
        fit(
            Fit(
                label="rl",
                model=model,
                tokenizer=codec.tokenizer,
                source=source,
                config=config.train,
                run=run,
                loss=policy_loss(config.algo, config.rollout.temperature, others.critic),
                companion=others.critic,
                describe=lambda row: signal_after_updates(
                    with_effective_samples(row), clips=config.algo.loss == "clipped"
                ),
                evaluate=scheduled(config, model, codec, scorer),
                track=config.track or (),
                limits=(same_policy(config, run, model, codec.pad_id, lambda: source.newest),),
                fresh=lambda right: source.examples[right],
            )
        )
        if config.study.rollouts:
            study_ends(config, run, scorer, model, codec)
