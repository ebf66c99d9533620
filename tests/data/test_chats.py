"""Chats from a file: what of them is learnt is just what a model that is asked would have to write."""

import json
from pathlib import Path

import pytest
from conftest import call, read_metrics, write_config
from transformers import PreTrainedTokenizerFast

from rlvr.config import PromptConfig, TokenizerConfig
from rlvr.data.chats import ChatFile
from rlvr.data.text import to_samples
from rlvr.errors import RlvrError
from rlvr.models.templates import Conversation, render
from rlvr.models.tokenizer import Codec, build_tokenizer, make_codec

TEXTS = ["What is 3 + 4 ?", "<think> easily </think> It is 7 .", "And one more ?", "8 , of course ."]
TURNS = [
    {"role": "user", "content": TEXTS[0]},
    {"role": "assistant", "content": TEXTS[1]},
    {"role": "user", "content": TEXTS[2]},
    {"role": "assistant", "content": TEXTS[3]},
]
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
FORGETFUL = CHATML.replace(
    "{{ m.content }}", "{{ m.content if loop.last else m.content.split('</think>')[-1].strip() }}"
)
"""As templates of reasoning models do: thoughts are left out of all turns but the last."""


def tokenizer(template: str = CHATML) -> PreTrainedTokenizerFast:
    made = build_tokenizer(TokenizerConfig(kind="bpe", vocab_size=300), TEXTS, max_length=512)
    made.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    made.chat_template = template
    return made


def codec(template: str = CHATML, **asking: object) -> Codec:
    return make_codec(tokenizer(template), PromptConfig.model_validate(asking))


def chats(path: Path, *rows: object) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows or [{"messages": TURNS}] * 2))
    return str(path)


def sample(made: Codec, path: Path, *, last_alone: bool = False):
    document = ChatFile(chats(path / "chats.jsonl"), last_alone=last_alone, seed=0).document("train", 0)
    return to_samples([document], made, whole=False)[0]


def pieces(made: Codec, drawn) -> list[tuple[bool, str]]:
    """The sample's text in runs of tokens that are learnt or not."""
    found: list[tuple[bool, list[int]]] = []
    for token, learnt in zip(drawn.token_ids, drawn.loss_mask, strict=True):
        if not found or found[-1][0] != learnt:
            found.append((learnt, []))
        found[-1][1].append(token)
    return [(learnt, made.tokenizer.decode(ids)) for learnt, ids in found]


def test_the_assistants_turns_and_their_ends_are_learnt(tmp_path):
    made = codec()
    assert pieces(made, sample(made, tmp_path)) == [
        (False, f"<|im_start|>user\n{TEXTS[0]}<|im_end|>\n<|im_start|>assistant\n"),
        (True, f"{TEXTS[1]}<|im_end|>"),
        (False, f"\n<|im_start|>user\n{TEXTS[2]}<|im_end|>\n<|im_start|>assistant\n"),
        (True, f"{TEXTS[3]}<|im_end|>"),
    ]


def test_what_comes_before_each_learnt_turn_is_the_prompt_that_a_model_is_given(tmp_path):
    made = codec()
    drawn = sample(made, tmp_path)
    starts = [i for i, own in enumerate(drawn.loss_mask) if own and not drawn.loss_mask[i - 1]]
    asked = [Conversation(TURNS[:index], asking=True) for index in (1, 3)]
    prompts = made.prompts_ids([render(made.tokenizer, each) for each in asked])
    assert [drawn.token_ids[:start] for start in starts] == prompts
    assert made.prompts_ids([made.prompt(TEXTS[0])]) == prompts[:1]


def test_the_last_turn_alone_is_learnt_where_earlier_ones_are_rewritten(tmp_path):
    made = codec(FORGETFUL)
    with pytest.raises(RlvrError, match=r"message 4.*set turns: last"):
        sample(made, tmp_path)
    found = pieces(made, sample(made, tmp_path, last_alone=True))
    assert found[1:] == [(True, f"{TEXTS[3]}<|im_end|>")]
    assert "easily" not in found[0][1]


