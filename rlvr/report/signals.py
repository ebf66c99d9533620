"""What a run's policy did while it learnt: length, entropy, where the signal went, how far it moved, how it was optimised. No torch."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from itertools import pairwise

from rlvr.accounting import THIRDS
from rlvr.errors import RlvrError
from rlvr.report.blocks import Block, Prose, Section
from rlvr.report.learning import measured_tasks
from rlvr.report.plots import COLOURS, Bar, Line, bars, lines, stacked
from rlvr.report.runs import Run
from rlvr.report.series import Modes, Series, all_told, modes_of, series_in, series_of
from rlvr.report.wording import number

ENTROPIES = (0.01, 0.03, 0.1, 0.3, 0.7, 1.0, 2.0)
"""Bounds (nats) between which tokens are counted by entropy: most are nearly sure, and 0.69 is the toss of a coin."""

SIGNAL = {
    "signal/trained": "trained",
    "signal/zero_variance": "group rewarded alike",
    "signal/zero_advantage": "no advantage otherwise",
    "signal/masked": "masked",
    "signal/surplus": "more than wanted",
    "signal/clipped": "ratio clipped",
    "signal/skipped": "update not applied",
}
"""Where a sampled token can have gone; the shares add up to 1."""

SECONDS = {
    "time/rollout_seconds": "rollout",
    "time/branches_seconds": "branches",
    "time/reward_seconds": "reward",
    "time/train_seconds": "train",
    "time/eval_seconds": "evaluation",
}
"""What a step's time is spent on; what is left of ``time/step_seconds`` is other."""


def signals(run: Run) -> list[Section]:
    """The sections on length, entropy, signal, distance, optimisation and problems; those that the run has numbers for.

    Of an evaluation that is the entropy of its tokens; its other numbers are no curves.
    """
    series = series_in([]) if run.stage == "eval" else series_of(run)
    modes = modes_of(series)
    found = [
        Section(name="length", title="Length", blocks=_length(series, modes)),
        Section(name="entropy", title="Entropy", blocks=_entropy(run, series, modes)),
        Section(name="signal", title="Where the signal went", blocks=_signal(series)),
        Section(name="distance", title="How far the policy moved", blocks=_distance(series)),
        Section(name="optimisation", title="Optimisation", blocks=_optimisation(run, series)),
        Section(name="problems", title="Which problems were tried", blocks=_problems(series)),
    ]
    return [section for section in found if section.blocks]


def timing(run: Run) -> Section | None:
    """Seconds of each step by what they were spent on, and tokens a second; None without recorded times."""
    series = series_of(run)
    blocks = _phases(series) + _speed(series)
    return Section(name="time", title="Time", blocks=blocks) if blocks else None


# ------------------------------------------------------------------------------------------------ length


def _length(series: Series, modes: Modes) -> list[Block]:
    blocks: list[Block] = []
    drawn = series.lines({"rollout/length_mean": "all rollouts"})
    drawn += series.lines({f"eval/{task}/length_mean": "test" for task in measured_tasks(series)[:1]})
    drawn += modes.lines("length_mean") if len(modes.shares) > 1 else []
    if drawn:
        text = "Mean length: " + all_told(drawn, "tokens")
        blocks.append(lines("length", "Length of the answers", text, drawn, y="tokens"))
    change = {"length/change": "whole change", "length/by_mode": "longer modes became likelier"}
    drawn = series.lines({**change, "length/within_modes": "modes became longer"})
    if any(value for line in drawn for value in line.values):
        ends = {line.name: next(value for value in reversed(line.values) if value is not None) for line in drawn}
        text = (
            "Tokens since the first step, at the last: " + ", ".join(f"{k} {number(v)}" for k, v in ends.items()) + "."
        )
        title = "Why the length changed: modes that became likelier, and modes that became longer"
        blocks.append(lines("length-change", title, text, drawn, y="tokens since the first step"))
    return blocks + _truncation(series)


