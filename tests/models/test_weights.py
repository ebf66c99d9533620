"""Copies of weights, and computing with them for a while."""

import pytest
import torch

from rlvr.config import ModelConfig, TokenizerConfig
from rlvr.models.scratch import build_model
from rlvr.models.tokenizer import build_tokenizer
from rlvr.models.weights import copy_weights, using
from rlvr.rollout import NativeEngine
from rlvr.teacher_forcing import largest_gap, logprobs_of
from rlvr.types import Request, Sampling

TOKENIZER = build_tokenizer(TokenizerConfig(), ["0 1 2 3 4 ="], max_length=32)
IDS = torch.tensor([[1, 6, 7, 8]])


def build(seed):
    return build_model(ModelConfig(layers=1, width=16, heads=2), TOKENIZER, seed=seed, device=torch.device("cpu"))


def test_inside_the_model_is_the_other_one_and_afterwards_itself():
    model, other = build(0), build(1)
    own, theirs = model(IDS).logits, other(IDS).logits
    with using(model, copy_weights(other)):
        assert torch.equal(model(IDS).logits, theirs)
    assert torch.equal(model(IDS).logits, own)


def test_a_copy_does_not_follow_the_model():
    model = build(0)
    before, copy = model(IDS).logits.detach(), copy_weights(model)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1.0)
    with using(model, copy):
        assert torch.equal(model(IDS).logits, before)


def test_an_error_inside_gives_the_weights_back():
    model = build(0)
    own = model(IDS).logits
    with pytest.raises(KeyError), using(model, copy_weights(build(1))):
        raise KeyError
    assert torch.equal(model(IDS).logits, own)


def test_logprobs_of_completions_are_those_recorded_while_sampling_in_their_order():
    model = build(0)
    engine = NativeEngine(model, stop_ids=[2], pad_id=0, batch_size=8)
    prompts = [[1, 6], [1, 7, 8, 9], [1, 8]]
    requests = [Request(prompt_ids=ids, seeds=[3, 4]) for ids in prompts]
    told = {}
    engine.generate(requests, Sampling(max_new_tokens=9, temperature=0.7), told.__setitem__)
    completions = [completion for index in range(len(requests)) for completion in told[index]]
    found = logprobs_of(model, completions, temperature=0.7, budget=20, pad_id=0)
    assert [len(row) for row in found] == [len(c.token_ids) for c in completions]
    assert largest_gap(found, [c.logprobs for c in completions]) < 1e-5
    assert largest_gap(found, [[v + 0.5 for v in c.logprobs] for c in completions]) == pytest.approx(0.5, abs=1e-5)
