"""The claim on verifier accuracy, on runs that go as theory says and on runs that do not."""

import math
from dataclasses import replace
from pathlib import Path

import pytest

from rlvr.claims.claim import Arm
from rlvr.claims.verifier import CLAIM, COIN, EXACT, LENIENT, STRICT, Noise, linearity, pace, star_slope
from rlvr.report.runs import Run

ROLLOUTS = 512


def grown(slope: float, steps: int, start: float = -1.4) -> Run:
    """A run whose log-odds of the worked mode grow by ``slope`` a step."""
    rows = []
    for step in range(steps):
        rows.append(
            {
                "step": float(step + 1),
                "tokens/rollout": 10.0 * ROLLOUTS,
                "rollout/length_mean": 10.0,
                "mode/cot/probability": 1 / (1 + math.exp(-start - slope * step)),
                "mode/cot/accuracy": 0.83,
            }
        )
    return Run(path=Path("runs/made"), stage="rl", config={}, rows=rows)


def as_predicted(arm: Arm) -> Run:
    noise = arm.settings.get("reward.noise", {"fp": 0.0, "fn": 0.0})
    if arm.config == "verifier/star.yaml":
        return grown(Noise(**noise).star_slope, 3)
    if arm.name.startswith("guesses"):
        return grown(0.1 * (0.33 - 0.5 * float(arm.settings.get("reward.noise.modes.direct.fp", 0.0))), 20)
    if arm.config == "verifier/random.yaml":
        return grown(0.0, 40)
    return grown(0.1 * Noise(**noise).youden, 20)


@pytest.mark.parametrize("quick", [False, True])
def test_it_holds_where_all_goes_as_predicted_and_not_where_one_arm_does_not(quick: bool) -> None:
    runs = {arm.name: as_predicted(arm) for arm in CLAIM.arms(quick)}

    def failed() -> set[str]:
        judged = [criterion for criterion in CLAIM.criteria(quick) if criterion.judged]
        return {each.arm for each in judged if (found := each.measure(runs)) is None or not each.admits(found)}

    assert failed() == set()
    for name, other in {
        "STaR, fp 0.5, fn 0": grown(math.log(2), 3),
        "STaR, fp 0, fn 0.5": grown(math.log(4 / 3), 3),
        "policy gradient, fp 0.5, fn 0.5": grown(0.04, 20),
        "guesses forgiven, fp 1": grown(0.01, 20),
    }.items():
        kept, runs[name] = runs[name], other
        assert name in failed()
        runs[name] = kept


def test_a_round_of_imitation_adds_what_theory_says() -> None:
    assert EXACT.star_slope == STRICT.star_slope == pytest.approx(math.log(2))
    assert LENIENT.star_slope == pytest.approx(math.log(4 / 3))
    assert COIN.star_slope == 0
    assert star_slope(grown(math.log(2), 3)) == pytest.approx(math.log(2), rel=0.01)


def test_a_mode_that_is_never_seen_has_finite_odds() -> None:
    run = grown(0.1, 20)
    gone = replace(run, rows=[{**row, "mode/cot/probability": None} for row in run.rows])
    assert star_slope(gone) == 0
    assert pace(grown(-0.07, 20)) == pytest.approx(-0.07, rel=0.01)


def test_paces_that_ignore_the_noise_are_no_line_over_it() -> None:
    assert linearity([(1.0, 0.12), (0.8, 0.10), (0.5, 0.06), (0.0, 0.0)]) == pytest.approx(1.0, abs=0.02)
    assert (linearity([(1.0, 0.1), (0.8, 0.02), (0.5, 0.12), (0.0, 0.05)]) or 0.0) < 0.5


def test_drift_to_the_majority_is_up_from_a_common_way_and_down_from_a_rare_one() -> None:
    drift = next(each for each in CLAIM.criteria(False) if each.arm == "random verdicts, clipped")
    runs = {arm.name: as_predicted(arm) for arm in CLAIM.arms(False)}
    assert not drift.judged
    assert drift.measure(runs) == pytest.approx(0.0, abs=1e-9)
    runs["random verdicts, clipped, worked answers in 80 %"] = grown(0.02, 40)
    runs["random verdicts, clipped, worked answers in 20 %"] = grown(-0.02, 40)
    assert drift.measure(runs) == pytest.approx(0.02 * 39, rel=0.02)


def test_its_pictures_are_named_after_it_and_hold_each_verifier() -> None:
    seeds = [{arm.name: as_predicted(arm) for arm in CLAIM.arms(False)}] * 2
    charts = {chart.name: chart for chart in CLAIM.charts(seeds)}
    assert all(name.startswith("verifier-") for name in charts)
    assert len(charts["verifier-star"].table.rows) == 2 * 6