def _truncation(series: Series) -> list[Block]:
    drawn = series.lines({"rollout/truncated_fraction": "rollouts of the step"})
    tasks = measured_tasks(series)[:1]
    drawn += series.lines({f"eval/{task}/truncated_fraction": "test" for task in tasks})
    if not drawn:
        return []
    drawn = [line for line in drawn if any(line.values)]
    if not drawn:
        return [Prose(text="No answer ran out of tokens.")]
    text = "Share of answers that ran out of tokens: " + all_told(drawn)
    blocks: list[Block] = [lines("truncated", "Answers that ran out of tokens", text, drawn, y="share")]
    paid = series.lines({"rollout/truncated_reward": "ran out of tokens", "rollout/ended_reward": "ended"})
    if len(paid) > 1:
        text = "Mean reward of answers by how they ended: " + all_told(paid)
        blocks.append(lines("truncated-reward", "What truncation cost", text, paid, y="mean reward"))
    return blocks


# ------------------------------------------------------------------------------------------------ entropy


def _entropy(run: Run, series: Series, modes: Modes) -> list[Block]:
    pictures = [
        ("entropy", "Entropy", {"entropy/mean": "all tokens", "entropy/forks": "the most uncertain fifth"}),
        ("entropy-place", "Entropy by place in the answer", {f"entropy/{third}": f"{third} third" for third in THIRDS}),
    ]
    found = [(name, title, series.lines(labels)) for name, title, labels in pictures]
    found.append(("entropy-mode", "Entropy by mode", modes.lines("entropy") if len(modes.shares) > 1 else []))
    if not series.has("entropy/mean"):
        found[0] = ("entropy", "Entropy", series.lines({"train/entropy": "trained tokens"}))
    blocks: list[Block] = [
        lines(name, title, "Entropy of " + all_told(drawn, "nats"), drawn, y="nats a token")
        for name, title, drawn in found
        if drawn
    ]
    return blocks + _by_token(run)


