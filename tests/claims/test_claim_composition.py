"""What the claim about composition reads from its runs, on numbers that can be checked by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rlvr.claims.claim import Criterion
from rlvr.claims.composition import CLAIM, MODELS
from rlvr.report.runs import Run

SHARES = {
    "before RL": (0.96, 0.01),
    "RL on single functions": (0.99, 0.1),
    "rejection fine-tuning on pairs": (0.99, 0.25),
    "RL on pairs": (0.99, 0.5),
}
"""Of one function, and of rows of B."""

PASSES = {
    "before RL": (0.0, 0.25),
    "RL on pairs": (0.5, 0.75),
    "burying": (0.0625, 1.0),
    "RL on what was buried": (1.0, 1.0),
}


def run(path: Path, row: dict[str, float], task: dict[str, object]) -> Run:
    return Run(path=path, stage="eval", config={"task": task}, rows=[row])


@pytest.fixture
def runs(tmp_path: Path) -> dict[str, Run]:
    """One right answer and two wrong ones on three functions of B, of which one leaves a function out."""
    (tmp_path / "rollouts").mkdir()
    question = "f6 . f4 f5 c d e f"  # b c d e, then e c d b, then b e c d
    answers = [("b e c d", True, False), ("b b b b", False, False), ("e c d b", False, False), ("e c d b", False, True)]
    rows = [
        {
            "task": "B3",
            "question": question,
            "completion": f"<think> b </think> {text}",
            "correct": right,
            "greedy": greedy,
        }
        for text, right, greedy in answers
    ]
    (tmp_path / "rollouts" / "step_000000.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    mixture = {"name": "mixture", "tasks": {"B3": {"task": {"letters": 6}}}}
    made = {}
    for arm, (one, rows_of_b) in SHARES.items():
        row: dict[str, float] = {"step": 0, "eval/atoms/accuracy": one, "eval/A2/accuracy": 1.0}
        for member in ("A3", "B3", "B4"):
            row |= {f"eval/{member}/accuracy": rows_of_b, f"eval/{member}/problems": 10, f"eval/{member}/samples": 2}
        made[f"{arm}, tested"] = run(tmp_path, row, mixture)
    for arm, (one, most) in PASSES.items():
        row = {"step": 0, "eval/strings/accuracy": one, "eval/strings/pass@1": one, "eval/strings/pass@64": most}
        made[f"{arm}, 64 samples"] = run(tmp_path, row, {"name": "strings"})
    return made


def test_every_number_is_read_from_the_runs_it_is_about(runs: dict[str, Run]) -> None:
    measured = {(each.arm, each.quantity): each.measure(runs) for each in CLAIM.criteria(False)}
    found = [value for value in measured.values() if value is not None]
    judged = [0.96, 5.0, 5.0, 2.0, 0.49, 0.9375, 0.0, 0.0]
    assert found == pytest.approx([*judged, 1 / 3, 1 / 3, 1.0, 1.0, 1.0, 1.0, 0.01, 0.1, 0.25, 0.5])


def test_a_share_of_none_counts_as_one_right_sample(runs: dict[str, Run]) -> None:
    """0.5 against none of 20 samples is ten times as often."""
    runs["RL on single functions, tested"].rows[0]["eval/B3/accuracy"] = 0.0
    times: Criterion = CLAIM.criteria(False)[2]
    assert times.measure(runs) == pytest.approx(10.0)


def test_every_arm_that_is_read_is_run_and_begins_from_one_that_is() -> None:
    arms = CLAIM.arms(False)
    assert {arm.start.name for arm in arms if arm.start is not None} <= {arm.name for arm in arms}
    assert {f"{model}, tested" for model in MODELS} | {f"{arm}, 64 samples" for arm in PASSES} <= {a.name for a in arms}


def test_pictures_hold_what_was_measured(runs: dict[str, Run]) -> None:
    levels, passes = CLAIM.charts([runs, runs])
    assert [row[2] for row in levels.table.rows if row[:2] == ["B, 3", "RL on pairs"]] == [0.5]
    assert [row[0] for row in passes.table.rows] == [1.0, 64.0]


def test_quick_leaves_out_what_needs_many_samples(runs: dict[str, Run]) -> None:
    few = {name: run for name, run in runs.items() if "samples" not in name}
    assert all(each.measure(few) is not None for each in CLAIM.criteria(True))
    assert [chart.name for chart in CLAIM.charts([few])] == ["composition-levels"]
    assert not [arm.name for arm in CLAIM.arms(True) if "samples" in arm.name]
