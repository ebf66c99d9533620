"""Plain views of runs for the terminal: evaluations side by side, growth of a mode, what was explained."""

from collections.abc import Sequence
from itertools import pairwise

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from rlvr.report.beside import answers, share_in
from rlvr.report.runs import Run, training_seconds
from rlvr.report.solvability import RULE, counts_of, group_rows, sentences, too_few
from rlvr.report.versus import Versus, verdicts
from rlvr.report.wording import counted, shown
from rlvr.runtime.literal import printable
from rlvr.runtime.metrics import Row
from rlvr.runtime.notes import read_explanations
from rlvr.runtime.progress import summary
from rlvr.solvability import solvability
from rlvr.statistics import Estimate

WIDTH = 60
HEIGHT = 8
BLOCKS = " ▁▂▃▄▅▆▇█"


def run_views(runs: Sequence[Run]) -> list[RenderableType]:
    """What runs say apart from their rollouts: evaluations, growth, where a run stands, and what was explained."""
    evaluations = [run for run in runs if run.stage == "eval" and run.rows]
    views: list[RenderableType] = [comparison(evaluations)] if evaluations else []
    views += [view for run in runs if run.stage == "rl" and (view := growth(run)) is not None]
    views += [last_row(run) for run in runs if run.stage in ("pretrain", "sft") and run.rows]
    return views + [view for run in runs if (view := explanations(run)) is not None]


def comparison(runs: Sequence[Run]) -> Table:
    """Evaluation runs side by side: one column a run, with 95 % intervals."""
    table = Table(title="evaluation (95 % intervals)", title_justify="left")
    table.add_column("")
    for run in runs:
        table.add_column(Text(printable(f"{run.path.name}\n{run.config['model']}")), justify="right")
    rows = [run.rows[-1] for run in runs]
    names = _measures(rows)
    several = len({name.split("/")[1] for name in names} - {"documents"}) > 1
    for name in names:
        table.add_row(
            Text(printable(f"{name.split('/')[1]}: {_label(name)}" if several else _label(name))),
            *(_cell(row, name) for row in rows),
        )
    made = [training_seconds(run) for run in runs]
    table.add_row("seconds of training behind it", *("–" if seconds is None else f"{seconds:.1f}" for seconds in made))
    return table


def _measures(rows: Sequence[Row]) -> list[str]:
    """The metrics to show, modes first, in the same order for every run."""
    names = list(dict.fromkeys(name for row in rows for name in row if name.startswith("eval/")))
    hidden = ("_low", "_high", "/problems", "/samples", "/greedy_probability", "/pass@1")
    shown = [name for name in names if not name.endswith(hidden)]
    return sorted(shown, key=lambda name: ("/mode/" not in name, name.endswith("/accuracy") and "/mode/" in name))


def _label(name: str) -> str:
    parts = name.split("/")[1:]
    if "mode" in parts:
        mode, what = parts[-2:]
        return f"P({mode})" if what == "probability" else f"{what} given {mode}"
    labels = {
        "accuracy": "accuracy, sampled",
        "greedy_accuracy": "accuracy, greedy",
        "length_mean": "mean length (tokens)",
        "reward_mean": "mean reward",
        "truncated_fraction": "truncated",
        "perplexity": "perplexity (choices per token)",
    }
    task = "demonstrations: " if parts[0] == "documents" else ""
    return task + labels.get(parts[-1], parts[-1].replace("_", " "))


def _cell(row: Row, name: str) -> str:
    value, share = row.get(name), share_in(row, name)
    if value is None:
        return "–"
    return f"{value:.4g}" if share is None else shown(share)


