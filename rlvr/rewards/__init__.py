"""Rewards: how good a response is, by name in one table, weighted by the configuration."""

from collections.abc import Callable, Mapping

from rlvr.errors import RlvrError, did_you_mean
from rlvr.rewards.exact import exact
from rlvr.rewards.format import thinks_then_answers
from rlvr.rewards.number import number
from rlvr.types import Problem

Reward = Callable[[Problem, str, str | None], float]
"""(problem, response, the final answer its task finds in it) -> 0.0 … 1.0. Bad text scores 0.0, it is never an error."""

REWARDS: dict[str, Reward] = {
    "exact": exact,
    "number": number,
    "format": thinks_then_answers,
}
ANSWERS = ("exact", "number")
"""The rewards that say whether an answer is right; a rollout is correct if all of these give full marks."""


class RewardSum:
    """A weighted sum of rewards, each component kept by name."""

    def __init__(self, weights: Mapping[str, float]) -> None:
        for name in weights:
            if name not in REWARDS:
                raise RlvrError(
                    "reward",
                    "unknown reward",
                    got=name,
                    allowed=", ".join(REWARDS),
                    remedy=did_you_mean(name, REWARDS) or None,
                )
        if not set(weights) & set(ANSWERS):
            raise RlvrError(
                "reward", "no component checks the answer", got=dict(weights), remedy=f"add {' or '.join(ANSWERS)}"
            )
        self.weights = dict(weights)

    def components(self, problem: Problem, response: str, answer: str | None) -> dict[str, float]:
        """Each component's reward, unweighted."""
        return {name: REWARDS[name](problem, response, answer) for name in self.weights}

    def total(self, components: Mapping[str, float]) -> float:
        """The weighted sum."""
        return sum(weight * components[name] for name, weight in self.weights.items())

    def correct(self, components: Mapping[str, float]) -> bool:
        """Whether every component that checks the answer gives full marks."""
        return all(components[name] == 1.0 for name in self.weights if name in ANSWERS)
