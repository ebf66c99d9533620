"""What an evaluation says about training on its problems: never, sometimes and always solved ones, and groups without variance."""

from __future__ import annotations

from typing import Any

from rlvr.errors import RlvrError
from rlvr.report.beside import Answers, answers
from rlvr.report.blocks import Block, Cell, Prose, Section, Table
from rlvr.report.plots import Bar, bars
from rlvr.report.runs import Run
from rlvr.report.wording import counted, shown
from rlvr.runtime.written import Fields
from rlvr.solvability import ENOUGH, FEWEST_SAMPLES, GROUP_SIZES, Count, Solvability, solvability
from rlvr.statistics import Estimate, pass_at_k, wilson

MOST_PROBLEMS = 200
"""Problems that have a row each; eval.json has them all."""
ASKED: Fields = {"index": int, "question": str, "answer": str, "metadata": dict, "correct": bool}
"""What is read of rollouts to write their problems again."""
RULE = (
    f"The recommended group size is the smallest of {', '.join(map(str, GROUP_SIZES))} with which at least {ENOUGH:.0%} of the groups of the "
    f"problems that are sometimes solved are expected to have variance, or {GROUP_SIZES[-1]} if none has."
)
HOW = (
    "Right and wrong are all that counts here: where a reward also pays for other things, fewer groups are alike. Group sizes up to the number "
    "of samples are estimated without bias and without assumptions, by all choices of so many of the samples, with Student's interval over "
    "problems; larger ones, and all numbers of the problems that are kept, by a beta distribution of chances fitted to the counts, and where "
    "many problems are out of reach for ever they come out too low, though never above those of smaller groups. Shares have Wilson's interval over problems."
)


def counts_of(given: Answers) -> list[Count]:
    """Of each problem how many samples it has and how many are right."""
    return [(len(each), sum(right for _, right in each)) for each in given.sampled.values()]


def sentences(found: Solvability) -> list[str]:
    """What was found, in words; the recommendation last."""
    never, sometimes, always = (shown(_interval(each)) for each in (found.never, found.sometimes, found.always))
    told = [
        f"Of {counted(found.problems, 'problem')} with {counted(found.samples, 'sample')} each, {never} were never solved, {sometimes} "
        f"sometimes and {always} always."
    ]
    if found.found is not None:
        told.append(
            f"Never is not impossible: as many samples again are expected to solve {found.found:.1%} of the problems that were never solved."
        )
    if found.group_size is None:
        told.append(
            "No problem is solved sometimes, so groups of rollouts would show nothing to learn from: take easier or harder problems, or more samples."
        )
        return told
    lost = found.kept_zero_variance[found.group_size]
    told.append(
        f"Recommended: rollout.group_size {found.group_size} on the {counted(found.kept, 'problem')} that are sometimes solved "
        f"(--write-filtered FILE writes them): {1 - lost:.0%} of their groups are expected to have variance, of all problems' groups "
        f"{1 - found.zero_variance[found.group_size].mean:.0%}."
    )
    return told


def solvability_section(run: Run) -> Section | None:
    """The page on the problems of an evaluation run; None for a run of another kind, or one without sampled answers."""
    if run.stage != "eval":
        return None
    given = answers(run)
    counts = counts_of(given)
    if not counts:
        return None
    found = solvability(counts)
    blocks: list[Block] = []
    if found is None:
        blocks.append(Prose(text=too_few(counts), kind="gap"))
    else:
        blocks += [
            Prose(text=" ".join(sentences(found))),
            _groups(found),
            _histogram(found),
            Prose(text=f"{RULE} {HOW}"),
        ]
    return Section(name="solvability", title="Solvability before training", blocks=[*blocks, _problems(given)])


def too_few(counts: list[Count]) -> str:
    """Why there is nothing to say of groups."""
    if len(counts) < 2:
        return "One problem says nothing about others: set eval.problems."
    return f"One sample of a problem does not tell whether it is sometimes solved: set eval.samples to {FEWEST_SAMPLES} or more, best {GROUP_SIZES[-1]}."


def group_rows(found: Solvability) -> list[tuple[int, Estimate, float | None, str]]:
    """By group size: expected share of groups without variance, the same of the problems that are kept, and how it was found."""
    return [
        (size, each, found.kept_zero_variance.get(size), "no assumption" if size in found.exact else "fitted beta")
        for size, each in found.zero_variance.items()
    ]


