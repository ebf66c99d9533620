"""What a run will ask of its model, and whether the model has room for it: positions, and memory for keys and values. No torch."""

from collections.abc import Sequence

from rlvr.config import (
    DocumentStageConfig,
    EvalConfig,
    EvalSection,
    FinalEvalSection,
    RlConfig,
    SamplingConfig,
    StageConfig,
)
from rlvr.curriculum import make_source
from rlvr.errors import RlvrError
from rlvr.models.cache_size import CacheShape
from rlvr.tasks import make_task
from rlvr.tasks.task import available, name_of
from rlvr.types import Problem


def sampling_of(config: StageConfig) -> SamplingConfig | None:
    """How a stage samples; None if it never does."""
    if isinstance(config, DocumentStageConfig):
        return None if config.eval is None or config.task is None else config.rollout
    if isinstance(config, RlConfig):
        return None if config.algo.offline is not None and config.eval is None else config.rollout
    assert isinstance(config, EvalConfig)
    return None if config.task is None else config.rollout


def asked(config: StageConfig) -> list[Problem]:
    """The problems whose answers a stage samples: all that it may draw from a file or evaluates on, and the first of
    a task that generates them without end."""
    problems: list[Problem] = []
    if isinstance(config, RlConfig) and config.algo.offline is None:
        rounds = config.train.max_steps * (1 + config.algo.max_refills)
        problems += make_source(config).possible(rounds * config.rollout.problems_per_step)
    section: EvalSection | FinalEvalSection | None = getattr(config, "eval", None)
    task_config = getattr(config, "task", None)
    if section is not None and task_config is not None:
        task = make_task(task_config, config.seed)
        split = section.split if isinstance(section, FinalEvalSection) else "test"
        problems += [task.problem(split, index) for index in range(available(task, split, section.problems))]
    return problems


def check_prompts(
    problems: Sequence[Problem], lengths: Sequence[int], *, max_new_tokens: int, positions: int | None
) -> int:
    """The tokens of the longest prompt. RlvrError if with its completion it could run past the model's positions, where
    the model was never trained.

    lengths: of each problem's prompt. positions: of the model; None if it sets no bound.
    """
    longest = max(range(len(lengths)), key=lambda index: lengths[index])
    length = lengths[longest]
    if positions is not None and length + max_new_tokens > positions:
        left = positions - length
        raise RlvrError(
            "rollout.max_new_tokens",
            f"the prompt of {name_of(problems[longest])} has {length} tokens, and the model has {positions} positions",
            got=max_new_tokens,
            allowed=f"at most {left}" if left > 0 else None,
            remedy="lower it, or leave out long problems" if left > 0 else "leave out long problems",
        )
    return length


def cached_rows(config: StageConfig, shape: CacheShape, *, positions: int) -> int:
    """How many rows of so many positions a stage keeps in its cache together at most.

    Raises RlvrError if rollout.cache_gib does not hold a single one.
    """
    sampling = sampling_of(config)
    if sampling is None:
        return 0
    wanted = 0
    if isinstance(config, RlConfig) and config.algo.offline is None:
        wanted = config.rollout.problems_per_step * config.rollout.group_size
        if config.algo.branches is not None:
            wanted = sampling.batch_size  # as many as there are prefixes
    section: EvalSection | FinalEvalSection | None = getattr(config, "eval", None)
    if section is not None:
        wanted = max(wanted, section.problems * section.samples)
    rows = shape.rows_in(sampling.cache_gib, positions=positions, itemsize=itemsize_of(config))
    return min(rows, sampling.batch_size, wanted)


def itemsize_of(config: StageConfig) -> int:
    """Bytes of one number of a key or value."""
    train = getattr(config, "train", None)
    return 2 if train is not None and train.dtype == "bfloat16" else 4
