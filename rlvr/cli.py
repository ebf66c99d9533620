"""The command line: parse, load the configuration, open the run directory, run the stage.

Everything heavy is imported inside the commands, so that --help answers at once.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rlvr.ending import guard, say
from rlvr.errors import RlvrError, TrainingStoppedError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from rlvr.audit import AuditResult, RescoreResult
    from rlvr.config import StageConfig
    from rlvr.preflight import Plan
    from rlvr.runtime.run_dir import RunDirectory

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Train language models with verifiable rewards, from nothing to a reasoning model.",
)

ConfigFile = Annotated[Path, typer.Argument(metavar="CONFIG.yaml", help="The stage's configuration.")]
RunOption = Annotated[Path | None, typer.Option("--run", help="Run directory [default: runs/<name of the config>].")]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="a.b=VALUE", help="Override one key (repeatable).")
]
FreshOption = Annotated[bool, typer.Option("--fresh", help="Move an existing run directory aside and start anew.")]
DryOption = Annotated[bool, typer.Option("--dry-run", help="Check only; start nothing.")]
MaxFpOption = Annotated[
    float | None, typer.Option("--max-fp", min=0.0, max=1.0, help="Exit 3 if more of the wrong answers are paid.")
]
MaxFnOption = Annotated[
    float | None, typer.Option("--max-fn", min=0.0, max=1.0, help="Exit 3 if more of the right answers are refused.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]


PIPED_WIDTH = 120
"""Columns of a table that goes to a file or another program."""


def main() -> None:
    """The ``rlvr`` program. What its terminal or file has no letters for is printed as escapes."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # it is None where there is none
        sys.stdout.reconfigure(errors="backslashreplace")
    app()


