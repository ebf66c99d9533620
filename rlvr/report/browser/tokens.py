"""One rollout token by token, with everything that is known of the token under the cursor."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.containers import Container, VerticalScroll
from textual.events import Click, Resize
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Static

from rlvr.errors import RlvrError
from rlvr.report.attempts import Attempt
from rlvr.report.browser.desk import Desk
from rlvr.report.browser.page import Page
from rlvr.report.choosing import Step
from rlvr.report.rollouts_text import one_line, verdict
from rlvr.report.token_facts import facts
from rlvr.report.tokens_text import (
    MOST_TOKENS,
    Part,
    TokenView,
    height_of,
    laid_out,
    notes,
    painted,
    scale_of,
    token_view,
    values_of,
)
from rlvr.runtime.literal import printable

BAR = 2
"""Columns that are kept for the bar to scroll with."""


class TokenLines(ScrollView, can_focus=True):
    """The tokens in lines. Only lines on the screen are drawn, however long the rollout is."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "move(-1)", show=False),
        Binding("right", "move(1)", show=False),
        Binding("up", "move_line(-1)", show=False),
        Binding("down", "move_line(1)", show=False),
        Binding("home", "move(-1000000000)", show=False),
        Binding("end", "move(1000000000)", show=False),
    ]

    class Moved(Message):
        """The cursor is on another token."""

    def __init__(self) -> None:
        super().__init__(id="tokens")
        self.view: TokenView | None = None
        self.lines: list[list[Part]] = []
        self.line_of: list[int] = []
        self.cursor = 0

    def show(self, view: TokenView) -> None:
        """Draw a rollout; the cursor stays where it is."""
        self.view = view
        self.cursor = max(0, min(self.cursor, self._count() - 1))
        self._lay_out()

    def _count(self) -> int:
        return 0 if self.view is None else min(len(self.view.texts), MOST_TOKENS)

    def on_resize(self, event: Resize) -> None:
        """Lines are as long as there is room."""
        self._lay_out()

    def _lay_out(self) -> None:
        if self.view is None or not self.size.width:
            return
        self.lines = laid_out(self.view, max(8, self.size.width - BAR))
        self.line_of = [0] * self._count()
        for number, line in reversed(list(enumerate(self.lines))):
            for part in line:
                self.line_of[part.token] = number
        self.virtual_size = Size(self.size.width - BAR, len(self.lines) * height_of(self.view))
        self._follow()

    def _follow(self) -> None:
        """Scroll to the cursor."""
        self.refresh()
        if self.view is None or not self.line_of:
            return
        height = height_of(self.view)
        top, room = self.line_of[self.cursor] * height, self.size.height
        if top < self.scroll_offset.y or top + height > self.scroll_offset.y + room:
            self.scroll_to(y=max(0, top - room // 2), animate=False)

    def render_line(self, y: int) -> Strip:
        """A row of the screen."""
        if self.view is None:
            return Strip.blank(self.size.width)
        number, row = divmod(y + self.scroll_offset.y, height_of(self.view))
        if number >= len(self.lines):
            return Strip.blank(self.size.width, self.rich_style)
        text = painted(self.view, self.lines[number], self.cursor)[row]
        segments = list(text.render(self.app.console))
        return Strip(segments).apply_style(self.rich_style).adjust_cell_length(self.size.width, self.rich_style)

    def _move_to(self, token: int) -> None:
        if self._count():
            self.cursor = max(0, min(token, self._count() - 1))
            self._follow()
            self.post_message(self.Moved())

    def action_move(self, by: int) -> None:
        """So many tokens on."""
        self._move_to(self.cursor + by)

    def action_move_line(self, by: int) -> None:
        """To the token above or below."""
        if not self.line_of:
            return
        number = self.line_of[self.cursor]
        at = next((column for part, column in _columns(self.lines[number]) if part.token == self.cursor), 0)
        target = max(0, min(number + by, len(self.lines) - 1))
        if target != number:
            self._move_to(_token_at(self.lines[target], at))

    def on_click(self, event: Click) -> None:
        """To the token under the mouse."""
        number = (event.y + self.scroll_offset.y) // (height_of(self.view) if self.view else 1)
        if number < len(self.lines):
            self._move_to(_token_at(self.lines[number], event.x))


def _columns(line: Sequence[Part]) -> list[tuple[Part, int]]:
    """The parts of a line with the column that each begins in."""
    columns, used = [], 0
    for part in line:
        columns.append((part, used))
        used += part.width
    return columns


def _token_at(line: Sequence[Part], column: int) -> int:
    return [part.token for part, begin in _columns(line) if begin <= column][-1]


class Tokens(Page):
    """A rollout of a list of rollouts."""

    KEYS = "←→ token, ↑↓ line"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("t", "colour", "colours"),
        Binding("right_square_bracket,n", "turn(1)", "next rollout", key_display="]"),
        Binding("left_square_bracket,p", "turn(-1)", "rollout before", key_display="["),
    ]

    def __init__(self, desk: Desk, step: Step, lines: Sequence[int], at: int) -> None:
        super().__init__()
        self.desk, self.step, self.rollouts, self.at = desk, step, lines, at
        self.attempts: list[Attempt] = []

    def middle(self) -> Iterable[Widget]:
        """Colours, tokens, and what is known of one of them."""
        yield Static(id="legend")
        with Container(id="both"):
            yield TokenLines()
            with VerticalScroll(id="facts", can_focus=False):
                yield Static(id="fact")

    def on_mount(self) -> None:
        """Read the rollouts, so that one scale holds for all of them."""
        super().on_mount()
        try:
            self.attempts = self.desk.attempts(self.step, self.rollouts)
        except RlvrError as error:
            self.place(printable(str(error)))
            return
        self.query_one(TokenLines).focus()
        self._draw()

    def _draw(self) -> None:
        attempt, name = self.attempts[self.at], self.desk.colour
        record, have = attempt.record, list(values_of(attempt))
        missing = [] if name in have else [Text(f"{name} was not recorded of this rollout; {self._more(have)}")]
        scale = scale_of(name, self.attempts)
        view = token_view(attempt, name, scale)
        head = f"{self.step.run.path}  step {self.step.number}, problem {record['index']}, rollout {self.at + 1} of {len(self.rollouts)}: "
        self.place(
            one_line(head, 400) + " ".join(verdict(record).split()),
            one_line(f"{record['question']}   gold answer: {record['answer']}"),
        )
        legend = [scale.legend()] if view.scale is not None and scale is not None else missing
        self.query_one("#legend", Static).update(Text("\n").join([*legend, *notes(view)]))
        self.query_one(TokenLines).show(view)
        self._tell()

    def _more(self, have: Sequence[str]) -> str:
        return f"t turns to {', '.join(have)}" if have else "nothing else was either"

    def _tell(self) -> None:
        tokens, attempt = self.query_one(TokenLines), self.attempts[self.at]
        known = facts(attempt, tokens.cursor, str(self.step.run.path)) if attempt.pieces else [Text("it has no tokens")]
        self.query_one("#fact", Static).update(Text("\n").join(known))

    def on_token_lines_moved(self) -> None:
        """The cursor is on another token."""
        self._tell()

    def action_colour(self) -> None:
        """Colour by the next quantity that was recorded."""
        if self.attempts:
            names = list(values_of(self.attempts[self.at])) or [self.desk.colour]
            at = names.index(self.desk.colour) + 1 if self.desk.colour in names else 0
            self.desk.colour = names[at % len(names)]
            self._draw()

    def action_turn(self, by: int) -> None:
        """Another rollout of the list."""
        if self.attempts:
            self.at = (self.at + by) % len(self.rollouts)
            self._draw()
