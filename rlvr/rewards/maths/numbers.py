"""Reads numbers as they are written: integers, decimals, repeating decimals, scientific notation, numbers in a base."""

import re
from fractions import Fraction

from rlvr.rewards.maths.cursor import Cursor
from rlvr.rewards.maths.units import NUMBER_WORDS
from rlvr.rewards.maths.values import Based, MalformedError, Num, RefusedError

MAX_EXPONENT = 400
"""The largest power of ten in scientific notation."""
_GROUPING = re.compile(r"[^0-9.eE+-]|(?<=,)-")
_OVERLINES = (r"\overline", r"\bar", r"\dot")


def number(text: str) -> Num:
    """The number of a num token.

    >>> number("1,234.50")
    Num(value=Fraction(2469, 2), form='decimal', places=2, digits=6)
    """
    plain = _GROUPING.sub("", text)
    mantissa, _, exponent = plain.lower().partition("e")
    if exponent and abs(int(exponent)) > MAX_EXPONENT:
        raise RefusedError("exponent too large")
    whole, point, decimals = mantissa.partition(".")
    digits = len((whole + decimals).lstrip("0")) or 1
    value = Fraction(int(whole + decimals or "0"), 10 ** len(decimals)) * Fraction(10) ** int(exponent or 0)
    form = "scientific" if exponent else "decimal" if point else "integer"
    return Num(value, form, max(0, len(decimals) - int(exponent or 0)), digits)


def written_number(cursor: Cursor) -> Num | Based:
    """A number and what belongs to it: repeating decimals, or the base below."""
    based = _based(cursor)
    if based is not None:
        return based
    text = cursor.take().text
    if cursor.mark(".") and cursor.peek().text in _OVERLINES:
        cursor.take()
        text += "."
    if "." in text and cursor.mark(*_OVERLINES):
        return _repeating(cursor, text)
    return number(text)


def _repeating(cursor: Cursor, text: str) -> Num:
    """``0.1\\overline{6}``, exactly."""
    cursor.take()
    braced = cursor.skip("{")
    period = cursor.take()
    if braced:
        cursor.expect("}")
    if period.kind != "num" or not period.text.isdigit():
        raise MalformedError("a repeating decimal without digits")
    start = number(text + "0") if text.endswith(".") else number(text)
    places = len(text.partition(".")[2])
    repeated = Fraction(int(period.text), (10 ** len(period.text) - 1) * 10**places)
    return Num(start.value + repeated, form="mixed", digits=start.digits)


def _based(cursor: Cursor) -> Based | None:
    """``1011_2`` or ``1A_{16}``; None, and nothing taken, if that is not what comes."""
    ahead, digits = 0, ""
    while ahead < 8 and cursor.peek(ahead).kind in ("num", "letter", "word"):
        digits += cursor.peek(ahead).text
        ahead += 1
    if cursor.peek(ahead) != ("mark", "_") or not digits.isalnum():
        return None
    return _with_base(cursor, digits, ahead + 1)


def based_in_brackets(cursor: Cursor) -> Based | None:
    """``(1011)_2``; None, and nothing taken, if that is not what comes."""
    digits = cursor.peek(1)
    if digits.kind != "num" or cursor.peek(2) != ("mark", ")") or cursor.peek(3) != ("mark", "_"):
        return None
    return _with_base(cursor, digits.text, 4) if digits.text.isdigit() else None


def _with_base(cursor: Cursor, digits: str, length: int) -> Based:
    """A number of these digits in the base that stands behind so many tokens."""
    for _ in range(length):
        cursor.take()
    base = _base(cursor)
    if not 2 <= base <= 36 or len(digits) > 200 or any(int(digit, 36) >= base for digit in digits if digit.isascii()):
        raise MalformedError("no number in that base")
    return Based(digits.lower(), base, int(digits, base))


def _base(cursor: Cursor) -> int:
    braced = cursor.skip("{")
    name = cursor.take()
    if braced:
        cursor.expect("}")
    if name.kind == "num" and name.text.isdigit() and len(name.text) <= 2:
        return int(name.text)
    return NUMBER_WORDS.get(name.text.lower(), 0)


def fraction_of_integers(cursor: Cursor) -> Fraction | None:
    """``1/2`` or ``\\frac12`` of whole numbers; if it is anything else None, and the place is undefined."""
    if cursor.kind == "num":
        top = cursor.take().text
        bottom = cursor.take().text if cursor.skip("/") and cursor.kind == "num" else ""
        return _ratio(top, bottom)
    if not cursor.skip(r"\frac"):
        return None
    top, bottom = _digits(cursor), _digits(cursor)
    return _ratio(top, bottom)


def _digits(cursor: Cursor) -> str:
    """The digits of one argument of a fraction; of an unbraced one only the first, as LaTeX does. Empty if it is no number."""
    if cursor.mark("{") and cursor.peek().kind == "num" and cursor.peek(2) == ("mark", "}"):
        cursor.take()
        text = cursor.take().text
        cursor.take()
        return text
    return first_digit(cursor) if cursor.kind == "num" else ""


def first_digit(cursor: Cursor) -> str:
    """The first digit of a num token, which is taken off it: LaTeX reads ``\\frac12`` digit by digit."""
    text = cursor.text
    if len(text) == 1 or not text.isdigit():
        return cursor.take().text
    cursor.tokens[cursor.at] = cursor.tokens[cursor.at]._replace(text=text[1:])
    return text[0]


def _ratio(top: str, bottom: str) -> Fraction | None:
    if not (top.isdigit() and bottom.isdigit()) or int(bottom) == 0:
        return None
    return Fraction(int(top), int(bottom))
