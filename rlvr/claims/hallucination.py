"""Hallucination: imitation of answers that a model does not know teaches it to guess; pay for not guessing, and it stops. No torch."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence

from rlvr.claims.claim import Arm, Claim, Criterion, Measure, Runs
from rlvr.claims.reading import by_step, column, evaluated, mean_bars, mean_line, steps
from rlvr.report.blocks import Chart
from rlvr.report.fits import logistic
from rlvr.report.plots import bars, lines
from rlvr.report.runs import Run

KNOWN = {"name": "facts", "people": 1024}
UNKNOWN = {**KNOWN, "first": 1024}


def _documents(task: dict[str, object], mode: str) -> dict[str, object]:
    return {"task": task, "mixture": {mode: 1.0}}


def _imitation(name: str, *sources: dict[str, object], **settings: object) -> Arm:
    settings = {"data.sources": list(sources), **settings} if sources else settings
    return Arm(name=name, config="hallucination/sft.yaml", settings=settings, start=BASE)


BASE = Arm(name="pretraining", config="hallucination/base.yaml")
SFT = _imitation("SFT on known and unknown facts")
SFT_KNOWN = _imitation("SFT on known facts", _documents(KNOWN, "direct"))
SFT_UNKNOWN = _imitation("SFT on unknown facts", _documents(UNKNOWN, "direct"), **{"train.max_steps": 100})
SFT_HONEST = _imitation("SFT that admits", _documents(KNOWN, "direct"), _documents(UNKNOWN, "abstain"))
RL = Arm(name="RL, mistakes cost", config="hallucination/rl.yaml", start=SFT)
ZERO_ONE = {"reward.exact": {"correct": 1, "abstain": 0, "wrong": 0}}
RL_ZERO_ONE = Arm(name="RL, mistakes are free", config="hallucination/rl.yaml", settings=ZERO_ONE, start=SFT)
FACTS = (SFT_KNOWN, SFT, SFT_UNKNOWN, SFT_HONEST, RL, RL_ZERO_ONE)

PENALTIES = {"1/3": 1 / 3, "1": 1.0, "3": 3.0}
"""What a wrong answer costs, in right ones."""
HALF = math.log(2) / 2
"""Nats a token, of an answer and its end, at which the answer has a chance of one half."""
P_ANSWER = "mode/direct/probability"

DOUBTFUL_BASE = Arm(name="pretraining on doubtful facts", config="hallucination/doubtful_base.yaml")
DOUBTFUL_SFT = Arm(name="questions about doubtful facts", config="hallucination/doubtful_sft.yaml", start=DOUBTFUL_BASE)


def _doubtful(penalty: str) -> list[Arm]:
    """RL at a penalty, and what it came to on people who were not trained on."""
    payoffs = {"reward.exact": {"correct": 1, "abstain": 0, "wrong": -PENALTIES[penalty]}}
    rl = Arm(name=f"RL at {penalty}", config="hallucination/doubtful_rl.yaml", settings=payoffs, start=DOUBTFUL_SFT)
    return [rl, Arm(name=f"after RL at {penalty}", config="hallucination/doubtful_eval.yaml", start=rl)]


def _arms(quick: bool) -> Sequence[Arm]:
    if quick:
        return FACTS
    return [*FACTS, *(arm for penalty in PENALTIES for arm in _doubtful(penalty))]


def _answered(arm: Arm) -> Measure:
    """How often it answers about people of whom it was never told anything."""
    return lambda runs: evaluated(runs[arm.name], P_ANSWER, "unseen")


def _known(arm: Arm) -> Measure:
    return lambda runs: evaluated(runs[arm.name], "accuracy", "known")


def _lost(runs: Runs) -> float | None:
    """Accuracy on known facts before RL, less that after it."""
    before, after = _known(SFT)(runs), _known(RL)(runs)
    return None if before is None or after is None else before - after


def _fitted_at(run: Run) -> float | None:
    """The first step at which its documents' answers have a chance of one half."""
    pairs = zip(steps(run), column(run, "train/loss"), strict=True)
    return next((step for step, loss in pairs if loss is not None and loss <= HALF), None)


