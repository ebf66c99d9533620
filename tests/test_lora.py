"""LoRA, frozen parts and attention through the command line."""

import importlib.util
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from conftest import World, call, read_metrics
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from rlvr.config_file import load
from rlvr.lint import lint
from rlvr.rollout import llama

SHORT = ["--set", "train.max_steps=3", "--set", "train.save_every=3", "--set", "eval={every: 3, problems: 4}"]
LORA = ["--set", "lora={rank: 2}", "--set", "train.learning_rate=1e-2"]


def newest(run: Path) -> Path:
    return run / "checkpoints" / (run / "checkpoints" / "latest").read_text().strip()


@pytest.fixture(scope="module")
def adapted(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of RL through an adapter."""
    run = tmp_path_factory.mktemp("lora") / "run"
    answer = call("rl", world.configs["rl"], "--run", run, *SHORT, *LORA)
    assert answer.code == 0, answer.err
    return run


def test_rollouts_are_those_of_the_model_with_its_adapter(adapted: Path) -> None:
    rows = read_metrics(adapted)
    assert [row["step"] for row in rows] == [1, 2, 3]
    assert all(row["rollout/logprob_gap_max"] < 1e-4 for row in rows)


def test_a_sampler_without_the_adapter_is_found_out(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(llama, "weight_and_bias", lambda m: (m.weight, m.bias))  # peft's layers give their base's
    answer = call("rl", world.configs["rl"], "--run", tmp_path / "run", *SHORT, *LORA)
    assert answer.code == 3
    assert "the rollouts came from another policy" in answer.err
    assert read_metrics(tmp_path / "run")[0]["step"] == 1  # while the adapter is zero nothing differs


def test_in_bfloat16_sampler_and_trainer_are_one_policy_too(world: World, tmp_path: Path) -> None:
    settings = ["--set", "train.dtype=bfloat16", "--set", "algo.kl={coefficient: 0.01}"]
    assert call("rl", world.configs["rl"], "--run", tmp_path / "run", *SHORT, *LORA, *settings).code == 0
    rows = read_metrics(tmp_path / "run")
    assert rows[0]["train/kl_ref"] == pytest.approx(0.0, abs=1e-3)
    assert rows[-1]["train/kl_ref"] > 1e-5


def test_the_base_of_an_evaluation_is_the_model_without_its_adapter(adapted: Path) -> None:
    assert abs(read_metrics(adapted)[-1]["eval/modsum/kl_base"]) > 1e-5


def test_a_checkpoint_is_the_merged_model_and_holds_the_adapter_and_its_optimizer_alone(
    world: World, adapted: Path
) -> None:
    from peft import PeftModel

    folder, first = newest(adapted), newest(world.runs["sft"])
    merged = AutoModelForCausalLM.from_pretrained(folder)
    beside = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(first), str(folder / "adapter"))
    ids = torch.arange(8)[None]
    with torch.no_grad():
        theirs = AutoModelForCausalLM.from_pretrained(first)(ids).logits
        assert (merged(ids).logits - beside(ids).logits).abs().max() < 1e-4
        assert (merged(ids).logits - theirs).abs().max() > 1e-3
    assert all(".lora_" in name for name in load_file(folder / "optimizer.safetensors"))
    before, after = load_file(first / "model.safetensors"), load_file(folder / "model.safetensors")
    assert before.keys() == after.keys()
    assert torch.equal(before["model.embed_tokens.weight"], after["model.embed_tokens.weight"])


def test_the_run_is_a_model_for_the_next_stage(world: World, adapted: Path, tmp_path: Path) -> None:
    model = ["--set", f"model={adapted}"]
    assert call("eval", world.configs["eval"], "--run", tmp_path / "eval", *model).code == 0
    assert call("sft", world.configs["sft"], "--run", tmp_path / "sft", *SHORT, *LORA, *model).code == 0


def test_another_base_under_an_adapter_is_refused(
    world: World, adapted: Path, tmp_path: Path, refused: Callable[..., str]
) -> None:
    """The weights that the adapter was trained beside are those that it is put beside again."""
    config = tmp_path / "rl.yaml"
    config.write_text(world.configs["rl"].read_text().replace(str(world.folder / "sft"), str(tmp_path / "model")))
    shutil.copytree(world.runs["sft"], tmp_path / "model")
    arguments = ["rl", config, "--run", tmp_path / "run", *LORA, "--set", "train.save_every=1", "--set", "eval=null"]
    assert call(*arguments).code == 0
    shutil.rmtree(tmp_path / "model")
    shutil.copytree(world.runs["pretrain"], tmp_path / "model")
    assert "was made from other contents of" in refused(*arguments)
    (tmp_path / "run" / "inputs.json").unlink()  # as of a model from elsewhere, whose files are not known
    shutil.rmtree(newest(tmp_path / "run"))  # so that there is something left to do
    assert "its adapter was trained on other weights than those of the model" in refused(*arguments)


def test_check_says_what_is_trained_and_the_memory_of_it(world: World) -> None:
    def plan(*settings: str) -> dict:
        return json.loads(call("check", world.configs["rl"], "--json", *settings).out)

    full, lora = plan(), plan("--set", "lora={rank: 2, targets: [q_proj, v_proj]}")
    assert (full["trained"], lora["trained"]) == (full["parameters"], 2 * 2 * (16 + 16))
    merged, moved = 2 * 16 * 16, lora["trained"]
    assert full["memory_bytes"] - full["cache_bytes"] == 4 * 4 * full["parameters"]
    assert lora["memory_bytes"] - lora["cache_bytes"] == 4 * (full["parameters"] + 4 * moved + merged)
    frozen = plan("--set", "train.freeze=[embeddings]")
    assert frozen["parameters"] - frozen["trained"] == 16 * vocabulary(world)
    assert (
        "(trained: 128)" in call("check", world.configs["rl"], "--set", "lora={rank: 2, targets: [q_proj, v_proj]}").err
    )


def vocabulary(world: World) -> int:
    return int(json.loads((newest(world.runs["sft"]) / "config.json").read_text())["vocab_size"])


def test_what_is_wrong_is_one_line(world: World, refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    def check(*settings: str) -> str:
        return refused("rl", world.configs["rl"], "--dry-run", *(w for s in settings for w in ("--set", s)))

    assert "got 'querry'; allowed: down_proj, gate_proj, k_proj, o_proj, q_proj, up_proj, v_proj" in check(
        "lora.targets=[querry]"
    )
    assert "lora.dropout: unknown key" in check("lora={dropout: 0.1}")
    assert "freeze has no effect beside lora" in check("lora={}", "train.freeze=[embeddings]")
    assert "embeddings has no effect beside lora" in check("lora={}", "train.learning_rates={embeddings: 0.1}")
    assert "the head is tied to the embeddings; got 'head'" in check("train.freeze=[head]")
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "peft" else found(name, *rest))
    assert "needs the package peft; install it with: pip install 'rlvr[lora]'" in check("lora={}")


def test_an_attention_that_nothing_uses_or_that_is_not_there_is_refused(
    world: World, tmp_path: Path, refused: Callable[..., str]
) -> None:
    def run(*settings: str) -> str:
        options = [word for setting in settings for word in ("--set", setting)]
        return refused("eval", world.configs["eval"], "--run", tmp_path / "run", "--fresh", *options)

    assert "attention: has no effect on LlamaForCausalLM, whose attention rlvr computes itself" in run(
        "attention=eager"
    )
    assert "attention: needs a CUDA device and the package flash-attn" in run("attention=flash_attention_2")


def test_with_the_hf_engine_the_attention_is_transformers_own(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers.models.llama import modeling_llama

    calls, eager = [], modeling_llama.eager_attention_forward
    monkeypatch.setattr(modeling_llama, "eager_attention_forward", lambda *a, **k: calls.append(1) or eager(*a, **k))
    settings = ["--set", "rollout.engine=hf", "--set", "attention=eager", "--set", "eval.problems=2"]
    assert call("eval", world.configs["eval"], "--run", tmp_path / "run", *settings).code == 0
    assert calls


def test_frozen_embeddings_stay_where_they_were(world: World, tmp_path: Path) -> None:
    settings = ["--set", "train.freeze=[embeddings, '*norm*']", "--set", "train.gradient_checkpointing=true"]
    assert call("rl", world.configs["rl"], "--run", tmp_path / "run", *SHORT, *settings).code == 0
    before = load_file(newest(world.runs["sft"]) / "model.safetensors")
    after = load_file(newest(tmp_path / "run") / "model.safetensors")
    moved = {name for name in after if not torch.equal(before[name], after[name])}
    assert moved == {name for name in after if name.endswith("_proj.weight")}


def test_the_learning_rate_of_an_adapter_may_be_ten_times_as_high(world: World) -> None:
    def warned(*settings: str) -> str:
        config = load(world.configs["rl"], list(settings))[1]
        return " ".join(each for each in lint(config, 135_000_000) if "learning_rate" in each)

    assert "fine-tuned with (1e-08 to 0.0001)" in warned("train.learning_rate=5e-4")
    assert warned("train.learning_rate=5e-4", "lora={}") == ""
    assert "fine-tuned through an adapter with (1e-07 to 0.001)" in warned("train.learning_rate=5e-3", "lora={}")
