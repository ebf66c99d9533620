"""What every screen has: a line that says where one is, something to read, and the keys below. Text is always shown literally."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar

from rich.console import RenderableType
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import DataTable, Static

NARROW = "\u00a0"
"""A space that no line ends at: a key and what it does stay together."""


class Page(Screen[None]):
    """A screen. What it inherits from Textual is how it is drawn and how keys find their actions."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,backspace", "back", "back", key_display="esc"),
        Binding("q,ctrl+c", "app.quit", "quit", key_display="q"),
    ]
    KEYS: ClassVar[str] = ""
    """Keys that have no binding of the page's own: those of its table or its tokens."""

    def compose(self) -> ComposeResult:
        """From top to bottom."""
        yield Static(id="place")
        yield from self.middle()
        yield Static(id="keys")

    @abstractmethod
    def middle(self) -> Iterable[Widget]:
        """What is between the place and the keys."""

    def on_mount(self) -> None:
        """The keys stay as they are; the rest is drawn by the page."""
        self.query_one("#keys", Static).update(self._keys())

    def _keys(self) -> Text:
        text = Text()
        shown = [binding for _, binding in self._bindings if binding.show and binding.description]
        pairs = [(binding.key_display or binding.key, binding.description) for binding in shown]
        listed = dict.fromkeys([*(tuple(key.split(" ", 1)) for key in self.KEYS.split(", ") if key), *pairs[::-1]])
        for key, what in listed:
            text.append(f"{NARROW}{key}{NARROW}", "bold reverse")
            text.append(f"{NARROW}{what.replace(' ', NARROW)}  ")
        return text

    def place(self, *lines: str | Text) -> None:
        """Say where one is, and what was asked for."""
        self.query_one("#place", Static).update(
            Text("\n").join(Text(line) if isinstance(line, str) else line for line in lines)
        )

    def action_back(self) -> None:
        """Leave for the screen below, if there is one."""
        if len(self.app.screen_stack) > 1:
            self.app.pop_screen()


class Listed(Page):
    """A table to choose from, and below it the chosen row in full."""

    KEYS = "↑↓ choose, ⏎ open"

    def middle(self) -> Iterable[Widget]:
        """The table and what is below it."""
        yield DataTable[Text](cursor_type="row", id="table")
        with VerticalScroll(id="below"):
            yield Static(id="about")

    def fill(self, rows: Sequence[Mapping[str, str | Text | None]], cursor: int = 0) -> None:
        """Put rows, by column, into the table, the cursor on one of them. A column that no row has a cell of is left out."""
        table = self.query_one(DataTable)
        columns = [name for name in (rows[0] if rows else {}) if any(row[name] is not None for row in rows)]
        texts = [[_text(row[name]) for name in columns] for row in rows]
        table.clear(columns=True)
        for column, name in enumerate(columns):
            table.add_column(Text(name), width=max([len(name), *(row[column].cell_len for row in texts)]))
        for row in texts:
            table.add_row(*row)
        if rows:
            table.move_cursor(row=min(cursor, len(rows) - 1))
            self.show_row(table.cursor_row)
        else:
            self.about(Text(""))

    @property
    def row(self) -> int:
        """The number of the row under the cursor."""
        return self.query_one(DataTable).cursor_row

    def about(self, view: RenderableType) -> None:
        """Show something below the table."""
        self.query_one("#about", Static).update(view)
        self.query_one("#below", VerticalScroll).scroll_home(animate=False)

    def on_data_table_row_highlighted(self, event: DataTable.RowHighlighted) -> None:
        """The cursor has moved."""
        if event.cursor_row < event.data_table.row_count:  # what was said of rows that are gone is late
            self.show_row(event.cursor_row)

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        """Enter."""
        self.open_row(event.cursor_row)

    @abstractmethod
    def show_row(self, row: int) -> None:
        """Show a row in full."""

    @abstractmethod
    def open_row(self, row: int) -> None:
        """Go a level deeper."""


def _text(cell: str | Text | None) -> Text:
    return cell if isinstance(cell, Text) else Text(cell or "–", no_wrap=True)
