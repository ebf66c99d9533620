"""Run directories: made once, owned by one process, never mixed with another configuration."""

import json
import os
from pathlib import Path

import pytest
import yaml

from rlvr.config import EvalConfig
from rlvr.errors import RlvrError
from rlvr.runtime.manifest import seal
from rlvr.runtime.run_dir import open_run, record_environment


def config(**fields: object) -> EvalConfig:
    return EvalConfig.model_validate({"model": "runs/x", "task": {"name": "modsum"}} | fields)


def make(path: Path, **fields: object) -> Path:
    """A run directory that nobody uses any more."""
    with open_run(path, config(**fields), {}, fresh=False):
        return path


def make_begun(path: Path) -> Path:
    """A run directory that has something to lose."""
    (make(path) / "metrics.jsonl").write_text("")
    return path


def checkpoint(run: Path, step: int, row: dict | None = None) -> None:
    folder = run / "checkpoints" / f"step_{step:06d}"
    folder.mkdir()
    (folder / "state.json").write_text(json.dumps({"step": step, "row": row}))
    seal(folder)


def test_a_new_run_holds_its_resolved_configuration(tmp_path: Path) -> None:
    run = make(tmp_path / "a" / "b")
    assert yaml.safe_load((run / "config.yaml").read_text()) == config().model_dump(exclude_none=True)


def test_the_same_configuration_opens_it_again(tmp_path: Path) -> None:
    run = make(tmp_path / "run")
    (run / "metrics.jsonl").write_text("kept")
    make(run)
    assert (run / "metrics.jsonl").read_text() == "kept"


def test_another_configuration_is_refused_with_the_keys_that_differ(tmp_path: Path) -> None:
    run = make_begun(tmp_path / "run")
    with pytest.raises(RlvrError, match=r"was made from another configuration \(seed: 0 -> 1; task\.length: 16 -> 8\)"):
        open_run(run, config(seed=1, task={"name": "modsum", "length": 8}), {}, fresh=False)


def test_a_run_that_has_not_begun_takes_another_configuration(tmp_path: Path) -> None:
    run = make(tmp_path / "run")
    make(run, seed=1)
    assert yaml.safe_load((run / "config.yaml").read_text())["seed"] == 1


def test_other_contents_of_an_input_are_refused_with_its_name(tmp_path: Path) -> None:
    with open_run(tmp_path / "run", config(), {"a.jsonl": "1", "b.jsonl": "2"}, fresh=False) as run:
        run.metrics.write_text("")
    with pytest.raises(RlvrError, match=r"was made from other contents of b\.jsonl"):
        open_run(tmp_path / "run", config(), {"a.jsonl": "1", "b.jsonl": "3"}, fresh=False)


def test_a_refused_opening_gives_the_run_back(tmp_path: Path) -> None:
    run = make_begun(tmp_path / "run")
    with pytest.raises(RlvrError, match="another configuration"):
        open_run(run, config(seed=1), {}, fresh=False)
    make(run)


def test_a_run_in_use_is_refused_with_its_owner(tmp_path: Path) -> None:
    with (
        open_run(tmp_path / "run", config(), {}, fresh=False),
        pytest.raises(RlvrError, match=f"is in use by process {os.getpid()}"),
    ):
        open_run(tmp_path / "run", config(), {}, fresh=False)


def test_a_run_that_was_closed_is_free(tmp_path: Path) -> None:
    make(tmp_path / "run")
    with open_run(tmp_path / "run", config(), {}, fresh=False) as run:
        assert run.path == tmp_path / "run"


def test_a_folder_with_other_files_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(RlvrError, match="is a folder with other files; choose another with --run"):
        open_run(tmp_path, config(), {}, fresh=False)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("name", ["file", "file/below"])
def test_a_path_that_cannot_be_a_folder_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RlvrError, match="cannot be a run directory: "):
        open_run(tmp_path / name, config(), {}, fresh=False)


# ------------------------------------------------------------------------------------------------ --fresh


