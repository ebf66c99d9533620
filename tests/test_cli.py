"""The command line as its users meet it: every stage, run directories, exit codes, resume, bad input."""

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from conftest import World, call, final_weights, loaded, make_configs, read_metrics, start, write_config
from transformers import AutoModelForCausalLM, AutoTokenizer

from rlvr import __version__
from rlvr.config import PRESETS

STAGES = ["pretrain", "sft", "rl"]
LONGER = ["--set", "train.max_steps=60", "--set", "train.save_every=7"]


# ---------------------------------------------------------------------------------------------- the whole path


@pytest.mark.parametrize("stage", STAGES)
def test_a_training_run_leaves_the_files_of_the_contract(world: World, stage: str) -> None:
    run = world.runs[stage]
    assert (run / "checkpoints" / "latest").read_text().strip() == "step_000006"
    names = {file.name for file in (run / "checkpoints" / "step_000006").iterdir()}
    assert {"model.safetensors", "config.json", "tokenizer.json", "optimizer.safetensors", "state.json"} <= names
    environment = json.loads((run / "environment.json").read_text())
    assert {"versions", "git_revision", "device", "threads", "seed"} <= set(environment)
    assert [row["step"] for row in read_metrics(run)] == [1, 2, 3, 4, 5, 6]
    assert not [
        file for file in run.rglob("*") if file.suffix in (".pt", ".pkl", ".bin") or file.name.startswith(".tmp")
    ]


def test_training_rows_have_the_metrics_of_the_contract(world: World) -> None:
    pretrain, rl = (read_metrics(world.runs[stage])[-1] for stage in ("pretrain", "rl"))
    shared = {"train/loss", "train/grad_norm", "train/learning_rate", "train/entropy", "tokens/train"}
    assert {*shared, "train/perplexity", "eval/modsum/accuracy"} <= set(pretrain)
    assert {
        *shared, "reward/mean", "reward/exact", "rollout/length_mean", "rollout/truncated_fraction",
        "rollout/zero_variance_fraction", "rollout/logprob_gap_max", "tokens/rollout", "eval/modsum/pass@1",
        "mode/cot/probability", "mode/cot/accuracy", "mode/cot/advantage",
    } <= set(rl)  # fmt: skip
    times = json.loads((world.runs["rl"] / "metrics.jsonl").read_text().splitlines()[0])
    assert {"time/rollout_seconds", "time/reward_seconds", "time/train_seconds"} <= set(times)


def test_rollouts_hold_what_was_sampled_and_how_it_was_scored(world: World) -> None:
    rows = [json.loads(line) for line in (world.runs["rl"] / "rollouts" / "step_000001.jsonl").read_text().splitlines()]
    assert len(rows) == 8 * 4
    for row in rows:
        assert len(row["token_ids"]) == len(row["logprobs"]) <= 14
        assert row["reward"] == row["rewards"]["exact"] == float(row["correct"])
    assert sum(row["advantage"] for row in rows) == pytest.approx(0.0, abs=1e-9)


@pytest.mark.check("R41")
def test_a_checkpoint_loads_in_plain_transformers(world: World) -> None:
    folder = world.runs["rl"] / "checkpoints" / "step_000006"
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    ids = tokenizer("0 1 1 0 =", return_tensors="pt")["input_ids"]
    assert ids[0, 0] == tokenizer.bos_token_id
    assert torch.isfinite(model(ids).logits).all()
    assert (
        tokenizer.decode(tokenizer("<think> 0 1 </think> 1", add_special_tokens=False)["input_ids"])
        == "<think> 0 1 </think> 1"
    )


def test_eval_prints_its_result_as_json(world: World) -> None:
    answer = call("eval", world.configs["eval"], "--run", world.runs["eval"], "--json")
    result = json.loads(answer.out)
    assert (
        0.0
        <= result["eval/modsum/accuracy_low"]
        <= result["eval/modsum/accuracy"]
        <= result["eval/modsum/accuracy_high"]
    )
    assert result["eval/modsum/pass@4"] >= result["eval/modsum/pass@1"] == pytest.approx(result["eval/modsum/accuracy"])
    assert result["eval/documents/perplexity"] > 1.0
    assert result["eval/documents/log10_search_space"] > result["eval/documents/log10_choices"]


