"""Verifier accuracy: what wrong verdicts cost depends on who learns from them, and on whose errors are forgiven. No torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rlvr.claims.claim import Arm, Claim, Criterion, Measure, Runs
from rlvr.claims.reading import by_step, mean_bars, mean_line
from rlvr.report.blocks import Chart
from rlvr.report.fits import fitted, log_odds, logistic
from rlvr.report.plots import Bar, bars, lines
from rlvr.report.runs import Run
from rlvr.report.series import series_of

P_COT = "mode/cot/probability"
CHANCE = 0.5
"""How often a guess is right."""


@dataclass(frozen=True, kw_only=True)
class Noise:
    """A verifier that passes the share fp of wrong answers and fails the share fn of right ones."""

    fp: float
    fn: float

    @property
    def name(self) -> str:
        return f"fp {self.fp:g}, fn {self.fn:g}"

    @property
    def youden(self) -> float:
        """J: how much likelier a right answer passes than a wrong one."""
        return 1 - self.fp - self.fn

    @property
    def star_slope(self) -> float:
        """What a round of STaR adds to the log-odds of answers that are always right, beside guesses."""
        worked, guessed = 1 - self.fn, CHANCE * (1 - self.fn) + (1 - CHANCE) * self.fp
        return math.log(worked / guessed)

    @property
    def settings(self) -> dict[str, Any]:
        """Of an arm; none for a verifier that never errs."""
        return {"reward.noise": {"fp": self.fp, "fn": self.fn}} if self.fp or self.fn else {}


EXACT, LENIENT, STRICT = Noise(fp=0.0, fn=0.0), Noise(fp=0.5, fn=0.0), Noise(fp=0.0, fn=0.5)
COIN, INVERTED = Noise(fp=0.5, fn=0.5), Noise(fp=0.75, fn=0.75)
"""A verdict that says nothing, and one that is more often wrong than right."""

FOOLED = (0.0, 0.5, 1.0)
"""Shares of wrong guesses that pass where worked answers are judged exactly."""


def _noises(quick: bool) -> Sequence[Noise]:
    few = (EXACT, LENIENT, STRICT, COIN)
    return few if quick else (EXACT, Noise(fp=0.2, fn=0.0), *few[1:], INVERTED)


NO_DRIFT = 0.15
"""What counts as no drift, relative to what an exact verifier brings."""

ADAM = {"train.optimizer": "adamw", "train.learning_rate": 5.0e-4, "train.max_steps": 12}

BASE = Arm(name="pretraining", config="emergence/base.yaml")
RARE = {"data.mixture": {"direct": 0.8, "cot": 0.2}}
START = Arm(name="worked answers in 20 %", config="emergence/sft.yaml", settings=RARE, start=BASE)
ERRING = Arm(
    name="worked answers in 20 %, with slips",
    config="emergence/sft.yaml",
    settings={**RARE, "task.error_rate": 0.0125},
    start=BASE,
)

COMMON = Arm(
    name="worked answers in 80 %",
    config="emergence/sft.yaml",
    settings={"data.mixture": {"direct": 0.2, "cot": 0.8}},
    start=BASE,
)

CLIPPED = {"algo.updates_per_batch": 4, "algo.loss": "clipped", "algo.clip_high": 0.2}
"""Each batch is used four times, and an answer that moved by a fifth is pushed no further."""


def _star(noise: Noise) -> str:
    return f"STaR, {noise.name}"


def _gradient(noise: Noise) -> str:
    return f"policy gradient, {noise.name}"


def _adam(noise: Noise) -> str:
    return f"policy gradient with Adam, {noise.name}"


def _fooled(share: float) -> str:
    return f"guesses forgiven, fp {share:g}"


def _random(start: Arm, clipped: bool) -> str:
    return f"random verdicts, {'clipped' if clipped else 'used once'}, {start.name}"


# ------------------------------------------------------------------------------------------------ measures


def star_slope(run: Run) -> float:
    """By how much the log-odds of the worked mode grew each round, from the first round's answers to the last's."""
    return _change(run) / (len(run.rows) - 1)


def _change(run: Run) -> float:
    """By how much they grew from the first row to the last."""
    series = series_of(run)
    ends = [
        _odds(share or 0.0, count or 1.0) for share, count in zip(series.column(P_COT), series.rollouts, strict=True)
    ]
    return ends[-1] - ends[0]


def pace(run: Run) -> float | None:
    """By how much they grew each step: the slope of the likeliest line through all steps' log-odds (``fits.logistic``)."""
    series = series_of(run)
    shares, counts = [value or 0.0 for value in series.column(P_COT)], [count or 1.0 for count in series.rollouts]
    fit = logistic(series.steps, shares, counts)
    return None if fit is None else fit.slope


