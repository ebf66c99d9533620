"""Losses on two rows of three tokens whose probabilities are known.

The model gives its trained tokens the probabilities 0.25 and 0.5 (row 0) and 0.8 (row 1), over two tokens.
"""

import math
from types import SimpleNamespace

import pytest
import torch

from rlvr.train.losses import LOGPROB_GAP, cross_entropy, policy_gradient
from rlvr.types import Batch

PROBABILITY_OF_ONE = [[0.25, 0.5, 0.9], [0.9, 0.8, 0.9]]  # what each place says of the next token
IDS = torch.tensor([[0, 1, 1], [0, 0, 1]])
TRAINED = torch.tensor([[False, True, True], [False, False, True]])


class Table(torch.nn.Module):
    """A model whose logits (2, 3, 2) are its parameters."""

    def __init__(self):
        super().__init__()
        share = torch.tensor(PROBABILITY_OF_ONE)
        self.logits = torch.nn.Parameter(torch.stack([1 - share, share], dim=-1).log())

    def forward(self, *, input_ids, attention_mask, use_cache, logits_to_keep):
        return SimpleNamespace(logits=self.logits[:, -logits_to_keep:])


def batch_of(advantages=((0, 1, 1), (0, 0, 1)), old_logprobs=((0, 0, 0), (0, 0, 0))):
    return Batch(
        input_ids=IDS,
        attention_mask=None,
        loss_mask=TRAINED,
        advantages=torch.tensor(advantages, dtype=torch.float32),
        old_logprobs=torch.tensor(old_logprobs, dtype=torch.float32),
    )


def gradient(loss, batch):
    model = Table()
    loss(model, batch).loss_sum.backward()
    return model.logits.grad


def test_cross_entropy_is_minus_the_sum_of_the_logprobs():
    loss = cross_entropy(Table(), batch_of()).loss_sum
    assert loss.item() == pytest.approx(math.log(10))  # 1 / (0.25 · 0.5 · 0.8) = 10


def test_entropy_is_summed_over_the_trained_tokens():
    entropy = cross_entropy(Table(), batch_of()).sums["train/entropy"]
    assert entropy.item() == pytest.approx(0.5623351 + 0.6931472 + 0.5004024)


def test_policy_gradient_weights_each_logprob_with_its_advantage():
    loss = policy_gradient(1.0)(Table(), batch_of(advantages=[[0, 2, 2], [0, 0, -1]])).loss_sum
    assert loss.item() == pytest.approx(6 * math.log(2) + math.log(0.8))


def test_the_temperature_shapes_the_policy():
    loss = policy_gradient(0.5)(Table(), batch_of()).loss_sum
    # Probabilities squared and normalised: 0.1, 0.5 and 16/17.
    assert loss.item() == pytest.approx(-math.log(0.1 * 0.5 * 16 / 17))


def test_the_largest_gap_to_the_sampled_logprobs_is_measured():
    old = [[9, math.log(0.25) + 0.01, math.log(0.5) + 0.3], [9, 9, math.log(0.8)]]
    maxima = policy_gradient(1.0)(Table(), batch_of(old_logprobs=old)).maxima
    assert maxima[LOGPROB_GAP].item() == pytest.approx(0.3)


def test_what_is_measured_carries_no_gradient():
    output = policy_gradient(1.0)(Table(), batch_of())
    assert output.loss_sum.requires_grad
    assert not any(value.requires_grad for value in [*output.sums.values(), *output.maxima.values()])


def test_the_gradient_of_one_token_is_its_distribution_minus_the_token():
    at_first = gradient(cross_entropy, batch_of())[0, 0]
    assert at_first.tolist() == pytest.approx([0.75, 0.25 - 1])


def test_places_that_predict_no_trained_token_get_no_gradient():
    at_rest = gradient(cross_entropy, batch_of())
    assert at_rest[0, 2].tolist() == at_rest[1, 0].tolist() == at_rest[1, 2].tolist() == [0, 0]


def test_policy_gradient_with_advantage_one_has_the_gradient_of_cross_entropy():
    torch.testing.assert_close(gradient(policy_gradient(1.0), batch_of()), gradient(cross_entropy, batch_of()))


def test_advantage_zero_has_no_gradient():
    assert not gradient(policy_gradient(1.0), batch_of(advantages=[[0, 0, 0], [0, 0, 0]])).any()


def test_the_gradient_is_that_of_finite_differences():
    advantages, temperature, small = [[0, 0.7, -0.3], [0, 0, 1.5]], 0.6, 1e-6
    logits = Table().logits.detach().double()

    def objective(logits):
        total = 0.0
        for row, column in TRAINED.nonzero().tolist():
            logprobs = torch.log_softmax(logits[row, column - 1] / temperature, dim=-1)
            total -= advantages[row][column] * logprobs[IDS[row, column]].item()
        return total

    expected = torch.zeros(2, 3, 2)
    for place in range(12):
        step = torch.zeros(12, dtype=torch.float64)
        step[place] = small
        step = step.view(2, 3, 2)
        expected.view(-1)[place] = (objective(logits + step) - objective(logits - step)) / (2 * small)
    found = gradient(policy_gradient(temperature), batch_of(advantages=advantages))
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)
