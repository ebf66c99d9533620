"""Text to ids and back, and how questions are put to a model."""

import pytest
from transformers import AutoTokenizer

from rlvr.config import PromptConfig, TokenizerConfig
from rlvr.errors import RlvrError
from rlvr.models.tokenizer import build_tokenizer, make_codec

TEXTS = ["3 + 4 = 7", "<think> 3 + 4 </think> 7 ."]
TEMPLATE = (
    "{% for message in messages %}<{{ message.role }}> {{ message.content }} <end> {% endfor %}"
    "{% if add_generation_prompt %}<assistant> {% endif %}"
)


def tokenizer_of(kind="words"):
    return build_tokenizer(TokenizerConfig(kind=kind, vocab_size=300 if kind == "bpe" else None), TEXTS, max_length=64)


def chat_tokenizer(template=TEMPLATE):
    """A tokenizer with a chat template and the special token <end> after every message."""
    tokenizer = tokenizer_of()
    tokenizer.add_special_tokens({"additional_special_tokens": ["<end>"]})
    tokenizer.chat_template = template
    return tokenizer


@pytest.mark.parametrize("kind", ["words", "characters", "bpe"])
def test_text_comes_back_from_its_ids(kind):
    tokenizer = tokenizer_of(kind)
    for text in TEXTS:
        assert tokenizer.decode(tokenizer(text)["input_ids"], skip_special_tokens=True) == text


def test_bytes_let_bpe_write_any_text():
    tokenizer = tokenizer_of("bpe")
    text = "naïve  — 数\n\ttabs"
    assert tokenizer.decode(tokenizer(text)["input_ids"], skip_special_tokens=True) == text


@pytest.mark.parametrize("kind", ["words", "characters", "bpe"])
def test_a_tag_is_one_token_even_without_spaces_around_it(kind):
    tokenizer = tokenizer_of(kind)
    ids = tokenizer("<think>3</think>", add_special_tokens=False)["input_ids"]
    assert tokenizer.convert_ids_to_tokens(ids) == ["<think>", "3", "</think>"]


@pytest.mark.parametrize("kind", ["words", "characters", "bpe"])
def test_the_tokenizer_puts_bos_before_a_text(kind):
    tokenizer = tokenizer_of(kind)
    bare = tokenizer("3 + 4", add_special_tokens=False)["input_ids"]
    assert tokenizer("3 + 4")["input_ids"] == [tokenizer.bos_token_id, *bare]
    assert tokenizer.bos_token_id not in bare


def test_one_token_a_word_or_a_character():
    assert len(tokenizer_of("words")("3 + 4", add_special_tokens=False)["input_ids"]) == 3
    assert len(tokenizer_of("characters")("3 + 4", add_special_tokens=False)["input_ids"]) == 5


def test_the_vocabulary_is_the_special_tokens_the_tags_and_the_words():
    assert len(tokenizer_of("words")) == 4 + 2 + 6  # <pad> <bos> <eos> <unk>, two tags, 3 4 7 + = .


def test_bpe_has_as_many_tokens_as_asked_for():
    texts = [" ".join(str(n) for n in range(1000))]
    assert len(build_tokenizer(TokenizerConfig(kind="bpe", vocab_size=300), texts, max_length=64)) == 300


def test_an_unknown_word_becomes_unk():
    tokenizer = tokenizer_of("words")
    assert tokenizer("3 ninety", add_special_tokens=False)["input_ids"][1] == tokenizer.unk_token_id


@pytest.mark.parametrize("kind", ["words", "characters", "bpe"])
def test_a_saved_tokenizer_gives_the_same_ids_in_plain_transformers(kind, tmp_path):
    tokenizer = tokenizer_of(kind)
    tokenizer.save_pretrained(tmp_path)
    again = AutoTokenizer.from_pretrained(tmp_path)
    for text in [*TEXTS, " 3  + ", "<think>3</think>4 ?"]:
        ids = tokenizer(text)["input_ids"]
        assert again(text)["input_ids"] == ids
        assert again.decode(ids) == tokenizer.decode(ids)
    assert (again.eos_token_id, again.pad_token_id) == (tokenizer.eos_token_id, tokenizer.pad_token_id)


