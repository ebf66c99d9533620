"""Losses on two rows of three tokens whose probabilities are known.

The model gives its trained tokens the probabilities 0.25 and 0.5 (row 0) and 0.8 (row 1), over two tokens.
"""

import math
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from rlvr.config import AlgoConfig
from rlvr.data.batching import collate
from rlvr.train.losses import LOGPROB_GAP, cross_entropy, policy_loss, with_effective_samples
from rlvr.types import Sample

PROBABILITY_OF_ONE = [[0.25, 0.5, 0.9], [0.9, 0.8, 0.9]]  # what each place says of the next token
IDS = torch.tensor([[0, 1, 1], [0, 0, 1]])
TRAINED = torch.tensor([[False, True, True], [False, False, True]])


class Table(torch.nn.Module):
    """A model whose logits (2, 3, 2) are its parameters."""

    def __init__(self):
        super().__init__()
        share = torch.tensor(PROBABILITY_OF_ONE)
        self.logits = torch.nn.Parameter(torch.stack([1 - share, share], dim=-1).log())

    def forward(self, *, input_ids, use_cache, logits_to_keep):
        return SimpleNamespace(logits=self.logits[:, : input_ids.shape[1]][:, -logits_to_keep:])


def batch_of(advantages=((0, 1, 1), (0, 0, 1)), old_logprobs=((0, 0, 0), (0, 0, 0)), **fields):
    rows = [Sample(token_ids=ids, loss_mask=mask) for ids, mask in zip(IDS.tolist(), TRAINED.tolist(), strict=True)]
    return replace(
        collate(rows, 0, torch.device("cpu")),
        advantages=torch.tensor(advantages, dtype=torch.float32),
        old_logprobs=torch.tensor(old_logprobs, dtype=torch.float32),
        **fields,
    )


def policy_gradient(temperature):
    """The loss of a batch that is used once."""
    return policy_loss(AlgoConfig.model_validate({}), temperature)


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


# --------------------------------------------------------------------------------------------------- off-policy

# The trained tokens were twice, half and 0.8 times as likely when sampled: ratios 0.5, 2 and 1 / 0.8 = 1.25.
OLD = [[0, math.log(0.5), math.log(0.25)], [0, 0, math.log(0.64)]]


def algo(**fields):
    return AlgoConfig.model_validate({"updates_per_batch": 2, **fields})


def off_policy(fields, advantages=((0, 1, 1), (0, 0, 1)), **rest):
    """The output of a loss on a batch whose rollouts are of the policy with logprobs OLD."""
    batch = batch_of(advantages=advantages, old_logprobs=OLD, on_policy=False, **rest)
    return policy_loss(algo(**fields), 1.0)(Table(), batch)


CLIPPED = {"loss": "clipped", "clip_low": 0.2, "clip_high": 0.3}
TRUNCATED = {"loss": "truncated", "cap": 1.5}
LOGS = [math.log(0.25), math.log(0.5), math.log(0.8)]


@pytest.mark.parametrize(
    ("fields", "advantages", "expected", "share"),
    [
        # min(r A, clip(r) A): at A > 0 a ratio of 0.5 stays and one of 2 is held at 1.3.
        (CLIPPED, [[0, 1, 1], [0, 0, 1]], -(0.5 + 1.3 + 1.25), 1),
        # At A < 0 the ratio of 0.5 is held at 0.8 and that of 2 stays.
        (CLIPPED, [[0, -1, -1], [0, 0, -1]], 0.8 + 2 + 1.25, 1),
        (CLIPPED, [[0, -2, 3], [0, 0, 4]], -(-2 * 0.8 + 3 * 1.3 + 4 * 1.25), 2),
        ({**CLIPPED, "cap": 1.5}, [[0, -1, -1], [0, 0, -1]], 0.8 + 1.5 + 1.25, 2),
        ({**CLIPPED, "cap": 1.5}, [[0, 1, 1], [0, 0, 1]], -(0.5 + 1.3 + 1.25), 1),
        # By sequence: row 0 has 0.5 · 2 = 1, row 1 has 1.25.
        ({**CLIPPED, "ratio": "sequence"}, [[0, 1, 1], [0, 0, 1]], -(1 + 1 + 1.25), 0),
        ({**CLIPPED, "ratio": "geometric", "clip_high": 0.1}, [[0, 1, 1], [0, 0, 1]], -(1 + 1 + 1.1), 1),
        # Truncated: constant weights 0.5, 1.5 and 1.25 on the log-probabilities.
        (TRUNCATED, [[0, 1, 1], [0, 0, 1]], -(0.5 * LOGS[0] + 1.5 * LOGS[1] + 1.25 * LOGS[2]), 1),
        ({**TRUNCATED, "ratio": "sequence"}, [[0, 2, -1], [0, 0, 1]], -(2 * LOGS[0] - LOGS[1] + 1.25 * LOGS[2]), 0),
        ({"loss": "policy_gradient"}, [[0, 1, 2], [0, 0, 1]], -(LOGS[0] + 2 * LOGS[1] + LOGS[2]), None),
    ],
)  # fmt: skip
def test_losses_by_hand(fields, advantages, expected, share):
    output = off_policy(fields, advantages)
    assert output.loss_sum.item() == pytest.approx(expected, rel=1e-5)
    assert output.sums.get("train/clip_fraction", torch.tensor(-1)).item() == (-1 if share is None else share)


