"""What a run learnt, from its metrics: charts of what there is, sentences with numbers, and nothing of what there is not."""

import math
from pathlib import Path
from typing import Any

import pytest
from conftest import World

from rlvr.report.blocks import Chart, Prose, Section
from rlvr.report.learning import learning
from rlvr.report.plots import Line
from rlvr.report.runs import Run, open_finished
from rlvr.report.series import FEWEST, all_told, modes_of, series_in
from rlvr.statistics import wilson

Row = dict[str, float | None]


def charts(sections: list[Section]) -> dict[str, Chart]:
    return {block.name: block for section in sections for block in section.blocks if isinstance(block, Chart)}


def of(rows: list[Row], stage: str = "rl", **config: Any) -> dict[str, Chart]:
    return charts(learning(Run(path=Path("nowhere"), stage=stage, config=config, rows=rows)))


def column(chart: Chart, name: str) -> list[Any]:
    return [row[chart.table.columns.index(name)] for row in chart.table.rows]


def step(number: int, p: float, **more: float | None) -> Row:
    """A step of 100 rollouts in two modes, of which cot is always right and direct half the time."""
    row: Row = {"step": number, "tokens/rollout": 1000, "rollout/length_mean": 10.0, "reward/mean": p + (1 - p) / 2}
    for mode, share, accuracy in (("cot", p, 1.0), ("direct", 1 - p, 0.5)):
        row |= {f"mode/{mode}/probability": share, f"mode/{mode}/accuracy": accuracy, f"mode/{mode}/advantage": 0.1}
    return row | more


def test_runs_of_every_stage_have_what_they_measured(world: World) -> None:
    found = {stage: charts(learning(open_finished(path))) for stage, path in world.runs.items()}
    assert {"loss", "perplexity", "accuracy", "mode-probability"} <= found["pretrain"].keys() & found["sft"].keys()
    assert {"reward", "accuracy", "mode-probability", "mode-accuracy", "mode-advantage"} <= found["rl"].keys()
    assert not found["eval"]  # one row of an evaluation is no curve


def test_shares_have_wilson_bands_of_the_rollouts_of_their_step() -> None:
    found = of([step(1, 0.2), step(2, 0.8)])
    low, high = wilson(0.2, 100)
    assert column(found["mode-probability"], "cot, from")[0] == pytest.approx(low, abs=1e-6)
    assert column(found["mode-probability"], "cot, to")[0] == pytest.approx(high, abs=1e-6)
    assert column(found["mode-accuracy"], "direct, from")[0] == pytest.approx(wilson(0.5, 80)[0], abs=1e-6)
    assert column(found["accuracy"], "rollouts of the step") == [0.6, 0.9]
    assert found["mode-probability"].summary == (
        "P(cot) rose from 0.2 [0.133, 0.289] to 0.8 [0.711, 0.867]; P(direct) fell from 0.8 [0.711, 0.867] to 0.2 [0.133, 0.289] over 2 steps."
    )


def test_refills_count_as_rollouts() -> None:
    assert series_in([{"step": 1, "tokens/rollout": 3000, "rollout/length_mean": 20.0}]).rollouts == [150]


def test_a_mode_of_few_rollouts_has_no_point() -> None:
    found = of([step(1, 0.2), step(2, (FEWEST - 1) / 100)])
    assert column(found["mode-accuracy"], "cot") == [1.0, None]
    assert column(found["mode-probability"], "cot") == [0.2, 0.04]


def test_a_mode_that_did_not_occur_has_a_share_of_nothing() -> None:
    modes = modes_of(series_in([step(1, 0.5), {"step": 2, "mode/cot/probability": 1.0}, {"step": 3}]))
    assert modes.shares == {"cot": [0.5, 1.0, None], "direct": [0.5, 0.0, None]}


