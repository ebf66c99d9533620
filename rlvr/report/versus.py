"""One model against another on the same problems: who is right more often, in one sample and in k, and whether that is new ability."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rlvr.config_file import differences
from rlvr.errors import RlvrError
from rlvr.report.arms import names_of
from rlvr.report.beside import Answers, Problem, answers
from rlvr.report.blocks import Block, Cell, Prose, Section, Table
from rlvr.report.evaluations import doubling
from rlvr.report.plots import Line, lines
from rlvr.report.runs import Run
from rlvr.report.wording import Interval, counted
from rlvr.solvability import Count
from rlvr.statistics import Estimate, at_least, mcnemar, paired_shares, pass_at_k, pass_interval

LEVEL = 0.05
HOW = (
    "Differences are paired by problem, with 95 % intervals over problems (Bonett and Price 2012; Miller, arXiv:2411.00640); greedy answers are "
    "tested by McNemar's exact test (1947); the intervals of pass@k are Student's over problems. By chance: if each sample of a problem that only "
    "one of the two has right could as well have been the other's, which holds whether or not both drew the same random numbers."
)


@dataclass(frozen=True, kw_only=True)
class AtK:
    """pass@k of both on the problems that they have in common, and the difference B - A."""

    k: int
    a: Interval
    b: Interval
    difference: Estimate


@dataclass(frozen=True, kw_only=True)
class Greedy:
    """Greedy answers: the difference of accuracy B - A, and how many problems only one of the two has right. p: of McNemar's test."""

    difference: Estimate
    only_a: int
    only_b: int
    p: float


@dataclass(frozen=True, kw_only=True)
class Versus:
    """Two evaluations compared. problems: in common; left_out: those that only A, and only B, was asked. samples: of each problem.

    curve: from k = 1 on, to the number of samples. crossing: the least k at which the other is ahead than at 1; None if there is none.
    gained: problems that B solved at least once and A never; lost: the other way round; by_chance: how many of each were to be expected if
    the two were equally good, with the chances of so many or more. notes: what is not alike in how the two were made.
    """

    names: tuple[str, str]
    models: tuple[str, str]
    problems: int
    left_out: tuple[int, int]
    samples: int
    curve: list[AtK]
    crossing: int | None
    greedy: Greedy | None
    gained: int
    lost: int
    by_chance: float
    gained_p: float
    lost_p: float
    notes: list[str]

    def to_json(self) -> dict[str, Any]:
        """The same for programs."""
        greedy = self.greedy
        return {
            "a": {"run": self.names[0], "model": self.models[0]},
            "b": {"run": self.names[1], "model": self.models[1]},
            "problems": self.problems,
            "problems_left_out": {"a": self.left_out[0], "b": self.left_out[1]},
            "samples": self.samples,
            "difference": _numbers(self.curve[0].difference),
            "greedy": None
            if greedy is None
            else {**_numbers(greedy.difference), "p": greedy.p, "only_a": greedy.only_a, "only_b": greedy.only_b},
            "pass@k": [{"k": at.k, "a": at.a, "b": at.b, "difference": _numbers(at.difference)} for at in self.curve],
            "crossing": self.crossing,
            "solved_by_b_alone": {"count": self.gained, "by_chance": self.by_chance, "p": self.gained_p},
            "solved_by_a_alone": {"count": self.lost, "by_chance": self.by_chance, "p": self.lost_p},
            "verdict": verdicts(self),
            "notes": self.notes,
        }


def versus(a: Run, b: Run) -> Versus:
    """Two evaluation runs compared on the problems that they have in common.

    RlvrError unless both are evaluations with rollouts, of the same task and by the same reward, with two problems or more in common.
    """
    names = names_of([a, b])
    given = [_answered(run) for run in (a, b)]
    for section in ("task", "reward"):
        one, other = (_without_path(run.config.get(section)) for run in (a, b))
        if one != other:
            told = differences({section: one}, {section: other})
            raise RlvrError(
                f"{names[0]}, {names[1]}", f"were evaluated with another {section}", got="; ".join(told[:3]), remedy="evaluate both on the same problems"
            )  # fmt: skip
    mine, theirs = (each.sampled for each in given)
    common = [problem for problem in mine if problem in theirs]
    if len(common) < 2:
        raise RlvrError(
            f"{names[0]}, {names[1]}",
            "have too few problems in common",
            got=len(common),
            allowed=">= 2",
            remedy="evaluate both with the same task, eval.split and eval.problems",
        )
    return _compared(names, (a, b), given, common)


