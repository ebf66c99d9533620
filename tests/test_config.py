"""The YAML files: what they may hold, how they inherit, and what is said about a wrong one."""

from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from rlvr.config import (
    PRESET_SOURCES,
    PRESETS,
    AlgoConfig,
    DataConfig,
    EvalConfig,
    ModelConfig,
    ModsumConfig,
    PretrainConfig,
    PromptConfig,
    RewardConfig,
    SamplingConfig,
    SourceConfig,
    StageConfig,
    TokenizerConfig,
    TrainConfig,
    stage_of,
)
from rlvr.config_file import differences, dump, load
from rlvr.errors import RlvrError

RL = """\
model: runs/x
task: {name: modsum, length: 16}
rollout:
  group_size: 4
train:
  max_steps: 3
  learning_rate: 1e-3
"""

SOURCES = """\
model: {layers: 1, width: 8, heads: 2}
data:
  sources:
    - task: {name: modsum}
      mixture: {direct: 1}
    - task: {name: arithmetic, digits: 3}
      mixture: {cot: 1}
      weight: 2
train: {max_steps: 1, learning_rate: 0.1}
"""

STAGE_FILES = {
    "pretrain": """\
model: {family: qwen3_moe, layers: 2, width: 16, heads: 2, experts: 4, experts_per_token: 2}
tokenizer: {kind: bpe, vocab_size: 400}
task: {name: modsum, leaps: [1, 4], error_rate: 0.25, error_kind: biased}
data: {mixture: {direct: 0.9, cot: 0.1}, loss_on: response}
train: {max_steps: 5, learning_rate: 1e-3, optimizer: sgd, momentum: 0.9}
reward: {number: 1.0, format: 0.5}
eval: {every: 2}
""",
    "sft": """\
model: runs/pretrain
prompt: {style: chat, system: "Be brief: é ✓"}
data: {sources: [{text: notes.txt, block: 64}, {task: {name: words, group: A5}, mixture: {cot: 1}, weight: 3}]}
train: {max_steps: 5, learning_rate: 1e-6, betas: [0.8, 0.99]}
""",
    "rl": RL + "algo: {preset: grpo, drop_zero_variance: false}\nthreads: 2\n",
    "rl on a file": RL.replace("{name: modsum, length: 16}", "{name: problems, path: a.jsonl}")
    + "select: {difficulty: [1, 2.5], pass_rate: [0.1, 0.9], retire_after: 2, solved_at: 1, return_after: 9}\n",
    "rl on a mixture": RL.replace(
        "{name: modsum, length: 16}",
        "{name: mixture, tasks: {a: {weight: 2, task: {name: words}, curriculum: {dial: length, values: [2, 8]}}, "
        "b: {task: {name: arithmetic}, grader: number}}}",
    ),
    "eval": "model: runs/rl\ntask: {name: problems, path: a.jsonl, test_fraction: 1}\nreward: {number: 1}\n",
}


def load_text(folder: Path, text: str, *settings: str, stage: str | None = None) -> StageConfig:
    (folder / "run.yaml").write_text(text, encoding="utf-8")
    return load(folder / "run.yaml", list(settings), stage)[1]


def complaint(folder: Path, text: str, *settings: str, stage: str | None = None) -> str:
    """The error about a file, without the folder's name."""
    with pytest.raises(RlvrError) as caught:
        load_text(folder, text, *settings, stage=stage)
    return str(caught.value).replace(f"{folder}/", "")


# ------------------------------------------------------------------------------------------------- whole files


@pytest.mark.parametrize("stage", STAGE_FILES)
def test_dump_loads_again_to_the_same_configuration(stage: str, tmp_path: Path) -> None:
    config = load_text(tmp_path, STAGE_FILES[stage], stage=stage.split()[0])
    assert load_text(tmp_path, dump(config), stage=stage.split()[0]) == config


