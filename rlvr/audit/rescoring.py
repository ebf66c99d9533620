"""``rlvr audit --rescore``: saved rollouts graded again, and how far training on them would have been another."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean
from types import NoneType
from typing import Any

from rlvr.audit.estimates import advantages
from rlvr.audit.probing import tolerant
from rlvr.audit.rates import Rate, rate, shortened
from rlvr.config import ANSWERS, BEYOND_REWARDS, RewardConfig, RlConfig, StageConfig
from rlvr.errors import RlvrError
from rlvr.rewards import Attempt, Reason, RewardSum, Scorer, Verdicts
from rlvr.runtime.written import NUMBER, Fields
from rlvr.tasks import make_task
from rlvr.tasks.task import Task
from rlvr.types import Problem

SHOWN = 10
SAME = 1e-9
"""Rewards and advantages that differ by no more are the same but for rounding."""
NEEDED: Fields = {
    "index": int,
    "question": str,
    "answer": str,
    "completion": str,
    "correct": bool,
    "reward": NUMBER,
    "rewards": dict,
    "token_ids": list,
    "task": (str, NoneType),
    "split": (str, NoneType),
    "reasons": (dict, NoneType),
    "metadata": (dict, NoneType),
    "advantage": (*NUMBER, NoneType),
}
"""What a saved rollout must have, but for what may be None, which was added later."""


@dataclass(frozen=True, kw_only=True)
class Regraded:
    """One saved rollout as it was graded and as it is graded now.

    completion: its beginning.
    was_paid: without the noise of an experiment. was, now: each component's reward and reason by name.
    was_advantage, now_advantage: by the run's own estimator; None where a run has none, or one that needs more than rewards.
    """

    step: int
    index: int
    greedy: bool
    question: str
    gold: str
    completion: str
    was_right: bool
    now_right: bool
    was_paid: float
    now_paid: float
    was: dict[str, tuple[float, str]]
    now: dict[str, tuple[float, str]]
    has_metadata: bool
    was_advantage: float | None = None
    now_advantage: float | None = None

    @property
    def moved(self) -> float:
        """How far its reward moved."""
        return abs(self.now_paid - self.was_paid)

    @property
    def advantage_moved(self) -> float | None:
        """How far its advantage moved."""
        if self.was_advantage is None or self.now_advantage is None:
            return None
        return abs(self.now_advantage - self.was_advantage)

    def to_json(self) -> dict[str, Any]:
        return {
            "step": self.step,
            "index": self.index,
            "question": shortened(self.question),
            "gold": shortened(self.gold),
            "completion": self.completion,
            "was_right": self.was_right,
            "now_right": self.now_right,
            "was_paid": self.was_paid,
            "now_paid": self.now_paid,
            "was_reasons": {name: reason for name, (_, reason) in self.was.items()},
            "now_reasons": {name: reason for name, (_, reason) in self.now.items()},
            "was_advantage": self.was_advantage,
            "now_advantage": self.now_advantage,
        }


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What changed in some rollouts. The means and maxima are of the absolute change; None without any advantage.

    sign_changed: of the groups, those in which some advantage changed its sign.
    """

    rollouts: int
    right_to_wrong: Rate
    wrong_to_right: Rate
    reward_mean: float
    reward_max: float
    advantage_mean: float | None
    advantage_max: float | None
    sign_changed: Rate

    def to_json(self) -> dict[str, Any]:
        return {
            "rollouts": self.rollouts,
            **self.right_to_wrong.to_json("right_to_wrong"),
            **self.wrong_to_right.to_json("wrong_to_right"),
            "reward_change_mean": self.reward_mean,
            "reward_change_max": self.reward_max,
            "advantage_change_mean": self.advantage_mean,
            "advantage_change_max": self.advantage_max,
            **self.sign_changed.to_json("sign_changed_groups"),
        }


@dataclass(frozen=True, kw_only=True)
class RescoreResult:
    """Saved rollouts graded again. fp, fn: the mistakes of the recorded verdicts, taking the present reward as the truth.

    components: of each component, how many rollouts it judges otherwise, and the reasons it changed from and to.
    """

    run: str
    reward: dict[str, Any]
    noise: bool
    fp: Rate
    fn: Rate
    changes: Changes
    steps: dict[int, Changes]
    components: dict[str, Counter[str]]
    errors: int
    timeouts: int
    without_metadata: int
    offenders: tuple[Regraded, ...] = field(default=())

    def to_json(self) -> dict[str, Any]:
        """All of it, as ``--json`` prints it."""
        return {
            "run": self.run,
            "reward": self.reward,
            "noise_left_out": self.noise,
            **self.fp.to_json("fp"),
            **self.fn.to_json("fn"),
            **self.changes.to_json(),
            "components": {name: dict(moves) for name, moves in self.components.items()},
            "errors": self.errors,
            "timeouts": self.timeouts,
            "without_metadata": self.without_metadata,
            "steps": [{"step": step, **changes.to_json()} for step, changes in self.steps.items()],
            "offenders": [each.to_json() for each in self.offenders],
        }


