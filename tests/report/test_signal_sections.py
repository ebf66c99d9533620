"""Length, entropy, signal, distance and time of a run, from its metrics and rollouts."""

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import World

from rlvr.report.blocks import Chart, Prose, Section
from rlvr.report.runs import Run, open_finished
from rlvr.report.signals import signals, timing

Row = dict[str, float | None]


def run(rows: list[Row], path: Path = Path("nowhere"), stage: str = "rl") -> Run:
    return Run(path=path, stage=stage, config={}, rows=rows)


def charts(sections: list[Section]) -> dict[str, Chart]:
    return {block.name: block for section in sections for block in section.blocks if isinstance(block, Chart)}


def said(sections: list[Section], kind: str) -> list[str]:
    blocks = [block for section in sections for block in section.blocks]
    return [block.text for block in blocks if isinstance(block, Prose) and block.kind == kind]


def rollouts(folder: Path, step: int, *entropies: list[float] | None, damaged: bool = False) -> None:
    (folder / "rollouts").mkdir(exist_ok=True)
    lines = ["{" if damaged else json.dumps({"entropies": each} if each != [] else {}) for each in entropies]
    (folder / "rollouts" / f"step_{step:06d}.jsonl").write_text("".join(line + "\n" for line in lines))


def column(chart: Chart, name: str) -> list[Any]:
    return [row[chart.table.columns.index(name)] for row in chart.table.rows]


def test_an_rl_run_shows_all_that_it_recorded(world: World) -> None:
    found = open_finished(world.runs["rl"])
    drawn = charts(signals(found))
    assert {"length", "entropy", "entropy-place", "entropy-tokens", "signal", "kl", "gradient"} <= drawn.keys()
    assert not {"ratio", "clip", "level", "value"} & drawn.keys()  # nothing of these was used
    shares = [sum(value or 0.0 for value in row[1:]) for row in drawn["signal"].table.rows]
    assert shares == pytest.approx([1.0] * len(shares), abs=1e-4)
    time = timing(found)
    assert time is not None
    assert {"time", "speed"} == charts([time]).keys()
    assert "loss" not in drawn
    assert "gradient" in charts(signals(open_finished(world.runs["pretrain"])))
    assert charts(signals(open_finished(world.runs["eval"]))).keys() == {"entropy-tokens"}


def test_tokens_are_counted_by_entropy_at_the_beginning_in_the_middle_and_at_the_end(tmp_path: Path) -> None:
    for step in (1, 5, 10, 15, 20):
        rollouts(tmp_path, step, [0.0, 0.005, 0.69, 1.5], [3.0, 0.0, 0.0, 0.0])
    chart = charts(signals(run([], tmp_path)))["entropy-tokens"]
    assert list(dict.fromkeys(column(chart, "of"))) == ["step 1", "step 10", "step 20"]
    first = {row[0]: row[2] for row in chart.table.rows if row[1] == "step 1"}
    assert {name: share for name, share in first.items() if share} == {
        "below 0.01": 0.625, "0.3 to 0.7": 0.125, "1 to 2": 0.125, "above 2": 0.125,
    }  # fmt: skip
    assert "at step 1 25 % of 8 tokens" in chart.summary


def test_rollouts_without_entropies_have_no_histogram_and_damaged_ones_are_named(tmp_path: Path) -> None:
    rollouts(tmp_path, 1, None, [])
    assert "entropy-tokens" not in charts(signals(run([], tmp_path)))
    rollouts(tmp_path, 2, [0.1], damaged=True)
    rollouts(tmp_path, 3, [0.1])
    found = signals(run([], tmp_path))
    assert list(dict.fromkeys(column(charts(found)["entropy-tokens"], "of"))) == ["step 3"]
    (gap,) = said(found, "gap")
    assert "step_000002.jsonl:1" in gap


def test_time_is_parted_and_what_is_left_is_other() -> None:
    row: Row = {
        "time/step_seconds": 10.0,
        "time/rollout_seconds": 4.0,
        "time/train_seconds": 3.0,
        "tokens/rollout": 800,
    }
    section = timing(run([{"step": 1, **row}, {"step": 2, **row, "time/eval_seconds": 2.0}]))
    assert section is not None
    found = charts([section])
    assert column(found["time"], "other") == [3.0, 1.0]
    assert found["time"].summary.startswith("2 steps took 20 s: rollout 8 s (40 %)")
    assert column(found["speed"], "sampled") == [200.0, 200.0]
    assert timing(run([{"step": 1}])) is None


def test_ratios_clipping_and_staleness_are_shown_where_used() -> None:
    row: Row = {
        "train/ratio_mean": 1.0,
        "train/ratio_max": 4.0,
        "train/clip_fraction": 0.1,
        "rollout/logprob_gap_max": 0.3,
    }
    stale = charts(signals(run([{"step": step, **row, "rollout/staleness": 2.0} for step in (1, 2)])))
    assert {"ratio", "clip", "gap"} <= stale.keys()
    assert "up to 2 steps old" in stale["gap"].summary
    assert "which is rounding" in charts(signals(run([{"step": 1, "rollout/logprob_gap_max": 1e-6}])))["gap"].title


def test_what_never_changed_or_never_happened_is_a_sentence() -> None:
    rows: list[Row] = [
        {"step": step, "train/learning_rate": 1e-3, "train/grad_norm": 0.0, "rollout/truncated_fraction": 0.0}
        for step in (1, 2)
    ]
    found = signals(run(rows))
    assert not charts(found)
    assert any("0.001 at every step" in text for text in said(found, "plain"))
    assert "No answer ran out of tokens." in said(found, "plain")


def test_an_older_run_shows_groups_in_place_of_tokens() -> None:
    found = charts(signals(run([{"step": 1, "rollout/zero_variance_fraction": 0.25}])))
    assert column(found["signal"], "groups rewarded alike") == [0.25]


def test_problem_sources_of_a_mixture_are_told_apart() -> None:
    row: Row = {"curriculum/level": 1.0, "task/sums/curriculum/level": 2.0, "task/sums/problems/active": 7.0}
    found = charts(signals(run([{"step": 1, **row}])))
    assert found["level"].table.columns == ["step", "level", "sums: level"]
    assert found["problems"].table.rows == [[1, 7]]


@pytest.mark.parametrize("rows", [[], [{"step": 1}], [{"step": 1, "entropy/mean": None}]])
def test_a_run_without_numbers_has_no_sections(rows: list[Row]) -> None:
    assert signals(run(rows)) == []