def test_a_template_without_an_end_token_is_refused(tmp_path):
    with pytest.raises(RlvrError, match="a special token after it"):
        sample(codec(CHATML.replace("<|im_end|>", "")), tmp_path)


def test_the_system_message_of_the_configuration_comes_first_unless_the_chat_has_one(tmp_path):
    made = codec(system="Be brief .")
    assert pieces(made, sample(made, tmp_path))[0][1].startswith("<|im_start|>system\nBe brief .<|im_end|>")


def test_a_chat_comes_once_a_round_and_the_last_tenth_is_kept(tmp_path):
    rows = [
        {"messages": [{"role": "user", "content": str(n)}, {"role": "assistant", "content": "a"}]} for n in range(20)
    ]
    file = ChatFile(chats(tmp_path / "many.jsonl", *rows), last_alone=False, seed=3)
    rounds = [[file.document("train", 18 * turn + place).prompt for place in range(18)] for turn in range(2)]
    assert sorted(rounds[0], key=int) == sorted(rounds[1], key=int) == [str(n) for n in range(18)]
    assert rounds[0] != rounds[1]
    assert [file.document("test", n).prompt for n in range(2)] == ["18", "19"]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"message": []}, "messages is missing"),
        ({"messages": []}, "messages is missing"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "message 1: role 'tool' is none of"),
        ({"messages": [{"role": "user", "content": " "}]}, "message 1: content is missing"),
        ({"messages": [{"role": "user", "content": ["x"]}]}, "message 1: content is missing"),
        ({"messages": [{"role": "assistant", "content": "\ud800"}]}, "half a character"),
        ({"messages": ["x"]}, "message 1: not a JSON object"),
        ({"messages": TURNS[:3]}, "the last message is the user's"),
        ([1], "messages is missing"),
    ],
)
def test_a_bad_line_is_named(row, said, tmp_path):
    with pytest.raises(RlvrError, match=rf"chats.jsonl:2: .*{said}"):
        ChatFile(chats(tmp_path / "chats.jsonl", {"messages": TURNS}, row), last_alone=False, seed=0)


def test_sft_learns_from_chats(folder, tmp_path, refused):
    """Through the command line, with a model whose tokenizer has a template and with one that has none."""
    stage = write_config(
        tmp_path / "sft.yaml",
        {
            "model": str(folder),
            "data": {"sources": [{"chats": chats(tmp_path / "chats.jsonl", *[{"messages": [{"role": "user", "content": "0 1 ="}, {"role": "assistant", "content": "1"}]}] * 4)}]},
            "train": {"max_steps": 8, "batch_tokens": 64, "learning_rate": 1e-2},
        },
    )  # fmt: skip
    assert "chats need a chat template" in refused("sft", stage, "--run", tmp_path / "without")
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    template = "{% for m in messages %}{{ m.content }} {{ '<eos> ' if m.role == 'assistant' }}{% endfor %}"
    (folder / "tokenizer_config.json").write_text(json.dumps({**settings, "chat_template": template}))
    answer = call("sft", stage, "--run", tmp_path / "with")
    assert answer.code == 0, answer.err
    losses = [row["train/loss"] for row in read_metrics(tmp_path / "with") if "train/loss" in row]
    assert losses[-1] < 0.5 * losses[0]
    drawn = json.loads(call("data", stage, "--count", 1).out.splitlines()[0])
    assert [message["role"] for message in drawn["messages"]] == ["user", "assistant"]


def test_chats_are_for_models_that_exist(tmp_path, refused):
    stage = write_config(
        tmp_path / "pretrain.yaml",
        {
            "model": {"layers": 1, "width": 16, "heads": 2},
            "data": {"sources": [{"chats": chats(tmp_path / "chats.jsonl")}]},
            "train": {"max_steps": 1, "learning_rate": 1e-3},
        },
    )
    assert "chats need a model that has a chat template; use them in sft" in refused("check", stage)
