"""What each component of a reward says of an attempt."""

from collections.abc import Callable

from rlvr.config import (
    ANSWERS,
    AnswerConfig,
    GymRewardConfig,
    LengthConfig,
    MathConfig,
    RewardConfig,
    TextAnswerConfig,
)
from rlvr.rewards.abstain import abstains
from rlvr.rewards.attempt import Attempt
from rlvr.rewards.choice import choice
from rlvr.rewards.code import grade_code
from rlvr.rewards.exact import exact
from rlvr.rewards.extract import after_thoughts
from rlvr.rewards.format import thinks_then_answers
from rlvr.rewards.gym import grade_gym
from rlvr.rewards.json_value import json_value
from rlvr.rewards.math_verify import grade_math_verify
from rlvr.rewards.maths import grade_math
from rlvr.rewards.number import number
from rlvr.rewards.own import OwnFunction
from rlvr.rewards.regex import regex
from rlvr.rewards.verdict import Reason, Verdict

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

TEXT_GRADERS: dict[str, Callable[..., Verdict]] = {
    "exact": exact,
    "number": number,
    "choice": choice,
    "regex": regex,
}
"""Those that look for the answer in a text, and can be told how: (gold, response, style=…, pattern=…)."""


class Components:
    """The components of one reward. Raises RlvrError if a function of the user's cannot be loaded."""

    def __init__(self, config: RewardConfig) -> None:
        self._components = dict(config.components())
        self._own = OwnFunction(config.own) if config.own is not None else None

    def verdict(self, name: str, attempt: Attempt) -> Verdict | None:
        """One component's verdict, unweighted; None if it does not apply to the attempt.

        Raises ValueError for a gold answer that the component cannot read.
        """
        component = self._components[name]
        if isinstance(component, LengthConfig):
            excess = attempt.length / component.target - 1.0
            return Verdict(reward=min(1.0, max(0.0, excess)), reason=Reason.CORRECT)
        if name in ANSWERS and attempt.metadata.get("grader", name) != name:
            return None
        if not isinstance(component, AnswerConfig):
            return GRADERS[name](attempt.gold, attempt.response)
        verdict = self._of_answer(name, component, attempt)
        if verdict is not None and not verdict and component.knows_abstention and _abstained(verdict, attempt):
            return Verdict(reward=0.0, reason=Reason.ABSTAINED, extracted=verdict.extracted)
        return verdict

    def _of_answer(self, name: str, component: AnswerConfig, attempt: Attempt) -> Verdict | None:
        if self._own is not None and name == "own":
            return self._own.grade(attempt)
        if isinstance(component, GymRewardConfig):
            return grade_gym(component, attempt)
        if not isinstance(component, TextAnswerConfig):
            text = attempt.answer
            return _NO_ANSWER if text is None else GRADERS[name](attempt.gold, text)
        text = attempt.answer if component.extract is None else attempt.response
        if text is None:
            return _NO_ANSWER
        style, pattern = component.extract or "auto", component.pattern
        if not isinstance(component, MathConfig):
            return TEXT_GRADERS[name](attempt.gold, text, style=style, pattern=pattern)
        if component.verifier == "math_verify":
            return grade_math_verify(attempt.gold, text, style=style, pattern=pattern)
        evaluated = component.require_evaluated
        return grade_math(attempt.gold, text, style=style, pattern=pattern, require_evaluated=evaluated)


_NO_ANSWER = Verdict(reward=0.0, reason=Reason.NO_ANSWER)


def _abstained(verdict: Verdict, attempt: Attempt) -> bool:
    """Whether what stands where the answer should be, or else all that follows the thoughts, says "I don't know"."""
    return abstains(verdict.extracted or attempt.answer or after_thoughts(attempt.response) or "")
