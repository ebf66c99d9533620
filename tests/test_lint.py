"""What ``rlvr check`` refuses because it cannot work, and what it warns about because it would be regretted."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import MIXTURE, TASK, World, call, make_configs, write_config

ENOUGH = ["--set", "eval.problems=64"]


@pytest.fixture(scope="module")
def configs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Configurations of the four stages, whose models are not there."""
    return make_configs(tmp_path_factory.mktemp("nothing"))


def warnings(config: Path, *settings: str) -> list[str]:
    """The warnings of a check, but for that the model is not there yet."""
    answer = call("check", config, *(word for setting in settings for word in ("--set", setting)))
    assert answer.code == 0, answer.err
    lines = [line.removeprefix("warning: ") for line in answer.err.splitlines() if line.startswith("warning: ")]
    return [line for line in lines if "is not there yet" not in line]


@pytest.mark.parametrize("stage", ["pretrain", "sft", "rl", "eval"])
def test_nothing_is_said_of_what_is_sensible(world: World, stage: str) -> None:
    assert warnings(world.configs[stage], "eval.problems=64") == []


WARNED: dict[str, tuple[str, list[str], str]] = {
    "dials": ("rl", ["task.distractors=2"], "task.distractors has no effect here: no demonstrator writes anything"),
    "worked answers": (
        "rl", ["rollout.max_new_tokens=10"],
        "rollout.max_new_tokens 10 cuts off 16 of the 16 worked answers of mode cot that were looked at: they have up to 12 words",
    ),
    "worked answers of an evaluation": ("eval", ["rollout.max_new_tokens=5"], "worked answers of mode cot"),
    "worked answers while pretraining": (
        "pretrain", ["rollout.max_new_tokens=10"], "of mode cot that were looked at: they have up to 12 tokens",
    ),
    "temperature": ("rl", ["rollout.temperature=0.6"], "rollout.temperature 0.6 is far from 1"),
    "top-k": ("rl", ["rollout.top_k=20"], "rollout.top_k 20: rollouts lack tokens that the policy would write"),
    "top-k and top-p": ("rl", ["rollout.top_k=20", "rollout.top_p=0.9"], "rollout.top_k 20, rollout.top_p 0.9: rollouts lack"),
    "stop strings": (
        "rl", ["rollout.stop_strings=[</think>]"],
        "rollout.stop_strings end 16 of the 16 worked answers of mode cot that were looked at before their end",
    ),
    "ends": ("rl", ["rollout.min_new_tokens=2"], "rollout.min_new_tokens rules out ends"),
    "batch": (
        "rl", ["rollout.engine=hf", "rollout.batch_size=3"],
        "rollout.batch_size 3 cannot hold the 4 completions of one problem (rollout.group_size)",
    ),
    "batch of an evaluation": (
        "eval", ["rollout.engine=hf", "rollout.batch_size=3"], "rollout.batch_size 3 cannot hold the 4 completions of one problem (eval.samples)",
    ),
    "micro-batch": (
        "rl", ["train.micro_batch_tokens=20"],
        "train.micro_batch_tokens 20 is less than one rollout may have (23 tokens with its prompt)",
    ),
    "learning rate": ("pretrain", ["train.learning_rate=0.1"], "train.learning_rate 0.1 is far above what models of"),
    "slow": ("pretrain", ["train.learning_rate=1e-7"], "train.learning_rate 1e-07 is far below"),
    "warm-up": ("rl", ["train.warmup_steps=6"], "training ends in its warm-up: 6 of 6 steps"),
    "saving": ("rl", ["train.save_every=7"], "train.save_every 7 exceeds train.max_steps 6: a run that is killed begins anew"),
    "evaluating": ("rl", ["eval.every=7"], "eval.every 7 exceeds train.max_steps 6: only the last step is evaluated"),
    "interval": (
        "rl", ["eval.problems=38"], "an accuracy of 0.5 is known to ±0.15 (95 %) from 38 problems; 40 know it to ±0.15",
    ),
    "interval of a final evaluation": ("eval", ["eval.problems=8"], "eval.problems 8: an accuracy of 0.5 is known to ±0.28"),
}  # fmt: skip


@pytest.mark.parametrize("rule", WARNED)
def test_what_is_unwise_is_warned_about_and_nothing_else(configs: dict[str, Path], rule: str) -> None:
    stage, settings, words = WARNED[rule]
    quiet = [] if any("eval.problems" in setting for setting in settings) else ["eval.problems=64"]
    [warning] = warnings(configs[stage], *quiet, *settings)
    assert words in warning


