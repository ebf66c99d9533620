"""Training, sampling and evaluation."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from rlvr.config.strict import Fraction, Strict


class LearningRates(Strict):
    """Highest learning rates of parts of the model, where they differ from ``learning_rate``."""

    embeddings: PositiveFloat | None = None
    """With the head, if it is tied to them."""
    head: PositiveFloat | None = None
    hidden: PositiveFloat | None = None
    """Matrices between embeddings and head."""
    vectors: PositiveFloat | None = None
    """Norms and biases."""
    value: PositiveFloat | None = None
    """The value model of ``algo.advantage: gae``."""


class TrainConfig(Strict):
    """The optimization that every training stage shares."""

    max_steps: PositiveInt
    learning_rate: PositiveFloat
    learning_rates: LearningRates | None = None
    optimizer: Literal["adamw", "sgd", "muon"] = "adamw"
    """muon is for the hidden matrices; the rest goes with AdamW."""
    betas: Annotated[list[Annotated[float, Field(ge=0.0, lt=1.0)]], Field(min_length=2, max_length=2)] | None = None
    """AdamW's moments; default [0.9, 0.95]."""
    momentum: Fraction | None = None
    """Of SGD, default 0, or of Muon, default 0.95."""
    weight_decay: NonNegativeFloat = 0.0
    schedule: Literal["constant", "cosine", "linear", "wsd"] = "constant"
    """After the warm-up; all but constant end at a tenth, wsd by falling in the last fifth of the steps."""
    warmup_steps: NonNegativeInt = 0
    max_grad_norm: PositiveFloat = 1.0
    micro_batch_tokens: PositiveInt = 6144
    """Tokens of the rows in one forward pass, or in those side by side together: bounds memory, cannot change the gradient."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Arithmetic of forward and backward passes, sampling included; master weights stay float32."""
    gradient_checkpointing: bool | None = None
    """true: what a layer computed is not kept but computed again on the way back; less memory, more time, the same gradient."""
    freeze: Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)] | None = None
    """What is not trained: ``embeddings``, ``head``, or patterns of parameter names (``model.layers.0.*``)."""
    save_every: PositiveInt = 100
    keep_checkpoints: PositiveInt = 3

    @model_validator(mode="after")
    def _check(self) -> Self:
        other = {"adamw": ("momentum",), "sgd": ("betas",), "muon": ()}[self.optimizer]
        self.refuse_set(other, f"for optimizer {self.optimizer}")
        return self


class DocumentTrainConfig(TrainConfig):
    """Training on documents: how many of their tokens make one update."""

    batch_tokens: PositiveInt = 8192

    @model_validator(mode="after")
    def _check_rates(self) -> Self:
        if self.learning_rates is not None:
            self.learning_rates.refuse_set(("value",), "on documents")
        return self


class SamplingConfig(Strict):
    """How completions are sampled."""

    engine: Literal["native", "hf"] = "native"
    max_new_tokens: PositiveInt = 256
    min_new_tokens: NonNegativeInt = 0
    temperature: PositiveFloat = 1.0
    top_k: PositiveInt | None = None
    """Tokens are drawn from so many of the most likely alone."""
    top_p: Annotated[float, Field(gt=0.0, lt=1.0)] | None = None
    """Tokens are drawn from the fewest of the most likely alone that hold this share; of ``top_k``, if that is set too."""
    stop_strings: Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)] | None = None
    """A completion ends as soon as its text contains one of them, which stays in it; not within ``min_new_tokens``."""
    batch_size: PositiveInt = 512
    """Completions decoded together at most: bounds memory."""
    cache_gib: PositiveFloat = 4.0
    """GiB for keys and values of the completions decoded together; if ``batch_size`` of them need more, fewer are."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.min_new_tokens > self.max_new_tokens:
            raise ValueError(f"min_new_tokens {self.min_new_tokens} exceeds max_new_tokens {self.max_new_tokens}")
        if self.top_k == 1:
            self.refuse_set(("top_p",), "with top_k 1")
        strings = self.stop_strings or []
        for number, string in enumerate(strings):
            if other := next((s for s in strings[:number] + strings[number + 1 :] if s in string), None):
                raise ValueError(
                    f"stop_strings: {string!r} has no effect beside {other!r}, which it contains; remove it"
                )
        return self


class RolloutConfig(SamplingConfig):
    """How an RL step's rollouts are sampled."""

    group_size: PositiveInt = 8
    problems_per_step: PositiveInt = 64
    save_every: PositiveInt = 1
    """Rollouts of the first, the last and every n-th step are written to rollouts/."""


class EvalSection(Strict):
    """Evaluation on the test split while training."""

    every: PositiveInt
    problems: PositiveInt = 256
    """How many problems of the task are answered; of how many documents the loss is measured."""
    samples: PositiveInt = 1
    """Sampled completions a problem, beside the greedy one."""


class StudyConfig(Strict):
    """What is looked into at the end of RL: some rollouts of the first and of the last saved step, token by token (``rlvr study``)."""

    rollouts: NonNegativeInt = 4
    """So many of each of the two steps; 0 for none."""
    samples: NonNegativeInt = 8
    """So many completions at most go on from each position of such a rollout, to see where its answer was decided. They are fewer where
    the whole would take longer than about one training step; 0 leaves that out."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.rollouts == 0:
            self.refuse_set(("samples",), "with rollouts 0")
        return self


class FinalEvalSection(Strict):
    """What ``rlvr eval`` measures."""

    problems: PositiveInt = 256
    """How many problems are answered; of how many documents the loss is measured."""
    samples: PositiveInt = 4
    """Sampled completions a problem, beside the greedy one; pass@k is given for k = 1, 2, 4, … up to it."""
    split: Literal["train", "test"] = "test"