def _answered(run: Run) -> Answers:
    if run.stage != "eval":
        raise RlvrError(
            str(run.path), f"is a run of rlvr {run.stage}, not of rlvr eval", remedy="evaluate its model first"
        )
    found = answers(run)
    if not found.sampled:
        raise RlvrError(str(run.path), "has no answers to compare", remedy="evaluate on a task, and let it finish")
    return found


def _without_path(section: object) -> object:
    """A section of a configuration without the file's name, which may differ for the same problems."""
    return {key: value for key, value in section.items() if key != "path"} if isinstance(section, dict) else section


def _compared(
    names: Sequence[str], runs: tuple[Run, Run], given: Sequence[Answers], common: Sequence[Problem]
) -> Versus:
    mine, theirs = ([[right for _, right in each.sampled[problem]] for problem in common] for each in given)
    samples = min(len(each) for side in (mine, theirs) for each in side)
    pairs = Counter(zip(map(_count, mine), map(_count, theirs), strict=True))
    gained, lost, chances = _alone(mine, theirs, samples)
    left_out = len(given[0].sampled) - len(common), len(given[1].sampled) - len(common)
    return Versus(
        names=(names[0], names[1]),
        models=(str(runs[0].config.get("model")), str(runs[1].config.get("model"))),
        problems=len(common),
        left_out=left_out,
        samples=samples,
        curve=[_at(pairs, k) for k in doubling(samples)],
        crossing=_crossing(pairs, samples),
        greedy=_greedy(given, common),
        gained=gained,
        lost=lost,
        by_chance=sum(chances),
        gained_p=at_least(chances, gained),
        lost_p=at_least(chances, lost),
        notes=_notes(runs, left_out, len(common)),
    )


def _count(outcomes: Sequence[bool]) -> Count:
    return len(outcomes), sum(outcomes)


Pairs = Counter[tuple[Count, Count]]
"""How many problems there are of each pair of counts, of A and of B."""


def _at(pairs: Pairs, k: int) -> AtK:
    every = list(pairs.elements())
    differences_of = [pass_at_k(*b, k) - pass_at_k(*a, k) for a, b in every]
    return AtK(
        k=k,
        a=pass_interval([a for a, _ in every], k),
        b=pass_interval([b for _, b in every], k),
        difference=paired_shares(differences_of),
    )


def _crossing(pairs: Pairs, samples: int) -> int | None:
    """The least k at which the sign of the difference of pass@k is another than at k = 1."""

    def ahead(k: int) -> float:
        found = sum(number * (pass_at_k(*b, k) - pass_at_k(*a, k)) for (a, b), number in pairs.items())
        return 0.0 if abs(found) < 1e-9 else found

    first = ahead(1)
    return next((k for k in range(2, samples + 1) if ahead(k) * first < 0), None)


def _alone(
    mine: Sequence[Sequence[bool]], theirs: Sequence[Sequence[bool]], samples: int
) -> tuple[int, int, list[float]]:
    """How many problems only B solved, how many only A, and each problem's chance to be so if the two were equally good.

    Equally good: of each pair of samples of which one is right, it could as well be the other one. A problem with d such pairs, and none
    where both are right, is then solved by B alone with the chance 2^-d, and by A alone as likely.
    """
    gained = lost = 0
    chances = []
    for one, other in zip(mine, theirs, strict=True):
        both = list(zip(one[:samples], other[:samples], strict=True))
        gained += not any(a for a, _ in both) and any(b for _, b in both)
        lost += any(a for a, _ in both) and not any(b for _, b in both)
        apart = sum(a != b for a, b in both)
        if apart and not any(a and b for a, b in both):
            chances.append(2.0**-apart)
    return gained, lost, chances


