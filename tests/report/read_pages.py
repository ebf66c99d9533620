"""A report's page read back as a browser's parser reads it: its elements, its words, and the data for its scripts."""

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any


class Page(HTMLParser):
    """elements: every element with its attributes. words: by section the text that stands in it. data: for the scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.sections: dict[str, list[str]] = {}
        self.data: Any = None
        self._section = self._script = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.elements.append((tag, given))
        if tag == "section":
            self._section = given.get("id") or ""
            self.sections[self._section] = []
        if tag == "script":
            self._script = given.get("id") or "program"

    def handle_endtag(self, tag: str) -> None:
        if tag == "section":
            self._section = ""
        if tag == "script":
            self._script = ""

    def handle_data(self, data: str) -> None:
        if self._script == "data":
            self.data = json.loads(data)
        elif self._section:
            self.sections[self._section].append(data)

    def said(self, *names: str) -> str:
        """The text of some sections, or of all."""
        return "".join(text for name in names or tuple(self.sections) for text in self.sections[name])


def read_page(file: Path) -> Page:
    """The page in a file."""
    return Page(file.read_text("utf-8"))
