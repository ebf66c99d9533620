"""Rollouts to read: over time, the best, worst and most telling groups, what was paid and wrong, and the tokens of some."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from rlvr.report.attempts import NEEDED, as_json, attempts, pieces_by, studied, tokenizer_of
from rlvr.report.blocks import Block, Cell, Prose, Reader, Section, Table
from rlvr.report.runs import Run
from rlvr.report.wording import counted
from rlvr.statistics import spread

MOST_STEPS = 8
"""Steps whose files are read, beside those that were studied: a run may have thousands."""

MOST_STUDIED = 6
SHOWN_STEPS, SHOWN_ATTEMPTS, SHOWN_WRONG, READ = 5, 8, 8, 24
"""Steps that are drawn over time; attempts of a group; attempts that were paid and wrong; attempts that are read by token."""

LONGEST = 1_000
"""Characters of a text in a table."""

TOLD = ("question", "answer", "mode", "correct", "reward", "advantage", "completion", "stop_reason")
"""What tables tell of a rollout; what is known of its tokens would be too much to keep of every one."""

Record = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Group:
    """The rollouts of one problem in one step, by line of their file; never empty."""

    step: int
    rollouts: dict[int, Record]

    @property
    def first(self) -> Record:
        return next(iter(self.rollouts.values()))

    @property
    def right(self) -> float:
        """Share of right answers."""
        right: int = sum(record["correct"] for record in self.rollouts.values())
        return right / len(self.rollouts)

    @property
    def reward(self) -> float:
        """Mean reward."""
        total: float = sum(record["reward"] for record in self.rollouts.values())
        return total / len(self.rollouts)


def samples(run: Run) -> list[Section]:
    """The token view, then rollouts as tables; empty for a run without rollouts."""
    groups = {step: _groups(run, step) for step in looked_at(run)}
    groups = {step: found for step, found in groups.items() if found}
    if not groups:
        return []
    tables = [_over_time(groups), *_telling(groups), *_paid_and_wrong(groups)]
    saved = len(run.rollout_steps())
    said = f"Of {counted(saved, 'step')} whose rollouts were saved, {len(groups)} {'was' if len(groups) == 1 else 'were'} read."
    return [
        Section(name="tokens", title="Token by token", blocks=_readers(run, groups)),
        Section(name="samples", title="Rollouts to read", blocks=[Prose(text=said), *tables]),
    ]


def looked_at(run: Run) -> list[int]:
    """The steps whose rollouts are read: the first, the last, some evenly between, and the newest that were studied."""
    steps = run.rollout_steps()
    return sorted(set(spread(steps, MOST_STEPS)) | (set(run.study_steps()[-MOST_STUDIED:]) & set(steps)))


def _groups(run: Run, step: int) -> list[Group]:
    found: dict[tuple[Any, ...], dict[int, Record]] = defaultdict(dict)
    for line, record in run.numbered_rollouts(step, NEEDED).items():
        key = record.get("task"), record["index"], bool(record.get("greedy"))
        found[key][line] = {name: record.get(name) for name in TOLD}
    return [Group(step=step, rollouts=rollouts) for rollouts in found.values()]


# ------------------------------------------------------------------------------------------------ tables


def _over_time(groups: dict[int, list[Group]]) -> Table:
    """One rollout of a few steps, of a problem that all have if there is one: of its group's most frequent mode."""
    steps = spread(list(groups), SHOWN_STEPS)
    common = set.intersection(*({group.first["question"] for group in groups[step]} for step in steps))
    question = next((group.first["question"] for group in groups[steps[0]] if group.first["question"] in common), None)
    chosen = [
        next((group for group in groups[step] if group.first["question"] == question), groups[step][0])
        for step in steps
    ]
    rows: list[list[Cell]] = [[str(group.step), *_cells(group, _usual(group))] for group in chosen]
    what = "the same problem" if question is not None and len(steps) > 1 else "the first problem of each step"
    return Table(
        columns=["step", *COLUMNS], rows=rows, caption=f"Over time: {what}, a rollout of its group's usual mode."
    )


COLUMNS = ["question", "gold answer", "mode", "verdict", "reward", "advantage", "completion"]


def _usual(group: Group) -> Record:
    """The first rollout of the mode that most of the group's are of."""
    modes = [record["mode"] for record in group.rollouts.values()]
    return next(record for record in group.rollouts.values() if record["mode"] == max(modes, key=modes.count))


def _cells(group: Group, record: Record) -> list[Cell]:
    return [_cut(group.first["question"]), _cut(group.first["answer"]), *_attempt(record)]


def _attempt(record: Record) -> list[Cell]:
    advantage = record["advantage"]
    return [
        _cut(record["mode"]),
        "right" if record["correct"] else "wrong",
        f"{record['reward']:.3g}",
        "–" if advantage is None else f"{advantage:+.3g}",
        _cut(record["completion"]) + (" … (out of tokens)" if record["stop_reason"] == "length" else ""),
    ]


