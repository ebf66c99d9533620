"""Run directories read back."""

import json
from pathlib import Path

import pytest
import yaml

from rlvr.errors import RlvrError
from rlvr.report.runs import open_finished, training_seconds


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


def test_a_hub_models_training_cost_nothing_here_and_that_of_a_lost_run_is_unknown(tmp_path: Path) -> None:
    assert training_seconds(open_finished(timed(tmp_path / "a", "owner/name", 2.0))) == 0.0
    assert training_seconds(open_finished(timed(tmp_path / "b", str(tmp_path / "gone"), 2.0))) is None


def test_a_circle_of_runs_is_gone_round_once(tmp_path: Path) -> None:
    timed(tmp_path / "a", str(tmp_path / "b"), 2.0)
    timed(tmp_path / "b", str(tmp_path / "a"), 4.0)
    assert training_seconds(open_finished(tmp_path / "a")) == 3.0
