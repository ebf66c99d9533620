"""Documents as the batches of one update after another."""

import pytest
import torch

from rlvr.config import PromptConfig, TokenizerConfig
from rlvr.data.document_batches import DocumentBatches
from rlvr.data.documents import mix
from rlvr.errors import RlvrError
from rlvr.models.tokenizer import Codec, build_tokenizer, make_codec
from rlvr.types import Document, Split, StepData

LENGTHS = (3, 7, 4, 10, 3, 5)
"""Words of documents 0, 1, 2, … and round again; each becomes two tokens longer: <bos> and <eos>."""


@pytest.fixture(scope="module")
def codec() -> Codec:
    words = " ".join(str(n) for n in range(2000))
    return make_codec(build_tokenizer(TokenizerConfig(kind="words"), [words], 64), PromptConfig())


def document(split: Split, index: int) -> Document:
    """A document that repeats its own number."""
    words = [str(index)] * LENGTHS[index % len(LENGTHS)]
    return Document(source="numbers", mode="m", prompt="", response=" ".join(words))


def batches(codec: Codec, *, batch_tokens: int = 24, longest: int = 64, budget: int = 1000) -> DocumentBatches:
    return DocumentBatches(
        document, codec, whole=True, longest=longest, batch_tokens=batch_tokens, budget=budget,
        device=torch.device("cpu"),
    )  # fmt: skip


def numbers(codec: Codec, step: StepData) -> list[int]:
    """The numbers of the documents that an update learns from."""
    rows = [row for batch in step.updates[0].batches for row in batch.input_ids.tolist()]
    return sorted(int(codec.text(row).split()[0]) for row in rows)


def tokens(step: StepData) -> list[list[list[int]]]:
    return [batch.input_ids.tolist() for batch in step.updates[0].batches]


def test_documents_come_in_order_as_many_as_fit(codec: Codec) -> None:
    """Tokens: 5, 9, 6, 12, 5, 7, …; 24 hold the first three (20), then 12 + 5 + 7 = 24 just fit."""
    source = batches(codec)
    assert [numbers(codec, source.next_step(step)) for step in (1, 2, 3)] == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]


def test_a_step_counts_its_documents_and_tokens(codec: Codec) -> None:
    assert batches(codec).next_step(1).metrics == {"tokens/documents": 20, "data/documents": 3}


def test_a_document_longer_than_an_update_is_alone_in_one(codec: Codec) -> None:
    source = batches(codec, batch_tokens=1)
    assert [numbers(codec, source.next_step(step)) for step in (1, 2)] == [[0], [1]]


@pytest.mark.parametrize("batch_tokens", [12, 50, 333])
def test_no_update_has_more_tokens_than_are_set(batch_tokens: int, codec: Codec) -> None:
    source, seen = batches(codec, batch_tokens=batch_tokens), []
    for step in range(1, 11):
        data = source.next_step(step)
        assert data.metrics["tokens/documents"] <= batch_tokens
        seen += numbers(codec, data)
    assert seen == list(range(len(seen)))


def test_no_batch_has_more_tokens_than_the_budget(codec: Codec) -> None:
    step = batches(codec, batch_tokens=300, budget=30).next_step(1)
    assert len(step.updates[0].batches) > 1
    assert all(len(batch.layout.ids) + len(batch.input_ids) <= 30 for batch in step.updates[0].batches)


def test_a_resumed_source_goes_on_where_it_was(codec: Codec) -> None:
    source = batches(codec, batch_tokens=100)
    for step in range(1, 8):
        source.next_step(step)
    resumed = batches(codec, batch_tokens=100)
    resumed.load_state_dict(source.state_dict())
    for step in range(8, 20):
        assert tokens(resumed.next_step(step)) == tokens(source.next_step(step))


def test_a_document_longer_than_the_models_positions_is_refused(codec: Codec) -> None:
    with pytest.raises(RlvrError, match=r"document 3 of numbers: .*; got .*12 tokens.*; allowed: at most 11"):
        batches(codec, longest=11).next_step(1)


def test_a_document_may_fill_the_models_positions(codec: Codec) -> None:
    assert batches(codec, longest=12).next_step(1).updates[0].batches


# ---------------------------------------------------------------------------------------------------- mixing


def constant(name: str) -> object:
    return lambda split, index: Document(source=name, mode="m", prompt="", response=f"{split} {index}")


def test_a_mixture_draws_its_sources_by_weight() -> None:
    """Of 2000 draws a quarter; three standard deviations are 0.029."""
    mixed = mix([constant("a"), constant("b")], [1.0, 3.0], seed=0)
    share = sum(mixed("train", index).source == "a" for index in range(2000)) / 2000
    assert share == pytest.approx(0.25, abs=0.03)


def test_a_mixture_asks_its_source_for_the_document_of_that_number() -> None:
    mixed = mix([constant("a"), constant("b")], [1.0, 1.0], seed=0)
    assert mixed("test", 17).response == "test 17"


def test_a_mixture_depends_on_seed_split_and_index_only() -> None:
    def sources(seed: int, split: Split) -> list[str]:
        mixed = mix([constant("a"), constant("b")], [1.0, 1.0], seed=seed)
        return [mixed(split, index).source for index in range(50)]

    assert sources(0, "train") == sources(0, "train")
    assert sources(0, "train") != sources(1, "train")
    assert sources(0, "train") != sources(0, "test")
