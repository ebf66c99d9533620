"""Rewards: how good a response is. ``grade`` is the one entry to the graders; ``RewardSum`` weighs them."""

from collections.abc import Callable
from dataclasses import dataclass

from rlvr.config import ANSWERS, ComponentConfig, LengthConfig, RewardConfig
from rlvr.rewards.choice import choice
from rlvr.rewards.code import grade_code
from rlvr.rewards.exact import exact
from rlvr.rewards.format import thinks_then_answers
from rlvr.rewards.json_value import json_value
from rlvr.rewards.maths import grade_math
from rlvr.rewards.number import number
from rlvr.rewards.regex import regex
from rlvr.rewards.verdict import Reason, Verdict

__all__ = ["GRADERS", "Attempt", "Reason", "RewardSum", "Verdict", "grade"]

Grader = Callable[[str, str], Verdict]
"""(gold answer, response) -> verdict. A gold answer that is none raises ValueError; bad model text never raises."""

GRADERS: dict[str, Grader] = {
    "exact": exact,
    "number": number,
    "math": grade_math,
    "choice": choice,
    "code": grade_code,
    "json": json_value,
    "regex": regex,
    "format": thinks_then_answers,
}


NO_ANSWER_ITSELF = ("code", "regex")
"""Kinds whose gold answer describes right answers and is none: a problem's ``solution`` is needed to check them."""


def grade(kind: str, gold: str, response: str) -> Verdict:
    """Grade one response. kind: a name in GRADERS. Raises ValueError for a gold answer that the kind cannot read."""
    return GRADERS[kind](gold, response)


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """What there is to grade.

    answer: the part of the response that answers, as its task finds it; None if there is none. length: tokens written.
    """

    gold: str
    response: str
    answer: str | None
    length: int


class RewardSum:
    """A weighted sum of components, each kept by name."""

    def __init__(self, config: RewardConfig) -> None:
        self._components = config.components()

    def verdicts(self, attempt: Attempt) -> dict[str, Verdict]:
        """Each component's verdict, unweighted. Raises ValueError for a gold answer that a component cannot read."""
        return {name: _verdict(name, component, attempt) for name, component in self._components}

    @property
    def needs_solution(self) -> bool:
        """Whether a gold answer cannot be graded as if it were a response."""
        return any(name in NO_ANSWER_ITSELF for name, _ in self._components)

    def total(self, verdicts: dict[str, Verdict]) -> float:
        """The weighted sum."""
        return sum(component.weight * verdicts[name].reward for name, component in self._components)

    def correct(self, verdicts: dict[str, Verdict]) -> bool:
        """Whether every component that checks the answer gives full marks."""
        return all(verdict for name, verdict in verdicts.items() if name in ANSWERS)


def _verdict(name: str, component: ComponentConfig, attempt: Attempt) -> Verdict:
    if isinstance(component, LengthConfig):
        excess = attempt.length / component.target - 1.0
        return Verdict(reward=min(1.0, max(0.0, excess)), reason=Reason.CORRECT)
    if name not in ANSWERS:
        return grade(name, attempt.gold, attempt.response)
    if attempt.answer is None:
        return Verdict(reward=0.0, reason=Reason.NO_ANSWER)
    return grade(name, attempt.gold, attempt.answer)
