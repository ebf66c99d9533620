"""Every knob: the schema of the YAML files, one model a stage. Unknown keys are refused; nothing here imports torch.

A key that could have no effect is refused where it is set (``experts`` for a dense family, ``betas`` for SGD, …).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]


class Strict(BaseModel):
    """A section of the configuration: frozen, no unknown keys, no silent conversion of types."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    def refuse_set(self, keys: tuple[str, ...], reason: str) -> None:
        """Raise ValueError if any of the keys, which would have no effect, has another value than its default."""
        for key in keys:
            if getattr(self, key) != type(self).model_fields[key].get_default(call_default_factory=True):
                raise ValueError(f"{key} has no effect {reason}; remove it")


# --------------------------------------------------------------------------------------------------- models


class ModelConfig(Strict):
    """A model from scratch: a few dials from which a transformers configuration follows."""

    family: Literal["llama", "qwen3", "qwen3_moe"] = "llama"
    layers: PositiveInt
    width: PositiveInt
    heads: PositiveInt
    kv_heads: PositiveInt | None = None
    """Key/value heads; None means as many as heads (no grouped-query attention)."""
    mlp_width: PositiveInt | None = None
    """Hidden width of each MLP or expert; None means 4 × width (dense) or width (experts)."""
    max_positions: PositiveInt = 1024
    tie_embeddings: bool = True
    experts: PositiveInt | None = None
    experts_per_token: PositiveInt | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.width % self.heads or (self.width // self.heads) % 2:
            raise ValueError(f"width {self.width} must be an even multiple of heads {self.heads}")
        if self.kv_heads is not None and self.heads % self.kv_heads:
            raise ValueError(f"heads {self.heads} must be a multiple of kv_heads {self.kv_heads}")
        if self.family != "qwen3_moe":
            self.refuse_set(("experts", "experts_per_token"), f"for family {self.family}")
        elif self.experts is None or self.experts_per_token is None:
            raise ValueError("family qwen3_moe needs experts and experts_per_token")
        elif self.experts_per_token > self.experts:
            raise ValueError(f"experts_per_token {self.experts_per_token} exceeds experts {self.experts}")
        return self


class TokenizerConfig(Strict):
    """How text becomes tokens: one per word between spaces, one per character, or byte-pair encoding."""

    kind: Literal["words", "characters", "bpe"] = "words"
    vocab_size: PositiveInt | None = None
    """Size to train byte-pair encoding to (default 2048); it follows from the text for the other kinds."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.kind != "bpe":
            self.refuse_set(("vocab_size",), f"for kind {self.kind}")
        elif self.vocab_size is not None and self.vocab_size < 300:
            raise ValueError(
                f"vocab_size {self.vocab_size} is too small for bpe: 256 bytes come first; allowed: >= 300"
            )
        return self


class PromptConfig(Strict):
    """How a question is put to the model."""

    style: Literal["auto", "chat", "plain"] = "auto"
    """auto: the tokenizer's own chat template if it has one, else the question as it is."""
    system: str | None = None
    """A system message, for chat only."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.style == "plain":
            self.refuse_set(("system",), "with style plain")
        return self


# ---------------------------------------------------------------------------------------------------- tasks


class ModsumConfig(Strict):
    """x1…xd in Z_M; the answer is their sum mod M. M = 2 is parity."""

    name: Literal["modsum"]
    modulus: Annotated[int, Field(ge=2, le=1000)] = 2
    length: Annotated[int, Field(ge=2, le=512)] = 16
    tagged: bool = True
    """A chain is written between <think> and </think>; untagged, it is the chain alone, whose last word answers."""
    leaps: list[PositiveInt] = [1]
    """Chains that exist beside ``direct``: leap 1 (mode cot) writes every running sum, leap k (mode leapk) every k-th."""
    distractors: Annotated[int, Field(ge=0, le=256)] = 0
    """Free tokens, drawn from 16, that a demonstrator writes before the response."""
    error_rate: Fraction = 0.0
    """Share of a demonstrator's steps that are wrong and carried on."""
    error_kind: Literal["random", "biased"] | None = None
    """random (default): any step may go wrong; biased: always the same (sum, digit) pairs do."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(set(self.leaps)) != len(self.leaps) or not self.leaps:
            raise ValueError(f"leaps {self.leaps} must be different numbers, at least one")
        lengths = {-(-self.length // leap) for leap in self.leaps}
        if max(self.leaps) >= self.length or len(lengths) < len(self.leaps):
            raise ValueError(
                f"leaps {self.leaps} must be below length {self.length} and give chains of different length"
            )
        if not self.error_rate:
            self.refuse_set(("error_kind",), "with error_rate 0")
        return self


class ArithmeticConfig(Strict):
    """Sums or products of two numbers of k digits."""

    name: Literal["arithmetic"]
    operation: Literal["sum", "product"] = "sum"
    digits: Annotated[int, Field(ge=2, le=18)] = 3


class WordsConfig(Strict):
    """The product of a word over a permutation group."""

    name: Literal["words"]
    group: Literal["S3", "S5", "A5"] = "S3"
    length: Annotated[int, Field(ge=2, le=256)] = 8


class ProblemsConfig(Strict):
    """Questions and answers from a JSONL file."""

    name: Literal["problems"]
    path: str
    on_bad_line: Literal["stop", "skip"] = "stop"
    test_fraction: Fraction = 0.1
    """Share of the questions, chosen by a hash of their text, kept from training."""


TaskConfig = Annotated[ModsumConfig | ArithmeticConfig | WordsConfig | ProblemsConfig, Field(discriminator="name")]

# ----------------------------------------------------------------------------------------------------- data

Mixture = Annotated[dict[str, NonNegativeFloat], Field(min_length=1)]


class SourceConfig(Strict):
    """One source of documents: a task with a mixture of its modes, or a plain text file."""

    task: TaskConfig | None = None
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


# ------------------------------------------------------------------------------------------------- training


class TrainConfig(Strict):
    """The optimization that every training stage shares."""

    max_steps: PositiveInt
    learning_rate: PositiveFloat
    optimizer: Literal["adamw", "sgd"] = "adamw"
    betas: Annotated[list[Fraction], Field(min_length=2, max_length=2)] | None = None
    """AdamW's moments; default [0.9, 0.95]."""
    momentum: Fraction | None = None
    """SGD's momentum; default 0."""
    weight_decay: NonNegativeFloat = 0.0
    schedule: Literal["constant", "cosine"] = "constant"
    warmup_steps: NonNegativeInt = 0
    max_grad_norm: PositiveFloat = 1.0
    micro_batch_tokens: PositiveInt = 16384
    """Padded tokens in one forward pass: bounds memory, cannot change the gradient."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Arithmetic of forward and backward passes, sampling included; master weights stay float32."""
    save_every: PositiveInt = 100
    keep_checkpoints: PositiveInt = 3

    @model_validator(mode="after")
    def _check(self) -> Self:
        other = {"adamw": ("momentum",), "sgd": ("betas",)}[self.optimizer]
        self.refuse_set(other, f"for optimizer {self.optimizer}")
        return self


class DocumentTrainConfig(TrainConfig):
    """Training on documents: how many of their tokens make one update."""

    batch_tokens: PositiveInt = 8192


class SamplingConfig(Strict):
    """How completions are sampled."""

    engine: Literal["native", "hf"] = "native"
    max_new_tokens: PositiveInt = 256
    min_new_tokens: NonNegativeInt = 0
    temperature: PositiveFloat = 1.0
    batch_size: PositiveInt = 512
    """Completions decoded together at most: bounds memory."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.min_new_tokens > self.max_new_tokens:
            raise ValueError(f"min_new_tokens {self.min_new_tokens} exceeds max_new_tokens {self.max_new_tokens}")
        return self


class RolloutConfig(SamplingConfig):
    """How an RL step's rollouts are sampled."""

    group_size: PositiveInt = 8
    problems_per_step: PositiveInt = 64
    save_every: PositiveInt = 1
    """Rollouts of every n-th step are written to rollouts/."""


class EvalSection(Strict):
    """Evaluation on problems of the test split while training."""

    every: PositiveInt
    problems: PositiveInt = 256
    samples: PositiveInt = 1
    """Sampled completions a problem, beside the greedy one."""


class FinalEvalSection(Strict):
    """What ``rlvr eval`` measures."""

    problems: PositiveInt = 256
    samples: PositiveInt = 4
    split: Literal["train", "test"] = "test"


class AlgoConfig(Strict):
    """Policy gradient. The preset fills in the fields that are not set beside it."""

    preset: Literal["reinforce", "grpo", "star"] = "reinforce"
    advantage: Literal["mean_centred", "standardised", "correct_only"]
    drop_zero_variance: bool

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, fields: Any) -> Any:
        preset = PRESETS.get(fields.get("preset", "reinforce")) if isinstance(fields, dict) else None
        return {**preset, **fields} if preset else fields

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.advantage == "correct_only" and self.drop_zero_variance:
            raise ValueError(
                "drop_zero_variance: true throws away groups that are all correct, which correct_only imitates"
            )
        return self


