"""``rlvr audit``: what a reward wrongly pays and wrongly refuses, on the problems it is used on."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import islice
from typing import Any

from rlvr.audit.case import Case, make_case
from rlvr.audit.probes import Probe, Side, probes
from rlvr.audit.rates import Rate, rate, shortened
from rlvr.config import DocumentStageConfig, RewardConfig, StageConfig
from rlvr.errors import RlvrError
from rlvr.gold import graded, to_attempt, unchecked, unreadable
from rlvr.rewards import Reason, RewardSum, Scorer, Verdicts
from rlvr.tasks import make_task
from rlvr.tasks.task import Task, available, name_of
from rlvr.types import Problem, Split

PROBLEMS = 32
HOSTILE_PROBLEMS = 2
"""Responses that are costly to grade and much the same for every problem are tried on so many only."""
AT_ONCE = 8
"""Probes whose verdicts are waited for together."""
TIMEOUTS = 8
"""After so many responses that a grader without a bound of its own did not get through, no further ones are tried."""
NEIGHBOURS = 16
"""Problems on either side of one whose answers may be tried on it."""
SHOWN = 10


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a reward made of one probe. wrong: paid though it must not be, or refused though it must not be.

    side: the probe's, and fail where a documented rule could have paid and did not.
    """

    case: int
    problem: Problem
    probe: Probe
    side: Side
    paid: float
    gold_paid: float | None
    reasons: dict[str, str]
    wrong: bool

    @property
    def broke(self) -> str | None:
        """error or timeout if a grader failed; a program that uses up its budget is the program's fault."""
        for name, reason in self.reasons.items():
            if reason == Reason.ERROR or (reason == Reason.TIMEOUT and name != "code"):
                return reason
        return None

    def to_json(self) -> dict[str, Any]:
        return {
            "family": self.probe.family,
            "side": self.side,
            "problem": name_of(self.problem),
            "gold": shortened(self.problem.answer),
            "probe": shortened(self.probe.response),
            "paid": self.paid,
            "gold_paid": self.gold_paid,
            "reasons": self.reasons,
        }


@dataclass(frozen=True, kw_only=True)
class Family:
    """The outcomes of one kind of probe."""

    name: str
    side: Side
    rate: Rate
    errors: int
    timeouts: int

    def to_json(self) -> dict[str, Any]:
        failed = {"errors": self.errors, "timeouts": self.timeouts}
        return {"family": self.name, "side": self.side, **self.rate.to_json("rate"), **failed}


@dataclass(frozen=True, kw_only=True)
class AuditResult:
    """An audit. fp: share of the responses that must not be paid as right that are. fn: of those that must be, refused.

    by_rule: how many hedges were paid although no careful reader would, as a documented rule of a component or of the
    task says; they count for neither rate.
    offenders: one example of each of the worst families. stopped: graders timed out so often that it was ended early.
    """

    task: str
    split: Split
    problems: int
    reward: dict[str, Any]
    fp: Rate
    fn: Rate
    by_rule: int
    families: tuple[Family, ...]
    offenders: tuple[Outcome, ...]
    stopped: bool

    def to_json(self) -> dict[str, Any]:
        """All of it, as ``--json`` prints it."""
        return {
            "task": self.task,
            "split": self.split,
            "problems": self.problems,
            "reward": self.reward,
            **self.fp.to_json("fp"),
            **self.fn.to_json("fn"),
            "by_rule": self.by_rule,
            "errors": sum(family.errors for family in self.families),
            "timeouts": sum(family.timeouts for family in self.families),
            "stopped": self.stopped,
            "families": [family.to_json() for family in self.families],
            "offenders": [offender.to_json() for offender in self.offenders],
        }


def audit(config: StageConfig, *, problems: int = PROBLEMS) -> AuditResult:
    """Probe a configuration's reward on the first problems of its train split, or of the test split if that is empty.

    Noise is left out: it is an experiment's, not the verifier's. Raises RlvrError for a configuration without a task
    whose answers it rewards, and for a problem whose gold answer cannot be read.
    """
    task, reward = _subject(config)
    split: Split = "test" if task.size("train") == 0 else "train"
    cases = list(_cases(task, reward, split, problems))
    outcomes, stopped = _outcomes(task, reward, cases)
    return AuditResult(
        task=task.name,
        split=split,
        problems=len({outcome.case for outcome in outcomes}),
        reward=reward.model_dump(exclude_none=True),
        fp=_rate(outcomes, "fail"),
        fn=_rate(outcomes, "pass"),
        by_rule=sum(outcome.side == "rule" for outcome in outcomes),
        families=tuple(_families(outcomes)),
        offenders=tuple(_offenders(outcomes)),
        stopped=stopped,
    )


def tolerant(reward: RewardConfig) -> RewardConfig:
    """The reward without noise, whose own function may fail: an audit counts that and goes on."""
    own = None if reward.own is None else reward.own.model_copy(update={"on_error": "zero"})
    return reward.without_noise().model_copy(update={"own": own})


