"""What a model has no room for is said before the first step, with the numbers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import TASK, World, call, plain_model, write_config

from rlvr.config import RlConfig
from rlvr.models.cache_size import CacheShape, cache_shape
from rlvr.room import asked

Refused = Callable[..., str]
STEPS = {"max_steps": 2, "learning_rate": 1e-3}
SHORT, LONG = "1 0 =", " ".join(["1"] * 60)  # with <bos> 4 and 61 tokens; the model has 64 positions


def file_task(folder: Path, *questions: str, **fields: Any) -> dict[str, Any]:
    lines = [json.dumps({"question": question, "answer": "1"}) for question in questions]
    (folder / "problems.jsonl").write_text("\n".join(lines) + "\n")
    return {"name": "problems", "path": str(folder / "problems.jsonl"), "test_fraction": 0.0, **fields}


def rl(folder: Path, model: object, task: dict[str, Any], **fields: Any) -> Path:
    rollout = {"group_size": 4, "problems_per_step": 8, "max_new_tokens": 14, **fields.pop("rollout", {})}
    tree = {"model": str(model), "task": task, "train": STEPS, "rollout": rollout, **fields}
    return write_config(folder / "rl.yaml", tree)


def not_begun(run: Path) -> bool:
    """Whether a run has done nothing."""
    return not (run / "metrics.jsonl").exists() or not (run / "metrics.jsonl").read_text()


@pytest.mark.parametrize("command", ["check", "rl"])
def test_a_prompt_of_a_file_that_does_not_fit_is_refused(
    world: World, tmp_path: Path, refused: Refused, command: str
) -> None:
    config = rl(tmp_path, world.runs["sft"], file_task(tmp_path, SHORT, LONG))
    line = refused(command, config, *(["--run", tmp_path / "run"] if command == "rl" else []))
    assert "rollout.max_new_tokens: the prompt of problem 0 of problems, line 2" in line
    assert "has 61 tokens, and the model has 64 positions; got 14; allowed: at most 3" in line
    assert not (tmp_path / "run").exists()


def test_the_last_token_that_fits_is_not_refused(world: World, tmp_path: Path, refused: Refused) -> None:
    task = file_task(tmp_path, SHORT, LONG)
    assert call("check", rl(tmp_path, world.runs["sft"], task, rollout={"max_new_tokens": 3})).code == 0
    assert "got 4; allowed: at most 3" in refused(
        "check", rl(tmp_path, world.runs["sft"], task, rollout={"max_new_tokens": 4})
    )


def test_a_prompt_that_leaves_no_position_is_refused(world: World, tmp_path: Path, refused: Refused) -> None:
    line = refused("check", rl(tmp_path, world.runs["sft"], file_task(tmp_path, LONG + " 1 1 1")))
    assert "has 64 tokens, and the model has 64 positions; got 14; leave out long problems" in line


@pytest.mark.parametrize("stage", ["rl", "eval"])
@pytest.mark.parametrize(
    "task",
    [
        {"name": "modsum", "length": 16},
        {"name": "arithmetic", "digits": 2},
        {"name": "words"},
        {"name": "mixture", "tasks": {"a": {"task": TASK}, "b": {"task": {"name": "modsum", "length": 16}}}},
    ],
    ids=lambda task: task["name"],
)
def test_the_prompts_of_every_task_are_counted(
    world: World, tmp_path: Path, refused: Refused, task: dict[str, Any], stage: str
) -> None:
    tree: dict[str, Any] = {"model": str(world.runs["sft"]), "task": task, "rollout": {"max_new_tokens": 63}}
    tree |= {"train": STEPS} if stage == "rl" else {"eval": {"problems": 64}}
    line = refused("check", write_config(tmp_path / "c.yaml", tree))
    assert "tokens, and the model has 64 positions; got 63; allowed: at most" in line


@pytest.mark.parametrize("stage", ["pretrain", "sft"])
@pytest.mark.parametrize("command", ["check", "run"])
def test_so_are_those_of_evaluations_while_learning_from_documents(
    world: World, tmp_path: Path, refused: Refused, stage: str, command: str
) -> None:
    arguments = (
        [stage, world.configs[stage], "--run", tmp_path] if command == "run" else ["check", world.configs[stage]]
    )
    line = refused(*arguments, "--set", "rollout.max_new_tokens=55")
    assert "has 10 tokens, and the model has 64 positions; got 55; allowed: at most 54" in line
    assert not_begun(tmp_path)


def test_a_problem_that_is_not_evaluated_is_not_counted(world: World, tmp_path: Path, refused: Refused) -> None:
    task = file_task(tmp_path, SHORT, LONG, test_fraction=1.0)
    tree = {"model": str(world.runs["sft"]), "task": task, "rollout": {"max_new_tokens": 14}}
    for count, fine in ((1, True), (2, False)):
        config = write_config(tmp_path / "eval.yaml", {**tree, "eval": {"problems": count}})
        assert (call("check", config).code == 0) is fine


def changed_model(world: World, folder: Path, **changes: Any) -> Path:
    """The model of the sft run with another tokenizer.json or chat template."""
    plain_model(world.runs["sft"] / "checkpoints" / "step_000006", folder)
    if "chat_template" in changes:
        (folder / "chat_template.jinja").write_text(changes.pop("chat_template"))
    tree = json.loads((folder / "tokenizer.json").read_text())
    (folder / "tokenizer.json").write_text(json.dumps({**tree, **changes}))
    return folder


def test_what_a_chat_template_adds_is_counted_before_the_first_step(
    world: World, tmp_path: Path, refused: Refused
) -> None:
    """Only the run itself has the template: a check counts the question alone."""
    template = "{% for message in messages %}" + "0 " * 50 + "{{ message.content }}{% endfor %}"
    model = changed_model(world, tmp_path / "model", chat_template=template)
    config = rl(tmp_path, model, TASK)
    assert call("check", config).code == 0
    line = refused("rl", config, "--run", tmp_path / "run")
    assert "has 59 tokens, and the model has 64 positions; got 14; allowed: at most 5" in line
    assert not_begun(tmp_path / "run")


@pytest.mark.parametrize("stage", ["rl", "eval"])
def test_an_empty_prompt_is_refused_before_the_first_step(
    world: World, tmp_path: Path, refused: Refused, stage: str
) -> None:
    forgets = {"type": "Replace", "pattern": {"String": "?"}, "content": ""}
    model = changed_model(world, tmp_path / "model", normalizer=forgets, post_processor=None)
    task = file_task(tmp_path, SHORT, "??", test_fraction=0.0 if stage == "rl" else 1.0)
    config = rl(tmp_path, model, task)
    if stage == "eval":
        config = write_config(
            tmp_path / "eval.yaml", {"model": str(model), "task": task, "rollout": {"max_new_tokens": 14}}
        )
    line = refused(stage, config, "--run", tmp_path / "run")
    assert "of problems, line 2 ('??'): has an empty prompt: 0 tokens for the model" in line
    assert not_begun(tmp_path / "run")


@pytest.mark.parametrize("stage", ["rl", "eval"])
def test_no_new_tokens_are_refused(world: World, refused: Refused, stage: str) -> None:
    line = refused("check", world.configs[stage], "--set", "rollout.max_new_tokens=0")
    assert "rollout.max_new_tokens: input should be greater than 0; got 0" in line


# ------------------------------------------------------------------------------------------------ the cache


@pytest.mark.parametrize("command", ["check", "run"])
@pytest.mark.parametrize("stage", ["pretrain", "sft", "rl", "eval"])
def test_a_cache_that_holds_no_row_is_refused(
    world: World, tmp_path: Path, refused: Refused, stage: str, command: str
) -> None:
    """A row has 10 + 14 positions of a key and a value of 16 numbers of 4 bytes: 3,072 bytes."""
    arguments = (
        [stage, world.configs[stage], "--run", tmp_path] if command == "run" else ["check", world.configs[stage]]
    )
    line = refused(*arguments, "--set", f"rollout.cache_gib={3000 / 2**30:.12f}")
    assert "rollout.cache_gib: the cache of one row of 24 positions takes 2.86e-06 GiB; got" in line
    assert not_begun(tmp_path)


@pytest.mark.parametrize(
    ("stage", "settings", "rows"),
    [
        ("rl", [], 8 * 4),
        ("rl", ["rollout.batch_size=20"], 20),
        ("rl", [f"rollout.cache_gib={5.5 * 3072 / 2**30:.12f}"], 5),
        ("rl", ["train.dtype=bfloat16"], 8 * 4 / 2),
        ("rl", ["eval.problems=20", "eval.samples=3"], 60),
        ("rl", ["algo.preset=dr_grpo", "algo.credit=branches", "algo.branches={every: 4, samples: 2}"], 512),
        ("eval", [], 16 * 4),
        ("pretrain", [], 8),
    ],
)
def test_the_memory_of_a_plan_has_the_cache(world: World, stage: str, settings: list[str], rows: float) -> None:
    words = [word for setting in settings for word in ("--set", setting)]
    answer = call("check", world.configs[stage], "--json", *words)
    assert answer.code == 0, answer.err
    plan = json.loads(answer.out)
    assert plan["cache_bytes"] == rows * 3072
    assert plan["memory_bytes"] == {"eval": 4}.get(stage, 16) * plan["parameters"] + plan["cache_bytes"]
    shown = call("check", world.configs[stage], *words).err
    assert f", and a cache of {plan['cache_bytes'] / 2**20:,.1f} MiB: {plan['memory_bytes'] / 2**20:,.1f} MiB" in shown


def test_the_shape_of_a_cache_is_read_from_what_a_configuration_says() -> None:
    shape = {"num_hidden_layers": 3, "num_attention_heads": 8, "hidden_size": 64}
    assert cache_shape(shape.get) == CacheShape(layers=3, heads=8, size=8)
    assert cache_shape({**shape, "num_key_value_heads": 2, "head_dim": 16}.get) == CacheShape(
        layers=3, heads=2, size=16
    )
    assert cache_shape({"hidden_size": 64}.get) is None


# ------------------------------------------------------------------------------------------------ what is asked


def asked_of(folder: Path, task: dict[str, Any], **fields: Any) -> list[str]:
    config = RlConfig.model_validate({"model": "m", "task": task, "train": STEPS, **fields})
    return [problem.question for problem in asked(config)]


def test_all_problems_of_a_file_are_asked_or_those_that_are_selected(tmp_path: Path) -> None:
    task = file_task(tmp_path, "a", "b", "c")
    assert sorted(asked_of(tmp_path, task)) == ["a", "b", "c"]
    lines = [json.dumps({"question": q, "answer": "1", "difficulty": d}) for q, d in (("a", 1), ("b", 5), ("c", 2))]
    (tmp_path / "problems.jsonl").write_text("\n".join(lines))
    assert sorted(asked_of(tmp_path, task, select={"difficulty": [1, 2]})) == ["a", "c"]


def test_no_more_are_asked_than_are_drawn(tmp_path: Path) -> None:
    rollout = {"problems_per_step": 1, "group_size": 2}
    assert len(asked_of(tmp_path, file_task(tmp_path, "a", "b", "c"), rollout=rollout)) == 2  # steps


def test_of_a_task_without_end_and_of_each_level_the_first_are_looked_at(tmp_path: Path) -> None:
    assert len(asked_of(tmp_path, TASK)) == 64
    levels = asked_of(tmp_path, TASK, curriculum={"dial": "length", "values": [8, 9, 10]})
    assert [len(question.split()) for question in levels] == [9] * 64 + [10] * 64 + [11] * 64


def test_recorded_rollouts_ask_nothing_but_what_is_evaluated(tmp_path: Path) -> None:
    offline = {"offline": str(tmp_path), "loss": "clipped", "clip_low": 0.2, "clip_high": 0.2}
    assert asked_of(tmp_path, TASK, algo=offline) == []
    assert len(asked_of(tmp_path, TASK, algo=offline, eval={"every": 1, "problems": 5})) == 5
