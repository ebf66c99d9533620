"""Chat templates, which are programs that come with a model: tried in a bounded process of its own before any is used.

transformers compiles them in Jinja's sandbox, from which nothing outside can be reached; but it bounds neither time nor memory.
"""

import os
import resource
import select
import signal
import warnings
from pathlib import Path
from typing import Any

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

Messages = list[dict[str, str]]


def render(tokenizer: PreTrainedTokenizerBase, messages: Messages, **options: Any) -> str:
    """What the tokenizer's chat template makes of messages. RlvrError if it raises."""
    text: Any = None
    with Foreign() as call:
        text = tokenizer.apply_chat_template(messages, tokenize=False, **options)
    if call.error is not None:
        raise _refused(f"it raised {_named(call.error)}") from call.error
    return str(text)


def try_template(tokenizer: PreTrainedTokenizerBase, messages: Messages) -> None:
    """Render messages in a child process that has SECONDS and MEMORY_BYTES. RlvrError if that fails or goes beyond."""
    if len(str(tokenizer.chat_template)) > MAX_CHARACTERS:
        raise _refused(f"it has more than {MAX_CHARACTERS} characters")
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking beside threads: the child only renders
        child = os.fork()
    if child == 0:
        try:
            os.write(writing, _tried(tokenizer, messages).encode("utf-8", "replace"))
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as answer:
        if not select.select([answer], [], [], WAIT_SECONDS)[0]:
            os.kill(child, signal.SIGKILL)
        said = answer.read()
    os.waitpid(child, 0)
    if said != "well":
        raise _refused(said or f"it does not end within {SECONDS} s and {MEMORY_BYTES >> 20} MiB")


def _tried(tokenizer: PreTrainedTokenizerBase, messages: Messages) -> str:
    """``well``, or what is wrong with the template; the process is killed if it is the bounds."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    bound = pages * resource.getpagesize() + MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (bound, bound))
    with Foreign() as call:
        for more in (False, True):
            text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=more)
            if len(str(text)) > MAX_CHARACTERS:
                return f"it writes {len(str(text))} characters around a short question"
    return f"it raised {_named(call.error)}" if call.error is not None else "well"


def _named(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]


def _refused(what: str) -> RlvrError:
    return RlvrError(
        "model", f"its tokenizer's chat template cannot be used: {what}", remedy="mend it, or set prompt.style: plain"
    )
