"""The grader for multiple-choice answers."""

import re

from rlvr.rewards.extract import the_answer
from rlvr.rewards.verdict import Reason, Verdict

_GOLD = re.compile(r"\(?([A-Z])\)?")
_TEXT = re.compile(r"\\(?:text|textbf|mathrm|mathbf|boldsymbol|mathsf|boxed)\s*\{([^{}]*)\}")
_ONE = re.compile(
    r"(?:(?:the\s+)?(?:correct\s+)?(?:final\s+)?(?:answer|option|choice)\s*(?:is|:)?\s*)*[(\[]?\s*([A-Za-z])\s*[)\].:]*",
    re.I,
)
_WITH_TEXT = re.compile(r"(?:\(([A-Za-z])\)|([A-Z])[).:](?=\s|\\))(.*)", re.DOTALL)
"""A letter with what it stands for: ``(C) 12``, ``C. Paris``."""
_OTHER = re.compile(
    r"(?<![A-Za-z\\])(?:[A-Z](?![A-Za-z])|(?:not|no|or|wrong|incorrect|false|either|maybe|isn't|unless|but|rather|instead|cannot|can't|perhaps|probably|possibly|unlikely|unsure|guess|vs)(?![A-Za-z]))"
)
"""What is not in the text of one choice: another letter, a denial."""


def choice(gold: str, response: str, *, style: str = "auto", pattern: str | None = None) -> Verdict:
    """Right if the answer is one letter, the gold one: ``C``, ``(C)``, ``C.``, ``\\text{C}``, ``(C) 12``, ``C. Paris``, ``the answer is C``.

    A letter with other words around it ("A good question") is no choice. Raises ValueError unless gold is one letter.
    """
    wanted = _GOLD.fullmatch(gold.strip().upper())
    if wanted is None:
        raise ValueError("it is not one letter")
    answer = the_answer(response, style, pattern).text
    if answer is None:
        return Verdict(reward=0.0, reason=Reason.NO_ANSWER)
    letter = _letter(answer) if len(answer) <= 200 else None
    if letter is None:
        return Verdict(reward=0.0, reason=Reason.MALFORMED, extracted=answer)
    right = letter == wanted[1]
    return Verdict(reward=float(right), reason=Reason.CORRECT if right else Reason.WRONG, extracted=letter)


def _letter(answer: str) -> str | None:
    """The one letter that an answer chooses; None if it is anything else."""
    plain = _TEXT.sub(r"\1", _TEXT.sub(r"\1", answer)).replace("$", "").replace("*", "").strip()
    one = _ONE.fullmatch(plain)
    if one is not None:
        return one[1].upper()
    told = _WITH_TEXT.fullmatch(plain)
    if told is None or _OTHER.search(told[3]):
        return None
    return (told[1] or told[2]).upper()
