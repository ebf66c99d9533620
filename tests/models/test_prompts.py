"""What a question becomes: as it is, after examples, and in the manner of R1."""

import json

import pytest
from conftest import call
from test_tokenizer import chat_tokenizer, tokenizer_of

from rlvr.config import PromptConfig
from rlvr.models.prompts import R1, plain_prompt
from rlvr.models.tokenizer import make_codec

EXAMPLES = [{"question": "3", "answer": "4"}, {"question": "7", "answer": "+"}]


def asking(**keys):
    return PromptConfig.model_validate(keys)


def test_a_plain_question_is_as_it_was():
    assert plain_prompt(" 3 + 4 =", asking(style="plain")) == " 3 + 4 ="


def test_examples_come_before_the_question_in_plain_text():
    text = plain_prompt("1 + 1", asking(examples=EXAMPLES))
    assert text == "Question: 3\nAnswer:\n4\n\nQuestion: 7\nAnswer:\n+\n\nQuestion: 1 + 1\nAnswer:\n"


def test_examples_are_earlier_turns_of_a_chat_after_its_system_message():
    codec = make_codec(chat_tokenizer(), asking(system="=", examples=EXAMPLES[:1]))
    assert codec.prompt("7") == "<system> = <end> <user> 3 <end> <assistant> 4 <end> <user> 7 <end> <assistant> "


def test_r1_is_plain_text_even_where_there_is_a_template():
    codec = make_codec(chat_tokenizer(), asking(style="r1", examples=EXAMPLES[:1]))
    assert codec.prompt("7") == R1 + "User: 3\nAssistant:\n4\nUser: 7\nAssistant:\n"
    assert "<think>" in R1
    assert codec.stop_ids == [codec.tokenizer.eos_token_id]


def test_r1_needs_no_template():
    assert make_codec(tokenizer_of(), asking(style="r1")).prompt("7").endswith("User: 7\nAssistant:\n")


def test_examples_take_room_and_reach_the_model(config, refused):
    """Through the command line: a prompt that they make too long is refused, and one that fits is what the rollouts show."""
    shown = "{question: 0 1 =, answer: '1'}"
    many = f"prompt.examples=[{', '.join([shown] * 20)}]"
    assert "the prompt of problem" in refused("check", config, "--set", many)
    answer = call("eval", config, "--set", f"prompt.examples=[{shown}]", "--run", config.parent / "run")
    assert answer.code == 0, answer.err
    [file] = (config.parent / "run" / "rollouts").glob("*.jsonl")
    assert json.loads(file.read_text().splitlines()[0])["prompt"].startswith(
        "Question: 0 1 =\nAnswer:\n1\n\nQuestion: "
    )


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"style": "r1", "system": "x"}, "system"),
        ({"examples": []}, "at least 1"),
        ({"examples": [{"question": "", "answer": "4"}]}, "at least 1"),
        ({"examples": [{"question": "3"}]}, "answer"),
    ],
)
def test_what_has_no_effect_or_is_empty_is_refused(keys, said):
    with pytest.raises(ValueError, match=said):
        asking(**keys)
