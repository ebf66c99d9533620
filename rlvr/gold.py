"""The check before training: a task's own gold answers must earn full marks, and an empty answer must not."""

from rlvr.errors import RlvrError
from rlvr.rewards import RewardSum
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
            components = reward.components(problem, response, task.final_answer(response))
            if reward.correct(components) is not expected:
                verdict = "does not earn" if expected else "earns"
                raise RlvrError(
                    f"problem {index} of {task.name} ({problem.question[:60]!r})",
                    f"the {'gold' if expected else 'empty'} answer {response[:60]!r} {verdict} full marks ({components})",
                    remedy="mend the problem's answer or choose another reward",
                )
