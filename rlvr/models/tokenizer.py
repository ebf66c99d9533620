"""Text to token ids and back: tokenizers built from text, and the codec that puts questions to a model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from rlvr.config import PromptConfig, TokenizerConfig
from rlvr.errors import RlvrError
from rlvr.models.limits import unreadable
from rlvr.models.prompts import plain_prompt
from rlvr.models.templates import Conversation, render, try_template
from rlvr.models.vocabulary import BOS, DEFAULT_BPE_SIZE, EOS, PAD, SPECIAL, THINK, UNK, vocabulary
from rlvr.runtime import signals
from rlvr.runtime.foreign import Foreign
from rlvr.runtime.progress import say
from rlvr.types import Chat, Message


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
    asking: what is put around them.
    """

    tokenizer: PreTrainedTokenizerBase
    stop_ids: list[int]
    pad_id: int
    chat: bool
    asking: PromptConfig = field(default_factory=PromptConfig)

    def prompt(self, question: str) -> str:
        """The text that the model is given for a question, without tokens that the tokenizer adds by itself."""
        if not self.chat:
            return plain_prompt(question, self.asking)
        return render(self.tokenizer, _asked(question, self.asking))

    def prompts_ids(self, prompts: list[str]) -> list[list[int]]:
        """Token ids of each prompt; a chat template has written its own special tokens already."""
        return self._ids(prompts, add_special_tokens=not self.chat)

    def responses_ids(self, responses: list[str]) -> list[list[int]]:
        """Token ids of each response, without an end token."""
        return self._ids(responses, add_special_tokens=False)

    def chat_ids(self, chat: Chat) -> tuple[list[int], list[bool]]:
        """Token ids of a conversation, and which of them are to be learnt: the assistant's, with the token that ends each turn.

        Each turn is tokenized apart from what it answers, as it would be had the model written it there. RlvrError where the
        template does not write what is learnt after just what the model is asked with (its prompt is no prefix).
        """
        said = self._with_system(chat.messages)
        turns = [index for index, message in enumerate(said) if message["role"] == "assistant"]
        ids: list[int] = []
        learnt: list[bool] = []
        written = ""
        for index in turns[-1:] if chat.last_alone else turns:
            asked = render(self.tokenizer, Conversation(said[:index], asking=True))
            answered = render(self.tokenizer, Conversation(said[: index + 1], asking=False))
            response, end, _ = answered[len(asked) :].rpartition(self._end)
            if not (asked.startswith(written) and answered.startswith(asked) and end):
                raise _no_prefix(index + 1)
            for text, own in ((asked[len(written) :], False), (response + end, True)):
                part = self._ids([text], add_special_tokens=False)[0] if text else []
                ids += part
                learnt += [own] * len(part)
            written = asked + response + end
        return ids, learnt

    def try_chat(self, chat: Chat) -> None:
        """RlvrError if there is no chat template, or it cannot be used for a conversation like this; renders it in a bounded process."""
        if not self.chat:
            raise RlvrError(
                "data.sources",
                "chats need a chat template, and the model's tokenizer has none in use",
                remedy="choose a model that has one, and prompt.style auto or chat",
            )
        said = self._with_system(chat.messages)
        try_template(self.tokenizer, (Conversation(said[:-1], asking=True), Conversation(said, asking=False)))

    @property
    def _end(self) -> str:
        """The text of the token that ends a turn."""
        return str(self.tokenizer.convert_ids_to_tokens(self.stop_ids[0]))

    def _with_system(self, messages: Sequence[Message]) -> list[Message]:
        """The messages, after the configured system message unless they have one."""
        system = self.asking.system
        if system is None or messages[0]["role"] == "system":
            return list(messages)
        return [_message("system", system), *messages]

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


def _no_prefix(number: int) -> RlvrError:
    return RlvrError(
        "data.sources",
        f"the chat template does not write message {number} of a chat after just what the model is asked with, and a special token after it",
        remedy="set turns: last for that source, or use another template",
    )


def make_codec(tokenizer: PreTrainedTokenizerBase, prompt: PromptConfig, extra_stop_ids: Iterable[int] = ()) -> Codec:
    """The codec of a tokenizer. Raises RlvrError for a chat style without a template or a tokenizer without an end."""
    templated = bool(getattr(tokenizer, "chat_template", None))
    if prompt.style == "chat" and not templated:
        raise RlvrError(
            "prompt.style", "the model's tokenizer has no chat template", got="chat", allowed="auto, plain, r1"
        )
    chat = templated and prompt.style in ("auto", "chat")
    if prompt.system is not None and not chat:
        raise RlvrError(
            "prompt.system", "has no effect: the model's tokenizer has no chat template", remedy="remove it"
        )
    end = _end_of_turn(tokenizer, prompt) if chat else tokenizer.eos_token_id
    stop_ids = [i for i in (end, tokenizer.eos_token_id, *extra_stop_ids) if i is not None]
    if not stop_ids:
        raise RlvrError(
            "model", "its tokenizer has no end-of-text token", remedy="set eos_token in tokenizer_config.json"
        )
    pad_id = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else stop_ids[0]
    return Codec(tokenizer=tokenizer, stop_ids=list(dict.fromkeys(stop_ids)), pad_id=pad_id, chat=chat, asking=prompt)


def _asked(question: str, asking: PromptConfig) -> Conversation:
    turns = [_message("system", asking.system)] if asking.system is not None else []
    for each in asking.examples or []:
        turns += [_message("user", each.question), _message("assistant", each.answer)]
    return Conversation([*turns, _message("user", question)], asking=True)


def _message(role: str, content: str) -> Message:
    return {"role": role, "content": content}


def _end_of_turn(tokenizer: PreTrainedTokenizerBase, asking: PromptConfig) -> int | None:
    """The token that the chat template writes after an assistant's message; None if it writes none there.

    RlvrError if the template cannot be used for that or for questions.
    """
    said = "What the assistant said"
    answered = Conversation([_message("user", "?"), _message("assistant", said)], asking=False)
    try_template(tokenizer, (_asked("?", asking), answered))
    [after] = _ids(tokenizer, [render(tokenizer, answered).rpartition(said)[2]], add_special_tokens=False)
    return int(after[0]) if after and after[0] in tokenizer.all_special_ids else None
