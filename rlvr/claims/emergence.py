"""Emergence: a buried way of answering that is right more often takes over under RL, and only under RL. No torch."""

from __future__ import annotations

from collections.abc import Sequence

from rlvr.claims.claim import Arm, Claim, Criterion, Measure, Runs
from rlvr.claims.reading import by_step, evaluated, mean_bars, mean_line
from rlvr.report.blocks import Chart
from rlvr.report.plots import bars, lines

BASE = Arm(name="pretraining", config="emergence/base.yaml")
SFT = Arm(name="calibration", config="emergence/sft.yaml", start=BASE)
RL = Arm(name="RL", config="emergence/rl.yaml", start=SFT)
BEFORE = Arm(name="before RL", config="emergence/eval.yaml", start=SFT)
AFTER = Arm(name="after RL", config="emergence/eval.yaml", start=RL)

NO_REASONING = {"data.mixture": {"direct": 1.0}}
BARE = Arm(name="pretraining without reasoning", config="emergence/base.yaml", settings=NO_REASONING)
BARE_RL = Arm(name="RL without reasoning", config="emergence/rl.yaml", start=BARE)
BARE_AFTER = Arm(name="after RL without reasoning", config="emergence/eval.yaml", start=BARE_RL)

EVALUATED = ("before RL", "after more pretraining", "after RL without reasoning", "after RL")


def _arms(quick: bool) -> Sequence[Arm]:
    longer = {"train.max_steps": 400 if quick else 1200}
    more = Arm(name="more pretraining", config="emergence/sft.yaml", settings=longer, start=SFT)
    after_more = Arm(name="after more pretraining", config="emergence/eval.yaml", start=more)
    return [BASE, SFT, BEFORE, RL, AFTER, more, after_more, BARE, BARE_RL, BARE_AFTER]


def _of(arm: str, what: str) -> Measure:
    return lambda runs: evaluated(runs[arm], what)


def _moved(runs: Runs) -> float | None:
    """How much more likely the worked way is after more pretraining."""
    before, after = (evaluated(runs[arm], P_COT) for arm in ("before RL", "after more pretraining"))
    return None if before is None or after is None else abs(after - before)


P_COT, GREEDY = "mode/cot/probability", "greedy_accuracy"


def _criteria(_quick: bool) -> Sequence[Criterion]:
    def judged(arm: str, quantity: str, what: str, low: float | None, high: float | None, predicted: str) -> Criterion:
        return Criterion(
            arm=arm, quantity=quantity, measure=_of(arm, what), at_least=low, at_most=high, predicted=predicted
        )

    return [
        judged("before RL", "P(cot), sampled", P_COT, 0.02, 0.08, "0.05, as in the documents"),
        judged("before RL", "accuracy of worked answers", "mode/cot/accuracy", 0.95, None, "1"),
        judged("before RL", "accuracy of direct answers", "mode/direct/accuracy", 0.45, 0.55, "chance, 0.5"),
        judged("before RL", "greedy accuracy", GREEDY, None, 0.55, "chance, 0.5"),
        judged("after RL", "greedy accuracy", GREEDY, 0.98, None, "1"),
        judged("after RL", "P(cot), sampled", P_COT, 0.95, None, "1"),
        judged("after RL without reasoning", "greedy accuracy", GREEDY, None, 0.55, "chance, 0.5"),
        judged("after RL without reasoning", "P(cot), sampled", P_COT, None, 0.01, "0"),
        judged("after more pretraining", "greedy accuracy", GREEDY, None, 0.55, "chance, 0.5"),
        Criterion(
            arm="after more pretraining",
            quantity="change of P(cot) by it",
            measure=_moved,
            at_most=0.02,
            predicted="0",
        ),
    ]


def _charts(seeds: Sequence[Runs]) -> list[Chart]:
    drawn = [mean_line(arm, seeds, by_step(arm, "mode/cot/probability")) for arm in ("RL", "RL without reasoning")]
    drawn.append(mean_line("RL: accuracy", seeds, by_step("RL", "reward/mean")))
    return [
        lines(
            "emergence-takeover",
            "The worked way takes over",
            "How likely the model is to write the steps first, while RL pays for right answers alone; the same without a single "
            "document that reasons; and the share of right answers.",
            drawn,
            y="share of the rollouts",
            share=True,
        ),
        bars(
            "emergence-accuracy",
            "What each of them can do in the end",
            "Greedy accuracy on questions that were never trained on; chance is 0.5.",
            mean_bars(seeds, [(arm, "", _of(arm, GREEDY)) for arm in EVALUATED]),
            x="model",
            y="greedy accuracy",
            share=True,
        ),
    ]


CLAIM = Claim(
    id="emergence",
    title="Emergence",
    said="A way of answering that is rare but right more often takes over under RL; where it is absent nothing happens, and more "
    "pretraining alone does not do it.",
    by="Tsilivis et al., arXiv:2510.11495; the talk on the emergence of reasoning and on data without intermediate steps",
    minutes=8.0,
    theory="""
The parity of sixteen bits cannot be learnt from question and answer alone by so small a model from so few examples, yet is easy one bit at
a time. Among the documents 5 % write the running parity first. A model that imitates them all answers at once in 95 % of the cases and is
right in half of these, and it works the answer out in 5 %, where it is nearly always right.

RL pays for right answers only. A worked answer earns about 1 and a direct one about 1/2, so each step makes the worked way likelier until
hardly anything else is left. Without worked documents there is no way of answering that earns more than another, and more imitation only
copies the shares of the documents: both must stay at chance. If either rose, what RL amplifies would not be what the documents held.
""",
    arms=_arms,
    criteria=_criteria,
    charts=_charts,
    caveats=(
        "The worked way was put into the documents on purpose: this shows how RL brings it out, not where it came from.",
        "Worked answers are held to 0.95 right before RL, not to the 0.98 first proposed, since the base is trained for a minute; "
        "what follows from the theory does not depend on it.",
        "More pretraining is three times the base's steps on top of it, four times in all, at the calibration's learning rate.",
    ),
)
