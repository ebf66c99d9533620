"""What the claim on hallucination measures."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from rlvr.claims.hallucination import CLAIM, PENALTIES, answered_by_reliability
from rlvr.report.runs import Run
from rlvr.runtime.metrics import Row

LEVELS = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]


def run(path: Path, rows: Sequence[Row] = (), answers: Mapping[float, int] | None = None) -> Run:
    """A run with rows, and with rollouts: of ten sampled ones of each reliability so many answer; a greedy one never does."""
    if answers is not None:
        lines = [
            {"metadata": {"reliability": level}, "mode": "direct" if i < count else "abstain", "greedy": i == 10}
            for level, count in answers.items()
            for i in range(11)
        ]
        (path / "rollouts").mkdir(parents=True)
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (path / "rollouts" / "step_000000.jsonl").write_text(text)
    return Run(path=path, stage="eval", config={"task": {"name": "mixture"}}, rows=list(rows))


def measured(quantity: str, runs: Mapping[str, Run], cost: str = "") -> float | None:
    [found] = [c for c in CLAIM.criteria(False) if c.judged and quantity in c.quantity and c.arm.endswith(cost)]
    return found.measure(runs)


def test_greedy_answers_do_not_count(tmp_path: Path) -> None:
    found = answered_by_reliability(run(tmp_path, answers={0.5: 5, 1.0: 10}))
    assert found == {0.5: (0.5, 10), 1.0: (1.0, 10)}


@pytest.mark.parametrize("penalty", PENALTIES)
def test_the_switch_is_where_half_are_answered(penalty: str, tmp_path: Path) -> None:
    answers = {level: round(10 * min(1.0, max(0.0, 2 * (level - 0.35)))) for level in LEVELS}
    runs = {f"after RL at {penalty}": run(tmp_path, answers=answers)}
    assert measured("begins to answer", runs, f"mistake costs {penalty}") == pytest.approx(0.6, abs=0.02)


def test_who_answers_less_the_surer_he_is_has_no_switch(tmp_path: Path) -> None:
    runs = {"after RL at 1": run(tmp_path, answers={level: 10 - round(9 * level) for level in LEVELS})}
    assert measured("begins to answer", runs, "mistake costs 1") is None


def test_new_facts_are_timed_against_known_ones(tmp_path: Path) -> None:
    """ln 2 / 2 = 0.347 nats a token are reached at step 2 of the one and step 3 of the other."""
    known = run(tmp_path, [{"step": 1, "train/loss": 0.4}, {"step": 2, "train/loss": 0.3}])
    unknown = run(tmp_path, [{"step": s, "train/loss": loss} for s, loss in ((1, 2.0), (2, 0.35), (3, 0.34))])
    runs = {"SFT on known facts": known, "SFT on unknown facts": unknown}
    assert measured("chance of 1/2", runs) == 1.5
    assert measured("chance of 1/2", {**runs, "SFT on unknown facts": known}) == 1.0


def test_what_is_lost_is_the_accuracy_before_less_that_after(tmp_path: Path) -> None:
    before, after = ({"step": 1, "eval/known/accuracy": share} for share in (0.9, 0.7))
    runs = {
        "SFT on known and unknown facts": run(tmp_path, [before]),
        "RL, mistakes cost": run(tmp_path, [after]),
    }
    assert measured("lost by it", runs) == pytest.approx(0.2)


def test_quick_leaves_out_the_penalties() -> None:
    assert {arm.config for arm in CLAIM.arms(True)} < {arm.config for arm in CLAIM.arms(False)}
    assert not [c for c in CLAIM.criteria(True) if "begins to answer" in c.quantity]
