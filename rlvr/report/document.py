"""A report's sections in order: of one run, or of several beside each other."""

from __future__ import annotations

from collections.abc import Sequence

from rlvr.report.beside import evaluations_beside
from rlvr.report.blocks import Block, Prose, Section
from rlvr.report.evaluations import evaluations
from rlvr.report.forks import forks
from rlvr.report.gaps import notes
from rlvr.report.learning import learning
from rlvr.report.origin import origin
from rlvr.report.runs import Run
from rlvr.report.samples import samples
from rlvr.report.several import STAGES, compare
from rlvr.report.signals import signals, timing
from rlvr.report.solvability import solvability_section
from rlvr.report.spent import spent
from rlvr.report.verdict import verdict


def document(runs: Sequence[Run]) -> tuple[str, list[Section]]:
    """The title and the sections of a report."""
    if len(runs) == 1:
        [run] = runs
        return f"{STAGES[run.stage]}: {run.path}", of_one(run)
    sections = compare(list(runs))
    damaged: list[Block] = [Prose(text=gap, kind="gap") for run in runs for gap in (run.gaps or {}).values()]
    if damaged:
        sections.append(Section(name="notes", title="What is damaged", blocks=damaged))
    return f"{len(runs)} runs compared", sections


def of_one(run: Run) -> list[Section]:
    """What one run shows. The notes are written last, since reading finds what is damaged, and stand after the verdict."""
    beside = evaluations_beside(run)
    found = [
        *learning(run),
        *evaluations(run, beside),
        solvability_section(run),
        *signals(run),
        *samples(run),
        forks(run),
        spent(run),
        timing(run),
        origin(run),
    ]
    return [section for section in (verdict(run, beside), notes(run), *found) if section is not None and section.blocks]
