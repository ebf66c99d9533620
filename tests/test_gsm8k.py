"""GSM8K as it is published, on a random model with the layout of Qwen's: loads, grades, trains two steps."""

import json
from collections.abc import Callable
from pathlib import Path

import torch
from conftest import call, read_metrics, write_config
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

from rlvr.models.limits import read_limits
from rlvr.models.location import locate

ROWS = Path(__file__).parent / "tasks" / "gsm8k_layout.jsonl"
CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def save_qwen(folder: Path) -> Path:
    """A random model of two layers, with a tokenizer of bytes and merges, ChatML, and the end of a turn as its end."""
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer, raw.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        show_progress=False,
    )
    raw.train_from_iterator(ROWS.read_text().splitlines(), trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    tokenizer.chat_template = CHATML
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    shape = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "max_window_layers": 2,
        "num_attention_heads": 4,
    }
    config = Qwen2Config(
        vocab_size=len(tokenizer), num_key_value_heads=2, max_position_embeddings=256, bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id, tie_word_embeddings=True, **shape,
    )  # fmt: skip
    Qwen2ForCausalLM(config).save_pretrained(folder)
    return folder


def test_gsm8k_trains_two_steps_on_a_random_model_with_qwens_layout(tmp_path: Path) -> None:
    config = write_config(
        tmp_path / "rl.yaml",
        {
            "model": str(save_qwen(tmp_path / "model")),
            "task": {"name": "problems", "path": str(ROWS), "template": "{question} Write the number after ####."},
            "reward": {"number": 1.0, "noise": {"fp": 0.5}},  # so that groups of answers that are all wrong differ
            "rollout": {"group_size": 2, "problems_per_step": 4, "max_new_tokens": 8},
            "train": {"max_steps": 2, "learning_rate": 1e-3},
            "eval": {"every": 2, "problems": 2},
        },
    )
    answer = call("rl", config, "--run", tmp_path / "run")
    assert answer.code == 0, answer.err
    assert "the layout of GSM8K was recognised" in answer.err
    rows = read_metrics(tmp_path / "run")
    assert [row["step"] for row in rows if "train/loss" in row] == [1, 2]
    assert (tmp_path / "run" / "checkpoints" / "step_000002" / "model.safetensors").exists()
    first = json.loads((tmp_path / "run" / "rollouts" / "step_000001.jsonl").read_text().splitlines()[0])
    assert first["prompt"].startswith("<|im_start|>user\n")
    assert first["question"].endswith(" Write the number after ####.")
    assert first["answer"].lstrip("-").replace(".", "").isdecimal()


def test_gold_answers_of_gsm8k_earn_full_marks_and_others_do_not(tmp_path: Path) -> None:
    """``check`` grades every gold answer and an empty one; a solution whose last line was changed is refused there."""
    task = {"name": "problems", "path": str(tmp_path / "rows.jsonl"), "test_fraction": 0}
    tree = {
        "model": "runs/none",
        "task": task,
        "reward": {"number": 1.0},
        "train": {"max_steps": 1, "learning_rate": 1e-3},
    }
    config = write_config(tmp_path / "rl.yaml", tree)
    text = ROWS.read_text()
    (tmp_path / "rows.jsonl").write_text(text)
    assert call("check", config).code == 0
    (tmp_path / "rows.jsonl").write_text(text.replace("#### 39", "#### about 39"))
    answer = call("check", config)
    assert answer.code == 2
    assert "rows.jsonl:1: answer ends in #### and no number: 'about 39'" in answer.err


def test_questions_of_too_many_tokens_are_left_out_and_counted(tmp_path: Path, refused: Callable[..., str]) -> None:
    model = save_qwen(tmp_path / "model")
    task = {"name": "problems", "path": str(ROWS), "tokenizer": str(model), "test_fraction": 0}
    tree = {
        "model": str(model),
        "task": task,
        "reward": {"number": 1.0},
        "train": {"max_steps": 1, "learning_rate": 1e-3},
    }
    config = write_config(tmp_path / "rl.yaml", tree)
    limits = read_limits(locate(str(model)))
    assert limits is not None
    rows = [json.loads(line)["question"] for line in ROWS.read_text().splitlines()]
    lengths = sorted(limits.length(question) for question in rows)
    cut = lengths[11]
    kept = sum(length <= cut for length in lengths)
    answer = call("data", config, "--set", f"task.max_tokens={cut}", "--count", 99)
    assert len(answer.out.splitlines()) == kept
    answer = call("check", config, "--set", f"task.max_tokens={cut}", "--set", "rollout.max_new_tokens=4")
    assert answer.code == 0, answer.err
    said = f"{24 - kept} of 24 problems of {ROWS} were left out: their questions have more than {cut} tokens"
    assert f"{said} (the longest has {lengths[-1]})" in answer.err
    assert f"the shortest has {lengths[0]}" in refused("check", config, "--set", "task.max_tokens=1")
    assert "max_tokens and tokenizer belong together" in refused("check", config)
    gone = ["--set", "task.max_tokens=9", "--set", "task.tokenizer=runs/none"]
    assert "task.tokenizer: has no tokenizer to count by" in refused("check", config, *gone)
