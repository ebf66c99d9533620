"""Plain text files as documents, and documents as samples."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rlvr.config_file import read_text
from rlvr.errors import RlvrError
from rlvr.runtime.seeding import generator
from rlvr.types import Document, Sample, Split

if TYPE_CHECKING:
    from rlvr.models.tokenizer import Codec

TEST_SHARE = 0.1


class TextFile:
    """Documents cut at random from a text file; its last tenth is the test split."""

    def __init__(self, path: str, block: int, seed: int) -> None:
        text = read_text(Path(path))
        cut = int(len(text) * (1 - TEST_SHARE))
        self._parts: dict[Split, str] = {"train": text[:cut], "test": text[cut:]}
        self._path, self._block, self._seed = path, block, seed
        if len(self._parts["test"]) < 2:
            raise RlvrError(path, "is too short to learn from", got=f"{len(text)} characters", allowed="at least 20")

    def document(self, split: Split, index: int) -> Document:
        """Document ``index``: ``block`` characters (or all there are) from a random place."""
        part = self._parts[split]
        start = generator(self._seed, "text", self._path, split, index).randrange(max(1, len(part) - self._block))
        return Document(
            source=Path(self._path).name, mode="text", prompt="", response=part[start : start + self._block], ends=False
        )

    def texts(self) -> list[str]:
        """The text in pieces, for building a tokenizer."""
        return [text[i : i + 10_000] for text in self._parts.values() for i in range(0, len(text), 10_000)]


def to_samples(documents: list[Document], codec: Codec, *, whole: bool) -> list[Sample]:
    """Token ids and trained tokens of documents.

    whole: every token but the first is trained; else only the response and its end token are. Prompt and response
    are tokenized apart, as they are when a model is sampled.
    """
    prompts = codec.prompts_ids([codec.prompt(document.prompt) if document.prompt else "" for document in documents])
    responses = codec.responses_ids([document.response for document in documents])
    samples = []
    for document, prompt, response in zip(documents, prompts, responses, strict=True):
        end = codec.stop_ids[:1] if document.ends else []
        start = prompt or codec.stop_ids[:1]  # a tokenizer that puts nothing before a text: its end token begins one
        from_start = whole or not document.prompt
        mask = [from_start] * len(start) + [True] * (len(response) + len(end))
        samples.append(Sample(token_ids=[*start, *response, *end], loss_mask=[False, *mask[1:]]))
    return samples
