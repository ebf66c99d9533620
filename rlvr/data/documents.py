"""Documents by number, drawn from weighted sources."""

from collections.abc import Callable, Sequence

from rlvr.runtime.seeding import generator
from rlvr.types import Document, Split

DocumentSource = Callable[[Split, int], Document]
"""(split, index) -> the document of that number, which depends on (seed, split, index) only."""


def mix(sources: Sequence[DocumentSource], weights: Sequence[float], seed: int) -> DocumentSource:
    """One source out of several: for each number a source is drawn by weight and asked for its document of that number."""
    if len(sources) == 1:
        return sources[0]

    def document(split: Split, index: int) -> Document:
        chosen = generator(seed, "source", split, index).choices(sources, weights)[0]
        return chosen(split, index)

    return document
