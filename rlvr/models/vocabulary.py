"""The tokens that text asks for. No torch, so that a plan can be made without it."""

from collections.abc import Iterable

from rlvr.config import ModelConfig, TokenizerConfig

PAD, BOS, EOS, UNK = "<pad>", "<bos>", "<eos>", "<unk>"
SPECIAL = (PAD, BOS, EOS, UNK)
THINK = ("<think>", "</think>")
DEFAULT_BPE_SIZE = 2048


def vocabulary(kind: str, texts: Iterable[str]) -> list[str]:
    """Special tokens, the tags, then every word (kind words) or character (kind characters) of the texts, sorted."""
    pieces: set[str] = set()
    for text in texts:
        for tag in THINK:
            text = text.replace(tag, " " if kind == "words" else "")
        pieces.update(text.split() if kind == "words" else text)
    return [*SPECIAL, *THINK, *sorted(pieces - set(SPECIAL))]


def vocabulary_size(config: TokenizerConfig, texts: Iterable[str]) -> int:
    """How many tokens a tokenizer will have (for bpe, at most)."""
    if config.kind == "bpe":
        return config.vocab_size or DEFAULT_BPE_SIZE
    return len(vocabulary(config.kind, texts))


def parameter_count(config: ModelConfig, vocab_size: int) -> int:
    """Parameters of a model from scratch, as transformers builds it."""
    width, head = config.width, config.width // config.heads
    attention = 2 * width * width + 2 * width * (config.kv_heads or config.heads) * head
    if config.family != "llama":
        attention += 2 * head  # norms of queries and keys
    if config.experts is None:
        mlp = 3 * width * (config.mlp_width or 4 * width)
    else:
        mlp = config.experts * (3 * width * (config.mlp_width or width) + width)  # with the router
    embeddings = vocab_size * width * (1 if config.tie_embeddings else 2)
    return embeddings + config.layers * (attention + mlp + 2 * width) + width
