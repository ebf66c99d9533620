"""Stop strings and bounds on what is drawn, from the configuration to the rollouts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import World, call, read_metrics
from transformers import AutoTokenizer

from rlvr.rollout import ENGINES

engines = pytest.mark.parametrize("engine", ENGINES)


def rollouts(run: Path, step: int) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "rollouts" / f"step_{step:06d}.jsonl").read_text().splitlines()]


def run(stage: str, world: World, folder: Path, *settings: str) -> None:
    words = [word for setting in settings for word in ("--set", setting)]
    answer = call(stage, world.configs[stage], "--run", folder, *words)
    assert answer.code == 0, answer.err


@engines
def test_an_evaluations_completions_end_with_their_first_stop_string(world: World, tmp_path: Path, engine: str) -> None:
    """Up to there they are what they would have been: token ids and log-probabilities of the stop string are kept."""
    engine_setting = f"rollout.engine={engine}"
    run("eval", world, tmp_path / "free", engine_setting)
    run("eval", world, tmp_path / "cut", engine_setting, "rollout.stop_strings=['1 0', '</think>']")
    tokenizer = AutoTokenizer.from_pretrained(world.runs["rl"] / "checkpoints" / "step_000006")
    ended = 0
    for free, cut in zip(rollouts(tmp_path / "free", 0), rollouts(tmp_path / "cut", 0), strict=True):
        ids, length = free["token_ids"], len(cut["token_ids"])
        assert cut["token_ids"] == ids[:length]
        assert cut["logprobs"] == pytest.approx(free["logprobs"][:length], abs=1e-5)
        before = tokenizer.decode(ids[: length - 1], skip_special_tokens=True)
        assert not any(string in before for string in ("1 0", "</think>"))
        if cut["completion"].endswith(("1 0", "</think>")):
            assert cut["stop_reason"] == "stop"
            ended += 1
        else:
            assert (length, cut["stop_reason"]) == (len(ids), free["stop_reason"])
    assert ended > 10


@engines
def test_training_on_what_was_bounded_and_ended_is_the_same_policy_still(
    world: World, tmp_path: Path, engine: str
) -> None:
    """The trainer's log-probabilities are those that were recorded: else the run would have stopped."""
    bounds = ["rollout.top_k=4", "rollout.top_p=0.9", "rollout.stop_strings=['1 1']"]
    run("rl", world, tmp_path, f"rollout.engine={engine}", *bounds, "train.max_steps=2", "eval=null")
    for row in read_metrics(tmp_path):
        assert row["rollout/logprob_gap_max"] < 1e-4
    texts = [row["completion"] for row in rollouts(tmp_path, 1)]
    assert not any("1 1" in text[:-1] for text in texts)
    assert any(text.endswith("1 1") for text in texts)


def test_the_most_likely_token_alone_is_the_greedy_answer(world: World, tmp_path: Path) -> None:
    run("eval", world, tmp_path, "rollout.top_k=1")
    metrics = json.loads((tmp_path / "eval.json").read_text())
    assert metrics["eval/modsum/accuracy"] == metrics["eval/modsum/greedy_accuracy"]
