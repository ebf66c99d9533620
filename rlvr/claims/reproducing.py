"""From a claim to its verdict: the runs of all its seeds, what they say, and the page of every result that is kept. No torch."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rlvr.claims.claim import Claim, Runs
from rlvr.claims.jobs import Changes, Job, digest, in_order, jobs_of
from rlvr.claims.results import Result, file_of, judged, read, verdict_of, write
from rlvr.claims.running import Tell, make
from rlvr.claims.views import overview, section_of
from rlvr.report.blocks import Section
from rlvr.report.page import render
from rlvr.report.runs import Run, open_finished
from rlvr.runtime.files import Writing, write_atomically

REPORT = "report.html"


@dataclass(frozen=True, kw_only=True)
class Asked:
    """How claims are to be run. folder: of runs and results. changes: ``settings``, by the file that each belongs to."""

    folder: Path
    seeds: int
    quick: bool
    settings: tuple[str, ...] = ()
    changes: Changes = field(default_factory=dict)
    processes: int = 1


def jobs_by_seed(claim: Claim, asked: Asked) -> list[dict[str, Job]]:
    """The runs of a claim, of each seed by arm. RlvrError if a setting is wrong."""
    arms = claim.arms(asked.quick)
    return [jobs_of(arms, seed, asked.folder, asked.changes) for seed in range(asked.seeds)]


def reproduce(claim: Claim, seeds: Sequence[Mapping[str, Job]], asked: Asked, tell: Tell) -> Result:
    """Make the runs of a claim that are not there yet, judge it, and keep the result. seeds: as ``jobs_by_seed`` gives them.

    Raises what ``make`` raises.
    """
    jobs = in_order(job for jobs in seeds for job in jobs.values())
    earlier, begin = sum(job.path.exists() for job in jobs), time.monotonic()
    stopped = make(jobs, asked.processes, tell)
    minutes = (time.monotonic() - begin) / 60
    runs = [{name: _open(job.path) for name, job in jobs.items()} for jobs in seeds]
    rows = judged(claim.criteria(asked.quick), runs)
    result = Result(
        claim=claim.id,
        verdict=verdict_of(rows),
        quick=asked.quick,
        seeds=asked.seeds,
        changes=list(asked.settings),
        made_from=digest(job.key for job in jobs),
        rows=rows,
        runs=[{name: str(job.path) for name, job in jobs.items()} for jobs in seeds],
        stopped={str(job.path): stopped[job.key] for job in jobs if job.key in stopped},
        minutes=minutes,
        earlier=earlier,
        machine=f"{platform.machine()}, {os.cpu_count()} cores",
        date=time.strftime("%Y-%m-%d"),
    )
    write(file_of(asked.folder, claim.id, quick=asked.quick, changed=bool(asked.settings)), result)
    return result


def write_report(claims: Sequence[Claim], folder: Path) -> Path:
    """Write the page of every result of these claims that a folder holds; where it is."""
    target = folder / REPORT
    with Writing(target):
        write_atomically(target, render("Claims, reproduced", sections(claims, folder)))
    return target


def sections(claims: Sequence[Claim], folder: Path) -> list[Section]:
    """The parts of that page: the verdicts, then of each claim what was found in full, with other settings, and on reduced grids."""
    kinds = ((False, False), (False, True), (True, False), (True, True))
    kept = [
        (claim, result)
        for claim in claims
        for quick, changed in kinds
        if (result := read(file_of(folder, claim.id, quick=quick, changed=changed))) is not None
    ]
    return [overview(kept), *(section_of(claim, result, runs_of(result)) for claim, result in kept)]


def runs_of(result: Result) -> list[Runs]:
    """The runs behind a result, seed by seed; none if some are no longer there."""
    paths = {path for runs in result.runs for path in runs.values()} - set(result.stopped)
    if not all((Path(path) / "config.yaml").exists() for path in paths):
        return []
    return [{name: _open(Path(path)) for name, path in runs.items()} for runs in result.runs]


def _open(path: Path) -> Run:
    """A run directory; an empty run where training could not even begin."""
    if not (path / "config.yaml").exists():
        return Run(path=path, stage="", config={}, rows=[])
    return open_finished(path)