def _groups(found: Solvability) -> Table:
    rows: list[list[Cell]] = [
        [size, each.mean, each.low, each.high, how, kept] for size, each, kept, how in group_rows(found)
    ]
    caption = "Expected share of groups whose rollouts are all right or all wrong, with 95 % intervals, by the number of rollouts."
    columns = [
        "group size",
        "of all problems",
        "from",
        "to",
        "estimated with",
        "of those sometimes solved (fitted beta)",
    ]
    return Table(columns=columns, rows=rows, caption=caption)


def _histogram(found: Solvability) -> Block:
    drawn = [
        Bar(category=str(right), value=float(found.histogram.get(right, 0)))
        for right in range(max(found.samples, *found.histogram) + 1)
    ]
    summary = "Problems by how many of their samples are right: " + "; ".join(
        f"{bar.category}: {bar.value:.0f}" for bar in drawn if bar.value
    )
    title = f"Problems by right answers among {found.samples} samples"
    return bars("solved-counts", title, f"{summary}.", drawn, x="right answers", y="problems")


def _problems(given: Answers) -> Table:
    """Each problem's count, its chance with an interval, and its pass@k; the hardest first."""
    order = sorted(given.sampled, key=lambda problem: sum(right for _, right in given.sampled[problem]))
    most = min(map(len, given.sampled.values()))
    ks = [2**power for power in range(1, most.bit_length())]
    rows: list[list[Cell]] = []
    for problem in order[:MOST_PROBLEMS]:
        samples, right = len(given.sampled[problem]), sum(right for _, right in given.sampled[problem])
        low, high = wilson(right / samples, samples)
        passes = [pass_at_k(samples, right, k) for k in ks]
        rows.append([problem[0], problem[2], problem[3][:200], right, samples, right / samples, low, high, *passes])
    caption = "Each problem's right samples, the share with Wilson's 95 % interval, and pass@k without bias (Chen et al., arXiv:2107.03374)."
    if len(order) > MOST_PROBLEMS:
        caption += f" The {MOST_PROBLEMS} with the fewest right answers of {len(order):,}; eval.json has all."
    columns = ["task", "problem", "question", "right", "of", "share", "from", "to", *(f"pass@{k}" for k in ks)]
    return Table(columns=columns, rows=rows, caption=caption)


def filtered(run: Run, band: tuple[float, float] | None) -> list[dict[str, Any]]:
    """The problems of an evaluation run whose share of right samples is in the band, both ends included, as rows of a file.

    band: None for those solved sometimes, neither never nor always. The task ``problems`` reads the rows again; ``pass_rate`` is the share
    and ``samples`` of how many. RlvrError for a run without samples, for one sample a problem, and if no problem is left.
    """
    by_problem: dict[tuple[str, str, int, str], list[dict[str, Any]]] = {}
    for record in run.rollouts(0, ASKED) if run.rollout_steps() else []:
        if not record.get("greedy"):
            key = str(record.get("task")), str(record.get("split")), record["index"], record["question"]
            by_problem.setdefault(key, []).append(record)
    fewest = min(map(len, by_problem.values()), default=0)
    if fewest < FEWEST_SAMPLES:
        raise RlvrError(
            "--write-filtered",
            "needs several samples of a problem",
            got=fewest,
            allowed=f">= {FEWEST_SAMPLES}",
            remedy="evaluate with eval.samples 8 or more",
        )
    rows = [_row(key, records) for key, records in by_problem.items()]
    kept = [row for row in rows if _within(row["pass_rate"], band)]
    if not kept:
        raise RlvrError(
            "--write-filtered",
            f"none of {counted(len(rows), 'problem')} is {'solved sometimes' if band is None else f'in the band {band[0]:g} to {band[1]:g}'}",
            remedy="take other problems, more samples, or another --band",
        )
    return kept


def _within(rate: float, band: tuple[float, float] | None) -> bool:
    return 0 < rate < 1 if band is None else band[0] <= rate <= band[1]


def _row(key: tuple[str, str, int, str], records: list[dict[str, Any]]) -> dict[str, Any]:
    task, split, index, question = key
    named = {"question": question, "answer": records[0]["answer"], "task": task, "split": split, "index": index}
    rate = sum(record["correct"] for record in records) / len(records)
    return {**records[0]["metadata"], **named, "pass_rate": rate, "samples": len(records)}


def _interval(found: Estimate) -> tuple[float, float, float]:
    assert found.low is not None
    assert found.high is not None
    return found.mean, found.low, found.high
