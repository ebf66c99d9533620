"""The measures of the claim on forking tokens, on rollouts whose entropies are known."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rlvr.claims import forks
from rlvr.claims.forks import Token, kinds
from rlvr.report.runs import Run

WORDS = "take6 . . . . . . . . . . 1 take2 . . 0 take2 . . 1 take1 0 take1 0"
KINDS = kinds(WORDS.split(), 12, [1, 2, 6])
ENTROPY = {"fork of 3": 1.1, "fork of 2": 0.7, "sum of 6": 0.6}


def run(folder: Path, rows: list[dict[str, Any]], *, metrics: list[dict[str, Any]] | None = None) -> Run:
    """A run of RL with these rollouts in its first step and its last."""
    for name in ("rollouts", "study"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for step in (1, 2):
        (folder / f"rollouts/step_{step:06d}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = {"task": {"name": "strides", "modulus": 2, "length": 12, "strides": [1, 2, 6]}}
    return Run(path=folder, stage="rl", config=config, rows=metrics or [{"step": 1.0, "reward/mean": 0.5}])


def rollout(words: str = WORDS, *, forks: bool = True) -> dict[str, Any]:
    found = kinds(words.split(), 12, [1, 2, 6])
    return {"completion": words, "entropies": [ENTROPY.get(kind, 0.01) if forks else 0.01 for kind in found]}


def test_every_token_has_its_kind() -> None:
    assert KINDS.count("blank") == 14
    assert [kind for kind in KINDS if kind != "blank"] == [
        "fork of 3", "sum of 6", "fork of 3", "sum of 2", "fork of 2", "sum of 2", "fork of 2", "sum of 1", "forced", "sum of 1", "end",
    ]  # fmt: skip


def test_measures_of_the_base(tmp_path: Path) -> None:
    """Four forks with 3.6 nats, a guess of 0.6 among 21 other tokens, of which 20 have 0.01; the top 20 % of 25 are five tokens."""
    runs = {"all tokens": run(tmp_path, [rollout()] * 3)}
    assert forks.times_as_uncertain(runs) == pytest.approx((3.6 / 4) / (0.8 / 21))
    assert forks.times_the_sums(runs) == pytest.approx((3.6 / 4) / (0.64 / 5))
    assert forks.carried(runs) == pytest.approx(4.2 / 4.4)
    assert forks.told_apart(runs) == 1.0
    assert forks.chosen(runs["all tokens"], 1) == {1: 0.0, 2: 0.5, 6: 0.5}


def test_where_all_tokens_are_alike_nothing_is_told_apart(tmp_path: Path) -> None:
    runs = {"all tokens": run(tmp_path, [rollout(forks=False)])}
    assert forks.told_apart(runs) == pytest.approx(0.5)
    assert forks.times_as_uncertain(runs) == pytest.approx(1.0)


def test_a_rollout_whose_words_are_not_its_tokens_is_left_out(tmp_path: Path) -> None:
    strange = {"completion": "take1 1", "entropies": [0.1] * 9}
    assert forks.tokens(run(tmp_path, [strange, rollout()]), 1)[0] == []


def test_a_rollout_that_was_cut_off_has_no_end(tmp_path: Path) -> None:
    cut = {"completion": "take1 1", "entropies": [1.0, 0.0]}
    assert forks.tokens(run(tmp_path, [cut]), 1) == [
        [Token(kind="fork of 3", entropy=1.0), Token(kind="sum of 1", entropy=0.0)]
    ]


@pytest.mark.parametrize(("after", "expected"), [([0.0, 0.0, 0.0], 1.0), ([-2.0, 0.5, 1.0], -1.0)])
def test_the_correlation_with_the_change(tmp_path: Path, after: list[float], expected: float) -> None:
    """Changes 0, 0.5, 1 are ordered as the entropies 0, 0.5, 1 are; changes 2, 0, 0 are not."""
    full = run(tmp_path, [rollout()])
    row = {"line": 0, "against_entropies": [0.0, 0.5, 1.0], "entropies": after}
    (tmp_path / "study/step_000001.jsonl").write_text(json.dumps(row) + "\n")
    found = forks.moves_with({"all tokens": full})
    assert found == pytest.approx(expected if expected > 0 else np.corrcoef([1, 2, 3], [3, 1.5, 1.5])[0, 1])


@pytest.mark.parametrize(("own", "share"), [(0.98, 1.0), (0.57, 0.0), (0.49, -8 / 41)])
def test_gain_is_a_share_of_what_all_tokens_gained(tmp_path: Path, own: float, share: float) -> None:
    def at(accuracy: float) -> Run:
        return run(tmp_path, [], metrics=[{"step": 1.0, "eval/strides/accuracy": accuracy}])

    runs = {"base": at(0.57), "all tokens": at(0.98), "top 20 %": at(own)}
    assert forks.gain(runs, forks.UPPER) == pytest.approx(share)
    assert forks.gain({**runs, "all tokens": at(0.5)}, forks.UPPER) is None


def test_the_charts_hold_every_arm(tmp_path: Path) -> None:
    runs = {arm.name: run(tmp_path / str(n), [rollout()]) for n, arm in enumerate(forks.TRAINED)}
    entropies, rewards, choices = forks.charts([runs, runs])
    assert entropies.table.rows[0][:3] == ["fork of 3", "base", pytest.approx(1.1)]
    assert rewards.table.columns[1::3] == [arm.name for arm in forks.TRAINED]
    assert {row[1] for row in choices.table.rows} == {"base", *(arm.name for arm in forks.TRAINED)}
