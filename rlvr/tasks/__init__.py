"""Tasks: problems, the modes in which they can be answered, and what a response finally answers."""

from collections.abc import Callable
from typing import Any

from pydantic import BaseModel

from rlvr.config import (
    ArithmeticConfig,
    FactsConfig,
    GymConfig,
    MemberConfig,
    MixtureConfig,
    ModsumConfig,
    ProblemsConfig,
    SingleTaskConfig,
    StridesConfig,
    StringsConfig,
    TaskConfig,
    WordsConfig,
)
from rlvr.tasks.arithmetic import Arithmetic
from rlvr.tasks.facts import Facts
from rlvr.tasks.gym import Gym
from rlvr.tasks.mixture import Member, Mixture
from rlvr.tasks.modsum import Modsum
from rlvr.tasks.problems import Problems
from rlvr.tasks.strides import Strides
from rlvr.tasks.strings import Strings
from rlvr.tasks.task import Task
from rlvr.tasks.words import Words

TASKS: dict[type[BaseModel], Callable[[Any, int], Task]] = {
    ModsumConfig: Modsum,
    ArithmeticConfig: Arithmetic,
    WordsConfig: Words,
    StridesConfig: Strides,
    StringsConfig: Strings,
    FactsConfig: Facts,
    ProblemsConfig: Problems,
    GymConfig: Gym,
}


def make_task(config: TaskConfig, seed: int) -> Task:
    """The task of a configuration; its problem i depends on (seed, split, i) only."""
    if isinstance(config, MixtureConfig):
        weights = {name: member.weight for name, member in config.tasks.items()}
        return Mixture(make_members(config, seed), weights)
    return TASKS[type(config)](config, seed)


def make_members(config: TaskConfig, seed: int) -> dict[str, Task]:
    """The tasks of a mixture by their names, or the one task by its own. A member draws what it would draw alone."""
    if isinstance(config, MixtureConfig):
        return {name: make_member(name, member, member.task, seed) for name, member in config.tasks.items()}
    task = make_task(config, seed)
    return {task.name: task}


def make_member(name: str, member: MemberConfig, task: SingleTaskConfig, seed: int) -> Task:
    """A task as a member of a mixture. task: the member's own, or the same with another value of a dial."""
    return Member(name, make_task(task, seed), member.grader)
