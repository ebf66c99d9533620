"""What a saved model can read: its positions and its tokens. No torch, so that a plan can be made without it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tokenizers import Encoding, Tokenizer

from rlvr.errors import RlvrError
from rlvr.models.location import ModelLocation, object_in
from rlvr.runtime.foreign import Foreign


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The limits of a model in a directory.

    positions: tokens that it can read, prompt and completion together; None if it sets no bound.
    unknown: the token that stands for what the tokenizer does not know; None if there is nothing that it does not know.
    """

    positions: int | None
    tokenizer: Tokenizer
    unknown: str | None

    def length(self, text: str) -> int:
        """Tokens of a prompt, without what a chat template may add."""
        return len(encode(self.tokenizer, text).ids)

    def unknown_word(self, text: str) -> str | None:
        """The first word of a text that holds something the tokenizer does not know."""
        unknown = self.unknown
        if unknown is None or unknown not in encode(self.tokenizer, text, special=False).tokens:
            return None
        words = text.split()
        return next((w for w in words if unknown in encode(self.tokenizer, w, special=False).tokens), text)


def read_limits(location: ModelLocation | None) -> Limits | None:
    """The limits of a model in a directory; None for other kinds and for a tokenizer of another format."""
    if location is None or location.kind != "directory":
        return None
    config, raw = (object_in(Path(location.path) / name) for name in ("config.json", "tokenizer.json"))
    if config is None or raw is None or not isinstance(raw.get("model"), dict):
        return None
    return Limits(
        positions=config.get("max_position_embeddings", config.get("n_positions")),
        tokenizer=read_tokenizer(location),
        unknown=raw["model"].get("unk_token"),
    )


def read_tokenizer(location: ModelLocation) -> Tokenizer:
    """The tokenizer.json of a directory. RlvrError if it is damaged."""
    tokenizer: Tokenizer | None = None
    with Foreign() as call:  # the library raises bare exceptions
        tokenizer = Tokenizer.from_file(str(Path(location.path) / "tokenizer.json"))
    if tokenizer is None:
        raise RlvrError("model", f"cannot be loaded: its tokenizer.json: {call.error}", got=location.path)
    return tokenizer


def encode(tokenizer: Tokenizer, text: str, *, special: bool = True) -> Encoding:
    """The tokens of a text. RlvrError if the tokenizer gives up on it, as a pattern that goes back and forth makes it."""
    found: Encoding | None = None
    with Foreign() as call:
        found = tokenizer.encode(text, add_special_tokens=special)
    if found is None:
        raise unreadable(call.error)
    return found


def unreadable(error: Exception | None) -> RlvrError:
    """A text that a model's tokenizer cannot read."""
    return RlvrError("model", f"its tokenizer cannot read a text: {error}")
