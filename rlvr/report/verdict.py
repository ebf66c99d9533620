"""A run in three sentences: what was trained, what changed, what went wrong. Nothing is claimed beyond what intervals allow."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

from rlvr.report.beside import Beside, changed, evaluations_beside, first_and_last, share_in, shares
from rlvr.report.blocks import Prose, Section
from rlvr.report.evaluations import modes_in, tasks_in
from rlvr.report.gaps import explanations, missing, unfinished, warnings
from rlvr.report.runs import Run
from rlvr.report.series import modes_of, series_of
from rlvr.report.spent import spent_by
from rlvr.report.wording import Interval, amount, counted, shown, went
from rlvr.runtime.metrics import Row
from rlvr.statistics import Estimate, difference, t_interval, wilson

TRUNCATED = 0.05
"""Share of rollouts that ran out of tokens from which on it is said."""

NO_FAULT = ("solved", "loss_near_zero")
"""Kinds of notes that say how a run went, not that anything is wrong with it."""

BY = {"pretrain": "by pretraining from scratch", "sft": "by imitation (SFT)"}


def verdict(run: Run, beside: Beside | None = None) -> Section:
    """The three sentences on a run. beside: the evaluations beside it, where they were looked for already."""
    found = [what_was_trained(run), what_changed(run, beside), what_went_wrong(run)]
    return Section(name="verdict", title="Verdict", blocks=[Prose(text=text) for text in found])


# --------------------------------------------------------------------------------------------- what was trained


def what_was_trained(run: Run) -> str:
    """The model, the task, how, and how long."""
    if run.stage == "eval":
        return _what_was_evaluated(run)
    cost = spent_by(run)
    volume = [f"{amount(cost.trained)} tokens trained on"]
    if cost.rollouts:
        volume = [f"{amount(cost.rollouts)} rollouts", f"{amount(cost.sampled)} tokens sampled", *volume]
    began = run.config.get("model")
    origin = f", begun from {began}," if isinstance(began, str) else ""
    return f"{_model(run, cost.parameters)}{origin} was trained {_way(run)} on {_task(run)} for {counted(cost.steps, 'step')}: {', '.join(volume)}."


def _model(run: Run, parameters: int | None) -> str:
    """``A llama of 131,968 parameters``, as far as it is known."""
    folder = run.newest_checkpoint()
    kind = run.object(f"checkpoints/{folder.name}/config.json").get("model_type") if folder is not None else None
    name = kind[:40] if isinstance(kind, str) and kind else "model"
    return f"A {name}" + (f" of {amount(parameters)} parameters" if parameters is not None else "")


def _way(run: Run) -> str:
    if run.stage != "rl":
        return BY.get(run.stage, "")
    preset, advantage = run.setting("algo", "preset"), run.setting("algo", "advantage")
    named = [
        each
        for each in (preset, f"advantage {advantage}" if isinstance(advantage, str) else None)
        if isinstance(each, str)
    ]
    return "by reinforcement learning" + (f" ({', '.join(named)})" if named else "")


def _task(run: Run) -> str:
    """The task, or where the documents are from."""
    name = run.setting("task", "name")
    if not isinstance(name, str):
        return "documents" if run.setting("data") is not None else "a task that is not known"
    path = run.setting("task", "path")
    return f"{name} ({Path(path).name})" if isinstance(path, str) else name


def _what_was_evaluated(run: Run) -> str:
    row = run.rows[-1] if run.rows else {}
    parts = []
    for task in tasks_in([row])[:1]:
        problems, samples = row.get(f"eval/{task}/problems"), row.get(f"eval/{task}/samples")
        if problems is not None and samples is not None:
            parts.append(
                f"{amount(problems)} problems of {task}, {amount(samples)} sampled answers and a greedy one each"
            )
    if row.get("eval/documents/loss") is not None:
        parts.append("held-out documents")
    return f"{run.config.get('model', 'A model that is not known')} was evaluated on {' and on '.join(parts) or 'a task that is not known'}."


# ----------------------------------------------------------------------------------------------- what changed


def what_changed(run: Run, beside: Beside | None = None) -> str:
    """The best measurement of change that the run has: evaluations beside it, while training, rewards, or losses."""
    if run.stage == "eval":
        return _what_was_found(run)
    found = _beside(beside or evaluations_beside(run)) or _while_training(run)
    learnt = _loss(run) if run.stage != "rl" else None if found else _reward(run)
    mode = None if found is not None and "P(" in found else _mode(run)
    sentences = [each for each in (found, learnt, mode) if each is not None]
    return "; ".join(sentences) + "." if sentences else "Nothing was measured that could have changed."


def _what_was_found(run: Run) -> str:
    row = run.rows[-1] if run.rows else {}
    parts = []
    for task in tasks_in([row])[:1]:
        for name, word in (("accuracy", "sampled answers are right"), ("greedy_accuracy", "greedy ones are")):
            if (share := share_in(row, f"eval/{task}/{name}")) is not None:
                parts.append(f"{shown(share)} of the {word}")
        for mode in modes_in([row], task):
            if (share := share_in(row, f"eval/{task}/mode/{mode}/probability")) is not None and mode != "direct":
                parts.append(f"P({mode}) is {shown(share)}")
    loss = row.get("eval/documents/perplexity")
    parts += [f"the perplexity of the documents is {loss:.4g}"] if loss is not None else []
    text = ", ".join(parts)
    return f"{text[0].upper()}{text[1:]} (95 % intervals)." if text else "Nothing was measured yet."


def _beside(found: Beside) -> str | None:
    """Accuracy, and the mode that grew most, by the evaluations before and after; None unless both are there and alike."""
    if not found.comparable or found.before is None or found.after is None:
        return None
    before, after = found.before.rows[-1], found.after.rows[-1]
    sides = found.answers
    for task in tasks_in([before, after])[:1]:
        old, new = share_in(before, f"eval/{task}/accuracy"), share_in(after, f"eval/{task}/accuracy")
        if old is None or new is None:
            return None
        paired = changed(shares(sides[0]), shares(sides[1]))
        how = "difference paired by problem" if paired is not None else "not the same problems"
        text = f"From before to after, accuracy on {task} {went(old, new, paired or difference(old, new))}, {how}"
        grown = _grown([before, after], task)
        if grown is None:
            return text
        mode, was, now = grown
        paired = changed(shares(sides[0], mode), shares(sides[1], mode))
        return f"{text}; P({mode}) {went(was, now, paired or difference(was, now))}"
    return None


def _while_training(run: Run) -> str | None:
    """Accuracy, and the mode that grew most, by the first and the last evaluation while training."""
    for task in tasks_in(run.rows)[:1]:
        ends = first_and_last(run.rows, f"eval/{task}/accuracy")
        if ends is None:
            return _only_evaluation(run.rows, task)
        (first, old), (last, new) = ends
        text = f"From the first evaluation (step {first}) to the last (step {last}), accuracy on {task} {went(old, new, difference(old, new))}"
        measured = [row for row in run.rows if share_in(row, f"eval/{task}/accuracy") is not None]
        grown = _grown([measured[0], measured[-1]], task)
        if grown is not None:
            mode, was, now = grown
            text += f"; P({mode}) {went(was, now, difference(was, now))}"
        return text
    return None


def _only_evaluation(rows: Sequence[Row], task: str) -> str | None:
    for row in rows:
        if (share := share_in(row, f"eval/{task}/accuracy")) is not None:
            return f"Accuracy on {task} was {shown(share)} at the only evaluation (step {row['step']:.0f}), so it has nothing to be compared with"
    return None


def _grown(rows: Sequence[Row], task: str) -> tuple[str, Interval, Interval] | None:
    """The mode whose probability grew most between two rows, with it before and after; None where there is only one mode."""
    found = []
    for mode in modes_in(rows, task):
        old, new = (share_in(row, f"eval/{task}/mode/{mode}/probability") for row in rows)
        if new is not None:
            # A mode that an evaluation never saw is not in its row: it had none of its problems, which count once each.
            never = (0.0, *wilson(0.0, rows[0].get(f"eval/{task}/problems") or 0.0))
            found.append((mode, old or never, new))
    return max(found, key=lambda each: each[2][0] - each[1][0]) if len(found) > 1 else None


def tenths(rows: Sequence[Row], name: str) -> tuple[Estimate, Estimate] | None:
    """A metric's mean over the first and over the last tenth of the steps that have it, each at least two; else None.

    The intervals are Student's over the steps, taken as independent.
    """
    values = [value for row in rows if (value := row.get(name)) is not None]
    count = max(2, len(values) // 10)
    return (t_interval(values[:count]), t_interval(values[-count:])) if len(values) >= 2 * count else None


def _over_tenths(rows: Sequence[Row], name: str, words: str, *, share: bool = False) -> str | None:
    """How a metric went over the steps, in words. share: it and its interval lie between 0 and 1."""
    ends = tenths(rows, name)
    if ends is None:
        return None
    least, most = (0.0, 1.0) if share else (-math.inf, math.inf)
    old, new = (
        (
            each.mean,
            each.mean if each.low is None else max(least, each.low),
            each.mean if each.high is None else min(most, each.high),
        )
        for each in ends
    )
    return f"{words} {went(old, new, difference(old, new, most=most))}, over the first and the last tenth of the steps"


def _reward(run: Run) -> str | None:
    return _over_tenths(run.rows, "reward/mean", "The mean reward of the rollouts")


def _mode(run: Run) -> str | None:
    """The mode whose share of the rollouts grew most."""
    found = modes_of(series_of(run)).shares  # 0 where a mode did not occur, which no row says
    rows: list[Row] = [dict(zip(found, values, strict=True)) for values in zip(*found.values(), strict=True)]
    ends = {mode: both for mode in found if (both := tenths(rows, mode)) is not None}
    if len(found) < 2 or not ends:
        return None
    mode = max(ends, key=lambda each: ends[each][1].mean - ends[each][0].mean)
    return _over_tenths(rows, mode, f"P({mode}) while training", share=True)


def _loss(run: Run) -> str | None:
    """Held-out perplexity, else the loss; of a stage that learns from documents."""
    name = "eval/documents/perplexity"
    known = [(row["step"] or 0, value) for row in run.rows if (value := row.get(name)) is not None]
    if len(known) > 1:
        (first, old), (last, new) = known[0], known[-1]
        return (
            f"the perplexity of held-out documents went from {old:.4g} (step {first:.0f}) to {new:.4g} (step {last:.0f}), "
            "each one number without an interval"
        )
    return _over_tenths(run.rows, "train/loss", "the training loss")


# -------------------------------------------------------------------------------------------- what went wrong


def what_went_wrong(run: Run) -> str:
    """What was noted, failed, cut off, lost or never measured; or that nothing was."""
    found = [*_noted(run), *_failed(run.rows)]
    if (left := unfinished(run)) is not None:
        found.append(left)
    if damaged := len(run.gaps or {}):
        found.append(f"{counted(damaged, 'file')} {'is' if damaged == 1 else 'are'} damaged")
    lacking = missing(run)
    found += [f"missing: {'; '.join(lacking)}"] if lacking else []
    if found:
        return f"What went wrong: {'; '.join(found)}."
    noted = " What was noted while it trained is no fault." if explanations(run) else ""
    return f"Nothing was flagged: no warnings, no failed updates or graders, nothing missing or damaged.{noted}"


def _noted(run: Run) -> list[str]:
    found = []
    if told := [each for each in explanations(run) if each.get("kind") not in NO_FAULT]:
        first: dict[str, int] = {}
        for each in told:
            first.setdefault(str(each.get("kind", "note"))[:40].replace("_", " "), each["step"])
        listed = ", ".join(f"{kind} from step {step}" for kind, step in list(first.items())[:4])
        found.append(f"{counted(len(told), 'note')} while it trained ({listed})")
    if warned := warnings(run):
        found.append(f"{counted(len(warned), 'warning')} before it began")
    return found


def _failed(rows: Sequence[Row]) -> list[str]:
    """Updates that were not applied, graders that failed, rollouts that ran out of tokens."""
    found = []
    if count := sum((row.get("train/nonfinite_steps") or 0) > 0 for row in rows):
        found.append(f"{counted(count, 'step')} with an update that was not finite and was not applied")
    ends = ("/timeout_fraction", "/error_fraction")
    worst = max(
        (
            value
            for row in rows
            for name, value in row.items()
            if value is not None and name.startswith("reward/") and name.endswith(ends)
        ),
        default=0.0,
    )
    if worst > 0:
        found.append(f"graders failed on up to {100 * worst:.1f} % of the samples of a step")
    cut = [value for row in rows if (value := row.get("rollout/truncated_fraction")) is not None]
    if not cut:  # an evaluation has them by task
        evaluated = (item for row in rows for item in row.items())
        cut = [
            v
            for name, v in evaluated
            if v is not None and name.startswith("eval/") and name.endswith("/truncated_fraction")
        ]
    if cut and fmean(cut) >= TRUNCATED:
        found.append(f"{100 * fmean(cut):.1f} % of the rollouts ran out of tokens")
    return found
