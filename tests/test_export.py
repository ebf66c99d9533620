"""``rlvr export``: a run's model as a directory that others load, with a card that says what it is."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from conftest import World, call, loaded
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

IDS = torch.arange(8)[None]


@pytest.fixture(scope="module")
def exported(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("export") / "new" / "model"
    answer = call("export", world.runs["rl"], "--out", out)
    assert (answer.code, answer.out.strip()) == (0, str(out)), answer.err
    return out


def test_it_loads_unchanged_and_says_the_same(world: World, exported: Path) -> None:
    checkpoint = world.runs["rl"] / "checkpoints" / "step_000006"
    model, own = (AutoModelForCausalLM.from_pretrained(path) for path in (exported, checkpoint))
    with torch.no_grad():
        assert torch.equal(model(IDS).logits, own(IDS).logits)
    tokenizer = AutoTokenizer.from_pretrained(exported)
    assert tokenizer.get_vocab() == AutoTokenizer.from_pretrained(checkpoint).get_vocab()
    assert tokenizer.eos_token_id in model.generation_config.eos_token_id
    names = {path.name for path in exported.iterdir()}
    assert {"README.md", "config.json", "generation_config.json", "model.safetensors", "tokenizer.json"} <= names
    assert all(path.stat().st_mode & 0o777 == 0o644 for path in exported.iterdir())
    assert not names & {"state.json", "optimizer.safetensors", "manifest.json", "adapter"}


def test_an_adapter_is_merged(world: World, tmp_path: Path) -> None:
    from peft import PeftModel

    run, out = tmp_path / "run", tmp_path / "out"
    settings = ["--set", "lora={rank: 2}", "--set", "train.max_steps=2", "--set", "train.learning_rate=0.03"]
    assert call("rl", world.configs["rl"], "--run", run, *settings, "--set", "eval=null").code == 0
    assert call("export", run, "--out", out).code == 0
    base = AutoModelForCausalLM.from_pretrained(world.runs["sft"] / "checkpoints" / "step_000006")
    with torch.no_grad():
        first = base(IDS).logits
        beside = PeftModel.from_pretrained(base, str(run / "checkpoints" / "step_000002" / "adapter"))(IDS).logits
        assert (AutoModelForCausalLM.from_pretrained(out)(IDS).logits - beside).abs().max() < 1e-4
        assert (first - beside).abs().max() > 1e-3
    assert not (out / "adapter").exists()


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_it_is_cast(world: World, tmp_path: Path, dtype: str) -> None:
    checkpoint = world.runs["rl"] / "checkpoints" / "step_000004"
    assert call("export", checkpoint, "--out", tmp_path / "out", "--dtype", dtype).code == 0
    before, after = load_file(checkpoint / "model.safetensors"), load_file(tmp_path / "out" / "model.safetensors")
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name].to(getattr(torch, dtype)), after[name]) for name in after)
    assert json.loads((tmp_path / "out" / "config.json").read_text())["dtype"] == dtype


def test_the_card_says_what_the_model_is(world: World, exported: Path) -> None:
    text = (exported / "README.md").read_text()
    _, front, body = text.split("---\n", 2)
    assert yaml.safe_load(front)["tags"] == ["rlvr", "rl"]
    assert "pretraining from scratch, then supervised fine-tuning, then RL with verifiable rewards" in body
    assert "| steps | 6 of 6 |\n| learnt from | modsum |\n| rewarded for | exact |\n| algo | preset reinforce |" in body
    measured = json.loads((world.runs["eval"] / "eval.json").read_text())
    assert f"{measured['eval/modsum/accuracy']:.3f}" in body
    assert "By `rlvr eval`, on the test split, sampled at temperature 1.0" in body
    versions = json.loads((world.runs["rl"] / "environment.json").read_text())["versions"]
    assert all(f"| {name} | {version.replace('_', chr(92) + '_')} |" in body for name, version in versions.items())
    assert str(world.folder) not in text  # where things were on this machine


def test_the_card_of_an_earlier_checkpoint_has_that_steps_evaluation_or_none(world: World, tmp_path: Path) -> None:
    assert call("export", world.runs["rl"] / "checkpoints" / "step_000004", "--out", tmp_path / "out").code == 0
    text = (tmp_path / "out" / "README.md").read_text()
    assert "None of this model" in text
    assert "| steps | 4 of 6 |" in text


def test_a_base_on_the_hub_is_named_and_text_of_the_run_stays_text(world: World, tmp_path: Path) -> None:
    run = tmp_path / "a|b"
    shutil.copytree(world.runs["sft"], run)
    config = yaml.safe_load((run / "config.yaml").read_text())
    (run / "config.yaml").write_text(yaml.safe_dump({**config, "model": "owner/name", "seed": 5}))
    assert call("export", run, "--out", tmp_path / "out").code == 0
    text = (tmp_path / "out" / "README.md").read_text()
    assert yaml.safe_load(text.split("---\n", 2)[1])["base_model"] == "owner/name"
    assert "# a\\|b\n" in text
    assert "supervised fine-tuning of owner/name" in text


def test_what_cannot_be_exported_is_one_line(world: World, tmp_path: Path, refused: Callable[..., str]) -> None:
    out = tmp_path / "out"
    assert "has no checkpoint" in refused("export", world.runs["eval"], "--out", out)
    assert "is neither a run directory nor one of its checkpoints" in refused("export", tmp_path, "--out", out)
    assert "--dtype: unknown type; got 'int4'" in refused("export", world.runs["rl"], "--out", out, "--dtype", "int4")
    assert not out.exists()
    out.mkdir()
    (out / "mine").write_text("kept")
    assert "is there already" in refused("export", world.runs["rl"], "--out", out)
    assert [path.name for path in out.iterdir()] == ["mine"]
    copy = shutil.copytree(world.runs["rl"] / "checkpoints", tmp_path / "run" / "checkpoints").parent
    shutil.copy(world.runs["rl"] / "config.yaml", copy)
    damaged = copy / "checkpoints" / "step_000006"
    (damaged / "config.json").write_text("{}")
    assert "is a damaged checkpoint" in refused("export", damaged, "--out", tmp_path / "other")


def test_numbers_too_large_for_a_type_are_refused(world: World, tmp_path: Path, refused: Callable[..., str]) -> None:
    from safetensors.torch import save_file

    from rlvr.runtime.manifest import seal

    run = shutil.copytree(world.runs["sft"], tmp_path / "run")
    file = run / "checkpoints" / "step_000006" / "model.safetensors"
    weights = load_file(file)
    weights["model.norm.weight"][0] = 1e5
    save_file(weights, file, metadata={"format": "pt"})
    seal(file.parent)
    line = refused("export", run, "--out", tmp_path / "out", "--dtype", "float16")
    assert "--dtype: has no numbers as large as some weights; got 'float16'; allowed: float32, bfloat16" in line
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]


def test_its_help_loads_nothing_heavy() -> None:
    assert not loaded("export", "--help") & {"torch", "transformers", "peft"}


def test_a_gguf_file_beside_it_is_a_model_to_be_evaluated(
    world: World, tmp_path: Path, refused: Callable[..., str]
) -> None:
    settings = ("train.max_steps=1", "model.max_positions=256", "tokenizer={kind: bpe, vocab_size: 300}")
    options = [word for setting in settings for word in ("--set", setting)]
    assert call("pretrain", world.configs["pretrain"], "--run", tmp_path / "run", *options).code == 0
    assert call("export", tmp_path / "run", "--out", tmp_path / "out", "--gguf").code == 0
    for name, model in (("gguf", tmp_path / "out" / "model.gguf"), ("plain", tmp_path / "out")):
        more = ["--set", f"model={model}", "--set", "eval={problems: 2, samples: 1}"]
        assert call("eval", world.configs["eval"], "--run", tmp_path / name, *more).code == 0
    losses = [
        json.loads((tmp_path / name / "eval.json").read_text())["eval/documents/loss"] for name in ("gguf", "plain")
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    line = refused("export", world.runs["rl"], "--out", tmp_path / "words", "--gguf")
    assert (
        "--gguf: the model cannot be written as a GGUF file: its tokenizer has no byte pairs; leave out --gguf" in line
    )
    assert not (tmp_path / "words").exists()