def _print_version(wanted: bool) -> None:
    if wanted:
        from rlvr import __version__

        print(__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Options of the program itself."""


def _add_training_command(stage: str, help_text: str) -> None:
    @app.command(name=stage, help=help_text)
    def command(
        config: ConfigFile,
        run: RunOption = None,
        settings: SetOption = None,
        fresh: FreshOption = False,
        dry_run: DryOption = False,
    ) -> None:
        guard(lambda: _train(stage, config, run, settings, fresh, dry_run))


_add_training_command("pretrain", "Train a model from scratch on documents drawn from tasks and text files.")
_add_training_command("sft", "Imitate: cross-entropy on the tokens of responses.")
_add_training_command("rl", "On-policy RL against verifiable rewards.")


@app.command(name="eval")
def evaluate(
    config: ConfigFile,
    run: RunOption = None,
    settings: SetOption = None,
    fresh: FreshOption = False,
    dry_run: DryOption = False,
    json: JsonOption = False,
) -> None:
    """Accuracy, pass@k, modes and loss, with 95 % intervals."""
    guard(lambda: _evaluate(config, run, settings, fresh, dry_run, json))


@app.command()
def check(config: ConfigFile, settings: SetOption = None, json: JsonOption = False) -> None:
    """Validate only: resolved configuration, warnings, memory and tokens. Starts nothing."""
    guard(lambda: _check(config, settings, json))


@app.command()
def audit(
    config: Annotated[
        Path | None, typer.Argument(metavar="CONFIG.yaml", help="The configuration whose reward is audited.")
    ] = None,
    run: Annotated[
        Path | None,
        typer.Option(
            "--run", help="Run directory for audit.json [default: runs/<name of the config> if there is one]."
        ),
    ] = None,
    settings: SetOption = None,
    problems: Annotated[
        int | None,
        typer.Option("--problems", min=1, help="Problems to probe [default: 32, or all if there are fewer]."),
    ] = None,
    rescore: Annotated[
        Path | None,
        typer.Option("--rescore", metavar="RUN_DIR", help="Grade the saved rollouts of a run again instead."),
    ] = None,
    max_fp: MaxFpOption = None,
    max_fn: MaxFnOption = None,
    json: JsonOption = False,
) -> None:
    """Probe a reward from both sides: what it wrongly pays, what it wrongly refuses. Exit 3 past a limit."""
    guard(lambda: _audit(config, run, settings, problems, rescore, (max_fp, max_fn), json))


@app.command()
def inspect(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN_DIR...", help="Run directories.")],
    step: Annotated[
        int | None, typer.Option("--step", help="Step whose rollouts to show [default: the last written].")
    ] = None,
    count: Annotated[int, typer.Option("--count", min=0, help="Groups of rollouts to show.")] = 3,
) -> None:
    """Read runs in the terminal: evaluations side by side, growth of the modes, notes on what went wrong, rollouts."""
    guard(lambda: _inspect(runs, step, count))


@app.command()
def data(
    config: ConfigFile,
    settings: SetOption = None,
    count: Annotated[int, typer.Option("--count", min=1, help="How many to draw.")] = 5,
    split: Annotated[str, typer.Option("--split", help="train or test.")] = "train",
    out: Annotated[Path | None, typer.Option("--out", help="Write JSON lines to a file instead of stdout.")] = None,
) -> None:
    """Print or write the problems or documents that a configuration draws, as JSON lines."""
    guard(lambda: _data(config, settings, count, split, out))


# ------------------------------------------------------------------------------------------ what they do


def _prepare(
    stage: str, file: Path, settings: list[str] | None, dry_run: bool, *, json: bool = False
) -> tuple[Any, list[str]] | None:
    """The checked configuration and what was warned of; None if checking was all that was asked."""
    from rlvr.config_file import load
    from rlvr.preflight import plan

    _, config = load(file, settings or [], stage)
    if dry_run:
        _print_plan(stage, config, plan(config, starting=False), json=json)
        return None
    warnings = plan(config, starting=True).warnings
    for warning in warnings:
        say(f"warning: {warning}")
    return config, warnings


def _train(stage: str, file: Path, run: Path | None, settings: list[str] | None, fresh: bool, dry_run: bool) -> None:
    prepared = _prepare(stage, file, settings, dry_run)
    if prepared is None:
        return
    config, warnings = prepared
    from rlvr.runtime.run_dir import open_run, record_warnings

    with open_run(run or default_run(file), config, _inputs(config), fresh=fresh) as directory:
        if directory.finished(config.train.max_steps):
            say(f"{directory.path} is finished ({config.train.max_steps} steps); --fresh starts anew")
        else:
            from rlvr.stages import pretrain, rl, sft

            record_warnings(directory, warnings)
            stages: dict[str, Callable[[Any, RunDirectory], None]]
            stages = {"pretrain": pretrain.run, "sft": sft.run, "rl": rl.run}
            stages[stage](config, directory)
    print(directory.path)


def _evaluate(
    file: Path, run: Path | None, settings: list[str] | None, fresh: bool, dry_run: bool, as_json: bool
) -> None:
    import json

    prepared = _prepare("eval", file, settings, dry_run, json=as_json)
    if prepared is None:
        return
    config, warnings = prepared
    from rlvr.runtime.run_dir import open_run, record_warnings
    from rlvr.runtime.written import read_object

    with open_run(run or default_run(file), config, _inputs(config), fresh=fresh) as directory:
        result = directory.path / "eval.json"
        if result.exists():
            say(f"{directory.path} is finished; --fresh evaluates anew")
        else:
            from rlvr.stages import evaluate

            record_warnings(directory, warnings)
            evaluate.run(config, directory)
    if as_json:
        print(json.dumps(read_object(result)))
    else:
        from rlvr.report.runs import open_finished
        from rlvr.report.terminal import comparison
        from rlvr.runtime.progress import console

        console().print(comparison([open_finished(directory.path)]))
        print(directory.path)


def _inputs(config: Any) -> dict[str, str]:
    """The SHA-256 of every file that the run learns or starts from; of a function of the user's it is said too."""
    from rlvr.preflight import inputs

    found = inputs(config)
    own = config.reward.own
    if own is not None:
        say(f"reward.own: {own.function} of {own.file} (sha256 {found[own.file]})")
    return found


def default_run(file: Path) -> Path:
    """``runs/<name>``: the file's path below a folder named configs, else its bare name.

    Raises RlvrError for a name that leads out of ``runs``.
    """
    parts = file.with_suffix("").parts
    below = parts[len(parts) - parts[::-1].index("configs") :] if "configs" in parts[:-1] else parts[-1:]
    if not set(below).isdisjoint((".", "..")):
        raise RlvrError(str(file), "gives a run no name inside runs/", remedy="choose a directory with --run")
    return Path("runs", *below)


def _check(file: Path, settings: list[str] | None, as_json: bool) -> None:
    from rlvr.config_file import load
    from rlvr.preflight import plan

    stage, config = load(file, settings or [])
    _print_plan(stage, config, plan(config, starting=False), json=as_json)


def _print_plan(stage: str, config: StageConfig, plan: Plan, *, json: bool) -> None:
    from json import dumps

    from rlvr.config_file import dump

    if json:
        print(dumps({"stage": stage, "config": config.model_dump(exclude_none=True), **plan.to_json()}))
        return
    print(dump(config), end="")
    say(f"rlvr {stage}: the configuration is valid")
    if plan.parameters is not None and plan.memory_bytes is not None:
        kept = "weights and optimizer"
        if plan.cache_bytes is not None:
            kept += f", and a cache of {plan.cache_bytes / 2**20:,.1f} MiB"
        say(f"parameters: {plan.parameters:,}; memory for {kept}: {plan.memory_bytes / 2**20:,.1f} MiB")
    for what, tokens in plan.tokens.items():
        say(f"tokens, {what}: {tokens:,}")
    for warning in plan.warnings:
        say(f"warning: {warning}")


def _audit(
    file: Path | None,
    run: Path | None,
    settings: list[str] | None,
    problems: int | None,
    rescored: Path | None,
    limits: tuple[float | None, float | None],
    as_json: bool,
) -> None:
    from json import dumps

    from rich.console import Console

    from rlvr.audit import record

    result, view, directory = (
        _probed(file, run, settings, problems)
        if rescored is None
        else _rescored(file, run, settings, problems, rescored)
    )
    if directory is not None:
        record(directory, "probes" if rescored is None else "rescore", result.to_json())
    if as_json:
        print(dumps(result.to_json()))
    else:
        console = Console(highlight=False, markup=False, emoji=False)
        if not console.is_terminal:
            console.width = PIPED_WIDTH
        console.print(view)
        if directory is not None:
            print(directory / "audit.json")
    _check_limits(result, limits)


def _probed(
    file: Path | None, run: Path | None, settings: list[str] | None, problems: int | None
) -> tuple[AuditResult, RenderableType, Path | None]:
    """An audit by probes, how it looks, and the run directory to keep it in."""
    from rlvr.audit import PROBLEMS, audit
    from rlvr.config_file import load
    from rlvr.report.audits import audit_view
    from rlvr.report.runs import open_finished

    if file is None:
        raise RlvrError(
            "rlvr audit", "nothing to audit", remedy="name a configuration, or a run directory with --rescore"
        )
    _, config = load(file, settings or [])
    directory = run or default_run(file)
    if run is not None:
        open_finished(run)
    result = audit(config, problems=problems or PROBLEMS)
    return result, audit_view(result), directory if (directory / "config.yaml").is_file() else None


def _rescored(
    file: Path | None, run: Path | None, settings: list[str] | None, problems: int | None, directory: Path
) -> tuple[RescoreResult, RenderableType, Path | None]:
    """The saved rollouts of a run graded again, how that looks, and the run directory to keep it in."""
    from rlvr.audit import NEEDED, rescore
    from rlvr.config_file import load
    from rlvr.report.audits import rescore_view
    from rlvr.report.runs import open_finished

    for option, given in (("--run", run), ("--problems", problems)):
        if given is not None:
            raise RlvrError(option, "has no effect beside --rescore", remedy="remove it")
    source = open_finished(directory)
    _, made_by = load(directory / "config.yaml", [])
    _, present = load(file or directory / "config.yaml", settings or [])
    rollouts = ((step, source.rollouts(step, NEEDED)) for step in source.rollout_steps())
    result = rescore(str(directory), made_by, present, rollouts)
    return result, rescore_view(result), directory


def _check_limits(result: AuditResult | RescoreResult, limits: tuple[float | None, float | None]) -> None:
    """Exit 3, with one line that says why, if a measured rate is above its limit."""
    from rlvr.report.audits import share_text

    broken = [
        f"{name} {share_text(rate)} is above {option} {limit:g}"
        for name, option, rate, limit in (
            ("fp", "--max-fp", result.fp, limits[0]),
            ("fn", "--max-fn", result.fn, limits[1]),
        )
        if limit is not None and rate.share is not None and rate.share > limit
    ]
    if broken:
        say(f"error: {'; '.join(broken)}")
        raise typer.Exit(TrainingStoppedError.exit_code)


def _inspect(paths: list[Path], step: int | None, count: int) -> None:
    from rich.console import Console
    from rich.table import Table

    from rlvr.report.runs import open_finished
    from rlvr.report.terminal import comparison, explanations, growth, last_row, rollout_views

    runs = [open_finished(path) for path in paths]
    evaluations = [run for run in runs if run.stage == "eval" and run.rows]
    views: list[RenderableType] = [comparison(evaluations)] if evaluations else []
    views += [view for run in runs if run.stage == "rl" and (view := growth(run)) is not None]
    views += [last_row(run) for run in runs if run.stage in ("pretrain", "sft") and run.rows]
    views += [view for run in runs if (view := explanations(run)) is not None]
    views += rollout_views(runs, step, count) if count else []
    if not views:
        say("there is nothing to show yet: no rows, no rollouts")
    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = PIPED_WIDTH
    for view in views:
        console.print(view, soft_wrap=not isinstance(view, Table))


def _data(file: Path, settings: list[str] | None, count: int, split: str, out: Path | None) -> None:
    from json import dumps

    from rlvr.config_file import load
    from rlvr.corpus import draw_rows
    from rlvr.runtime.files import write_jsonl

    if split not in ("train", "test"):
        raise RlvrError("--split", "unknown split", got=split, allowed="train, test")
    _, config = load(file, settings or [])
    rows = draw_rows(config, split, count)  # type: ignore[arg-type]
    if out is None:
        for row in rows:
            print(dumps(row))
        return
    try:
        write_jsonl(out, rows)
    except OSError as error:
        raise RlvrError(
            f"--out {out}", f"cannot be written: {error.strerror}", remedy="name a file you can write"
        ) from None
    print(out)