def _greedy(given: Sequence[Answers], common: Sequence[Problem]) -> Greedy | None:
    both = [
        (given[0].greedy[each], given[1].greedy[each])
        for each in common
        if each in given[0].greedy and each in given[1].greedy
    ]
    if len(both) < 2:
        return None
    only_a, only_b = sum(a and not b for a, b in both), sum(b and not a for a, b in both)
    difference = paired_shares([float(b) - float(a) for a, b in both])
    return Greedy(difference=difference, only_a=only_a, only_b=only_b, p=mcnemar(only_a, only_b))


def _notes(runs: tuple[Run, Run], left_out: tuple[int, int], common: int) -> list[str]:
    """What is not alike in how the two were made."""
    found = []
    if any(left_out):
        found.append(
            f"compared on the {common:,} problems in common; {left_out[0]:,} of A and {left_out[1]:,} of B are left out"
        )
    for section in ("prompt", "rollout"):
        one, other = (run.config.get(section) for run in runs)
        if told := differences({section: one}, {section: other}):
            found.append(f"made with another {section}: {'; '.join(told[:3])}")
    seeds = [run.config.get("seed", 0) for run in runs]
    if seeds[0] != seeds[1]:
        found.append(f"drawn with other seeds ({seeds[0]} and {seeds[1]}), so not with the same random numbers")
    return found


# -------------------------------------------------------------------------------------------------- in words


def verdicts(found: Versus) -> list[str]:
    """What the comparison says in plain sentences."""
    sampled = f"In one sample {_better(found.curve[0].difference, None)}."
    told = [sampled]
    if found.greedy is not None:
        alone = f"only A has {found.greedy.only_a:,} right, only B {found.greedy.only_b:,}"
        told.append(f"Greedily {_better(found.greedy.difference, found.greedy.p)}; {alone}.")
    if found.samples == 1:
        return [*told, "One sample a problem says nothing of pass@k: set eval.samples to 8 or more."]
    return [*told, _shape(found), _ability(found)]


def _better(found: Estimate, p: float | None) -> str:
    """Who is better by how much, or that it is not significant; by the p-value of a test of its own where there is one.

    >>> _better(Estimate(mean=0.12, low=0.05, high=0.19, p=0.001), None)
    'B is better by 0.12 (0.05 to 0.19)'
    >>> _better(Estimate(mean=-0.02, low=-0.1, high=0.06, p=0.6), None)
    'the difference is not significant: B - A is -0.02 (-0.10 to 0.06)'
    """
    assert found.low is not None
    assert found.high is not None
    sure = _sign(found) != 0 if p is None else p < LEVEL
    if not sure:
        return f"the difference is not significant: B - A is {found.mean:.2f} ({found.low:.2f} to {found.high:.2f})"
    if found.mean > 0:
        return f"B is better by {found.mean:.2f} ({found.low:.2f} to {found.high:.2f})"
    return f"B is worse by {-found.mean:.2f} ({-found.high:.2f} to {-found.low:.2f})"


def _sign(found: Estimate) -> int:
    """1 or -1 if the interval lies on one side of 0, else 0."""
    assert found.low is not None
    assert found.high is not None
    return (found.low > 0) - (found.high < 0)


