"""Which problems RL trains on: streams, selections, curricula and mixtures, all of them sources of problems."""

from rlvr.config import CurriculumConfig, MemberConfig, MixtureConfig, ProblemsConfig, RlConfig, at_level
from rlvr.curriculum.levels import Levels
from rlvr.curriculum.mixed import Mixed
from rlvr.curriculum.selected import Selected
from rlvr.curriculum.source import ProblemSource, Stream
from rlvr.errors import RlvrError
from rlvr.tasks import make_member
from rlvr.tasks.task import Task

__all__ = ["ProblemSource", "level_tasks", "make_source"]


def make_source(config: RlConfig) -> ProblemSource:
    """The source of an RL run's problems.

    Raises RlvrError for a level with too few problems, and for a file without a problem of the selected difficulty.
    """
    members = _members(config)
    sources = {name: _source(name, member, config.seed) for name, member in members.items()}
    if isinstance(config.task, MixtureConfig):
        return Mixed(sources, {name: member.weight for name, member in members.items()})
    [source] = sources.values()
    return source


def level_tasks(config: RlConfig) -> list[Task]:
    """The task at every level of every curriculum. Raises RlvrError for a level with too few problems."""
    return [
        task
        for name, member in _members(config).items()
        if member.curriculum is not None
        for task in _levels(name, member, member.curriculum, config.seed)
    ]


def _members(config: RlConfig) -> dict[str, MemberConfig]:
    """The members of a mixture; one task is the only member of its own name."""
    if isinstance(config.task, MixtureConfig):
        return config.task.tasks
    return {config.task.name: MemberConfig(task=config.task, select=config.select, curriculum=config.curriculum)}


def _source(name: str, member: MemberConfig, seed: int) -> ProblemSource:
    if member.curriculum is not None:
        return Levels(_levels(name, member, member.curriculum, seed), member.curriculum, seed=seed)
    task = make_member(name, member, member.task, seed)
    if member.select is None:
        return Stream(task)
    assert isinstance(member.task, ProblemsConfig)
    return Selected(task, member.select, path=member.task.path)


def _levels(name: str, member: MemberConfig, curriculum: CurriculumConfig, seed: int) -> list[Task]:
    tasks = []
    for value in curriculum.values:
        level = at_level(member.task, curriculum.dial, value)
        try:
            tasks.append(make_member(name, member, level, seed))
        except RlvrError as error:
            raise RlvrError("curriculum.values", f"{curriculum.dial} {value} cannot be trained on: {error}") from None
    return tasks