def rescore(
    run: str, made_by: StageConfig, present: StageConfig, rollouts: Iterable[tuple[int, list[dict[str, Any]]]]
) -> RescoreResult:
    """Grade the rollouts of a run again.

    made_by: the run's own configuration, whose task finds the answers and whose estimator compares a group. present:
    the one whose reward is used. rollouts: each step's, as they were saved. Recorded and present verdicts are both
    compared without noise. Raises RlvrError if there are none, and for damaged ones.
    """
    task_config, used = getattr(made_by, "task", None), getattr(present, "reward", None)
    if task_config is None or used is None:
        raise RlvrError(run, "has no task whose answers are rewarded", remedy="give the directory of an rl or eval run")
    task, reward = make_task(task_config, made_by.seed), tolerant(used)
    noise = made_by.reward.noise is not None if isinstance(made_by, RlConfig) else False
    found: dict[int, list[Regraded]] = {}
    was, now, count = 0.0, 0.0, 0
    with Scorer(reward) as scorer:
        for step, rows in rollouts:
            graded = list(_regraded(run, step, rows, task, reward, scorer))
            found[step] = list(_with_advantages(graded, made_by, (was / max(1, count), now / max(1, count))))
            was, now = was + sum(each.was_paid for each in graded), now + sum(each.now_paid for each in graded)
            count += len(graded)
    every = [each for graded in found.values() for each in graded]
    if not every:
        raise RlvrError(run, "has no saved rollouts", remedy="give the directory of an rl or eval run")
    reasons = [reason for each in every for name, (_, reason) in each.now.items() if name != "code"]
    return RescoreResult(
        run=run,
        reward=reward.model_dump(exclude_none=True),
        noise=noise,
        fp=_rate([each for each in every if not each.now_right], lambda each: each.was_right),
        fn=_rate([each for each in every if each.now_right], lambda each: not each.was_right),
        changes=_changes(every),
        steps={step: _changes(graded) for step, graded in found.items() if graded},
        components=_components(every, noise),
        errors=reasons.count(Reason.ERROR),
        timeouts=reasons.count(Reason.TIMEOUT),
        without_metadata=sum(not each.has_metadata for each in every),
        offenders=tuple(_offenders(every)),
    )


def _regraded(
    run: str, step: int, rows: Sequence[dict[str, Any]], task: Task, reward: RewardConfig, scorer: Scorer
) -> Iterator[Regraded]:
    weighing = RewardSum(reward)
    for row in rows:
        if not all(isinstance(reward, NUMBER) for reward in row["rewards"].values()):
            what = "a rollout's rewards are not all numbers"
            raise RlvrError(f"{run}, rollouts of step {step}", what, got=row["rewards"], remedy="remove the file")
    futures = [scorer.submit(_attempt(task, row)) for row in rows]
    for row, future in zip(rows, futures, strict=True):
        try:
            verdicts = future.result()
        except ValueError as error:
            where = f"{run}, rollout of problem {row['index']} in step {step} ({row['question'][:60]!r})"
            what = f"its gold answer {row['answer'][:40]!r} cannot be read: {error}"
            raise RlvrError(where, what, remedy="choose another reward") from None
        yield _compared(step, row, verdicts, weighing)


def _attempt(task: Task, row: dict[str, Any]) -> Attempt:
    problem = Problem(
        task=row.get("task") or task.name,
        split=row.get("split") or "train",
        index=row["index"],
        question=row["question"],
        answer=row["answer"],
        metadata=row.get("metadata") or {},
    )
    return Attempt(
        gold=problem.answer,
        response=row["completion"],
        answer=task.final_answer(problem, row["completion"]),
        length=len(row["token_ids"]),
        question=problem.question,
        metadata=problem.metadata,
    )


