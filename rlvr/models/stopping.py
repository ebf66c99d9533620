"""Stop strings, for engines that know token ids only."""

from collections.abc import Sequence

from rlvr.models.tokenizer import Codec

MARGIN = 4
"""Tokens read before those that a stop string can stand in: a decoder may treat the first ones differently."""


class StopStrings:
    """Says of a completion's token ids whether its text has come to contain one of some strings with the last of them.

    Only the last tokens are decoded. A token that is not special (those are not in the text) writes a byte or more, so a
    string of n bytes stands in the last n of the others. Where they begin within a character, all tokens are decoded:
    some decoders read bytes one after the other only together.
    """

    def __init__(self, codec: Codec, strings: Sequence[str]) -> None:
        self._codec, self._strings = codec, strings
        self._special = {i for i, token in codec.tokenizer.added_tokens_decoder.items() if token.special}
        self._reach = max(len(string.encode("utf-8")) for string in strings) + MARGIN

    def __call__(self, token_ids: Sequence[int]) -> bool:
        if not token_ids or token_ids[-1] in self._special:
            return False
        last = self._last(token_ids)
        text = self._codec.text(last)
        if text.startswith("\ufffd"):
            last = list(token_ids)
            text = self._codec.text(last)
        if not any(string in text for string in self._strings):
            return False
        # What stood there before the last token ended nothing then: fewer than min_new_tokens were written.
        kept = _common(self._codec.text(last[:-1]), text)
        return any(text.find(string, max(0, kept - len(string) + 1)) >= 0 for string in self._strings)

    def _last(self, token_ids: Sequence[int]) -> list[int]:
        """The last tokens that are not special, as many as can matter."""
        found: list[int] = []
        for token in reversed(token_ids):
            if token not in self._special:
                found.append(token)
                if len(found) == self._reach:
                    break
        return found[::-1]


def _common(one: str, other: str) -> int:
    """How many characters two texts have in common from their beginning on."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((index for index, (a, b) in pairs if a != b), min(len(one), len(other)))