def test_a_plain_question_is_the_prompt_and_starts_with_bos():
    codec = make_codec(tokenizer_of(), PromptConfig())
    assert codec.prompt("3 + 4 =") == "3 + 4 ="
    [ids] = codec.prompts_ids(["3 + 4 ="])
    assert codec.tokenizer.convert_ids_to_tokens(ids) == ["<bos>", "3", "+", "4", "="]


def test_a_response_has_neither_bos_nor_end():
    codec = make_codec(tokenizer_of(), PromptConfig())
    [ids] = codec.responses_ids(["<think> 3 </think> 7"])
    assert codec.tokenizer.convert_ids_to_tokens(ids) == ["<think>", "3", "</think>", "7"]


def test_the_text_of_a_completion_keeps_tags_and_drops_special_tokens():
    codec = make_codec(tokenizer_of(), PromptConfig())
    [ids] = codec.responses_ids(["<think> 3 </think> 7"])
    assert codec.text([*ids, codec.stop_ids[0]]) == "<think> 3 </think> 7"


def test_a_chat_template_writes_the_prompt_and_all_its_special_tokens():
    codec = make_codec(chat_tokenizer(), PromptConfig())
    prompt = codec.prompt("3 + 4 =")
    assert prompt == "<user> 3 + 4 = <end> <assistant> "
    assert codec.tokenizer.bos_token_id not in codec.prompts_ids([prompt])[0]


def test_a_system_message_comes_first():
    codec = make_codec(chat_tokenizer(), PromptConfig(system="3"))
    assert codec.prompt("4") == "<system> 3 <end> <user> 4 <end> <assistant> "


def test_style_plain_leaves_the_chat_template_unused():
    codec = make_codec(chat_tokenizer(), PromptConfig(style="plain"))
    assert codec.prompt("4") == "4"
    assert codec.stop_ids == [codec.tokenizer.eos_token_id]


def test_the_end_of_turn_is_read_from_the_template_and_comes_before_eos():
    tokenizer = chat_tokenizer()
    codec = make_codec(tokenizer, PromptConfig())
    assert codec.stop_ids == [tokenizer.convert_tokens_to_ids("<end>"), tokenizer.eos_token_id]


def test_a_template_that_ends_a_turn_with_no_special_token_leaves_eos():
    codec = make_codec(chat_tokenizer(TEMPLATE.replace("<end>", "+")), PromptConfig())
    assert codec.stop_ids == [codec.tokenizer.eos_token_id]


def test_a_models_own_stop_tokens_are_added_once():
    tokenizer = tokenizer_of()
    codec = make_codec(tokenizer, PromptConfig(), [7, tokenizer.eos_token_id, 7])
    assert codec.stop_ids == [tokenizer.eos_token_id, 7]


def test_without_a_padding_token_the_end_token_pads():
    tokenizer = tokenizer_of()
    tokenizer.pad_token = None
    assert make_codec(tokenizer, PromptConfig()).pad_id == tokenizer.eos_token_id


def test_style_chat_needs_a_template():
    with pytest.raises(RlvrError, match=r"no chat template.*allowed: auto, plain"):
        make_codec(tokenizer_of(), PromptConfig(style="chat"))


def test_a_system_message_needs_a_template():
    with pytest.raises(RlvrError, match=r"prompt\.system: has no effect"):
        make_codec(tokenizer_of(), PromptConfig(system="be brief"))


def test_a_tokenizer_without_an_end_token_is_refused():
    tokenizer = tokenizer_of()
    tokenizer.eos_token = None
    with pytest.raises(RlvrError, match="no end-of-text token"):
        make_codec(tokenizer, PromptConfig())


@pytest.mark.parametrize("kind", ["words", "characters"])
def test_token_spans_cut_the_text_into_its_tokens(kind):
    codec = make_codec(build_tokenizer(TokenizerConfig(kind=kind), ["0 1 2 ="], max_length=32), PromptConfig())
    [ids] = codec.responses_ids(["<think> 1 0 </think> 1"])
    ids = [*ids, codec.stop_ids[0]]
    text, spans = codec.text(ids), codec.token_spans(ids)
    assert "".join(text[start:end] for start, end in spans) == text
    assert spans[-1] == (len(text), len(text))
    assert len(spans) == len(ids)
