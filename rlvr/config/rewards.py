"""Rewards: which components, with which weights."""

from __future__ import annotations

import warnings
from typing import Any, Self

from pydantic import PositiveInt, model_validator

from rlvr.config.strict import Strict

ANSWERS = ("exact", "number", "math", "choice", "code", "json", "regex")
"""The components that say whether an answer is right; a rollout is correct if all of these give full marks."""


class ComponentConfig(Strict):
    """One component of the reward; ``name: 0.5`` is short for ``name: {weight: 0.5}``."""

    weight: float


class LengthConfig(ComponentConfig):
    """How far a completion is longer than a target: 0 up to it, 1 at twice its tokens. Its weight is below 0 to shorten."""

    target: PositiveInt


with warnings.catch_warnings():
    warnings.filterwarnings("ignore", message='Field name "json"')  # it hides a method of pydantic's that nobody calls

    class RewardConfig(Strict):
        """A weighted sum of components."""

        exact: ComponentConfig | None = None
        """The answer is the gold answer as a text: case, spaces, articles and a full stop at its end apart."""
        number: ComponentConfig | None = None
        """The answer's last number equals the gold number, exactly."""
        math: ComponentConfig | None = None
        """The answer equals the gold answer as mathematics: LaTeX or plain, exact."""
        choice: ComponentConfig | None = None
        """The answer is the letter of the right choice."""
        code: ComponentConfig | None = None
        """The response's last code block passes the tests that the gold answer holds (extra ``code``)."""
        json: ComponentConfig | None = None  # type: ignore[assignment]
        """The answer is the same JSON value as the gold answer."""
        regex: ComponentConfig | None = None
        """The whole answer matches the gold answer, a regular expression."""
        format: ComponentConfig | None = None
        """The response is one ``<think>…</think>`` and then something."""
        length: LengthConfig | None = None

        @model_validator(mode="before")
        @classmethod
        def _expand(cls, table: Any) -> Any:
            if not isinstance(table, dict):
                return table
            return {
                name: {"weight": value} if isinstance(value, int | float) and not isinstance(value, bool) else value
                for name, value in table.items()
            }

        @model_validator(mode="after")
        def _check(self) -> Self:
            if not any(name in ANSWERS for name, _ in self.components()):
                raise ValueError(f"no component checks the answer; add one of {', '.join(ANSWERS)}")
            for name, component in self.components():
                if name in ANSWERS and component.weight <= 0:
                    raise ValueError(
                        f"{name} has weight {component.weight:g}; what checks the answer needs one above 0"
                    )
            return self

        def components(self) -> list[tuple[str, ComponentConfig]]:
            """The components that are set, by name."""
            return [(name, value) for name in type(self).model_fields if (value := getattr(self, name)) is not None]
