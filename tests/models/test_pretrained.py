"""Loading a model by its name, and what is said where that cannot be done."""

import os

import pytest
import torch
from safetensors.torch import load_file, save_file

from rlvr.config import ModelConfig, PromptConfig, TokenizerConfig
from rlvr.errors import RlvrError
from rlvr.models.pretrained import load_model, restore_weights, save_model
from rlvr.models.scratch import build_model
from rlvr.models.tokenizer import build_tokenizer

CPU = torch.device("cpu")
TOKENIZER = build_tokenizer(TokenizerConfig(), ["0 1 2 3 4 ="], max_length=32)


def build(seed=0):
    return build_model(ModelConfig(layers=1, width=16, heads=2), TOKENIZER, seed=seed, device=CPU)


@pytest.fixture
def saved(tmp_path):
    save_model(build(), TOKENIZER, tmp_path / "model")
    return tmp_path / "model"


def same_weights(first, second):
    return all(torch.equal(value, second.state_dict()[name]) for name, value in first.state_dict().items())


def test_a_saved_model_is_loaded_bit_by_bit_and_out_of_training(saved):
    model, codec = load_model(str(saved), PromptConfig(), CPU)
    assert same_weights(model, build())
    assert not model.training
    assert codec.stop_ids == [TOKENIZER.eos_token_id]


def test_a_model_saved_in_half_precision_is_loaded_in_float32(saved):
    save_model(build().to(torch.bfloat16), TOKENIZER, saved)
    assert load_model(str(saved), PromptConfig(), CPU)[0].dtype is torch.float32


def test_the_end_tokens_of_the_generation_settings_stop_a_response(saved):
    model = build()
    model.generation_config.eos_token_id = [2, 9]
    save_model(model, TOKENIZER, saved)
    assert load_model(str(saved), PromptConfig(), CPU)[1].stop_ids == [2, 9]


def test_weights_are_restored_in_place(saved):
    model = build(seed=1)
    restore_weights(model, saved)
    assert same_weights(model, build())


@pytest.mark.check("R19")
def test_weights_of_another_model_are_not_restored(saved):
    other = build_model(ModelConfig(layers=2, width=16, heads=2), TOKENIZER, seed=0, device=CPU)
    with pytest.raises(RlvrError, match="is of another model"):
        restore_weights(other, saved)


@pytest.mark.check("R24")
def test_what_a_checkpoint_may_not_hold_is_refused_when_it_is_restored(saved):
    (saved / "adapter_config.json").write_text("{}")
    with pytest.raises(RlvrError, match="it is an adapter"):
        restore_weights(build(), saved)


def test_a_path_at_which_nothing_is(tmp_path):
    with pytest.raises(RlvrError, match="model: no such file or directory"):
        load_model(str(tmp_path / "nothing"), PromptConfig(), CPU)


def without_a_tensor(folder):
    tensors = load_file(folder / "model.safetensors")
    del tensors["model.layers.0.mlp.up_proj.weight"]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def with_a_tensor_of_another_shape(folder):
    tensors = load_file(folder / "model.safetensors")
    tensors["model.norm.weight"] = torch.ones(3)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


DAMAGE = {
    "no weights": lambda folder: (folder / "model.safetensors").write_bytes(b""),
    "garbage for weights": lambda folder: (folder / "model.safetensors").write_bytes(b"\x02" + bytes(7) + b"{{"),
    "weights cut off": lambda folder: os.truncate(folder / "model.safetensors", 5000),
    "a tensor is missing": without_a_tensor,
    "a tensor of another shape": with_a_tensor_of_another_shape,
    "config cut off": lambda folder: (folder / "config.json").write_text('{"model_type": "lla'),
    "config of no known model": lambda folder: (folder / "config.json").write_text('{"model_type": "no_such_model"}'),
    "no tokenizer": lambda folder: (folder / "tokenizer.json").unlink(),
    "tokenizer cut off": lambda folder: (folder / "tokenizer.json").write_text('{"version": '),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_model_is_the_users_error(damage, saved):
    damage(saved)
    with pytest.raises(RlvrError, match=r"model: cannot be loaded|is not a safetensors file"):
        load_model(str(saved), PromptConfig(), CPU)
