"""The check before training: a task's own gold answers must earn full marks, and an empty answer must not."""

from rlvr.errors import RlvrError
from rlvr.rewards import Attempt, RewardSum
from rlvr.tasks.task import Task, available
from rlvr.types import Split

CHECKED = 64


def check_gold(task: Task, reward: RewardSum, split: Split) -> None:
    """Grade the gold response and an empty one for the first problems of a split.

    Raises RlvrError naming the first problem on which the reward is not what it must be: training on such a reward
    would teach nothing, or something false.
    """
    for index in range(max(1, available(task, split, CHECKED))):
        problem = task.problem(split, index)
        gold = task.gold_response(problem)
        for response, expected in ((gold, True), ("", False)):
            where = f"problem {index} of {task.name} ({problem.question[:60]!r})"
            attempt = Attempt(gold=problem.answer, response=response, answer=task.final_answer(response), length=1)
            try:
                verdicts = reward.verdicts(attempt)
            except ValueError as error:
                raise RlvrError(
                    where, str(error), remedy="mend the problem's answer or choose another reward"
                ) from None
            if reward.correct(verdicts) is not expected:
                verdict = "does not earn" if expected else "earns"
                reasons = ", ".join(f"{name}: {one.reason.value}" for name, one in verdicts.items())
                raise RlvrError(
                    where,
                    f"the {'gold' if expected else 'empty'} answer {response[:60]!r} {verdict} full marks ({reasons})",
                    remedy="mend the problem's answer or choose another reward",
                )