def _later(runs: Runs) -> float | None:
    """How many times as many steps unknown facts take as known ones."""
    unknown, known = _fitted_at(runs[SFT_UNKNOWN.name]), _fitted_at(runs[SFT_KNOWN.name])
    return None if unknown is None or known is None else unknown / known


def answered_by_reliability(run: Run) -> dict[float, tuple[float, int]]:
    """Of an evaluation's sampled answers, by the reliability of the person: the share that is not "I don't know", and their number."""
    counts: Counter[float] = Counter()
    answered: Counter[float] = Counter()
    for rollout in run.rollouts(0, {"metadata": dict, "mode": str, "greedy": bool}):
        if not rollout["greedy"]:
            level = float(rollout["metadata"]["reliability"])
            counts[level] += 1
            answered[level] += rollout["mode"] != "abstain"
    return {level: (answered[level] / counts[level], counts[level]) for level in sorted(counts)}


def _switch(penalty: str) -> Measure:
    """The reliability at which a logistic regression gives an answer a chance of one half; None if more reliability means fewer answers."""

    def measure(runs: Runs) -> float | None:
        found = answered_by_reliability(runs[f"after RL at {penalty}"])
        shares, counts = zip(*found.values(), strict=True)
        fit = logistic(list(found), shares, counts)
        return None if fit is None or fit.slope <= 0 else -fit.base / fit.slope

    return measure


def _criteria(quick: bool) -> Sequence[Criterion]:
    unseen, known = "share of unseen questions answered", "accuracy on known facts"
    found = [
        Criterion(
            arm=SFT.name, quantity=unseen, measure=_answered(SFT), at_least=0.9, predicted="1, less the 0.03 shown"
        ),
        Criterion(arm=SFT_HONEST.name, quantity=unseen, measure=_answered(SFT_HONEST), at_most=0.2, predicted="0"),
        Criterion(arm=RL.name, quantity=unseen, measure=_answered(RL), at_most=0.2, predicted="0"),
        Criterion(arm=RL.name, quantity=f"{known} lost by it", measure=_lost, at_most=0.05, predicted="0"),
        Criterion(arm=RL_ZERO_ONE.name, quantity=unseen, measure=_answered(RL_ZERO_ONE), at_least=0.9, predicted="1"),
        Criterion(
            arm="SFT on unknown over on known facts",
            quantity="steps until an answer has a chance of 1/2, ratio",
            measure=_later,
            at_least=2.0,
            predicted="above 1",
        ),
        Criterion(arm=SFT_KNOWN.name, quantity=unseen, measure=_answered(SFT_KNOWN)),
        *(Criterion(arm=arm.name, quantity=known, measure=_known(arm)) for arm in (SFT_KNOWN, SFT, SFT_UNKNOWN, RL)),
    ]
    for penalty, cost in {} if quick else PENALTIES.items():
        switch = cost / (1 + cost)
        found.append(
            Criterion(
                arm=f"RL on doubtful facts, a mistake costs {penalty}",
                quantity="reliability at which it begins to answer",
                measure=_switch(penalty),
                at_least=switch - 0.1,
                at_most=switch + 0.1,
                predicted=f"{switch:g}",
            )
        )
    return found