def test_fresh_moves_the_old_run_aside(tmp_path: Path) -> None:
    run = make(tmp_path / "run", seed=1)
    for _ in range(2):
        with open_run(run, config(seed=2), {}, fresh=True):
            pass
    seeds = {path.name: yaml.safe_load((path / "config.yaml").read_text())["seed"] for path in tmp_path.iterdir()}
    assert seeds == {"run": 2, "run.old1": 1, "run.old2": 2}


def test_fresh_needs_no_old_run(tmp_path: Path) -> None:
    with open_run(tmp_path / "run", config(), {}, fresh=True):
        assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_fresh_does_not_move_a_run_in_use(tmp_path: Path) -> None:
    """Its process would go on writing into the new run by name."""
    with open_run(tmp_path / "run", config(), {}, fresh=False), pytest.raises(RlvrError, match="is in use by process"):
        open_run(tmp_path / "run", config(), {}, fresh=True)


def test_fresh_does_not_move_a_folder_that_is_no_run(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.tex").touch()
    with pytest.raises(RlvrError, match="is no run directory"):
        open_run(tmp_path / "home", config(), {}, fresh=True)


# ------------------------------------------------------------------------------------------- what it holds


@pytest.mark.parametrize(
    ("step", "row", "finished"),
    [(None, None, False), (4, None, False), (5, None, True), (5, {"train/loss": 1.0}, False)],
)
def test_a_run_is_finished_with_its_last_step_and_row(
    step: int | None, row: dict | None, finished: bool, tmp_path: Path
) -> None:
    with open_run(tmp_path / "run", config(), {}, fresh=False) as run:
        if step is not None:
            checkpoint(run.path, step, row)
        assert run.finished(max_steps=5) is finished


def test_rollouts_of_a_step_have_their_file(tmp_path: Path) -> None:
    with open_run(tmp_path / "run", config(), {}, fresh=False) as run:
        assert run.rollouts(12) == tmp_path / "run" / "rollouts" / "step_000012.jsonl"


def test_the_environment_is_written_once_and_changes_are_named(tmp_path: Path) -> None:
    with open_run(tmp_path / "run", config(), {}, fresh=False) as run:
        assert record_environment(run, seed=0, device="cpu", threads=2, openmp_sleeps=False, graders={}) == []
        first = (run.path / "environment.json").read_text()
        assert record_environment(run, seed=0, device="cpu", threads=2, openmp_sleeps=False, graders={}) == []
        assert record_environment(run, seed=0, device="cpu", threads=4, openmp_sleeps=False, graders={}) == [
            "threads: 2 -> 4"
        ]
        assert (run.path / "environment.json").read_text() == first


def test_the_environment_says_what_ran(tmp_path: Path) -> None:
    with open_run(tmp_path / "run", config(), {}, fresh=False) as run:
        record_environment(run, seed=3, device="cpu", threads=2, openmp_sleeps=False, graders={})
    found = json.loads((tmp_path / "run" / "environment.json").read_text())
    assert {"versions", "python", "platform", "git_revision", "command", "started"} < set(found)
    assert (found["seed"], found["device"], found["threads"]) == (3, "cpu", 2)


def test_the_environment_holds_no_environment_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_TOKEN", "a-very-secret-value")
    with open_run(tmp_path / "run", config(), {}, fresh=False) as run:
        record_environment(run, seed=0, device="cpu", threads=2, openmp_sleeps=False, graders={})
    assert "a-very-secret-value" not in (tmp_path / "run" / "environment.json").read_text()


@pytest.mark.check("R27")
@pytest.mark.parametrize("fresh", [False, True])
@pytest.mark.parametrize("name", [".lock", "checkpoints/step_000001", "rollouts/step_000001.jsonl"])
def test_what_a_link_in_a_run_points_at_is_left_alone(name: str, fresh: bool, tmp_path: Path) -> None:
    run, other = make_begun(tmp_path / "run"), tmp_path / "other"
    other.write_text("kept")
    (run / name).unlink(missing_ok=True)
    (run / name).symlink_to(other)
    with pytest.raises(RlvrError, match="holds a link"):
        open_run(run, config(), {}, fresh=fresh)
    assert other.read_text() == "kept"
