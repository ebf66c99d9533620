"""The advantages that a run's own estimator would have given other rewards."""

from collections.abc import Sequence

from rlvr.algo.advantages import ADVANTAGES, Context
from rlvr.config import RlConfig
from rlvr.types import Completion, Group, Problem, Rollout, StopReason


def advantages(config: RlConfig, rewards: Sequence[Sequence[float]], running_mean: float) -> list[list[float]]:
    """Each rollout's advantage. rewards: of one step's rollouts, by group. running_mean: of those of the steps before."""
    groups = [_group(each) for each in rewards]
    estimated = ADVANTAGES[config.algo.advantage](groups, Context(running_mean=running_mean))
    return [[rollout.advantage or 0.0 for rollout in group] for group in estimated]


def _group(rewards: Sequence[float]) -> Group:
    """Rollouts of one token, of which nothing but their rewards is known."""
    problem = Problem(task="", split="train", index=0, question="", answer="")
    completion = Completion(prompt_ids=[], token_ids=[0], logprobs=[0.0], stop_reason=StopReason.STOP)
    return [
        Rollout(
            problem=problem,
            prompt="",
            completion=completion,
            text="",
            mode="",
            rewards={},
            reasons={},
            reward=reward,
            oracle=reward,
            correct=False,
        )
        for reward in rewards
    ]
