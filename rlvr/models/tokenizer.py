"""Text to token ids and back: tokenizers built from text, and the codec that puts questions to a model."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from rlvr.config import PromptConfig, TokenizerConfig
from rlvr.errors import RlvrError
from rlvr.models.limits import unreadable
from rlvr.models.templates import Conversation, render, try_template
from rlvr.models.vocabulary import BOS, DEFAULT_BPE_SIZE, EOS, PAD, SPECIAL, THINK, UNK, vocabulary
from rlvr.runtime import signals
from rlvr.runtime.foreign import Foreign
from rlvr.runtime.progress import say


def build_tokenizer(config: TokenizerConfig, texts: Iterable[str], max_length: int) -> PreTrainedTokenizerFast:
    """A tokenizer that knows every token of the texts; it puts <bos> before a text.

    words: one token per word between spaces. characters: one per character. bpe: byte-level pairs, trained.
    <think> and </think> are single tokens in all of them.
    """
    if config.kind == "bpe":
        raw = _train_bpe(texts, config.vocab_size or DEFAULT_BPE_SIZE)
    else:
        known = {piece: index for index, piece in enumerate(vocabulary(config.kind, texts))}
        raw = Tokenizer(models.WordLevel(known, unk_token=UNK))
        if config.kind == "words":
            raw.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        else:
            raw.pre_tokenizer, raw.decoder = pre_tokenizers.Split("", "isolated"), decoders.Fuse()
    raw.add_tokens([AddedToken(tag, special=False, normalized=False) for tag in THINK])
    raw.post_processor = processors.TemplateProcessing(single=f"{BOS} $A", special_tokens=[(BOS, raw.token_to_id(BOS))])
    return PreTrainedTokenizerFast(
        tokenizer_object=raw,
        pad_token=PAD,
        bos_token=BOS,
        eos_token=EOS,
        unk_token=UNK,
        padding_side="left",
        model_max_length=max_length,
        clean_up_tokenization_spaces=False,
    )


def _train_bpe(texts: Iterable[str], size: int) -> Tokenizer:
    raw = Tokenizer(models.BPE(unk_token=None))
    raw.normalizer = normalizers.NFC()
    raw.pre_tokenizer, raw.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size - len(THINK),
        special_tokens=list(SPECIAL),
        show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    with signals.left_to_the_system():
        raw.train_from_iterator(texts, trainer)
    return raw


@dataclass(frozen=True, kw_only=True)
class Codec:
    """A tokenizer with the way questions are put to its model.

    stop_ids: tokens that end a response; the first is the one that documents are ended with.
    chat: questions go through the tokenizer's chat template.
    """

    tokenizer: PreTrainedTokenizerBase
    stop_ids: list[int]
    pad_id: int
    chat: bool
    system: str | None = None

    def prompt(self, question: str) -> str:
        """The text that the model is given for a question, without tokens that the tokenizer adds by itself."""
        if not self.chat:
            return question
        return render(self.tokenizer, _asked(question, self.system))

    def prompts_ids(self, prompts: list[str]) -> list[list[int]]:
        """Token ids of each prompt; a chat template has written its own special tokens already."""
        return self._ids(prompts, add_special_tokens=not self.chat)

    def responses_ids(self, responses: list[str]) -> list[list[int]]:
        """Token ids of each response, without an end token."""
        return self._ids(responses, add_special_tokens=False)

    def _ids(self, texts: list[str], *, add_special_tokens: bool) -> list[list[int]]:
        """Token ids of each text; says so once if one of them can only be written with the unknown token."""
        if not texts:
            return []
        rows = _ids(self.tokenizer, texts, add_special_tokens=add_special_tokens)
        unknown, name = self.tokenizer.unk_token_id, str(self.tokenizer.unk_token)
        if unknown is not None and any(
            unknown in ids and name not in text for text, ids in zip(texts, rows, strict=True)
        ):
            _warn_of_unknown_tokens(name)
        return rows

    def text(self, token_ids: list[int]) -> str:
        """The text of a completion, without special tokens."""
        return str(self.tokenizer.decode(token_ids, skip_special_tokens=True))

    def token_spans(self, token_ids: list[int]) -> list[tuple[int, int]]:
        """Where each token of a completion stands in its text, in characters; a special token has no width."""
        prefixes = [token_ids[:count] for count in range(1, len(token_ids) + 1)]
        ends = [len(str(text)) for text in self.tokenizer.batch_decode(prefixes, skip_special_tokens=True)]
        return list(zip([0, *ends[:-1]], ends, strict=True))


def _ids(tokenizer: PreTrainedTokenizerBase, texts: list[str], *, add_special_tokens: bool) -> list[list[int]]:
    """Token ids of each text. RlvrError if the tokenizer gives up on one."""
    rows: list[list[int]] | None = None
    with Foreign() as call:
        rows = [list(ids) for ids in tokenizer(texts, add_special_tokens=add_special_tokens)["input_ids"]]
    if rows is None:
        raise unreadable(call.error) from call.error
    return rows


@lru_cache(maxsize=1)
def _warn_of_unknown_tokens(name: str) -> None:
    say(f"warning: the tokenizer does not know all of these texts and writes {name} for what it does not know")


def make_codec(tokenizer: PreTrainedTokenizerBase, prompt: PromptConfig, extra_stop_ids: Iterable[int] = ()) -> Codec:
    """The codec of a tokenizer. Raises RlvrError for a chat style without a template or a tokenizer without an end."""
    templated = bool(getattr(tokenizer, "chat_template", None))
    if prompt.style == "chat" and not templated:
        raise RlvrError("prompt.style", "the model's tokenizer has no chat template", got="chat", allowed="auto, plain")
    chat = templated and prompt.style != "plain"
    if prompt.system is not None and not chat:
        raise RlvrError(
            "prompt.system", "has no effect: the model's tokenizer has no chat template", remedy="remove it"
        )
    end = _end_of_turn(tokenizer, prompt.system) if chat else tokenizer.eos_token_id
    stop_ids = [i for i in (end, tokenizer.eos_token_id, *extra_stop_ids) if i is not None]
    if not stop_ids:
        raise RlvrError(
            "model", "its tokenizer has no end-of-text token", remedy="set eos_token in tokenizer_config.json"
        )
    pad_id = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else stop_ids[0]
    return Codec(
        tokenizer=tokenizer, stop_ids=list(dict.fromkeys(stop_ids)), pad_id=pad_id, chat=chat, system=prompt.system
    )


def _asked(question: str, system: str | None) -> Conversation:
    before = [{"role": "system", "content": system}] if system is not None else []
    return Conversation([*before, {"role": "user", "content": question}], asking=True)


def _end_of_turn(tokenizer: PreTrainedTokenizerBase, system: str | None) -> int | None:
    """The token that the chat template writes after an assistant's message; None if it writes none there.

    RlvrError if the template cannot be used for that or for questions.
    """
    said = "What the assistant said"
    answered = Conversation([{"role": "user", "content": "?"}, {"role": "assistant", "content": said}], asking=False)
    try_template(tokenizer, (_asked("?", system), answered))
    [after] = _ids(tokenizer, [render(tokenizer, answered).rpartition(said)[2]], add_special_tokens=False)
    return int(after[0]) if after and after[0] in tokenizer.all_special_ids else None
