"""Growth of a mode's odds: the fit finds a known slope, and the law what was put in."""

import math
import random
from pathlib import Path
from typing import Any

import pytest

from rlvr.report.blocks import Chart, Prose, Section, Table
from rlvr.report.fits import fitted
from rlvr.report.growth import grown, growth
from rlvr.report.runs import Run
from rlvr.report.series import modes_of, series_of

Shares = dict[str, tuple[float, float]]
"""Of each mode its probability and its accuracy."""


def row(step: int, shares: Shares, *, advantage: str, rollouts: int = 1024) -> dict[str, float | None]:
    mean = sum(p * a for p, a in shares.values())
    found: dict[str, float | None] = {"step": step, "tokens/rollout": 10.0 * rollouts, "rollout/length_mean": 10.0}
    for mode, (p, a) in shares.items():
        found |= {f"mode/{mode}/probability": p, f"mode/{mode}/accuracy": a}
        found[f"mode/{mode}/advantage"] = a if advantage == "positive" else a - mean
    return found


def run(rows: list[dict[str, float | None]], advantage: str = "positive", optimizer: str = "adamw") -> Run:
    config: dict[str, Any] = {"algo": {"advantage": advantage}, "train": {"optimizer": optimizer}}
    return Run(path=Path("nowhere"), stage="rl", config=config, rows=rows)


def section(found: Run) -> Section:
    result = growth(found, modes_of(series_of(found)))
    assert result is not None
    return result


def table(found: Run) -> list[dict[str, Any]]:
    (only,) = [block for block in section(found).blocks if isinstance(block, Table)]
    return [dict(zip(only.columns, cells, strict=True)) for cells in only.rows]


def words(found: Run) -> str:
    return " ".join(block.text for block in section(found).blocks if isinstance(block, Prose))


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def sampled(rng: random.Random, p: float, count: int) -> float:
    return sum(rng.random() < p for _ in range(count)) / count


def test_one_becomes_two_becomes_four_becomes_eight() -> None:
    """STaR on parity: thinking is always right and guessing half the time, so that odds double (arXiv:2510.11495)."""
    rows, p = [], 0.01
    for step in range(1, 11):
        rows.append(row(step, {"cot": (p, 1.0), "direct": (1 - p, 0.5)}, advantage="positive"))
        p = 2 * p / (1 + p)
    (found,) = table(run(rows))
    assert found["mode"] == "cot"
    assert found["slope"] == pytest.approx(math.log(2))
    assert found["predicted slope"] == pytest.approx(math.log(2))
    assert found["predicted from"] < math.log(2) < found["predicted to"]
    assert found["odds double in (steps)"] == pytest.approx(1.0)
    assert found["R²"] == pytest.approx(1.0)
    assert "The fitted slope agrees with it" in words(run(rows))


def test_the_interval_covers_the_true_slope_in_nineteen_of_twenty_runs() -> None:
    rng, covered = random.Random(1), 0
    for _ in range(200):
        theta = [-2.0 + 0.1 * step for step in range(40)]
        p = [min(max(sampled(rng, sigmoid(t), 128), 1 / 128), 127 / 128) for t in theta]
        weights = [128 * each * (1 - each) for each in p]
        fit = fitted(range(40), [math.log(each / (1 - each)) for each in p], weights)
        assert fit is not None
        covered += fit.low <= 0.1 <= fit.high
    assert 180 <= covered <= 200


def test_steps_that_lack_a_rare_mode_by_chance_do_not_bend_its_line() -> None:
    rng, covered = random.Random(2), 0
    for _ in range(60):
        shares = [sampled(rng, sigmoid(-4.5 + 0.02 * step), 64) for step in range(60)]
        rows = [
            row(step, {"cot": (p, 1.0), "direct": (1 - p, 0.5)}, advantage="x", rollouts=64)
            for step, p in enumerate(shares)
        ]
        modes = modes_of(series_of(run(rows)))
        (found,) = grown(run(rows), modes, modes.series.rollouts)
        if found.fit is not None:
            sign = 1 if found.mode == "cot" else -1
            low, high = sorted((sign * found.fit.low, sign * found.fit.high))
            covered += low <= 0.02 <= high
    assert covered >= 54


def test_what_strays_further_than_binomial_noise_widens_the_interval() -> None:
    x, weights = range(10), [1e6] * 10
    straight, bent = fitted(x, [0.1 * i for i in x], weights), fitted(x, [0.1 * i + (i % 2) for i in x], weights)
    assert straight is not None
    assert bent is not None
    assert bent.high - bent.low > 10 * (straight.high - straight.low)


