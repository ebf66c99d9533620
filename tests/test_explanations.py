"""Each explanation provoked by a run of its own, through the command line: said, written down, and shown again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import World, call, read_metrics, write_config

from rlvr.explain import RULES
from rlvr.runtime.notes import read_explanations

FUNCTIONS = '''
def worked(response):
    words = response.split()
    return len(words) == 11 and words[0] == "<think>" and words[-2] == "</think>" and set(words[1:-2]) <= {"0", "1"}

def anything(response):
    return float(bool(response.strip()))

def by_question(question, response):
    """Whether it is paid is up to the question, except that a worked answer always is."""
    return float(worked(response) or (bool(response.strip()) and question.startswith("1")))

def breaks(response):
    if response.strip() and not worked(response):
        raise RuntimeError("broken")
    return float(bool(response.strip()))
'''

SHORT = {"max_steps": 6, "learning_rate": 1e-3}
GROUPS = {"group_size": 4, "problems_per_step": 8}


def own(folder: Path, function: str, **options: object) -> dict[str, Any]:
    (folder / "own.py").write_text(FUNCTIONS)
    return {"file": str(folder / "own.py"), "function": function, **options}


def longer(target: int, weight: float = 1.0) -> dict[str, Any]:
    return {"exact": 1.0, "length": {"weight": weight, "target": target}}


def problems(folder: Path, **row: str) -> dict[str, Any]:
    rows = [{"question": f"{n % 2} {n // 2 % 2} {n // 4 % 2} =", **row} for n in range(8)]
    (folder / "problems.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return {"name": "problems", "path": str(folder / "problems.jsonl")}


PROVOKED: dict[str, Any] = {
    "nonfinite": lambda _: {
        "train": {"max_steps": 6, "learning_rate": 1e30, "optimizer": "sgd", "max_grad_norm": 1e30}
    },
    "grader_fails": lambda folder: {
        "reward": own(folder, "breaks", on_error="zero"),
        "train": {**SHORT, "max_steps": 1},
    },
    "truncation": lambda _: {"rollout": {**GROUPS, "max_new_tokens": 6}, "train": {**SHORT, "max_steps": 3}},
    "no_answer": lambda folder: {
        "task": problems(folder, answer="1", solution="it is \\boxed{1}"),
        "reward": {"exact": {"weight": 1.0, "extract": "boxed"}},
        "train": {**SHORT, "max_steps": 3},
    },
    "out_of_reach": lambda folder: {"task": problems(folder, answer="zebra"), "train": SHORT},
    "solved": lambda folder: {
        "reward": own(folder, "anything"),
        "rollout": {**GROUPS, "max_new_tokens": 14, "min_new_tokens": 12},
        "train": {**SHORT, "max_steps": 5},
    },
    "decided": lambda folder: {
        "reward": own(folder, "by_question"),
        "rollout": {**GROUPS, "max_new_tokens": 14, "min_new_tokens": 12},
        "train": {**SHORT, "max_steps": 5},
    },
    "clipping": lambda _: {
        "reward": longer(7),
        "algo": {"preset": "grpo", "updates_per_batch": 8},
        "train": {"max_steps": 4, "learning_rate": 0.03},
    },
    "far_from_reference": lambda _: {
        "reward": longer(15),
        "rollout": {**GROUPS, "max_new_tokens": 40},
        "algo": {"kl": {"coefficient": 1e-6, "where": "loss"}},
        "train": {"max_steps": 6, "learning_rate": 0.03},
    },
    "entropy_collapse": lambda _: {"reward": longer(1, -1.0), "train": {"max_steps": 14, "learning_rate": 5e-2}},
    "length_explosion": lambda _: {
        "reward": longer(15),
        "rollout": {**GROUPS, "max_new_tokens": 40},
        "train": {"max_steps": 12, "learning_rate": 5e-3},
    },
    "loss_near_zero": lambda _: {
        "reward": longer(2),
        "algo": {"preset": "grpo", "updates_per_batch": 2},
        "train": {"max_steps": 5, "learning_rate": 1e-6},
    },
}


def tree_of(world: World, **changes: object) -> dict[str, Any]:
    tree = yaml.safe_load(world.configs["rl"].read_text())
    del tree["eval"]
    return {**tree, **changes}


def test_every_rule_is_provoked() -> None:
    assert set(PROVOKED) == set(RULES)


@pytest.mark.parametrize("kind", PROVOKED)
def test_a_run_is_explained(world: World, tmp_path: Path, kind: str) -> None:
    config = write_config(tmp_path / "rl.yaml", tree_of(world, **PROVOKED[kind](tmp_path)))
    answer = call("rl", config, "--run", tmp_path / "run")
    assert answer.code == (3 if kind == "nonfinite" else 0), answer.err
    found = {each["kind"]: each for each in read_explanations(tmp_path / "run")}
    assert kind in found, (list(found), read_metrics(tmp_path / "run")[-1])
    assert "; " in found[kind]["sentence"]  # what was seen; what to do
    [first, *_] = found.values()
    assert f"note: step {first['step']}: {first['sentence']}" in answer.err
    shown = call("inspect", tmp_path / "run", "--count", 0).out
    for each in found.values():
        assert f"step {each['step']}: {each['sentence']}" in shown


def test_a_run_that_was_interrupted_has_the_explanations_of_one_that_was_not(world: World, tmp_path: Path) -> None:
    """The rows after the checkpoint, and what was explained of them, are dropped and come again."""
    changes = PROVOKED["entropy_collapse"](tmp_path)
    train = {**changes["train"], "save_every": 5}
    config = write_config(tmp_path / "rl.yaml", tree_of(world, **{**changes, "train": train}))
    assert call("rl", config, "--run", tmp_path / "run").code == 0
    whole = (tmp_path / "run" / "explanations.jsonl").read_bytes()
    rows = read_metrics(tmp_path / "run")
    last = tmp_path / "run" / "checkpoints" / "step_000014"
    for file in last.iterdir():
        file.unlink()
    last.rmdir()
    assert call("rl", config, "--run", tmp_path / "run").code == 0
    assert (tmp_path / "run" / "explanations.jsonl").read_bytes() == whole
    assert read_metrics(tmp_path / "run") == rows


def test_every_sampled_token_of_a_run_is_accounted_for(world: World) -> None:
    for row in read_metrics(world.runs["rl"]):
        shares = {name: share for name, share in row.items() if name.startswith("signal/")}
        assert sum(shares.values()) == pytest.approx(1.0)
        assert set(shares) == {"signal/trained", "signal/zero_variance", "signal/zero_advantage"}
        modes = {name.split("/")[1] for name in row if name.startswith("mode/")}
        assert all(row[f"mode/{mode}/entropy"] > 0 for mode in modes)
        assert row["length/by_mode"] + row["length/within_modes"] == pytest.approx(row["length/change"])
    first, last = read_metrics(world.runs["rl"])[0], read_metrics(world.runs["rl"])[-1]
    moved = last["rollout/length_mean"] - first["rollout/length_mean"]
    assert last["length/change"] == pytest.approx(moved)


def test_clipped_tokens_are_part_of_the_account(world: World, tmp_path: Path) -> None:
    config = write_config(tmp_path / "rl.yaml", tree_of(world, **PROVOKED["clipping"](tmp_path)))
    answer = call("rl", config, "--run", tmp_path / "run")
    row = read_metrics(tmp_path / "run")[0]
    assert row["signal/clipped"] > 0.1
    assert row["signal/trained"] / (row["signal/trained"] + row["signal/clipped"]) == pytest.approx(
        1 - row["train/clip_fraction"]
    )
    assert f"signal {row['signal/trained']:.2f} (clipped {row['signal/clipped']:.2f})" in answer.err
