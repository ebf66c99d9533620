"""The grader for multiple-choice answers."""

import re

from rlvr.rewards.extract import the_answer
from rlvr.rewards.verdict import Reason, Verdict

_GOLD = re.compile(r"\(?([A-Z])\)?")
_TEXT = re.compile(r"\\(?:text|textbf|mathrm|mathbf|boldsymbol|mathsf)\s*\{([^{}]*)\}")
_ONE = re.compile(
    r"(?:(?:the\s+)?(?:correct\s+)?(?:final\s+)?(?:answer|option|choice)\s*(?:is|:)?\s*)*[(\[]?\s*([A-Za-z])\s*[)\].:]*",
    re.I,
)


def choice(gold: str, response: str, *, style: str = "auto", pattern: str | None = None) -> Verdict:
    """Right if the answer is one letter, the gold one: ``C``, ``(C)``, ``C.``, ``\\text{C}``, ``the answer is C``.

    A letter with other words around it ("A good question") is no choice. Raises ValueError unless gold is one letter.
    """
    wanted = _GOLD.fullmatch(gold.strip().upper())
    if wanted is None:
        raise ValueError("it is not one letter")
    answer = the_answer(response, style, pattern).text
    if answer is None:
        return Verdict(reward=0.0, reason=Reason.NO_ANSWER)
    plain = _TEXT.sub(r"\1", answer[:200]).replace("$", "").replace("*", "").strip()
    one = _ONE.fullmatch(plain) if len(answer) <= 200 else None
    if one is None:
        return Verdict(reward=0.0, reason=Reason.MALFORMED, extracted=answer)
    right = one[1].upper() == wanted[1]
    return Verdict(reward=float(right), reason=Reason.CORRECT if right else Reason.WRONG, extracted=one[1].upper())
