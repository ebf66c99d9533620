"""Results for people: tables for the terminal, sections for the page. No torch."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table as TerminalTable
from rich.text import Text

from rlvr.claims.claim import Claim, Runs
from rlvr.claims.results import Result, Row, same, shipped
from rlvr.report.blocks import Block, Cell, Listing, Prose, Section, Table
from rlvr.report.wording import counted, number
from rlvr.statistics import Estimate

COLUMNS = ["arm", "measured quantity", "measured", "seeds that hold", "predicted", "verdict"]


def table_of(result: Result, beside: Result | None) -> Table:
    """Each criterion as it was measured, with another result's figures beside it."""
    rows: list[list[Cell]] = [
        [*_cells(row, result), *([_other(row, beside)] if beside is not None else [])] for row in result.rows
    ]
    columns = [*COLUMNS, f"shipped ({counted(beside.seeds, 'seed')})"] if beside is not None else COLUMNS
    caption = f"Means over {counted(result.seeds, 'seed')}"
    caption += ", in brackets their 95 % intervals (Student's t)" if result.seeds > 1 else ", so without intervals"
    return Table(columns=columns, rows=rows, caption=f"{caption}. Made from {result.made_from}.")


def terminal_table(claim: Claim, result: Result) -> TerminalTable:
    """The same for a terminal."""
    made = table_of(result, _beside(result))
    table = TerminalTable(title=f"{claim.id}: {claim.title}: {result.verdict}", title_justify="left", show_lines=False)
    for name in made.columns:
        table.add_column(name)
    for row in made.rows:
        table.add_row(*(Text(str(cell)) for cell in row))
    return table


def section_of(claim: Claim, result: Result, seeds: Sequence[Runs]) -> Section:
    """A claim's part of the page. seeds: its runs; none if they are no longer there."""
    name = f"{claim.id}{'-quick' if result.quick else ''}{'-changed' if result.changes else ''}"
    how = [*(["quick"] if result.quick else []), *(["changed"] if result.changes else [])]
    title = f"{claim.title}: {result.verdict}" + (f" ({', '.join(how)})" if how else "")
    blocks: list[Block] = [
        Prose(text=f"{claim.said} ({claim.by})"),
        *(Prose(text=text) for text in claim.theory.strip().split("\n\n")),
        table_of(result, _beside(result)),
    ]
    blocks += claim.charts(seeds) if seeds else [Prose(text="The runs behind it are no longer here.", kind="gap")]
    blocks += [Prose(text=f"{path} stopped: {why}", kind="note") for path, why in result.stopped.items()]
    blocks += [Prose(text=f"Caveat: {text}") for text in claim.caveats]
    return Section(name=name, title=title, blocks=[*blocks, Listing(title="Made by", text=command_of(result))])


def command_of(result: Result) -> str:
    """The command that makes a result again."""
    options = [f"--seeds {result.seeds}", *(["--quick"] if result.quick else [])]
    return " ".join(["rlvr claims run", result.claim, *options, *(f"--set {text}" for text in result.changes)])


def shown(estimate: Estimate | None) -> str:
    """A mean with its interval.

    >>> shown(Estimate(mean=0.5, low=0.25, high=0.75, p=None))
    '0.5 [0.25, 0.75]'
    """
    if estimate is None:
        return "not reached"
    if estimate.low is None or estimate.high is None:
        return number(estimate.mean)
    return f"{number(estimate.mean)} [{number(estimate.low)}, {number(estimate.high)}]"


def _beside(result: Result) -> Result | None:
    """What was shipped, unless it is this."""
    other = shipped(result.claim)
    return None if other is not None and other.rows == result.rows else other


def _cells(row: Row, result: Result) -> list[str]:
    known = [value for value in row.values if value is not None]
    measured = shown(row.estimate)
    if known and len(known) < len(row.values):
        measured += f" in {len(known)} of {counted(result.seeds, 'seed')}"
    judged = row.holds is not None
    verdict = ("PASS" if row.holds else "FAIL") if judged else "told"
    return [row.arm, row.quantity, measured, f"{row.seeds} of {result.seeds}" if judged else "", row.predicted, verdict]


def _other(row: Row, beside: Result | None) -> str:
    other = same(row, beside)
    return shown(other.estimate) if other is not None else ""
