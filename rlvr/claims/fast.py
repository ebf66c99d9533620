"""Fast, and longer: RL needs a logarithm of rounds, and its answers lengthen because long ones get likelier. No torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from statistics import correlation

from rlvr.claims import emergence
from rlvr.claims.claim import Arm, Claim, Criterion, Runs
from rlvr.claims.reading import by_step, column, mean_line, steps
from rlvr.report.blocks import Chart
from rlvr.report.fits import log_odds
from rlvr.report.plots import Line, lines
from rlvr.report.runs import Run

P_COT = "mode/cot/probability"
ROUNDS = {0.02: 9, 0.07: 7, 0.25: 4}
"""Of STaR, by the share of worked documents: enough to pass one half, if the odds double in each."""


def _arms(quick: bool) -> Sequence[Arm]:
    arms = [emergence.BASE, emergence.SFT, emergence.RL]
    for share in _shares(quick):
        mixture = {"data.mixture": {"direct": round(1 - share, 2), "cot": share}}
        start = Arm(name=f"calibrated to {share}", config="emergence/sft.yaml", settings=mixture, start=emergence.BASE)
        rounds = {"train.max_steps": ROUNDS[share]}
        arms += [start, Arm(name=_star(share), config="fast/star.yaml", settings=rounds, start=start)]
    return arms


def _shares(quick: bool) -> list[float]:
    return [0.07, 0.25] if quick else list(ROUNDS)


def _star(share: float) -> str:
    return f"STaR from {share}"


def _odds(run: Run) -> list[float]:
    """ln of the odds of working the answer out, by round."""
    return [log_odds(min(max(p or 0.0, 1e-4), 1 - 1e-4)) for p in column(run, P_COT)]


def _rounds(run: Run) -> float | None:
    """Rounds until half of the answers are worked out, log-odds taken to be straight between two rounds; None if that never comes."""
    for place, (before, after) in enumerate(pairwise(_odds(run))):
        if before < 0 <= after:
            return place + before / (before - after)
    return None


def _per_doubling(runs: Runs, shares: Sequence[float]) -> float | None:
    """How many rounds more a start needs whose odds are half of another's: the first share against the last."""
    rarest, commonest = (runs[_star(share)] for share in (shares[0], shares[-1]))
    more, fewer = _rounds(rarest), _rounds(commonest)
    if more is None or fewer is None:
        return None
    return (more - fewer) * math.log(2) / (_odds(commonest)[0] - _odds(rarest)[0])


def _correlation(runs: Runs) -> float | None:
    """Pearson's, over the steps of RL, of mean length and P(cot)."""
    pairs = [
        (length, p)
        for length, p in zip(column(runs["RL"], "rollout/length_mean"), column(runs["RL"], P_COT), strict=True)
        if length is not None and p is not None
    ]
    if len({length for length, _ in pairs}) < 2 or len({p for _, p in pairs}) < 2:
        return None
    return correlation(*zip(*pairs, strict=True))


def _by_mixture(runs: Runs) -> float | None:
    """Share of the change in length that comes from worked answers getting likelier."""
    change, mixed = (column(runs["RL"], name)[-1] for name in ("length/change", "length/by_mode"))
    return mixed / change if change and mixed is not None else None


def _longer_chains(runs: Runs) -> float | None:
    """Tokens by which worked answers themselves became longer."""
    lengths = [length for length in column(runs["RL"], "mode/cot/length_mean") if length is not None]
    return lengths[-1] - lengths[0] if lengths else None


def _tokens(runs: Runs) -> float | None:
    """Tokens that RL read, sampled and trained until P(cot) was 0.9, as a share of those of the documents before."""
    run, spent = runs["RL"], 0.0
    rows = zip(*(column(run, name) for name in (P_COT, "tokens/rollout", "tokens/train")), strict=True)
    for p, sampled, trained in rows:
        spent += _questions(run) + (sampled or 0.0) + (trained or 0.0)
        if p is not None and p >= 0.9:
            return spent / sum(_documents(runs[arm]) for arm in ("pretraining", "calibration"))
    return None


def _questions(run: Run) -> float:
    """Tokens of a step's questions, each read once for its group to sample and once to train."""
    length: int = run.setting("task", "length") + 1
    problems: int = run.setting("rollout", "problems_per_step")
    return 2.0 * length * problems


