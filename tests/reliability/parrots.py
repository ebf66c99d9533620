"""Models that say what a test wants to be said: a directory as transformers reads it, a prompt for every saying."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedTokenizerFast

SPECIAL = ("<pad>", "<bos>", "<eos>", "<unk>")
PAD, BOS, EOS = range(3)
SURE = 40.0
"""The logit of the token that comes next, where all others have 0."""


def make_parrot(folder: Path, sayings: Sequence[str | bytes]) -> Path:
    """A model that answers the prompt ``p<i>`` with saying i and its end token, whatever it is sampled with.

    Each saying is one token, kept as bytes: what is no UTF-8 is decoded as a tokenizer of bytes decodes it.
    """
    raws = [each if isinstance(each, bytes) else each.encode("utf-8", "surrogatepass") for each in sayings]
    written = [_as_bytes(raw) for raw in raws]
    assert len(set(written)) == len(written)
    words = [*SPECIAL, *(f"p{number}" for number in range(len(raws))), *written]
    assert len(set(words)) == len(words)
    _save_tokenizer(folder, {word: index for index, word in enumerate(words)})
    _save_model(folder, len(raws), len(words))
    return folder


def _as_bytes(raw: bytes) -> str:
    """Bytes in the letters that byte-level tokenizers write them with."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = {byte: chr(byte) for byte in plain}
    letters |= {byte: chr(256 + place) for place, byte in enumerate(b for b in range(256) if b not in letters)}
    return "".join(letters[byte] for byte in raw)


def _save_tokenizer(folder: Path, vocabulary: dict[str, int]) -> None:
    raw = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    raw.pre_tokenizer, raw.decoder = pre_tokenizers.WhitespaceSplit(), decoders.ByteLevel()
    raw.post_processor = processors.TemplateProcessing(single="<bos> $A", special_tokens=[("<bos>", BOS)])
    names = {"pad_token": "<pad>", "bos_token": "<bos>", "eos_token": "<eos>", "unk_token": "<unk>"}
    PreTrainedTokenizerFast(
        tokenizer_object=raw, padding_side="left", clean_up_tokenization_spaces=False, **names
    ).save_pretrained(folder)


def _save_model(folder: Path, sayings: int, words: int) -> None:
    """One layer that adds nothing: a token's embedding says alone what comes next."""
    width = max(16, 1 << sayings.bit_length())
    config = LlamaConfig(
        vocab_size=words, hidden_size=width, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=2, head_dim=width // 2, max_position_embeddings=16, tie_word_embeddings=False,
        pad_token_id=PAD, bos_token_id=BOS, eos_token_id=EOS,
    )  # fmt: skip
    model = AutoModelForCausalLM.from_config(config)
    inside, outside = model.get_input_embeddings().weight, model.get_output_embeddings().weight
    with torch.no_grad():
        model.model.layers[0].self_attn.o_proj.weight.zero_()
        model.model.layers[0].mlp.down_proj.weight.zero_()
        inside.zero_()
        outside.zero_()
        for number in range(sayings):
            prompt, saying = len(SPECIAL) + number, len(SPECIAL) + sayings + number
            inside[prompt, number] = inside[saying, width - 1] = 1.0
            outside[saying, number] = SURE / width**0.5
        outside[EOS, width - 1] = SURE / width**0.5
    model.save_pretrained(folder)


def eval_tree(folder: Path, sayings: Sequence[str | bytes], golds: Sequence[str], reward: Any) -> dict[str, Any]:
    """A configuration of ``rlvr eval`` in which saying i answers a problem with gold answer i, in this order."""
    return {
        **_parts(folder, sayings, golds, reward, test_fraction=1),
        "rollout": {"max_new_tokens": 2, "batch_size": 512},
        "eval": {"problems": len(golds), "samples": 1},
    }


def rl_tree(folder: Path, sayings: Sequence[str | bytes], golds: Sequence[str], reward: Any) -> dict[str, Any]:
    """A configuration of ``rlvr rl`` for one step over all of them, in groups of two."""
    return {
        **_parts(folder, sayings, golds, reward, test_fraction=0),
        "rollout": {"max_new_tokens": 2, "batch_size": 512, "group_size": 2, "problems_per_step": len(golds)},
        "train": {"max_steps": 1, "learning_rate": 1e-6, "save_every": 1},
        "eval": None,
    }


def _parts(
    folder: Path, sayings: Sequence[str | bytes], golds: Sequence[str], reward: Any, *, test_fraction: int
) -> dict[str, Any]:
    """sayings may repeat: each different one is learnt once."""
    different = list(dict.fromkeys(sayings))
    if not (folder / "parrot").exists():
        make_parrot(folder / "parrot", different)
    number = {saying: place for place, saying in enumerate(different)}
    rows = [{"question": f"p{number[saying]}", "answer": gold} for saying, gold in zip(sayings, golds, strict=True)]
    (folder / "problems.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    task = {"name": "problems", "path": str(folder / "problems.jsonl"), "test_fraction": test_fraction}
    return {"model": str(folder / "parrot"), "task": task, "reward": reward}


def rollouts(run: Path, step: int) -> list[dict[str, Any]]:
    """The rollouts of a step, as they were written."""
    lines = (run / "rollouts" / f"step_{step:06d}.jsonl").read_text(encoding="ascii").split("\n")
    return [json.loads(line) for line in lines if line]
