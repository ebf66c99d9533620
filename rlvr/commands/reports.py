"""``rlvr report``: run directories to one HTML file, and to figures."""

from __future__ import annotations

import os
from pathlib import Path

from rlvr.ending import say
from rlvr.errors import RlvrError

NAME = "report.html"


def report(paths: list[Path], out: Path | None, figures: Path | None) -> None:
    """Write the report of one run, or of several beside each other, and its charts as files if they are asked for."""
    from rlvr.report.document import document
    from rlvr.report.figures import write_figures
    from rlvr.report.page import render
    from rlvr.report.runs import open_as_it_is

    paths = list({os.path.realpath(path): path for path in paths}.values())
    target = _target(paths, out)
    runs = [open_as_it_is(path) for path in paths]
    title, sections = document(runs)
    _write(target, render(title, sections))
    for gap in (gap for run in runs for gap in (run.gaps or {}).values()):
        say(f"note: {gap}")
    print(target)
    if figures is not None:
        written = write_figures(sections, figures)
        say(f"{len(written)} files of figures in {figures}")


def _target(paths: list[Path], out: Path | None) -> Path:
    """Where the report goes: into the run directory if it is one, else where ``--out`` says. RlvrError if that is no place."""
    if out is None and len(paths) > 1:
        raise RlvrError(
            "--out", "is needed for the report of several runs", remedy="name a file, such as --out report.html"
        )
    target = out or paths[0] / NAME
    # None of these raises, as Path's own would, for a name that no file can have: writing says what is wrong with that.
    link, folder, other = (found(target) for found in (os.path.islink, os.path.isdir, os.path.exists))
    if link or folder or (other and not os.path.isfile(target)):
        what = "is a link" if link else "is a folder" if folder else "is a device or a pipe"
        raise RlvrError(str(target), f"{what}, so no report is written there", remedy="name a file with --out")
    return target


def _write(target: Path, page: str) -> None:
    from rlvr.runtime.files import write_atomically

    try:
        write_atomically(target, page)
    except OSError as error:
        raise RlvrError(
            str(target), f"cannot be written: {error.strerror}", remedy="name a file you can write with --out"
        ) from None