def _documents(run: Run) -> float:
    return sum(tokens or 0.0 for tokens in column(run, "tokens/documents"))


def _criteria(quick: bool) -> Sequence[Criterion]:
    shares = _shares(quick)
    star, rl = f"STaR from {shares[0]} and {shares[-1]}", "RL"
    return [
        Criterion(
            arm=star,
            quantity="further rounds to P(cot) 0.5 for each halving of the odds at the start",
            measure=lambda runs: _per_doubling(runs, shares),
            at_least=0.8,
            at_most=1.2,
            predicted="1",
        ),
        *(_told(share) for share in shares),
        Criterion(
            arm=rl,
            quantity="correlation of mean length and P(cot) over the steps",
            measure=_correlation,
            at_least=0.99,
            predicted="1",
        ),
        Criterion(
            arm=rl,
            quantity="share of the growth in length that is the mixture's",
            measure=_by_mixture,
            at_least=0.95,
            at_most=1.05,
            predicted="1",
        ),
        Criterion(
            arm=rl,
            quantity="growth of worked answers themselves, tokens",
            measure=_longer_chains,
            at_least=-0.5,
            at_most=0.5,
            predicted="0",
        ),
        Criterion(
            arm=rl,
            quantity="tokens read, sampled and trained until P(cot) 0.9, over those of pretraining",
            measure=_tokens,
            at_most=0.1,
        ),
    ]


def _told(share: float) -> Criterion:
    return Criterion(
        arm=_star(share),
        quantity="rounds to P(cot) 0.5",
        measure=lambda runs: _rounds(runs[_star(share)]),
        predicted=f"log2({1 - share:g}/{share:g}) = {math.log2((1 - share) / share):.2f}",
    )


def _charts(seeds: Sequence[Runs]) -> list[Chart]:
    star = [name for name in seeds[0] if name.startswith("STaR")]

    def odds(arm: str) -> Line:
        return mean_line(arm, seeds, lambda runs: dict(zip(steps(runs[arm]), _odds(runs[arm]), strict=True)))

    length = [mean_line("mean length", seeds, by_step("RL", "rollout/length_mean"))]
    length += [
        mean_line(f"{words} answers", seeds, by_step("RL", f"mode/{mode}/length_mean"))
        for words, mode in (("worked", "cot"), ("direct", "direct"))
    ]
    return [
        lines(
            "fast-rounds",
            "Log-odds rise by as much in every round",
            "The logarithm of the odds of working the answer out, by round of STaR, from three different starts; at 0 half of the "
            "answers are worked out.",
            [odds(arm) for arm in star],
            x="round",
            y="log-odds",
        ),
        lines(
            "fast-length",
            "Longer by mixture",
            "Mean length of all answers, and of each way of answering, while RL goes on: the mean moves from the one to the other.",
            length,
            y="tokens",
        ),
    ]


CLAIM = Claim(
    id="fast",
    title="Fast, and longer",
    said="RL makes a rare way of answering common within a logarithm of rounds, for few tokens beside those of pretraining, and answers "
    "become longer because long ones become likelier.",
    by="Tsilivis et al., arXiv:2510.11495, and DeepSeek-R1, arXiv:2501.12948 (length); the talk on emergence and on post-training's share",
    minutes=8.0,
    theory="""
If each round doubles the odds of the worked way, then a start with half the odds needs one round more: rounds grow with the logarithm of
how rare it was. For parity a worked answer is right and a direct one in half of the cases, so that keeping the right ones doubles the odds.

The length of a mean answer is P(cot) times a worked answer's length and the rest times a direct one's. If RL only makes the worked way
likelier, all of the growth is this mixture's: length and P(cot) move together, and worked answers stay as long as they were. Growth within
the worked answers would show something else at work.
""",
    arms=_arms,
    criteria=_criteria,
    charts=_charts,
    caveats=(
        "Pretraining here is two million tokens, a minute. How small a part of it RL is depends on that: a longer one makes RL's share "
        "smaller, more rollouts a step make it larger. A question is counted once for its group's sampling and once for its training, as it is "
        "computed; counted for every rollout it would be more than a tenth.",
        "What the shipped FAIL teaches: the tenth that the talk speaks of is no law. RL's part follows from how long pretraining was, how rare the "
        "worked way, and how many rollouts a step takes; here one seed of three stays below it.",
        "Real models also write longer chains, to check themselves or to try again, which this task has no use for.",
    ),
)
