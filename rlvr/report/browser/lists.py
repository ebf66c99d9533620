"""The lists: runs, the problems of a step, the rollouts of a problem."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import ClassVar

from rich.console import Group as Stacked
from rich.text import Text
from textual.binding import Binding, BindingType
from textual.widget import Widget
from textual.widgets import DataTable, Input

from rlvr.errors import RlvrError
from rlvr.report.browser.desk import Desk
from rlvr.report.browser.forks import Forks
from rlvr.report.browser.page import Listed
from rlvr.report.browser.sides import Sides
from rlvr.report.browser.tokens import Tokens
from rlvr.report.choosing import (
    Group,
    Record,
    Step,
    chosen,
    filters_for,
    groups_of,
    lines_of,
    modes_in,
    open_step,
    same_problem,
    uncertainty,
)
from rlvr.report.rollouts_text import attempt_text, one_line, question_text, verdict_mark
from rlvr.report.runs import Run
from rlvr.report.terminal import run_views
from rlvr.runtime.literal import printable
from rlvr.runtime.progress import summary

NONE = "this run has no rollouts to read: they are written by rlvr rl and rlvr eval"


class Runs(Listed):
    """The runs, and below what the chosen one says apart from its rollouts."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self.desk = desk

    def on_mount(self) -> None:
        """One row a run."""
        super().on_mount()
        self.place(f"{len(self.desk.runs)} runs" if len(self.desk.runs) > 1 else "1 run")
        rows = [
            {
                "run": one_line(str(run.path)),
                "stage": run.stage,
                "rollouts of steps": _steps(run),
                "its last row": one_line(summary(run.rows[-1])) if run.rows else None,
            }
            for run in self.desk.runs
        ]
        self.fill(rows)

    def show_row(self, row: int) -> None:
        """Its views as text."""
        run = self.desk.runs[row]
        missing = [] if run.rollout_steps() else [Text(NONE)]
        self.about(Stacked(*missing, *run_views([run])))

    def open_row(self, row: int) -> None:
        """The problems of its last step."""
        run = self.desk.runs[row]
        steps = run.rollout_steps()
        if not steps:
            self.place(NONE)
            return
        try:
            step = open_step(run, self.desk.step if self.desk.step in steps else steps[-1])
        except RlvrError as error:
            self.place(printable(str(error)))
            return
        self.app.push_screen(Problems(self.desk, step))


def _steps(run: Run) -> str:
    steps = run.rollout_steps()
    return f"{steps[0]} to {steps[-1]}" if len(steps) > 1 else "".join(map(str, steps)) or "none"


class Chosen(Listed):
    """A list of a step's rollouts in some form, which keys choose from."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("F", "forks", "top forks"),
        Binding("slash", "search", "search", key_display="/"),
        Binding("m", "mode", "mode"),
        Binding("f", "filter", "filter"),
        Binding("x", "everything", "show all"),
        Binding("c", "compare", "compare steps"),
        Binding("right_square_bracket,n", "step(1)", "next step", key_display="]"),
        Binding("left_square_bracket,p", "step(-1)", "step before", key_display="["),
    ]

    def __init__(self, desk: Desk, step: Step) -> None:
        super().__init__()
        self.desk, self.step, self.studied = desk, step, desk.studied(step)
        self.groups: list[Group] = []

    def middle(self) -> Iterable[Widget]:
        """The list, and a line to type in what is searched for."""
        yield from super().middle()
        yield Input(placeholder="words in question or completion; enter searches, escape leaves", id="search")

    def on_mount(self) -> None:
        """Draw."""
        super().on_mount()
        self.query_one(Input).display = False
        self.draw()

    def on_screen_resume(self) -> None:
        """Whatever was chosen on the screen above holds here too."""
        if self.is_mounted and self.groups:
            self.draw(self.row)

    def draw(self, cursor: int = 0, said: str = "") -> None:
        """Fill the list with what the choice lets through. said: a line of its own."""
        choice, steps = self.desk.choice, self.step.run.rollout_steps()
        lines = chosen(self.step.records, choice)
        self.groups = groups_of(self.step.records, lines)
        number = f" ({steps.index(self.step.number) + 1} of {len(steps)})" if self.step.number in steps else ""
        words = f", {len(lines)} shown: {choice.words()}" if choice.words() else ""
        head = f"{self.step.run.path}  step {self.step.number}{number}: {len(self.step.records)} rollouts{words}"
        self.place(*(one_line(line, 400) for line in (head, said) if line))
        self.draw_rows(cursor)
        if not self.query_one(DataTable).row_count:
            self.about(Text("nothing here passes what was asked for; x shows all"))

    @abstractmethod
    def draw_rows(self, cursor: int) -> None:
        """Fill the table."""

    @abstractmethod
    def group(self) -> Group | None:
        """The problem under the cursor."""

    def action_filter(self) -> None:
        """The next filter, after the last none."""
        names = [None, *filters_for(self.step.records)]
        self._choose(only=_after(names, self.desk.choice.only))

    def action_mode(self) -> None:
        """The next mode, after the last all."""
        self._choose(mode=_after([None, *modes_in(self.step.records)], self.desk.choice.mode))

    def action_everything(self) -> None:
        """No filter, mode, search or problem."""
        self._choose(only=None, mode=None, search="", problem=None)

    def _choose(self, **changed: object) -> None:
        self.desk.choice = replace(self.desk.choice, **changed)  # type: ignore[arg-type]
        self.draw()

    def action_search(self) -> None:
        """Ask for words."""
        line = self.query_one(Input)
        line.value, line.display = self.desk.choice.search, True
        line.focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Search for them."""
        self._leave_search()
        self._choose(search=event.value)

    def _leave_search(self) -> None:
        self.query_one(Input).display = False
        self.query_one(DataTable).focus()

    def action_back(self) -> None:
        """Leave the line to type in, or the screen."""
        if self.query_one(Input).display:
            self._leave_search()
        else:
            super().action_back()

    def action_step(self, by: int) -> None:
        """The next step, or the one before."""
        run, steps = self.step.run, self.step.run.rollout_steps()
        further = [number for number in steps if (number > self.step.number) == (by > 0) and number != self.step.number]
        if not further:
            self.draw(self.row, "there is no further step")
            return
        try:
            step = open_step(run, further[0] if by > 0 else further[-1])
        except RlvrError as error:
            self.draw(self.row, str(error))
            return
        self.turn_to(step)

    def turn_to(self, step: Step) -> None:
        """Show another step."""
        self.step, self.studied = step, self.desk.studied(step)
        self.draw()

    def action_compare(self) -> None:
        """The problem under the cursor beside itself at another step."""
        group = self.group()
        if group is not None:
            self.app.push_screen(Sides(self.desk, self.step, group.index))

    def action_forks(self) -> None:
        """The top forks of the run."""
        self.app.push_screen(Forks(self.step.run))


