"""Tasks: problems, the modes in which they can be answered, and what a response finally answers."""

from collections.abc import Callable
from typing import Any

from pydantic import BaseModel

from rlvr.config import ArithmeticConfig, ModsumConfig, ProblemsConfig, TaskConfig, WordsConfig
from rlvr.tasks.arithmetic import Arithmetic
from rlvr.tasks.modsum import Modsum
from rlvr.tasks.problems import Problems
from rlvr.tasks.task import Task
from rlvr.tasks.words import Words

TASKS: dict[type[BaseModel], Callable[[Any, int], Task]] = {
    ModsumConfig: Modsum,
    ArithmeticConfig: Arithmetic,
    WordsConfig: Words,
    ProblemsConfig: Problems,
}


def make_task(config: TaskConfig, seed: int) -> Task:
    """The task of a configuration; its problem i depends on (seed, split, i) only."""
    return TASKS[type(config)](config, seed)
