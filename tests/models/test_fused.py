"""Steps with a backward of their own against finite differences and against their definition."""

import torch
from torch.autograd import gradcheck

from rlvr.data.batching import collate
from rlvr.models.fused import gated, normalised, rotated, spread
from rlvr.types import Sample


def numbers(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64, requires_grad=True)


def test_norm():
    assert gradcheck(lambda x, weight: normalised(x, weight, 1e-3), (numbers(2, 3, 4), numbers(4, seed=1)))
    x = torch.tensor([[3.0, 4.0]])
    torch.testing.assert_close(normalised(x, torch.tensor([1.0, 2.0]), 0.0), x * torch.tensor([1.0, 2.0]) / 12.5**0.5)


def test_a_narrow_vector_is_normed_in_float32():
    assert normalised(torch.ones(1, 4, dtype=torch.bfloat16), torch.ones(4), 1e-6).dtype == torch.float32


def test_gate():
    assert gradcheck(gated, (numbers(3, 5), numbers(3, 5, seed=1)))
    torch.testing.assert_close(gated(torch.tensor([2.0]), torch.tensor([3.0])), 6 * torch.sigmoid(torch.tensor([2.0])))


def test_rotation():
    angles = torch.tensor([[0.3, 1.1], [2.0, 0.2]], dtype=torch.float64).repeat(1, 2)[:, None]  # (2, 1, 4)
    given = (numbers(2, 2, 4), numbers(2, 1, 4, seed=1), numbers(2, 1, 4, seed=2))
    assert gradcheck(lambda *parts: rotated(*parts, angles.cos(), angles.sin()), given)
    found = rotated(*given, angles.cos(), angles.sin())
    pairs = torch.view_as_complex(torch.stack(given[0].chunk(2, dim=-1), dim=-1))
    turned = pairs * torch.polar(torch.ones_like(angles[..., :2]), angles[..., :2])
    torch.testing.assert_close(found[:, :2], torch.cat([turned.real, turned.imag], dim=-1))
    torch.testing.assert_close(found[:, 3:], given[2])


def test_a_shared_token_gets_the_sum_of_its_gradients_and_padding_none():
    rows = [[False, False, True, True], [False, False, True]]
    layout = collate(
        [Sample(token_ids=[5, 6, 7, 8][: len(mask)], loss_mask=mask) for mask in rows], 0, torch.device("cpu")
    ).layout
    x = torch.zeros(3, requires_grad=True)
    spread(x, layout).backward(torch.tensor([1.0, 2.0, 4.0, 10.0, 20.0]))
    assert x.grad.tolist() == [11.0, 22.0, 4.0]