def _by_token(run: Run) -> list[Block]:
    """How many tokens had which entropy, in the first rollouts that were written, those in the middle, and the last."""
    steps = run.rollout_steps()
    chosen = sorted({steps[0], steps[len(steps) // 2], steps[-1]}) if steps else []
    drawn, counted, blocks = list[Bar](), list[str](), list[Block]()
    for step in chosen:
        try:
            counts = _counts(run, step)
        except RlvrError as error:
            blocks.append(Prose(text=f"The entropies of step {step} are left out: {error}", kind="gap"))
            continue
        total = sum(counts.values())
        drawn += [
            Bar(category=label, value=counts[place] / total, series=f"step {step}" if step else "")
            for place, label in enumerate(_labels())
            if total
        ]
        if total:
            forks = sum(count for place, count in counts.items() if place >= ENTROPIES.index(0.7) + 1)
            when = f"at step {step} " if step else ""  # an evaluation has no steps
            counted.append(f"{when}{number(100 * forks / total)} % of {total:,} tokens")
    if drawn:
        text = "More uncertain than the toss of a coin (0.7 nats): " + "; ".join(counted) + "."
        title = "Tokens by entropy"
        blocks.insert(0, bars("entropy-tokens", title, text, drawn, x="entropy (nats)", y="share of the tokens"))
    return blocks


def _counts(run: Run, step: int) -> Counter[int]:
    """Sampled tokens of a step by the place of their entropy between the bounds; none where entropies were not recorded."""
    counts: Counter[int] = Counter()
    for record in run.rollouts(step):
        entropies = record.get("entropies")
        if isinstance(entropies, list):
            counts.update(bisect_right(ENTROPIES, value) for value in entropies if isinstance(value, int | float))
    return counts


def _labels() -> list[str]:
    """
    >>> _labels()[0], _labels()[1], _labels()[-1]
    ('below 0.01', '0.01 to 0.03', 'above 2')
    """
    between = [f"{low:g} to {high:g}" for low, high in pairwise(ENTROPIES)]
    return [f"below {ENTROPIES[0]:g}", *between, f"above {ENTROPIES[-1]:g}"]


# ------------------------------------------------------------------------------------------------ signal


def _signal(series: Series) -> list[Block]:
    blocks: list[Block] = []
    if seen := [line for line in series.lines(SIGNAL) if any(line.values)]:
        text = "Of all sampled tokens: " + all_told(seen)
        title = "What became of the sampled tokens"
        blocks.append(stacked("signal", title, text, seen, y="share of the tokens", share=True))
    elif drawn := series.lines({"rollout/zero_variance_fraction": "groups rewarded alike"}):
        text = "Share of " + all_told(drawn)
        title = "Groups without a difference to learn from"
        blocks.append(lines("signal", title, text, drawn, y="share of the groups", share=True))
    if drawn := series.lines({"rollout/extra_fraction": "extra problems"}):
        text = "Problems sampled beyond those that are trained on, over these: " + all_told(drawn)
        blocks.append(
            lines("refills", "Extra sampling to fill the step", text, drawn, y="share of the problems per step")
        )
    return blocks


# ------------------------------------------------------------------------------------------------ distance


def _distance(series: Series) -> list[Block]:
    """KL divergences, and importance ratios where updates are not on the policy that sampled."""
    kl = {f"eval/{task}/kl_base": "from the model at the beginning" for task in measured_tasks(series)[:1]}
    kl |= {"train/kl_ref": "from the reference", "rollout/kl_teacher": "from the teacher"}
    blocks: list[Block] = []
    if drawn := series.lines(kl):
        text = "KL divergence " + all_told(drawn)
        blocks.append(lines("kl", "Distance of the policy", text, drawn, y="nats a token"))
    if drawn := series.lines(RATIOS):
        text = "Ratio: " + all_told(drawn)
        blocks.append(lines("ratio", "Importance ratios of the trained tokens", text, drawn, y="ratio", log=True))
    if drawn := series.lines(CLIPS):
        title, text = (
            "Tokens whose ratio was bounded, and what the ratios leave of the sample",
            "Share: " + all_told(drawn),
        )
        blocks.append(lines("clip", title, text, drawn, y="share", share=True))
    return blocks + _staleness(series)


RATIOS = {"train/ratio_mean": "mean", "train/ratio_max": "largest"}
CLIPS = {"train/clip_fraction": "bounded tokens", "train/effective_sample_fraction": "effective sample"}


def _staleness(series: Series) -> list[Block]:
    """The gap between log-probabilities when sampled and when trained: rounding, or with stale rollouts the policies' distance."""
    drawn = series.lines({"rollout/logprob_gap_max": "largest gap"})
    lag = [value for value in series.column("rollout/staleness") if value]
    if not drawn:
        return []
    text = "Between the log-probability of a token when sampled and when trained, the " + all_told(drawn, "nats")
    text += f" Rollouts were up to {number(max(lag))} steps old." if lag else ""
    title = "Gap between sampling and training" + ("" if lag else ", which is rounding")
    return [lines("gap", title, text, drawn, y="nats", log=True)] if any(drawn[0].values) else []


# ------------------------------------------------------------------------------------------------ optimisation


def _optimisation(run: Run, series: Series) -> list[Block]:
    blocks: list[Block] = []
    pictures: list[tuple[str, str, dict[str, str], str, bool]] = [
        ("gradient", "Norm of the gradient, before it is clipped", {"train/grad_norm": "gradient norm"}, "norm", True),
        ("learning-rate", "Learning rate", {"train/learning_rate": "learning rate"}, "learning rate", False),
        ("value", "Value model", {"train/value_loss": "value loss"}, "squared error / 2", False),
        (
            "explained",
            "What the value model explains",
            {"rollout/explained_variance": "explained variance"},
            "share",
            False,
        ),
    ]
    if run.stage == "rl":
        pictures.insert(0, ("policy-loss", "Loss", {"train/loss": "loss"}, "loss", False))
    for name, title, labels, y, log in pictures:
        for line in series.lines(labels):
            known = {value for value in line.values if value is not None}
            text = all_told([line])
            if len(known) == 1 < len(line.x):
                every = "every step" if None not in line.values else "every step that updated the model"
                blocks.append(Prose(text=f"{title}: {number(known.pop())} at {every}."))
            elif max(known) > 0 or not log:
                blocks.append(lines(name, title, text[0].upper() + text[1:], [line], y=y, log=log))
    return blocks


# ------------------------------------------------------------------------------------------------ problems


def _problems(series: Series) -> list[Block]:
    """A curriculum's level and pass rate, and how many problems of a file are in use; of a mixture's members apart."""
    blocks: list[Block] = []
    members = list(dict.fromkeys(name.split("/")[0] for name in series.names("task/")))
    starts = {"": "", **{f"task/{name}/": f"{name}: " for name in members}}

    def found(what: dict[str, str]) -> list[Line]:
        return series.lines(
            {f"{at}{name}": f"{label}{words}" for at, label in starts.items() for name, words in what.items()}
        )

    pictures = [
        ("level", "Level of the curriculum", {"curriculum/level": "level"}, "level"),
        ("pass-rate", "Share of right answers that decides", PASS_RATES, "share"),
        ("problems", "Problems in use", IN_USE, "problems"),
    ]
    for name, title, labels, y in pictures:
        if drawn := found(labels)[:MOST]:
            blocks.append(lines(name, title, f"{title}: {all_told(drawn)}", drawn, y=y, share=y == "share"))
    return blocks


PASS_RATES = {"curriculum/pass_rate": "pass rate at the level", "problems/pass_rate": "pass rate of the problems seen"}
IN_USE = {
    "problems/active": "active",
    "problems/retired": "retired",
    "problems/out_of_band": "out of band",
    "problems/unseen": "not yet seen",
}
MOST = len(COLOURS)
"""Lines of a chart on problems."""


# ------------------------------------------------------------------------------------------------ time


def _phases(series: Series) -> list[Block]:
    if not series.has("time/step_seconds"):
        return []
    whole = series.column("time/step_seconds")
    parts = {label: series.column(name) for name, label in SECONDS.items() if series.has(name)}
    named = [sum(column[place] or 0.0 for column in parts.values()) for place in range(len(whole))]
    parts["other"] = [
        None if all_of is None else max(0.0, all_of - known) for all_of, known in zip(whole, named, strict=True)
    ]
    drawn = [Line(name=label, x=series.steps, values=column) for label, column in parts.items()]
    totals = {line.name: sum(value or 0.0 for value in line.values) for line in drawn}
    total = sum(totals.values()) or 1.0
    shares = ", ".join(f"{label} {number(spent)} s ({100 * spent / total:.0f} %)" for label, spent in totals.items())
    text = f"{len(whole)} steps took {number(total)} s: {shares}."
    return [stacked("time", "Seconds of each step", text, drawn, y="seconds")]


def _speed(series: Series) -> list[Block]:
    pairs = [
        ("sampled", "tokens/rollout", "time/rollout_seconds"),
        ("trained", "tokens/train", "time/train_seconds"),
    ]
    drawn = []
    for label, tokens, seconds in pairs:
        values = [
            a / b if a and b else None for a, b in zip(series.column(tokens), series.column(seconds), strict=True)
        ]
        if any(value is not None for value in values):
            drawn.append(Line(name=label, x=series.steps, values=values))
    text = "Tokens a second: " + all_told(drawn)
    return (
        [
            lines(
                "speed",
                "Tokens a second, while sampling and while training",
                text,
                drawn,
                y="tokens a second",
                log=True,
            )
        ]
        if drawn
        else []
    )
