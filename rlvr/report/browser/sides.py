"""One problem at two steps, side by side."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.widget import Widget
from textual.widgets import Static

from rlvr.errors import RlvrError
from rlvr.report.browser.desk import Desk
from rlvr.report.browser.page import Page
from rlvr.report.choosing import Group, Place, Step, groups_of, likeliest, lines_of, open_step, places, same_problem
from rlvr.report.rollouts_text import one_line, side_text, side_title

MOST_READ = 12
"""Files that are looked into for the problem before it is left to the reader to choose a step."""


class Sides(Page):
    """All rollouts of a problem at a step, and at another step or in another run."""

    KEYS = "↑↓ scroll, tab other side"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right_square_bracket,n", "turn(1)", "next step", key_display="]"),
        Binding("left_square_bracket,p", "turn(-1)", "step before", key_display="["),
    ]

    def __init__(self, desk: Desk, step: Step, index: int) -> None:
        super().__init__()
        self.desk, self.step = desk, step
        self.group = groups_of(step.records, lines_of(step.records, index))[0]
        self.places = places(step, desk.runs)
        self.at = 0

    def middle(self) -> Iterable[Widget]:
        """Two columns."""
        with Horizontal():
            with VerticalScroll(id="here"):
                yield Static(id="left")
            with VerticalScroll(id="there"):
                yield Static(id="right")

    def on_mount(self) -> None:
        """Begin with the step that was asked for, else with the likeliest that has the problem."""
        super().on_mount()
        self._fill("left", self.step, self.group)
        asked = [place for place in self.places if place == (self.step.run, self.desk.against)]
        tried = (asked or likeliest(self.step, self.places))[:MOST_READ]
        if not tried:
            self._say("there is no other step to compare with")
            return
        found = next((place for place in tried if self._has(place)), tried[0])
        self.at = self.places.index(found)
        self._show()

    def _has(self, place: Place) -> bool:
        try:
            return same_problem(open_step(*place), self.group) is not None
        except RlvrError:
            return False

    def _show(self) -> None:
        run, number = self.places[self.at]
        try:
            other = open_step(run, number)
        except RlvrError as error:
            self._say(str(error))
            return
        there = same_problem(other, self.group)
        self._say(f"beside {run.path} step {number} ({self.at + 1} of {len(self.places)})")
        if there is None:
            text = (
                f"{run.path.name} step {number} does not have problem {self.group.index}; [ and ] turn to another step"
            )
            self.query_one("#right", Static).update(Text(one_line(text)))
        else:
            self._fill("right", other, there)

    def _fill(self, side: str, step: Step, group: Group) -> None:
        text = Text(one_line(side_title(step, group)), "bold").append("\n").append_text(side_text(step, group))
        self.query_one(f"#{side}", Static).update(text)

    def _say(self, text: str) -> None:
        question = f"[{self.group.index}] {self.group.question}   gold answer: {self.group.answer}"
        self.place(one_line(text, 400), Text(one_line(question), "bold"))

    def action_turn(self, by: int) -> None:
        """Another step beside this one."""
        if self.places:
            self.at = (self.at + by) % len(self.places)
            self._show()
