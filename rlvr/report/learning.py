"""What a run learnt: loss, reward, accuracy, and which mode of answering did it. No torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean

from rlvr.report.blocks import Block, Prose, Section
from rlvr.report.evaluations import tasks_in
from rlvr.report.growth import growth
from rlvr.report.plots import Line, lines
from rlvr.report.runs import Run
from rlvr.report.series import (
    DRAWN,
    FEWEST,
    OTHERS,
    Column,
    Modes,
    Series,
    all_told,
    modes_of,
    series_of,
    with_interval,
)

NOT_COMPONENTS = ("mean", "oracle", "shaping")
"""What is under reward/ beside the components."""

WHOLE = "mixture"
"""What a mixture is called as a whole."""


def learning(run: Run) -> list[Section]:
    """The sections on loss, reward and accuracy, modes, and the growth of their odds; those that the run has numbers for.

    An evaluation has none: it learns nothing.
    """
    if run.stage == "eval":
        return []
    series = series_of(run)
    modes = modes_of(series)
    found = [_loss(run, series), _reward(series, modes), _modes(series, modes), growth(run, modes)]
    return [section for section in found if section is not None]


def measured_tasks(series: Series) -> list[str]:
    """The tasks that were evaluated while training, a mixture as a whole first."""
    return tasks_in([dict.fromkeys(series.columns)])


# ------------------------------------------------------------------------------------------------ loss


def _loss(run: Run, series: Series) -> Section | None:
    """Of what learns from documents: loss and perplexity, on what is trained and on what is held out."""
    if run.stage not in ("pretrain", "sft"):
        return None
    blocks: list[Block] = []
    drawn = series.lines({"train/loss": "trained documents", "eval/documents/loss": "held-out documents"})
    if drawn:
        text = "Loss of " + all_told(drawn, "nats a token")
        blocks.append(lines("loss", "Loss", text, drawn, y="nats a token"))
    drawn = series.lines({"train/perplexity": "trained documents", "eval/documents/perplexity": "held-out documents"})
    if drawn:
        text = "Choices per token: of " + all_told(drawn)
        title = "Perplexity: among how many tokens the model has yet to choose"
        blocks.append(lines("perplexity", title, text, drawn, y="choices per token", log=True))
    return Section(name="loss", title="Loss", blocks=blocks) if blocks else None


# ------------------------------------------------------------------------------------------------ reward and accuracy


def _reward(series: Series, modes: Modes) -> Section | None:
    blocks: list[Block] = []
    components = [name for name in series.names("reward/") if "/" not in name and name not in NOT_COMPONENTS]
    mean = series.column("reward/mean")
    own = {f"reward/{name}": name for name in components if not _alike(series.column(f"reward/{name}"), mean)}
    rest = {"reward/oracle": "without the verifier's noise", "reward/shaping": "added for length"}
    if drawn := series.lines({"reward/mean": "reward", **own, **rest}):
        blocks.append(lines("reward", "Reward", "Mean " + all_told(drawn), drawn, y="mean reward"))
    blocks += _accuracy(series, modes) + _by_task(series) + _failures(series, components) + _noise(series)
    if not blocks:
        return None
    title = "Reward and accuracy" if drawn else "Accuracy"
    return Section(name="reward", title=title, blocks=blocks)


def _alike(first: Column, second: Column) -> bool:
    """Whether two columns are the same but for rounding."""
    return all(
        a == b or (a is not None and b is not None and math.isclose(a, b)) for a, b in zip(first, second, strict=True)
    )


def _accuracy(series: Series, modes: Modes) -> list[Block]:
    """Right answers among the rollouts that are trained on, and in the evaluations beside."""
    drawn: list[Line] = []
    right = modes.pooled(list(modes.shares), "accuracy")
    if any(value is not None for value in right):
        drawn.append(with_interval("rollouts of the step", series.steps, right, series.rollouts))
    for task in measured_tasks(series)[:1]:
        labels = {"accuracy": "test, sampled", "greedy_accuracy": "test, greedy"}
        drawn += series.lines({f"eval/{task}/{what}": label for what, label in labels.items()})
    if not drawn:
        return []
    text = "Share of right answers: " + all_told(drawn)
    return [lines("accuracy", "Accuracy, with 95 % intervals", text, drawn, y="share of right answers", share=True)]


def _by_task(series: Series) -> list[Block]:
    """Accuracy of each member of a mixture, in the rollouts and in the evaluations."""
    blocks: list[Block] = []
    trained = [_task_line(series, name) for name in series.names("task/", "/accuracy") if "/" not in name]
    whole, *members = [*measured_tasks(series), ""]
    tested = [series.line(f"eval/{name}/accuracy", name) for name in members if name] if whole == WHOLE else []
    for kind, where, drawn in (
        ("task-accuracy", "in the rollouts of each step", trained),
        ("task-evaluations", "in the evaluations", [line for line in tested if line is not None]),
    ):
        if drawn:
            title = f"Accuracy by task {where}, with 95 % intervals"
            summary = f"Share of right answers {where}: {all_told(drawn[:DRAWN])}"
            blocks.append(lines(kind, title, summary, drawn, y="share of right answers", share=True))
    return blocks


def _task_line(series: Series, name: str) -> Line:
    return with_interval(
        name, series.steps, series.column(f"task/{name}/accuracy"), series.rollouts_of(f"task/{name}/")
    )


def _failures(series: Series, components: Sequence[str]) -> list[Block]:
    """Why components did not pay beside a wrong answer; in a step that does not name a reason, nothing failed for it."""
    found = []
    for component in components:
        judged = series.column(f"reward/{component}")
        for reason in series.names(f"reward/{component}/", "_fraction"):
            shares = series.column(f"reward/{component}/{reason}_fraction")
            filled = [None if paid is None else share or 0.0 for share, paid in zip(shares, judged, strict=True)]
            if any(filled):
                label = f"{component}: {reason.replace('_', ' ')}"
                found.append(Line(name=label, x=series.steps, values=filled))
    if not found:
        return []
    drawn = sorted(found, key=lambda line: -sum(value or 0.0 for value in line.values))[:DRAWN]
    left_out = f" The {len(found) - DRAWN} rarest reasons are left out." if len(found) > DRAWN else ""
    text = f"Share of the answers that a component judged: {all_told(drawn)}{left_out}"
    return [lines("failures", "Answers that earned nothing though not for being wrong", text, drawn, y="share")]


def _noise(series: Series) -> list[Block]:
    labels = {
        "noise/fp": "wrong answers that were paid",
        "noise/fn": "right answers that were refused",
        "noise/youden": "signal that is left (1 − both)",
    }
    drawn = series.lines(labels)
    text = "Shares, as they came out: " + all_told(drawn)
    return [lines("noise", "Mistakes of the unreliable verifier", text, drawn, y="share")] if drawn else []


# ------------------------------------------------------------------------------------------------ modes

HOW_COUNTED = (
    "Bands are 95 % Wilson intervals that count every rollout of the step, refills among them, as a trial of its own; rollouts of one "
    f"problem are alike, so the truth is a little wider. A mode has no point at a step where fewer than {FEWEST} rollouts were of it, unless "
    "it never had more."
)


def _modes(series: Series, modes: Modes) -> Section | None:
    """P(mode), and accuracy and advantage by mode: of the rollouts, or where there are none of the evaluations."""
    blocks = _of_rollouts(modes) if modes.shares else _of_evaluations(series)
    return Section(name="modes", title="Modes of answering", blocks=blocks) if blocks else None


def _of_rollouts(modes: Modes) -> list[Block]:
    blocks: list[Block] = []
    if modes.rest:
        blocks.append(Prose(text=_grouped(modes)))
    pictures = {
        "probability": ("P(mode)", "share of the rollouts", "P({})"),
        "accuracy": ("Accuracy by mode", "share of right answers", "Accuracy of {}"),
        "advantage": ("Advantage by mode", "mean advantage", "Advantage of {}"),
    }
    for what, (title, y, label) in pictures.items():
        drawn = modes.lines(what)
        if drawn:
            text = all_told(drawn, label=label)
            share = what != "advantage"
            blocks.append(lines(f"mode-{what}", title, text, drawn, y=y, share=share))
    blocks.append(Prose(text=HOW_COUNTED))
    return blocks


def _grouped(modes: Modes) -> str:
    together = fmean([value for value in modes.share(modes.rest) if value is not None] or [0.0])
    return (
        f"The run has {len(modes.shares)} modes. The {DRAWN} most frequent have lines of their own; the other {len(modes.rest)} are "
        f"drawn together as {OTHERS} ({100 * together:.2g} % of the rollouts on average)."
    )


def _of_evaluations(series: Series) -> list[Block]:
    """Of the first evaluated task, with the intervals that the evaluations wrote."""
    blocks: list[Block] = []
    for task in measured_tasks(series)[:1]:
        names = series.names(f"eval/{task}/mode/", "/probability")
        names.sort(key=lambda mode: -sum(v or 0.0 for v in series.column(f"eval/{task}/mode/{mode}/probability")))
        for what, title, label in (
            ("probability", "P(mode) in the evaluations", "P({})"),
            ("accuracy", "Accuracy by mode in the evaluations", "Accuracy of {}"),
        ):
            drawn = series.lines({f"eval/{task}/mode/{mode}/{what}": mode for mode in names[:DRAWN]})
            if drawn:
                text = all_told(drawn, label=label)
                blocks.append(lines(f"mode-{what}", title, text, drawn, y="share", share=True))
    return blocks
