"""The growth law's measures on curves that are known, without a training."""

import math
from pathlib import Path

import pytest

from rlvr.claims.growth import CLAIM, agreement, bend, exponent, line_of, measured_slope
from rlvr.report.runs import Run
from rlvr.runtime.metrics import Row

LAST = 400


def run(shares: list[float], modulus: int = 10, worked: float = 1.0) -> Run:
    """A run of 4,096 samples a step, in which worked answers are right with a probability and guesses once in M times."""
    rows: list[Row] = [
        {
            "step": float(step),
            "mode/cot/probability": share,
            "mode/cot/accuracy": worked,
            "mode/direct/probability": 1 - share,
            "mode/direct/accuracy": 1 / modulus,
        }
        for step, share in enumerate(shares, 1)
    ]
    config = {"rollout": {"problems_per_step": 1024, "group_size": 4}}
    return Run(path=Path(), stage="rl", config=config, rows=rows)


def rounds(start: float, factor: float, count: int) -> list[float]:
    """Shares whose odds are multiplied by a factor every time."""
    odds = [start / (1 - start) * factor**n for n in range(count)]
    return [each / (1 + each) for each in odds]


def sgd(start: float) -> list[float]:
    """Shares whose log-odds rise by a hundredth of p (1 - p) many times a step: a fifth of it a step."""
    logit, shares = math.log(start / (1 - start)), []
    for _ in range(LAST):
        for part in range(20):
            p = 1 / (1 + math.exp(-logit))
            shares += [p] if part == 0 else []
            logit += 0.1 * p * (1 - p)
    return shares


def test_odds_that_are_multiplied_give_a_straight_line_of_the_factors_logarithm() -> None:
    fit = line_of(run(rounds(0.01, 5.0, 6)), (0.005, 0.99))
    assert fit is not None
    assert fit.slope == pytest.approx(math.log(5), abs=1e-6)
    assert fit.r2 == pytest.approx(1.0)


def test_a_line_keeps_to_its_range() -> None:
    fit = line_of(run([0.001, *rounds(0.01, 2.0, 5), 0.995, 0.5]), (0.005, 0.99))
    assert fit is not None
    assert fit.count == 5


def test_plain_gradients_bend_as_theory_says_and_multiplied_odds_do_not() -> None:
    found, straight = bend(run(sgd(0.01))), bend(run(rounds(0.01, 1.1, 80)))
    assert found == pytest.approx(7, abs=0.5)
    assert straight == pytest.approx(1, abs=0.01)


def test_there_is_no_bend_without_a_half() -> None:
    assert bend(run(rounds(0.01, 1.1, 10))) is None


def test_the_power_tells_the_two_laws_apart() -> None:
    shares, curves = (0.1, 0.03, 0.01), {"SGD": sgd, "Adam": lambda start: rounds(start, 1.05, LAST)}
    for optimizer, power in (("SGD", 0.9), ("Adam", 0.32)):
        runs = {}
        for share in shares:
            began = Run(path=Path(), stage="sft", config={"task": {"name": "modsum"}}, rows=[evaluation(share)])
            runs |= {f"{100 * share:g} % worked, M = 10": began}
            runs |= {f"{optimizer} from {100 * share:g} %": run(curves[optimizer](share))}
        assert exponent(runs, optimizer, shares) == pytest.approx(power, abs=0.02)


def evaluation(share: float) -> Row:
    return {"step": 1.0, "eval/modsum/accuracy": 0.5, "eval/modsum/mode/cot/probability": share}


def test_accepted_samples_agree_only_with_their_own_modulus() -> None:
    made = run([0.05, 0.3, 0.6], modulus=5)
    assert agreement(made, 5) == [True, True, True]
    assert agreement(made, 2) == [False, False, False]
    assert measured_slope(made) == pytest.approx(math.log(5))


def test_every_measure_is_of_arms_that_are_made() -> None:
    for quick in (True, False):
        names = [arm.name for arm in CLAIM.arms(quick)]
        assert len(names) == len(set(names))
        made = {name: run(rounds(0.01, 1.5, 30)) for name in names}
        for criterion in CLAIM.criteria(quick):
            criterion.measure(made)  # a KeyError says that an arm is missing
