"""Paired tests between runs: of arms with common seeds, and of evaluations on the same problems."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

from rlvr.errors import RlvrError
from rlvr.report.arms import Arm, names_of
from rlvr.report.beside import Answers, Problem, answers, shares
from rlvr.report.blocks import Block, Cell, Prose, Table, without_empty_columns
from rlvr.report.measures import Measure
from rlvr.report.runs import Run
from rlvr.statistics import MOST_FLIPS, Estimate, holm, mcnemar, paired_shares, sign_flips, t_interval

LEVEL = 0.05
FEWEST_FLIPS = 6
"""Pairs of which flipped signs can reach p < 0.05: 2 / 2^6."""
MOST_PAIRS = 5
"""Arms or runs that are all compared with one another; of more, each is compared with the first."""
SAME = {True: ["task"], False: ["task", "reward"]}
"""Sections of the configuration that arms must share for an evaluation, and for what training recorded, to be compared."""


def seed_tests(arms: Sequence[Arm], outcomes: Sequence[Measure]) -> list[Block]:
    """Arms of one stage on the seeds that they have in common: differences of what they came to, and paired t-tests of them."""
    found = [
        (measure, one, other, differences)
        for measure in outcomes
        for one, other in pairs(arms)
        if comparable(measure, one, other) and len(differences := _differences(measure, one, other)) > 1
    ]
    if not found:
        return []
    estimates = [t_interval(differences) for *_, differences in found]
    adjusted = holm([estimate.p for estimate in estimates])
    rows = [
        [measure.title, one.name, other.name, len(differences), *_cells(estimate), _p(p), *_flips(differences),
         verdict(estimate, p, one.name, other.name)]
        for (measure, one, other, differences), estimate, p in zip(found, estimates, adjusted, strict=True)
    ]  # fmt: skip
    columns = ["of", "A", "B", "pairs", "A − B", "from", "to", "p", "p (Holm)", "p of flipped signs"]
    caption = (
        "Differences between runs of equal seeds, with the 95 % t-interval and the p-value of the paired t-test (Student 1908); the p-value "
        f"among all tests of this table (Holm 1979), by which the verdict goes; from {FEWEST_FLIPS} pairs on the exact p-value of flipping the "
        "differences' signs (Fisher 1935), and the smallest that so many pairs can reach. Right is what each run's own reward calls so."
    )
    return [without_empty_columns(Table(columns=[*columns, "smallest such p", "verdict"], rows=rows, caption=caption))]


def pairs(members: Sequence[Any]) -> list[tuple[Any, Any]]:
    """All pairs of a few; of many, each with the first."""
    return list(combinations(members, 2)) if len(members) <= MOST_PAIRS else [(m, members[0]) for m in members[1:]]


def comparable(measure: Measure, one: Arm, other: Arm) -> bool:
    """Whether a number means the same in two arms: an accuracy on the same task, a reward on the same task by the same reward."""
    first, second = one.runs[0].run.config, other.runs[0].run.config
    return all(first.get(section) == second.get(section) for section in SAME[measure.evaluated])


def verdict(estimate: Estimate, p: float | None, one: str, other: str) -> str:
    """What a test says in words.

    >>> verdict(Estimate(mean=-0.5, low=-0.9, high=-0.1, p=0.02), 0.02, "a", "b")
    'b above a'
    """
    if p is None:
        return "no test: the differences are all alike"
    if p >= LEVEL:
        return "not significant"
    return f"{one} above {other}" if estimate.mean > 0 else f"{other} above {one}"


def _differences(measure: Measure, one: Arm, other: Arm) -> list[float]:
    first, second = one.by_seeds(), other.by_seeds()
    finals = [(measure.final(first[seeds]), measure.final(second[seeds])) for seeds in first if seeds in second]
    return [a - b for a, b in finals if a is not None and b is not None]


def _flips(differences: Sequence[float]) -> list[Cell]:
    if not FEWEST_FLIPS <= len(differences) <= MOST_FLIPS:
        return [None, None]
    return [sign_flips(differences), 2.0 ** (1 - len(differences))]


def _cells(estimate: Estimate) -> list[Cell]:
    return [estimate.mean, estimate.low, estimate.high, _p(estimate.p)]


def _p(p: float | None) -> Cell:
    """A p-value; of one so small that the approximations behind it no longer hold, only that."""
    return "< 1e-6" if p is not None and p < 1e-6 else p


def problem_tests(runs: Sequence[Run]) -> list[Block]:
    """Evaluations on the same problems, compared problem by problem."""
    blocks: list[Block] = []
    answered: list[tuple[str, Answers]] = []
    for name, run in zip(names_of(runs), runs, strict=True):
        try:
            answered.append((name, answers(run)))
        except RlvrError as error:
            blocks.append(Prose(text=f"Not compared by problem: {error}", kind="gap"))
    compared = [
        (task, one, other, (first, second), common)
        for (one, first), (other, second) in pairs(answered)
        for task, common in _common(first, second).items()
    ]
    if not compared:
        return blocks
    return [*blocks, *_by_samples(compared), *_by_greedy(compared)]


Compared = tuple[str, str, str, tuple[Answers, Answers], list[Problem]]
"""A task, the names of two models, what they answered, and the problems of the task that both were asked."""


def _common(first: Answers, second: Answers) -> dict[str, list[Problem]]:
    """The problems that two models were both asked, by task and split."""
    asked, common = {**second.sampled, **second.greedy}, dict[str, list[Problem]]()
    for problem in {**first.sampled, **first.greedy}:
        if problem in asked:
            common.setdefault(f"{problem[0]}, {problem[1]}", []).append(problem)
    return common


def _by_samples(compared: Sequence[Compared]) -> list[Block]:
    """The difference of the shares of right samples."""
    rows: list[tuple[str, str, str, int, float, float]] = []
    estimates: list[Estimate] = []
    for task, one, other, sides, common in compared:
        mine, theirs = map(shares, sides)
        both = [(mine[problem], theirs[problem]) for problem in common if problem in mine and problem in theirs]
        if both:
            estimates.append(paired_shares([a - b for a, b in both]))
            first, second = (sum(side) / len(both) for side in zip(*both, strict=True))
            rows.append((task, one, other, len(both), first, second))
    adjusted = holm([estimate.p for estimate in estimates])
    cells: list[list[Cell]] = [
        [*row, *_cells(estimate), _p(p), verdict(estimate, p, row[1], row[2])]
        for row, estimate, p in zip(rows, estimates, adjusted, strict=True)
    ]
    caption = (
        "Sampled answers to the same problems: mean difference of accuracy with the 95 % interval over problems (Bonett and Price 2012; Miller, "
        "arXiv:2411.00640), its p-value, and that among all tests of this table (Holm 1979), by which the verdict goes."
    )
    columns = ["task", "A", "B", "problems", "accuracy of A", "of B", "A − B", "from", "to", "p"]
    return [Table(columns=[*columns, "p (Holm)", "verdict"], rows=cells, caption=caption)] if cells else []


def _by_greedy(compared: Sequence[Compared]) -> list[Block]:
    """Which of two models alone is right, answering greedily."""
    rows: list[tuple[str, str, str, int, int, int]] = []
    p_values: list[float] = []
    for task, one, other, (mine, theirs), common in compared:
        right = [
            (mine.greedy[each], theirs.greedy[each]) for each in common if each in mine.greedy and each in theirs.greedy
        ]
        if right:
            only_one, only_other = sum(a and not b for a, b in right), sum(b and not a for a, b in right)
            p_values.append(mcnemar(only_one, only_other))
            rows.append((task, one, other, len(right), only_one, only_other))
    cells: list[list[Cell]] = []
    for row, p, adjusted in zip(rows, p_values, holm(p_values), strict=True):
        estimate = Estimate(mean=(row[4] - row[5]) / row[3], low=None, high=None, p=p)
        cells.append([*row, _p(p), _p(adjusted), verdict(estimate, adjusted, row[1], row[2])])
    caption = (
        "Greedy answers to the same problems: how many only one of the two has right, the p-value of McNemar's exact test (1947), and that among "
        "all tests of this table (Holm 1979), by which the verdict goes."
    )
    columns = ["task", "A", "B", "problems", "only A right", "only B right", "p", "p (Holm)", "verdict"]
    return [Table(columns=columns, rows=cells, caption=caption)] if cells else []
