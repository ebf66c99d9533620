"""The threshold's measure on points that are known, and its arms."""

from pathlib import Path

import pytest

from rlvr.claims.jobs import CONFIGS
from rlvr.claims.threshold import CLAIM, FORMATS, flip
from rlvr.config_file import load, resolved
from rlvr.report.runs import Run
from rlvr.runtime.metrics import Row


def test_a_sharp_flip_lies_between_its_neighbours() -> None:
    assert flip([(0.5, 1.0), (0.2, 0.0), (0.3, 0.0), (0.4, 1.0)]) == pytest.approx(0.35)


def test_a_slow_flip_is_the_mean_of_its_rises() -> None:
    assert flip([(0.0, 0.0), (0.1, 0.25), (0.3, 1.0)]) == pytest.approx(0.25 * 0.05 + 0.75 * 0.2)


@pytest.mark.parametrize("points", [[], [(0.3, 0.0)], [(0.2, 0.3), (0.4, 1.0)], [(0.2, 0.0), (0.4, 0.7)]])
def test_what_does_not_go_from_one_to_the_other_has_no_flip(points: list[tuple[float, float]]) -> None:
    assert flip(points) is None


def test_shares_surround_the_flip_that_is_predicted() -> None:
    for each in FORMATS:
        for shares in filter(None, (each.shares, each.quick)):
            assert min(shares) < each.flips < max(shares)


@pytest.mark.parametrize("quick", [True, False])
def test_every_measure_is_of_arms_that_are_made(quick: bool) -> None:
    arms = CLAIM.arms(quick)
    made = {}
    for arm in arms:
        settings = [f"{key}={value}".replace("'", "") for key, value in arm.settings.items()]
        _, config = load(CONFIGS / arm.config, settings)
        mixture = resolved(config)["data"]["mixture"]
        worked = mixture["cot"] / sum(mixture.values())
        row: Row = {"step": 1.0, "eval/modsum/accuracy": 0.5, "eval/modsum/mode/cot/probability": worked}
        row["eval/modsum/mode/cot/greedy_probability"] = float(worked > 0.3)
        made[arm.name] = Run(path=Path(), stage="sft", config={"task": {"name": "modsum"}}, rows=[row])
    found = {criterion.arm: criterion.measure(made) for criterion in CLAIM.criteria(quick)}
    assert len(made) == len(arms)
    assert found["untagged, M = 2"] == pytest.approx(0.295 if quick else 0.29, abs=0.02)
    assert found["untagged, M = 10"] is None  # of its shares none is above 0.3
    assert found["all models"] == pytest.approx(0, abs=1e-9)