def solvable(run: Run) -> RenderableType | None:
    """Which problems of an evaluation are solved, and groups of which size RL could learn from; None without sampled answers."""
    counts = counts_of(answers(run))
    if not counts:
        return None
    found = solvability(counts)
    if found is None:
        return Text(too_few(counts))
    told = "; ".join(f"{right}: {number}" for right, number in found.histogram.items())
    table = Table(title="groups all right or all wrong, expected (95 % intervals)", title_justify="left")
    for name in ("group size", "of all problems", "estimated with", "of those sometimes solved (fitted beta)"):
        table.add_column(name, justify="right")
    for size, each, kept, how in group_rows(found):
        table.add_row(str(size), _estimate(each), how, "–" if kept is None else f"{kept:.3f}")
    lines = [f"problems by right answers among {found.samples} samples: {told}", *sentences(found), RULE]
    return Group(table, Text("\n".join(lines)))


def versus_view(found: Versus) -> RenderableType:
    """Two evaluations on the same problems: who is better, in one sample and in k, and what that means."""
    named = [f"{letter}: {name} ({model})" for letter, name, model in zip("AB", found.names, found.models, strict=True)]
    table = Table(
        title=f"pass@k on {counted(found.problems, 'problem')} with {counted(found.samples, 'sample')} each (95 % intervals)",
        title_justify="left",
    )
    for name in ("k", "A", "B", "B - A, paired"):
        table.add_column(name, justify="right")
    for at in found.curve:
        table.add_row(str(at.k), shown(at.a), shown(at.b), _estimate(at.difference))
    told = [f"note: {note}" for note in found.notes] + verdicts(found)
    return Group(Text(printable("\n".join(named))), table, Text(printable("\n".join(told))))


def _estimate(found: Estimate) -> str:
    assert found.low is not None
    assert found.high is not None
    return shown((found.mean, found.low, found.high))


def growth(run: Run) -> RenderableType | None:
    """How each mode's probability went, step by step; None for runs without modes."""
    names = sorted(
        {name for row in run.rows for name in row if name.startswith("mode/") and name.endswith("/probability")}
    )
    if not names:
        return None
    series = {name.split("/")[1]: [row.get(name) or 0.0 for row in run.rows] for name in names}
    shown = [mode for mode in series if mode != "direct"] or list(series)
    last = len(run.rows)
    parts = []
    for mode in shown:
        parts.append(
            Text(
                f"P({printable(mode)}) while training, steps 1 to {last}, {printable(str(run.path))}\n{chart(series[mode])}"
            )
        )
        points = "  ".join(f"{step}: {series[mode][step - 1]:.3f}" for step in _doubling(len(series[mode])))
        parts.append(Text(f"      step: P   {points}"))
    return Group(*parts)


def _doubling(last: int) -> list[int]:
    """1, 2, 4, … and the last: where growth by a factor is seen best."""
    return [*(2**i for i in range(last.bit_length()) if 2**i < last), last]


def chart(values: Sequence[float]) -> str:
    """A bar chart of values in [0, 1], averaged into at most WIDTH columns.

    >>> print(chart([0.0, 0.5, 1.0]).splitlines()[0])
    1.00 |  █
    """
    columns = min(WIDTH, len(values))
    edges = [round(i * len(values) / columns) for i in range(columns + 1)]
    means = [sum(values[a:b]) / (b - a) for a, b in pairwise(edges)]
    lines = []
    for level in range(HEIGHT, 0, -1):
        filled = [min(1.0, max(0.0, mean * HEIGHT - (level - 1))) for mean in means]
        bars = "".join(BLOCKS[round(share * (len(BLOCKS) - 1))] for share in filled)
        label = {HEIGHT: "1.00", HEIGHT // 2: "0.50", 1: "0.12"}.get(level, "    ")
        lines.append(f"{label} |{bars.rstrip()}")
    return "\n".join([*lines, f"     +{'-' * columns}"])


def last_row(run: Run) -> Text:
    """Where a run that has neither rollouts nor an evaluation of its own stands."""
    return Text(printable(f"{run.path}: step {run.rows[-1]['step']}  {summary(run.rows[-1])}"))


def explanations(run: Run) -> RenderableType | None:
    """What was explained of a run's metrics, by step; None if nothing was."""
    found = read_explanations(run.path)
    lines = [f"step {each['step']}: {each['sentence']}" for each in found]
    return Text(printable("\n".join([f"notes on {run.path}", *(f"  {line}" for line in lines)]))) if found else None