@pytest.mark.parametrize(
    ("stage", "setting"),
    [
        ("rl", "rollout.max_new_tokens=12"),  # exactly the worked answers and their end
        ("rl", "rollout.temperature=0.9"),
        ("rl", "rollout.batch_size=4"),
        ("rl", "rollout.batch_size=3"),
        ("rl", "train.micro_batch_tokens=23"),
        ("rl", "train.save_every=6"),
        ("rl", "eval.problems=40"),
        ("rl", "rollout.stop_strings=[Question]"),
        ("eval", "rollout.top_k=20"),
        ("eval", "rollout.top_p=0.9"),
        ("pretrain", "rollout.top_p=0.9"),  # whose evaluations alone sample
        ("pretrain", "train.learning_rate=0.01"),
    ],
)
def test_the_last_value_that_is_not_warned_about(configs: dict[str, Path], stage: str, setting: str) -> None:
    assert warnings(configs[stage], "eval.problems=64", setting) == []


def test_a_default_that_is_never_due_is_not_warned_about(configs: dict[str, Path], tmp_path: Path) -> None:
    tree = {"model": "runs/none", "task": TASK, "train": {"max_steps": 6, "learning_rate": 1e-3}}
    assert warnings(write_config(tmp_path / "rl.yaml", tree)) == []


# ------------------------------------------------------------------------------------------------ the model's tokens


def test_a_models_own_tokens_are_counted(world: World) -> None:
    [warning] = warnings(world.configs["rl"], "eval.problems=64", "rollout.max_new_tokens=10")
    assert "they have up to 12 tokens; raise it" in warning


def test_a_tokenizer_that_cannot_be_read_leaves_words(world: World, tmp_path: Path) -> None:
    folder = fake_model(tmp_path, 1000)
    (folder / "tokenizer.json").write_text("[]")
    [warning] = warnings(world.configs["rl"], "eval.problems=64", "rollout.max_new_tokens=10", f"model={folder}")
    assert "they have up to 12 words, each a token or more" in warning


def test_an_answer_that_cannot_be_written_in_any_mode_is_refused(world: World, refused: Callable[..., str]) -> None:
    """A sum of three digits in characters: three tokens and the end."""
    task = "task={name: arithmetic, digits: 3}"
    pretrain = [
        world.configs["pretrain"],
        "--set",
        "tokenizer.kind=characters",
        *ENOUGH,
        "--set",
        "model.max_positions=256",
    ]
    line = refused(
        "check", *pretrain, "--set", task, "--set", "data.mixture={cot: 1}", "--set", "rollout.max_new_tokens=2"
    )
    assert "rollout.max_new_tokens: no worked answer of the task fits, in any of its modes (direct, cot)" in line
    assert "got 2; allowed: at least" in line


# ------------------------------------------------------------------------------------------------ rewards


