"""Evaluations of a run: while it trained, and of the models before and after it, with intervals and the differences with theirs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from rlvr.report.beside import Answers, Beside, answers, changed, evaluations_beside, share_in, shares
from rlvr.report.blocks import Block, Cell, Chart, Prose, Section, Table
from rlvr.report.plots import Bar, Line, bars, lines
from rlvr.report.runs import Run
from rlvr.report.wording import change, number, shown
from rlvr.runtime.metrics import Row
from rlvr.statistics import difference, pass_interval

MEASURE = re.compile(r"eval/(?P<task>[^/]+)/(?P<what>.+)")
MOST_TASKS = 6
"""Tasks of a mixture whose accuracy is drawn in one chart; tables have them all."""

HOW = (
    "Intervals are 95 %. Of shares: Wilson's, samples of one problem counted by their design effect; of pass@k: Student's over problems. Of differences: paired by problem "
    "where both answered the same ones (Bonett and Price 2012; Miller, arXiv:2411.00640), else Newcombe's (1998, method 10) as if they "
    "were of different problems, which is wider."
)


def evaluations(run: Run, beside: Beside | None = None) -> list[Section]:
    """The sections on evaluations: while training, before and after, or what an evaluation run itself measured.

    beside: the evaluations beside it, where they were looked for already.
    Those of a stage that learns from documents are drawn with its losses (``learning``).
    """
    found = [_own(run)] if run.stage == "eval" else [_before_and_after(run, beside or evaluations_beside(run))]
    if run.stage == "rl":
        found.insert(0, _while_training(run))
    return [section for section in found if section is not None]


def tasks_in(rows: Sequence[Row]) -> list[str]:
    """The tasks that rows hold accuracies of; a mixture as a whole comes first."""
    found = dict.fromkeys(
        match["task"]
        for row in rows
        for name in row
        if (match := MEASURE.fullmatch(name)) and match["what"] == "accuracy"
    )
    return sorted(found, key=lambda task: task != "mixture")


def modes_in(rows: Sequence[Row], task: str) -> list[str]:
    """The modes whose probability was measured on a task."""
    begin, end = f"eval/{task}/mode/", "/probability"
    names = dict.fromkeys(name for row in rows for name in row if name.startswith(begin) and name.endswith(end))
    return [name[len(begin) : -len(end)] for name in names if len(name) > len(begin) + len(end)]


# -------------------------------------------------------------------------------------------- while training


def _while_training(run: Run) -> Section | None:
    rows = [row for row in run.rows if any(name.startswith("eval/") and row[name] is not None for name in row)]
    if not rows:
        return None
    blocks: list[Block]
    if len(rows) == 1:
        blocks = [_values(rows[0], f"After step {rows[0]['step']:.0f}, the only evaluation.")]
        return Section(name="evaluations", title="Evaluations while training", blocks=blocks)
    tasks = tasks_in(rows)
    blocks = [_accuracy(rows, tasks)] if tasks else []
    blocks += [_modes(rows, tasks[0])] if tasks and modes_in(rows, tasks[0]) else []
    return Section(name="evaluations", title="Evaluations while training", blocks=blocks) if blocks else None


def _accuracy(rows: Sequence[Row], tasks: Sequence[str]) -> Chart:
    drawn = []
    for task in tasks[:MOST_TASKS]:
        of = f"{task}, " if len(tasks) > 1 else ""
        drawn.append(_line(rows, f"eval/{task}/accuracy", f"{of}sampled"))
        if len(tasks) == 1:
            drawn.append(_line(rows, f"eval/{task}/greedy_accuracy", "greedy"))
    drawn = [line for line in drawn if any(value is not None for value in line.values)]
    summary = (
        "Share of right answers on the test split: " + "; ".join(f"{line.name} {_ends(line)}" for line in drawn) + "."
    )
    return lines("accuracy-evaluated", "Accuracy on the test split", summary, drawn, y="share right", share=True)


def _modes(rows: Sequence[Row], task: str) -> Chart:
    drawn = [_line(rows, f"eval/{task}/mode/{mode}/probability", mode) for mode in modes_in(rows, task)]
    summary = (
        "How likely each mode is on the test split: " + "; ".join(f"{line.name} {_ends(line)}" for line in drawn) + "."
    )
    return lines("modes-evaluated", "P(mode) on the test split", summary, drawn, y="probability", share=True)


def _line(rows: Sequence[Row], name: str, label: str) -> Line:
    x = [float(row["step"] or 0) for row in rows]
    values = [row.get(name) for row in rows]
    low, high = ([row.get(f"{name}_{end}") for row in rows] for end in ("low", "high"))
    if all(value is None for value in low):
        return Line(name=label, x=x, values=values)
    return Line(name=label, x=x, values=values, low=low, high=high)


def _ends(line: Line) -> str:
    known = [value for value in line.values if value is not None]
    return f"from {number(known[0])} to {number(known[-1])}" if known else "was not measured"


# ------------------------------------------------------------------------------------------- before and after


def _before_and_after(run: Run, found: Beside) -> Section | None:
    """The evaluations beside the run; None if there are none."""
    sides = [(name, side) for name, side in (("before", found.before), ("after", found.after)) if side is not None]
    if not sides:
        return None
    blocks: list[Block] = []
    if found.differing:
        text = f"The evaluations before and after were made in different ways ({'; '.join(found.differing[:5])}): they are not compared."
        blocks.append(Prose(text=text, kind="gap"))
    given = [(name, each) for (name, _), each in zip(sides, found.answers, strict=True)]
    blocks.append(_comparison(found, sides))
    blocks += _passes(given, sides)
    blocks += _by_mode([(name, side.rows[-1]) for name, side in sides])
    blocks.append(Prose(text=HOW))
    for _, side in sides:
        run.take_gaps_of(side)
    title = "Before and after" if len(sides) == 2 else sides[0][0].capitalize()
    return Section(name="before-and-after", title=title, blocks=blocks)


def _own(run: Run) -> Section | None:
    """What an evaluation run measured."""
    if not run.rows:
        return None
    sides = [("measured", run)]
    given = [("measured", answers(run))]
    blocks: list[Block] = [_values(run.rows[-1])]
    blocks += _passes(given, sides)
    blocks += _by_mode([("measured", run.rows[-1])])
    return Section(name="evaluation", title="Evaluation", blocks=blocks)


def _values(row: Row, caption: str = "") -> Table:
    rows: list[list[Cell]] = [[_label(name), _cell(row, name)] for name in _measures([row])]
    return Table(
        columns=["", "measured"], rows=rows, caption=f"{caption} 95 % intervals where a value has one.".strip()
    )


def _comparison(found: Beside, sides: Sequence[tuple[str, Run]]) -> Table:
    last = [side.rows[-1] for _, side in sides]
    columns = ["", *(f"{name}: {side.path.name}" for name, side in sides)]
    rows: list[list[Cell]] = []
    for name in _measures(last):
        cells: list[Cell] = [_label(name), *(_cell(row, name) for row in last)]
        if found.comparable:
            cells += _differences(name, last, found.answers)
        rows.append(cells)
    return Table(columns=[*columns, "difference", "paired"] if found.comparable else columns, rows=rows)


def _differences(name: str, rows: Sequence[Row], given: Sequence[Answers]) -> list[Cell]:
    """How a share changed, and whether the same problems were compared one by one."""
    before, after = share_in(rows[0], name), share_in(rows[1], name)
    if before is None or after is None:
        old, new = rows[0].get(name), rows[1].get(name)
        return ["–" if old is None or new is None else f"{new - old:+.4g}", ""]
    by_problem = [_by_problem(name, each) for each in given]
    paired = None if by_problem[0] is None or by_problem[1] is None else changed(by_problem[0], by_problem[1])
    # Only where the rollouts give the share that the row has: a mixture's rows are of one member too.
    if paired is not None and abs(paired.mean - (after[0] - before[0])) < 1e-6:
        return [change(paired), "yes"]
    return [change(difference(before, after)), "no"]


def _by_problem(name: str, given: Answers) -> dict[tuple[str, str, int, str], float] | None:
    """A measure of each problem; None for what has none of each."""
    if name.endswith("/greedy_accuracy"):
        return {problem: float(right) for problem, right in given.greedy.items()}
    if "/mode/" in name:
        *_, mode, what = name.split("/")
        return shares(given, mode) if what == "probability" else None
    return shares(given) if name.endswith("/accuracy") else None


def _measures(rows: Sequence[Row]) -> list[str]:
    """The measures to show, in the order in which they were written."""
    hidden = ("_low", "_high", "/problems", "/samples", "/greedy_probability", "/pass@1", "/documents/length_mean")
    names = dict.fromkeys(name for row in rows for name in row if MEASURE.fullmatch(name))
    return [name for name in names if not name.endswith(hidden)]


def _label(name: str) -> str:
    task, _, what = name.removeprefix("eval/").partition("/")
    words = {
        "accuracy": "accuracy, sampled",
        "greedy_accuracy": "accuracy, greedy",
        "reward_mean": "mean reward",
        "length_mean": "mean length (tokens)",
        "truncated_fraction": "truncated",
        "loss": "loss (nats a token)",
        "perplexity": "perplexity (choices a token)",
    }
    if what.startswith("mode/"):
        mode, _, of = what.removeprefix("mode/").rpartition("/")
        return f"{task}: P({mode})" if of == "probability" else f"{task}: {of} given {mode}"
    return f"{task}: {words.get(what, what.replace('_', ' '))}"


def _cell(row: Row, name: str) -> Cell:
    share = share_in(row, name)
    return row.get(name) if share is None else shown(share)


# -------------------------------------------------------------------------------------------- pass@k and modes


def _passes(given: Sequence[tuple[str, Answers]], sides: Sequence[tuple[str, Run]]) -> list[Block]:
    """The chance that one of k samples is right, for each side that has more than one sample a problem."""
    drawn = [
        line
        for (name, each), (_, run) in zip(given, sides, strict=True)
        if (line := _passing(name, each, run.rows[-1]))
    ]
    if not drawn:
        return []
    summary = (
        "Chance that at least one of k samples is right: "
        + "; ".join(f"{line.name} {_ends(line)}" for line in drawn)
        + "."
    )
    return [lines("pass-at-k", "pass@k", summary, drawn, y="share of problems", x="k", share=True)]


def _passing(name: str, given: Answers, row: Row) -> Line | None:
    """From the rollouts, with an interval over problems; else from the row, which has none."""
    counts = [(len(each), sum(right for _, right in each)) for each in given.sampled.values()]
    most = min((count for count, _ in counts), default=0)
    if most > 1 and len(counts) > 1:
        x = doubling(most)
        found = [pass_interval(counts, k) for k in x]
        return Line(name=name, x=x, values=[f[0] for f in found], low=[f[1] for f in found], high=[f[2] for f in found])
    known = {k: value for task in tasks_in([row])[:1] for k, value in _passes_in(row, task)}
    return Line(name=name, x=sorted(known), values=[known[k] for k in sorted(known)]) if len(known) > 1 else None


def _passes_in(row: Row, task: str) -> Iterator[tuple[int, float]]:
    """Each k of a row with its pass@k."""
    for name, value in row.items():
        found = re.fullmatch("pass@([0-9]{1,6})", name.removeprefix(f"eval/{task}/"))
        if found is not None and value is not None:
            yield int(found[1]), value


def doubling(last: int) -> list[int]:
    """1, 2, 4, … and the last.

    >>> doubling(6)
    [1, 2, 4, 6]
    """
    return [*(2**i for i in range(last.bit_length()) if 2**i < last), last]


def _by_mode(sides: Sequence[tuple[str, Row]]) -> list[Block]:
    """Accuracy given each mode, side by side."""
    drawn = []
    for name, row in sides:
        for task in tasks_in([row])[:1]:
            for mode in modes_in([row], task):
                share = share_in(row, f"eval/{task}/mode/{mode}/accuracy")
                if share is not None:
                    drawn.append(Bar(category=mode, value=share[0], series=name, low=share[1], high=share[2]))
    if not drawn:
        return []
    summary = (
        "Accuracy given the mode: " + "; ".join(f"{bar.category} {bar.series} {bar.value:.3f}" for bar in drawn) + "."
    )
    return [
        bars(
            "accuracy-by-mode-evaluated",
            "Accuracy given the mode",
            summary,
            drawn,
            x="mode",
            y="share right",
            share=True,
        )
    ]
