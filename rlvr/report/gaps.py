"""What a run was told of itself, and what of it is missing or damaged."""

from __future__ import annotations

import json
import os
from typing import Any

from rlvr.config_file import read_bytes
from rlvr.errors import RlvrError
from rlvr.report.blocks import Block, Prose, Section
from rlvr.report.runs import Run
from rlvr.runtime.notes import FILE
from rlvr.runtime.run_dir import WARNINGS
from rlvr.runtime.written import Fields

MOST_NOTES = 50

EXPLAINED: Fields = {"step": int, "sentence": str}


def explanations(run: Run) -> list[dict[str, Any]]:
    """What was explained of a run's metrics, by step; none without the file."""
    found = run.lines(FILE, EXPLAINED)
    return sorted(found.values(), key=lambda each: each["step"])


def warnings(run: Run) -> list[str]:
    """What was warned of before a run began; none without the file."""
    file = run.path / WARNINGS
    if not os.path.lexists(file):
        return []
    try:
        found = json.loads(str(read_bytes(file, 10**7), "utf-8"))
    except (RlvrError, ValueError, RecursionError):
        found = None
    if isinstance(found, list) and all(isinstance(each, str) for each in found):
        return found
    if run.gaps is not None:
        run.gaps.setdefault(WARNINGS, f"{file}: is damaged: no list of sentences")
    return []


def unfinished(run: Run) -> str | None:
    """How far a run is from its last step, in words; None if it is done."""
    if run.stage == "eval":
        return None if (run.path / "eval.json").exists() else "the evaluation is not finished"
    wanted, done = run.setting("train", "max_steps"), run.rows[-1]["step"] if run.rows else 0
    if not isinstance(wanted, int) or done is None or done >= wanted:
        return None
    return f"it has done {done:,.0f} of {wanted:,} steps"


def missing(run: Run) -> list[str]:
    """What a run of its stage usually has and this one lacks, and what therefore cannot be shown."""
    found = []
    if not run.rows:
        found.append("the file metrics.jsonl has no rows: there are no curves")
    if not (run.path / "environment.json").exists():
        found.append("the file environment.json is missing: versions, command and seed are not known")
    sampled = run.stage == "rl" or (run.stage == "eval" and run.setting("task") is not None)
    if sampled and not run.rollout_steps():
        found.append("the folder rollouts/ has no rollouts: there are no samples and no tokens to read")
    if run.stage != "eval" and run.rows and not any(name.startswith("eval/") for row in run.rows for name in row):
        configured = "it ended before the first" if run.setting("eval") else "eval is not configured"
        found.append(f"there are no evaluations while training ({configured})")
    if run.stage == "rl" and run.rows and not any(name.startswith("entropy/") for name in run.rows[-1]):
        found.append("its rows lack entropies and signal accounting, as those of older versions do")
    if run.stage != "eval" and run.rows and run.newest_checkpoint() is None:
        found.append("the folder checkpoints/ has no checkpoint: the model's size is not known")
    return found


def notes(run: Run) -> Section | None:
    """What was warned of, what was explained, and what is missing or damaged; None if there is nothing of it."""
    told = explanations(run)
    blocks: list[Block] = [Prose(text=f"Before it began: {each}", kind="note") for each in warnings(run)[:MOST_NOTES]]
    blocks += [Prose(text=f"Step {each['step']}: {each['sentence']}", kind="note") for each in told[:MOST_NOTES]]
    if len(told) > MOST_NOTES:
        blocks.append(Prose(text=f"{len(told) - MOST_NOTES:,} more notes are in {FILE}."))
    lacking = [text for text in (unfinished(run), *missing(run)) if text is not None]
    blocks += [Prose(text=f"{text[0].upper()}{text[1:]}.", kind="gap") for text in lacking]
    blocks += [Prose(text=text, kind="gap") for text in (run.gaps or {}).values()]
    return Section(name="notes", title="Notes, and what is missing", blocks=blocks) if blocks else None