def test_the_resolved_configuration_is_accepted_again(world: World) -> None:
    for stage, run in world.runs.items():
        answer = call("check", run / "config.yaml", "--json")
        assert answer.code == 0, answer.err
        assert json.loads(answer.out)["stage"] == stage


def test_the_same_seed_gives_the_same_rows_and_another_seed_others(world: World, tmp_path: Path) -> None:
    for name, seed in (("again", 0), ("other", 1)):
        assert call("rl", world.configs["rl"], "--run", tmp_path / name, "--set", f"seed={seed}").code == 0
    assert read_metrics(tmp_path / "again") == read_metrics(world.runs["rl"])
    assert final_weights(tmp_path / "again") == final_weights(world.runs["rl"])
    assert read_metrics(tmp_path / "other") != read_metrics(world.runs["rl"])


def test_the_two_engines_train_the_same_model(world: World, tmp_path: Path) -> None:
    answer = call("rl", world.configs["rl"], "--run", tmp_path / "hf", "--set", "rollout.engine=hf")
    assert answer.code == 0, answer.err
    for ours, theirs in zip(read_metrics(world.runs["rl"]), read_metrics(tmp_path / "hf"), strict=True):
        assert theirs["reward/mean"] == ours["reward/mean"]
        assert theirs["train/loss"] == pytest.approx(ours["train/loss"], abs=1e-4)


@pytest.mark.parametrize("preset", [name for name in PRESETS if name not in ("reinforce", "opd")])
def test_every_preset_trains(world: World, tmp_path: Path, preset: str) -> None:
    answer = call(
        "rl", world.configs["rl"], "--run", tmp_path, "--set", f"algo.preset={preset}", "--set", "train.max_steps=2"
    )
    assert answer.code == 0, answer.err
    assert read_metrics(tmp_path)[-1]["train/grad_norm"] > 0


@pytest.mark.parametrize(
    "settings",
    [
        ["task={name: arithmetic, digits: 2}", "tokenizer.kind=characters"],
        ["task={name: arithmetic, digits: 2, operation: product}", "tokenizer.kind=characters", "rollout.max_new_tokens=40"],
        ["task={name: words, group: A5, length: 4}", "model.family=qwen3"],
        ["task={name: modsum, modulus: 10, length: 6, tagged: false, distractors: 2}", "model.family=qwen3_moe",
         "model.experts=4", "model.experts_per_token=2", "train.optimizer=sgd", "train.momentum=0.9"],
    ],
)  # fmt: skip
def test_every_task_family_and_tokenizer_can_be_pretrained(world: World, tmp_path: Path, settings: list[str]) -> None:
    options = [part for setting in ["train.max_steps=2", *settings] for part in ("--set", setting)]
    answer = call("pretrain", world.configs["pretrain"], "--run", tmp_path, *options)
    assert answer.code == 0, answer.err
    assert read_metrics(tmp_path)[-1]["train/grad_norm"] > 0


