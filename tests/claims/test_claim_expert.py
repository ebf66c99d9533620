"""The claim about the expert's path: its measures, by hand, on runs that are written here."""

import json
from pathlib import Path
from typing import Any

import pytest

from rlvr.claims import expert
from rlvr.report.runs import Run

TASK = {"name": "modsum", "modulus": 10, "length": 3}


def run(path: Path = Path("nowhere"), rows: list[dict[str, float | None]] | None = None, **config: Any) -> Run:
    return Run(path=path, stage="sft", config={"task": TASK, "seed": 100, **config}, rows=rows or [])


def evaluation(path: Path, completions: list[tuple[str, bool]]) -> Run:
    """An evaluation of ``1 2 3 =``, each answer with whether it is greedy."""
    lines = [json.dumps({"question": "1 2 3 =", "completion": text, "greedy": greedy}) for text, greedy in completions]
    (path / "rollouts").mkdir()
    (path / "rollouts" / "step_000000.jsonl").write_text("\n".join(lines) + "\n")
    return run(path)


def test_a_step_is_wrong_by_the_sum_that_was_written_before_it(tmp_path: Path) -> None:
    """1 3 6 is right; in 1 4 7 one step is wrong and is carried on; the others are greedy, too short or no sums."""
    answers = [("by1 1 3 6", False), ("1 4 7", False), ("2 4 7", True), ("1 3", False), ("1 x 3 6", False)]
    found = evaluation(tmp_path, [(f"<think> {sums} </think> 6", greedy) for sums, greedy in answers])
    assert list(expert.steps_taken(found)) == [[False, False, False], [False, True, False]]


def test_errors_are_counted_before_and_after_the_first() -> None:
    """Three steps have no error before them, of which two are wrong; of the four later ones one is."""
    chains = [[False, True, False], [True, True, False, False]]
    before, after = expert.error_rates(chains)
    assert before == pytest.approx(2 / 3)
    assert after == pytest.approx(1 / 4)


def test_where_nothing_went_wrong_there_is_no_rate_after_an_error(tmp_path: Path) -> None:
    found = evaluation(tmp_path, [("<think> 1 3 6 </think> 6", False)])
    assert expert.error_rates([[False, False]]) == (0.0, None)
    assert expert._error_ratio(expert.RANDOM_STEPS)({"its steps": found}) is None
    assert expert._beyond_power({"its steps": found}) == 0.0


def test_an_expert_without_errors_is_always_right_and_one_with_them_is_not() -> None:
    data, measured = {"mixture": {"cot": 1.0}}, {"problems": 100}
    right = run(data=data, eval=measured)
    assert expert.demonstrated(right, right) == 1.0
    wrong = {**TASK, "error_rate": 0.1, "error_kind": "random"}
    # Each of 3 steps is right with 0.9; two errors seldom cancel. Four standard deviations of 400 draws are 0.09.
    found = expert.demonstrated(run(task=wrong, data=data), right)
    assert found == pytest.approx(0.9**3, abs=0.09)


def test_sources_count_by_their_weights() -> None:
    never = {**TASK, "error_rate": 1.0, "error_kind": "random", "length": 2, "modulus": 97}
    right = {**TASK, "length": 2, "modulus": 97}
    sources = [
        {"task": never, "mixture": {"cot": 1.0}, "weight": 3.0},
        {"task": right, "mixture": {"cot": 1.0}, "weight": 1.0},
    ]
    found = expert.demonstrated(run(data={"sources": sources}), run(eval={"problems": 50}))
    assert found == pytest.approx(0.25, abs=0.05)  # two wrong steps of 97 seldom cancel


def test_runs_that_did_not_begin_have_no_numbers_and_no_points() -> None:
    empty = Run(path=Path("nowhere"), stage="", config={}, rows=[])
    runs = {arm.name: empty for arm in expert.CLAIM.arms(False)}
    assert {criterion.measure(runs) for criterion in expert.CLAIM.criteria(False)} == {None}
    assert [chart.name for chart in expert.CLAIM.charts([runs])] == ["expert-path", "expert-errors", "expert-steps"]


def test_the_best_way_is_the_one_that_the_base_could_do() -> None:
    base = {"eval/modsum/accuracy": 0.2, "eval/modsum/mode/leap2/accuracy": 0.8, "eval/modsum/mode/cot/accuracy": 0.3}
    after = {"eval/modsum/accuracy": 0.9, "eval/modsum/mode/leap2/probability": 0.7}
    runs = {"base": run(rows=[{"step": 1.0, **base}]), "RL from the base": run(rows=[{"step": 1.0, **after}])}
    assert expert._mass_on_best(runs) == 0.7


@pytest.mark.parametrize(("rewards", "times"), [([0.1, 0.1, 0.1, 0.1], 2.0), ([0.1, 0.1, 0.95, 0.95], 1.5)])
def test_what_is_never_reached_counts_as_all_the_steps_that_were_taken(rewards: list[float], times: float) -> None:
    def rl(values: list[float]) -> Run:
        rows: list[dict[str, float | None]] = [
            {"step": float(number), "reward/mean": value} for number, value in enumerate(values, 1)
        ]
        return run(rows=rows, train={"max_steps": len(values)})

    runs = {"RL from the base": rl([0.1, 0.92]), "RL after SFT on the expert's steps": rl(rewards)}
    assert expert._times_slower(runs) == times


def test_quick_leaves_out_what_no_criterion_of_it_needs() -> None:
    for quick in (False, True):
        arms = expert.CLAIM.arms(quick)
        names, empty = {arm.name for arm in arms}, Run(path=Path("nowhere"), stage="", config={}, rows=[])
        assert {criterion.measure(dict.fromkeys(names, empty)) for criterion in expert.CLAIM.criteria(quick)} == {None}
        assert len(expert.CLAIM.charts([dict.fromkeys(names, empty)])) == 3
        assert {arm.start.name for arm in arms if arm.start} <= names
        assert ("SFT on steps it can take" in names) is not quick