@pytest.mark.parametrize("stage", STAGE_FILES)
def test_the_stage_follows_from_the_keys(stage: str, tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text(STAGE_FILES[stage])
    assert load(tmp_path / "run.yaml", [])[0] == stage.split()[0]


def test_stage_of_a_bare_file_is_evaluation() -> None:
    assert stage_of({}) == "eval"


def test_defaults_stand_where_the_file_is_silent(tmp_path: Path) -> None:
    config = load_text(tmp_path, RL)
    assert (config.seed, config.device, config.reward) == (0, "auto", RewardConfig.model_validate({"exact": 1.0}))


def test_differences_name_each_leaf() -> None:
    old = {"seed": 0, "train": {"lr": 1, "steps": 2}, "gone": 5}
    new = {"seed": 0, "train": {"lr": 1, "steps": 3}, "here": [1]}
    assert differences(old, new) == ["train.steps: 2 -> 3", "gone: 5 -> None", "here: None -> [1]"]


def test_equal_configurations_do_not_differ() -> None:
    assert differences({"a": {"b": 1}}, {"a": {"b": 1}}) == []


# ----------------------------------------------------------------------------------------------------- extends


def extend(folder: Path, parent: str, child: str) -> StageConfig:
    (folder / "base.yaml").write_text(parent)
    return load_text(folder, f"extends: base.yaml\n{child}")


def test_a_child_changes_single_keys_of_a_section(tmp_path: Path) -> None:
    config = extend(tmp_path, RL, "train: {max_steps: 9}")
    assert (config.train.max_steps, config.train.learning_rate) == (9, 1e-3)


def test_a_child_replaces_the_reward_table_whole(tmp_path: Path) -> None:
    config = extend(tmp_path, RL + "reward: {exact: 1.0, format: 0.2}\n", "reward: {number: 1.0}")
    assert config.reward == RewardConfig.model_validate({"number": 1.0})


def test_a_child_replaces_a_mixture_whole(tmp_path: Path) -> None:
    config = extend(tmp_path, STAGE_FILES["pretrain"], "data: {mixture: {cot: 1.0}}")
    assert (config.data.mixture, config.data.loss_on) == ({"cot": 1.0}, "response")


def test_a_task_of_another_name_replaces_the_old_one(tmp_path: Path) -> None:
    config = extend(tmp_path, RL, "task: {name: arithmetic, digits: 4}")
    assert config.task.model_dump() == {"name": "arithmetic", "operation": "sum", "digits": 4}


@pytest.mark.parametrize("name", ["name: modsum, ", ""])
def test_a_task_of_the_same_name_keeps_its_other_keys(name: str, tmp_path: Path) -> None:
    config = extend(tmp_path, RL, f"task: {{{name}modulus: 5}}")
    assert (config.task.modulus, config.task.length) == (5, 16)


def test_a_child_can_unset_a_section(tmp_path: Path) -> None:
    assert extend(tmp_path, RL + "eval: {every: 1}\n", "eval: null").eval is None


def test_parents_are_found_beside_their_child_and_may_have_parents(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "first.yaml").write_text(RL + "seed: 1\n")
    (tmp_path / "base" / "second.yaml").write_text("extends: first.yaml\nthreads: 2\n")
    config = load_text(tmp_path, "extends: base/second.yaml\nseed: 3\n")
    assert (config.seed, config.threads) == (3, 2)


def test_an_inherited_mistake_is_found_in_the_parent(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(RL.replace("group_size: 4", "group_size: 0"))
    assert complaint(tmp_path, "extends: base.yaml\nseed: 1\n").startswith("base.yaml:4: rollout.group_size: ")


def test_a_circle_of_parents_is_refused(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text("extends: run.yaml\n")
    assert "extends itself" in complaint(tmp_path, "extends: base.yaml\n")


def test_a_missing_parent_is_named(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(RL)
    assert complaint(tmp_path, "extends: bass.yaml\n") == "bass.yaml: no such file; Did you mean base.yaml?"


def test_extends_takes_one_file(tmp_path: Path) -> None:
    assert complaint(tmp_path, "extends: [a, b]\n") == "run.yaml: extends: must be one file; got ['a', 'b']"


# -------------------------------------------------------------------------------------------------------- --set


@pytest.mark.parametrize(
    ("text", "value"),
    [("1e-3", 0.001), ("2E+1", 20.0), ("1.5e2", 150.0), ("3", 3.0), ("0.25", 0.25)],
)
def test_set_reads_numbers(text: str, value: float, tmp_path: Path) -> None:
    assert load_text(tmp_path, RL, f"train.learning_rate={text}").train.learning_rate == value


def test_set_reads_lists_texts_and_switches(tmp_path: Path) -> None:
    config = load_text(tmp_path, RL, "train.betas=[0.8, 0.9]", "task.tagged=false", "model=a/b=c", "device=cpu")
    assert (config.train.betas, config.task.tagged, config.model, config.device) == ([0.8, 0.9], False, "a/b=c", "cpu")


def test_set_makes_sections_that_the_file_lacks(tmp_path: Path) -> None:
    assert load_text(tmp_path, RL, "eval.every=7").eval.every == 7


def test_set_wins_over_file_and_parent_and_the_last_set_over_the_first(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(RL + "seed: 1\n")
    assert load_text(tmp_path, "extends: base.yaml\nseed: 2\n", "seed=3", "seed=4").seed == 4


@pytest.mark.parametrize("setting", ["seed", "=3"])
def test_set_without_key_or_value_is_refused(setting: str, tmp_path: Path) -> None:
    assert complaint(tmp_path, RL, setting).startswith("--set: must look like section.key=VALUE; got ")


def test_set_below_something_that_is_no_section_is_refused(tmp_path: Path) -> None:
    assert complaint(tmp_path, RL, "model.layers=2") == (
        "--set model.layers: model is not a section; got 'runs/x'; set the whole of it"
    )


@pytest.mark.parametrize(
    "value", ["[", "*a", "!!python/name:os.system", "2024-99-99", "9" * 5000, "[" * 3000 + "]" * 3000]
)
def test_a_value_that_set_cannot_read_is_the_users_mistake(value: str, tmp_path: Path) -> None:
    assert complaint(tmp_path, RL, f"seed={value}").startswith("--set seed: ")


def test_a_wrong_value_given_with_set_is_not_blamed_on_a_line_of_the_file(tmp_path: Path) -> None:
    assert "run.yaml:7" not in complaint(tmp_path, RL, "train.learning_rate=0")


# --------------------------------------------------------------------------------------------- wrong keys and values


@pytest.mark.parametrize(
    ("right", "wrong", "expected"),
    [
        pytest.param(
            "group_size",
            "groupsize",
            "run.yaml:4: rollout.groupsize: unknown key; allowed: batch_size, cache_gib, engine, group_size, max_new_tokens, "
            "min_new_tokens, problems_per_step, save_every, stop_strings, temperature, top_k, top_p; Did you mean rollout.group_size?",
            id="unknown key in a section",
        ),
        pytest.param(
            "rollout:",
            "rolout:",
            "run.yaml:3: rolout: unknown key; allowed: algo, attention, curriculum, device, eval, lora, model, prompt, reward, rollout, seed, select, "
            "study, task, threads, track, train; Did you mean rollout?",
            id="unknown section",
        ),
        pytest.param(
            "length",
            "lenght",
            "run.yaml:2: task.lenght: unknown key; allowed: announced, distractors, empty_thoughts, error_kind, error_rate, leaps, length, "
            "modulus, name, tagged; Did you mean task.length?",
            id="unknown key in a task",
        ),
        pytest.param(
            "name: modsum",
            "name: modsim",
            "run.yaml:2: task: unknown value; got 'modsim'; allowed: modsum, arithmetic, words, strides, strings, facts, problems, gym, mixture; "
            "Did you mean modsum?",
            id="unknown task",
        ),
        pytest.param(
            "  max_steps: 3\n",
            "",
            "run.yaml:5: train.max_steps: is missing; set it in the file or with --set train.max_steps=VALUE",
            id="missing key",
        ),
        pytest.param(
            "group_size: 4",
            "engine: vllm",
            "run.yaml:4: rollout.engine: unknown value; got 'vllm'; allowed: native, hf",
            id="unknown choice",
        ),
        pytest.param(
            "max_steps: 3",
            'max_steps: "3"',
            "run.yaml:6: train.max_steps: input should be a valid integer; got '3'",
            id="text for a number",
        ),
        pytest.param(
            "max_steps: 3",
            "max_steps: 1e3",
            "run.yaml:6: train.max_steps: input should be a valid integer; got 1000.0",
            id="fraction for a whole number",
        ),
        pytest.param(
            "1e-3",
            "true",
            "run.yaml:7: train.learning_rate: input should be a valid number; got True",
            id="switch for a number",
        ),
        pytest.param(
            "1e-3",
            "-1",
            "run.yaml:7: train.learning_rate: input should be greater than 0; got -1",
            id="out of range",
        ),
        pytest.param(
            "1e-3",
            ".inf",
            "run.yaml:7: train.learning_rate: input should be a finite number; got inf",
            id="infinite",
        ),
        pytest.param(
            "length: 16",
            "length: 600",
            "run.yaml:2: task.length: input should be less than or equal to 512; got 600",
            id="out of a task's range",
        ),
        pytest.param(
            "group_size: 4",
            "group_size: 1",
            "run.yaml: rollout.group_size 1 with algo.advantage group_mean makes every advantage 0; allowed: >= 2",
            id="keys that do not go together",
        ),
    ],
)
def test_a_mistake_is_named_with_its_place_and_remedy(right: str, wrong: str, expected: str, tmp_path: Path) -> None:
    assert complaint(tmp_path, RL.replace(right, wrong)) == expected


def test_a_mistake_in_a_list_is_named_with_its_number(tmp_path: Path) -> None:
    message = complaint(tmp_path, SOURCES.replace("digits", "digit"))
    assert message == (
        "run.yaml:6: data.sources.1.task.digit: unknown key; allowed: digits, name, operation; "
        "Did you mean data.sources.1.task.digits?"
    )


def test_a_mistake_in_a_list_item_is_found_near_it(tmp_path: Path) -> None:
    """The item has no key of its own, but stands nearer to the mistake than the section's first line."""
    message = complaint(tmp_path, SOURCES.replace("      mixture: {cot: 1}\n", ""))
    assert message.startswith("run.yaml:6: data.sources.1: a task as a source needs a mixture")


def test_a_task_without_a_name_is_told_which_there_are(tmp_path: Path) -> None:
    message = complaint(tmp_path, RL.replace("name: modsum, ", ""))
    assert message.startswith("run.yaml:2: task.name")
    assert "modsum, arithmetic, words, strides, strings, facts, problems" in message


def test_further_mistakes_are_counted(tmp_path: Path) -> None:
    text = RL.replace("group_size: 4", "group_size: 0").replace("max_steps: 3", "max_steps: 0")
    assert complaint(tmp_path, text).endswith("(and 1 more)")


def test_a_message_ends_with_its_last_part(tmp_path: Path) -> None:
    assert complaint(tmp_path, RL + "zzz: 1\n").endswith("threads, track, train")


def test_a_file_for_another_stage_is_recognised(tmp_path: Path) -> None:
    assert complaint(tmp_path, RL, stage="sft").endswith("by its keys this file is for: rlvr rl")


@pytest.mark.parametrize("preset", ["[reinforce]", "3"])
def test_a_preset_that_is_no_name_is_refused(preset: str, tmp_path: Path) -> None:
    message = complaint(tmp_path, RL + f"algo: {{preset: {preset}}}\n")
    assert message.startswith("run.yaml:8: algo.preset: unknown value; got ")


# ------------------------------------------------------------------------------------------------------ broken files


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", "run.yaml: is empty", id="empty"),
        pytest.param("# nothing\n", "run.yaml: is empty", id="comments only"),
        pytest.param("- 1\n", "run.yaml: must be a mapping of keys to values; got [1]", id="list"),
        pytest.param("1: 2\n", "run.yaml: must be a mapping of keys to values", id="number as key"),
        pytest.param(
            "seed: 1\nseed: 2\n", "run.yaml:2: seed: given twice; keep one (the first: run.yaml:1)", id="twice"
        ),
        pytest.param("a:\n  b: 1\n  b: 1\n", "run.yaml:3: a.b: given twice", id="twice in a section"),
        pytest.param("a: &x {b: 1}\nc: *x\n", "run.yaml:1: YAML aliases are not supported", id="alias"),
        pytest.param("a: &x [*x]\n", "run.yaml:1: YAML aliases are not supported", id="alias of itself"),
        pytest.param("a: 1\nb: !!python/object/apply:os.getcwd []\n", "run.yaml:2: not plain YAML", id="python tag"),
        pytest.param("a: 1\nb: [1\n", "run.yaml:3: not plain YAML", id="unclosed list"),
        pytest.param("a: \x00\n", "run.yaml: not plain YAML", id="null character"),
        pytest.param("? [a]\n: b\n", "run.yaml:1: not plain YAML", id="list as key"),
        pytest.param("a: " + "[" * 5000 + "]" * 5000, "run.yaml: is nested too deeply", id="too deep"),
        pytest.param("a: " + "x" * 100_001, "run.yaml: is larger than 100000 bytes", id="too large"),
        pytest.param('extends: "a\\0b"\n', "run.yaml", id="null character in a path"),
    ],
)
def test_a_broken_file_is_refused(text: str, expected: str, tmp_path: Path) -> None:
    assert complaint(tmp_path, text).startswith(expected)


def test_a_file_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes(b"model: caf\xe9\n")
    with pytest.raises(RlvrError, match=r"latin\.yaml: is not UTF-8 text \(byte 10\)"):
        load(tmp_path / "latin.yaml", [])


def test_a_missing_file_is_named_with_its_neighbour(tmp_path: Path) -> None:
    (tmp_path / "quickstart.yaml").touch()
    with pytest.raises(RlvrError, match=r"quikstart\.yaml: no such file; Did you mean quickstart\.yaml\?"):
        load(tmp_path / "quikstart.yaml", [])


def test_a_folder_is_not_a_file(tmp_path: Path) -> None:
    with pytest.raises(RlvrError, match="cannot be read: Is a directory"):
        load(tmp_path, [])


def test_a_byte_order_mark_is_read_over(tmp_path: Path) -> None:
    assert load_text(tmp_path, "\ufeff" + RL).model == "runs/x"


# ------------------------------------------------------------------------------------------------------------- schema

DIALS = {"layers": 1, "width": 8, "heads": 2}
STEPS = {"max_steps": 1, "learning_rate": 0.1}
MODSUM = {"name": "modsum"}
DIRECT = {"direct": 1.0}
TEXT = [{"text": "a.txt"}]


@pytest.mark.parametrize(
    ("section", "fields", "key"),
    [
        (ModelConfig, {**DIALS, "experts": 4}, "experts"),
        (TokenizerConfig, {"kind": "words", "vocab_size": 400}, "vocab_size"),
        (PromptConfig, {"style": "plain", "system": "Be brief."}, "system"),
        (ModsumConfig, {**MODSUM, "error_kind": "random"}, "error_kind"),
        (SourceConfig, {"task": MODSUM, "mixture": DIRECT, "block": 64}, "block"),
        (SourceConfig, {"text": "a.txt", "mixture": DIRECT}, "mixture"),
        (TrainConfig, {**STEPS, "momentum": 0.9}, "momentum"),
        (TrainConfig, {**STEPS, "optimizer": "sgd", "betas": [0.9, 0.9]}, "betas"),
        (
            PretrainConfig,
            {"model": DIALS, "task": MODSUM, "data": {"mixture": DIRECT}, "train": STEPS, "reward": {"number": 1.0}},
            "reward",
        ),
        (
            PretrainConfig,
            {"model": DIALS, "task": MODSUM, "data": {"sources": TEXT}, "train": STEPS},
            "task",
        ),
        (
            PretrainConfig,
            {"model": DIALS, "data": {"sources": TEXT}, "train": STEPS, "eval": {"every": 1, "samples": 2}},
            "samples",
        ),
        (
            PretrainConfig,
            {
                "model": DIALS,
                "data": {"sources": TEXT},
                "train": STEPS,
                "eval": {"every": 1},
                "reward": {"number": 1.0},
            },
            "reward",
        ),
        (EvalConfig, {"model": "m", "data": {"sources": TEXT}, "rollout": {"max_new_tokens": 9}}, "rollout"),
        (EvalConfig, {"model": "m", "data": {"sources": TEXT}, "eval": {"split": "train"}}, "split"),
        (AlgoConfig, {"clip_low": 0.2}, "clip_low"),
        (AlgoConfig, {"preset": "grpo", "clip_high": 0.3}, "clip_high"),
        (AlgoConfig, {"cap": 2.0}, "cap"),
        (AlgoConfig, {"gae": {"trace": 0.9}}, "gae"),
        (AlgoConfig, {"teacher": "runs/x"}, "teacher"),
        (AlgoConfig, {"branches": {}}, "branches"),
        (AlgoConfig, {"advantage": "reward", "max_refills": 2}, "max_refills"),
        (AlgoConfig, {"preset": "opd", "teacher": "runs/x", "overlong_buffer": 0.5}, "overlong_buffer"),
        (
            AlgoConfig,
            {"preset": "opd", "teacher": "runs/x", "kl": {"coefficient": 1.0, "where": "reward"}},
            "kl.where reward",
        ),
        (AlgoConfig, {"preset": "grpo", "loss": "clipped"}, "loss clipped"),
        (AlgoConfig, {"preset": "cispo", "clip_high": 0.3}, "clip_high"),
        (AlgoConfig, {"updates_per_batch": 2, "ratio": "token"}, "ratio"),
    ],
)
def test_a_key_without_effect_is_refused(section: type, fields: dict, key: str) -> None:
    with pytest.raises(ValidationError, match=rf"{key} has no effect .*; remove it"):
        section.model_validate(fields)


@pytest.mark.parametrize(
    ("section", "fields", "message"),
    [
        (ModelConfig, {**DIALS, "heads": 3}, "width 8 must be an even multiple of heads 3"),
        (ModelConfig, {**DIALS, "heads": 8}, "width 8 must be an even multiple of heads 8"),
        (ModelConfig, {**DIALS, "kv_heads": 4}, "heads 2 must be a multiple of kv_heads 4"),
        (ModelConfig, {**DIALS, "family": "qwen3_moe"}, "needs experts and experts_per_token"),
        (ModelConfig, {**DIALS, "family": "qwen3_moe", "experts": 2, "experts_per_token": 3}, "exceeds experts 2"),
        (TokenizerConfig, {"kind": "bpe", "vocab_size": 256}, "too small for bpe"),
        (ModsumConfig, {**MODSUM, "leaps": []}, "at least one"),
        (ModsumConfig, {**MODSUM, "leaps": [2, 2]}, "must be different numbers"),
        (ModsumConfig, {**MODSUM, "leaps": [16]}, "must be below length 16"),
        (ModsumConfig, {**MODSUM, "leaps": [6, 7]}, "give chains of different length"),  # both write 3 sums
        (SourceConfig, {"weight": 1.0}, "is one of: a task .*, a text file, a file of chats"),
        (SourceConfig, {"task": MODSUM}, "needs a mixture"),
        (DataConfig, {}, "give either mixture .* or sources"),
        (DataConfig, {"sources": []}, "at least 1 item"),
        (DataConfig, {"mixture": {"direct": -1.0}}, "greater than or equal to 0"),
        (SamplingConfig, {"min_new_tokens": 9, "max_new_tokens": 8}, "min_new_tokens 9 exceeds max_new_tokens 8"),
        (SamplingConfig, {"temperature": 0.0}, "greater than 0"),
        (SamplingConfig, {"max_new_tokens": 0}, "greater than 0"),
        (SamplingConfig, {"top_k": 0}, "greater than 0"),
        (SamplingConfig, {"top_p": 0.0}, "greater than 0"),
        (SamplingConfig, {"top_p": 1.0}, "less than 1"),
        (SamplingConfig, {"top_k": 1, "top_p": 0.5}, "top_p has no effect with top_k 1"),
        (SamplingConfig, {"stop_strings": []}, "at least 1 item"),
        (SamplingConfig, {"stop_strings": [""]}, "at least 1 character"),
        (SamplingConfig, {"stop_strings": ["Q:", "\nQ:"]}, r"'\\nQ:' has no effect beside 'Q:', which it contains"),
        (SamplingConfig, {"stop_strings": ["a", "a"]}, "'a' has no effect beside 'a'"),
        (AlgoConfig, {"preset": "opd"}, "advantage teacher needs teacher"),
        (AlgoConfig, {"preset": "grpo", "credit": "branches"}, "parts a reward minus a baseline"),
        (AlgoConfig, {"updates_per_batch": 3, "parts": 2}, "updates_per_batch 3 must be a multiple of parts 2"),
        (AlgoConfig, {"preset": "star", "drop_zero_variance": True}, "which positive imitates"),
        (TrainConfig, {**STEPS, "betas": [0.9, 1.0]}, "less than 1"),
        (PretrainConfig, {"model": DIALS, "data": {"mixture": DIRECT}, "train": STEPS}, "data.mixture needs a task"),
        (EvalConfig, {"model": "m"}, "there is nothing to evaluate"),
        (EvalConfig, {"model": "m", "data": {"mixture": DIRECT}}, "there is nothing to evaluate"),
    ],
)
def test_what_cannot_work_is_refused(section: type, fields: dict, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        section.model_validate(fields)


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_fills_the_fields(preset: str) -> None:
    teacher = {"teacher": "runs/x"} if preset == "opd" else {}
    algo = AlgoConfig.model_validate({"preset": preset, "updates_per_batch": 4, **teacher})
    assert {key: getattr(algo, key) for key in PRESETS[preset] if key != "parts"} == {
        key: value for key, value in PRESETS[preset].items() if key != "parts"
    }


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize(
    "beside", [{}, {"updates_per_batch": 4}, {"updates_per_batch": 1}, {"drop_zero_variance": False}]
)
def test_a_resolved_preset_loads_again(preset: str, beside: dict) -> None:
    teacher = {"teacher": "runs/x"} if preset == "opd" else {}
    algo = AlgoConfig.model_validate({"preset": preset, **beside, **teacher})
    assert AlgoConfig.model_validate(algo.model_dump(exclude_none=True)) == algo


def test_while_a_batch_is_used_once_a_preset_clips_nothing() -> None:
    algo = AlgoConfig.model_validate({"preset": "grpo"})
    assert (algo.loss, algo.ratio, algo.clip_low, algo.clip_high) == ("policy_gradient", None, None, None)


def test_another_loss_beside_a_preset_has_its_own_defaults() -> None:
    algo = AlgoConfig.model_validate({"preset": "gspo", "loss": "truncated"})
    assert (algo.ratio, algo.cap, algo.clip_low, algo.clip_high) == ("token", 2.0, None, None)


@pytest.mark.parametrize(
    ("advantage", "drop"),
    [("group_standardised", True), ("leave_one_out", True), ("reward", False), ("positive", False)],
)
def test_groups_without_variance_are_dropped_where_they_have_no_advantage(advantage: str, drop: bool) -> None:
    assert AlgoConfig.model_validate({"advantage": advantage}).drop_zero_variance is drop


def test_a_field_set_beside_a_preset_wins() -> None:
    algo = AlgoConfig.model_validate({"preset": "grpo", "drop_zero_variance": False})
    assert (algo.advantage, algo.drop_zero_variance) == ("group_standardised", False)


def test_one_rollout_a_group_is_enough_to_imitate(tmp_path: Path) -> None:
    config = load_text(tmp_path, RL.replace("group_size: 4", "group_size: 1") + "algo: {preset: star}\n")
    assert config.rollout.group_size == 1


def test_a_configuration_is_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        TokenizerConfig().kind = "bpe"


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_is_written_below_its_paper_and_loads_again(tmp_path: Path, preset: str) -> None:
    (tmp_path / "rl.yaml").write_text(RL)
    settings = ["algo.teacher=runs/y"] if preset == "opd" else []
    _, config = load(tmp_path / "rl.yaml", [f"algo.preset={preset}", *settings])
    text = dump(config)
    assert f"\nalgo:\n  # {PRESET_SOURCES[preset]}\n  preset: {preset}\n" in text
    assert yaml.safe_load(text) == config.model_dump(exclude_none=True)
