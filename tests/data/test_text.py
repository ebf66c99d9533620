"""Text files as documents, and documents as samples."""

from pathlib import Path

import pytest

from rlvr.config import PromptConfig, TokenizerConfig
from rlvr.data.text import TextFile, to_samples
from rlvr.errors import RlvrError
from rlvr.models.tokenizer import Codec, build_tokenizer, make_codec
from rlvr.types import Document, Sample

BOS, EOS, A, B, C = 1, 2, 6, 7, 8
"""Token ids: four special tokens, the two tags, then the words in order."""

CHAT = "{% for m in messages %}{{ m.content }} {% endfor %}{% if add_generation_prompt %}c {% endif %}"


@pytest.fixture(scope="module")
def codec() -> Codec:
    return make_codec(build_tokenizer(TokenizerConfig(kind="words"), ["a b c"], 64), PromptConfig())


@pytest.fixture(scope="module")
def chat_codec() -> Codec:
    tokenizer = build_tokenizer(TokenizerConfig(kind="words"), ["a b c"], 64)
    tokenizer.chat_template = CHAT
    return make_codec(tokenizer, PromptConfig())


def sample(codec: Codec, prompt: str, response: str, *, whole: bool, ends: bool = True) -> Sample:
    document = Document(source="s", mode="m", prompt=prompt, response=response, ends=ends)
    return to_samples([document], codec, whole=whole)[0]


def test_only_the_response_and_its_end_are_trained(codec: Codec) -> None:
    made = sample(codec, "a b", "c b", whole=False)
    assert made == Sample(token_ids=[BOS, A, B, C, B, EOS], loss_mask=[False] * 3 + [True] * 3)


def test_a_whole_document_is_trained_but_for_its_first_token(codec: Codec) -> None:
    assert sample(codec, "a b", "c", whole=True).loss_mask == [False, True, True, True, True]


def test_plain_text_is_trained_whole_even_where_only_responses_are(codec: Codec) -> None:
    made = sample(codec, "", "a b c", whole=False, ends=False)
    assert made == Sample(token_ids=[BOS, A, B, C], loss_mask=[False, True, True, True])


def test_a_text_that_was_cut_has_no_end_token(codec: Codec) -> None:
    assert sample(codec, "", "a", whole=True, ends=False).token_ids == [BOS, A]
    assert sample(codec, "", "a", whole=True, ends=True).token_ids == [BOS, A, EOS]


def test_a_chat_prompt_goes_through_the_template(chat_codec: Codec) -> None:
    made = sample(chat_codec, "a b", "b", whole=False)
    assert made == Sample(token_ids=[A, B, C, B, EOS], loss_mask=[False, False, False, True, True])


def test_plain_text_for_a_chat_model_begins_with_the_end_of_another(chat_codec: Codec) -> None:
    made = sample(chat_codec, "", "a b", whole=False, ends=False)
    assert made == Sample(token_ids=[EOS, A, B], loss_mask=[False, True, True])


def test_samples_of_many_documents_are_those_of_each(codec: Codec) -> None:
    documents = [
        Document(source="s", mode="m", prompt="a" if n % 2 else "", response=" ".join("abc"[: n % 3 + 1]), ends=n > 3)
        for n in range(8)
    ]
    together = to_samples(documents, codec, whole=False)
    assert together == [to_samples([document], codec, whole=False)[0] for document in documents]


def test_no_documents_make_no_samples(codec: Codec) -> None:
    assert to_samples([], codec, whole=True) == []


# ------------------------------------------------------------------------------------------------- text files


def text_file(folder: Path, text: str, block: int = 16, seed: int = 0) -> TextFile:
    (folder / "notes.txt").write_text(text, encoding="utf-8")
    return TextFile(str(folder / "notes.txt"), block, seed)


LETTERS = "".join(chr(0x4E00 + n) for n in range(200))
"""Two hundred characters, each of which occurs once."""


def test_a_document_is_a_block_of_its_part_of_the_file(tmp_path: Path) -> None:
    file = text_file(tmp_path, LETTERS)
    for split, part in (("train", LETTERS[:180]), ("test", LETTERS[180:])):
        for index in range(50):
            document = file.document(split, index)
            assert len(document.response) == 16
            assert document.response in part


def test_every_character_can_be_drawn(tmp_path: Path) -> None:
    file = text_file(tmp_path, LETTERS)
    assert set("".join(file.document("test", index).response for index in range(200))) == set(LETTERS[180:])


def test_a_document_has_no_prompt_and_no_end(tmp_path: Path) -> None:
    document = text_file(tmp_path, LETTERS).document("train", 0)
    assert (document.source, document.mode, document.prompt, document.ends) == ("notes.txt", "text", "", False)


def test_documents_depend_on_seed_split_and_index_only(tmp_path: Path) -> None:
    one, same, other = (text_file(tmp_path, LETTERS, seed=seed) for seed in (0, 0, 1))
    assert [one.document("train", i) for i in range(9)] == [same.document("train", i) for i in range(9)]
    assert [one.document("train", i) for i in range(9)] != [other.document("train", i) for i in range(9)]


def test_a_block_longer_than_the_text_gives_all_of_it(tmp_path: Path) -> None:
    assert text_file(tmp_path, LETTERS, block=999).document("train", 5).response == LETTERS[:180]


def test_texts_hold_the_whole_file(tmp_path: Path) -> None:
    text = LETTERS * 200
    assert "".join(text_file(tmp_path, text).texts()) == text


@pytest.mark.parametrize("characters", [0, 5, 19])
def test_a_file_below_the_bound_that_is_named_is_refused(characters: int, tmp_path: Path) -> None:
    with pytest.raises(
        RlvrError, match=rf"is too short to learn from; .*{characters} characters.*; allowed: at least 20"
    ):
        text_file(tmp_path, "x" * characters)


def test_a_file_of_20_characters_is_long_enough(tmp_path: Path) -> None:
    assert text_file(tmp_path, "x" * 20).document("test", 0).response == "xx"


def test_a_missing_text_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RlvrError, match="no such file"):
        TextFile(str(tmp_path / "none.txt"), 16, 0)