def test_of_many_modes_the_rest_is_pooled_and_said_to_be() -> None:
    row: Row = {"step": 1, "tokens/rollout": 10000, "rollout/length_mean": 10.0}
    for number in range(20):
        row |= {f"mode/m{number}/probability": 0.1 if number < 6 else 0.4 / 14, f"mode/m{number}/accuracy": number / 20}
    sections = learning(Run(path=Path("nowhere"), stage="rl", config={}, rows=[row, row | {"step": 2}]))
    chart = charts(sections)["mode-probability"]
    assert column(chart, "others") == [pytest.approx(0.4)] * 2
    assert column(charts(sections)["mode-accuracy"], "others")[0] == pytest.approx(sum(range(6, 20)) / 14 / 20)
    said = " ".join(block.text for section in sections for block in section.blocks if isinstance(block, Prose))
    assert "20 modes" in said
    assert "other 14" in said


def test_evaluations_stand_beside_the_rollouts_with_their_intervals() -> None:
    measured = {"eval/t/accuracy": 0.7, "eval/t/accuracy_low": 0.6, "eval/t/accuracy_high": 0.8}
    found = of([step(1, 0.2), step(2, 0.2), step(3, 0.2, **measured)])["accuracy"]
    assert column(found, "test, sampled") == [None, None, 0.7]
    assert column(found, "test, sampled, to") == [None, None, 0.8]


def test_components_failures_and_noise_are_drawn_where_they_say_something() -> None:
    same = of([step(1, 0.2, **{"reward/exact": 0.6}), step(2, 0.2, **{"reward/exact": 0.6})])
    assert same["reward"].table.columns == ["step", "reward"]
    assert "failures" not in same
    more: Row = {"reward/exact": 0.5, "reward/<i>": 0.1, "reward/shaping": -0.1, "noise/fp": 0.1}
    found = of([step(1, 0.2, **more), step(2, 0.2, **more, **{"reward/exact/no_answer_fraction": 0.3})])
    assert found["reward"].table.columns == ["step", "reward", "exact", "<i>", "added for length"]
    assert column(found["failures"], "exact: no answer") == [0, 0.3]  # not named at a step: it did not happen
    assert column(found["noise"], "wrong answers that were paid") == [0.1, 0.1]


def test_members_of_a_mixture_are_told_apart() -> None:
    rows = [
        step(1, 0.2, **{f"task/{name}/accuracy": value, f"task/{name}/tokens/rollout": 500.0, f"task/{name}/rollout/length_mean": 10.0})
        | {f"eval/{task}/accuracy": value for task in (name, "mixture")}
        for name, value in (("sums", 0.25), ("words", 0.75))
    ]  # fmt: skip
    found = of([rows[0] | rows[1], rows[0] | rows[1] | {"step": 2}])
    assert found["task-accuracy"].table.columns[1::3] == ["sums", "words"]
    assert column(found["task-accuracy"], "words, from")[0] == pytest.approx(wilson(0.75, 50)[0], abs=1e-6)
    assert set(found["task-evaluations"].table.columns) == {"step", "sums", "words"}


@pytest.mark.parametrize(
    "rows", [[], [{"step": 1}], [{"step": 1, "reward/mean": None, "mode/a/probability": math.nan}]]
)
def test_a_run_without_numbers_has_no_empty_charts(rows: list[Row]) -> None:
    assert not of(rows)
    assert not of(rows, "sft")


def test_a_run_of_one_step_is_told_as_one() -> None:
    assert of([step(7, 0.25)])["reward"].summary == "Mean reward was 0.625 at step 7."


def test_a_long_run_is_told_by_the_means_of_its_ends() -> None:
    line = Line(name="a", x=range(1, 101), values=[float(number) for number in range(1, 101)])
    assert all_told([line]) == "a rose from 5.5 to 95.5 over 100 steps (from and to: means of up to 10 values)."
    noise = Line(name="a", x=range(1, 101), values=[0.5 + 0.1 * (-1) ** s for s in range(99)] + [0.7])
    assert all_told([noise]).startswith("a went from 0.5 to 0.53 ")  # the ends are not apart


def test_what_overlaps_did_not_rise() -> None:
    line = Line(name="a", x=[1, 2], values=[0.5, 0.6], low=[0.4, 0.5], high=[0.6, 0.7])
    assert all_told([line]) == "a went from 0.5 [0.4, 0.6] to 0.6 [0.5, 0.7] over 2 steps."
