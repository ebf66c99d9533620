"""Schedules by hand, and which parameters decay."""

import pytest
import torch

from rlvr.config import TrainConfig
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
