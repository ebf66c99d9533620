"""Conversations from a file, as documents."""

from __future__ import annotations

import codecs
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlvr.config_file import read_bytes
from rlvr.errors import RlvrError
from rlvr.runtime.seeding import shuffled
from rlvr.types import Chat, Document, Message, Split

if TYPE_CHECKING:
    from rlvr.models.tokenizer import Codec

CHAT_MODE = "chat"
TEST_SHARE = 0.1
ROLES = ("system", "user", "assistant")


class ChatFile:
    """The lines of a file, ``{"messages": [{"role": …, "content": …}, …]}`` each; the last tenth is the test split.

    The train split is gone through in a new order each time. RlvrError for a file without two chats and for a bad line.
    """

    def __init__(self, path: str, *, last_alone: bool, seed: int) -> None:
        chats = _read(Path(path), last_alone)
        if len(chats) < 2:
            raise RlvrError(
                path, "holds fewer than two chats", got=len(chats), remedy="give one for training, one for testing"
            )
        cut = min(len(chats) - 1, round(len(chats) * (1 - TEST_SHARE)))
        self._parts: dict[Split, list[Chat]] = {"train": chats[:cut], "test": chats[cut:]}
        self._path, self._seed = path, seed

    def document(self, split: Split, index: int) -> Document:
        """Document ``index``; after the last comes the first again."""
        part = self._parts[split]
        turn, place = divmod(index, len(part))
        if split == "train":
            place = shuffled(len(part), self._seed, "chats", self._path, turn)[place]
        chat = part[place]
        before = [message["content"] for message in chat.messages[:-1] if message["role"] == "user"]
        return Document(
            source=Path(self._path).name,
            mode=CHAT_MODE,
            prompt=before[-1] if before else "",
            response=chat.messages[-1]["content"],
            chat=chat,
        )

    def check(self, codec: Codec) -> None:
        """RlvrError unless the model of a codec has a chat template that can be used for the longest of these chats."""
        codec.try_chat(
            max((chat for part in self._parts.values() for chat in part), key=lambda chat: len(chat.messages))
        )


def _read(path: Path, last_alone: bool) -> list[Chat]:
    chats = []
    for number, line in enumerate(read_bytes(path).removeprefix(codecs.BOM_UTF8).split(b"\n"), start=1):
        if not line.strip():
            continue
        messages = _messages(line)
        if isinstance(messages, str):
            raise RlvrError(f"{path}:{number}", messages, remedy="mend the line")
        chats.append(Chat(messages=tuple(messages), last_alone=last_alone))
    return chats


def _messages(line: bytes) -> list[Message] | str:
    """The messages of a line, or what is wrong with it."""
    try:
        row = json.loads(str(line, "utf-8"))
    except UnicodeDecodeError as error:
        return f"not UTF-8 text (byte {error.start} of the line)"
    except (ValueError, RecursionError) as error:
        return f"not JSON: {error}"
    messages = row.get("messages") if isinstance(row, dict) else None
    if not isinstance(messages, list) or not messages:
        return "messages is missing or not a list"
    for place, message in enumerate(messages, start=1):
        if trouble := _flaw(message):
            return f"message {place}: {trouble}"
    if messages[-1]["role"] != "assistant":
        return f"the last message is the {messages[-1]['role']}'s; allowed: the assistant's"
    return [{"role": message["role"], "content": message["content"]} for message in messages]


def _flaw(message: Any) -> str:
    """What is wrong with a message; empty if nothing is."""
    if not isinstance(message, dict):
        return "not a JSON object"
    role, content = message.get("role"), message.get("content")
    if role not in ROLES:
        return f"role {str(role)[:40]!r} is none of: {', '.join(ROLES)}"
    if not isinstance(content, str) or not content.strip():
        return "content is missing, empty or not a text"
    if any("\ud800" <= letter <= "\udfff" for letter in content):
        return "content holds half a character (a lone surrogate)"
    return ""