def test_the_geometric_ratio_is_the_root_of_the_product_by_length():
    """Row 0: ratios 0.5 and 4, of which the product is 2 and the root 2^(1/2)."""
    old = [[0, math.log(0.5), math.log(0.125)], [0, 0, math.log(0.8)]]
    batch = batch_of(old_logprobs=old, on_policy=False)
    output = policy_loss(algo(loss="truncated", cap=9.0, ratio="geometric"), 1.0)(Table(), batch)
    assert output.maxima["train/ratio_max"].item() == pytest.approx(math.sqrt(2))


def test_a_held_token_has_no_gradient_and_a_truncated_one_has():
    batch = batch_of(old_logprobs=OLD, on_policy=False)
    # The second token of row 0, ratio 2, A > 0; its logits stand at place 1.
    assert not gradient(policy_loss(algo(**CLIPPED), 1.0), batch)[0, 1].any()
    assert gradient(policy_loss(algo(**TRUNCATED), 1.0), batch)[0, 1].tolist() == pytest.approx([1.5 * 0.5, -1.5 * 0.5])


def test_statistics_of_the_ratios_by_hand():
    output = off_policy({"loss": "policy_gradient"})
    row = {name: value.item() / 3 for name, value in output.sums.items()}
    row = with_effective_samples({**row, "train/ratio_max": output.maxima["train/ratio_max"].item()})
    assert row["train/ratio_mean"] == pytest.approx(3.75 / 3)
    assert row["train/ratio_max"] == pytest.approx(2.0)
    assert row["train/effective_sample_fraction"] == pytest.approx(3.75**2 / 3 / (0.25 + 4 + 1.5625))
    assert LOGPROB_GAP not in output.maxima
    assert "train/ratio_square_mean" not in row


def test_the_loss_of_a_rows_tokens_is_weighted():
    output = off_policy({"loss": "policy_gradient"}, weights=torch.tensor([0.5, 1.0]))
    assert output.loss_sum.item() == pytest.approx(-(0.5 * LOGS[0] + 0.5 * LOGS[1] + LOGS[2]))


def test_a_ratio_is_never_infinite():
    old = [[0, -200.0, -1.0], [0, 0, -1.0]]
    batch = batch_of(old_logprobs=old, on_policy=False, advantages=[[0, -1, 1], [0, 0, 1]])
    for fields in (CLIPPED, TRUNCATED, {**CLIPPED, "ratio": "sequence"}):
        assert torch.isfinite(gradient(policy_loss(algo(**fields), 1.0), batch)).all()


def surrogate(fields, logits, advantages, old):
    """The published objective, to be minimized, in float64 and without gradients: what finite differences are taken of.

    Truncated weights are constants there, so they are taken at the table's own logits.
    """

    def ratios(at):
        logs = torch.log_softmax(at, dim=-1)
        found = [[logs[r, c - 1, IDS[r, c]] - old[r][c] for c in (1, 2) if TRAINED[r, c]] for r in (0, 1)]
        if fields.get("ratio") == "sequence":
            found = [[sum(row)] * len(row) for row in found]
        elif fields.get("ratio") == "geometric":
            found = [[sum(row) / len(row)] * len(row) for row in found]
        return [value.exp() for row in found for value in row]

    signs = [advantages[r][c] for r, c in TRAINED.nonzero().tolist()]
    logs = torch.log_softmax(logits, dim=-1)
    chosen = [logs[r, c - 1, IDS[r, c]] for r, c in TRAINED.nonzero().tolist()]
    if fields["loss"] == "policy_gradient":
        return -sum(a * value for a, value in zip(signs, chosen, strict=True)).item()
    if fields["loss"] == "truncated":
        fixed = [ratio.clamp(max=fields["cap"]) for ratio in ratios(Table().logits.detach().double())]
        return -sum(w * a * value for w, a, value in zip(fixed, signs, chosen, strict=True)).item()
    total = 0.0
    for ratio, a in zip(ratios(logits), signs, strict=True):
        total -= torch.minimum(ratio * a, ratio.clamp(1 - fields["clip_low"], 1 + fields["clip_high"]) * a)
    return total.item()


