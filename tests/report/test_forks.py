"""The top forks of a run, from rollouts written by hand: prompts of tokens 1 5, answers 6 or 7 and the end 2."""

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import World

from rlvr.report.blocks import Chart, Prose, Table
from rlvr.report.forks import FILES, forks, top_forks
from rlvr.report.runs import Run, open_finished

ENTROPY = {1: 0.6, 2: 0.6, 3: 0.3, 4: 0.3, 5: 0.1, 6: 0.1}
SIXES = {1: 8, 2: 8, 3: 5, 4: 5, 5: 1, 6: 1}
"""How many of a step's 10 answers are 6, and how uncertain the policy was there."""


def rollout(first: int, entropy: float, **fields: Any) -> dict[str, Any]:
    ids = [first, 9, 9, 9, 9, 2]
    return {"prompt_ids": [1, 5], "token_ids": ids, "entropies": [entropy, *[0.0] * 5], "stop_reason": "stop", **fields}


def write(folder: Path, steps: dict[int, list[dict[str, Any]]], part: str = "rollouts") -> Run:
    (folder / part).mkdir(exist_ok=True)
    (folder / "config.yaml").write_text("model: nowhere/to/be/found\ntrain: {}\n")
    for step, rows in steps.items():
        (folder / part / f"step_{step:06d}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return open_finished(folder)


def rows_of(step: int, **fields: Any) -> list[dict[str, Any]]:
    return [rollout(6 if number < SIXES[step] else 7, ENTROPY[step], **fields) for number in range(10)]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return write(tmp_path, {step: rows_of(step) for step in ENTROPY})


def test_a_fork_says_how_its_choice_shifted(run: Run) -> None:
    [fork] = top_forks(run)
    assert (fork.context, fork.count, fork.early, fork.late) == ("‹5›", 60, 20, 20)
    assert (fork.entropy_early, fork.entropy_late) == (pytest.approx(0.6), pytest.approx(0.1))
    shifts = {choice.text: (choice.early.value, choice.late.value) for choice in fork.choices}
    assert shifts == {"‹6›": (0.8, 0.1), "‹7›": (0.2, 0.9)}
    early = fork.choices[0].early
    assert (early.low, early.high) == (
        pytest.approx(0.584, abs=1e-3),
        pytest.approx(0.919, abs=1e-3),
    )  # Wilson, 16 of 20
    assert (fork.studied, early.exact) == (0, None)


def test_forks_are_in_order_of_the_uncertainty_that_stood_there_early(tmp_path: Path) -> None:
    """A place has 0.32 nats in the mean. After 9 9 it has 0.4, at 30 places a step, which is twice what stands at 10 with 0.6 after 5;
    after 6 9 it has 0.1, which is no fork."""
    unsure = [{**row, "entropies": [0.6, 0, 0.1, 0.6, 0.6, 0]} for row in rows_of(1)]
    found = top_forks(write(tmp_path, dict.fromkeys((1, 2, 3), unsure)))
    assert [fork.context for fork in found] == ["‹9›‹9›", "‹5›"]
    assert [fork.entropy_early for fork in found] == [pytest.approx(0.4), pytest.approx(0.6)]


def test_where_there_is_a_study_its_probabilities_stand_beside(run: Run) -> None:
    named = [{"id": 6, "text": "6", "probability": 0.05, "against": 0.75}]
    study = {"line": 0, "policy": "checkpoints/step_000006", "against": "m", "logprobs": [], "against_logprobs": []}
    rows = [{**study, "line": line, "alternatives": [named, *[[]] * 5]} for line in (0, 1, 99)]
    write(run.path, {1: rows}, "study")
    [fork] = top_forks(run)
    exact = {choice.text: (choice.early.exact, choice.late.exact) for choice in fork.choices}
    assert fork.studied == 2
    assert exact == {"‹6›": (0.75, 0.05), "‹7›": (0.0, 0.0)}  # what is not named is below one in a thousand


def test_the_section_has_a_chart_and_a_table_and_says_what_is_early(run: Run) -> None:
    section = forks(run)
    assert section is not None
    intro, chart, table = section.blocks
    assert isinstance(intro, Prose)
    assert isinstance(chart, Chart)
    assert isinstance(table, Table)
    assert "Early is steps 1, 2, late is steps 5, 6" in intro.text
    assert chart.summary == "After “‹5›”, early → late: “‹6›” 0.800 → 0.100, “‹7›” 0.200 → 0.900."
    assert all(len(row) == len(table.columns) for row in table.rows)
    assert len(set(table.columns)) == len(table.columns)


@pytest.mark.parametrize(
    "fields",
    [{"entropies": None}, {"entropies": [0.1]}, {"token_ids": [[1], 2]}, {"prompt_ids": [2**70]}, {"prompt_ids": []}],
)
def test_rollouts_without_entropies_or_damaged_ones_leave_a_gap(tmp_path: Path, fields: dict[str, Any]) -> None:
    run = write(tmp_path, {step: rows_of(step, **fields) for step in (1, 2)})
    section = forks(run)
    assert section is not None
    [block] = section.blocks
    assert isinstance(block, Prose)
    assert block.kind == "gap"
    assert "do not say how uncertain" in block.text


def test_a_damaged_file_is_named_in_the_gap(run: Run) -> None:
    (run.path / "rollouts" / "step_000003.jsonl").write_text("half a li")
    section = forks(run)
    assert section is not None
    assert "step_000003.jsonl:1: is damaged" in str(section.blocks[0])


def test_a_run_of_one_step_has_no_forks_to_compare(tmp_path: Path) -> None:
    assert forks(write(tmp_path, {1: rows_of(1)})) is None


def test_of_many_steps_some_are_read_evenly(tmp_path: Path) -> None:
    run = write(tmp_path, {step: rows_of(1) for step in range(1, 41)})
    assert top_forks(run)[0].count == 10 * FILES


def test_forks_of_a_real_run_are_spelt(world: World) -> None:
    found = top_forks(open_finished(world.runs["rl"]))
    first = next(fork for fork in found if fork.context == "=")
    assert {choice.text for choice in first.choices} & {" <think>", " 0", " 1"}
