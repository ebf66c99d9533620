"""The grader for answers that are numbers."""

import re
from fractions import Fraction

from rlvr.rewards.extract import after_thoughts, the_answer
from rlvr.rewards.verdict import Reason, Verdict

# A sign counts only where it cannot be a minus between two numbers. Digits are ASCII: int() would take others.
_NUMBER = re.compile(
    r"(?:(?<![\w.)])[-−+])?"
    r"(?:(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)(?:\.[0-9]+)?|\.[0-9]+)"
    r"(?:[eE][-+]?[0-9]+)?"
)
_MAX_DIGITS, _MAX_EXPONENT = 1000, 400


def number(gold: str, response: str, *, style: str = "auto", pattern: str | None = None) -> Verdict:
    """Right if the last number of the answer, or of a response without a marked answer, equals the gold number, exactly (as fractions, not floats).

    Commas between thousands and exponents are read, words and units around the number are not. Raises ValueError if
    the gold answer is not a number: that is a mistake in the data.
    """
    wanted = last_number(gold)
    if wanted is None:
        raise ValueError("it is not a number")
    answer = the_answer(response, style, pattern).text or (after_thoughts(response) if style == "auto" else None)
    found = None if answer is None else last_number(answer)
    if found is None:
        return Verdict(reward=0.0, reason=Reason.NO_ANSWER, extracted=answer)
    right = found == wanted
    return Verdict(reward=float(right), reason=Reason.CORRECT if right else Reason.WRONG, extracted=answer)


def last_number(text: str) -> Fraction | None:
    """The last number in a text; None if there is none, or it has over 1000 characters or an exponent beyond ±400.

    >>> last_number("The total is 1,234.50 dollars.")
    Fraction(2469, 2)
    >>> last_number("12-5 = 7")
    Fraction(7, 1)
    """
    found = _NUMBER.findall(text)
    if not found or len(found[-1]) > _MAX_DIGITS:
        return None
    digits = found[-1].replace(",", "").replace("−", "-")
    exponent = re.split("[eE]", digits)[1:]
    if exponent and abs(int(exponent[0])) > _MAX_EXPONENT:
        return None
    return Fraction(digits)
