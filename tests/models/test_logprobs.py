"""The log-probability of each trained token."""

import torch

from rlvr.config import ModelConfig, TokenizerConfig
from rlvr.data.batching import collate
from rlvr.models.logprobs import token_logprobs
from rlvr.models.scratch import build_model
from rlvr.models.tokenizer import build_tokenizer
from rlvr.types import Sample

CPU = torch.device("cpu")
TOKENIZER = build_tokenizer(TokenizerConfig(), ["0 1 2 3 4 ="], max_length=32)
MODEL = build_model(ModelConfig(layers=2, width=16, heads=2), TOKENIZER, seed=0, device=CPU)

# Prompts of 4 and 3 tokens; the second row is padded by 2.
LONG = Sample(token_ids=[1, 6, 7, 8, 9, 10, 2], loss_mask=[False] * 4 + [True] * 3)
SHORT = Sample(token_ids=[1, 8, 11, 6, 2], loss_mask=[False] * 3 + [True] * 2)


def plain_distributions(sample, temperature=1.0):
    """log_softmax (N, V) of a plain forward pass of one row, at the places that predict its trained tokens."""
    logits = MODEL(torch.tensor([sample.token_ids])).logits[0]
    places = [place - 1 for place, trained in enumerate(sample.loss_mask) if trained]
    return torch.log_softmax(logits[places] / temperature, dim=-1)


def plain_logprobs(sample, temperature=1.0):
    trained = [token for token, trained in zip(sample.token_ids, sample.loss_mask, strict=True) if trained]
    return plain_distributions(sample, temperature)[range(len(trained)), trained]


class Recorded:
    """A model that remembers how many of the last places it was asked for logits of."""

    def __call__(self, *, logits_to_keep, **arguments):
        self.kept = logits_to_keep
        return MODEL(logits_to_keep=logits_to_keep, **arguments)


def test_logprobs_are_those_of_a_plain_forward_pass_row_after_row():
    logprobs, _ = token_logprobs(MODEL, collate([LONG, SHORT], 0, CPU))
    expected = torch.cat([plain_logprobs(LONG), plain_logprobs(SHORT)])
    torch.testing.assert_close(logprobs, expected, atol=1e-5, rtol=0)


def test_logits_are_divided_by_the_temperature():
    logprobs, _ = token_logprobs(MODEL, collate([LONG], 0, CPU), temperature=0.5)
    torch.testing.assert_close(logprobs, plain_logprobs(LONG, temperature=0.5), atol=1e-5, rtol=0)


def test_entropy_is_that_of_the_distribution_at_the_temperature():
    _, entropy = token_logprobs(MODEL, collate([LONG], 0, CPU), temperature=2.0)
    distributions = plain_distributions(LONG, temperature=2.0)
    torch.testing.assert_close(entropy, -(distributions.exp() * distributions).sum(-1), atol=1e-5, rtol=0)


def test_logits_of_columns_that_only_prompts_have_are_not_asked_for():
    model = Recorded()
    logprobs, _ = token_logprobs(model, collate([LONG], 0, CPU))
    assert model.kept == 4  # the last place of the prompt and the three after it
    torch.testing.assert_close(logprobs, plain_logprobs(LONG), atol=1e-5, rtol=0)


def test_a_document_trained_from_its_second_token_on():
    whole = Sample(token_ids=SHORT.token_ids, loss_mask=[False] + [True] * 4)
    logprobs, _ = token_logprobs(MODEL, collate([whole], 0, CPU))
    torch.testing.assert_close(logprobs, plain_logprobs(whole), atol=1e-5, rtol=0)


def test_logprobs_carry_gradients_and_entropy_does_not():
    logprobs, entropy = token_logprobs(MODEL, collate([LONG], 0, CPU))
    assert logprobs.requires_grad
    assert not entropy.requires_grad