def _telling(groups: dict[int, list[Group]]) -> Iterator[Block]:
    """The best and the worst group of the last step, and of all steps the most telling: its share of right answers is nearest to a half."""
    sampled = {step: [group for group in own if len(group.rollouts) > 1] for step, own in groups.items()}
    last = sampled[max(sampled)]
    if not last:
        return
    best, worst = (end(last, key=lambda group: (group.reward, group.right)) for end in (max, min))
    yield from [_of_group("Best", best), _of_group("Worst", worst)] if best is not worst else [_of_group("First", best)]
    telling = min((group for own in sampled.values() for group in own), key=lambda group: abs(group.right - 0.5))
    if telling.right in (0.0, 1.0):
        yield Prose(
            text="Every group that was read is all right or all wrong, so none of them teaches by comparison.",
        )
    else:
        yield _of_group("Most telling", telling)


def _of_group(kind: str, group: Group) -> Table:
    right = f"{sum(record['correct'] for record in group.rollouts.values())} of {len(group.rollouts)} right"
    caption = (
        f"{kind} group of step {group.step}: {_cut(group.first['question'])} (gold answer {_cut(group.first['answer'])}; {right}, "
        f"mean reward {group.reward:.3g})."
    )
    rows: list[list[Cell]] = [_attempt(record) for record in list(group.rollouts.values())[:SHOWN_ATTEMPTS]]
    return Table(columns=COLUMNS[2:], rows=rows, caption=caption)


def _paid_and_wrong(groups: dict[int, list[Group]]) -> Iterator[Block]:
    """Wrong answers that were paid as much as a right one of the same step, or as the true verdict would not have paid them."""
    found: list[list[Cell]] = [
        [str(step), *_cells(group, record)]
        for step, own in groups.items()
        for group in own
        for record in group.rollouts.values()
        if not record["correct"] and record["reward"] > 0 and record["reward"] >= _full_marks(own)
    ]
    if found:
        caption = (
            f"Wrong, and paid as a right answer: {counted(len(found), 'rollout')} of the steps that were read"
            f"{f', the first {SHOWN_WRONG} of them' if len(found) > SHOWN_WRONG else ''}. Such rewards teach what they pay."
        )
        yield Table(columns=["step", *COLUMNS], rows=found[:SHOWN_WRONG], caption=caption)


def _full_marks(groups: Iterable[Group]) -> float:
    """The least that a right answer was paid; more than anything where none was right."""
    paid = [record["reward"] for group in groups for record in group.rollouts.values() if record["correct"]]
    return min(paid, default=float("inf"))


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} … ({len(text):,} characters)"


# ------------------------------------------------------------------------------------------------ tokens


def _readers(run: Run, groups: dict[int, list[Group]]) -> list[Block]:
    chosen = _chosen(run, groups)
    tokenizer = tokenizer_of(run)
    pieces = pieces_by(tokenizer)
    found = [as_json(each) for step, lines in chosen.items() for each in attempts(run, step, pieces, lines)]
    blocks: list[Block] = [Reader(title="Rollouts token by token", attempts=found)]
    if not any(each["study"] for each in found):
        text = f"No rollout was studied: rlvr study {run.path} adds the alternatives at each token, its change since an earlier checkpoint, and where the answer was decided."
        blocks.insert(0, Prose(text=text, kind="gap"))
    if tokenizer is None:
        text = (
            "No tokenizer was found, neither in its checkpoints nor with its model: tokens are shown as their numbers."
        )
        blocks.insert(0, Prose(text=text, kind="gap"))
    return blocks


def _chosen(run: Run, groups: dict[int, list[Group]]) -> dict[int, list[int]]:
    """By step the lines to read: those that were studied, then of each step a right and a wrong rollout in turn, of the rarest mode first."""
    chosen: dict[int, list[int]] = {step: [*studied(run, step)] for step in groups}
    left = READ - sum(map(len, chosen.values()))
    for step, own in groups.items():
        lines = {line: record for group in own for line, record in group.rollouts.items() if line not in chosen[step]}
        modes = [record["mode"] for record in lines.values()]
        count = {mode: modes.count(mode) for mode in set(modes)}
        by_verdict = [
            sorted(
                (line for line in lines if lines[line]["correct"] is right),
                key=lambda line: (count[lines[line]["mode"]], line),
            )
            for right in (True, False)
        ]
        share = max(0, -(-left // len(groups)))
        wanted = [line for pair in zip(*by_verdict, strict=False) for line in pair] or by_verdict[0] or by_verdict[1]
        chosen[step] += wanted[:share]
    return {step: lines for step, lines in chosen.items() if lines}
