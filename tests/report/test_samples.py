"""Rollouts that a report shows: which groups are the best, the worst and the most telling, what was paid and wrong, which are read."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from run_folders import CONFIG, rl_run, rollout, study, write_lines

from rlvr.report.blocks import Prose, Reader, Table
from rlvr.report.runs import open_as_it_is
from rlvr.report.samples import LONGEST, MOST_STEPS, READ, looked_at, samples

Record = dict[str, Any]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run without rollouts and studies, to be given some."""
    path = rl_run(tmp_path / "rl")
    shutil.rmtree(path / "rollouts")
    shutil.rmtree(path / "study")
    return path


def write(run: Path, step: int, records: list[Record]) -> None:
    write_lines(run / "rollouts" / f"step_{step:06d}.jsonl", records)


def group(index: int, right: int, of: int = 4, **facts: Any) -> list[Record]:
    return [rollout(index, number < right, **facts) for number in range(of)]


def tables(run: Path) -> dict[str, Table]:
    """By the first words of their captions."""
    [section] = [each for each in samples(open_as_it_is(run)) if each.name == "samples"]
    found = [block for block in section.blocks if isinstance(block, Table)]
    return {block.caption.split(" group")[0].split(":")[0].split(",")[0]: block for block in found}


def read(run: Path) -> list[tuple[int, int]]:
    """Step and line of the rollouts that are read token by token."""
    [section] = [each for each in samples(open_as_it_is(run)) if each.name == "tokens"]
    [reader] = [block for block in section.blocks if isinstance(block, Reader)]
    return [(each["step"], each["line"]) for each in reader.attempts]


def test_a_run_without_rollouts_has_no_samples(run: Path) -> None:
    assert samples(open_as_it_is(run)) == []


def test_the_best_and_worst_groups_are_of_the_last_step_and_the_most_telling_of_all(run: Path) -> None:
    write(run, 1, [*group(0, 0), *group(1, 2)])
    write(run, 6, [*group(0, 3), *group(1, 1), *group(2, 4)])
    found = tables(run)
    assert found["Best"].caption == "Best group of step 6: 2 1 = (gold answer 1; 4 of 4 right, mean reward 1)."
    assert found["Worst"].caption == "Worst group of step 6: 1 1 = (gold answer 0; 1 of 4 right, mean reward 0.25)."
    assert (
        found["Most telling"].caption
        == "Most telling group of step 1: 1 1 = (gold answer 0; 2 of 4 right, mean reward 0.5)."
    )


def test_groups_that_teach_nothing_are_not_called_telling(run: Path) -> None:
    write(run, 1, [*group(0, 0), *group(1, 4)])
    assert "Most telling" not in tables(run)
    [section] = [each for each in samples(open_as_it_is(run)) if each.name == "samples"]
    assert any(isinstance(block, Prose) and "all right or all wrong" in block.text for block in section.blocks)


def test_single_attempts_are_no_groups_and_greedy_ones_stand_apart(run: Path) -> None:
    write(run, 1, [rollout(0), rollout(1, False), rollout(0, False, greedy=True)])
    assert set(tables(run)) == {"Over time"}


def test_problems_of_two_tasks_with_one_number_are_two_groups(run: Path) -> None:
    write(run, 1, [*group(0, 4, task="a", question="of a"), *group(0, 0, task="b", question="of b")])
    assert "of a" in tables(run)["Best"].caption
    assert "of b" in tables(run)["Worst"].caption


def test_over_time_the_same_problem_is_followed_in_its_usual_mode(run: Path) -> None:
    for step, mode in ((1, "direct"), (3, "direct"), (6, "cot")):
        write(
            run,
            step,
            [*group(step, 2), *group(9, 2, mode=mode, completion=f"of step {step}"), rollout(9, mode="other")],
        )
    found = tables(run)["Over time"]
    columns = [found.columns.index(name) for name in ("step", "question", "mode", "completion")]
    assert [[each[column] for column in columns] for each in found.rows] == [
        ["1", "9 1 =", "direct", "of step 1"], ["3", "9 1 =", "direct", "of step 3"], ["6", "9 1 =", "cot", "of step 6"],
    ]  # fmt: skip
    assert "the same problem" in found.caption


