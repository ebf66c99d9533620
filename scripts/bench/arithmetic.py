"""How many floating-point operations a work needs, matrix products and attention and nothing else, and how many numbers have to be
read from memory for it. Standard library alone.

A multiplication and an addition count as two. What is divided by the measured rate of matrix products, or of memory, is a time that no
side can go below on that machine; the embedding is a look-up and counts nothing.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Cost:
    """A model's operations: of a token in matrix products, of a token and each position that it looks at, and in the head.

    cached: numbers that are kept of every token.
    """

    token: float
    position: float
    head: float
    cached: float

    def completion(self, prompt: int, new: int) -> float:
        """To read a prompt once and write so many tokens; the last one written is not read any more."""
        read = prompt + new - 1
        return read * self.token + read * (read + 1) / 2 * self.position + new * self.head

    def sampling(self, prompts: Sequence[int], groups: Sequence[Sequence[int]]) -> float:
        """To complete prompts, each read once for all completions of its group. prompts, groups: lengths in tokens."""
        total = 0.0
        for prompt, lengths in zip(prompts, groups, strict=True):
            alone = self.completion(prompt, 1)
            total += alone + sum(self.completion(prompt, new) - alone for new in lengths)
        return total

    def traffic(self, prompts: Sequence[int], lengths: Sequence[int]) -> float:
        """Numbers read to complete prompts that are all written together, one completion each: all weights at every step, as a
        processor's cache does not hold them, and what is kept of each row's tokens. Reading the prompts counts as one step."""
        steps = max(lengths, default=0)
        kept = sum((new - 1) * prompt + (new - 1) * new / 2 for prompt, new in zip(prompts, lengths, strict=True))
        return steps * (self.token + self.head) / 2 + kept * self.cached

    def update(self, prompt: int, new: int) -> float:
        """To train on one completion: a forward pass, and a backward pass of twice its cost. The head is for the completion alone."""
        length = prompt + new - 1
        return 3 * (length * self.token + length * (length + 1) / 2 * self.position + new * self.head)


def cost(model: str) -> Cost:
    """The cost of a Llama in a Hugging Face directory."""
    config = json.loads((Path(model) / "config.json").read_text())
    width, heads = config["hidden_size"], config["num_attention_heads"]
    size = config.get("head_dim") or width // heads
    keyed = config.get("num_key_value_heads") or heads
    attention = width * size * (2 * heads + 2 * keyed)
    layer = attention + 3 * width * config["intermediate_size"]
    layers = config["num_hidden_layers"]
    return Cost(
        token=2.0 * layers * layer,
        position=4.0 * layers * heads * size,
        head=2.0 * width * config["vocab_size"],
        cached=2.0 * layers * keyed * size,
    )