def test_text_files_and_tasks_mix_and_an_sft_run_learns_a_file_of_solutions(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("the quick brown fox jumps over the lazy dog. " * 200)
    rows = [
        {"question": f"{n} plus one?", "answer": n + 1, "solution": f"<think> {n}+1 </think> {n + 1}"}
        for n in range(40)
    ]
    (tmp_path / "problems.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    problems = {"name": "problems", "path": str(tmp_path / "problems.jsonl")}
    config = {
        "model": {"layers": 1, "width": 16, "heads": 2, "max_positions": 256}, "tokenizer": {"kind": "bpe", "vocab_size": 320},
        "data": {"sources": [{"text": str(tmp_path / "text.txt"), "block": 100, "weight": 3.0}, {"task": problems, "mixture": {"cot": 1.0}}]},
        "train": {"max_steps": 2, "learning_rate": 1e-3, "batch_tokens": 1024},
    }  # fmt: skip
    answer = call("pretrain", write_config(tmp_path / "p.yaml", config), "--run", tmp_path / "p")
    assert answer.code == 0, answer.err
    sft = {
        "model": str(tmp_path / "p"),
        "task": problems,
        "data": {"mixture": {"direct": 1.0, "cot": 1.0}},
        "train": config["train"],
    }
    answer = call("sft", write_config(tmp_path / "s.yaml", sft), "--run", tmp_path / "s")
    assert answer.code == 0, answer.err
    assert read_metrics(tmp_path / "s")[-1]["train/perplexity"] > 1.0


# -------------------------------------------------------------------------------- run directories and resume


@pytest.mark.check("R20")
def test_a_finished_run_is_left_alone(world: World) -> None:
    before = {file: file.stat().st_mtime_ns for file in world.runs["rl"].rglob("*") if file.name != ".lock"}
    answer = call("rl", world.configs["rl"], "--run", world.runs["rl"])
    assert (answer.code, answer.out.strip()) == (0, str(world.runs["rl"]))
    assert "is finished" in answer.err
    assert {file: file.stat().st_mtime_ns for file in before} == before


@pytest.mark.check("R19")
def test_a_run_of_another_configuration_is_refused_with_the_keys(world: World, refused: Callable[..., str]) -> None:
    line = refused("rl", world.configs["rl"], "--run", world.runs["rl"], "--set", "train.learning_rate=0.1")
    assert "train.learning_rate: 0.001 -> 0.1" in line
    assert "--fresh" in line


def test_fresh_moves_the_earlier_run_aside(world: World, tmp_path: Path) -> None:
    arguments = ("pretrain", world.configs["pretrain"], "--run", tmp_path / "r", "--set", "train.max_steps=1")
    assert call(*arguments).code == 0
    assert call(*arguments, "--set", "seed=5", "--fresh").code == 0
    assert read_metrics(tmp_path / "r.old1") != read_metrics(tmp_path / "r")


def test_dry_run_starts_nothing(world: World, tmp_path: Path) -> None:
    answer = call("pretrain", world.configs["pretrain"], "--run", tmp_path / "r", "--dry-run")
    assert answer.code == 0
    assert not (tmp_path / "r").exists()


@pytest.fixture(scope="module")
def longer_runs(world: World, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Uninterrupted runs of more steps."""
    folder = tmp_path_factory.mktemp("longer")
    for stage in STAGES:
        assert call(stage, world.configs[stage], "--run", folder / stage, *LONGER).code == 0
    return {stage: folder / stage for stage in STAGES}


@pytest.mark.check("R1", "R2", "R12", "R13")
@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_run_that_is_stopped_goes_on_to_the_same_bits(
    world: World, longer_runs: dict[str, Path], tmp_path: Path, stage: str, number: signal.Signals
) -> None:
    run = tmp_path / "run"
    process = start(stage, world.configs[stage], "--run", run, *LONGER)
    while not (run / "metrics.jsonl").exists() or (run / "metrics.jsonl").read_text().count("\n") < 9:
        assert process.poll() is None
        time.sleep(0.005)
    process.send_signal(number)
    _, err = process.communicate(timeout=120)
    assert process.returncode == (-9 if number is signal.SIGKILL else 128 + number), err
    assert "Traceback" not in err
    stopped_after = len(read_metrics(run))
    assert stopped_after < 60
    answer = call(stage, world.configs[stage], "--run", run, *LONGER)
    assert answer.code == 0, answer.err
    assert final_weights(run) == final_weights(longer_runs[stage])
    assert read_metrics(run) == read_metrics(longer_runs[stage])


@pytest.mark.check("R21")
def test_a_run_in_use_is_refused(world: World, tmp_path: Path, refused: Callable[..., str]) -> None:
    run = tmp_path / "run"
    process = start("pretrain", world.configs["pretrain"], "--run", run, "--set", "train.max_steps=100000")
    try:
        while not (run / "metrics.jsonl").exists():
            assert process.poll() is None
            time.sleep(0.02)
        line = refused("pretrain", world.configs["pretrain"], "--run", run, "--set", "train.max_steps=100000")
        assert f"in use by process {process.pid}" in line
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 130


@pytest.mark.check("R14")
def test_training_that_is_not_finite_stops_with_the_last_checkpoint(world: World, tmp_path: Path) -> None:
    options = ["--set", "train.learning_rate=1e30", "--set", "train.max_steps=20", "--set", "train.save_every=1"]
    answer = call("sft", world.configs["sft"], "--run", tmp_path, *options)
    assert answer.code == 3
    assert "not finite" in answer.err
    assert str(tmp_path / "checkpoints") in answer.err
    saved = sorted(path.name for path in (tmp_path / "checkpoints").glob("step_*"))
    stopped = read_metrics(tmp_path)[-1]["step"]
    assert saved
    assert int(saved[-1].removeprefix("step_")) <= stopped - 2  # none of the steps that were not applied
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "checkpoints" / saved[-1])
    assert all(torch.isfinite(parameter).all() for parameter in model.parameters())


@pytest.mark.check("R19")
def test_a_changed_problems_file_is_noticed(world: World, tmp_path: Path, refused: Callable[..., str]) -> None:
    rows = [json.dumps({"question": " ".join(f"{n:03b}") + " =", "answer": "1"}) + "\n" for n in range(8)]
    (tmp_path / "p.jsonl").write_text("".join(rows))
    config = {
        "model": str(world.runs["sft"]),
        "task": {"name": "problems", "path": str(tmp_path / "p.jsonl")},
        "eval": {"problems": 2, "samples": 1},
        "rollout": {"max_new_tokens": 4},
    }
    arguments = ("eval", write_config(tmp_path / "c.yaml", config), "--run", tmp_path / "run")
    assert call(*arguments).code == 0
    (tmp_path / "p.jsonl").write_text("".join(rows[:7]))
    assert f"other contents of {tmp_path / 'p.jsonl'}" in refused(*arguments)


def test_evaluation_rollouts_say_which_are_greedy(world: World) -> None:
    lines = (world.runs["eval"] / "rollouts" / "step_000000.jsonl").read_text().splitlines()
    assert len(lines) == 16 * (4 + 1)
    assert sum(json.loads(line)["greedy"] for line in lines) == 16


def test_the_version_is_printed() -> None:
    assert call("--version").out.strip() == __version__


@pytest.mark.parametrize("target", ["/proc/x.jsonl", "."])
def test_data_that_cannot_be_written_is_refused(world: World, refused: Callable[..., str], target: str) -> None:
    assert "cannot be written" in refused("data", world.configs["rl"], "--out", target)


def test_a_dry_run_of_an_evaluation_prints_json_if_asked(world: World) -> None:
    answer = call("eval", world.configs["eval"], "--dry-run", "--json")
    assert json.loads(answer.out)["stage"] == "eval"


# ------------------------------------------------------------------------------------------ looking at things


def test_help_imports_no_torch() -> None:
    assert "torch" not in loaded("--help")


@pytest.mark.parametrize("command", ["check", "data", "inspect"])
def test_what_only_looks_imports_no_torch(world: World, command: str) -> None:
    target = world.runs["rl"] if command == "inspect" else world.configs["rl"]
    assert {"torch", "transformers"}.isdisjoint(loaded(command, target))


def test_data_prints_problems_or_documents_that_can_be_read_again(world: World, tmp_path: Path) -> None:
    rows = [json.loads(line) for line in call("data", world.configs["pretrain"], "--count", "7").out.splitlines()]
    assert [set(row) for row in rows] == [{"question", "answer", "mode", "source"}] * 7
    out = tmp_path / "problems.jsonl"
    assert call("data", world.configs["rl"], "--count", "20", "--split", "test", "--out", out).out.strip() == str(out)
    config = {"model": str(world.runs["rl"]), "task": {"name": "problems", "path": str(out), "test_fraction": 1.0}}
    answer = call("data", write_config(tmp_path / "c.yaml", config), "--count", "20", "--split", "test")
    assert [json.loads(line)["question"] for line in answer.out.splitlines()] == [
        json.loads(line)["question"] for line in out.read_text().splitlines()
    ]


def test_inspect_shows_evaluations_growth_and_rollouts(world: World) -> None:
    answer = call("inspect", world.runs["eval"], world.runs["rl"], "--step", "0", "--count", "0")
    assert "accuracy, greedy" in answer.out
    assert "P(cot) while training" in answer.out
    shown = call("inspect", world.runs["rl"], "--step", "1", "--count", "2").out
    assert shown.count("gold answer") == 2
    assert shown.count("reward ") == 2 * 4


def test_check_estimates_sizes(world: World) -> None:
    plan = json.loads(call("check", world.configs["rl"], "--json").out)
    model = AutoModelForCausalLM.from_pretrained(world.runs["sft"] / "checkpoints" / "step_000006")
    assert plan["parameters"] == model.num_parameters()
    # 8 problems × 4 completions of 10 + 14 tokens, of each a key and a value of 16 numbers in the one layer.
    assert plan["cache_bytes"] == 8 * 4 * 24 * 2 * 16 * 4
    assert plan["memory_bytes"] == 16 * plan["parameters"] + plan["cache_bytes"]
    assert plan["tokens"] == {"rollout (at most)": 6 * 8 * 4 * 14}


# -------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("stage", "setting", "parts"),
    [
        ("rl", "rollout.groupsize=4", ["rollout.groupsize", "unknown key", "Did you mean rollout.group_size?"]),
        ("rl", "rollout.group_size=many", ["rollout.group_size", "'many'"]),
        ("rl", "rollout.group_size=-1", ["rollout.group_size", "greater than 0", "-1"]),
        ("rl", "rollout.group_size=1", ["every advantage 0"]),
        ("rl", "train.learning_rate=-1", ["train.learning_rate", "greater than 0"]),
        ("rl", "train.learning_rate=.nan", ["train.learning_rate", "finite"]),
        ("rl", "task.name=modsmu", ["task", "modsmu", "Did you mean modsum?"]),
        ("rl", "task.modulus=1", ["task.modulus", "greater than or equal to 2"]),
        ("rl", "task.lenght=4", ["task.lenght", "Did you mean task.length?"]),
        ("rl", "task.length=2", ["task.length", "too few"]),
        ("rl", "reward={exat: 1.0}", ["reward", "exat", "Did you mean reward.exact?"]),
        ("rl", "reward={format: 1.0}", ["reward", "no component checks the answer"]),
        ("rl", "algo.preset=ppoo", ["algo.preset", "allowed: reinforce, rloo, grpo"]),
        ("rl", "algo={preset: star, drop_zero_variance: true}", ["drop_zero_variance"]),
        ("rl", "model=no/such/model", ["model", "no such file or directory"]),
        ("rl", "prompt.style=chat", ["prompt.style", "no chat template"]),
        ("rl", "device=tpu", ["device", "allowed: auto, cpu, cuda"]),
        ("pretrain", "data.mixture={direct: 1.0, cto: 1.0}", ["data.mixture.cto", "Did you mean cot?"]),
        ("pretrain", "data.mixture={direct: 0.0}", ["all weights are zero"]),
        ("pretrain", "model.heads=3", ["model", "width 16"]),
        ("pretrain", "model.experts=4", ["experts has no effect"]),
        ("pretrain", "model.max_positions=8", ["model.max_positions", "document 0 of modsum has about 12 tokens"]),
        ("pretrain", "train.momentum=0.9", ["momentum has no effect"]),
        ("pretrain", "task={name: problems, path: no.jsonl}", ["no.jsonl", "no such file"]),
        ("eval", "eval.splitt=test", ["Did you mean eval.split?"]),
    ],
)
def test_a_wrong_value_is_one_line_that_names_it(
    world: World, tmp_path: Path, refused: Callable[..., str], stage: str, setting: str, parts: list[str]
) -> None:
    line = refused(stage, world.configs[stage], "--run", tmp_path / "run", "--set", setting)
    for part in parts:
        assert part in line
    assert not (tmp_path / "run" / "checkpoints" / "latest").exists()


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "is empty"),
        ("a: [1,\n", "not plain YAML"),
        ("seed: 1\nseed: 2\n", "file.yaml:2: seed: given twice"),
        ('x: !!python/object/apply:os.system ["touch pwned"]\n', "not plain YAML"),
        ("- 1\n- 2\n", "must be a mapping"),
        ("extends: other.yaml\n", "no such file"),
        ("extends: file.yaml\n", "extends itself"),
        ("a: &x {b: 1}\nc: *x\n", "aliases are not supported"),
        ("model: x\ntask: {name: modsum}\nseed: 2020-01-01\n", "seed"),
        ("a: " + "[" * 5000 + "]" * 5000 + "\n", "nested too deeply"),
    ],
)
def test_a_file_that_is_no_configuration_is_refused(
    tmp_path: Path, refused: Callable[..., str], text: str, part: str
) -> None:
    (tmp_path / "file.yaml").write_text(text)
    assert part in refused("check", tmp_path / "file.yaml")
    assert not (tmp_path / "pwned").exists()


def test_a_configuration_of_another_stage_says_which(world: World, refused: Callable[..., str]) -> None:
    assert "rlvr pretrain" in refused("rl", world.configs["pretrain"])


def test_a_model_directory_without_weights_is_refused(
    world: World, tmp_path: Path, refused: Callable[..., str]
) -> None:
    (tmp_path / "model").mkdir()
    arguments = ("rl", world.configs["rl"], "--run", tmp_path / "run", "--set", f"model={tmp_path / 'model'}")
    assert "without config.json" in refused(*arguments)
    (tmp_path / "model" / "config.json").write_text("{}")
    assert "without weights" in refused(*arguments)


@pytest.mark.check("R11")
def test_a_place_that_cannot_hold_a_run_is_refused(world: World, tmp_path: Path, refused: Callable[..., str]) -> None:
    (tmp_path / "file").write_text("mine")
    assert "cannot be a run directory" in refused("pretrain", world.configs["pretrain"], "--run", tmp_path / "file")
    assert "cannot be a run directory" in refused(
        "pretrain", world.configs["pretrain"], "--run", tmp_path / "file" / "below"
    )
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.png").write_text("mine")
    assert "other files" in refused("pretrain", world.configs["pretrain"], "--run", tmp_path / "photos")
    assert "cannot be a run directory" in refused("pretrain", world.configs["pretrain"], "--run", "/proc/run")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["cat.png", "file", "photos"]


def test_a_bad_line_of_problems_is_named_or_skipped_and_counted(
    world: World, tmp_path: Path, refused: Callable[..., str]
) -> None:
    file = tmp_path / "p.jsonl"
    file.write_text(
        '{"question": "1 + 1 =", "answer": 2}\n{"question": "no answer"}\nnot json\n{"question": "2 + 2 =", "answer": "4"}\n'
    )
    task = ["--set", f"task={{name: problems, path: {file}, test_fraction: 0.0}}"]
    arguments = (
        "rl",
        world.configs["rl"],
        "--run",
        tmp_path / "run",
        "--set",
        "train.max_steps=1",
        "--set",
        "eval=null",
    )
    line = refused(*arguments, *task)
    assert f"{file}:2" in line
    assert "on_bad_line: skip" in line
    answer = call(*arguments, *task, "--set", "task.on_bad_line=skip")
    assert answer.code == 0
    assert "2 bad lines" in answer.err


def test_a_gold_answer_that_its_reward_refuses_stops_the_run(
    world: World, tmp_path: Path, refused: Callable[..., str]
) -> None:
    (tmp_path / "p.jsonl").write_text('{"question": "1 + 1 =", "answer": "two"}\n' * 3)
    config = {
        "model": str(world.runs["sft"]), "task": {"name": "problems", "path": str(tmp_path / "p.jsonl"), "test_fraction": 0.0},
        "reward": {"number": 1.0}, "train": {"max_steps": 1, "learning_rate": 1e-3},
    }  # fmt: skip
    line = refused("rl", write_config(tmp_path / "c.yaml", config), "--run", tmp_path / "run")
    assert "problem 0 of problems" in line
    assert "'two'" in line


@pytest.mark.parametrize(
    ("kind", "row", "broken"),
    [
        ("exact", {"answer": "Paris"}, None),
        ("number", {"answer": 42}, "many"),
        ("math", {"answer": "\\frac{1}{2}"}, "\\frac{1}{"),
        ("choice", {"answer": "C"}, "C or D"),
        ("json", {"answer": '{"a": 1}'}, "{"),
        ("regex", {"answer": "[ab]+", "solution": "abba"}, "("),
        ("regex", {"answer": "[ab]+"}, "("),
    ],
)
def test_every_reward_checks_its_gold_answers_before_a_run(
    world: World, tmp_path: Path, refused: Callable[..., str], kind: str, row: dict[str, object], broken: str | None
) -> None:
    file = tmp_path / "p.jsonl"
    task = {"name": "problems", "path": str(file), "test_fraction": 0.0}
    config = {
        "model": str(world.runs["sft"]),
        "task": task,
        "reward": {kind: 1.0},
        "rollout": {"max_new_tokens": 50},
        "train": {"max_steps": 1, "learning_rate": 1e-3},
    }
    good = json.dumps({"question": "?", **row}) + "\n"
    file.write_text(good)
    answer = call("check", write_config(tmp_path / "c.yaml", config))
    assert answer.code == 0, answer.err
    if broken is not None:
        file.write_text(good + json.dumps({"question": "??", **row, "answer": broken}) + "\n")
        line = refused("check", tmp_path / "c.yaml")
        assert "line 2" in line
        assert "its gold answer" in line


def test_a_worked_solution_of_a_coding_problem_is_run_before_a_run(
    world: World, tmp_path: Path, refused: Callable[..., str]
) -> None:
    file = tmp_path / "p.jsonl"
    task = {"name": "problems", "path": str(file), "test_fraction": 0.0}
    steps = {"max_steps": 1, "learning_rate": 1e-3}
    config = {"model": str(world.runs["sft"]), "task": task, "reward": {"code": 1.0}, "train": steps}
    config["rollout"] = {"max_new_tokens": 50}
    row = {"question": "Add two numbers.", "answer": '{"fn": "add", "cases": [[[1, 2], 3]]}'}
    for operator, fine in (("+", True), ("-", False)):
        solution = f"```python\ndef add(a, b):\n    return a {operator} b\n```"
        file.write_text(json.dumps({**row, "solution": solution}) + "\n")
        path = write_config(tmp_path / "c.yaml", config)
        if fine:
            assert call("check", path).code == 0
        else:
            assert "the gold answer does not earn full marks (code: wrong)" in refused("check", path)


def test_inspect_of_something_else_is_refused(tmp_path: Path, world: World, refused: Callable[..., str]) -> None:
    assert "not a run directory" in refused("inspect", tmp_path)
    assert "allowed: 1, 2, 3, 4, 5, 6" in refused("inspect", world.runs["rl"], "--step", "77")


@pytest.mark.check("R29")
def test_hostile_text_in_problems_is_shown_literally(world: World, tmp_path: Path) -> None:
    nasty = "\x1b]0;owned\x07[/bold] \x00 \r 1 + 1 ="
    (tmp_path / "p.jsonl").write_text((json.dumps({"question": nasty, "answer": "2"}) + "\n") * 2)
    config = {
        "model": str(world.runs["sft"]), "task": {"name": "problems", "path": str(tmp_path / "p.jsonl"), "test_fraction": 0.0},
        "rollout": {"group_size": 2, "problems_per_step": 1, "max_new_tokens": 4}, "train": {"max_steps": 1, "learning_rate": 1e-3},
    }  # fmt: skip
    assert call("rl", write_config(tmp_path / "c.yaml", config), "--run", tmp_path / "run").code == 0
    shown = call("inspect", tmp_path / "run").out
    assert "\\x1b]0;owned\\x07[/bold]" in shown
    assert not {"\x1b", "\x00", "\x07"} & set(shown)


def test_small_configs_are_what_the_fixture_says(tmp_path: Path) -> None:
    assert set(make_configs(tmp_path)) == {"pretrain", "sft", "rl", "eval"}
    assert yaml.safe_load((tmp_path / "rl.yaml").read_text())["model"] == str(tmp_path / "sft")


@pytest.mark.parametrize(("rate", "far"), [("1.0e-12", False), ("3.0e-2", True)])
def test_an_evaluation_says_how_far_the_policy_is_from_where_it_began(
    world: World, tmp_path: Path, rate: str, far: bool
) -> None:
    answer = call("rl", world.configs["rl"], "--run", tmp_path / "run", "--set", f"train.learning_rate={rate}")
    assert answer.code == 0, answer.err
    distance = read_metrics(tmp_path / "run")[-1]["eval/modsum/kl_base"]
    assert distance > 0.01 if far else abs(distance) < 1e-5