@pytest.mark.parametrize(
    ("fields", "advantages"),
    [
        ({"loss": "policy_gradient"}, [[0, 0.7, -0.3], [0, 0, 1.5]]),
        (CLIPPED, [[0, 0.7, -0.3], [0, 0, 1.5]]),
        (CLIPPED, [[0, -0.7, 0.3], [0, 0, -1.5]]),
        # A ratio of a whole row: the row's gradient is that of the objective where its tokens have one advantage.
        ({**CLIPPED, "ratio": "geometric"}, [[0, 0.7, 0.7], [0, 0, -1.5]]),
        (TRUNCATED, [[0, 0.7, -0.3], [0, 0, 1.5]]),
        ({**TRUNCATED, "ratio": "sequence"}, [[0, 0.7, -0.3], [0, 0, 1.5]]),
    ],
)  # fmt: skip
def test_gradients_are_those_of_finite_differences_in_float64(fields, advantages):
    small, model = 1e-6, Table().double()
    batch = batch_of(advantages=advantages, old_logprobs=OLD, on_policy=False)
    old = batch.old_logprobs.double().tolist()
    policy_loss(algo(**fields), 1.0)(model, batch).loss_sum.backward()
    expected = torch.zeros(12, dtype=torch.float64)
    for place in range(12):
        step = torch.zeros(12, dtype=torch.float64)
        step[place] = small
        at = model.logits.detach() + step.view(2, 3, 2), model.logits.detach() - step.view(2, 3, 2)
        values = [surrogate(fields, logits, batch.advantages.double().tolist(), old) for logits in at]
        expected[place] = (values[0] - values[1]) / (2 * small)
    torch.testing.assert_close(model.logits.grad, expected.view(2, 3, 2), atol=1e-8, rtol=1e-6)


def test_a_clipped_loss_at_ratio_one_has_the_gradient_of_reinforce():
    old = [[0, *LOGS[:2]], [0, 0, LOGS[2]]]
    batch = batch_of(advantages=[[0, 2, -1], [0, 0, 0.5]], old_logprobs=old)
    torch.testing.assert_close(
        gradient(policy_loss(algo(**CLIPPED), 1.0), batch), gradient(policy_gradient(1.0), batch)
    )


# --------------------------------------------------------------------------------------------- reference and entropy


PLAIN = {
    "advantage": "reward", "drop_zero_variance": False, "loss": "policy_gradient", "aggregation": "token",
}  # fmt: skip


@pytest.mark.parametrize(
    ("estimator", "expected"),
    # Ratios of policy to reference: 0.25 / 0.5, 0.5 / 0.25 and 0.8 / 0.8.
    [
        ("k1", math.log(0.5) + math.log(2)),
        ("k2", math.log(2) ** 2),
        ("k3", (2 - 1 - math.log(2)) + (0.5 - 1 + math.log(2))),
    ],
)
def test_the_penalty_by_hand(estimator, expected):
    reference = torch.tensor([[0, math.log(0.5), math.log(0.25)], [0, 0, math.log(0.8)]])
    batch = batch_of(advantages=[[0, 0, 0], [0, 0, 0]], ref_logprobs=reference)
    output = policy_loss(AlgoConfig(kl={"coefficient": 0.1, "estimator": estimator}, **PLAIN), 1.0)(Table(), batch)
    assert output.loss_sum.item() == pytest.approx(0.1 * expected, abs=1e-6)
    assert output.sums["train/kl_ref"].item() == pytest.approx(0.5)


def test_a_penalty_in_the_reward_is_not_in_the_loss_and_is_measured():
    reference = torch.tensor([[0, math.log(0.5), math.log(0.25)], [0, 0, math.log(0.8)]])
    batch = batch_of(advantages=[[0, 0, 0], [0, 0, 0]], ref_logprobs=reference)
    output = policy_loss(AlgoConfig(kl={"coefficient": 0.1, "where": "reward"}, **PLAIN), 1.0)(Table(), batch)
    assert output.loss_sum.item() == 0
    assert output.sums["train/kl_ref"].item() == pytest.approx(0.5)


@pytest.mark.parametrize("estimator", ["k1", "k2", "k3"])
def test_gradients_of_penalty_and_bonus_are_those_of_finite_differences(estimator):
    small, model = 1e-6, Table().double()
    reference = torch.tensor([[0, math.log(0.5), math.log(0.25)], [0, 0, math.log(0.7)]])
    batch = batch_of(advantages=[[0, 0.7, -0.3], [0, 0, 1.5]], ref_logprobs=reference, weights=torch.tensor([0.5, 1.0]))
    loss = policy_loss(AlgoConfig(kl={"coefficient": 0.3, "estimator": estimator}, entropy_bonus=0.2, **PLAIN), 1.0)
    loss(model, batch).loss_sum.backward()
    for place in range(12):
        values = []
        for sign in (1, -1):
            moved = Table().double()
            with torch.no_grad():
                moved.logits.view(-1)[place] += sign * small
            values.append(loss(moved, batch).loss_sum.item())
        assert model.logits.grad.view(-1)[place].item() == pytest.approx(
            (values[0] - values[1]) / (2 * small), abs=1e-8
        )


def test_the_bonus_takes_entropy_from_the_loss():
    batch = batch_of(advantages=[[0, 0, 0], [0, 0, 0]])
    output = policy_loss(AlgoConfig(entropy_bonus=0.1, **PLAIN), 1.0)(Table(), batch)
    assert output.loss_sum.item() == pytest.approx(-0.1 * (0.5623351 + 0.6931472 + 0.5004024))
    assert not output.sums["train/entropy"].requires_grad
