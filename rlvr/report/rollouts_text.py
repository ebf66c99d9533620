"""Rollouts as plain text: to read, token by token, and those of one problem at two steps side by side."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group as Stacked
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from rlvr.errors import RlvrError
from rlvr.report.attempts import pieces_of
from rlvr.report.choosing import Choice, Group, Record, Step, chosen, filters_for, groups_of, open_step, same_problem
from rlvr.report.runs import Run
from rlvr.report.tokens_text import (
    QUANTITIES,
    TokenView,
    laid_out,
    notes,
    painted,
    read_tokens,
    scale_of,
    token_view,
    values_of,
)
from rlvr.runtime.literal import printable

LONGEST = 2_000
"""Characters of one text where there is little room for it."""


def opened(runs: Sequence[Run], step: int | None) -> list[Step]:
    """A step of each run that has it, or each run's last. RlvrError if a step is asked for that none of the runs has."""
    having = [run for run in runs if (step in run.rollout_steps() if step is not None else run.rollout_steps())]
    if step is not None and not having:
        runs[0].rollouts(step)
    return [open_step(run, run.rollout_steps()[-1] if step is None else step) for run in having]


def cut(text: str, most: int = LONGEST) -> str:
    """A text without what could do something to a terminal; what is too long is cut, and says so."""
    return printable(text[:most]) + (f" … (cut: {len(text):,} characters)" if len(text) > most else "")


def one_line(text: str, most: int = 200) -> str:
    """A text on one line."""
    return cut(text, most).replace("\n", "⏎")


def verdict(record: Record) -> str:
    """Whether a rollout is right, its mode, what it earned and how long it is, on one line."""
    advantage = "" if record.get("advantage") is None else f" advantage {record['advantage']:+.3f}"
    mark = "right" if record["correct"] else "wrong"
    head = f"{mark:5} {record['mode']:8} {'greedy ' if record.get('greedy') else ''}reward {record['reward']:.2f}{advantage} {len(record['token_ids'])} tokens"
    return printable(head).replace("\n", " ")


def verdict_mark(record: Record) -> Text:
    """Right or wrong, by a sign, a word and a colour."""
    return Text("✓ right", "green") if record["correct"] else Text("✗ wrong", "red")


def attempt_text(record: Record, most: int | None = None) -> Text:
    """A rollout to read: what it earned, and what it says. most: characters of it; None for all of them."""
    completion = printable(record["completion"]) if most is None else cut(record["completion"], most)
    return Text.assemble(
        (f"  {verdict(record)} | ", "green" if record["correct"] else "red"), completion.replace("\n", "\n    ")
    )


def question_text(group: Group, most: int = LONGEST) -> Text:
    """A problem and its gold answer, cut where they are long."""
    return Text(f"[{group.index}] {cut(group.question, most)}   gold answer: {cut(group.answer, most)}", style="bold")


def _question(group: Group) -> Text:
    return Text(printable(f"\n[{group.index}] {group.question}   gold answer: {group.answer}"), style="bold")


def _heading(step: Step, lines: Sequence[int], choice: Choice) -> Text:
    words, count = choice.words(), len(step.records)
    of = f", {len(lines) or 'none'} of them {words}" if words else ""
    return Text(printable(f"{step.run.path}, step {step.number}: {count} rollouts{of}"))


def _lines(step: Step, choice: Choice) -> list[int]:
    if choice.only is not None and choice.only not in filters_for(step.records):
        raise RlvrError(
            f"--only {choice.only}",
            f"needs the entropies of tokens, which the rollouts of {step.run.path}, step {step.number} do not have",
            remedy="an older version wrote them; choose another filter",
        )
    return chosen(step.records, choice)


def rollouts_view(step: Step, choice: Choice, count: int) -> RenderableType:
    """The chosen rollouts of at most ``count`` problems of a step, below their questions."""
    lines = _lines(step, choice)
    blocks: list[RenderableType] = [_heading(step, lines, choice)]
    for group in groups_of(step.records, lines)[:count]:
        blocks += [_question(group), *(attempt_text(step.records[line]) for line in group.lines)]
    return Stacked(*blocks)


def tokens_view(step: Step, choice: Choice, count: int, name: str, width: int) -> RenderableType:
    """The same rollouts token by token, coloured by a quantity. RlvrError if none of them has it."""
    lines = _lines(step, choice)
    groups = groups_of(step.records, lines)[:count]
    shown = [line for group in groups for line in group.lines]
    attempts = dict(zip(shown, read_tokens(step, shown, pieces_of(step.run)), strict=True))
    scale = scale_of(name, list(attempts.values()))
    if attempts and scale is None:
        having = {each for attempt in attempts.values() for each in values_of(attempt)}
        raise RlvrError(
            f"--tokens of {step.run.path}, step {step.number}",
            "was not recorded of these rollouts",
            got=name,
            allowed=", ".join(each for each in QUANTITIES if each in having),
            remedy=f"rlvr study {step.run.path} adds change and ratio",
        )
    blocks: list[RenderableType] = [_heading(step, lines, choice), *([scale.legend()] if scale else [])]
    for group in groups:
        blocks += [_question(group), *(_tokens(token_view(attempts[line], name, scale), width) for line in group.lines)]
    return Stacked(*blocks)


def _tokens(view: TokenView, width: int) -> RenderableType:
    head = Text(f"  {verdict(view.attempt.record)}{'' if view.scale else ' (not known)'}")
    rows = [row for line in laid_out(view, width) for row in painted(view, line)]
    return Stacked(head, *notes(view), *rows)


def sides_view(step: Step, other: Step, choice: Choice, count: int) -> list[RenderableType]:
    """Problems of a step beside themselves at another step: two columns."""
    lines = _lines(step, choice)
    pairs = [(group, same_problem(other, group)) for group in groups_of(step.records, lines)]
    both = [(group, there) for group, there in pairs if there is not None]
    blocks: list[RenderableType] = [
        _heading(step, lines, choice),
        Text(f"{len(both)} of their {len(pairs)} problems are among those of step {other.number} too"),
    ]
    for group, there in both[:count]:
        table = Table(title=_question(group), title_justify="left", expand=True, show_lines=False)
        for side, of in ((step, group), (other, there)):
            table.add_column(Text(printable(side_title(side, of))), ratio=1)
        table.add_row(side_text(step, group), side_text(other, there))
        blocks.append(table)
    return blocks


def side_title(step: Step, group: Group) -> str:
    """Where a side is from, and how it fared."""
    return f"{step.run.path.name} step {step.number}: {group.right} of {group.count} right, reward {group.reward:.2f}"


def side_text(step: Step, group: Group) -> Text:
    """Rollouts of a problem in a column."""
    texts = [attempt_text(step.records[line], LONGEST) for line in group.lines]
    return Text("\n", overflow="fold").join(texts)
