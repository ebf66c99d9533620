"""The stages: what a whole file holds."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, NonNegativeInt, model_validator

from rlvr.config.algorithm import GROUP_RELATIVE, AlgoConfig
from rlvr.config.data import DataConfig, PretrainDataConfig
from rlvr.config.models import AttentionName, LoraConfig, ModelConfig, PromptConfig, TokenizerConfig
from rlvr.config.rewards import RewardConfig
from rlvr.config.selection import CurriculumConfig, SelectConfig
from rlvr.config.strict import Strict
from rlvr.config.tasks import MixtureConfig, ModsumConfig, TaskConfig, check_selection
from rlvr.config.training import (
    DocumentTrainConfig,
    EvalSection,
    FinalEvalSection,
    RolloutConfig,
    SamplingConfig,
    StudyConfig,
    TrainConfig,
)


class StageConfig(Strict):
    """What every stage has."""

    seed: NonNegativeInt = 0
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: Annotated[int, Field(ge=1, le=1024)] | None = None
    """CPU threads of the arithmetic; None leaves it to torch. Bits may differ between thread counts."""
    track: Annotated[list[Literal["tensorboard", "wandb", "trackio"]], Field(min_length=1)] | None = None
    """Other programs that get the rows of metrics.jsonl, in files under tracking/ in the run directory (extra ``track``)."""

    @model_validator(mode="after")
    def _check_trackers(self) -> Self:
        for number, name in enumerate(self.track or []):
            if name in (self.track or [])[:number]:
                raise ValueError(f"track: {name} is given twice; remove one")
        return self


class DocumentStageConfig(StageConfig):
    """A stage that learns from documents."""

    task: TaskConfig | None = None
    data: DataConfig
    train: DocumentTrainConfig
    rollout: SamplingConfig = SamplingConfig()
    """How the evaluations while training sample."""
    reward: RewardConfig = RewardConfig.model_validate({"exact": 1.0})
    """What the evaluations while training count as right."""
    eval: EvalSection | None = None

    @model_validator(mode="after")
    def _check_sources(self) -> Self:
        if self.data.mixture is not None and self.task is None:
            raise ValueError("data.mixture needs a task")
        if self.eval is None or self.task is None:
            self.refuse_set(("rollout", "reward"), "without eval of a task")
        if self.eval is None and self.data.sources is not None:
            self.refuse_set(("task",), "beside data.sources without eval")
        if self.eval is not None and self.task is None:
            self.eval.refuse_set(("samples",), "without a task")
        _refuse_noise(self.reward)
        _refuse_selection(self.task)
        return self


class PretrainConfig(DocumentStageConfig):
    """``rlvr pretrain``"""

    model: ModelConfig
    tokenizer: TokenizerConfig = TokenizerConfig()
    data: PretrainDataConfig

    @model_validator(mode="after")
    def _check_frozen(self) -> Self:
        self.train.refuse_set(("freeze",), "on a model from scratch, whose frozen parts would stay random")
        return self


class SftConfig(DocumentStageConfig):
    """``rlvr sft``"""

    model: str
    attention: AttentionName | None = None
    """How transformers computes the model's attention; None leaves it to transformers. It has no effect where rlvr computes it itself:
    for the Llama family under ``rollout.engine: native``."""
    lora: LoraConfig | None = None
    prompt: PromptConfig = PromptConfig()

    @model_validator(mode="after")
    def _check_lora(self) -> Self:
        if self.lora is not None:
            _refuse_beside_lora(self.train)
        return self


class RlConfig(StageConfig):
    """``rlvr rl``"""

    model: str
    attention: AttentionName | None = None
    """How transformers computes the model's attention; None leaves it to transformers. It has no effect where rlvr computes it itself:
    for the Llama family under ``rollout.engine: native``."""
    lora: LoraConfig | None = None
    prompt: PromptConfig = PromptConfig()
    task: TaskConfig
    select: SelectConfig | None = None
    """Which problems of a file are trained on; evaluations keep to all of the test split."""
    curriculum: CurriculumConfig | None = None
    """Which value of a generated task's dial is trained on; evaluations keep to the task's own."""
    reward: RewardConfig = RewardConfig.model_validate({"exact": 1.0})
    rollout: RolloutConfig = RolloutConfig()
    algo: AlgoConfig = Field(default_factory=lambda: AlgoConfig.model_validate({}))
    train: TrainConfig
    eval: EvalSection | None = None
    study: StudyConfig = StudyConfig()

    @model_validator(mode="after")
    def _check_selection(self) -> Self:
        if not isinstance(self.task, MixtureConfig):
            check_selection(self.task, self.select, self.curriculum)
        elif self.select is not None or self.curriculum is not None:
            key = "select" if self.select is not None else "curriculum"
            raise ValueError(
                f"{key} has no effect on a mixture; set it for the task that it is meant for, in task.tasks"
            )
        return self

    @model_validator(mode="after")
    def _check_lora(self) -> Self:
        if self.lora is not None:
            _refuse_beside_lora(self.train)
        return self

    @model_validator(mode="after")
    def _check_group(self) -> Self:
        if self.rollout.group_size < 2 and self.algo.advantage in GROUP_RELATIVE:
            raise ValueError(
                f"rollout.group_size 1 with algo.advantage {self.algo.advantage} makes every advantage 0; allowed: >= 2"
            )
        if self.rollout.group_size < 2 and self.algo.drop_zero_variance:
            raise ValueError("rollout.group_size 1 with algo.drop_zero_variance drops every group; allowed: >= 2")
        distracted = isinstance(self.task, ModsumConfig) and self.task.distractors > 0
        if self.algo.credit == "oracle" and not distracted:
            raise ValueError(
                "algo.credit oracle needs a task that knows which tokens matter: modsum with distractors above 0"
            )
        branches = self.algo.branches
        if branches is not None and branches.every >= self.rollout.max_new_tokens:
            raise ValueError(
                f"algo.branches.every {branches.every} leaves no prefix within rollout.max_new_tokens {self.rollout.max_new_tokens}"
            )
        if self.train.learning_rates is not None and self.algo.advantage != "gae":
            self.train.learning_rates.refuse_set(("value",), "without algo.advantage gae")
        if self.algo.offline is not None:
            self.refuse_set(("select", "curriculum"), "with algo.offline, which samples nothing")
            unused = ("group_size", "problems_per_step", "min_new_tokens")
            self.rollout.refuse_set(unused, "with algo.offline, which samples nothing")
            if self.eval is None:
                self.rollout.refuse_set(("top_k", "top_p", "stop_strings"), "with algo.offline and without eval")
        elif self.rollout.problems_per_step < self.algo.parts:
            raise ValueError(
                f"algo.parts {self.algo.parts} exceeds rollout.problems_per_step {self.rollout.problems_per_step}: "
                "a group is never split"
            )
        return self


class EvalConfig(StageConfig):
    """``rlvr eval``"""

    model: str
    attention: AttentionName | None = None
    """How transformers computes the model's attention; None leaves it to transformers. It has no effect where rlvr computes it itself:
    for the Llama family under ``rollout.engine: native``."""
    prompt: PromptConfig = PromptConfig()
    task: TaskConfig | None = None
    reward: RewardConfig = RewardConfig.model_validate({"exact": 1.0})
    rollout: SamplingConfig = SamplingConfig()
    eval: FinalEvalSection = FinalEvalSection()
    data: DataConfig | None = None
    """Documents whose loss and perplexity are measured too."""

    @model_validator(mode="after")
    def _check_task(self) -> Self:
        if self.task is None and (self.data is None or self.data.sources is None):
            raise ValueError("there is nothing to evaluate: give a task, or data.sources")
        if self.task is None:
            self.refuse_set(("reward", "rollout"), "without a task")
            self.eval.refuse_set(("samples", "split"), "without a task")
        _refuse_noise(self.reward)
        _refuse_selection(self.task)
        return self


def _refuse_beside_lora(train: TrainConfig) -> None:
    train.refuse_set(("freeze",), "beside lora, which trains nothing but its adapter")
    if train.learning_rates is not None:
        train.learning_rates.refuse_set(("embeddings", "head", "vectors"), "beside lora, which trains matrices alone")


def _refuse_noise(reward: RewardConfig) -> None:
    if reward.noise is not None:
        raise ValueError("reward.noise has no effect: evaluations see the true verdicts; remove it")


def _refuse_selection(task: TaskConfig | None) -> None:
    if isinstance(task, MixtureConfig):
        task.refuse_selection()


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
