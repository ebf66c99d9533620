"""The threshold: how likely a way of answering must be before the likeliest answer is of it. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean
from typing import Any

from rlvr.claims.claim import Arm, Claim, Criterion, Measure, Runs
from rlvr.claims.growth import base as tagged_base
from rlvr.claims.reading import evaluated
from rlvr.report.blocks import Chart
from rlvr.report.plots import Line, lines

P_COT, GREEDY = "mode/cot/probability", "mode/cot/greedy_probability"
REACHED = 0.75
"""The flip counts as seen if greedy decoding works the answer out for at least this share of the questions at the end, and for at most
the rest of them at the beginning."""


@dataclass(frozen=True, kw_only=True)
class Format:
    """A way of writing answers. flips: P(cot) at which greedy decoding should flip, within so much. shares: of worked documents.

    base: what its shares are calibrated from. settings: of the calibration.
    """

    name: str
    flips: float
    within: float
    base: Arm
    settings: Mapping[str, Any]
    shares: Sequence[float]
    quick: Sequence[float]


def _base(name: str, settings: Mapping[str, Any]) -> Arm:
    return Arm(name=f"base, {name}", config="threshold/base.yaml", settings=settings)


TEN = {"task.modulus": 10, "task.length": 5}
BOTH = {"task.tagged": True, "task.empty_thoughts": True}
FORMATS = (
    Format(
        name="untagged, M = 2",
        flips=1 / 3,
        within=0.05,
        base=_base("untagged, M = 2", {}),
        settings={},
        shares=(0.2, 0.27, 0.32, 0.37, 0.44),
        quick=(0.26, 0.32, 0.4),
    ),
    Format(
        name="untagged, M = 10",
        flips=1 / 11,
        within=0.03,
        base=_base("untagged, M = 10", {**TEN, "train.max_steps": 300}),
        settings={**TEN, "train.max_steps": 60, "eval.every": 60},
        shares=(0.03, 0.06, 0.09, 0.12, 0.16, 0.22),
        quick=(0.03, 0.09, 0.2),
    ),
    Format(
        name="thoughts tagged, M = 2",
        flips=1 / 3,
        within=0.05,
        base=tagged_base(2),
        settings={"task.tagged": True},
        shares=(0.2, 0.27, 0.32, 0.37, 0.44),
        quick=(),
    ),
    Format(
        name="both tagged, M = 2",
        flips=1 / 2,
        within=0.05,
        base=_base("both tagged, M = 2", BOTH),
        settings=BOTH,
        shares=(0.38, 0.45, 0.5, 0.55, 0.62),
        quick=(0.42, 0.5, 0.58),
    ),
)


def _tried(each: Format, quick: bool) -> Sequence[float]:
    return each.quick if quick else each.shares


def _name(each: Format, share: float) -> str:
    return f"{each.name}, {100 * share:g} %"


def _calibrated(each: Format, share: float) -> Arm:
    mixture = {"direct": round(1 - share, 6), "cot": share}
    settings = {**each.settings, "data.mixture": mixture}
    return Arm(name=_name(each, share), config="threshold/calibrated.yaml", settings=settings, start=each.base)


def _arms(quick: bool) -> Sequence[Arm]:
    arms: list[Arm] = []
    for each in FORMATS:
        tried = _tried(each, quick)
        arms += [each.base, *(_calibrated(each, share) for share in tried)] if tried else []
    return arms


# ------------------------------------------------------------------------------------------------ measures


def flip(points: Sequence[tuple[float, float]]) -> float | None:
    """The mean P(cot) at which questions flip, from (P(cot), share of the questions worked out by greedy decoding).

    The estimate of Spearman (1908) and Kärber (1931) for a median dose: each rise of the share counts at the middle of the interval in which
    it happened, whatever the curve's form. None unless the share goes from at most 1 - REACHED to at least REACHED.

    >>> flip([(0.25, 0.0), (0.5, 0.0), (0.75, 1.0)])
    0.625
    """
    ordered = sorted(points)
    if len(ordered) < 2 or ordered[0][1] > 1 - REACHED or ordered[-1][1] < REACHED:
        return None
    rises = [(after[1] - before[1], (after[0] + before[0]) / 2) for before, after in pairwise(ordered)]
    return sum(rise * at for rise, at in rises) / sum(rise for rise, _ in rises)


def _points(runs: Runs, each: Format) -> list[tuple[float, float]]:
    """Measured P(cot) and greedy share of each of a format's models that was made."""
    found = []
    for share in sorted({*each.shares, *each.quick}):
        run = runs.get(_name(each, share))
        if run is None:
            continue
        worked, greedy = evaluated(run, P_COT), evaluated(run, GREEDY)
        if worked is not None and greedy is not None:
            found.append((worked, greedy))
    return found


