"""The grader for answers that are numbers."""

import re
from fractions import Fraction

from rlvr.rewards.extract import after_thoughts, the_answer
from rlvr.rewards.maths import grade_math
from rlvr.rewards.verdict import Reason, Verdict

# A sign counts only where it cannot be a minus between two numbers. Digits are ASCII: int() would take others.
_NUMBER = re.compile(
    r"(?:(?<![\w.)])[-−+])?"
    r"(?:(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)(?:\.[0-9]+)?|\.[0-9]+)"
    r"(?:[eE][-+]?[0-9]+)?"
)
_MAX_DIGITS, _MAX_EXPONENT = 1000, 400
_MAX_MARKED = 1200
"""A marked answer of more characters says more than a number."""
_MARKS = ("\\boxed", "\\fbox", "<answer>")
"""Who writes one and leaves it empty gave no answer."""


def number(gold: str, response: str, *, style: str = "auto", pattern: str | None = None) -> Verdict:
    """Right if the answer is the gold number, exactly (as fractions, not floats).

    A marked answer (a box, a tag, "the answer is …") has to be that number with at most a unit: a denial, a second
    candidate or a false equation is malformed. Of a response without any mark the last number counts, whatever is around
    it. Commas between thousands and exponents are read. Raises ValueError if the gold answer is not a number: that is a
    mistake in the data.
    """
    wanted = last_number(gold)
    if wanted is None or len(_NUMBER.findall(gold)) != 1:
        raise ValueError("it is not one number (for fractions and expressions there is math)")
    found = the_answer(response, style, pattern)
    unmarked = style == "auto" and found.how in ("whole", "nothing")
    answer = after_thoughts(response) if unmarked else found.text
    if answer is None or (unmarked and any(mark in answer for mark in _MARKS)):
        return Verdict(reward=0.0, reason=Reason.NO_ANSWER)
    given = last_number(answer)
    if given is None:
        return Verdict(reward=0.0, reason=Reason.NO_ANSWER, extracted=answer)
    if given != wanted:
        return Verdict(reward=0.0, reason=Reason.WRONG, extracted=answer)
    if not unmarked and not _is_one_number(gold, answer):
        return Verdict(reward=0.0, reason=Reason.MALFORMED, extracted=answer)
    return Verdict(reward=1.0, reason=Reason.CORRECT, extracted=answer)


def _is_one_number(gold: str, answer: str) -> bool:
    """Whether an answer whose last number is right says nothing else than it, as mathematics is read."""
    if len(answer) > _MAX_MARKED:
        return False
    # A gold answer that begins with its number may have a unit, which the answer may not contradict.
    wanted = gold if _NUMBER.match(gold.strip()) else _NUMBER.findall(gold)[-1]
    try:
        return bool(grade_math(wanted, f"<answer>{answer}</answer>"))
    except ValueError:
        return bool(grade_math(_NUMBER.findall(gold)[-1], f"<answer>{answer}</answer>"))


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
