"""The command line: names, options and help of the commands (``rlvr.commands`` has what they do)."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Annotated

import typer

from rlvr.commands import audits, claims, evaluations, exports, reading, reports, stages, studies
from rlvr.ending import guard

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
        guard(lambda: stages.train(stage, config, run, settings, fresh, dry_run))


_add_training_command("pretrain", "Train a model from scratch on documents drawn from tasks and text files.")
_add_training_command("sft", "Imitate: cross-entropy on the tokens of responses.")
_add_training_command("rl", "On-policy RL against verifiable rewards.")


@app.command(name="eval")
def evaluate(
    targets: Annotated[
        list[Path],
        typer.Argument(
            metavar="CONFIG.yaml|RUN_DIR...", help="A configuration; or one finished run, or two to compare."
        ),
    ],
    run: RunOption = None,
    settings: SetOption = None,
    fresh: FreshOption = False,
    dry_run: DryOption = False,
    against: Annotated[
        str | None,
        typer.Option("--against", metavar="MODEL", help="Evaluate an earlier model in the same way too, and compare."),
    ] = None,
    write_filtered: Annotated[
        Path | None,
        typer.Option("--write-filtered", metavar="FILE", help="Write the problems solved sometimes as JSON lines."),
    ] = None,
    band: Annotated[
        str | None,
        typer.Option("--band", metavar="LOW,HIGH", help="Write those with such a share of right samples instead."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Accuracy, pass@k, modes and loss, with 95 % intervals; what groups RL could learn from; two models compared."""

    def command() -> None:
        asked = evaluations.Asked(
            run=run,
            settings=settings or [],
            fresh=fresh,
            dry_run=dry_run,
            against=against,
            as_json=json,
            keep=evaluations.filter_of(write_filtered, band),
        )
        evaluations.evaluate(targets, asked)

    guard(command)


@app.command()
def check(config: ConfigFile, settings: SetOption = None, json: JsonOption = False) -> None:
    """Validate only: resolved configuration, warnings, memory and tokens. Starts nothing."""
    guard(lambda: stages.check(config, settings, json))


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
    guard(lambda: audits.audit(config, run, settings, problems, rescore, (max_fp, max_fn), json))


@app.command()
def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN_DIR...", help="One run, or several to be compared.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="The file [default: report.html in the one run directory]."),
    ] = None,
    figures: Annotated[
        Path | None, typer.Option("--figures", metavar="DIR", help="Also write every chart as SVG, PNG and CSV there.")
    ] = None,
) -> None:
    """One HTML file that opens offline: what was trained, what changed, why, and what went wrong."""
    guard(lambda: reports.report(runs, out, figures))


@app.command()
def inspect(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN_DIR...", help="Run directories.")],
    step: Annotated[
        int | None, typer.Option("--step", help="Step whose rollouts to show [default: the last written].")
    ] = None,
    count: Annotated[int, typer.Option("--count", min=0, help="Groups of rollouts to show.")] = 3,
    only: Annotated[
        str | None,
        typer.Option(
            "--only", help="wrong-rewarded, wrong, right, longest (longest first) or uncertain (highest entropy first)."
        ),
    ] = None,
    mode: Annotated[str | None, typer.Option("--mode", help="Only rollouts of this mode.")] = None,
    search: Annotated[str, typer.Option("--search", help="Only rollouts with this in question or completion.")] = "",
    problem: Annotated[int | None, typer.Option("--problem", help="Only rollouts of this problem.")] = None,
    against: Annotated[
        int | None, typer.Option("--against", metavar="STEP", help="The same problems at this step, side by side.")
    ] = None,
    tokens: Annotated[
        str | None,
        typer.Option("--tokens", help="Token by token, coloured by entropy, advantage, change, ratio or probability."),
    ] = None,
    plain: Annotated[bool, typer.Option("--plain", help="Text, as where stdout is no terminal.")] = False,
) -> None:
    """Read runs in the terminal: browse problems, groups and rollouts with keys; as text, evaluations side by side, growth of the modes,
    notes on what went wrong, rollouts."""
    guard(
        lambda: reading.inspect(
            runs,
            step,
            count,
            only=only,
            mode=mode,
            search=search,
            problem=problem,
            against=against,
            tokens=tokens,
            plain=plain,
        )
    )