def _compared(step: int, row: dict[str, Any], verdicts: Verdicts, reward: RewardSum) -> Regraded:
    reasons = row.get("reasons") or {}
    return Regraded(
        step=step,
        index=row["index"],
        greedy=bool(row.get("greedy")),
        question=row["question"],
        gold=row["answer"],
        completion=shortened(row["completion"]),
        was_right=row["correct"],
        now_right=reward.correct(verdicts),
        was_paid=row.get("oracle", row["reward"]),
        now_paid=reward.total(verdicts),
        was={name: (value, reasons.get(name, "unknown")) for name, value in row["rewards"].items()},
        now={name: (verdict.reward, verdict.reason.value) for name, verdict in verdicts.items()},
        has_metadata="metadata" in row,
    )


def _with_advantages(
    graded: Sequence[Regraded], config: StageConfig, before: tuple[float, float]
) -> Iterator[Regraded]:
    """The rollouts of a step with their advantages by what they were paid and by what they are paid now.

    before: the mean rewards, as paid and as they would be, of the saved steps before, which an estimator may subtract.
    """
    if not isinstance(config, RlConfig) or config.algo.advantage in BEYOND_REWARDS:
        yield from graded
        return
    groups = _groups(graded)
    was = advantages(config, [[each.was_paid for each in group] for group in groups], before[0])
    now = advantages(config, [[each.now_paid for each in group] for group in groups], before[1])
    for group, was_group, now_group in zip(groups, was, now, strict=True):
        for each, was_advantage, now_advantage in zip(group, was_group, now_group, strict=True):
            yield replace(each, was_advantage=was_advantage, now_advantage=now_advantage)


def _groups(rollouts: Iterable[Regraded]) -> list[list[Regraded]]:
    groups: dict[tuple[int, int, bool], list[Regraded]] = {}
    for each in rollouts:
        groups.setdefault((each.step, each.index, each.greedy), []).append(each)
    return list(groups.values())


def _rate(rollouts: Iterable[Regraded], happened: Callable[[Regraded], bool]) -> Rate:
    """A share of rollouts; those of one question count as alike."""
    groups: dict[str, list[bool]] = {}
    for each in rollouts:
        groups.setdefault(each.question, []).append(happened(each))
    return rate(list(groups.values()))


def _changes(rollouts: Sequence[Regraded]) -> Changes:
    moved = [each.advantage_moved for each in rollouts if each.advantage_moved is not None]
    compared = _groups(rollouts) if moved else []
    return Changes(
        rollouts=len(rollouts),
        right_to_wrong=_rate(rollouts, lambda each: each.was_right and not each.now_right),
        wrong_to_right=_rate(rollouts, lambda each: each.now_right and not each.was_right),
        reward_mean=fmean(each.moved for each in rollouts),
        reward_max=max(each.moved for each in rollouts),
        advantage_mean=fmean(moved) if moved else None,
        advantage_max=max(moved) if moved else None,
        sign_changed=rate([[any(map(_sign_changed, group))] for group in compared]),
    )


def _sign_changed(each: Regraded) -> bool:
    return _sign(each.was_advantage or 0.0) != _sign(each.now_advantage or 0.0)


def _sign(value: float) -> int:
    return (value > SAME) - (value < -SAME)


def _components(rollouts: Sequence[Regraded], noise: bool) -> dict[str, Counter[str]]:
    """How often each component's verdict went from one reason to another, or from one reward to another.

    noise: the recorded rewards of what checks the answer are then not the true ones, and only their reasons count.
    """
    moves: dict[str, Counter[str]] = {}
    recorded = {name for each in rollouts for name in each.was}
    present = {name for each in rollouts for name in each.now}
    gone, new = recorded - present, present - recorded
    for each in rollouts:
        for name in dict.fromkeys([*each.was, *each.now]):
            was, now = each.was.get(name), each.now.get(name)
            counts = moves.setdefault(name, Counter(changed=0))
            if name in gone or name in new:
                counts["recorded only" if name in gone else "present only"] += 1
                continue
            before, after = was[1] if was else "absent", now[1] if now else "absent"
            same_reward = was is not None and now is not None and abs(was[0] - now[0]) <= SAME
            if before != after and "unknown" not in (before, after):
                counts[f"{before} -> {after}"] += 1
                counts["changed"] += 1
            elif not same_reward and not (noise and name in ANSWERS):
                counts["changed"] += 1
    return moves


def _offenders(rollouts: Sequence[Regraded]) -> list[Regraded]:
    """Those whose reward moved furthest, one a question, changed verdicts first."""
    changed = [each for each in rollouts if each.was_right != each.now_right or each.moved > SAME]
    changed.sort(key=lambda each: (each.was_right == each.now_right, -each.moved, each.step))
    return list({each.question: each for each in reversed(changed)}.values())[::-1][:SHOWN]
