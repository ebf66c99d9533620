"""Frozen parts do not move and cost no optimizer state; layers that are computed again give the same gradient from less memory."""

import copy

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from rlvr.config import LoraConfig, TrainConfig
from rlvr.data.batching import collate
from rlvr.errors import RlvrError
from rlvr.models.logprobs import token_logprobs
from rlvr.models.trained import choose_trained
from rlvr.train.optim import make_optimizer
from rlvr.types import Sample

STEPS = {"max_steps": 4, "learning_rate": 0.1}
ROWS = [[1, 6, 7, 8, 5, 6], [1, 6, 7, 4], [1, 6, 9, 9, 9, 3, 2]]  # which share a prefix


def llama(*, tied=True):
    torch.manual_seed(0)
    shape = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4}
    return LlamaForCausalLM(LlamaConfig(vocab_size=16, tie_word_embeddings=tied, **shape)).eval()


def gpt2():
    torch.manual_seed(0)
    return GPT2LMHeadModel(GPT2Config(vocab_size=16, n_embd=32, n_layer=3, n_head=4, n_positions=16)).eval()


def loss_of(model):
    samples = [Sample(token_ids=row, loss_mask=[False, False] + [True] * (len(row) - 2)) for row in ROWS]
    return token_logprobs(model, collate(samples, 0, torch.device("cpu")))[0].sum()


def gradient(model):
    """The gradient by name, and how many numbers autograd kept for it."""
    kept = 0

    def keep(tensor):
        nonlocal kept
        kept += tensor.numel()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = loss_of(model)
    loss.backward()
    return {name: each.grad for name, each in model.named_parameters() if each.grad is not None}, kept


@pytest.mark.parametrize("build", [llama, gpt2])
def test_computing_layers_again_leaves_the_same_gradient_and_keeps_less(build):
    plain, again = build(), build()
    choose_trained(again, TrainConfig(**STEPS, gradient_checkpointing=True))
    (expected, before), (found, after) = gradient(plain), gradient(again)
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    assert after < before / 3


def test_it_does_the_same_below_an_adapter_and_in_a_copy_of_the_model():
    lora, models = LoraConfig(rank=2), []
    for again in (None, True):
        model = llama()
        choose_trained(model, TrainConfig(**STEPS, gradient_checkpointing=again), lora)
        models.append(model)
    expected = gradient(models[0])[0]
    for model in (copy.deepcopy(models[1]), models[1]):
        found = gradient(model)[0]
        assert expected.keys() == found.keys()
        assert all("lora_" in name and torch.equal(expected[name], found[name]) for name in expected)


@pytest.mark.parametrize(
    ("freeze", "stays"),
    [
        (["embeddings"], {"model.embed_tokens.weight"}),
        (["head", "model.norm.weight"], {"lm_head.weight", "model.norm.weight"}),
        (["*.layers.[01].*"], None),
    ],
)
def test_what_is_frozen_stays_as_it_is_and_has_no_optimizer_state(freeze, stays):
    model = llama(tied=False)
    config = TrainConfig(**STEPS, freeze=freeze)
    choose_trained(model, config)
    before = {name: each.detach().clone() for name, each in model.named_parameters()}
    optimizer = make_optimizer(model, config)
    (-loss_of(model)).backward()
    optimizer.step()
    same = {name for name, each in model.named_parameters() if torch.equal(each, before[name])}
    expected = stays or {name for name in before if ".layers.0." in name or ".layers.1." in name}
    assert same == expected
    states = {name for name, each in model.named_parameters() if optimizer.state_of(each)}
    assert states == before.keys() - expected


def test_what_cannot_be_frozen_is_one_line():
    for freeze, message in (
        (["head"], "tied to the embeddings"),
        (["lm_hed*"], "no such parameters; got 'lm_hed*'"),
        (["*"], "leaves nothing to train"),
    ):
        with pytest.raises(RlvrError) as error:
            choose_trained(llama(), TrainConfig(**STEPS, freeze=freeze))
        assert message in str(error.value)