def _shape(found: Versus) -> str:
    """Whether what was gained in one sample is gained in many too."""
    first, last, k = found.curve[0].difference, found.curve[-1].difference, found.samples
    ends = {
        (1, 1): f"B is ahead in one sample and in {k}: more than sharpening",
        (1, 0): f"Sharpening, as far as {k} samples show: B is ahead in one sample, and in {k} nothing is significant",
        (1, -1): f"Sharpening: B is ahead in one sample and behind in {k}",
        (0, 1): f"B is ahead in {k} samples, and in one nothing is significant: broader, not sharper",
        (0, 0): f"Neither sharpening nor new ability shows: nothing is significant in one sample, nor in {k}",
        (0, -1): f"B is behind in {k} samples, and in one nothing is significant: it has lost breadth",
        (-1, 1): f"B is behind in one sample and ahead in {k}: broader and less sharp",
        (-1, 0): f"B is behind in one sample, and in {k} nothing is significant",
        (-1, -1): f"B is behind in one sample and in {k}",
    }
    crossed = (
        "do not cross" if found.crossing is None else f"cross between k = {found.crossing - 1} and {found.crossing}"
    )
    size = f"pass@{k} differs by {last.mean:.2f} ({last.low:.2f} to {last.high:.2f})"
    return f"{ends[_sign(first), _sign(last)]}; {size}; the curves {crossed}."


def _ability(found: Versus) -> str:
    """Problems that one of them alone solved, against what chance would do."""
    k = found.samples
    if not (found.gained or found.lost):
        return f"Within {k} samples, each solves every problem that the other solves."
    told = (
        f"B solves {counted(found.gained, 'problem')} that A never did in {k} samples, A {found.lost:,} that B never did; by chance "
        f"{found.by_chance:.1f} of each would be"
    )
    gained, lost = found.gained_p < LEVEL / 2, found.lost_p < LEVEL / 2  # there are two tests
    if not (gained or lost):
        return f"{told}: no more than chance explains."
    who = "B solves" if gained else "A solves"
    p, other = (found.gained_p, "A") if gained else (found.lost_p, "B")
    bound = 1 - LEVEL ** (1 / k)
    return (
        f"{told}: {who} more than chance explains (p {p:.2g}). None of {k} samples still leaves {other} a chance of up to {bound:.2f} a sample there, "
        "so more samples would tell new ability from a rare one made likely."
    )


# -------------------------------------------------------------------------------------------------- on the page


def versus_section(a: Run, b: Run) -> Section:
    """The comparison as a section of a report; why there is none where it cannot be made."""
    title = "One against the other, on the same problems"
    try:
        found = versus(a, b)
    except RlvrError as error:
        return Section(name="versus", title=title, blocks=[Prose(text=f"Not compared: {error}", kind="gap")])
    named = f"A is {found.names[0]} ({found.models[0]}), B is {found.names[1]} ({found.models[1]})."
    blocks: list[Block] = [Prose(text=f"{named} {' '.join(verdicts(found))}")]
    blocks += [Prose(text=f"{note[0].upper()}{note[1:]}.", kind="gap") for note in found.notes]
    rows: list[list[Cell]] = [
        [at.k, *at.a, *at.b, at.difference.mean, at.difference.low, at.difference.high] for at in found.curve
    ]
    columns = ["k", *(f"{name}{end}" for name in ("A", "B", "B - A") for end in ("", ", from", ", to"))]
    caption = f"pass@k on {counted(found.problems, 'problem')}, with {counted(found.samples, 'sample')} each."
    blocks += [*_curves(found), Table(columns=columns, rows=rows, caption=caption), Prose(text=HOW)]
    return Section(name="versus", title=title, blocks=blocks)


def _curves(found: Versus) -> list[Block]:
    if len(found.curve) < 2:
        return []
    x = [at.k for at in found.curve]
    drawn = [
        Line(name=f"{letter}: {name}", x=x, values=[e[0] for e in ends], low=[e[1] for e in ends], high=[e[2] for e in ends])
        for letter, name, ends in (
            ("A", found.names[0], [at.a for at in found.curve]),
            ("B", found.names[1], [at.b for at in found.curve]),
        )
    ]  # fmt: skip
    summary = "Chance that one of k samples is right: " + "; ".join(
        f"{line.name} from {line.values[0]:.3f} to {line.values[-1]:.3f}" for line in drawn
    )
    return [
        lines("pass-at-k-compared", "pass@k of both", f"{summary}.", drawn, y="share of problems", x="k", share=True)
    ]


def _numbers(found: Estimate) -> dict[str, float | None]:
    return {"mean": found.mean, "low": found.low, "high": found.high, "p": found.p}