def problems(folder: Path, **row: str) -> dict[str, Any]:
    rows = [{"question": f"question {n}", **row} for n in range(60)]
    (folder / "problems.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return {"name": "problems", "path": str(folder / "problems.jsonl")}


def rl_on(folder: Path, reward: dict[str, Any], **row: str) -> Path:
    train = {"max_steps": 6, "learning_rate": 1e-3}
    tree = {"model": "runs/none", "task": problems(folder, **row), "reward": reward, "train": train}
    return write_config(folder / "rl.yaml", tree)


def test_a_form_that_no_mode_has_is_warned_about(tmp_path: Path) -> None:
    [warning] = warnings(rl_on(tmp_path, {"exact": 1.0, "format": 0.5}, answer="4"))
    assert "reward.format is earned by none of the task's modes (direct)" in warning


def test_a_form_that_one_mode_has_is_not(tmp_path: Path) -> None:
    solution = "<think> two and two </think> 4"
    assert warnings(rl_on(tmp_path, {"exact": 1.0, "format": 0.5}, answer="4", solution=solution)) == []
    assert warnings(rl_on(tmp_path, {"exact": 1.0, "format": -0.5}, answer="4")) == []


def test_a_mode_whose_right_answers_are_refused_is_warned_about(tmp_path: Path) -> None:
    reward = {"exact": {"weight": 1.0, "extract": "boxed"}}
    [warning] = warnings(rl_on(tmp_path, reward, answer="4", solution="so \\boxed{4}"))
    assert "reward.exact refuses every worked answer of mode direct, though they are right" in warning


def test_a_reward_that_no_mode_earns_is_refused(tmp_path: Path, refused: Callable[..., str]) -> None:
    line = refused("check", rl_on(tmp_path, {"exact": {"weight": 1.0, "extract": "boxed"}}, answer="4"))
    assert "the gold answer does not earn full marks (exact: no_answer)" in line


def test_each_member_of_a_mixture_is_looked_at(configs: dict[str, Path]) -> None:
    members = "{short: {task: {name: modsum, length: 8}}, long: {task: {name: modsum, length: 16, distractors: 1}}}"
    dials, cut = warnings(configs["rl"], "eval.problems=64", f"task={{name: mixture, tasks: {members}}}")
    assert "task.tasks.long.task.distractors has no effect here" in dials
    assert "cuts off 16 of the 16 worked answers of mode long/cot that were looked at: they have up to 21 words" in cut


# ------------------------------------------------------------------------------------------------ groups


@pytest.mark.parametrize("advantage", ["group_mean", "leave_one_out", "group_standardised"])
def test_a_group_of_one_has_no_baseline(configs: dict[str, Path], refused: Callable[..., str], advantage: str) -> None:
    line = refused("check", configs["rl"], "--set", "rollout.group_size=1", "--set", f"algo.advantage={advantage}")
    assert f"rollout.group_size 1 with algo.advantage {advantage} makes every advantage 0" in line


@pytest.mark.parametrize("preset", ["reinforce", "rloo", "grpo", "dr_grpo", "dapo", "gspo", "cispo"])
def test_a_preset_with_a_groups_baseline_needs_groups(
    configs: dict[str, Path], refused: Callable[..., str], preset: str
) -> None:
    assert "makes every advantage 0" in refused("check", configs["rl"], "--set", "rollout.group_size=1", "--set", f"algo.preset={preset}")  # fmt: skip


def test_one_rollout_a_step_cannot_be_standardised(configs: dict[str, Path], refused: Callable[..., str]) -> None:
    settings = ["--set", "rollout.group_size=1", "--set", "algo.preset=reinforce++"]
    assert warnings(configs["rl"], "eval.problems=64", "rollout.group_size=1", "algo.preset=reinforce++") == []
    line = refused("check", configs["rl"], *ENOUGH, *settings, "--set", "rollout.problems_per_step=1")
    assert "one rollout a step with algo.advantage batch_standardised makes every advantage 0; got 1; allowed: at least 2" in line  # fmt: skip


def test_a_clip_without_a_second_update_is_refused(configs: dict[str, Path], refused: Callable[..., str]) -> None:
    assert "while updates_per_batch is 1" in refused("check", configs["rl"], "--set", "algo.loss=clipped")


# ------------------------------------------------------------------------------------------------ sizes


def fake_model(folder: Path, weights: int) -> Path:
    """A model's directory of which the weights are a header and a hole in the file."""
    header = json.dumps({"w": {"dtype": "F32", "shape": [weights], "data_offsets": [0, 4 * weights]}}).encode()
    with (folder / "model.safetensors").open("wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        file.truncate(8 + len(header) + 4 * weights)
    (folder / "config.json").write_text("{}")
    return folder


@pytest.mark.parametrize(
    ("stage", "weights", "rate", "warned"),
    [
        ("rl", 494_000_000, "1e-5", ""),
        ("rl", 494_000_000, "2e-5", "far above what models of 494,000,000 weights are fine-tuned with (1e-08 to 1e-05)"),
        ("rl", 135_000_000, "2e-5", ""),
        ("rl", 135_000_000, "1e-3", "far above what models of 135,000,000 weights are fine-tuned with (1e-08 to 0.0001)"),
        ("rl", 130_000, "1e-3", ""),
        ("rl", 130_000, "1e-6", "far below what models of 130,000 weights are trained with (1e-05 to 0.01)"),
        ("sft", 494_000_000, "2e-5", ""),
        ("sft", 494_000_000, "1e-3", "far above"),
    ],
)  # fmt: skip
def test_the_learning_rate_has_to_suit_the_size(
    configs: dict[str, Path], tmp_path: Path, stage: str, weights: int, rate: str, warned: str
) -> None:
    model = fake_model(tmp_path, weights)
    found = warnings(configs[stage], "eval.problems=64", f"model={model}", f"train.learning_rate={rate}")
    assert len(found) == bool(warned)
    assert all(warned in warning for warning in found)


def test_rates_of_sgd_have_another_scale(configs: dict[str, Path]) -> None:
    sgd = ["train.optimizer=sgd", "train.learning_rate=1.0"]
    assert warnings(configs["pretrain"], "eval.problems=64", *sgd) == []


def test_a_start_says_what_a_check_says(world: World, tmp_path: Path) -> None:
    answer = call("rl", world.configs["rl"], "--run", tmp_path / "run", "--set", "rollout.temperature=0.6", "--set", "train.max_steps=1", "--set", "eval=null")  # fmt: skip
    assert answer.code == 0, answer.err
    assert "warning: rollout.temperature 0.6 is far from 1" in answer.err


def test_documents_without_a_task_have_nothing_to_fit(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("all work and no play " * 40)
    sources = [{"text": str(tmp_path / "notes.txt")}, {"task": TASK, "mixture": MIXTURE}]
    train = {"max_steps": 2, "learning_rate": 1e-3}
    tree = {"model": {"layers": 1, "width": 8, "heads": 2}, "data": {"sources": sources}, "train": train}
    assert warnings(write_config(tmp_path / "pretrain.yaml", tree)) == []
