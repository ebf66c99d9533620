"""A disk that takes no more: what was saved before stays, nothing half written is seen, and with room the run goes on exactly."""

import contextlib
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import World, call, final_weights, read_metrics, start

from rlvr.runtime.manifest import damage
from rlvr.runtime.saved import step_folders

STAGES = ["pretrain", "sft", "rl"]


@contextlib.contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Inside, this process can write no file beyond a size in bytes: EFBIG, as on a disk with a quota."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextlib.contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    """Inside, a folder is a file system of a size. Skips the test where this user cannot mount one."""
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("a small file system cannot be mounted")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def assert_stopped(code: int, err: str, *parts: str) -> None:
    """Exit 3 with one line that says each of these."""
    assert code == 3, err
    assert "Traceback" not in err
    lines = [line for line in err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    assert err.splitlines()[-1] == lines[0]
    for part in parts:
        assert part in lines[0]


def assert_whole(run: Path, *names: str) -> None:
    """These checkpoints are there, all of them whole, and nothing half written is."""
    assert [folder.name for folder in step_folders(run / "checkpoints")] == list(names)
    assert [damage(folder) for folder in step_folders(run / "checkpoints")] == [None] * len(names)
    assert not [path for path in run.rglob("*") if path.name.startswith(".tmp-")]
    assert (run / "checkpoints" / "latest").read_text().strip() in names


def rewind(whole: Path, run: Path, *removed: str) -> Path:
    """A copy of a finished run in which its newest checkpoints are yet to be saved."""
    shutil.copytree(whole, run)
    for name in removed:
        shutil.rmtree(run / "checkpoints" / name)
    (run / "checkpoints" / "latest").write_text(f"{step_folders(run / 'checkpoints')[-1].name}\n")
    return run


@pytest.mark.check("R10", "R18")
@pytest.mark.parametrize("stage", STAGES)
def test_no_room_for_a_checkpoint_leaves_the_one_before_and_with_room_the_bits_are_the_same(
    world: World, tmp_path: Path, stage: str
) -> None:
    run = rewind(world.runs[stage], tmp_path / "run", "step_000006", "step_000004")
    limit = (run / "checkpoints" / "step_000002" / "model.safetensors").stat().st_size - 1
    with files_of_at_most(limit):
        answer = call(stage, world.configs[stage], "--run", run)
    assert_stopped(
        answer.code, answer.err, "step_000004: no space left (File too large)", str(run), "run the same command again"
    )
    assert_whole(run, "step_000002")
    assert call(stage, world.configs[stage], "--run", run).code == 0
    assert_whole(run, "step_000002", "step_000004", "step_000006")
    assert final_weights(run) == final_weights(world.runs[stage])
    assert read_metrics(run) == read_metrics(world.runs[stage])


@pytest.mark.check("R18", "R10")
def test_with_keep_1_the_old_checkpoint_goes_only_when_the_new_one_is_there(world: World, tmp_path: Path) -> None:
    arguments = ("sft", world.configs["sft"], "--run", tmp_path, "--set", "train.keep_checkpoints=1")
    assert call(*arguments, "--set", "train.max_steps=6").code == 0
    assert_whole(tmp_path, "step_000006")
    shutil.copytree(world.runs["sft"] / "checkpoints" / "step_000004", tmp_path / "checkpoints" / "step_000004")
    shutil.rmtree(tmp_path / "checkpoints" / "step_000006")
    with files_of_at_most(20_000):
        answer = call(*arguments)
    assert_stopped(answer.code, answer.err, "step_000006: no space left")
    assert_whole(tmp_path, "step_000004")
    assert call(*arguments).code == 0
    assert_whole(tmp_path, "step_000006")
    assert final_weights(tmp_path) == final_weights(world.runs["sft"])


@pytest.mark.check("R10")
@pytest.mark.parametrize(("stage", "file"), [("pretrain", "metrics.jsonl"), ("rl", "rollouts/step_000005.jsonl")])
def test_no_room_for_metrics_or_rollouts_is_the_same(world: World, tmp_path: Path, stage: str, file: str) -> None:
    run = rewind(world.runs[stage], tmp_path / "run", "step_000006")
    with files_of_at_most((run / file).stat().st_size - 10):
        answer = call(stage, world.configs[stage], "--run", run)
    assert_stopped(answer.code, answer.err, f"{run / file}: no space left (File too large)")
    assert_whole(run, "step_000002", "step_000004")
    assert call(stage, world.configs[stage], "--run", run).code == 0
    assert final_weights(run) == final_weights(world.runs[stage])
    assert read_metrics(run) == read_metrics(world.runs[stage])


@pytest.mark.check("R10")
def test_whichever_file_finds_the_disk_full_the_run_goes_on_once_there_is_room(
    world: World, tmp_path: Path, thorough: bool, record_property: Callable[[str, object], None]
) -> None:
    """Again and again with one or a few pages more on a small disk, until they are enough."""
    page, named = 4096, set()
    with small_disk(tmp_path / "disk", "1m"):
        run = rewind(world.runs["pretrain"], tmp_path / "disk" / "run", "step_000006")
        for pages in range(0, 100, 1 if thorough else 4):
            fill = tmp_path / "disk" / "fill"
            fill.write_bytes(bytes(shutil.disk_usage(tmp_path / "disk").free - pages * page))
            answer = call("pretrain", world.configs["pretrain"], "--run", run)
            fill.unlink()
            if answer.code == 0:
                break
            if answer.code == 3:
                assert_stopped(answer.code, answer.err, "no space left (No space left on device)", str(run))
                named.add(answer.err.split("no space left")[0].rstrip(": ").rsplit("/", 1)[-1])
            else:  # nothing could be written, so nothing was begun
                assert answer.code == 2, answer.err
                assert "cannot be a run directory: No space left on device" in answer.err.splitlines()[-1]
            # The newest may be whole already where there was no room to say so in `latest`.
            newest = ("step_000006",) if (run / "checkpoints" / "step_000006").exists() else ()
            assert_whole(run, "step_000002", "step_000004", *newest)
        assert_whole(run, "step_000002", "step_000004", "step_000006")
        assert final_weights(run) == final_weights(world.runs["pretrain"])
        assert read_metrics(run) == read_metrics(world.runs["pretrain"])
        assert "step_000006" in named
        assert len(named) > 1  # a checkpoint and a smaller file
    record_property("figure", f"a disk with 0 to {pages} free pages of 4 KiB, 0 differences")


@pytest.mark.check("R10")
def test_a_process_that_meets_a_limit_ends_in_one_line_too(world: World, tmp_path: Path) -> None:
    run = rewind(world.runs["sft"], tmp_path / "run", "step_000006")
    process = start("sft", world.configs["sft"], "--run", run)
    limit = (run / "checkpoints" / "step_000002" / "optimizer.safetensors").stat().st_size - 1
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (limit, limit))
    _, err = process.communicate(timeout=120)
    assert_stopped(process.returncode, err, "step_000006: no space left")
    assert_whole(run, "step_000002", "step_000004")
