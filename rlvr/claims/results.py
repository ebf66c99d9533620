"""What a claim's runs say: each criterion over the seeds, the verdict, and the file that keeps them. No torch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from rlvr.claims.claim import Claim, Criterion, Runs
from rlvr.config_file import read_text
from rlvr.errors import RlvrError
from rlvr.report.runs import Run
from rlvr.runtime.files import Writing, write_atomically
from rlvr.statistics import Estimate, t_interval

SHIPPED = Path(__file__).parent / "results"
"""Results that come with the program, of all arms with three seeds."""
LARGEST = 1_000_000
"""Bytes of a result; a hundred times what one has."""

Verdict = Literal["PASS", "FAIL"]


class _Kept(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Row(_Kept):
    """A criterion as it was measured. values: of each seed, None where it gave none. holds: None if it is not judged.

    seeds: how many lie within the bounds by themselves.
    """

    arm: str
    quantity: str
    predicted: str
    values: list[float | None]
    holds: bool | None
    seeds: int

    @property
    def estimate(self) -> Estimate | None:
        """The mean over the seeds that gave a value with its t-interval; None without any."""
        found = [value for value in self.values if value is not None]
        return t_interval(found) if found else None


class Result(_Kept):
    """What a claim was found to be. made_from: twelve digits that stand for every configuration and version behind it.

    changes: what was set otherwise than the claim has it. runs: of each seed, the run directories by arm. stopped: why the training
    of a run had to stop, by its directory. minutes: that this took, when so many runs as earlier says had been made, or begun, before.
    """

    claim: str
    verdict: Verdict
    quick: bool
    seeds: int
    changes: list[str]
    made_from: str
    rows: list[Row]
    runs: list[dict[str, str]]
    stopped: dict[str, str]
    minutes: float
    earlier: int
    machine: str
    date: str


def judged(criteria: Sequence[Criterion], seeds: Sequence[Runs]) -> list[Row]:
    """Every criterion over the seeds. It holds if every seed gave a number and their mean lies within the bounds."""
    return [_row(criterion, [_number(criterion, runs) for runs in seeds]) for criterion in criteria]


def verdict_of(rows: Sequence[Row]) -> Verdict:
    """PASS if every judged criterion holds."""
    return "FAIL" if any(row.holds is False for row in rows) else "PASS"


def file_of(folder: Path, claim: str, *, quick: bool, changed: bool) -> Path:
    """Where a result is kept: as the claim has it, on reduced grids, and with other settings apart from one another."""
    return folder / f"{claim}{'.quick' if quick else ''}{'.changed' if changed else ''}.json"


def write(file: Path, result: Result) -> None:
    """Keep a result."""
    with Writing(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, result.model_dump_json(indent=1) + "\n")


def read(file: Path) -> Result | None:
    """A result that was kept; None if there is none. RlvrError if it is damaged."""
    if not file.exists():
        return None
    try:
        return Result.model_validate_json(read_text(file, LARGEST))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise RlvrError(
            str(file), f"is no result of a claim: {first['msg']}", remedy="delete it, or run the claim again"
        ) from None


def shipped(claim: str) -> Result | None:
    """The result that comes with the program; None if none does."""
    return read(file_of(SHIPPED, claim, quick=False, changed=False))


def last(folder: Path, claim: Claim) -> Result | None:
    """The result found here with the claim's own settings, in full before on reduced grids; None if there is none."""
    full = read(file_of(folder, claim.id, quick=False, changed=False))
    return full or read(file_of(folder, claim.id, quick=True, changed=False))


def same(row: Row, result: Result | None) -> Row | None:
    """The same criterion in another result; None if that has it not."""
    rows = result.rows if result is not None else []
    return next((other for other in rows if (other.arm, other.quantity) == (row.arm, row.quantity)), None)


def _number(criterion: Criterion, runs: Mapping[str, Run]) -> float | None:
    value = criterion.measure(runs)
    return value if value is not None and math.isfinite(value) else None


def _row(criterion: Criterion, values: list[float | None]) -> Row:
    known = [value for value in values if value is not None]
    holds = None
    if criterion.judged:
        holds = len(known) == len(values) and criterion.admits(math.fsum(known) / len(known))
    return Row(
        arm=criterion.arm,
        quantity=criterion.quantity,
        predicted=criterion.bounds,
        values=values,
        holds=holds,
        seeds=sum(criterion.admits(value) for value in known) if criterion.judged else 0,
    )
