"""Draws a view on a terminal, again and again while other work goes on."""

from __future__ import annotations

import contextlib
import math
import sys

from rich.console import Console, ConsoleOptions, ConsoleRenderable, Group, RenderableType, RenderResult
from rich.control import Control
from rich.live import Live
from rich.segment import ControlType, Segment
from rich.text import Text

from rlvr.runtime.literal import printable
from rlvr.runtime.live import View

DRAWN_A_SECOND = 4

MARGIN = 2
"""Columns on the right that are left free: for the ^C that a terminal writes at the cursor."""

HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"

CUT_LINES, WRAP_LINES = "\x1b[?7l", "\x1b[?7h"
"""The terminal's own wrapping, off while a view is drawn: what it counts otherwise than rich does moves no line (DECAWM)."""


def can_be_drawn_on(console: Console) -> bool:
    """Whether a console is a terminal that can move its cursor and has the letters of a view."""
    return console.file.isatty() and console.is_interactive and console.encoding.startswith("utf")


class Screen(Live):
    """A view on a terminal, below what else is printed.

    The cursor is hidden only while it moves, so whatever ends the program leaves the terminal whole. A terminal that
    has gone ends no run.
    """

    def __init__(self, view: View, console: Console) -> None:
        self.view = view
        self._sized = self._drawn = (
            0,
            [0],
        )  # columns of the terminal and cells of each line, as made last and as drawn last
        super().__init__(
            console=console,
            get_renderable=self._text,
            refresh_per_second=DRAWN_A_SECOND,
            redirect_stdout=sys.stdout is not None and sys.stdout.isatty(),
        )

    def start(self, refresh: bool = True) -> None:
        """Draw from now on."""
        with contextlib.suppress(OSError):
            super().start(refresh)

    def stop(self) -> None:
        """Draw what is to stay, and leave the terminal as it was."""
        self.view.finished = True
        with contextlib.suppress(OSError):
            super().stop()

    def refresh(self) -> None:
        """Draw now."""
        with contextlib.suppress(OSError):
            super().refresh()

    def note(self, text: str) -> None:
        """Put a note in its place; the one that was there goes above the view."""
        before, self.view.note = self.view.note, text
        if before:
            with contextlib.suppress(OSError):
                self.console.print(Text(printable(before)), soft_wrap=False)

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        """What the console is to write: first back to the view's first line, then what is above it, then the view."""
        *above, view = super().process_renderables(renderables)
        width, cells = self._drawn
        if self.console.width < width:  # lines that were drawn are broken into several
            rows = sum(max(1, math.ceil(each / self.console.width)) for each in cells)
            up = ((ControlType.ERASE_IN_LINE, 2), (ControlType.CURSOR_UP, 1)) * (rows - len(cells))
            above = [Control(*up), *above]
        self._drawn = self._sized
        return [_Code(HIDE_CURSOR), *above, _Code(CUT_LINES), view, _Code(WRAP_LINES + SHOW_CURSOR)]

    def _text(self) -> RenderableType:
        size = self.console.size
        lines = self.view.lines(size.width - MARGIN, size.height - 1)
        self._sized = (size.width, [line.cell_len for line in lines])
        return Group(*lines)


class _Code:
    """What a terminal understands and does not show."""

    def __init__(self, code: str) -> None:
        self._segment = Segment(code, None, [(ControlType.CARRIAGE_RETURN,)])  # its kind matters to old Windows alone

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield self._segment
