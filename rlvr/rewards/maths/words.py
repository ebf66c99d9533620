"""Answers that are words: their normal form, and which golds they are."""

import re

from rlvr.rewards.maths.values import Finite, Node, NumberSet

_WRAPPERS = re.compile(
    r"\\(?:text|textbf|textit|textrm|mathrm|mathbf|mbox|operatorname|left|right|boxed|displaystyle)(?![A-Za-z])"
)
_SPACES = re.compile(r"\\[,;:! ]|\\$|\\quad|\\qquad|[\s~$]|\\[()\[\]]")
_CHOICE = re.compile(r"\(?([A-Za-z])\)?[.:]?")
_WORD = re.compile(r"(?<![\\A-Za-z])(?<!\\begin\{)(?<!\\end\{)[A-Za-z]{2,}")
_SYNONYMS = {
    "dne": "does not exist",
    "doesn't exist": "does not exist",
    **dict.fromkeys(
        (
            "\\emptyset", "\\varnothing", "∅", "none", "no solution", "no solutions", "no real solution", "no real solutions",
            "there is no solution", "there are no solutions", "no such number", "no such numbers",
        ),
        "empty set",
    ),
    **dict.fromkeys(("all reals", "any real number", "all real numbers x", "real numbers", "reals"), "all real numbers"),
}  # fmt: skip
_SETS: dict[str, Node] = {"empty set": Finite(()), "all real numbers": NumberSet("R")}
_ARTICLE = re.compile(r"\A(?:an?|the) (?=\S{2})")


def plain_words(text: str) -> str:
    """Text without LaTeX wrappers, braces, letter case, an article, doubled spaces and a final period.

    >>> plain_words(r"\\text{The  Limit Exists}.")
    'limit exists'
    """
    text = _ARTICLE.sub("", unwrapped(text).casefold())
    return _SYNONYMS.get(text, text)


def set_in_words(text: str) -> Node | None:
    """The set that words stand for, as ``no solution`` does for the empty one; None if they stand for none."""
    return _SETS.get(plain_words(text))


def unwrapped(text: str) -> str:
    """Text without LaTeX wrappers, braces around words, doubled spaces and punctuation at its ends; letter case is kept."""
    text = _SPACES.sub(" ", _WRAPPERS.sub(" ", text)).replace("’", "'")
    if not any(map(str.isdigit, text)):
        # Braces between digits tell 1/23 from 12/3; around words they tell nothing.
        text = text.replace("{", "").replace("}", "")
    return " ".join(text.split()).strip(" .,;\"'`*_")


def choice_letter(text: str) -> str | None:
    """The letter of a choice, ``C``, ``(C)`` or ``C.``, in its case; None if the text is anything else."""
    found = _CHOICE.fullmatch(unwrapped(text))
    return found[1] if found else None


def has_words(text: str) -> bool:
    """Whether there is a word of two letters or more that is neither a LaTeX command nor the name of an environment."""
    return count_words(text) > 0


def count_words(text: str) -> int:
    """How many words of two letters or more there are that are neither LaTeX commands nor names of environments."""
    return len(_WORD.findall(text))


def is_word_answer(text: str) -> bool:
    """Whether a gold answer is one word or several: letters only, marked as text or written as words are."""
    words = plain_words(text)
    if not re.fullmatch(r"[a-z][a-z' .,-]*[a-z]", words):
        return False
    bare = _WRAPPERS.sub("", text).strip("{} $.")
    return "\\text" in text or "\\mathrm" in text or bool(re.match(r"[A-Z][a-z]{2,}|[a-z]{4,}|yes|odd|[Nn]o", bare))
