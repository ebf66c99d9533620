"""A tiny Llama whose weights say how long its answers are, so that no side has to be told: lengths come from its stop token.

Embeddings are one-hot and so much larger than what the layers add that a token's logits depend on the token before it alone;
the head holds the logarithms of a table of transitions. The layers are drawn as transformers draws them and cost what they always
cost. After ``=`` it writes a digit, a letter and the stop token; after ``?`` a digit and then letters without end.
"""

import math
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from transformers.utils import logging

from bench.works import BOS, CHARACTERS, FIRST, PAD, STOP, TO_LONG, TO_SHORT, UNK, token

SCALE = 100.0
"""Length of an embedding; what the layers add has a length of about one."""
NEVER = -40.0
"""The logarithm of the probability of what does not happen."""
SHORT_LETTER, LONG_LETTERS = "x", "kmw"


def make_tiny(folder: Path, *, layers: int = 4, width: int = 128, positions: int = 512) -> str:
    """Write the model, float32, and its tokenizer of 49 characters. Returns the folder."""
    logging.disable_progress_bar()
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=UNK + 1 + len(CHARACTERS),
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=layers,
        num_attention_heads=width // 32,
        num_key_value_heads=width // 32,
        max_position_embeddings=positions,
        bos_token_id=BOS,
        eos_token_id=STOP,
        pad_token_id=PAD,
        tie_word_embeddings=False,
    )
    model: Any = LlamaForCausalLM(config)
    with torch.no_grad():
        model.get_input_embeddings().weight.copy_(SCALE * torch.eye(config.vocab_size, width))
        # The last norm makes a one-hot vector as long as the root of the width.
        model.lm_head.weight.zero_()
        model.lm_head.weight[:, : config.vocab_size] = _transitions(config.vocab_size).T / math.sqrt(width)
    model.save_pretrained(folder)
    _tokenizer().save_pretrained(folder)
    return str(folder)


def _transitions(size: int) -> torch.Tensor:
    """Log-probabilities (V, V): of the next token, by the token before it."""
    table = torch.full((size, size), NEVER)
    long = [token(letter) for letter in LONG_LETTERS]
    after: dict[str, list[int]] = {
        TO_SHORT: [token(digit) for digit in FIRST[TO_SHORT]],
        TO_LONG: [token(digit) for digit in FIRST[TO_LONG]],
        SHORT_LETTER: [STOP],
    }
    after |= {digit: [token(SHORT_LETTER)] for digit in FIRST[TO_SHORT]}
    after |= {character: long for character in FIRST[TO_LONG] + LONG_LETTERS}  # noqa: C420  # lists that nobody changes
    for before, tokens in after.items():
        table[token(before), tokens] = -math.log(len(tokens))
    return table


def _tokenizer() -> PreTrainedTokenizerFast:
    """One token a character; it adds nothing by itself."""
    known = {piece: index for index, piece in enumerate(["<pad>", "<bos>", "<eos>", "<unk>", *CHARACTERS])}
    raw = Tokenizer(models.WordLevel(known, unk_token="<unk>"))  # noqa: S106  # a token of text
    raw.pre_tokenizer, raw.decoder = pre_tokenizers.Split("", "isolated"), decoders.Fuse()
    names = {f"{name}_token": f"<{name}>" for name in ("pad", "bos", "eos", "unk")}
    return PreTrainedTokenizerFast(tokenizer_object=raw, padding_side="left", **names)