def linearity(paces: Sequence[tuple[float, float]]) -> float | None:
    """R² of the line of least squares through (J, pace)."""
    fit = fitted([j for j, _ in paces], [each for _, each in paces], [1.0] * len(paces))
    return None if fit is None else fit.r2


def _odds(share: float, count: float) -> float:
    """Log-odds that are finite for shares of 0 and 1 too, half a rollout away."""
    return log_odds((share * count + 0.5) / (count + 1))


def _slope_of(noise: Noise) -> Measure:
    return lambda runs: star_slope(runs[_star(noise)])


def _share_of(arm: str, whole: str) -> Measure:
    """The pace of an arm as a share of another's."""

    def measure(runs: Runs) -> float | None:
        part, all_of_it = pace(runs[arm]), pace(runs[whole])
        return part / all_of_it if part is not None and all_of_it else None

    return measure


def _to_majority(clipped: bool) -> Measure:
    """How far the log-odds moved towards what was likelier at the start, the mean of both starts."""

    def measure(runs: Runs) -> float | None:
        up, down = (_change(runs[_random(start, clipped)]) for start in (COMMON, START))
        return (up - down) / 2

    return measure


def _linearity_of(noises: Sequence[Noise]) -> Measure:
    def measure(runs: Runs) -> float | None:
        paces = [(noise.youden, found) for noise in noises if (found := pace(runs[_gradient(noise)])) is not None]
        return linearity(paces) if len(paces) == len(noises) else None

    return measure


# ------------------------------------------------------------------------------------------------ the claim


def _arms(quick: bool) -> Sequence[Arm]:
    noises = _noises(quick)
    star = [
        Arm(name=_star(noise), config="verifier/star.yaml", settings=noise.settings, start=START) for noise in noises
    ]
    gradient = [
        Arm(name=_gradient(noise), config="verifier/gradient.yaml", settings=noise.settings, start=START)
        for noise in noises
    ]
    adam = [
        Arm(name=_adam(noise), config="verifier/gradient.yaml", settings={**ADAM, **noise.settings}, start=START)
        for noise in (EXACT, LENIENT)
    ]
    fooled = [
        Arm(
            name=_fooled(share),
            config="verifier/gradient.yaml",
            settings={"reward.noise.modes.direct.fp": share} if share else {},
            start=ERRING,
        )
        for share in FOOLED
    ]
    drifting = [
        Arm(
            name=_random(start, clipped),
            config="verifier/random.yaml",
            settings=CLIPPED if clipped else {},
            start=start,
        )
        for start in (START, COMMON)
        for clipped in (True, False)
    ]
    return [BASE, START, *star, *gradient, ERRING, *fooled, *([] if quick else [*adam, COMMON, *drifting])]


def _star_criterion(noise: Noise) -> Criterion:
    slope = noise.star_slope
    margin = 0.25 * abs(slope) if abs(slope) > 1e-9 else NO_DRIFT * EXACT.star_slope
    return Criterion(
        arm=_star(noise),
        quantity="growth of the log-odds of P(cot), a round",
        measure=_slope_of(noise),
        at_least=round(slope - margin, 3),
        at_most=round(slope + margin, 3),
        predicted=f"{slope:.2f}",
    )


