"""The check before training: a task's own gold answers must earn full marks, and an empty answer must not."""

from rlvr.errors import RlvrError
from rlvr.rewards import Attempt, RewardSum, Verdict
from rlvr.tasks.task import Task
from rlvr.types import Problem, Split

CHECKED = 64
REMEDY = "mend the problem's answer or choose another reward"


def check_gold(task: Task, reward: RewardSum, split: Split) -> None:
    """Grade the gold response and an empty one for every problem of a split, or the first of one without end.

    Raises RlvrError naming the first problem on which the reward is not what it must be: training on such a reward
    would teach nothing, or something false.
    """
    size = task.size(split)
    for index in range(max(1, CHECKED if size is None else size)):
        problem = task.problem(split, index)
        line = f", line {problem.metadata['line']}" if "line" in problem.metadata else ""
        where = f"problem {index} of {task.name}{line} ({problem.question[:60]!r})"
        empty = _verdicts(task, reward, problem, "", where)
        if reward.correct(empty):
            raise RlvrError(where, "an empty answer earns full marks", got=problem.answer, remedy=REMEDY)
        if reward.needs_solution and "solution" not in problem.metadata:
            continue  # the gold answer has been read, and there is nothing to grade by it
        gold = _verdicts(task, reward, problem, task.gold_response(problem), where)
        if not reward.correct(gold):
            reasons = ", ".join(f"{name}: {verdict.reason.value}" for name, verdict in gold.items())
            what = f"the gold answer does not earn full marks ({reasons})"
            raise RlvrError(where, what, got=problem.answer, remedy=REMEDY)
        if reward.total(gold) <= reward.total(empty):
            raise RlvrError(
                "reward",
                f"a gold answer earns {reward.total(gold):g}, no more than the {reward.total(empty):g} of an empty one",
                remedy="give what checks the answer a weight above 0",
            )


def _verdicts(task: Task, reward: RewardSum, problem: Problem, response: str, where: str) -> dict[str, Verdict]:
    """Each component's verdict on a response. RlvrError if the gold answer cannot be graded against."""
    attempt = Attempt(gold=problem.answer, response=response, answer=task.final_answer(response) or "", length=1)
    try:
        return reward.verdicts(attempt)
    except ValueError as error:
        what = f"its gold answer {problem.answer[:40]!r} cannot be read: {error}"
        raise RlvrError(where, what, remedy=REMEDY) from None