def _after(names: Sequence[str | None], name: str | None) -> str | None:
    return names[(names.index(name) + 1) % len(names)] if name in names else None


class Problems(Chosen):
    """The problems of a step."""

    def draw_rows(self, cursor: int) -> None:
        """One row a problem."""
        rows = [
            {
                "problem": str(group.index),
                "studied": "yes" if not self.studied.isdisjoint(group.lines) else None,
                "right": f"{group.right}/{group.count}",
                "reward": f"{group.reward:.2f}",
                "modes": one_line(" ".join(f"{mode} {count}" for mode, count in group.modes.items()), 40),
                "gold": one_line(group.answer, 12),
                "question": one_line(group.question),
            }
            for group in self.groups
        ]
        self.fill(rows, cursor)

    def group(self) -> Group | None:
        """The problem under the cursor."""
        return self.groups[self.row] if self.groups else None

    def show_row(self, row: int) -> None:
        """Its question and gold answer, and what was tried first."""
        group = self.groups[row]
        self.about(question_text(group).append("\n").append_text(attempt_text(self.step.records[group.lines[0]], 1000)))

    def open_row(self, row: int) -> None:
        """Its rollouts."""
        self.app.push_screen(Rollouts(self.desk, self.step, self.groups[row].index))


class Rollouts(Chosen):
    """The rollouts of a problem."""

    def __init__(self, desk: Desk, step: Step, index: int) -> None:
        super().__init__(desk, step)
        self.index = index

    def group(self) -> Group | None:
        """The problem they are of, with those of its lines that were chosen."""
        return next((group for group in self.groups if group.index == self.index), None)

    def draw_rows(self, cursor: int) -> None:
        """One row a rollout."""
        group = self.group()
        rows = [_row(self.step.records[line], line in self.studied) for line in (group.lines if group else [])]
        self.fill(rows, cursor)

    def show_row(self, row: int) -> None:
        """The question and what was said."""
        group = self.group()
        if group is not None:
            record = self.step.records[group.lines[row]]
            self.about(question_text(group).append("\n").append_text(attempt_text(record, 10_000)))

    def open_row(self, row: int) -> None:
        """The rollout token by token."""
        group = self.group()
        if group is not None:
            self.app.push_screen(Tokens(self.desk, self.step, group.lines, row))

    def turn_to(self, step: Step) -> None:
        """The same problem at another step, if it is one of its problems."""
        before = groups_of(self.step.records, lines_of(self.step.records, self.index))[0]
        if same_problem(step, before) is None:
            self.draw(self.row, f"problem {self.index} is not among those of step {step.number}")
            return
        super().turn_to(step)


def _row(record: Record, studied: bool) -> dict[str, str | Text | None]:
    advantage, entropy = record.get("advantage"), uncertainty(record)
    return {
        "verdict": verdict_mark(record),
        "reward": f"{record['reward']:.2f}",
        "advantage": None if advantage is None else f"{advantage:+.3f}",
        "mode": one_line(record["mode"], 12),
        "tokens": str(len(record["token_ids"])),
        "studied": "yes" if studied else None,
        "entropy": None if entropy is None else f"{entropy:.3f}",
        "completion": one_line(record["completion"]),
    }


def opened_at(desk: Desk) -> list[Listed]:
    """The screens to begin with: the runs, and the problems of a single run that has rollouts. RlvrError as ``open_step`` says."""
    first: list[Listed] = [Runs(desk)]
    run = desk.runs[0]
    steps = run.rollout_steps()
    if len(desk.runs) == 1 and steps:
        first.append(Problems(desk, open_step(run, steps[-1] if desk.step is None else desk.step)))
    return first
