"""Every knob: the schema of the YAML files, one model a stage. Unknown keys are refused; nothing here imports torch.

A key that could have no effect is refused where it is set (``experts`` for a dense family, ``betas`` for SGD, …).
"""

from rlvr.config.algorithm import GROUP_RELATIVE, PRESETS, AlgoConfig, EntropyMaskConfig, GaeConfig, KlConfig
from rlvr.config.data import DataConfig, Mixture, PretrainDataConfig, SourceConfig
from rlvr.config.models import ModelConfig, PromptConfig, TokenizerConfig
from rlvr.config.rewards import (
    ANSWERS,
    AnswerConfig,
    ComponentConfig,
    LengthConfig,
    MathConfig,
    NoiseConfig,
    OwnConfig,
    RewardConfig,
    TextAnswerConfig,
)
from rlvr.config.stages import (
    STAGES,
    DocumentStageConfig,
    EvalConfig,
    PretrainConfig,
    RlConfig,
    SftConfig,
    StageConfig,
    stage_of,
)
from rlvr.config.strict import Fraction, Strict
from rlvr.config.tasks import ArithmeticConfig, ModsumConfig, ProblemsConfig, TaskConfig, WordsConfig
from rlvr.config.training import (
    DocumentTrainConfig,
    EvalSection,
    FinalEvalSection,
    LearningRates,
    RolloutConfig,
    SamplingConfig,
    TrainConfig,
)

__all__ = [
    "ANSWERS",
    "GROUP_RELATIVE",
    "PRESETS",
    "STAGES",
    "AlgoConfig",
    "AnswerConfig",
    "ArithmeticConfig",
    "ComponentConfig",
    "DataConfig",
    "DocumentStageConfig",
    "DocumentTrainConfig",
    "EntropyMaskConfig",
    "EvalConfig",
    "EvalSection",
    "FinalEvalSection",
    "Fraction",
    "GaeConfig",
    "KlConfig",
    "LearningRates",
    "LengthConfig",
    "MathConfig",
    "Mixture",
    "ModelConfig",
    "ModsumConfig",
    "NoiseConfig",
    "OwnConfig",
    "PretrainConfig",
    "PretrainDataConfig",
    "ProblemsConfig",
    "PromptConfig",
    "RewardConfig",
    "RlConfig",
    "RolloutConfig",
    "SamplingConfig",
    "SftConfig",
    "SourceConfig",
    "StageConfig",
    "Strict",
    "TaskConfig",
    "TextAnswerConfig",
    "TokenizerConfig",
    "TrainConfig",
    "WordsConfig",
    "stage_of",
]