def _gradient_criterion(noise: Noise) -> Criterion:
    margin = NO_DRIFT if noise.youden == 0 else 0.2
    return Criterion(
        arm=_gradient(noise),
        quantity="growth of the log-odds of P(cot) a step, relative to an exact verifier",
        measure=_share_of(_gradient(noise), _gradient(EXACT)),
        at_least=noise.youden - margin,
        at_most=noise.youden + margin,
        predicted=f"J = {noise.youden:g}",
    )


def _criteria(quick: bool) -> Sequence[Criterion]:
    noises = _noises(quick)
    return [
        *map(_star_criterion, noises),
        *(_gradient_criterion(noise) for noise in noises if noise != EXACT),
        Criterion(
            arm="policy gradient, all",
            quantity="R² of the line of growth over J",
            measure=_linearity_of(noises),
            at_least=0.8,
            predicted="1",
        ),
        *_fooled_criteria(),
        *([] if quick else [_adam_criterion(), *map(_random_criterion, (True, False))]),
    ]


def _adam_criterion() -> Criterion:
    return Criterion(
        arm=_adam(LENIENT),
        quantity="growth of the log-odds of P(cot) a step, relative to an exact verifier",
        measure=_share_of(_adam(LENIENT), _adam(EXACT)),
        predicted="between J = 0.5 and 1: Adam divides by the gradient's own size",
    )


def _random_criterion(clipped: bool) -> Criterion:
    return Criterion(
        arm=f"random verdicts, {'clipped' if clipped else 'used once'}",
        quantity="change of the log-odds towards what was likelier at the start",
        measure=_to_majority(clipped),
        predicted="0.5, and more by chance" if clipped else "0, and more by chance",
    )


def _fooled_criteria() -> list[Criterion]:
    quantity = "growth of the log-odds of P(cot) a step"

    def of(share: float, low: float | None, high: float | None, predicted: str) -> Criterion:
        arm = _fooled(share)
        return Criterion(
            arm=arm,
            quantity=quantity,
            measure=lambda runs: pace(runs[arm]),
            at_least=low,
            at_most=high,
            predicted=predicted,
        )

    exact, half, whole = FOOLED
    return [
        Criterion(
            arm=_fooled(exact),
            quantity="accuracy of worked answers in the first step",
            measure=lambda runs: series_of(runs[_fooled(exact)]).column("mode/cot/accuracy")[0],
            at_most=0.95,
            predicted="(1 + 0.975^16) / 2 = 0.83",
        ),
        of(exact, 0.0, None, "upwards: 0.83 against 0.5"),
        of(half, None, None, "upwards, slowly: 0.83 against 0.75"),
        of(whole, None, 0.0, "downwards: 0.83 against 1"),
    ]


# ------------------------------------------------------------------------------------------------ pictures


def _charts(seeds: Sequence[Runs]) -> list[Chart]:
    quick = _star(INVERTED) not in seeds[0]
    noises = _noises(quick)
    slopes = [
        bar
        for noise in noises
        for bar in (
            *mean_bars(seeds, [(noise.name, "measured", _slope_of(noise))]),
            Bar(category=noise.name, series="predicted", value=noise.star_slope),
        )
    ]
    relative = [
        bar
        for noise in noises
        for bar in (
            *mean_bars(seeds, [(noise.name, "measured", _share_of(_gradient(noise), _gradient(EXACT)))]),
            Bar(category=noise.name, series="predicted: J", value=noise.youden),
        )
    ]
    return [
        bars(
            "verifier-star",
            "STaR: lenient verdicts cost growth, strict ones do not",
            "By how much a round of imitating what passed raises the log-odds of working the answer out, for verifiers that pass a share "
            "fp of the wrong answers and fail a share fn of the right ones, beside what the theory says.",
            slopes,
            x="verifier",
            y="log-odds a round",
        ),
        bars(
            "verifier-gradient",
            "Policy gradient: both errors cost the same",
            "The pace of a policy gradient with a group baseline, relative to an exact verifier, beside J = 1 − fp − fn.",
            relative,
            x="verifier",
            y="relative pace",
        ),
        lines(
            "verifier-fooled",
            "A verifier that forgives guesses decides which way it goes",
            "How likely the model is to work the answer out, where its worked answers have slips and a share fp of the wrong guesses passes.",
            [mean_line(f"fp {share:g}", seeds, by_step(_fooled(share), P_COT)) for share in FOOLED],
            y="P(cot)",
            share=True,
        ),
        *([] if quick else [_random_chart(seeds)]),
    ]


