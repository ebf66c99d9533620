"""How many tokens a text will have, before there is a model to ask. No torch."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rlvr.config import TokenizerConfig
from rlvr.models.limits import encode, read_tokenizer
from rlvr.models.location import ModelLocation, object_in
from rlvr.models.vocabulary import THINK


@dataclass(frozen=True, kw_only=True)
class TokenCount:
    """Counts a text's tokens, without any that a tokenizer adds. exact: else it counts words, of which there are at most as many."""

    count: Callable[[str], int]
    exact: bool


WORDS = TokenCount(count=lambda text: len(text.split()), exact=False)


def counted_by(tokenizer: TokenizerConfig | ModelLocation | None) -> TokenCount:
    """Counts as a tokenizer that will be built does, or as that of a model's directory; else words."""
    if isinstance(tokenizer, TokenizerConfig):
        kinds = {
            "words": TokenCount(count=lambda text: len(_apart(text).split()), exact=True),
            "characters": TokenCount(count=_characters, exact=True),
        }
        return kinds.get(tokenizer.kind, WORDS)
    if tokenizer is None or tokenizer.kind != "directory" or object_in(Path(tokenizer.path) / "tokenizer.json") is None:
        return WORDS
    found = read_tokenizer(tokenizer)
    return TokenCount(count=lambda text: len(encode(found, text, special=False).ids), exact=True)


def _apart(text: str) -> str:
    """The text with its tags as words of their own, as they are tokens of their own."""
    for tag in THINK:
        text = text.replace(tag, f" {tag} ")
    return text


def _characters(text: str) -> int:
    for tag in THINK:
        text = text.replace(tag, "#")
    return len(text)
