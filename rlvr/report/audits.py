"""Audits for the terminal."""

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from rlvr.audit.probing import AuditResult, Family, Outcome
from rlvr.audit.rates import Rate, shortened
from rlvr.audit.rescoring import Changes, RescoreResult
from rlvr.runtime.literal import printable
from rlvr.tasks.task import name_of

EXAMPLE = 100
"""Characters of a response that are shown."""
MEANINGS = {
    "fail": "wrong answers that are paid (fp)",
    "pass": "right answers that are refused (fn)",
}


def audit_view(result: AuditResult) -> RenderableType:
    """The rates, those of each family with mistakes, and the worst offenders."""
    parts: list[RenderableType] = [_table(result)]
    if clean := dict.fromkeys(f.name for f in result.families if f.side != "rule" and not _has_mistakes(f)):
        parts.append(Text(f"without a mistake: {', '.join(clean)}"))
    if result.stopped:
        parts.append(Text("\nended early: the reward's function timed out too often; the rates are of what was tried"))
    if result.by_rule:
        parts.append(
            Text(
                f"\n{result.by_rule} hedges were paid by a documented rule and count for neither rate: what takes the last number, or the "
                "last word, pays a hedge that ends in the right one. reward: math refuses hedges."
            )
        )
    if result.offenders:
        parts += [Text("\nworst offenders, one of each kind", style="bold"), *_examples(result)]
    return Group(*parts)


def _table(result: AuditResult) -> Table:
    own = result.reward.get("own", {})
    names = ", ".join(f"own ({own['file']}: {own['function']})" if name == "own" else name for name in result.reward)
    title = f"audit of {names} on {result.problems} problems of {result.task} ({result.split})"
    table = Table(title=Text(printable(title)), title_justify="left")
    for column in ("", "probes", "mistakes", "rate (95 % interval)", "errors", "timeouts"):
        table.add_column(column, justify="left" if not column else "right")
    for side, whole in (("fail", result.fp), ("pass", result.fn)):
        families = [family for family in result.families if family.side == side]
        errors, timeouts = sum(family.errors for family in families), sum(family.timeouts for family in families)
        table.add_row(Text(MEANINGS[side], style="bold"), *_cells(whole), str(errors), str(timeouts))
        for family in families:
            if _has_mistakes(family):
                table.add_row(f"  {family.name}", *_cells(family.rate), str(family.errors), str(family.timeouts))
    return table


def _has_mistakes(family: Family) -> bool:
    return bool(family.rate.wrong or family.errors or family.timeouts)


def _cells(rate: Rate) -> tuple[str, str, str]:
    return str(rate.count), str(rate.wrong), share_text(rate)


def share_text(rate: Rate) -> str:
    """A share with its interval.

    >>> share_text(Rate(count=4, wrong=1, share=0.25, low=0.05, high=0.7))
    '0.2500 [0.0500, 0.7000]'
    """
    return "–" if rate.share is None else f"{rate.share:.4f} [{rate.low:.4f}, {rate.high:.4f}]"


def _examples(result: AuditResult) -> Iterator[Text]:
    for outcome in result.offenders:
        yield Text(f"{_verb(outcome)}: {outcome.probe.family}", style="red")
        yield Text(printable(f"  {name_of(outcome.problem)}, gold answer {shortened(outcome.problem.answer, 60)!r}"))
        reasons = ", ".join(f"{name}: {reason}" for name, reason in outcome.reasons.items()) or "no component applies"
        of = "" if outcome.gold_paid is None else f" of {outcome.gold_paid:g}"
        yield Text(
            printable(f"  {shortened(outcome.probe.response, EXAMPLE)!r} was paid {outcome.paid:g}{of} ({reasons})")
        )


def _verb(outcome: Outcome) -> str:
    if not outcome.wrong:
        return f"{outcome.broke} of the grader"
    return "refused" if outcome.side == "pass" else "paid"


def rescore_view(result: RescoreResult) -> RenderableType:
    """What changed, step by step, and the rollouts whose rewards moved furthest."""
    parts: list[RenderableType] = [_changes_table(result)]
    for name, moves in result.components.items():
        listed = ", ".join(f"{count} {move}" for move, count in moves.most_common() if move != "changed")
        parts.append(
            Text(printable(f"{name}: {moves['changed']} verdicts changed" + (f"; {listed}" if listed else "")))
        )
    if result.errors or result.timeouts:
        parts.append(Text(f"the graders failed on {result.errors} rollouts and timed out on {result.timeouts}"))
    if result.noise:
        parts.append(Text("the run's reward had noise: recorded and present verdicts are compared without it"))
    if result.without_metadata:
        parts.append(Text(f"{result.without_metadata} rollouts were saved without their problem's metadata"))
    if result.offenders:
        parts.append(Text("\nlargest changes, one a question", style="bold"))
    for each in result.offenders:
        head = (
            f"step {each.step}, problem {each.index} ({each.question[:60]!r}), gold answer {shortened(each.gold, 60)!r}"
        )
        parts.append(Text(printable(head)))
        moved = f"was paid {each.was_paid:g}, now {each.now_paid:g}"
        if each.was_advantage is not None and each.now_advantage is not None:
            moved += f"; advantage {each.was_advantage:+.3f}, now {each.now_advantage:+.3f}"
        parts.append(Text(printable(f"  {shortened(each.completion, EXAMPLE)!r} {moved}")))
    return Group(*parts)


def _changes_table(result: RescoreResult) -> Table:
    table = Table(title=Text(printable(f"{result.run}: saved rollouts graded again")), title_justify="left")
    for column in ("step", "rollouts", "right → wrong", "wrong → right", "|Δ reward|", "|Δ advantage|", "sign changed"):
        table.add_column(column, justify="right")
    for step, changes in result.steps.items():
        table.add_row(str(step), *_changes_cells(changes))
    table.add_section()
    table.add_row("all", *_changes_cells(result.changes))
    table.caption = Text(
        "Taking the present reward as the truth, the recorded verdicts have "
        f"fp {share_text(result.fp)} and fn {share_text(result.fn)}."
    )
    table.caption_justify = "left"
    return table


def _changes_cells(changes: Changes) -> tuple[str, ...]:
    advantage = "–"
    if changes.advantage_mean is not None and changes.advantage_max is not None:
        advantage = f"{changes.advantage_mean:.3g}, max {changes.advantage_max:.3g}"
    signs = changes.sign_changed
    return (
        str(changes.rollouts),
        f"{changes.right_to_wrong.wrong} ({changes.right_to_wrong.share or 0:.2%})",
        f"{changes.wrong_to_right.wrong} ({changes.wrong_to_right.share or 0:.2%})",
        f"{changes.reward_mean:.3g}, max {changes.reward_max:.3g}",
        advantage,
        "–" if signs.share is None else f"{signs.wrong} of {signs.count} groups",
    )
