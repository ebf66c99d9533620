"""The reward for answers that are numbers."""

import re
from fractions import Fraction

from rlvr.types import Problem

# A sign counts only where it cannot be a minus between two numbers. Digits are ASCII: int() would take others.
_NUMBER = re.compile(
    r"(?:(?<![\w.)])[-−+])?"
    r"(?:(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)(?:\.[0-9]+)?|\.[0-9]+)"
    r"(?:[eE][-+]?[0-9]+)?"
)
_MAX_DIGITS, _MAX_EXPONENT = 1000, 400


def number(problem: Problem, response: str, answer: str | None) -> float:
    """1.0 if the last number of the final answer equals the gold number, exactly (as decimals, not floats).

    Commas between thousands and exponents are read, words and units around the number are not. Raises ValueError if the gold answer
    is not a number: that is a mistake in the data, which the check before training finds.
    """
    gold = last_number(problem.answer)
    if gold is None:
        raise ValueError("the gold answer is not a number")
    return float(answer is not None and last_number(answer) == gold)


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
