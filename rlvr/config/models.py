"""Models, tokenizers and prompts."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from rlvr.config.strict import Strict


class ModelConfig(Strict):
    """A model from scratch: a few dials from which a transformers configuration follows."""

    family: Literal["llama", "qwen3", "qwen3_moe"] = "llama"
    layers: PositiveInt
    width: PositiveInt
    heads: PositiveInt
    kv_heads: PositiveInt | None = None
    """Key/value heads; None means as many as heads (no grouped-query attention)."""
    mlp_width: PositiveInt | None = None
    """Hidden width of each MLP or expert; None means 4 × width (dense) or width (experts)."""
    max_positions: PositiveInt = 1024
    tie_embeddings: bool = True
    experts: PositiveInt | None = None
    experts_per_token: PositiveInt | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.width % self.heads or (self.width // self.heads) % 2:
            raise ValueError(f"width {self.width} must be an even multiple of heads {self.heads}")
        if self.kv_heads is not None and self.heads % self.kv_heads:
            raise ValueError(f"heads {self.heads} must be a multiple of kv_heads {self.kv_heads}")
        if self.family != "qwen3_moe":
            self.refuse_set(("experts", "experts_per_token"), f"for family {self.family}")
        elif self.experts is None or self.experts_per_token is None:
            raise ValueError("family qwen3_moe needs experts and experts_per_token")
        elif self.experts_per_token > self.experts:
            raise ValueError(f"experts_per_token {self.experts_per_token} exceeds experts {self.experts}")
        return self


class TokenizerConfig(Strict):
    """How text becomes tokens: one per word between spaces, one per character, or byte-pair encoding."""

    kind: Literal["words", "characters", "bpe"] = "words"
    vocab_size: PositiveInt | None = None
    """Size to train byte-pair encoding to (default 2048); it follows from the text for the other kinds."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.kind != "bpe":
            self.refuse_set(("vocab_size",), f"for kind {self.kind}")
        elif self.vocab_size is not None and self.vocab_size < 300:
            raise ValueError(
                f"vocab_size {self.vocab_size} is too small for bpe: 256 bytes come first; allowed: >= 300"
            )
        return self


class Example(Strict):
    """A question with the answer that a model is shown."""

    question: Annotated[str, Field(min_length=1)]
    answer: Annotated[str, Field(min_length=1)]


class PromptConfig(Strict):
    """How a question is put to the model."""

    style: Literal["auto", "chat", "plain", "r1"] = "auto"
    """auto: the tokenizer's own chat template if it has one, else plain. plain: the question as it is, or after ``examples``. r1: plain text
    for models that were never taught to chat, which says that thoughts go between <think> and </think> and the answer between <answer> and
    </answer>, as in DeepSeek-R1-Zero (arXiv:2501.12948)."""
    system: str | None = None
    """A system message, for chat only."""
    examples: Annotated[list[Example], Field(min_length=1)] | None = None
    """Answered questions before each question (few-shot): earlier turns of the chat, or plain text after which a model often asks the next
    question itself; ``rollout.stop_strings: ["\\nQuestion:"]`` (r1: ``["\\nUser:"]``) ends it there."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.style in ("plain", "r1"):
            self.refuse_set(("system",), f"with style {self.style}")
        return self


AttentionName = Literal["sdpa", "eager", "flash_attention_2"]
"""How transformers computes attention."""


class LoraConfig(Strict):
    """A low-rank adapter (LoRA, arXiv:2106.09685) that is trained in the place of the weights, which stay as they are (extra ``lora``)."""

    rank: PositiveInt = 16
    alpha: PositiveFloat = 32.0
    """What the adapter adds is multiplied by alpha / rank."""
    targets: Literal["all-linear"] | Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)] = (
        "all-linear"
    )
    """The linear layers that get one, by the last parts of their names (``q_proj``, ``layers.0.mlp.up_proj``); all-linear: all of
    them but the head."""
