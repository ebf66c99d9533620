"""Chat templates, which are programs that come with a model: tried in a bounded process of its own before any is used.

transformers compiles them in Jinja's sandbox, from which nothing outside can be reached; but it bounds neither time nor memory.
"""

import os
import resource
import select
import signal
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from transformers import PreTrainedTokenizerBase

from rlvr.errors import RlvrError
from rlvr.runtime.foreign import Foreign

SECONDS = 2
"""Of computing, for the first rendering; a template takes milliseconds."""
WAIT_SECONDS = 60.0
MEMORY_BYTES = 512 << 20
"""What it may take beside what the process has."""
MAX_CHARACTERS = 1_000_000
"""Of a template, and of what it writes around a short question."""

STATM = Path("/proc/self/statm")
"""Where Linux says how many pages of memory the process has."""

Messages = list[dict[str, str]]


@dataclass(frozen=True)
class Conversation:
    """What a template is given. asking: the assistant speaks next."""

    messages: Messages
    asking: bool


def render(tokenizer: PreTrainedTokenizerBase, conversation: Conversation) -> str:
    """What the tokenizer's chat template makes of a conversation. RlvrError if it raises."""
    text: str | None = None
    with Foreign() as call:
        text = _render(tokenizer, conversation)
    if text is None:
        assert call.error is not None
        raise _refused(f"it raised {_named(call.error)}") from call.error
    return text


def try_template(tokenizer: PreTrainedTokenizerBase, conversations: Iterable[Conversation]) -> None:
    """Render each of them in a child process that has SECONDS and MEMORY_BYTES. RlvrError if that fails or goes beyond.

    conversations: one of every shape that will be rendered: a template may treat them differently.
    """
    if len(str(tokenizer.chat_template)) > MAX_CHARACTERS:
        raise _refused(f"it has more than {MAX_CHARACTERS} characters")
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking beside threads: the child only renders
        child = os.fork()
    if child == 0:
        try:
            os.write(writing, _tried(tokenizer, conversations).encode("utf-8", "replace"))
        finally:
            os._exit(0)
    try:
        os.close(writing)
        with os.fdopen(reading, encoding="utf-8") as answer:
            said = answer.read() if select.select([answer], [], [], WAIT_SECONDS)[0] else ""
    finally:  # whether it has answered, takes too long, or a signal ends the command
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    if said != "well":
        raise _refused(said or f"it does not end within {SECONDS} s and {MEMORY_BYTES >> 20} MiB")


def _tried(tokenizer: PreTrainedTokenizerBase, conversations: Iterable[Conversation]) -> str:
    """``well``, or what is wrong with the template; the process is killed if it is the bounds.

    Where the system does not tell how much memory the process has, only its time is bounded.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    if STATM.exists():
        bound = int(STATM.read_text(encoding="ascii").split()[0]) * resource.getpagesize() + MEMORY_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (bound, bound))
    with Foreign() as call:
        for conversation in conversations:
            if (length := len(_render(tokenizer, conversation))) > MAX_CHARACTERS:
                return f"it writes {length} characters around a short question"
    return f"it raised {_named(call.error)}" if call.error is not None else "well"


def _render(tokenizer: PreTrainedTokenizerBase, conversation: Conversation) -> str:
    return str(
        tokenizer.apply_chat_template(conversation.messages, tokenize=False, add_generation_prompt=conversation.asking)
    )


def _named(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]


def _refused(what: str) -> RlvrError:
    return RlvrError(
        "model", f"its tokenizer's chat template cannot be used: {what}", remedy="mend it, or set prompt.style: plain"
    )