def _subject(config: StageConfig) -> tuple[Task, RewardConfig]:
    task, reward = getattr(config, "task", None), getattr(config, "reward", None)
    unused = isinstance(config, DocumentStageConfig) and config.eval is None
    if task is None or reward is None or unused:
        raise RlvrError(
            "audit",
            "this configuration rewards no answers: it has no task whose answers are graded",
            remedy="give the configuration of an rl or eval stage, or one with task and eval",
        )
    return make_task(task, config.seed), tolerant(reward)


def _cases(task: Task, reward: RewardConfig, split: Split, wanted: int) -> Iterator[Case]:
    drawn = [task.problem(split, index) for index in range(available(task, split, wanted))]
    for place, problem in enumerate(drawn):
        others = (*drawn[place + 1 : place + NEIGHBOURS], *drawn[max(0, place - NEIGHBOURS) : place])
        answers = [other.answer for other in others if other.metadata.get("grader") == problem.metadata.get("grader")]
        try:
            case = make_case(task, problem, reward, answers)
        except ValueError as error:
            raise unreadable(problem, error) from None
        if not case.components:
            raise unchecked(problem)
        yield case


def _outcomes(task: Task, reward: RewardConfig, cases: Sequence[Case]) -> tuple[list[Outcome], bool]:
    """The outcomes of all probes, and whether it was ended early."""
    weighing = RewardSum(reward)
    todo = (
        (index, probe) for index, case in enumerate(cases) for probe in probes(case, hostile=index < HOSTILE_PROBLEMS)
    )
    gold_paid: dict[int, float] = {}
    found: list[Outcome] = []
    with Scorer(reward) as scorer:
        while part := list(islice(todo, AT_ONCE)):
            waiting: list[tuple[int, Probe, Future[Verdicts]]] = [
                (index, probe, scorer.submit(to_attempt(task, cases[index].problem, probe.response)))
                for index, probe in part
            ]
            for index, probe, future in waiting:
                verdicts = graded(future, cases[index].problem)
                outcome = _outcome(index, cases[index].problem, probe, verdicts, weighing, gold_paid)
                found.append(outcome)
            if sum(outcome.broke == Reason.TIMEOUT for outcome in found) >= TIMEOUTS:
                return found, next(todo, None) is not None
    return found, False


def _outcome(
    index: int, problem: Problem, probe: Probe, verdicts: Verdicts, reward: RewardSum, gold_paid: dict[int, float]
) -> Outcome:
    """Compare what was paid with what must be. gold_paid: what the right response earned, where that is full marks."""
    correct, paid = reward.correct(verdicts), reward.total(verdicts)
    if probe.family == "gold" and correct:
        gold_paid[index] = paid
    as_right = correct or (index in gold_paid and paid >= gold_paid[index])
    return Outcome(
        case=index,
        problem=problem,
        probe=probe,
        side="fail" if probe.side == "rule" and not as_right else probe.side,
        paid=paid,
        gold_paid=gold_paid.get(index),
        reasons={name: verdict.reason.value for name, verdict in verdicts.items()},
        wrong=not correct if probe.side == "pass" else as_right,
    )


def _rate(outcomes: Sequence[Outcome], side: Side, family: str | None = None) -> Rate:
    groups: dict[int, list[bool]] = {}
    for outcome in outcomes:
        if outcome.side == side and family in (None, outcome.probe.family):
            groups.setdefault(outcome.case, []).append(outcome.wrong)
    return rate(list(groups.values()))


def _families(outcomes: Sequence[Outcome]) -> Iterator[Family]:
    kinds = dict.fromkeys((outcome.side, outcome.probe.family) for outcome in outcomes)
    for side, name in sorted(kinds, key=lambda kind: ("pass", "fail", "rule").index(kind[0])):
        broken = [o.broke for o in outcomes if (o.side, o.probe.family) == (side, name)]
        yield Family(
            name=name,
            side=side,
            rate=_rate(outcomes, side, name),
            errors=broken.count(Reason.ERROR),
            timeouts=broken.count(Reason.TIMEOUT),
        )


def _offenders(outcomes: Sequence[Outcome]) -> Iterator[Outcome]:
    """One example of each family with mistakes: what is wrongly paid, then what is refused, then what broke a grader."""
    first: dict[tuple[Side, str], Outcome] = {}
    for outcome in outcomes:
        if outcome.side != "rule" and (outcome.wrong or outcome.broke):
            kept = first.setdefault((outcome.side, outcome.probe.family), outcome)
            if outcome.wrong and not kept.wrong:
                first[outcome.side, outcome.probe.family] = outcome
    shares = {kind: _rate(outcomes, *kind).share or 0.0 for kind in first}
    worst = sorted(first, key=lambda kind: (not first[kind].wrong, kind[0] != "fail", -shares[kind]))
    yield from (first[kind] for kind in worst[:SHOWN])
