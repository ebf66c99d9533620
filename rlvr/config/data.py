"""Documents: which, from where, in which mixture."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, NonNegativeFloat, PositiveFloat, model_validator

from rlvr.config.strict import Strict
from rlvr.config.tasks import SingleTaskConfig

Mixture = Annotated[dict[str, NonNegativeFloat], Field(min_length=1)]


class SourceConfig(Strict):
    """One source of documents: a task with a mixture of its modes, or a plain text file."""

    task: SingleTaskConfig | None = None
    mixture: Mixture | None = None
    text: str | None = None
    block: Annotated[int, Field(ge=16)] = 512
    """Characters in one document cut from a text file."""
    weight: PositiveFloat = 1.0

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.task is None) == (self.text is None):
            raise ValueError("a source is either a task (with a mixture) or a text file")
        if self.task is not None:
            self.refuse_set(("block",), "for a task")
            if self.mixture is None:
                raise ValueError("a task as a source needs a mixture of its modes, such as {direct: 0.9, cot: 0.1}")
        else:
            self.refuse_set(("mixture",), "for a text file")
        return self


class DataConfig(Strict):
    """Which documents to learn from."""

    mixture: Mixture | None = None
    """Weights of the modes in which the stage's ``task`` is written."""
    sources: list[SourceConfig] | None = Field(default=None, min_length=1)
    """Weighted sources; replaces ``task`` + ``mixture``."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.mixture is None) == (self.sources is None):
            raise ValueError("give either mixture (of the modes of task) or sources")
        return self


class PretrainDataConfig(DataConfig):
    """Documents for pretraining."""

    loss_on: Literal["document", "response"] = "document"
    """document: every token of the text is learnt; response: only what follows the prompt."""

    @model_validator(mode="after")
    def _check_loss_on(self) -> Self:
        if self.sources is not None and all(source.text is not None for source in self.sources):
            self.refuse_set(("loss_on",), "on plain text, which has no prompt")
        return self