PRESETS: dict[str, dict[str, Any]] = {
    # REINFORCE with the group's mean as baseline: Williams 1992; Dr. GRPO, arXiv:2503.20783, without its length constant.
    "reinforce": {"advantage": "mean_centred", "drop_zero_variance": True},
    # GRPO: divided by the group's standard deviation, arXiv:2402.03300, equation 3 on outcome rewards; no KL, one update.
    "grpo": {"advantage": "standardised", "drop_zero_variance": True},
    # STaR, arXiv:2203.14465, on-policy: sample, keep the correct, imitate them.
    "star": {"advantage": "correct_only", "drop_zero_variance": False},
}

# --------------------------------------------------------------------------------------------------- stages

RewardTable = Annotated[dict[str, float], Field(min_length=1)]


class StageConfig(Strict):
    """What every stage has."""

    seed: NonNegativeInt = 0
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: PositiveInt | None = None
    """CPU threads of the arithmetic; None leaves it to torch. Bits may differ between thread counts."""


class DocumentStageConfig(StageConfig):
    """A stage that learns from documents."""

    task: TaskConfig | None = None
    data: DataConfig
    train: DocumentTrainConfig
    rollout: SamplingConfig = SamplingConfig()
    """How the evaluations while training sample."""
    reward: RewardTable = {"exact": 1.0}
    """What the evaluations while training count as right."""
    eval: EvalSection | None = None

    @model_validator(mode="after")
    def _check_sources(self) -> Self:
        if self.data.mixture is not None and self.task is None:
            raise ValueError("data.mixture needs a task")
        if self.eval is not None and self.task is None:
            raise ValueError("eval needs a task to evaluate on")
        if self.eval is None:
            self.refuse_set(("rollout", "reward"), "without eval")
            if self.data.sources is not None:
                self.refuse_set(("task",), "beside data.sources without eval")
        return self


