"""``rlvr claims``: published claims as experiments, each with its verdict."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlvr.ending import say
from rlvr.errors import RlvrError, did_you_mean
from rlvr.runtime.own_process import processors

if TYPE_CHECKING:
    from rlvr.claims.claim import Claim
    from rlvr.claims.jobs import Job
    from rlvr.claims.results import Result
    from rlvr.claims.running import Tell

FOLDER = Path("runs/claims")
SEEDS = 3


def list_claims(out: Path | None, as_json: bool) -> None:
    """``rlvr claims list``: what there is to run, and what was found last, here or before it was shipped."""
    import json

    from rlvr.claims import CLAIMS

    if as_json:
        print(json.dumps([_listed(claim, *_found(claim, out)) for claim in CLAIMS]))
        return
    from rich.table import Table
    from rich.text import Text

    from rlvr.runtime.progress import output

    table = Table(title="claims", title_justify="left", show_lines=True)
    for name in ("id", "claim", "source", "minutes", "last result"):
        table.add_column(name)
    for claim in CLAIMS:
        cells = (claim.id, claim.said, claim.by, f"{claim.minutes:g}", _told(*_found(claim, out)))
        table.add_row(*map(Text, cells))
    output().print(table)


def run_claims(
    names: Sequence[str], seeds: int | None, quick: bool, settings: Sequence[str], jobs: int | None, out: Path | None
) -> None:
    """``rlvr claims run``: make the runs of some claims, judge each, and write one page of all that was found so far."""
    from rlvr.claims import CLAIMS
    from rlvr.claims.jobs import changes_of, in_order
    from rlvr.claims.reproducing import Asked, jobs_by_seed, reproduce, write_report
    from rlvr.claims.views import terminal_table
    from rlvr.runtime.progress import console

    claims = _chosen(names)
    asked = Asked(
        folder=out or FOLDER,
        seeds=seeds or (1 if quick else SEEDS),
        quick=quick,
        settings=tuple(settings),
        changes=changes_of(settings, claims, quick),
        processes=jobs or processors(),
    )
    planned = [(claim, jobs_by_seed(claim, asked)) for claim in claims]
    every = in_order(job for _, seeds_of in planned for jobs_of_seed in seeds_of for job in jobs_of_seed.values())
    say(f"{len(every)} runs, in {asked.folder}; those that are finished are not made again")
    results = []
    for claim, seeds_of in planned:
        results.append(reproduce(claim, seeds_of, asked, _telling(claim)))
        console().print(terminal_table(results[-1]))
        for path, why in results[-1].stopped.items():
            say(f"note: {path} stopped: {why}")
    page = write_report(CLAIMS, asked.folder)
    say("; ".join(f"{result.claim}: {result.verdict}" for result in results))
    print(page)


def _chosen(names: Sequence[str]) -> list[Claim]:
    from rlvr.claims import CLAIMS

    known = {claim.id: claim for claim in CLAIMS}
    for name in names:
        if name not in (*known, "all"):
            raise RlvrError(
                "ID",
                "unknown claim",
                got=name,
                allowed=f"{', '.join(known)}, all",
                remedy=did_you_mean(name, known) or None,
            )
    return list(CLAIMS) if "all" in names else [known[name] for name in dict.fromkeys(names)]


def _telling(claim: Claim) -> Tell:
    begin = time.monotonic()

    def tell(job: Job, done: int, count: int) -> None:
        seconds = time.monotonic() - begin
        left = seconds / done * (count - done)
        say(f"{claim.id} {done}/{count}  {job.path.name}  {seconds:.0f} s, about {left:.0f} s left")

    return tell


def _found(claim: Claim, out: Path | None) -> tuple[Result | None, bool]:
    """The last result, and whether it was found here."""
    from rlvr.claims.results import last, shipped

    here = last(out or FOLDER, claim)
    return (here, True) if here is not None else (shipped(claim.id), False)


def _told(result: Result | None, here: bool) -> str:
    if result is None:
        return "none"
    from rlvr.report.wording import counted

    how = f"{'quick, ' if result.quick else ''}{counted(result.seeds, 'seed')}"
    return f"{result.verdict} ({'here' if here else 'shipped'}, {how}, {result.date})"


def _listed(claim: Claim, result: Result | None, here: bool) -> dict[str, Any]:
    found = None
    if result is not None:
        found = {
            "verdict": result.verdict,
            "quick": result.quick,
            "seeds": result.seeds,
            "date": result.date,
            "here": here,
        }
    return {"id": claim.id, "claim": claim.said, "source": claim.by, "minutes": claim.minutes, "last": found}
