"""Run directories read back."""

import json
from pathlib import Path

import pytest
import yaml

from rlvr.errors import RlvrError
from rlvr.report.runs import open_as_it_is, open_finished, training_seconds
from rlvr.report.verdict import what_changed


def make(path: Path, config: dict, rows: list[dict] | None = None) -> Path:
    path.mkdir()
    (path / "config.yaml").write_text(yaml.safe_dump(config))
    if rows is not None:
        (path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def write_rollouts(run: Path, step: int, text: str = "a") -> None:
    (run / "rollouts").mkdir(exist_ok=True)
    (run / "rollouts" / f"step_{step:06d}.jsonl").write_text(json.dumps({"index": 0, "completion": text}) + "\n")


def test_a_run_has_its_stage_configuration_rows_and_time(tmp_path: Path) -> None:
    rows = [{"step": 1, "time/step_seconds": 0.5}, {"step": 2, "time/step_seconds": 0.25}]
    run = open_finished(make(tmp_path / "rl", {"model": "m", "train": {}}, rows))
    assert (run.stage, run.config["model"], run.rows, run.seconds()) == ("rl", "m", rows, 0.75)


def test_a_run_that_has_just_begun_has_no_rows(tmp_path: Path) -> None:
    run = open_finished(make(tmp_path / "rl", {"model": "m", "train": {}}))
    assert (run.rows, run.rollout_steps(), run.seconds()) == ([], [], 0)


def test_a_folder_without_configuration_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(RlvrError, match=r"is not a run directory: it has no config\.yaml"):
        open_finished(tmp_path)


@pytest.mark.parametrize("text", ["", "- 1\n", "a: [\n", "a: !!python/name:os.system\n"])
def test_a_folder_with_a_broken_configuration_is_no_run(text: str, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(RlvrError):
        open_finished(tmp_path)


def test_rollouts_are_found_by_step(tmp_path: Path) -> None:
    path = make(tmp_path / "rl", {"model": "m", "train": {}})
    write_rollouts(path, 20, "twenty")
    write_rollouts(path, 3)
    run = open_finished(path)
    assert run.rollout_steps() == [3, 20]
    assert run.rollouts(20) == [{"index": 0, "completion": "twenty"}]


def test_a_step_without_rollouts_names_those_with(tmp_path: Path) -> None:
    path = make(tmp_path / "rl", {"model": "m", "train": {}})
    write_rollouts(path, 3)
    with pytest.raises(RlvrError, match="has no rollouts of that step; got 4; allowed: 3"):
        open_finished(path).rollouts(4)


def timed(path: Path, model: object, seconds: float) -> Path:
    return make(
        path, {"model": model, "train": {}}, [{"step": 1, "time/step_seconds": seconds, "time/eval_seconds": 1.0}]
    )


def test_training_seconds_add_up_over_the_runs_that_made_a_model(tmp_path: Path) -> None:
    timed(tmp_path / "pretrain", {"layers": 1}, 5.0)
    timed(tmp_path / "sft", str(tmp_path / "pretrain"), 3.0)
    run = open_finished(timed(tmp_path / "rl", str(tmp_path / "sft"), 9.0))
    assert training_seconds(run) == (5.0 - 1.0) + (3.0 - 1.0)


def test_they_add_up_behind_a_checkpoint_too(tmp_path: Path) -> None:
    timed(tmp_path / "pretrain", {"layers": 1}, 5.0)
    run = timed(tmp_path / "rl", str(tmp_path / "pretrain" / "checkpoints" / "step_000002"), 9.0)
    assert training_seconds(open_finished(run)) == 5.0 - 1.0


def test_a_hub_models_training_cost_nothing_here_and_that_of_a_lost_run_is_unknown(tmp_path: Path) -> None:
    assert training_seconds(open_finished(timed(tmp_path / "a", "owner/name", 2.0))) == 0.0
    assert training_seconds(open_finished(timed(tmp_path / "b", str(tmp_path / "gone"), 2.0))) is None


def test_a_circle_of_runs_is_gone_round_once(tmp_path: Path) -> None:
    timed(tmp_path / "a", str(tmp_path / "b"), 2.0)
    timed(tmp_path / "b", str(tmp_path / "a"), 4.0)
    assert training_seconds(open_finished(tmp_path / "a")) == 3.0


def test_of_two_rows_of_a_step_the_last_one_is_shown_and_that_is_said(tmp_path: Path) -> None:
    rows = [{"step": 1, "a": 1}, {"step": 2, "a": 2}, {"step": 1, "a": 3}]
    run = open_as_it_is(make(tmp_path / "rl", {"model": "m", "train": {}}, rows))
    assert [(row["step"], row["a"]) for row in run.rows] == [(1, 3), (2, 2)]
    assert "1 row left out" in (run.gaps or {})["metrics.jsonl"]


def test_a_mode_that_came_late_was_not_there_before(tmp_path: Path) -> None:
    late = {"mode/cot/probability": 0.5, "mode/direct/probability": 0.5}
    rows = [{"step": step, **(late if step > 50 else {"mode/direct/probability": 1.0})} for step in range(1, 61)]
    run = open_as_it_is(make(tmp_path / "rl", {"model": "m", "rollout": {}, "train": {}}, rows))
    assert "P(cot) while training rose from 0.000 [0.000, 0.000] to 0.500" in what_changed(run)