def test_steps_of_other_problems_do_not_pretend_to_share_one(run: Path) -> None:
    write(run, 1, group(0, 2))
    write(run, 6, group(1, 2))
    assert "the first problem of each step" in tables(run)["Over time"].caption


def test_wrong_answers_that_were_paid_as_right_ones_are_shown(run: Path) -> None:
    """Paid 0.5 where a right answer of the step earned 1.0 is partial credit; paid 1.0 is not. Nobody right: nothing to compare with."""
    paid = rollout(1, False, reward=1.0, completion="lucky")
    write(run, 1, [*group(0, 2), rollout(1, False, reward=0.5, completion="partly"), paid])
    write(run, 3, [rollout(0, False, reward=1.0, completion="alone"), rollout(0, False)])
    found = tables(run)["Wrong"]
    assert [each[-1] for each in found.rows] == ["lucky"]
    assert "1 rollout of the steps that were read" in found.caption


def test_what_was_cut_off_and_what_is_long_is_said(run: Path) -> None:
    write(run, 1, [rollout(0, completion="x" * 5000), rollout(0, False, stop_reason="length")])
    rows = tables(run)["First"].rows  # the only group is neither best nor worst
    assert rows[0][-1] == f"{'x' * LONGEST} … (5,000 characters)"
    assert rows[1][-1] == "so it is … (out of tokens)"


def test_of_many_steps_a_few_are_looked_at_and_those_that_were_studied(run: Path) -> None:
    for step in range(1, 101):
        write(run, step, [rollout(0)])
    write_lines(run / "study" / "step_000050.jsonl", [study(0)])
    write_lines(run / "study" / "step_000999.jsonl", [study(0)])  # of a step without rollouts
    steps = looked_at(open_as_it_is(run))
    assert len(steps) == MOST_STEPS + 1
    assert {1, 50, 100} <= set(steps)
    assert 999 not in steps


def test_studied_rollouts_are_read_first_then_right_and_wrong_of_the_rarest_mode(run: Path) -> None:
    """Lines 0 to 3 direct, 4 and 5 cot; 0, 1 and 4 right. Line 3 was studied."""
    facts = [("direct", True), ("direct", True), ("direct", False), ("direct", False), ("cot", True), ("cot", False)]
    write(run, 1, [rollout(number // 2, right, mode) for number, (mode, right) in enumerate(facts)])
    write_lines(run / "study" / "step_000001.jsonl", [study(3)])
    assert read(run) == [(1, 3), (1, 4), (1, 5), (1, 0), (1, 2)]


def test_no_more_are_read_than_a_reader_holds(run: Path) -> None:
    for step in (1, 3, 6):
        write(run, step, [*group(0, 20, 40)])
    found = read(run)
    assert len(found) == READ
    assert [step for step, _ in found] == sorted([1, 3, 6] * (READ // 3))


def test_where_all_are_wrong_the_wrong_are_read(run: Path) -> None:
    write(run, 1, group(0, 0))
    assert read(run) == [(1, 0), (1, 1), (1, 2), (1, 3)]


def test_tokens_without_a_tokenizer_are_numbers_and_that_is_said(run: Path) -> None:
    write(run, 1, [rollout(0)])
    [section] = [each for each in samples(open_as_it_is(run)) if each.name == "tokens"]
    gaps = [block.text for block in section.blocks if isinstance(block, Prose)]
    assert any("No tokenizer was found" in text for text in gaps)
    assert any(f"rlvr study {run} adds" in text for text in gaps)
    assert CONFIG["model"] == "owner/tiny"
