"""``rlvr eval``: a configuration measured, a finished evaluation shown again, or two compared on the same problems."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rlvr.commands.stages import default_run, print_plan
from rlvr.ending import say
from rlvr.errors import RlvrError

if TYPE_CHECKING:
    from rlvr.config import EvalConfig
    from rlvr.report.runs import Run

ALLOWED = "one CONFIG.yaml, one finished run directory, or two"


@dataclass(frozen=True, kw_only=True)
class Filter:
    """Which problems to write, and where. band: ends of the share of right samples, None for those solved sometimes."""

    out: Path
    band: tuple[float, float] | None


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The options of ``rlvr eval``. run, settings, fresh, dry_run and against are for configurations alone."""

    run: Path | None
    settings: list[str]
    fresh: bool
    dry_run: bool
    against: str | None
    as_json: bool
    keep: Filter | None

    def refuse_for_runs(self) -> None:
        """RlvrError if an option is given that has no effect on runs that are finished."""
        given = {"--run": self.run is not None, "--set": bool(self.settings), "--fresh": self.fresh}
        given |= {"--dry-run": self.dry_run, "--against": self.against is not None}
        for option in (option for option, there in given.items() if there):
            raise RlvrError(
                option, "has no effect on finished run directories", remedy="remove it, or name a configuration"
            )


def evaluate(targets: Sequence[Path], asked: Asked) -> None:
    """Measure unless it was done, or read what was; show it, or print its JSON; write the problems that are asked for."""
    runs = [path.is_dir() for path in targets]
    if len(targets) > 2 or (len(targets) == 2 and not all(runs)):
        raise RlvrError(
            "rlvr eval",
            "cannot tell what to evaluate",
            got=" ".join(map(str, targets)),
            allowed=ALLOWED,
            remedy="rlvr eval CONFIG.yaml --against MODEL evaluates two models and compares them",
        )
    if not all(runs):
        _measure(targets[0], asked)
        return
    asked.refuse_for_runs()
    if len(targets) == 2:
        _refuse_filter(asked, "beside two run directories")
        _compare(targets[0], targets[1], as_json=asked.as_json)
    else:
        _show(_finished(targets[0]), asked)


def _measure(file: Path, asked: Asked) -> None:
    """Evaluate a configuration, and with ``--against`` another model in the same way, and show what was found."""
    if asked.against is not None:
        _refuse_filter(asked, "beside --against")
    from rlvr.config import EvalConfig
    from rlvr.config_file import load
    from rlvr.launch import checked, launch
    from rlvr.preflight import plan

    _, config = load(file, asked.settings, "eval")
    assert isinstance(config, EvalConfig)
    earlier = None if asked.against is None else _of_model(config, asked.against)
    if asked.keep is not None:
        _check_filter(asked.keep, 0 if config.task is None else config.eval.samples)
    if asked.dry_run:
        if earlier is not None:
            plan(earlier, starting=False)
        print_plan("eval", config, plan(config, starting=False), json=asked.as_json)
        return
    path = asked.run or default_run(file)
    before = Path(f"{path if path.name not in ('', '..') else path.resolve()}-against")
    runs = [(before, earlier), (path, config)] if earlier is not None else [(path, config)]
    for (directory, each), warnings in zip(runs, [checked(each) for _, each in runs], strict=True):
        launch("eval", each, warnings, directory, fresh=asked.fresh)
    if earlier is not None:
        _compare(before, path, as_json=asked.as_json)
    else:
        _show(_finished(path), asked)


def _of_model(config: EvalConfig, model: str) -> EvalConfig:
    """The same evaluation of another model. RlvrError if there are no answers that could be compared."""
    if config.task is None:
        raise RlvrError("--against", "needs a task: documents alone have no answers to compare", remedy="set task")
    return config.model_copy(update={"model": model})


def _finished(path: Path) -> Run:
    """A finished evaluation run. RlvrError if it is none."""
    from rlvr.launch import EVALUATION
    from rlvr.report.runs import open_finished

    run = open_finished(path)
    if run.stage != "eval":
        raise RlvrError(str(path), f"is a run of rlvr {run.stage}, not of rlvr eval", remedy="evaluate its model first")
    if not (path / EVALUATION).is_file() or not run.rows:
        raise RlvrError(str(path), "is not finished", remedy="run rlvr eval with its configuration again")
    return run


def _show(run: Run, asked: Asked) -> None:
    """What one evaluation found, and the file of its problems that is asked for."""
    from rlvr.launch import EVALUATION
    from rlvr.report.terminal import comparison, solvable
    from rlvr.runtime.progress import console
    from rlvr.runtime.written import read_object

    if asked.keep is not None:
        _write_filtered(run, asked.keep)
    if asked.as_json:
        print(json.dumps(read_object(run.path / EVALUATION)))
        return
    console().print(comparison([run]))
    view = solvable(run)
    if view is not None:
        console().print(view)
    print(run.path)


def _compare(a: Path, b: Path, *, as_json: bool) -> None:
    from rlvr.report.terminal import versus_view
    from rlvr.report.versus import versus
    from rlvr.runtime.progress import output

    found = versus(_finished(a), _finished(b))
    if as_json:
        print(json.dumps(found.to_json()))
    else:
        output().print(versus_view(found), soft_wrap=True)


# --------------------------------------------------------------------------------------------- --write-filtered


def filter_of(out: Path | None, band: str | None) -> Filter | None:
    """What ``--write-filtered`` and ``--band`` ask for. RlvrError for a band alone, or one that is no two shares in order."""
    if out is None:
        if band is not None:
            raise RlvrError("--band", "has no effect without --write-filtered", remedy="remove it, or name a file")
        return None
    if band is None:
        return Filter(out=out, band=None)
    try:
        low, high = (float(part) for part in band.split(","))
    except ValueError:
        low, high = math.nan, math.nan
    if not 0 <= low <= high <= 1:
        raise RlvrError("--band", "is not two shares in order", got=band, allowed="LOW,HIGH of 0 to 1, such as 0.1,0.9")
    return Filter(out=out, band=(low, high))


def _refuse_filter(asked: Asked, where: str) -> None:
    if asked.keep is not None:
        raise RlvrError("--write-filtered", f"has no effect {where}", remedy="name one configuration or run directory")


def _check_filter(keep: Filter, samples: int) -> None:
    """RlvrError before anything is sampled, where nothing could be written afterwards."""
    if samples < 2:
        raise RlvrError(
            "--write-filtered",
            "needs a task, and several samples of a problem",
            got=f"eval.samples {samples}" if samples else "no task",
            remedy="set eval.samples to 8 or more",
        )
    folder = keep.out.parent
    if keep.out.is_dir() or not folder.is_dir():
        what = "is a folder" if keep.out.is_dir() else "is in a folder that does not exist"
        raise RlvrError(f"--write-filtered {keep.out}", what, remedy="name a file in a folder that is there")


def _write_filtered(run: Run, keep: Filter) -> None:
    from rlvr.report.solvability import filtered
    from rlvr.runtime.files import write_jsonl

    rows = filtered(run, keep.band)
    try:
        write_jsonl(keep.out, rows)
    except OSError as error:
        raise RlvrError(
            f"--write-filtered {keep.out}", f"cannot be written: {error.strerror}", remedy="name a file you can write"
        ) from None
    say(f"{len(rows)} problems written to {keep.out}; task: {{name: problems, path: {keep.out}}} reads them")
    if all(row["split"] == "test" for row in rows):
        say("note: they are of the test split; set eval.split: train to choose what is trained on")
