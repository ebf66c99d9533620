"""What a saved model can read: its positions and its tokens. No torch, so that a plan can be made without it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer

from rlvr.models.location import ModelLocation, read_object


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
        return len(self.tokenizer.encode(text).ids)

    def unknown_word(self, text: str) -> str | None:
        """The first word of a text that holds something the tokenizer does not know."""
        unknown = self.unknown
        if unknown is None or unknown not in self.tokenizer.encode(text, add_special_tokens=False).tokens:
            return None
        words = text.split()
        return next((w for w in words if unknown in self.tokenizer.encode(w, add_special_tokens=False).tokens), text)


def read_limits(location: ModelLocation | None) -> Limits | None:
    """The limits of a model in a directory; None for other kinds and for a tokenizer of another format."""
    if location is None or location.kind != "directory":
        return None
    config, raw = (read_object(Path(location.path) / name) for name in ("config.json", "tokenizer.json"))
    if config is None or raw is None or not isinstance(raw.get("model"), dict):
        return None
    return Limits(
        positions=config.get("max_position_embeddings", config.get("n_positions")),
        tokenizer=Tokenizer.from_file(str(Path(location.path) / "tokenizer.json")),
        unknown=raw["model"].get("unk_token"),
    )
