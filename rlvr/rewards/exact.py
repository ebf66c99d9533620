"""The grader for answers that are right only if they are the same text."""

import unicodedata

from rlvr.rewards.extract import the_answer
from rlvr.rewards.verdict import Reason, Verdict

ARTICLES = ("a", "an", "the")


def exact(gold: str, response: str, *, style: str = "auto", pattern: str | None = None) -> Verdict:
    """Right if the answer is the gold answer as a text: case, spaces, a leading article and a full stop at the end apart.

    Raises ValueError for an empty gold answer.
    """
    wanted = normalised(gold)
    if not wanted:
        raise ValueError("it is empty")
    answer = the_answer(response, style, pattern).text
    if answer is None:
        return Verdict(reward=0.0, reason=Reason.NO_ANSWER)
    right = normalised(answer) == wanted
    return Verdict(reward=float(right), reason=Reason.CORRECT if right else Reason.WRONG, extracted=answer)


def normalised(text: str) -> str:
    """A text as it is compared: composed (NFC), case folded, single spaces, no article before and no full stop after it."""
    words = unicodedata.normalize("NFC", text).casefold().strip().removesuffix(".").split()
    return " ".join(words[1:] if len(words) > 1 and words[0] in ARTICLES else words)
