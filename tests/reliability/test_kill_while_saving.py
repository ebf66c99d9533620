"""kill -9 while a checkpoint is written: there is never a half one, and the run goes on to the same bits."""

import random
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import World, call, final_weights, read_metrics, start

from rlvr.runtime.manifest import damage
from rlvr.runtime.saved import step_folders

WINDOW_SECONDS = 0.05
SETTINGS = [
    "--set", "train.max_steps=240", "--set", "train.save_every=1", "--set", "train.keep_checkpoints=2", "--set", "eval.every=1000",
]  # fmt: skip


def wait_for_a_save(process: subprocess.Popen[str], checkpoints: Path, already: int) -> None:
    """Until a checkpoint is being written, after so many steps more than at the start have been saved."""
    deadline = time.monotonic() + 120
    while not (len(saved := list(checkpoints.glob("step_*"))) and max(map(number, saved)) >= already):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.001)
    while not list(checkpoints.glob(".tmp-step_*")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline


def number(folder: Path) -> int:
    return int(folder.name.removeprefix("step_"))


@pytest.mark.slow
@pytest.mark.check("R3")
def test_a_kill_inside_the_save_window_never_leaves_a_half_checkpoint(
    world: World, tmp_path: Path, thorough: bool, record_property: Callable[[str, object], None]
) -> None:
    whole, run, draw = tmp_path / "whole", tmp_path / "run", random.Random(0)
    assert call("pretrain", world.configs["pretrain"], "--run", whole, *SETTINGS).code == 0
    kills = 30 if thorough else 4
    listed = half_written = 0
    for _ in range(kills):
        before = max(map(number, step_folders(run / "checkpoints")), default=0)
        process = start("pretrain", world.configs["pretrain"], "--run", run, *SETTINGS)
        wait_for_a_save(process, run / "checkpoints", before + 2)
        time.sleep(draw.uniform(0, WINDOW_SECONDS))
        process.kill()
        process.communicate(timeout=60)
        folders = step_folders(run / "checkpoints")
        assert [damage(folder) for folder in folders] == [None] * len(folders)
        assert len(folders) >= 2
        listed += len(folders)
        half_written += bool(list((run / "checkpoints").glob(".tmp-*")))
    answer = call("pretrain", world.configs["pretrain"], "--run", run, *SETTINGS)
    assert answer.code == 0, answer.err
    assert final_weights(run) == final_weights(whole)
    assert read_metrics(run) == read_metrics(whole)
    assert not list(run.rglob(".tmp-*"))
    shutil.rmtree(run)
    record_property(
        "figure",
        f"{kills} kills, {half_written} of them with a checkpoint half written aside, {listed} listed ones all whole",
    )
