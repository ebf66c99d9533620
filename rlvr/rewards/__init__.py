"""Rewards: how good a response is. ``grade`` is the one entry to the graders; ``Scorer`` applies a configured reward to
attempts, ``RewardSum`` weighs the verdicts."""

from importlib.metadata import version

from rlvr.config import ANSWERS, AnswerConfig, RewardConfig
from rlvr.rewards.attempt import Attempt
from rlvr.rewards.code import sandbox_name
from rlvr.rewards.components import GRADERS
from rlvr.rewards.noise import with_noise
from rlvr.rewards.scorer import Scorer, Verdicts
from rlvr.rewards.verdict import Reason, Verdict

__all__ = [
    "GRADERS",
    "Attempt",
    "Reason",
    "RewardSum",
    "Scorer",
    "Verdict",
    "Verdicts",
    "grade",
    "graders_used",
    "with_noise",
]

NO_ANSWER_ITSELF = ("code", "regex")
"""Components whose gold answer describes right answers and is none: a problem's ``solution`` is needed to check them."""


def grade(kind: str, gold: str, response: str) -> Verdict:
    """Grade one response. kind: a name in GRADERS. Raises ValueError for a gold answer that the kind cannot read."""
    return GRADERS[kind](gold, response)


def graders_used(config: RewardConfig) -> dict[str, str]:
    """What verdicts depend on beside this package: the sandbox of programs, versions of libraries. For records."""
    used: dict[str, str] = {}
    if config.code is not None:
        used["code"] = sandbox_name()
    if config.math is not None and config.math.verifier == "math_verify":
        used["math_verify"] = version("math-verify")
    if config.gym is not None:
        used["gym"] = version("reasoning-gym")
    return used


class RewardSum:
    """What verdicts add up to: a weighted sum of the components that apply."""

    def __init__(self, config: RewardConfig) -> None:
        self._components = dict(config.components())
        self.noise = config.noise

    @property
    def needs_solution(self) -> bool:
        """Whether a gold answer cannot be graded as if it were a response."""
        return any(name in NO_ANSWER_ITSELF for name in self._components)

    def total(self, verdicts: Verdicts) -> float:
        """The weighted sum."""
        return sum(self._worth(name, verdict) for name, verdict in verdicts.items())

    def correct(self, verdicts: Verdicts) -> bool:
        """Whether every component that checks the answer gives full marks, and at least one does check it."""
        checks = [verdict for name, verdict in verdicts.items() if name in ANSWERS]
        return bool(checks) and all(checks)

    def _worth(self, name: str, verdict: Verdict) -> float:
        component = self._components[name]
        if not isinstance(component, AnswerConfig):
            return component.weight * verdict.reward
        if verdict.reason is Reason.ABSTAINED:
            assert component.abstain is not None
            return component.abstain
        return component.pays(verdict.reward)