def policy_gradient(optimizer: str, steps: int, start: float) -> Run:
    """A policy of two answers, of which one is right and the other half the time, that follows the gradient."""
    rng, theta, rows = random.Random(3), start, []
    for step in range(1, steps + 1):
        p, a = sampled(rng, sigmoid(theta), 512), sampled(rng, 0.5, 512)
        rows.append(row(step, {"cot": (p, 1.0), "direct": (1 - p, a)}, advantage="group_mean", rollouts=512))
        p = sigmoid(theta)
        theta += 1.2 * p * (1 - p) * 0.5 if optimizer == "sgd" else 0.2
    return run(rows, "group_mean", optimizer)


def test_with_adam_odds_grow_evenly() -> None:
    found = policy_gradient("adamw", 35, -3.5)
    (fit,) = table(found)
    assert fit["from"] < 0.2 < fit["to"]
    assert fit["R²"] > 0.98
    assert fit["R² of the predicted shape"] > 0.95
    assert "predicted slope" not in fit  # its size is fitted
    assert "so its odds should rise, and they did" in words(found)


def test_with_sgd_they_grow_slowly_where_a_mode_is_rare() -> None:
    found = policy_gradient("sgd", 150, -3.0)
    (fit,) = table(found)
    assert fit["R² of the predicted shape"] > fit["R²"] + 0.05
    modes = modes_of(series_of(found))
    (only,) = grown(found, modes, modes.series.rollouts)
    assert only.law.rate is not None
    assert only.law.rate.slope == pytest.approx(1.2, rel=0.05)


def test_what_falls_halves() -> None:
    rows = [
        row(s, {"a": (sigmoid(-0.1 * s), 0.2), "b": (sigmoid(-4 + 0.05 * s), 0.5), "c": (0.2, 0.9)}, advantage="x")
        for s in range(1, 21)
    ]
    by_mode = {each["mode"]: each for each in table(run(rows, "group_mean"))}
    assert by_mode["a"]["odds double in (steps)"] == pytest.approx(-math.log(2) / 0.1)
    assert by_mode["b"]["slope"] == pytest.approx(0.05)
    assert by_mode["c"]["R²"] is None


def test_what_cannot_be_said_is_said() -> None:
    alike = [row(s, {"a": (0.5, 0.5), "b": (0.5, 0.5)}, advantage="group_mean") for s in range(1, 9)]
    assert "Neither direction is predicted" in words(run(alike, "group_mean"))
    imitated = [row(s, {"a": (0.5, 0.5), "b": (0.5, 0.5)}, advantage="positive") for s in range(1, 9)]
    assert "cannot be told apart" in words(run(imitated))
    hopeless = [row(s, {"a": (0.5, 0.0), "b": (0.5, 0.0)}, advantage="positive") for s in range(1, 9)]
    assert "Nothing can be predicted" in words(run(hopeless))
    assert "looks at no reward" in words(run(alike, "teacher"))
    assert "No growth can be fitted" in words(run(alike[:2]))
    assert "Every rollout was of the mode a" in words(run([row(1, {"a": (1.0, 0.5)}, advantage="positive")]))
    assert growth(run([{"step": 1}]), modes_of(series_of(run([{"step": 1}])))) is None


def test_missing_values_cost_their_steps_alone() -> None:
    rows = [
        row(s, {"cot": (sigmoid(-2 + 0.2 * s), 1.0), "direct": (sigmoid(2 - 0.2 * s), 0.5)}, advantage="group_mean")
        for s in range(1, 16)
    ]
    rows[4] = {"step": 5, "mode/cot/probability": None, "mode/direct/probability": None}
    rows[6] |= {"mode/direct/advantage": None, "train/learning_rate": math.nan}
    (fit,) = table(run(rows, "group_mean"))
    assert fit["steps fitted"] == 14
    assert fit["slope"] == pytest.approx(0.2)


def test_a_hundred_modes_have_few_pictures_and_one_table() -> None:
    shares: Shares = {f"<m{number}>": (0.01 * (1 + number % 3), 0.5) for number in range(60)}
    rows = [row(step, shares, advantage="group_mean") for step in range(1, 8)]
    blocks = section(run(rows, "group_mean")).blocks
    assert sum(isinstance(block, Chart) for block in blocks) == 3
    assert len(table(run(rows, "group_mean"))) == 40
    assert "20 modes" in next(block.caption for block in blocks if isinstance(block, Table))
