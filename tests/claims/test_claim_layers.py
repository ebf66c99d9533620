"""What the claim on layers and steps reads from its runs, on numbers made up for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from rlvr.claims.layers import CLAIM, LENGTHS, reach
from rlvr.report.runs import Run


def run(task: str, rows: dict[str, float]) -> Run:
    """A run with one row of evaluations."""
    row = {f"eval/{name}": value for name, value in rows.items()}
    measured = {f"{name.rsplit('/', 1)[0]}/accuracy": value for name, value in row.items()}
    return Run(
        path=Path("run"), stage="pretrain", config={"task": {"name": task}}, rows=[{"step": 1, **row, **measured}]
    )


def by_length(*shares: float) -> Run:
    """An arm with these accuracies, from the shortest words to the longest."""
    pairs = zip(LENGTHS, shares, strict=True)
    return run("mixture", {f"of{length}/greedy_accuracy": share for length, share in pairs})


def of_words(share: float) -> Run:
    return run("words", {"words/greedy_accuracy": share})


RUNS = {
    "direct, 1 layer": by_length(1.0, 0.5, 0.4, 0.3, 0.2, 0.2, 0.2),
    "direct, 2 layers": by_length(1.0, 1.0, 0.7, 0.5, 0.3, 0.2, 0.2),
    "direct, 3 layers": by_length(0.8, 1.0, 0.8, 0.6, 0.4, 0.2, 0.2),
    "direct, 4 layers": by_length(1.0, 1.0, 0.95, 0.91, 0.4, 0.3, 0.2),
    "worked, 2 layers": by_length(0.8, 1.0, 1.0, 1.0, 1.0, 0.995, 1.0),
    "filler, 2 layers": by_length(1.0, 0.9, 0.6, 0.4, 0.3, 0.2, 0.2),
    "hidden element": of_words(0.17),
    "hidden element, trained on": of_words(0.99),
    "all elements, worked": of_words(0.97),
}


@pytest.mark.parametrize(
    ("arm", "longest"),
    [("direct, 1 layer", 2.0), ("direct, 3 layers", 3.0), ("direct, 4 layers", 5.0), ("worked, 2 layers", 16.0)],
)
def test_the_longest_length_is_the_last_that_is_answered_right(arm: str, longest: float) -> None:
    assert reach(RUNS, arm) == longest


def test_where_no_length_is_answered_right_one_element_is_left() -> None:
    assert reach({"direct, 1 layer": by_length(*[0.5] * 7)}, "direct, 1 layer") == 1.0


def measured(quick: bool) -> dict[tuple[str, str], float | None]:
    return {(each.arm, each.quantity): each.measure(RUNS) for each in CLAIM.criteria(quick)}


def test_what_is_measured() -> None:
    """From 2 to 5 elements over three layers: one element a layer, a factor of 2.5^(1/3)."""
    found = measured(quick=False)
    ends = "direct, 1 layer to 4"
    assert found[ends, "growth of the longest length (elements)"] == 3.0
    assert found[ends, "the same a layer (elements)"] == 1.0
    assert found[ends, "factor of the longest length a layer"] == pytest.approx(2.5 ** (1 / 3))
    assert found[ends, "gain in accuracy, mean over lengths from 3 on"] == pytest.approx((3.76 - 1.8) / 6)
    assert found["worked, 2 layers", "accuracy at its worst length from 3 on"] == 0.995
    assert found[
        "filler, 2 layers, against direct, 2 layers", "gain in accuracy, mean over lengths from 3 on"
    ] == pytest.approx((2.6 - 2.9) / 6)


def test_each_bound_can_be_missed() -> None:
    """These numbers keep to every bound; a model that answers all alike, whatever it is asked, does not."""
    judged = [each for each in CLAIM.criteria(False) if each.judged]
    assert all(each.admits(value) for each in judged if (value := each.measure(RUNS)) is not None)
    alike = {arm: by_length(*[0.6] * 7) if "layer" in arm else of_words(0.6) for arm in RUNS}
    missed = [each.quantity for each in judged if (value := each.measure(alike)) is None or not each.admits(value)]
    assert len(missed) == len(judged) - 1  # filler gains nothing


@pytest.mark.parametrize("quick", [False, True])
def test_every_criterion_finds_its_arms(quick: bool) -> None:
    runs = {arm.name: RUNS[arm.name] for arm in CLAIM.arms(quick)}
    assert all(each.measure(runs) is not None for each in CLAIM.criteria(quick))
    charts = CLAIM.charts([runs, runs])
    assert [chart.name for chart in charts] == ["layers-lengths", "layers-reach", "layers-overfitting"]


def test_a_number_that_was_not_measured_is_none() -> None:
    runs = {**RUNS, "worked, 2 layers": run("mixture", {}), "hidden element": run("words", {})}
    found = {(each.arm, each.quantity): each.measure(runs) for each in CLAIM.criteria(False)}
    assert found["worked, 2 layers", "accuracy at its worst length from 3 on"] is None
    assert found["hidden element", "accuracy on new words"] is None
