"""Several runs side by side: seeds of one arm under a band, arms over one another, and tests of what sets them apart."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from rlvr.report.arms import Arm, arms_of, differing, names_of
from rlvr.report.blocks import Block, Cell, Chart, Prose, Section, Table
from rlvr.report.gaps import unfinished
from rlvr.report.measures import Measure, measures
from rlvr.report.paired import problem_tests, seed_tests
from rlvr.report.plots import COLOURS, Bar, Line, bars, lines
from rlvr.report.runs import Run
from rlvr.report.versus import versus_section
from rlvr.report.wording import counted, number
from rlvr.statistics import Estimate, t_interval

STAGES = {
    "pretrain": "Pretraining",
    "sft": "Supervised fine-tuning",
    "rl": "Reinforcement learning",
    "eval": "Evaluation",
}
MOST_LINES = len(COLOURS)
"""Arms that are drawn: each has a colour and dashes of its own."""
MOST_TOLD = 6
"""Tests that are told in words."""
TESTED = {"reward/mean"}
"""What arms are tested by beside the accuracies of evaluations."""


def compare(runs: list[Run]) -> list[Section]:
    """The sections of a report on several runs: which they are, then each stage's arms tested, in the end, and over steps; two evaluations face to face."""
    runs = list({run.path.resolve(): run for run in runs}.values())
    arms = arms_of(runs)
    stages = dict.fromkeys(arm.stage for arm in arms)
    found = [_overview(runs, arms), *(_stage(stage, [arm for arm in arms if arm.stage == stage]) for stage in stages)]
    evaluated = [run for run in runs if run.stage == "eval"]
    return [*found, versus_section(*evaluated)] if len(evaluated) == 2 else found


def _overview(runs: Sequence[Run], arms: Sequence[Arm]) -> Section:
    counts = Counter(arm.stage for arm in arms)
    found = ", ".join(f"{counted(count, 'arm')} of {STAGES[stage].lower()}" for stage, count in counts.items())
    text = (
        f"{counted(len(runs), 'run')} in {found}. Runs are of one arm where their configurations are equal but for the seed, and those of the "
        "runs that made their models too. Bands are 95 % t-intervals over the runs of an arm."
    )
    blocks: list[Block] = [Prose(text=text), _table_of_runs(arms), *_unfinished(arms), *_repeated(arms)]
    return Section(name="runs", title="The runs", blocks=blocks)


def _unfinished(arms: Sequence[Arm]) -> list[Block]:
    """Which runs are not finished: an arm's mean goes on without their steps."""
    left = [(each.name, unfinished(each.run)) for arm in arms for each in arm.runs]
    found = [f"{name} ({text})" for name, text in left if text is not None]
    text = f"Unfinished: {'; '.join(found)}. From there on, the mean of its arm is that of the other runs."
    return [Prose(text=text, kind="gap")] if found else []


def _repeated(arms: Sequence[Arm]) -> list[Block]:
    """Which runs of an arm have the same seeds: they say the same thing twice, and no interval knows."""
    found = []
    for arm in arms:
        by_seeds: dict[tuple[str, ...], list[str]] = {}
        for each in arm.runs:
            by_seeds.setdefault(each.seeds, []).append(each.name)
        found += [" and ".join(names) for names in by_seeds.values() if len(names) > 1]
    text = (
        f"The same seeds: {'; '.join(found)}. They are one run made again, not seeds of their own: intervals over them are too narrow, "
        "and tests on common seeds leave them out."
    )
    return [Prose(text=text, kind="gap")] if found else []


def _last_step(run: Run) -> float | None:
    return run.rows[-1].get("step") if run.rows else None


def _max_steps(run: Run) -> float | None:
    steps = run.setting("train", "max_steps")
    return steps if isinstance(steps, int) else None


def _table_of_runs(arms: Sequence[Arm]) -> Table:
    rows: list[list[Cell]] = [
        [each.name, arm.stage, arm.name, _seeds(each.seeds), _last_step(each.run), _max_steps(each.run), _seconds(each.run)]
        for arm in arms for each in arm.runs
    ]  # fmt: skip
    columns = ["run", "stage", "arm", "seed", "last step", "of", "seconds"]
    caption = (
        "Where a run and those that made its model have different seeds, all of them, its own first. Seconds are those of "
        "its steps, evaluations included."
    )
    return Table(columns=columns, rows=rows, caption=caption)


def _seconds(run: Run) -> float:
    return sum(row.get("time/step_seconds") or row.get("time/eval_seconds") or 0.0 for row in run.rows)