@app.command()
def study(
    run: Annotated[Path, typer.Argument(metavar="RUN_DIR", help="A run of rl or eval.")],
    step: Annotated[
        int | None, typer.Option("--step", help="Step whose rollouts to study [default: the first and the last saved].")
    ] = None,
    rollouts: Annotated[int, typer.Option("--rollouts", min=1, help="Rollouts of each step.")] = 6,
    samples: Annotated[
        int,
        typer.Option("--samples", min=0, help="Completions that go on from each position of each; 0 leaves that out."),
    ] = 16,
    against: Annotated[
        str | None,
        typer.Option("--against", metavar="MODEL", help="The earlier model [default: what the run began from]."),
    ] = None,
    problem: Annotated[
        int | None, typer.Option("--problem", help="Only rollouts of the problem of this index.")
    ] = None,
) -> None:
    """Look into saved rollouts: each token under the policy and an earlier model, and where the answer was decided."""
    guard(lambda: studies.study(run, step, (rollouts, samples, problem), against))


@app.command()
def export(
    run: Annotated[
        Path, typer.Argument(metavar="RUN_OR_CHECKPOINT", help="A training run, or one of its checkpoints.")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The folder to make.")],
    dtype: Annotated[str, typer.Option("--dtype", help="float32, bfloat16 or float16: of the weights.")] = "float32",
    gguf: Annotated[bool, typer.Option("--gguf", help="Also write model.gguf, for llama.cpp.")] = False,
) -> None:
    """Write a trained model for transformers and vLLM: weights with any adapter merged, tokenizer, generation settings, model card."""
    guard(lambda: exports.export(run, out, dtype, gguf))


@app.command()
def data(
    config: ConfigFile,
    settings: SetOption = None,
    count: Annotated[int, typer.Option("--count", min=1, help="How many to draw.")] = 5,
    split: Annotated[str, typer.Option("--split", help="train or test.")] = "train",
    out: Annotated[Path | None, typer.Option("--out", help="Write JSON lines to a file instead of stdout.")] = None,
) -> None:
    """Print or write the problems or documents that a configuration draws, as JSON lines."""
    guard(lambda: reading.data(config, settings, count, split, out))


claims_app = typer.Typer(no_args_is_help=True, help="Published claims about RL, as experiments: each PASS or FAIL.")
app.add_typer(claims_app, name="claims")
OutFolder = Annotated[
    Path | None, typer.Option("--out", metavar="DIR", help="Folder of runs and results [default: runs/claims].")
]


@claims_app.command(name="list")
def list_claims(out: OutFolder = None, json: JsonOption = False) -> None:
    """What is claimed, by whom, how long it takes to try, and what was found last."""
    guard(lambda: claims.list_claims(out, json))


@claims_app.command(name="run")
def run_claims(
    names: Annotated[list[str], typer.Argument(metavar="ID...", help="Claims, or all.")],
    seeds: Annotated[
        int | None, typer.Option("--seeds", min=1, help="Seeds of every arm [default: 3, or 1 with --quick].")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Reduced grids.")] = False,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="FILE.a.b=VALUE", help="Override a key of one of the arms' files (repeatable)."),
    ] = None,
    jobs: Annotated[
        int | None, typer.Option("--jobs", min=1, help="Runs at a time, each on one thread [default: one a processor].")
    ] = None,
    out: OutFolder = None,
) -> None:
    """Make the runs, judge each claim by criteria that were fixed before, and write one report."""
    guard(lambda: claims.run_claims(names, seeds, quick, settings or [], jobs, out))
