"""Stop strings are found in the last tokens of a completion as they are in all of its text."""

from random import Random

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models
from transformers import PreTrainedTokenizerFast

from rlvr.config import PromptConfig, TokenizerConfig
from rlvr.models.stopping import StopStrings
from rlvr.models.tokenizer import build_tokenizer, make_codec

TEXTS = ["ab ba aab b\n\nQ: naïve 数数 — 🙂 ab", "<think> a b </think> ba"]
STRINGS = [["ab"], ["aab", "b b"], ["数"], ["🙂 a"], ["</think>"], ["b ", " a"], ["\n\n", "ï"], ["a" * 9]]


def byte_fallback():
    """A tokenizer as Llama 2's: spaces are ▁, and what is no token is written in bytes that are decoded together."""
    pieces = ["<unk>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁", "▁a", "a", "b", "ab", "▁b", "ba"]
    raw = Tokenizer(models.BPE({piece: index for index, piece in enumerate(pieces)}, [], unk_token="<unk>"))
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    raw.decoder = decoders.Sequence(steps)
    raw.add_special_tokens([AddedToken("</s>", special=True)])
    return PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="</s>", unk_token="<unk>")


def tokenizer_of(kind):
    if kind == "byte fallback":
        return byte_fallback()
    return build_tokenizer(TokenizerConfig(kind=kind, vocab_size=300 if kind == "bpe" else None), TEXTS, max_length=64)


def alphabet(tokenizer):
    """Tokens that write the texts, or parts of them, and special ones."""
    raw = [token for text in TEXTS for token in tokenizer(text, add_special_tokens=False)["input_ids"]]
    if "<0xE6>" in tokenizer.get_vocab():
        words = ["▁", "▁a", "a", "b", "ab", "▁b", "ba", *(f"<0x{byte:02X}>" for byte in "数🙂ï\n".encode())]
        raw = tokenizer.convert_tokens_to_ids(words)
    return [*raw, tokenizer.eos_token_id]


@pytest.mark.parametrize("strings", STRINGS, ids=str)
@pytest.mark.parametrize("kind", ["words", "characters", "bpe", "byte fallback"])
def test_a_completion_ends_with_the_token_that_makes_its_whole_text_contain_a_string(kind, strings):
    tokenizer = tokenizer_of(kind)
    codec = make_codec(tokenizer, PromptConfig())
    ends, tokens, rng = StopStrings(codec, strings), alphabet(tokenizer), Random(0)
    for _ in range(60):
        ids = rng.choices(tokens, k=40)
        if rng.random() < 0.5:  # a string as the tokenizer itself would write it
            ids[20:20] = tokenizer(strings[0], add_special_tokens=False)["input_ids"]
        contains = [any(string in codec.text(ids[:count]) for string in strings) for count in range(1, len(ids) + 1)]
        told = [ends(ids[:count]) for count in range(1, len(ids) + 1)]
        first = contains.index(True) if True in contains else len(ids)
        assert told[: first + 1] == contains[: first + 1], codec.text(ids[: first + 1])


def test_a_string_that_stood_there_before_does_not_count_again():
    """Where fewer than min_new_tokens were written, a completion goes on after it."""
    codec = make_codec(tokenizer_of("characters"), PromptConfig())
    ends = StopStrings(codec, ["ab"])
    [ids] = codec.responses_ids(["ab ba ab"])
    assert [ends(ids[:count]) for count in range(1, 9)] == [False, True, *[False] * 5, True]


def test_few_tokens_are_decoded_however_long_the_completion():
    codec = make_codec(tokenizer_of("characters"), PromptConfig())
    read = []

    class Noted(type(codec)):
        def text(self, token_ids):
            read.append(len(token_ids))
            return super().text(token_ids)

    noted = Noted(tokenizer=codec.tokenizer, stop_ids=codec.stop_ids, pad_id=codec.pad_id, chat=False)
    [ids] = codec.responses_ids(["b" * 500])
    assert not StopStrings(noted, ["aab"])(ids)
    assert read == [7]  # three bytes and the margin
