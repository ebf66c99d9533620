"""How a response with thoughts is written and read: ``<think> thoughts </think> answer``."""

OPEN, CLOSE = "<think>", "</think>"


def wrap(thoughts: str, answer: str) -> str:
    """A response that thinks first; thoughts may be empty.

    >>> wrap("1 1 0", "0"), wrap("", "0")
    ('<think> 1 1 0 </think> 0', '<think> </think> 0')
    """
    return " ".join(part for part in (OPEN, thoughts, CLOSE, answer) if part)


def split(response: str) -> tuple[str | None, str | None]:
    """The thoughts (None if it does not think first) and what follows them (None if they never end).

    >>> split("<think> 1 1 0 </think> 0")
    ('1 1 0', '0')
    >>> split("0")
    (None, '0')
    >>> split("<think> 1 1")
    ('1 1', None)
    """
    text = response.strip()
    if not text.startswith(OPEN):
        return None, text
    thoughts, close, rest = text[len(OPEN) :].partition(CLOSE)
    return thoughts.strip(), rest.strip() if close else None


def single_word(text: str | None) -> str | None:
    """The text if it is one word, else None: an answer beside others is no answer."""
    return text if text and len(text.split()) == 1 else None
