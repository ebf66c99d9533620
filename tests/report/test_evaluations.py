"""Evaluations before and after a run: found beside it, compared problem by problem, with numbers by hand."""

import math
from pathlib import Path
from typing import Any

import pytest
from run_folders import evaluation, measured, rl_run, rollout, write_lines

from rlvr.report.beside import answers, changed, evaluations_beside, first_and_last, share_in, shares
from rlvr.report.blocks import Chart, Prose, Section, Table
from rlvr.report.evaluations import evaluations, modes_in, tasks_in
from rlvr.report.runs import open_as_it_is
from rlvr.statistics import pass_interval, wilson

BEFORE = {"a": [False, False], "b": [True, False], "c": [False, True], "d": [True, True]}
AFTER = {"a": [True, False], "b": [True, True], "c": [True, True], "d": [True, True]}


def around(folder: Path, after: dict[str, list[bool]] = AFTER, **config: Any) -> Path:
    """A run with an evaluation of the model that it began from, and one of its own."""
    run = rl_run(folder / "rl")
    evaluation(folder / "before", "owner/tiny", BEFORE)
    evaluation(folder / "after", str(run), after, **config)
    return run


def section(run: Path, name: str = "before-and-after") -> Section:
    found = {each.name: each for each in evaluations(open_as_it_is(run))}
    return found[name]


def table(found: Section) -> dict[Any, dict[str, Any]]:
    [only] = [block for block in found.blocks if isinstance(block, Table)]
    return {row[0]: dict(zip(only.columns, row, strict=True)) for row in only.rows}


def test_the_same_problems_are_compared_one_by_one(tmp_path: Path) -> None:
    """Differences 1/2, 1/2, 1/2 and 0; with a pair won and one lost their mean is 1.5 / 6 (Bonett and Price)."""
    row = table(section(around(tmp_path)))["modsum: accuracy, sampled"]
    assert row["before: before"] == "0.500 [0.400, 0.600]"
    half = 1.959964 * math.sqrt((3 * 0.25 + 2 - 6 * 0.25**2) / 36)
    assert row["difference"] == f"+0.375 [{0.25 - half:+.3f}, {0.25 + half:+.3f}]" == "+0.375 [-0.253, +0.753]"
    assert row["paired"] == "yes"


def test_other_problems_are_compared_as_other_problems(tmp_path: Path) -> None:
    """Two half widths of 0.1: 0.375 -+ 0.1 x 2^(1/2)."""
    run = around(tmp_path, {f"other {name}": right for name, right in AFTER.items()})
    row = table(section(run))["modsum: accuracy, sampled"]
    assert (row["difference"], row["paired"]) == ("+0.375 [+0.234, +0.516]", "no")


def test_a_share_that_its_rollouts_do_not_give_is_not_paired(tmp_path: Path) -> None:
    run = around(tmp_path)
    write_lines(tmp_path / "after" / "metrics.jsonl", [{"step": 0, **measured("modsum", 0.7)}])
    assert table(section(run))["modsum: accuracy, sampled"]["paired"] == "no"


def test_evaluations_made_in_different_ways_are_not_compared(tmp_path: Path) -> None:
    found = section(around(tmp_path, rollout={"temperature": 0.5}))
    assert "difference" not in next(iter(table(found).values()))
    [gap] = [block.text for block in found.blocks if isinstance(block, Prose) and block.kind == "gap"]
    assert "rollout.temperature: None -> 0.5" in gap or "rollout: None -> {'temperature': 0.5}" in gap
    assert gap.endswith("they are not compared.")


def test_of_several_evaluations_those_made_alike_are_chosen(tmp_path: Path) -> None:
    run = around(tmp_path, rollout={"temperature": 0.5})
    evaluation(tmp_path / "later", str(run), AFTER)
    found = evaluations_beside(open_as_it_is(run))
    assert found.comparable
    assert found.after is not None
    assert found.after.path.name == "later"


def test_pass_at_k_before_and_after(tmp_path: Path) -> None:
    """Of one of two samples before: 0, 1, 1, 1; after all problems are solved, which has Wilson's interval of four."""
    [chart] = [block for block in section(around(tmp_path)).blocks if isinstance(block, Chart) and block.name == "pass-at-k"]  # fmt: skip
    rows = [dict(zip(chart.table.columns, row, strict=True)) for row in chart.table.rows]
    assert [(row["k"], row["before"], row["after"]) for row in rows] == [(1, 0.5, 0.875), (2, 0.75, 1.0)]
    assert rows[1]["after, from"] == pytest.approx(wilson(1.0, 4)[0], abs=1e-6)


