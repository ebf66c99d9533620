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
MIN_CHARACTERS = 20
TEXT_MODE = "text"


class TextFile:
    """Documents cut at random from a text file; its last tenth is the test split."""

    def __init__(self, path: str, block: int, seed: int) -> None:
        text = read_text(Path(path))
        cut = int(len(text) * (1 - TEST_SHARE))
        self._parts: dict[Split, str] = {"train": text[:cut], "test": text[cut:]}
        self._path, self._block, self._seed = path, block, seed
        if len(text) < MIN_CHARACTERS:
            raise RlvrError(
                path, "is too short to learn from", got=f"{len(text)} characters", allowed=f"at least {MIN_CHARACTERS}"
            )

    def document(self, split: Split, index: int) -> Document:
        """Document ``index``: at most ``block`` characters from a random place, whole words if there is a space."""
        part = self._parts[split]
        rng = generator(self._seed, "text", self._path, split, index)
        start = rng.randrange(max(1, len(part) - self._block + 1))
        response = whole_words(part, start, start + self._block)
        return Document(source=Path(self._path).name, mode=TEXT_MODE, prompt="", response=response, ends=False)

    def texts(self) -> list[str]:
        """The text in pieces, for building a tokenizer."""
        return [text[i : i + 10_000] for text in self._parts.values() for i in range(0, len(text), 10_000)]


def whole_words(text: str, start: int, end: int) -> str:
    """``text[start:end]`` without the parts of words at its ends; all of it if no whole word is in it."""
    first, last = start, min(end, len(text))
    while first and first < last and not text[first - 1].isspace():
        first += 1
    while last < len(text) and last > first and not text[last].isspace():
        last -= 1
    return text[first:last].strip() or text[start:end]


def to_samples(documents: list[Document], codec: Codec, *, whole: bool) -> list[Sample]:
    """Token ids and trained tokens of documents.

    whole: every token but the first is trained; else only the response and its end token are. Prompt and response
    are tokenized apart, as they are when a model is sampled. Of a chat the assistant's turns are trained in either case.
    """
    plain = [document for document in documents if document.chat is None]
    prompts = codec.prompts_ids([codec.prompt(document.prompt) if document.prompt else "" for document in plain])
    responses = codec.responses_ids([document.response for document in plain])
    pairs = zip(prompts, responses, strict=True)
    samples = []
    for document in documents:
        if document.chat is not None:
            token_ids, loss_mask = codec.chat_ids(document.chat)
            samples.append(Sample(token_ids=token_ids, loss_mask=loss_mask))
            continue
        prompt, response = next(pairs)
        end = codec.stop_ids[:1] if document.ends else []
        start = prompt or codec.stop_ids[:1]  # a tokenizer that puts nothing before a text: its end token begins one
        mask = [whole] * len(start) + [True] * (len(response) + len(end))
        samples.append(Sample(token_ids=[*start, *response, *end], loss_mask=[False, *mask[1:]]))
    return samples