def _seeds(seeds: tuple[str, ...]) -> str:
    return ", ".join(seeds if len(set(seeds)) > 1 else seeds[:1])


def _stage(stage: str, arms: Sequence[Arm]) -> Section:
    """One stage's arms: what sets them apart, the tests, what they came to, and their charts."""
    runs = [each.run for arm in arms for each in arm.runs]
    found = measures(runs)
    if not found:
        gap = Prose(text=f"None of {', '.join(names_of(runs))} has rows of metrics yet.", kind="gap")
        return Section(name=f"arms-{stage}", title=STAGES[stage], blocks=[gap])
    table = differing(arms)
    tested = [m for m in found if m.key in TESTED or (m.evaluated and m.key.endswith("accuracy"))]
    tests = [*seed_tests(arms, tested), *(problem_tests(runs) if stage == "eval" else [])]
    tests = [*_told(tests), *tests]
    if not tests and len(runs) > 1:
        tests = [Prose(text="No tests: no two arms have two seeds in common, nor evaluations problems.", kind="gap")]
    blocks = [*([] if table is None else [table]), *tests, final_table(found, arms), *_charts(stage, found, arms)]
    return Section(name=f"arms-{stage}", title=STAGES[stage], blocks=blocks)


def _told(tests: Sequence[Block]) -> list[Block]:
    """What the tests found, in words: a sentence for each of the first tests."""
    said = []
    for table in tests:
        if isinstance(table, Table) and "verdict" in table.columns:
            said += [_sentence(dict(zip(table.columns, row, strict=True))) for row in table.rows]
    more = f" {len(said) - MOST_TOLD} more tests are in the tables." if len(said) > MOST_TOLD else ""
    return [Prose(text=" ".join(said[:MOST_TOLD]) + more)] if said else []


def _sentence(test: dict[str, Cell]) -> str:
    """
    >>> _sentence({"of": "Mean reward", "A": "a", "B": "b", "pairs": 3, "A − B": -0.5, "from": -0.6, "to": -0.4, "p (Holm)": 0.01, "verdict": "b above a"})
    'Mean reward: b above a by 0.500 [0.400, 0.600] over 3 pairs (p 0.01).'
    >>> _sentence({"of": "Mean reward", "A": "a", "B": "b", "pairs": 2, "A − B": 0.0, "from": 0.0, "to": 0.0, "verdict": "no test"})
    'Mean reward: a and b: no test, A − B 0.000 [0.000, 0.000] over 2 pairs.'
    """
    kind = ", answering greedily" if "only A right" in test else ", sampled" if "task" in test else ""
    what, said, size = f"{test.get('of', test.get('task'))}{kind}", str(test["verdict"]), _size(test)
    if "above" in said:
        said += f" by {size}" if size else f", which alone is right at {_counts(test)} problems where they differ,"
    else:
        said = f"{test['A']} and {test['B']}: {said}" + (f", A − B {size}" if size else "")
    count = f"{test['pairs']} pairs" if "pairs" in test else f"{test['problems']:,} problems"
    p = test.get("p (Holm)")  # a table has no such column where none of its tests could be made
    chance = "" if p is None else f" (p {f'{p:.2g}' if isinstance(p, float) else p})"
    return f"{what}: {said} over {count}{chance}."


def _size(test: dict[str, Cell]) -> str:
    """A difference with its interval: of the better over the worse where there is one, else of A over B."""
    ends = [value for name in ("A − B", "from", "to") if isinstance(value := test.get(name), int | float)]
    if len(ends) < 3:
        return ""
    if "above" in str(test["verdict"]) and ends[0] < 0:
        ends = [-ends[0], -ends[2], -ends[1]]
    return f"{ends[0]:.3f} [{ends[1]:.3f}, {ends[2]:.3f}]"


def _counts(test: dict[str, Cell]) -> str:
    one, other = test["only A right"], test["only B right"]
    assert isinstance(one, int | float)
    assert isinstance(other, int | float)
    return f"{max(one, other):,} of the {one + other:,}"


def _charts(stage: str, found: Sequence[Measure], arms: Sequence[Arm]) -> list[Block]:
    """A chart of each measure: over steps, or, where there is one step alone, a bar for each arm."""
    blocks: list[Block] = []
    if len(arms) > MOST_LINES:
        text = f"The charts show the first {MOST_LINES} of {len(arms)} arms; the tables have all."
        blocks.append(Prose(text=text))
    drawn = arms[:MOST_LINES]
    names: Counter[str] = Counter()
    for measure in found:
        name = _chart_name(f"{stage}-{measure.key.removeprefix(f'{stage}/')}", names)
        chart = _over_steps(name, measure, drawn) or _in_the_end(name, measure, drawn)
        blocks += [] if chart is None else [chart]
    return blocks


