"""Batches worked through side by side leave the gradient that they leave one after the other."""

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from rlvr.config import AlgoConfig
from rlvr.data.batching import split_by_tokens, to_batches
from rlvr.errors import StopRequestedError
from rlvr.models.heads import ValueModel
from rlvr.train import gradient
from rlvr.train.gradient import gradient_workers, leave_gradient
from rlvr.train.losses import policy_loss
from rlvr.types import Sample

CPU = torch.device("cpu")
LENGTHS = [1 + number * 37 % 30 for number in range(40)]


@pytest.fixture(autouse=True)
def two_threads(monkeypatch):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    monkeypatch.setenv("OMP_WAIT_POLICY", "passive")
    yield
    torch.set_num_threads(before)


def tiny(**fields):
    torch.manual_seed(0)
    config = {
        "vocab_size": 32,
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
    }
    return LlamaForCausalLM(LlamaConfig(**config | fields))


def samples():
    """Rows of many lengths, four to a prompt."""
    rows = []
    for number, length in enumerate(LENGTHS):
        prompt, own = [3 + number // 4, 4, 5], [6 + (number + place) % 20 for place in range(length)]
        values = [0.0, 0.0, 0.0, *[(-1.0) ** number] * length]
        rows.append(
            Sample(
                token_ids=prompt + own,
                loss_mask=[False] * 3 + [True] * length,
                advantages=values,
                old_logprobs=[-3.0] * len(values),
                returns=values,
            )
        )
    return rows


def gradients(model, companion=None, *, workers, monkeypatch, check=lambda: None):
    monkeypatch.setattr(gradient, "gradient_workers", lambda *_: workers)
    batches = to_batches(samples(), budget=120, pad_id=0, device=CPU, workers=workers)
    loss = policy_loss(AlgoConfig.model_validate({}), 1.0, companion)
    for module in (model, companion):
        if module is not None:
            module.zero_grad(set_to_none=True)
    output = leave_gradient(
        lambda batch: loss(model, batch), batches, sum(LENGTHS), model=model, companion=companion, check=check
    )
    return output, [p.grad for module in (model, companion) if module is not None for p in module.parameters()]


@pytest.mark.parametrize("valued", [False, True])
def test_the_gradient_and_what_was_measured_are_those_of_one_thread(valued, monkeypatch):
    model = tiny()
    companion = ValueModel(model) if valued else None
    (one, alone), (two, beside) = (
        gradients(model, companion, workers=workers, monkeypatch=monkeypatch) for workers in (1, 2)
    )
    for first, second in zip(alone, beside, strict=True):
        torch.testing.assert_close(first, second, rtol=1e-4, atol=1e-7)
    assert any(gradient.abs().max() > 1e-4 for gradient in beside)
    torch.testing.assert_close(one.loss_sum, two.loss_sum, rtol=1e-5, atol=1e-5)
    assert one.sums.keys() == two.sums.keys()
    assert one.maxima.keys() == two.maxima.keys()


def test_the_same_batches_give_the_same_bits(monkeypatch):
    model = tiny()
    first = gradients(model, workers=2, monkeypatch=monkeypatch)
    for _ in range(5):
        again = gradients(model, workers=2, monkeypatch=monkeypatch)
        assert torch.equal(first[0].loss_sum, again[0].loss_sum)
        assert all(torch.equal(mine, theirs) for mine, theirs in zip(first[1], again[1], strict=True))


def test_frozen_parameters_get_no_gradient(monkeypatch):
    model = tiny()
    model.model.embed_tokens.weight.requires_grad_(requires_grad=False)
    _, found = gradients(model, workers=2, monkeypatch=monkeypatch)
    assert found[0] is None
    assert all(each is not None for each in found[1:])


@pytest.mark.parametrize("workers", [1, 2])
def test_a_signal_ends_it_between_two_batches(workers, monkeypatch):
    asked = []

    def check():
        asked.append(None)
        if len(asked) == 2:
            raise StopRequestedError(15)

    with pytest.raises(StopRequestedError):
        gradients(tiny(), workers=workers, monkeypatch=monkeypatch, check=check)
    assert len(asked) == 2
    assert torch.get_num_threads() == 2


def test_when_threads_are_worth_it(monkeypatch):
    assert gradient_workers(tiny()) == 2
    assert gradient_workers(tiny(hidden_size=1024, intermediate_size=4096)) == 1  # more than a cache holds
    torch.set_num_threads(1)
    assert gradient_workers(tiny()) == 1
    torch.set_num_threads(2)
    monkeypatch.delenv("OMP_WAIT_POLICY")
    assert gradient_workers(tiny()) == 1


@pytest.mark.parametrize("workers", [2, 3])
@pytest.mark.parametrize("budget", [250, 400, 10**6])
def test_parts_for_workers_are_of_like_size_and_keep_to_their_share(workers, budget):
    parts = split_by_tokens(samples(), budget, workers)
    sizes = [sum(len(sample.token_ids) for sample in part) for part in parts]
    assert len(parts) % workers == 0
    assert max(sizes) <= budget // workers
    assert max(sizes) - min(sizes) <= 2 * max(LENGTHS) + 6
    assert sum(sizes) == sum(len(sample.token_ids) for sample in samples())
