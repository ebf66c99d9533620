"""A run directory that cannot be written is refused before the first step, whoever asks."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import World, call

NOBODY = 65534


@contextlib.contextmanager
def without_privileges() -> Iterator[None]:
    """Inside, permissions hold: root may write anywhere, so it acts as nobody."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


@pytest.fixture
def closed(world: World) -> Iterator[Path]:
    """A folder that anybody can look into and nobody can write, with a configuration."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copy(world.configs["pretrain"], folder / "pretrain.yaml")
        os.chmod(folder / "pretrain.yaml", 0o444)
        os.chmod(folder, 0o555)
        yield folder
        os.chmod(folder, 0o755)


@pytest.mark.check("R11")
@pytest.mark.parametrize("below", ["run", "missing/parent/run"])
def test_a_place_without_permission_is_refused(closed: Path, refused: Callable[..., str], below: str) -> None:
    with without_privileges():
        line = refused("pretrain", closed / "pretrain.yaml", "--run", closed / below)
    assert "cannot be a run directory: Permission denied" in line
    assert [file.name for file in closed.iterdir()] == ["pretrain.yaml"]


@pytest.mark.check("R11")
@pytest.mark.parametrize("part", ["checkpoints", "rollouts"])
def test_a_run_that_may_not_write_all_of_its_folders_is_refused_before_it_does_a_step(
    world: World, closed: Path, refused: Callable[..., str], part: str
) -> None:
    os.chmod(closed, 0o777)
    run = closed / "run"
    shutil.copytree(world.runs["pretrain"], run)
    shutil.rmtree(run / "checkpoints" / "step_000006")
    for path in [run, *run.rglob("*")]:
        os.chmod(path, 0o777 if path.is_dir() else 0o666)
    os.chmod(run / part, 0o555)
    before = (run / "metrics.jsonl").read_bytes()
    with without_privileges():
        assert "Permission denied" in refused("pretrain", closed / "pretrain.yaml", "--run", run)
    assert (run / "metrics.jsonl").read_bytes() == before


@pytest.mark.check("R11")
@pytest.mark.parametrize("part", ["checkpoints", "rollouts"])
def test_a_file_where_a_folder_of_the_run_must_be_is_refused(
    world: World, tmp_path: Path, refused: Callable[..., str], part: str
) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".lock").touch()
    (tmp_path / "run" / part).write_text("in the way")
    assert "cannot be a run directory: File exists" in refused(
        "pretrain", world.configs["pretrain"], "--run", tmp_path / "run"
    )


@pytest.mark.check("R11")
def test_a_read_only_disk_is_refused(world: World, tmp_path: Path, refused: Callable[..., str]) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "ro,size=64k", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a read-only file system cannot be mounted")
    try:
        line = refused("rl", world.configs["rl"], "--run", disk / "run")
    finally:
        subprocess.run(["umount", disk], check=True)
    assert "cannot be a run directory: Read-only file system" in line


@pytest.mark.check("R11")
def test_a_missing_parent_is_made(world: World, tmp_path: Path) -> None:
    run = tmp_path / "a" / "b" / "run"
    assert call("pretrain", world.configs["pretrain"], "--run", run, "--set", "train.max_steps=1").code == 0
