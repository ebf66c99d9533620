"""Rewards: which components, with which weights."""

from __future__ import annotations

import re
import warnings
from typing import Any, Literal, Self

from pydantic import PositiveFloat, PositiveInt, model_validator

from rlvr.config.strict import Fraction, Strict

ANSWERS = ("exact", "number", "math", "choice", "code", "json", "regex", "gym", "own")
"""The components that say whether an answer is right; a rollout is correct if all of these give full marks."""


class ComponentConfig(Strict):
    """One component of the reward; ``name: 0.5`` is short for ``name: {weight: 0.5}``."""

    weight: float


class LengthConfig(ComponentConfig):
    """How far a completion is longer than a target: 0 up to it, 1 at twice its tokens. Its weight is below 0 to shorten."""

    target: PositiveInt


class AnswerConfig(Strict):
    """A component that checks the answer: a weight, or what each outcome pays."""

    weight: float | None = None
    correct: float | None = None
    """What a right answer pays. With this, ``abstain`` and ``wrong`` are given too, and ``weight`` is not."""
    abstain: float | None = None
    """What "I don't know" and nothing else pays."""
    wrong: float | None = None
    """What any other response pays."""

    @model_validator(mode="after")
    def _check_payoffs(self) -> Self:
        payoffs = (self.correct, self.abstain, self.wrong)
        if (self.weight is None) == (payoffs == (None, None, None)):
            raise ValueError("give either a weight or what each outcome pays: correct, abstain and wrong")
        if self.weight is not None:
            if self.weight <= 0:
                raise ValueError(f"weight {self.weight:g}; what checks the answer needs one above 0")
            return self
        if None in payoffs:
            raise ValueError("correct, abstain and wrong are given together; write all three")
        if self.correct <= max(self.abstain, self.wrong):  # type: ignore[operator, type-var]
            raise ValueError(f"correct pays {self.correct:g}; it must pay more than abstain and wrong")
        return self

    @property
    def knows_abstention(self) -> bool:
        """Whether "I don't know" is an outcome of its own."""
        return self.abstain is not None

    def pays(self, marks: float) -> float:
        """What marks from 0 (wrong) to 1 (right) are worth."""
        if self.weight is not None:
            return self.weight * marks
        assert self.correct is not None
        assert self.wrong is not None
        return self.wrong + (self.correct - self.wrong) * marks


class TextAnswerConfig(AnswerConfig):
    """A component that checks an answer which has to be found in the response."""

    extract: Literal["boxed", "tags", "hashes", "last_number", "regex", "whole"] | None = None
    """What counts as the answer: the last ``\\boxed{…}``, ``<answer>…</answer>``, ``#### …``, the last number, the last
    match of ``pattern`` or all that follows the thoughts. None: what the task says, and in it the first of these that is there."""
    pattern: str | None = None
    """A regular expression (Python's) whose group 1 is the answer, for extract: regex."""

    @model_validator(mode="after")
    def _check_pattern(self) -> Self:
        if self.pattern is None:
            if self.extract == "regex":
                raise ValueError("extract: regex needs a pattern")
            return self
        if self.extract != "regex":
            raise ValueError("pattern has no effect without extract: regex; remove it")
        try:
            groups = re.compile(self.pattern).groups
        except re.error as error:
            raise ValueError(f"pattern does not compile: {error}") from None
        if not groups:
            raise ValueError("pattern has no group; put the answer in parentheses")
        return self


class MathConfig(TextAnswerConfig):
    """The answer equals the gold answer as mathematics: LaTeX or plain."""

    verifier: Literal["own", "math_verify"] = "own"
    """own: exact, the same verdict under any load. math_verify: the library of that name (extra ``math``), given five seconds."""
    require_evaluated: bool | None = None
    """True wants numbers in digits; false takes ``12\\cdot 34`` for 408; None wants digits where the gold answer is in digits."""

    @model_validator(mode="after")
    def _check_verifier(self) -> Self:
        if self.verifier == "math_verify":
            self.refuse_set(("require_evaluated",), "for verifier math_verify")
        return self


class GymRewardConfig(TextAnswerConfig):
    """What the scorer of a reasoning-gym data set says of the answer (extra ``gym``); it runs in processes of its own."""

    partial: bool = True
    """Scores between 0 and 1 are paid as they are; false: as 0."""
    seconds: PositiveFloat = 10.0
    """How long one verdict may take, making the problem again included, before its process is ended."""


