"""Documents: which, from where, in which mixture."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, NonNegativeFloat, PositiveFloat, model_validator

from rlvr.config.strict import Strict
from rlvr.config.tasks import SingleTaskConfig

Mixture = Annotated[dict[str, NonNegativeFloat], Field(min_length=1)]


class SourceConfig(Strict):
    """One source of documents: a task with a mixture of its modes, a plain text file, or a file of chats."""

    task: SingleTaskConfig | None = None
    mixture: Mixture | None = None
    text: str | None = None
    block: Annotated[int, Field(ge=16)] = 512
    """Characters in one document cut from a text file."""
    chats: str | None = None
    """A file of JSON lines, each with ``messages``: a list of ``{role: system | user | assistant, content: …}`` that the assistant ends."""
    turns: Literal["all", "last"] = "all"
    """Which of the assistant's turns in a chat are learnt; last is for templates that leave thoughts out of earlier turns."""
    weight: PositiveFloat = 1.0

    @model_validator(mode="after")
    def _check(self) -> Self:
        if sum(part is not None for part in (self.task, self.text, self.chats)) != 1:
            raise ValueError("a source is one of: a task (with a mixture), a text file, a file of chats")
        if self.task is not None and self.mixture is None:
            raise ValueError("a task as a source needs a mixture of its modes, such as {direct: 0.9, cot: 0.1}")
        if self.task is None:
            self.refuse_set(("mixture",), "without a task")
        if self.text is None:
            self.refuse_set(("block",), "without a text file")
        if self.chats is None:
            self.refuse_set(("turns",), "without chats")
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
        sources = self.sources or []
        if any(source.chats is not None for source in sources):
            raise ValueError("chats need a model that has a chat template; use them in sft")
        if sources and all(source.text is not None for source in sources):
            self.refuse_set(("loss_on",), "on plain text, which has no prompt")
        return self