def test_pass_at_k_has_students_interval_over_problems() -> None:
    """1 - C(3,2) / C(4,2) = 1/2, 1 and 1: mean 5/6, standard error 1/6, t of two degrees 4.303; no share is above 1."""
    mean, low, high = pass_interval([(4, 1), (4, 3), (4, 4)], 2)
    assert mean == pytest.approx(5 / 6)
    assert low == pytest.approx(5 / 6 - 4.302653 / 6, abs=1e-5)
    assert high == 1.0


def test_evaluations_are_found_by_any_name_that_leads_to_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = rl_run(tmp_path / "runs" / "rl")
    evaluation(tmp_path / "runs" / "of_it", "runs/rl", AFTER)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    found = evaluations_beside(open_as_it_is(run))
    assert (found.before, found.after and found.after.path.name) == (None, "of_it")


def test_a_checkpoint_on_the_way_is_not_the_model_that_the_run_made(tmp_path: Path) -> None:
    run = rl_run(tmp_path / "rl")
    for step in (3, 6):
        (run / "checkpoints" / f"step_{step:06d}").mkdir(parents=True)
    evaluation(tmp_path / "a", str(run / "checkpoints" / "step_000003"), AFTER)
    assert evaluations_beside(open_as_it_is(run)).after is None
    evaluation(tmp_path / "b", str(run / "checkpoints" / "step_000006"), AFTER)
    found = evaluations_beside(open_as_it_is(run)).after
    assert found is not None
    assert found.path.name == "b"


def test_the_model_that_a_run_began_from_may_be_a_checkpoint(tmp_path: Path) -> None:
    first = rl_run(tmp_path / "first")
    for step in (3, 6):
        (first / "checkpoints" / f"step_{step:06d}").mkdir(parents=True)
    run = open_as_it_is(rl_run(tmp_path / "rl", model=str(first / "checkpoints" / "step_000003")))
    evaluation(tmp_path / "late", str(first), BEFORE)
    assert evaluations_beside(run).before is None
    evaluation(tmp_path / "same", str(first / "checkpoints" / "step_000003"), BEFORE)
    found = evaluations_beside(run).before
    assert found is not None
    assert found.path.name == "same"


def test_an_evaluation_that_is_not_finished_is_not_beside(tmp_path: Path) -> None:
    run = around(tmp_path)
    (tmp_path / "after" / "eval.json").unlink()
    assert evaluations_beside(open_as_it_is(run)).after is None


def test_answers_are_told_apart_by_problem_and_greedy_ones_apart(tmp_path: Path) -> None:
    found = answers(open_as_it_is(evaluation(tmp_path / "e", "m", {"a": [True, False], "b": [False, False]})))
    assert list(shares(found).values()) == [0.5, 0.0]
    assert list(shares(found, "cot").values()) == [1.0, 1.0]
    assert list(found.greedy.values()) == [True, False]


def test_a_paired_difference_needs_the_same_problems_and_two_of_them() -> None:
    one, two = ("t", "test", 0, "a"), ("t", "test", 1, "b")
    assert changed({one: 0.5}, {one: 1.0}) is None
    assert changed({one: 0.5, two: 0.5}, {one: 1.0}) is None
    found = changed({one: 0.5, two: 0.5}, {two: 0.0, one: 1.0})
    assert found is not None
    assert found.mean == 0.0


def test_shares_tasks_and_modes_of_rows() -> None:
    row = {"step": 1, **measured("words", 0.5), **measured("mixture", 0.5), "eval/words/mode/a/b/probability": 0.5}
    assert share_in(row, "eval/words/accuracy") == (0.5, 0.4, 0.6)
    assert share_in({"eval/words/accuracy": 0.5}, "eval/words/accuracy") is None
    assert tasks_in([row]) == ["mixture", "words"]
    assert modes_in([row], "words") == ["a/b"]
    assert first_and_last([row], "eval/words/accuracy") is None
    assert first_and_last([row, {**row, "step": 9}], "eval/words/accuracy") == (
        (1, (0.5, 0.4, 0.6)),
        (9, (0.5, 0.4, 0.6)),
    )


def test_evaluations_while_training_are_drawn_with_their_intervals(tmp_path: Path) -> None:
    chart = next(block for block in section(rl_run(tmp_path / "rl"), "evaluations").blocks if isinstance(block, Chart))
    assert chart.table.columns == ["step", "sampled", "sampled, from", "sampled, to"]
    assert chart.table.rows == [
        [3, 0.3, pytest.approx(0.2), pytest.approx(0.4)],
        [6, 0.8, pytest.approx(0.7), pytest.approx(0.9)],
    ]


def test_an_evaluation_alone_shows_what_it_measured(tmp_path: Path) -> None:
    run = evaluation(tmp_path / "e", "m", BEFORE)
    write_lines(run / "rollouts" / "step_000000.jsonl", [rollout(number, number % 2 == 0) for number in range(4)])
    found = section(run, "evaluation")
    assert table(found)["modsum: accuracy, sampled"]["measured"] == "0.500 [0.400, 0.600]"
