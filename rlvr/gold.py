"""The check before training: a task's own gold answers must earn full marks, and an empty answer must not."""

from collections.abc import Sequence
from concurrent.futures import Future

from rlvr.config import ANSWERS, RewardConfig
from rlvr.errors import RlvrError
from rlvr.rewards import Attempt, RewardSum, Scorer, Verdicts
from rlvr.tasks.task import Task, name_of
from rlvr.types import Problem, Split

CHECKED = 64
AT_ONCE = 1024
"""Problems whose verdicts are waited for together."""
REMEDY = "mend the problem's answer or choose another reward"


def check_gold(task: Task, config: RewardConfig, splits: Sequence[Split]) -> None:
    """Grade the gold response and an empty one for every problem of the splits, or the first of one without end.

    Raises RlvrError naming the first problem on which the reward is not what it must be: training on such a reward
    would teach nothing, or something false.
    """
    reward = RewardSum(config)
    with Scorer(config) as scorer:
        for split in splits:
            size = task.size(split)
            count = max(1, CHECKED if size is None else size)
            for first in range(0, count, AT_ONCE):
                problems = [task.problem(split, index) for index in range(first, min(count, first + AT_ONCE))]
                for problem, empty, gold in [_start(task, reward, scorer, problem) for problem in problems]:
                    _check(reward, problem, empty, gold)


def to_attempt(task: Task, problem: Problem, response: str) -> Attempt:
    """A response that no model wrote, to be graded."""
    return Attempt(
        gold=problem.answer,
        response=response,
        answer=task.final_answer(problem, response) or "",
        length=1,
        question=problem.question,
        metadata=problem.metadata,
    )


def unchecked(problem: Problem) -> RlvrError:
    """A problem whose grader is not among the reward's components."""
    return RlvrError(
        name_of(problem),
        "no component of the reward checks its answer",
        got=problem.metadata.get("grader"),
        remedy="its grader must be one of the reward's components",
    )


def unreadable(problem: Problem, error: ValueError) -> RlvrError:
    """A problem whose gold answer a grader cannot read."""
    what = f"its gold answer {problem.answer[:40]!r} cannot be read: {error}"
    return RlvrError(name_of(problem), what, remedy=REMEDY)


def has_gold_response(problem: Problem, reward: RewardSum) -> bool:
    """Whether there is a response that must earn full marks."""
    return "solution" in problem.metadata or not reward.needs_solution


def _start(
    task: Task, reward: RewardSum, scorer: Scorer, problem: Problem
) -> tuple[Problem, Future[Verdicts], Future[Verdicts] | None]:
    empty = scorer.submit(to_attempt(task, problem, ""))
    if not has_gold_response(problem, reward):
        return problem, empty, None
    return problem, empty, scorer.submit(to_attempt(task, problem, task.gold_response(problem)))


def _check(reward: RewardSum, problem: Problem, empty: Future[Verdicts], gold: Future[Verdicts] | None) -> None:
    """Raise RlvrError unless the gold response, if there is one, is paid in full and more than nothing is."""
    where = name_of(problem)
    of_empty = graded(empty, problem)
    if not any(name in ANSWERS for name in of_empty):
        raise unchecked(problem)
    if reward.correct(of_empty):
        raise RlvrError(where, "an empty answer earns full marks", got=problem.answer, remedy=REMEDY)
    if gold is None:
        return  # the gold answer has been read, and there is nothing to grade by it
    of_gold = graded(gold, problem)
    if not reward.correct(of_gold):
        reasons = ", ".join(f"{name}: {verdict.reason.value}" for name, verdict in of_gold.items())
        what = f"the gold answer does not earn full marks ({reasons})"
        raise RlvrError(where, what, got=problem.answer, remedy=REMEDY)
    if reward.total(of_gold) <= reward.total(of_empty):
        raise RlvrError(
            "reward",
            f"a gold answer earns {reward.total(of_gold):g}, no more than the {reward.total(of_empty):g} of an empty one",
            remedy="give what checks the answer a weight above 0",
        )


def graded(verdicts: Future[Verdicts], problem: Problem) -> Verdicts:
    """The verdicts on a response. RlvrError if the problem's gold answer cannot be graded against."""
    try:
        return verdicts.result()
    except ValueError as error:
        raise unreadable(problem, error) from None