class PretrainConfig(DocumentStageConfig):
    """``rlvr pretrain``"""

    model: ModelConfig
    tokenizer: TokenizerConfig = TokenizerConfig()
    data: PretrainDataConfig


class SftConfig(DocumentStageConfig):
    """``rlvr sft``"""

    model: str
    prompt: PromptConfig = PromptConfig()


class RlConfig(StageConfig):
    """``rlvr rl``"""

    model: str
    prompt: PromptConfig = PromptConfig()
    task: TaskConfig
    reward: RewardTable = {"exact": 1.0}
    rollout: RolloutConfig = RolloutConfig()
    algo: AlgoConfig = Field(default_factory=lambda: AlgoConfig.model_validate({}))
    train: TrainConfig
    eval: EvalSection | None = None

    @model_validator(mode="after")
    def _check_group(self) -> Self:
        if self.rollout.group_size < 2 and self.algo.advantage != "correct_only":
            raise ValueError(
                f"rollout.group_size 1 with algo.advantage {self.algo.advantage} makes every advantage 0; allowed: >= 2"
            )
        return self


class EvalConfig(StageConfig):
    """``rlvr eval``"""

    model: str
    prompt: PromptConfig = PromptConfig()
    task: TaskConfig
    reward: RewardTable = {"exact": 1.0}
    rollout: SamplingConfig = SamplingConfig()
    eval: FinalEvalSection = FinalEvalSection()
    data: DataConfig | None = None
    """Documents whose loss and perplexity are measured too."""


STAGES: dict[str, type[StageConfig]] = {
    "pretrain": PretrainConfig,
    "sft": SftConfig,
    "rl": RlConfig,
    "eval": EvalConfig,
}


def stage_of(keys: dict[str, Any]) -> str:
    """The stage that a file with these top-level keys is for; a file need not name it.

    A model given as dials is pretraining; ``train`` with ``data`` is SFT, without it RL; no ``train`` is evaluation.
    """
    if isinstance(keys.get("model"), dict):
        return "pretrain"
    if "train" in keys:
        return "sft" if "data" in keys else "rl"
    return "eval"
