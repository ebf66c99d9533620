"""Paths that lead outside: nothing is written or imported but what was named."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from conftest import TASK, World, call, start, write_config

FAST = ["--set", "train.max_steps=1", "--set", "eval=null"]
OWN = "def grade(answer, response):\n    return float(answer in response)\n"


def everything(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


@pytest.mark.check("R27")
@pytest.mark.parametrize("name", ["configs/../../evil.yaml", "...yaml", "configs/...yaml", "..yaml"])
def test_a_configurations_name_never_leads_out_of_runs(
    name: str, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: Callable[..., str]
) -> None:
    here = tmp_path / "a" / "b"
    (here / "configs").mkdir(parents=True)
    monkeypatch.chdir(here)
    Path(name).write_bytes(world.configs["rl"].read_bytes())
    before = everything(tmp_path)
    assert "choose a directory with --run" in refused("rl", name, *FAST)
    assert everything(tmp_path) == before


@pytest.mark.check("R27")
def test_a_run_writes_where_it_was_told_and_nowhere_else(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "a" / "b"
    here.mkdir(parents=True)
    monkeypatch.chdir(here)
    assert call("rl", world.configs["rl"], *FAST, "--run", "../../x").code == 0
    assert {path.name for path in tmp_path.iterdir()} == {"a", "x"}
    assert not everything(here)


@pytest.mark.check("R27")
@pytest.mark.parametrize("name", [".lock", "metrics.jsonl", "config.yaml", "checkpoints", "rollouts", "inputs.json"])
def test_a_run_directory_with_a_link_in_it_is_refused(
    name: str, world: World, tmp_path: Path, refused: Callable[..., str]
) -> None:
    """Whoever made the directory could have us write to, or empty, any file of ours."""
    target, run = tmp_path / "target", tmp_path / "run"
    run.mkdir()
    (run / "config.yaml").write_text("seed: 0\n")
    (run / name).unlink(missing_ok=True)
    if "." in name:
        target.write_text("precious")
    else:
        target.mkdir()
    (run / name).symlink_to(target)
    assert f"holds a link ({name})" in refused("rl", world.configs["rl"], *FAST, "--run", run)
    assert target.read_text() == "precious" if target.is_file() else not any(target.iterdir())


@pytest.mark.check("R27")
def test_a_run_directory_may_be_a_link_itself(world: World, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "run").symlink_to(tmp_path / "disk")
    assert call("rl", world.configs["rl"], *FAST, "--run", tmp_path / "run").code == 0
    assert (tmp_path / "disk" / "metrics.jsonl").is_file()


@pytest.mark.check("R27")
def test_the_name_of_a_member_never_names_a_file(world: World, tmp_path: Path) -> None:
    task = {"name": "mixture", "tasks": {"..": {"task": dict(TASK)}, ".": {"task": {**TASK, "length": 7}}}}
    tree = {**yaml.safe_load(world.configs["rl"].read_text()), "task": task}
    answer = call("rl", write_config(tmp_path / "rl.yaml", tree), *FAST, "--run", tmp_path / "deep" / "run")
    assert answer.code == 0, answer.err
    assert {path.name for path in tmp_path.iterdir()} == {"rl.yaml", "deep"}
    assert {path.name for path in (tmp_path / "deep").iterdir()} == {"run"}


@pytest.mark.check("R27")
@pytest.mark.parametrize("bad", ["../x", "a/b", "/x", "a\0b", ""])
def test_a_member_cannot_have_a_path_for_a_name(
    bad: str, world: World, tmp_path: Path, refused: Callable[..., str]
) -> None:
    task = {"name": "mixture", "tasks": {bad: {"task": dict(TASK)}, "b": {"task": dict(TASK)}}}
    tree = {**yaml.safe_load(world.configs["rl"].read_text()), "task": task}
    assert "cannot be a task's name" in refused(
        "rl", write_config(tmp_path / "rl.yaml", tree), "--run", tmp_path / "run"
    )


# ------------------------------------------------------------------------------------------ reward functions


@pytest.mark.check("R27")
def test_a_reward_function_is_the_file_that_was_named_printed_and_recorded(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of the same name in the folder that rlvr runs in, or in its parents, is not it."""
    here = tmp_path / "a" / "b"
    here.mkdir(parents=True)
    (tmp_path / "reward.py").write_text(OWN)
    for folder in (here, here.parent):
        (folder / "reward.py").write_text(f"import pathlib\npathlib.Path({str(tmp_path / 'marker')!r}).touch()\n{OWN}")
    monkeypatch.chdir(here)
    own = "reward={own: {weight: 1.0, file: ../../reward.py, function: grade}}"
    answer = call("rl", world.configs["rl"], *FAST, "--set", own, "--run", "run")
    assert answer.code == 0, answer.err
    digest = hashlib.sha256(OWN.encode()).hexdigest()
    assert f"reward.own: grade of ../../reward.py (sha256 {digest})" in answer.err
    assert json.loads(Path("run/inputs.json").read_text())["../../reward.py"] == digest
    assert not (tmp_path / "marker").exists()
    assert not list(tmp_path.rglob("__pycache__"))


@pytest.mark.check("R27")
@pytest.mark.parametrize(
    "file", ["os", "os.path", "subprocess", "rlvr.cli", "", ".", "https://example.org/x.py", "/dev/zero"]
)
def test_a_reward_function_is_never_found_by_a_modules_name(
    file: str, world: World, tmp_path: Path, refused: Callable[..., str]
) -> None:
    own = f"reward={{own: {{weight: 1.0, file: '{file}', function: system}}}}"
    refused("rl", world.configs["rl"], *FAST, "--set", own, "--run", tmp_path / "run")
    assert not (tmp_path / "run").exists()


SHADOWS = [
    "yaml",
    "torch",
    "typer",
    "pydantic",
    "numpy",
    "json",
    "pathlib",
    "transformers",
    "safetensors",
    "click",
    "rich",
]


@pytest.mark.check("R27")
@pytest.mark.parametrize("command", ["check", "rl"])
def test_nothing_is_imported_from_the_folder_that_rlvr_runs_in(command: str, world: World, tmp_path: Path) -> None:
    here = tmp_path / "here"
    here.mkdir()
    for name in SHADOWS:
        (here / f"{name}.py").write_text(f"import os\nos.system('touch {tmp_path / 'marker'}')\n")
    (tmp_path / "reward.py").write_text(OWN)
    own = ["--set", f"reward={{own: {{weight: 1.0, file: '{tmp_path / 'reward.py'}', function: grade}}}}"]
    arguments = [command, world.configs["rl"], *FAST, *own, *(["--run", tmp_path / "run"] if command == "rl" else [])]
    with start(*arguments, cwd=here) as process:
        error = process.communicate()[1]
    assert process.returncode == 0, error
    assert not (tmp_path / "marker").exists()
