"""Schedules by hand, which parameters decay, and which have a rate or an optimizer of their own."""

import pytest
import torch

from rlvr.config import ModelConfig, TokenizerConfig, TrainConfig
from rlvr.errors import RlvrError
from rlvr.models.scratch import build_model
from rlvr.models.tokenizer import build_tokenizer
from rlvr.train.optim import learning_rate, make_optimizer


def config(**keys):
    return TrainConfig(**{"max_steps": 12, "learning_rate": 2.0, **keys})


def rates(steps, **keys):
    return [learning_rate(config(**keys), step) for step in steps]


def test_a_constant_rate():
    assert rates([1, 7, 12]) == [2.0, 2.0, 2.0]


def test_warm_up_is_linear_and_ends_at_the_full_rate():
    assert rates([1, 2, 4, 5, 12], warmup_steps=4) == [0.5, 1.0, 2.0, 2.0, 2.0]


def test_cosine_falls_to_a_tenth_at_the_last_step():
    # Between steps 4 and 12 the half-way point is 8: 0.1 + 0.9 / 2 = 0.55 of the rate.
    assert rates([2, 4, 8, 12], schedule="cosine", warmup_steps=4) == pytest.approx([1.0, 2.0, 1.1, 0.2])


def test_cosine_without_warm_up_begins_to_fall_at_the_first_step():
    assert rates([4, 8, 12], schedule="cosine") == pytest.approx([0.2 + 1.8 * 0.75, 0.2 + 1.8 * 0.25, 0.2])


def test_a_run_of_warm_up_alone_reaches_the_full_rate():
    assert rates([6, 12], schedule="cosine", warmup_steps=12) == [1.0, 2.0]


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_matrices_decay_and_vectors_do_not(optimizer):
    layer = torch.nn.Linear(2, 3)
    torch.nn.init.ones_(layer.weight)
    torch.nn.init.ones_(layer.bias)
    for parameter in layer.parameters():
        parameter.grad = torch.zeros_like(parameter)
    make_optimizer(layer, config(optimizer=optimizer, learning_rate=0.5, weight_decay=0.2)).step()
    assert layer.weight.unique().tolist() == pytest.approx([1 - 0.5 * 0.2])
    assert layer.bias.unique().tolist() == [1.0]


def test_frozen_parameters_are_left_out():
    layer = torch.nn.Linear(2, 3)
    layer.bias.requires_grad_(False)
    groups = make_optimizer(layer, config()).param_groups
    assert [parameter is layer.weight for group in groups for parameter in group["params"]] == [True]


def test_the_first_adamw_step_is_the_learning_rate_in_the_gradients_direction():
    layer = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.zeros_(layer.weight)
    layer.weight.grad = torch.tensor([[-3.0]])
    make_optimizer(layer, config(learning_rate=0.1)).step()
    assert layer.weight.item() == pytest.approx(0.1)


def test_sgd_with_momentum_adds_a_share_of_the_last_step():
    layer = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.zeros_(layer.weight)
    optimizer = make_optimizer(layer, config(optimizer="sgd", learning_rate=0.1, momentum=0.5))
    for _ in range(2):
        layer.weight.grad = torch.tensor([[1.0]])
        optimizer.step()
    assert layer.weight.item() == pytest.approx(-0.1 - 0.15)


def test_linear_falls_to_a_tenth_at_the_last_step():
    assert rates([2, 4, 8, 12], schedule="linear", warmup_steps=4) == pytest.approx([1.0, 2.0, 1.1, 0.2])


def test_wsd_is_constant_until_its_last_fifth():
    # Of 10 steps the first 8 are at the full rate, and 9 is half-way down.
    found = rates([1, 2, 8, 9, 10], schedule="wsd", warmup_steps=2, max_steps=10)
    assert found == pytest.approx([1.0, 2.0, 2.0, 1.1, 0.2])


def test_a_group_follows_the_schedule_to_its_own_peak():
    keys = config(schedule="linear", warmup_steps=4)
    assert [learning_rate(keys, step, 0.5) for step in (2, 4, 8, 12)] == pytest.approx([0.25, 0.5, 0.275, 0.05])


def transformer(**fields):
    tokenizer = build_tokenizer(TokenizerConfig(), ["0 1 2 3 4 ="], max_length=32)
    dials = ModelConfig(layers=1, width=16, heads=2, **fields)
    return build_model(dials, tokenizer, seed=0, device=torch.device("cpu"))


def peaks(model, companion=None, **keys):
    """Every parameter's peak rate, by name."""
    optimizer = make_optimizer(model, config(**keys), companion)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return {
        names.get(id(parameter), "companion"): group["peak"]
        for group in optimizer.param_groups
        for parameter in group["params"]
    }


def test_parts_of_a_model_have_rates_of_their_own():
    rates = {"embeddings": 0.1, "head": 0.2, "hidden": 0.3, "vectors": 0.4, "value": 0.5}
    found = peaks(transformer(tie_embeddings=False), torch.nn.Linear(2, 1), learning_rates=rates)
    assert found.pop("model.embed_tokens.weight") == 0.1
    assert found.pop("lm_head.weight") == 0.2
    assert found.pop("companion") == 0.5
    assert {rate for name, rate in found.items() if "norm" in name} == {0.4}
    assert {rate for name, rate in found.items() if "norm" not in name} == {0.3}


def test_a_part_without_a_rate_has_that_of_all():
    found = peaks(transformer(), learning_rates={"embeddings": 0.1})
    assert {name for name, rate in found.items() if rate == 0.1} == {"model.embed_tokens.weight"}
    assert set(found.values()) == {0.1, 2.0}


@pytest.mark.parametrize("part", ["head", "value"])
def test_a_rate_for_what_is_not_there_is_refused(part):
    with pytest.raises(RlvrError, match=rf"train.learning_rates.{part}: the model has no such parameters of its own"):
        peaks(transformer(), learning_rates={part: 0.1})


def moved(optimizer, model):
    """Each parameter's change in one step with a gradient of ones and noise."""
    torch.manual_seed(0)
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    for parameter in model.parameters():
        parameter.grad = 1 + torch.randn_like(parameter)
    made = make_optimizer(model, config(optimizer=optimizer, learning_rate=0.01))
    made.step()
    return {name: parameter.detach() - before[name] for name, parameter in model.named_parameters()}


def test_muon_turns_hidden_matrices_and_leaves_the_rest_to_adamw():
    muon, adamw = moved("muon", transformer()), moved("adamw", transformer())
    for name, change in muon.items():
        is_hidden = "norm" not in name and "embed" not in name
        assert torch.equal(change, adamw[name]) != is_hidden
        if is_hidden:  # near to an orthogonal matrix: all singular values alike
            values = torch.linalg.svdvals(change)
            assert values.max() < 3 * values.min()


def test_muon_is_refused_where_torch_has_none(monkeypatch):
    monkeypatch.delattr(torch.optim, "Muon")
    with pytest.raises(
        RlvrError, match=r"train\.optimizer: needs torch 2\.9 or later; got 'muon'; allowed: adamw, sgd"
    ):
        make_optimizer(transformer(), config(optimizer="muon"))