def _flip(each: Format) -> Measure:
    return lambda runs: flip(_points(runs, each))


def _gap(quick: bool) -> Measure:
    """Mean distance between the share of worked documents and P(cot)."""

    def measure(runs: Runs) -> float | None:
        gaps = []
        for each in FORMATS:
            for share in _tried(each, quick):
                found = evaluated(runs[_name(each, share)], P_COT)
                if found is None:
                    return None
                gaps.append(abs(found - share))
        return fmean(gaps)

    return measure


def _criteria(quick: bool) -> Sequence[Criterion]:
    found = [
        Criterion(
            arm=each.name,
            quantity="P(cot) at which greedy decoding flips",
            measure=_flip(each),
            at_least=round(each.flips - each.within, 3),
            at_most=round(each.flips + each.within, 3),
            predicted=f"{each.flips:.3f}",
        )
        for each in FORMATS
        if _tried(each, quick)
    ]
    calibrated = Criterion(
        arm="all models",
        quantity="mean distance of P(cot) from the share of worked documents",
        measure=_gap(quick),
        at_most=0.03,
        predicted="0",
    )
    return [*found, calibrated]


def _charts(seeds: Sequence[Runs]) -> list[Chart]:
    drawn: list[Line] = []
    for each in FORMATS:
        points = sorted(point for runs in seeds for point in _points(runs, each))
        if points:
            drawn.append(Line(name=each.name, x=[p for p, _ in points], values=[greedy for _, greedy in points]))
    return [
        lines(
            "threshold-flip",
            "Where greedy decoding flips",
            "Share of the questions for which the likeliest answer is a worked one, by how often sampled answers are worked. Each point "
            "is a model; the flips should lie at 0.09, 0.33 and 0.5.",
            drawn,
            y="worked answers, greedy",
            x="P(cot), sampled",
            share=True,
        )
    ]


CLAIM = Claim(
    id="threshold",
    title="The threshold",
    said="Greedy decoding answers at once although the model can work the answer out, until the worked way is likelier than each "
    "single guess: at 1/(M + 1), or at 1/2 where both ways announce themselves.",
    by="Tsilivis et al., arXiv:2510.11495 (1/3 for parity); the talk on data without intermediate steps, on why a model "
    "answers at once",
    minutes=7.0,
    theory="""
Greedy decoding takes the likeliest token at each place, not the likeliest way of answering. A model that knows the worked way and can only guess
otherwise, and that imitates its documents, splits the probability 1 - p of answering at once evenly over the M guesses. Untagged, the chain of
running sums begins with the first digit, which is a guess of probability (1 - p)/M too; after it the model goes on with probability p and ends
with (1 - p)/M. So greedy decoding works the answer out from p = (1 - p)/M on, that is, from p = 1/(M + 1): 1/3 for M = 2, 1/11 for M = 10.

If thoughts are tagged, <think> has probability p and each bare guess still (1 - p)/M: the same 1/(M + 1). Only if a direct answer
begins with a token of its own too, here with empty thoughts, do two tokens stand against each other, and the threshold is 1/2. A flip
that is not moved by M, or not by such a token, would prove this wrong. What the model can do is the same on both sides of the flip.
""",
    arms=_arms,
    criteria=_criteria,
    charts=_charts,
    caveats=(
        "It was first proposed that tags around thoughts put the threshold at 1/2. They do not while a direct answer has none: the guesses "
        "still share their probability. A pilot showed this (greedy decoding worked everything out at P(cot) = 0.42), and the argument was "
        "wrong. So that format is held to 1/3, and a fourth one, where both ways begin with a tag, to 1/2.",
        "For M = 10 the flip has to lie within 0.03, not 0.05, since 0.05 would be half of what is measured.",
        "The flip is read off by Spearman and Kärber's rule between a few models, not by a logistic fit, which has no answer where the flip "
        "is sharper than the grid.",
        "Guesses are only nearly even: questions whose guesses happen to be uneven flip later or earlier, most of all for M = 10.",
    ),
)