def _charts(seeds: Sequence[Runs]) -> list[Chart]:
    drawn = [
        (arm.name, series, measure(arm))
        for arm in FACTS
        for series, measure in (("unseen: answered", _answered), ("known: right", _known))
    ]
    charts = [
        bars(
            "hallucination-guesses",
            "Who answers what nobody can know",
            "How often each model answers questions about people of whom it was never told anything, where every answer is a guess, "
            "and how often it is right about people whom it knows; both on questions that were never trained on.",
            mean_bars(seeds, drawn),
            x="model",
            y="share of the rollouts",
            share=True,
        ),
        lines(
            "hallucination-fitting",
            "What is new is learnt last",
            "Loss of the model on the answers that it imitates, of facts that pretraining stated and of facts that it did not.",
            [mean_line(arm.name, seeds, by_step(arm.name, "train/loss")) for arm in (SFT_KNOWN, SFT_UNKNOWN)],
            y="nats a token",
        ),
    ]
    if all("after RL at 1" in runs for runs in seeds):
        charts.append(
            lines(
                "hallucination-penalty",
                "The dearer a mistake, the surer one has to be",
                "How often the model answers about a person whose value is right so often, by what a wrong answer costs; of people that "
                "RL did not train on.",
                [mean_line(f"a mistake costs {penalty}", seeds, _curve(penalty)) for penalty in PENALTIES],
                x="reliability",
                y="share answered",
                share=True,
            )
        )
    return charts


def _curve(penalty: str) -> Callable[[Runs], dict[float, float]]:
    def points(runs: Runs) -> dict[float, float]:
        found = answered_by_reliability(runs[f"after RL at {penalty}"])
        return {level: share for level, (share, _) in found.items()}

    return points


CLAIM = Claim(
    id="hallucination",
    title="Hallucination",
    said="To imitate answers that one does not know is to learn to answer anyway; a reward under which a wrong answer costs more than "
    '"I don\'t know" undoes it, and how sure a model has to be before it answers follows the penalty.',
    by="Gekhman et al., arXiv:2405.05904; Schulman, Berkeley, April 2023; Kalai et al., arXiv:2509.04664; TruthRL, arXiv:2509.25760; "
    "the talk on the limits of SFT and on hallucination",
    minutes=9.0,
    theory="""
Imitation copies what is said, whether or not the one who imitates could know it. A model was told facts about some people. It is then shown
questions and answers about these and, as often, about people whom it never met: so the rule that fits the demonstrations is that questions
are answered, always. On people of whom nobody ever told it anything it must then answer as well, and is right by chance, once in 32. Facts
that are new must also take longer to fit than facts that are there already.

Let a right answer pay 1, "I don't know" 0 and a wrong answer cost λ. An answer that is right with probability c pays c - λ (1 - c), which is more than
nothing only if c > λ / (1 + λ). With λ = 0, the usual 0 or 1, guessing never costs anything and must go on. With λ = 1 the model must keep
answering where it knows and stop where it does not, also about people on whom RL did not train it.

The last arms make knowledge a matter of degree. About each person documents state one value in a share c of the cases, .1 to 1, and else
another. Nothing in a name tells c: only a model that has learnt how far to trust its own memory can have it. RL at λ = 1/3, 1 and 3 must then
move the point at which it begins to answer to c = 1/4, 1/2 and 3/4. If answers stopped everywhere or nowhere, or at the same c for every λ, the
model would have no such signal, or RL would not use it.
""",
    arms=_arms,
    criteria=_criteria,
    charts=_charts,
    caveats=(
        "The demonstrations that teach to answer anyway hold 3 % of I don't know, whoever is asked: RL can only make likelier what "
        "is sometimes said. Without any it would have nothing to pay for.",
        "RL samples at temperature 0.5, so that an answer is nearly the model's best guess; at 1 it would be right only with about c² of "
        "the cases at first, and the point of indifference would lie higher until its answers have sharpened. It is measured at the same.",
        "What is measured of reliability is the share of like answers, drawn anew for every question, not whether one fixed fact is true.",
        "In the part on doubtful facts pretraining asks about other people than RL and the evaluation do. When it asked about those that RL "
        "trains on, the others seemed less sure to the model, and at the dearest mistake it answered about fewer of them than it should.",
        "Width 128 instead of 64: the smaller model knew the facts less firmly, and lost a tenth of those it was not trained on to abstention.",
        "What the shipped FAIL teaches: the price on mistakes also silences a tenth of what the model knew. In so small a model knowing and not "
        "knowing are not far apart, and a reward that pays for silence moves both; honesty costs answers.",
        "That more unknown facts do linearly more harm (Gekhman et al.) is not tested; what they cost known ones here is told.",
    ),
)
