"""A checkpoint is whole or absent, is read back bit by bit, and holds no pickles."""

import pytest
import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from rlvr.config import ModelConfig, TokenizerConfig, TrainConfig
from rlvr.errors import RlvrError
from rlvr.models.scratch import build_model
from rlvr.models.tokenizer import build_tokenizer
from rlvr.runtime.manifest import seal
from rlvr.runtime.saved import recover
from rlvr.train.checkpoint import Checkpoints, TrainState
from rlvr.train.optim import make_optimizer

CPU = torch.device("cpu")
TOKENIZER = build_tokenizer(TokenizerConfig(), ["0 1 2 3 4 ="], max_length=32)
MODELS = {
    "tied": ModelConfig(layers=1, width=16, heads=2),
    "experts": ModelConfig(family="qwen3_moe", layers=1, width=16, heads=2, experts=4, experts_per_token=2),
}
OPTIMIZERS = {
    "adamw": TrainConfig(max_steps=9, learning_rate=0.01, weight_decay=0.1),
    "sgd with momentum": TrainConfig(max_steps=9, learning_rate=0.01, optimizer="sgd", momentum=0.9),
    "sgd": TrainConfig(max_steps=9, learning_rate=0.01, optimizer="sgd"),
    "muon": TrainConfig(max_steps=9, learning_rate=0.01, optimizer="muon"),
}


def checkpoints_in(folder, *, model=MODELS["tied"], config=OPTIMIZERS["adamw"], seed=0, keep=3):
    """The checkpoints of a run with a fresh model and optimizer."""
    built = build_model(model, TOKENIZER, seed=seed, device=CPU)
    return Checkpoints(
        folder=folder, model=built, tokenizer=TOKENIZER, optimizer=make_optimizer(built, config), keep=keep
    )


def train(checkpoints, *steps):
    """Updates on a few fixed tokens, different at each step."""
    for step in steps:
        checkpoints.optimizer.zero_grad()
        ids = torch.tensor([[1, 6 + step % 5, 7, 8, 2]])
        checkpoints.model(input_ids=ids, labels=ids).loss.backward()
        checkpoints.optimizer.step()


def state_at(step):
    return TrainState(step=step, source={"next": 10 * step})


def same_weights(first, second):
    mine, theirs = first.model.state_dict(), second.model.state_dict()
    return mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in mine)


@pytest.mark.parametrize("config", OPTIMIZERS.values(), ids=OPTIMIZERS)
@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_a_resumed_run_goes_on_bit_by_bit(model, config, tmp_path):
    straight = checkpoints_in(tmp_path, model=model, config=config)
    train(straight, 1, 2)
    straight.save(state_at(2))
    resumed = checkpoints_in(tmp_path, model=model, config=config, seed=1)
    assert resumed.resume() == state_at(2)
    assert same_weights(resumed, straight)
    train(straight, 3, 4)
    train(resumed, 3, 4)
    assert same_weights(resumed, straight)


def test_the_state_comes_back_as_it_was(tmp_path):
    state = TrainState(step=3, source={"next": 7}, row={"train/loss": 0.1 + 0.2, "tokens/train": 12}, nonfinite=2)
    checkpoints_in(tmp_path).save(state)
    assert checkpoints_in(tmp_path).resume() == state


def test_there_is_nothing_to_resume_at_first(tmp_path):
    assert checkpoints_in(tmp_path).resume() is None


def test_the_newest_checkpoint_is_resumed(tmp_path):
    checkpoints = checkpoints_in(tmp_path)
    for step in (2, 10):
        checkpoints.save(state_at(step))
    assert checkpoints.resume() == state_at(10)


def test_only_the_newest_are_kept(tmp_path):
    checkpoints = checkpoints_in(tmp_path, keep=2)
    for step in (1, 2, 3, 4):
        checkpoints.save(state_at(step))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["latest", "step_000003", "step_000004"]


def test_latest_names_the_newest(tmp_path):
    checkpoints = checkpoints_in(tmp_path)
    for step in (1, 2):
        checkpoints.save(state_at(step))
        assert (tmp_path / "latest").read_text() == f"step_00000{step}\n"


def test_saving_a_step_again_replaces_it(tmp_path):
    checkpoints = checkpoints_in(tmp_path)
    checkpoints.save(TrainState(step=1, source={}, row={"train/loss": 1.0}))
    train(checkpoints, 1)
    checkpoints.save(state_at(1))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["latest", "step_000001"]
    resumed = checkpoints_in(tmp_path, seed=1)
    assert resumed.resume() == state_at(1)
    assert same_weights(resumed, checkpoints)


def test_what_a_crash_left_half_written_is_ignored_and_removed(tmp_path):
    checkpoints = checkpoints_in(tmp_path)
    checkpoints.save(state_at(1))
    (tmp_path / ".tmp-step_000002").mkdir()
    (tmp_path / ".tmp-step_000002" / "state.json").write_text("{")
    (tmp_path / ".tmp-latest").write_text("step_000002")
    recover(tmp_path)
    assert checkpoints.resume() == state_at(1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["latest", "step_000001"]


def test_a_crash_between_the_two_renames_of_a_replacement_loses_no_checkpoint(tmp_path):
    checkpoints = checkpoints_in(tmp_path, keep=1)
    checkpoints.save(state_at(1))
    (tmp_path / "step_000001").rename(tmp_path / ".tmp-old-step_000001")
    recover(tmp_path)
    assert checkpoints.resume() == state_at(1)


def test_a_checkpoint_holds_safetensors_and_text_alone(tmp_path):
    checkpoints = checkpoints_in(tmp_path)
    train(checkpoints, 1)
    checkpoints.save(state_at(1))
    files = {file.name: file for file in (tmp_path / "step_000001").rglob("*")}
    assert {"model.safetensors", "optimizer.safetensors", "state.json", "config.json", "tokenizer.json"} <= set(files)
    for file in files.values():
        assert file.suffix in {".safetensors", ".json", ".jinja", ".txt"}
        if file.suffix != ".safetensors":
            file.read_bytes().decode("utf-8")


def test_plain_transformers_loads_a_checkpoint(tmp_path):
    checkpoints = checkpoints_in(tmp_path)
    train(checkpoints, 1)
    checkpoints.save(state_at(1))
    plain = AutoModelForCausalLM.from_pretrained(tmp_path / "step_000001")
    ids = AutoTokenizer.from_pretrained(tmp_path / "step_000001")("0 1 2", return_tensors="pt")["input_ids"]
    torch.testing.assert_close(plain(ids).logits, checkpoints.model(ids).logits, atol=1e-5, rtol=0)


def test_the_optimizer_of_another_model_is_refused(tmp_path):
    checkpoints = checkpoints_in(tmp_path)
    checkpoints.save(state_at(1))
    save_file({"model.layers.9.weight.exp_avg": torch.zeros(1)}, tmp_path / "step_000001" / "optimizer.safetensors")
    seal(tmp_path / "step_000001")
    with pytest.raises(RlvrError, match=r"is of another model; got 'model\.layers\.9"):
        checkpoints.resume()