def _random_chart(seeds: Sequence[Runs]) -> Chart:
    arms = [(start, clipped) for start in (START, COMMON) for clipped in (True, False)]
    return lines(
        "verifier-random",
        "Verdicts by the toss of a coin",
        "How likely the model is to work the answer out where verdicts have nothing to do with the answers, from a start where that is rare "
        "and from one where it is common; with four clipped updates on each batch, and with a single one.",
        [
            mean_line(
                f"{'clipped' if clipped else 'used once'}, from {'0.2' if start is START else '0.8'}",
                seeds,
                by_step(_random(start, clipped), P_COT),
            )
            for start, clipped in arms
        ],
        y="P(cot)",
        share=True,
    )


CLAIM = Claim(
    id="verifier",
    title="Verifier accuracy",
    said="A reward must not say that wrong answers are right; one that is too strict does less harm.",
    by="The talk on the conditions for RL to work; Rate or Fate (RLVeR), arXiv:2601.04411",
    minutes=5.0,
    theory="""
A worked answer to the parity of sixteen bits is right with chance a_c, near 1, and a guess with chance a_s = 1/2. A verifier passes wrong
answers with chance fp and fails right ones with chance fn, so that an answer that is right with chance a passes with chance
a (1 − fn) + (1 − a) fp. STaR imitates what passed, so a round multiplies the odds of the worked way by the two chances' ratio: with a_c = 1
that is 2 / (1 + fp / (1 − fn)). False negatives alone thin both ways of answering alike and cost no growth at all; false positives help guesses
only. That is the asymmetry of the talk. If fn alone slowed STaR, or fp did not, the argument would be wrong.

A policy gradient with a baseline compares rewards, and the difference between the two chances is (a_c − a_s)(1 − fp − fn). Both errors
count alike, by J = 1 − fp − fn: half of J is half the pace, J = 0 is none, and below 0 guesses win. This holds for plain gradient steps.
Adam divides them by their own size, which hides much of it.

Uniform errors only change the pace as long as J is above 0. A verifier that forgives guesses alone changes the direction: they pass with chance
a_s + (1 − a_s) fp, and the worked way shrinks once that is more than a_c. With slips in the worked answers (one step of 80 goes wrong and is
carried on, so that 0.83 of them end right) this happens above fp = 0.66.

Verdicts by the toss of a coin have J = 0: in a single update on each batch there is no direction, only wandering. With several updates
on a batch, clipping takes out of the gradient what has moved by a fifth, and a rare way of answering gets there sooner than a common one. That should
favour what is likely already (Spurious Rewards, arXiv:2506.10947). Three logits with the same algorithm, which take a second to simulate, say how
strongly: over 40 batches of 64 answers log-odds move by about 0.5 to the likelier side, while chance moves them by more than 1. Three seeds
cannot tell the one from the other, so these numbers are shown without a verdict.
""",
    arms=_arms,
    criteria=_criteria,
    charts=_charts,
    caveats=(
        "Noise is independent of the answer. What fools a real verifier is systematic, and a model can learn it: then it is the third "
        "part, the direction, that matters.",
        "The policy gradient is plain gradient descent, not the Adam first proposed: in pilots Adam went nearly as fast with J = 0.5 as with "
        "J = 1, since its steps do not scale with the gradient. It is shown beside it, without a verdict.",
        "Whether clipped updates on random verdicts drift to the majority was first to be judged here. The simulation came before the runs and says "
        "that it takes more than twenty seeds; a criterion that three could pass would be passed by chance. In a pilot "
        "the four runs moved by 1 to 4, both with clipping downwards, and random verdicts also made worked answers wrong.",
        "Growth relative to an exact verifier instead of steps until P(cot) is 0.5: half the pace may take it there after the last step, and "
        "verifiers with J of 0 or below never do.",
    ),
)