class OwnConfig(AnswerConfig):
    """A Python function of yours that returns a number, 1 for full marks; it runs in processes of its own."""

    file: str
    function: str
    """Called with those of ``question, answer, response, metadata`` that it names, by keyword."""
    seconds: PositiveFloat = 5.0
    """How long one call may take before its process is ended."""
    on_error: Literal["stop", "zero"] = "stop"
    """What an exception, a result that is no finite number, or a call that never ends does: stop the run, or pay 0 and be counted."""


class RatesConfig(Strict):
    """How often a verdict is turned round."""

    fp: Fraction = 0.0
    """Share of the wrong answers that are paid as right ones."""
    fn: Fraction = 0.0
    """Share of the right answers that are paid as wrong ones."""


class NoiseConfig(RatesConfig):
    """An unreliable verifier, for experiments; the true verdict is kept, and evaluations see no noise."""

    modes: dict[str, RatesConfig] = {}
    """Rates of single modes, instead of the overall ones."""

    @model_validator(mode="after")
    def _check_effect(self) -> Self:
        rates: list[RatesConfig] = [self, *self.modes.values()]
        if not any(each.fp or each.fn for each in rates):
            raise ValueError("noise with rates of 0 has no effect; remove it")
        return self


with warnings.catch_warnings():
    warnings.filterwarnings("ignore", message='Field name "json"')  # it hides a method of pydantic's that nobody calls

    class RewardConfig(Strict):
        """A weighted sum of components. ``file: …`` and ``function: …`` at the top are short for ``own: {…, weight: 1}``."""

        exact: TextAnswerConfig | None = None
        """The answer is the gold answer as a text: case, spaces, articles and a full stop at its end apart."""
        number: TextAnswerConfig | None = None
        """The answer's last number equals the gold number, exactly."""
        math: MathConfig | None = None
        """The answer equals the gold answer as mathematics: LaTeX or plain."""
        choice: TextAnswerConfig | None = None
        """The answer is the letter of the right choice."""
        code: AnswerConfig | None = None
        """The response's last code block passes the tests that the gold answer holds (extra ``code``)."""
        json: AnswerConfig | None = None  # type: ignore[assignment]
        """The answer is the same JSON value as the gold answer."""
        regex: TextAnswerConfig | None = None
        """The whole answer matches the gold answer, a regular expression."""
        gym: GymRewardConfig | None = None
        """The scorer of the problem's reasoning-gym data set says that the answer is right (extra ``gym``)."""
        own: OwnConfig | None = None
        """What a Python function of yours says."""
        format: ComponentConfig | None = None
        """The response is one ``<think>…</think>`` and then something."""
        length: LengthConfig | None = None
        noise: NoiseConfig | None = None
        """Turns verdicts of the answer round at random."""

        @model_validator(mode="before")
        @classmethod
        def _expand(cls, table: Any) -> Any:
            if not isinstance(table, dict):
                return table
            table = _expand_own(table)
            return {
                name: {"weight": value} if isinstance(value, int | float) and not isinstance(value, bool) else value
                for name, value in table.items()
            }

        @model_validator(mode="after")
        def _check(self) -> Self:
            if not any(name in ANSWERS for name, _ in self.components()):
                raise ValueError(f"no component checks the answer; add one of {', '.join(ANSWERS)}")
            return self

        def components(self) -> list[tuple[str, ComponentConfig | AnswerConfig]]:
            """The components that are set, by name."""
            return [
                (name, value)
                for name in type(self).model_fields
                if name != "noise" and (value := getattr(self, name)) is not None
            ]

        def without_noise(self) -> RewardConfig:
            """The same reward from a reliable verifier."""
            return self.model_copy(update={"noise": None})


def _expand_own(table: dict[str, Any]) -> dict[str, Any]:
    """``{file: f, function: g}`` as ``{own: {file: f, function: g, weight: 1.0}}``; other components stay beside it."""
    keys = [key for key in ("file", "function", "seconds", "on_error", "weight") if key in table]
    if "file" not in keys or not isinstance(table.get("own", {}), dict):
        return table
    rest = {key: value for key, value in table.items() if key not in keys}
    return {**rest, "own": {"weight": 1.0, **{key: table[key] for key in keys}, **table.get("own", {})}}
