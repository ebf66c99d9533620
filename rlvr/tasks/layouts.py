"""What the rows of a file mean: which column is what, where the gold answer stands, how a question is rendered."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rlvr.config.problems import FIELD, ColumnsConfig, ProblemsConfig, fields_of
from rlvr.errors import RlvrError, did_you_mean
from rlvr.tasks.rows import Raw, columns_of, flaw

MAX_QUESTION = 1_000_000
"""Characters."""
LOOKED_AT = 100
"""Rows by which a layout is recognised: at least half of them have it."""
LAYOUTS = {"gsm8k": "GSM8K", "math": "MATH"}
_HASHES = "####"
_GOLD_NUMBER = re.compile(r"\$?(-?(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.[0-9]+)?)")
_BOX = re.compile(r"\\(?:boxed|fbox)\s*\{")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One problem of a file.

    text: what is its own of the question, without what a template adds to all of them. metadata: all other cells, with
    the worked ``solution``, if there is one, and the number of the ``line``.
    """

    question: str
    answer: str
    text: str
    metadata: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How rows are read. question, answer, solution: the columns; None where the layout has no such column."""

    name: str
    question: str
    answer: str
    solution: str | None
    template: str | None
    fields: tuple[str, ...]

    def row(self, raw: Raw) -> Row | str:
        """The problem of a row that could be read, or what is wrong with it."""
        assert raw.cells is not None
        try:
            question, text = self._question(raw.cells)
            answer, solution = self._answer(raw.cells)
        except ValueError as error:
            return str(error)
        if len(question) > MAX_QUESTION:
            return f"question has more than {MAX_QUESTION} characters"
        if trouble := flaw(raw.cells):
            return trouble
        taken = {"question", "answer", self.question, self.answer, self.solution} - {"solution"}
        metadata = {name: cell for name, cell in raw.cells.items() if name not in taken}
        if solution:
            metadata["solution"] = solution
        else:
            metadata.pop("solution", None)
        return Row(question=question, answer=answer, text=text, metadata={**metadata, "line": raw.line})

    def column(self, field: str) -> str:
        """The column that a field of the template is filled from."""
        return self.question if field == "question" else field

    def _question(self, cells: dict[str, Any]) -> tuple[str, str]:
        values = {field: _text(cells, self.column(field), numbers=field != "question") for field in self.fields}
        if self.template is None:
            return values["question"], values["question"]
        return render(self.template, values), "\n".join(values.values())

    def _answer(self, cells: dict[str, Any]) -> tuple[str, str | None]:
        """The gold answer, and a worked response that ends in it."""
        if self.name == "gsm8k":
            return from_hashes(_text(cells, self.answer))
        solution = None if self.solution is None else lookup(cells, self.solution)
        if not isinstance(solution, str) and (solution is not None or self.solution in cells):
            raise ValueError(f"{self.solution} is not a text")
        if self.name == "math" and lookup(cells, self.answer) in (None, ""):
            return last_box(solution or ""), solution
        return _text(cells, self.answer, numbers=True), solution


def layout_of(config: ProblemsConfig, rows: list[Raw], path: str) -> Layout:
    """The layout that is asked for, or the one that is recognised. RlvrError if no row has a column that it needs."""
    columns = config.columns or ColumnsConfig()
    name = _recognise(config, rows) if config.layout == "auto" else config.layout
    layout = Layout(
        name=name,
        question=columns.question or ("problem" if name == "math" else "question"),
        answer=columns.answer or "answer",
        solution=None if name == "gsm8k" else columns.solution or "solution",
        template=config.template,
        fields=("question",) if config.template is None else tuple(fields_of(config.template)),
    )
    good = [row.cells for row in rows if row.cells is not None]
    gold = layout.solution if name == "math" and columns.answer is None else layout.answer
    needed = [*map(layout.column, layout.fields), gold, columns.question, columns.answer, columns.solution]
    for column in needed if good else ():
        if column is not None and not any(column in cells or lookup(cells, column) is not None for cells in good):
            raise _no_column(column, columns_of(rows), path)
    return layout


def _no_column(column: str, known: list[str], path: str) -> RlvrError:
    joined = len(known) == 1 and any(mark in known[0] for mark in ";\t|")
    remedy = "separate its fields by commas" if joined else did_you_mean(column, known) or "set task.columns"
    return RlvrError(path, f"no row has a column {column}", allowed=", ".join(known)[:500], remedy=remedy)


def _recognise(config: ProblemsConfig, rows: list[Raw]) -> str:
    """gsm8k, math or plain, by the first rows that could be read."""
    some = [row.cells for row in rows if row.cells is not None][:LOOKED_AT]
    columns = config.columns or ColumnsConfig()
    hashed = [_HASHES in _last_line(lookup(cells, columns.answer or "answer")) for cells in some]
    if some and columns.solution is None and 2 * sum(hashed) >= len(some):
        return "gsm8k"
    own = columns.question is None and any("question" in cells for cells in some)
    boxes = [
        lookup(cells, columns.question or "problem") is not None
        and _BOX.search(str(lookup(cells, columns.solution or "solution"))) is not None
        for cells in some
    ]
    return "math" if some and not own and 2 * sum(boxes) >= len(some) else "plain"


def lookup(cells: Mapping[str, Any], column: str) -> Any:
    """The cell of a column; a dotted path leads into objects and lists. None if there is nothing.

    >>> lookup({"messages": [{"content": "2 + 2?"}]}, "messages.0.content")
    '2 + 2?'
    """
    if column in cells:
        return cells[column]
    found: Any = cells
    for part in column.split("."):
        if isinstance(found, list) and part.isdecimal() and int(part) < len(found):
            found = found[int(part)]
        elif isinstance(found, dict):
            found = found.get(part)
        else:
            return None
    return found


def render(template: str, values: Mapping[str, str]) -> str:
    r"""A template with its fields filled in. What is filled in is never read as a template itself.

    >>> render("{question} Write {{question}} or \\boxed{}.", {"question": "{x}?"})
    '{x}? Write {question} or \\boxed{}.'
    """
    return FIELD.sub(lambda found: f"{{{found['kept']}}}" if found["kept"] else values[found["name"]], template)


def from_hashes(worked: str) -> tuple[str, str | None]:
    r"""The gold answer of a worked answer in GSM8K's layout, without commas, and the worked response that ends in it.

    ValueError if its last line has no number after ####. GSM8K: Cobbe et al. 2021, arXiv:2110.14168.

    >>> from_hashes("5 * 200 = 1000\n#### 1,000")
    ('1000', '5 * 200 = 1000\n#### 1000')
    """
    if _HASHES not in _last_line(worked):
        raise ValueError("answer has no last line with #### and a number")
    steps, _, last = worked.rpartition(_HASHES)
    found = _GOLD_NUMBER.fullmatch(last.strip())
    if found is None:
        raise ValueError(f"answer ends in #### and no number: {last.strip()[:40]!r}")
    gold = found[1].replace(",", "")
    return gold, f"{steps.strip()}\n{_HASHES} {gold}" if steps.strip() else None


def last_box(worked: str) -> str:
    r"""What is in the last ``\boxed{…}`` of a worked solution, as in MATH (Hendrycks et al. 2021, arXiv:2103.03874).

    Braces are matched; escaped ones, as of a set, are not counted. ValueError if there is no box, or nothing in it.
    """
    starts = [found.end() for found in _BOX.finditer(worked)]
    if not starts:
        raise ValueError("solution has no \\boxed{…}")
    depth, place = 1, starts[-1]
    while depth and place < len(worked):
        depth += {"{": 1, "}": -1}.get(worked[place], 0)
        place += 2 if worked[place] == "\\" else 1
    content = worked[starts[-1] : place - 1].strip()
    if depth or not content:
        raise ValueError("solution has a last \\boxed{…} that is " + ("not closed" if depth else "empty"))
    return content


def _last_line(value: Any) -> str:
    return value.rstrip().rpartition("\n")[2] if isinstance(value, str) else ""


def _text(cells: Mapping[str, Any], column: str, *, numbers: bool = False) -> str:
    """The text of a column, of a number too where those are allowed. ValueError if it has none."""
    value = lookup(cells, column)
    if isinstance(value, str) and value.strip():
        return value
    if numbers and isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    raise ValueError(f"{column} is missing or {'neither a text nor a number' if numbers else 'not a text'}")
