"""A value model reads prefixes, knows nothing at first, and can be taught."""

import torch

from rlvr.config import ModelConfig, TokenizerConfig
from rlvr.data.batching import collate
from rlvr.models.heads import ValueModel
from rlvr.models.scratch import build_model
from rlvr.models.tokenizer import build_tokenizer
from rlvr.types import Sample

CPU = torch.device("cpu")
TOKENIZER = build_tokenizer(TokenizerConfig(), ["0 1 2 3 4 ="], max_length=32)
LONG = Sample(token_ids=[1, 6, 7, 8, 9], loss_mask=[False, False, True, True, True])
SHORT = Sample(token_ids=[1, 7, 8], loss_mask=[False, True, True])


def build():
    model = build_model(ModelConfig(layers=1, width=16, heads=2), TOKENIZER, seed=0, device=CPU)
    return model, ValueModel(model)


def test_at_first_every_prefix_is_worth_nothing():
    assert build()[1](collate([LONG, SHORT], 0, CPU)).tolist() == [0.0] * 5


def test_the_value_of_a_token_sees_only_what_stands_before_it():
    _, critic = build()
    torch.nn.init.ones_(critic.head.weight)
    values = critic(collate([LONG], 0, CPU))
    other = critic(collate([Sample(token_ids=[1, 6, 7, 8, 3], loss_mask=LONG.loss_mask)], 0, CPU))
    assert torch.equal(values, other)
    changed = critic(collate([Sample(token_ids=[1, 6, 7, 3, 9], loss_mask=LONG.loss_mask)], 0, CPU))
    assert (values != changed).tolist() == [False, False, True]


def test_values_do_not_depend_on_padding():
    _, critic = build()
    torch.nn.init.ones_(critic.head.weight)
    together = critic(collate([LONG, SHORT], 0, CPU))
    apart = torch.cat([critic(collate([row], 0, CPU)) for row in (LONG, SHORT)])
    torch.testing.assert_close(together, apart, atol=1e-6, rtol=0)


def test_it_can_be_taught_and_shares_no_weight_with_the_model():
    model, critic = build()
    before = [parameter.detach().clone() for parameter in model.parameters()]
    batch, wanted = collate([LONG, SHORT], 0, CPU), torch.tensor([0.1, 0.9, 0.5, -0.3, 0.2])
    optimizer = torch.optim.AdamW(critic.parameters(), lr=0.02)
    for _ in range(60):
        optimizer.zero_grad()
        loss = (critic(batch) - wanted).square().mean()
        loss.backward()
        optimizer.step()
    assert loss.item() < 1e-3
    assert all(torch.equal(old, new) for old, new in zip(before, model.parameters(), strict=True))
