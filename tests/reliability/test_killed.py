"""kill -9 at random moments: whatever is left, the same command goes on to the bits of a run that nobody killed."""

import itertools
import json
import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import World, call, read_metrics, start, write_config

START_SECONDS = 4.0
"""About what a process needs until its first step."""
UPDATES = {"preset": "grpo", "updates_per_batch": 4, "parts": 2}


@dataclass(frozen=True)
class Uninterrupted:
    """A run that nobody killed. seconds: what its steps took."""

    stage: str
    config: Path
    run: Path
    seconds: float


def run_through(world: World, folder: Path, stage: str, changes: dict[str, Any], steps: int) -> Uninterrupted:
    """A stage of the world with some sections changed, run once."""
    tree = yaml.safe_load(world.configs[stage].read_text())
    for section, keys in changes.items():
        tree[section] = {**tree.get(section, {}), **keys}
    tree["train"] |= {"max_steps": steps, "save_every": 5}
    tree["eval"]["every"] = 20
    config = write_config(folder / "config.yaml", tree)
    answer = call(stage, config, "--run", folder / "whole")
    assert answer.code == 0, answer.err
    rows = [json.loads(line) for line in (folder / "whole" / "metrics.jsonl").read_text().splitlines()]
    return Uninterrupted(stage, config, folder / "whole", sum(row["time/step_seconds"] for row in rows))


def kill(whole: Uninterrupted, run: Path, delay: float, *, after_step: int | None) -> bool:
    """Start the run, or go on with it, and kill it a while after its start, its first step (0), or a certain step; whether
    it was still running."""
    process = start(whole.stage, whole.config, "--run", run)
    assert process.stderr is not None
    if after_step is not None:
        seen = f"{whole.stage} {after_step}/" if after_step else f"{whole.stage} "
        assert any(line.startswith(seen) for line in process.stderr)
    time.sleep(delay)
    process.kill()
    _, err = process.communicate(timeout=60)
    assert "Traceback" not in err
    return process.returncode == -9


def kill_until_done(whole: Uninterrupted, run: Path, kills: int, seed: int) -> int:
    """Kill a run at uniformly random moments, every fifth while it starts, and let it finish; how often it was killed."""
    rng, killed = random.Random(seed), 0
    for number in range(kills):
        stepping = number % 5 != 4
        # Half of the steps' time is left when all kills are done, on average.
        longest = whole.seconds / kills if stepping else START_SECONDS
        killed += kill(whole, run, rng.uniform(0.0, longest), after_step=0 if stepping else None)
        if (run / "metrics.jsonl").exists() and len(read_metrics(run)) == len(read_metrics(whole.run)):
            break
    answer = call(whole.stage, whole.config, "--run", run)
    assert answer.code == 0, answer.err
    assert "exactness" not in answer.err
    return killed


def assert_same(run: Path, whole: Path) -> None:
    """Weights, optimizer and all else in the newest checkpoint, metrics, rollouts and notes are the same bytes."""
    assert read_metrics(run) == read_metrics(whole)
    newest = (whole / "checkpoints" / "latest").read_text().strip()
    assert (run / "checkpoints" / "latest").read_text().strip() == newest
    folders = [path / "checkpoints" / newest for path in (run, whole)]
    assert {file.name for file in folders[0].iterdir()} == {file.name for file in folders[1].iterdir()}
    others = [f"rollouts/{file.name}" for file in (whole / "rollouts").iterdir()]
    others += [name for name in ("explanations.jsonl",) if (whole / name).exists()]
    for name in [f"checkpoints/{newest}/{file.name}" for file in folders[1].iterdir()] + others:
        assert (run / name).read_bytes() == (whole / name).read_bytes(), name
    assert len(list((run / "rollouts").iterdir())) == len(list((whole / "rollouts").iterdir()))
    assert not list((run / "checkpoints").glob(".tmp-*"))


@pytest.mark.check("R1")
@pytest.mark.slow
def test_rl_that_is_killed_at_random_moments_goes_on_exactly(
    world: World, tmp_path: Path, thorough: bool, record_property: Callable[[str, object], None]
) -> None:
    whole = run_through(world, tmp_path, "rl", {}, 400 if thorough else 150)
    killed = kill_until_done(whole, tmp_path / "run", 20 if thorough else 3, seed=1)
    assert_same(tmp_path / "run", whole.run)
    record_property("figure", f"rl: {killed} kills, 0 differences")


VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "pretrain": ("pretrain", {}),
    "sft": ("sft", {}),
    "several updates and accumulation": ("rl", {"algo": UPDATES, "train": {"micro_batch_tokens": 100}}),
    "staleness": ("rl", {"algo": {"preset": "rloo", "staleness": 2, "kl": {"coefficient": 0.01, "reset_every": 7}}}),
    "dynamic sampling": ("rl", {"algo": {"preset": "dapo"}}),
    "value model": ("rl", {"algo": {"preset": "ppo"}}),
    "curriculum": ("rl", {"curriculum": {"dial": "length", "values": [6, 7, 8], "raise_at": 0.1, "window": 3}}),
}


@pytest.mark.check("R2")
@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_way_of_training_goes_on_exactly(
    world: World, tmp_path: Path, thorough: bool, record_property: Callable[[str, object], None], variant: str
) -> None:
    stage, changes = VARIANTS[variant]
    kills = (20 if stage != "rl" else 5) if thorough else 2
    whole = run_through(world, tmp_path, stage, changes, (100 if stage == "rl" else 600) if thorough else 60)
    killed = kill_until_done(whole, tmp_path / "run", kills, seed=2)
    assert_same(tmp_path / "run", whole.run)
    record_property("figure", f"{variant}: {killed} kills, 0 differences")


@pytest.mark.check("R2")
@pytest.mark.slow
def test_sft_that_is_killed_within_an_epoch_and_between_two_goes_on_exactly(world: World, tmp_path: Path) -> None:
    lines = [f"{n:08b}" for n in range(40)]
    rows = [{"question": " ".join(bits) + " =", "answer": str(bits.count("1") % 2)} for bits in lines]
    (tmp_path / "p.jsonl").write_text("".join(json.dumps({**row, "solution": row["answer"]}) + "\n" for row in rows))
    task = {"name": "problems", "path": str(tmp_path / "p.jsonl"), "test_fraction": 0.0}
    tree = {
        "model": str(world.runs["pretrain"]), "task": task, "data": {"mixture": {"direct": 1.0, "cot": 1.0}},
        "train": {"max_steps": 120, "save_every": 1, "learning_rate": 1e-3, "batch_tokens": 128},
    }  # fmt: skip
    config = write_config(tmp_path / "c.yaml", tree)
    assert call("sft", config, "--run", tmp_path / "whole").code == 0
    whole = Uninterrupted("sft", config, tmp_path / "whole", 1.0)
    done = list(itertools.accumulate(row["data/documents"] for row in read_metrics(whole.run)))
    assert done[-1] > 5 * 40
    boundary = next(step for step, count in enumerate(done, start=1) if count >= 2 * 40)
    run = tmp_path / "run"
    for last in (boundary - 1, boundary + 1, boundary + 5):  # every step has its checkpoint
        kill(whole, run, 0.0, after_step=last)
        assert abs(len(read_metrics(run)) - last) <= 2
    assert call("sft", config, "--run", run).code == 0
    assert_same(run, whole.run)


@pytest.mark.check("R8")
def test_what_a_killed_process_was_writing_is_cleared_away(world: World, tmp_path: Path) -> None:
    options = ("--run", tmp_path / "run", "--set", "train.max_steps=1")
    assert call("rl", world.configs["rl"], *options).code == 0
    leftovers = [tmp_path / "run" / ".tmp-abc", tmp_path / "run" / "rollouts" / ".tmp-def"]
    for file in leftovers:
        file.write_text("half a line")
    assert call("rl", world.configs["rl"], *options).code == 0
    assert not any(file.exists() for file in leftovers)


@pytest.mark.check("R21")
@pytest.mark.slow
def test_the_lock_of_a_process_that_was_killed_is_taken_over(
    world: World, tmp_path: Path, refused: Callable[..., str]
) -> None:
    run = tmp_path / "run"
    arguments = ("rl", world.configs["rl"], "--run", run, "--set", "train.max_steps=3000")
    process = start(*arguments)
    assert process.stderr is not None
    assert any(line.startswith("rl ") for line in process.stderr)
    assert f"in use by process {process.pid}" in refused(*arguments)
    process.kill()
    process.communicate(timeout=60)
    assert (run / ".lock").read_text() == str(process.pid)
    again = start(*arguments)
    assert again.stderr is not None
    assert any(line.startswith("rl ") for line in again.stderr)
    again.send_signal(signal.SIGTERM)
    again.communicate(timeout=60)
    assert again.returncode == 143