def _chart_name(text: str, taken: Counter[str]) -> str:
    """Letters, digits and hyphens; a number where that is not unique."""
    name = re.sub("[^a-z0-9]+", "-", text.lower()).strip("-")
    taken[name] += 1
    return name if taken[name] == 1 else f"{name}-{taken[name]}"


def _over_steps(name: str, measure: Measure, arms: Sequence[Arm]) -> Chart | None:
    """A measure's line for each arm; None if no run has it at two steps."""
    drawn = [line for arm in arms if (line := line_of(measure, arm)) is not None]
    if not any(len(line.x) > 1 for line in drawn):
        return None
    summary = f"{measure.title} of {', '.join(_ends(line) for line in drawn)}."
    return lines(name, measure.title, summary, drawn, y=measure.y, share=measure.share)


def _ends(line: Line) -> str:
    first, last = (number(value) for value in (line.values[0], line.values[-1]) if value is not None)
    return f"{line.name}: {first} at step {line.x[0]:g}, {last} at step {line.x[-1]:g}"


def line_of(measure: Measure, arm: Arm) -> Line | None:
    """The mean over an arm's runs at each step that one has a value for, with a 95 % t-interval where two have; None without any."""
    columns = [measure.values(each.run) for each in arm.runs]
    steps = sorted({step for column in columns for step in column})
    if not steps:
        return None
    estimates = [t_interval([c[step] for c in columns if step in c]) for step in steps]
    several = any(estimate.low is not None for estimate in estimates)
    return Line(
        name=arm.name,
        x=steps,
        values=[estimate.mean for estimate in estimates],
        low=[estimate.low for estimate in estimates] if several else None,
        high=[estimate.high for estimate in estimates] if several else None,
    )


def _bounded(estimate: Estimate, measure: Measure) -> Estimate:
    """An interval of a share ends where shares do."""
    if not measure.share or estimate.low is None or estimate.high is None:
        return estimate
    return Estimate(mean=estimate.mean, low=max(0.0, estimate.low), high=min(1.0, estimate.high), p=estimate.p)


def _in_the_end(name: str, measure: Measure, arms: Sequence[Arm]) -> Chart | None:
    """A bar for each arm; None if none of them has a value."""
    drawn = [
        Bar(category=arm.name, value=estimate.mean, low=estimate.low, high=estimate.high)
        for arm in arms
        if (estimate := final(measure, arm)) is not None
    ]
    if not drawn:
        return None
    summary = f"{measure.title}: {', '.join(f'{bar.category} {number(bar.value)}' for bar in drawn)}."
    return bars(name, measure.title, summary, drawn, x="arm", y=measure.y, share=measure.share)


def final(measure: Measure, arm: Arm) -> Estimate | None:
    """What an arm came to, with a 95 % t-interval over its runs; of one run's evaluation, the interval that it recorded."""
    values = [value for each in arm.runs if (value := measure.final(each.run)) is not None]
    if not values:
        return None
    if len(values) == 1 and measure.evaluated:
        return _recorded(measure, [each.run for each in arm.runs])
    return _bounded(t_interval(values), measure)


def _recorded(measure: Measure, runs: Sequence[Run]) -> Estimate:
    """The last value of the only run that has one, with the interval in the same row."""
    row = [row for run in runs for row in run.rows if measure.of(row) is not None][-1]
    mean = measure.of(row)
    assert mean is not None
    return Estimate(mean=mean, low=row.get(f"{measure.key}_low"), high=row.get(f"{measure.key}_high"), p=None)


def final_table(found: Sequence[Measure], arms: Sequence[Arm]) -> Table:
    """What each arm came to."""
    rows: list[list[Cell]] = []
    for measure in found:
        for arm in arms:
            estimate = final(measure, arm)
            if estimate is not None:
                count = sum(measure.final(each.run) is not None for each in arm.runs)
                rows.append([measure.title, arm.name, count, estimate.mean, estimate.low, estimate.high])
    caption = (
        "What the arms came to: the last evaluation, or the mean over the last tenth of the steps. Intervals of 95 %: over the runs of an arm (t); of "
        "one run's evaluation, over its samples (Wilson)."
    )
    return Table(columns=["of", "arm", "runs", "value", "from", "to"], rows=rows, caption=caption)
