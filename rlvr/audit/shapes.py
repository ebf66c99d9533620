"""What kind of thing a gold answer is, and answers beside it that are surely others."""

import re
from enum import StrEnum
from fractions import Fraction

from rlvr.rewards.exact import normalised


class Shape(StrEnum):
    """The kinds of gold answers that are rewritten and missed in different ways."""

    NUMBER = "number"
    EXPRESSION = "expression"
    LETTER = "letter"
    TEXT = "text"
    JSON = "json"
    PROGRAM = "program"
    PATTERN = "pattern"
    """Of the answer only a pattern is known."""


MAX_DIGITS = 60
"""Longer numbers are not compared, and count as texts."""

_DECIMAL = re.compile(r"-?(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.[0-9]+)?|-?\.[0-9]+")
_SLASH = re.compile(r"(-?[0-9]+)\s?/\s?([0-9]+)")
_FRAC = re.compile(r"(-?)\\[dt]?frac\{(-?[0-9]+)\}\{([0-9]+)\}")
_IN_TEXT = re.compile(r"[-−]?[0-9](?:[0-9,]*[0-9])?(?:\.[0-9]+)?")
_EXPRESSION = re.compile(r"(?:[0-9A-Za-z+\-*/^(){}. ]|\\(?:[dt]?frac|sqrt|cdot|pi|left|right)(?![A-Za-z]))+")
_WORDS = re.compile(r"[^\W\d_][\w' -]*")
"""A text of plain words: one with signs or a number and its unit can be written in too many ways to miss it surely."""
_WORD = re.compile(r"(?<![\\A-Za-z])[A-Za-z]{2,}")


def shape_of(gold: str) -> Shape:
    """The shape of a gold answer that is compared as a text, a number or mathematics."""
    if number_of(gold) is not None:
        return Shape.NUMBER
    if re.fullmatch(r"[A-J]", gold):
        return Shape.LETTER
    if _EXPRESSION.fullmatch(gold) and not _WORD.search(gold) and re.search(r"[\^+*/\\]", gold):
        return Shape.EXPRESSION
    return Shape.TEXT


def number_of(text: str) -> Fraction | None:
    r"""The value of a text that is one number in digits: whole, decimal or a fraction, plain or ``\frac``; else None.

    >>> number_of("1,250.50"), number_of(r"-\dfrac{3}{4}"), number_of("3 apples")
    (Fraction(2501, 2), Fraction(-3, 4), None)
    """
    text = text.strip().replace("−", "-")
    if len(text) > MAX_DIGITS:
        return None
    if _DECIMAL.fullmatch(text):
        return Fraction(text.replace(",", ""))
    if (slash := _SLASH.fullmatch(text)) and int(slash[2]):
        return Fraction(int(slash[1]), int(slash[2]))
    if (frac := _FRAC.fullmatch(text)) and int(frac[3]):
        return Fraction(int(frac[2]), int(frac[3])) * (-1 if frac[1] else 1)
    return None


def last_number_in(text: str) -> str | None:
    """The last number in digits in a text, as it is written."""
    found = _IN_TEXT.findall(text[-10_000:])
    return found[-1] if found else None


def mentions(text: str, gold: str) -> bool:
    """Whether a text has the gold answer in it, as these letters or as a number of the same value."""
    value = number_of(gold)
    if value is not None and any(number_of(found) == value for found in _IN_TEXT.findall(text[-10_000:])):
        return True
    return occurrence(text.casefold()[-10_000:], gold.casefold()) is not None


def occurrence(text: str, part: str) -> int | None:
    """Where a part last stands in a text, not inside a longer word or number; None if it does not."""
    if not part:
        return None
    before = r"(?<![\w.])" if part[0].isalnum() else ""
    after = r"(?!\w|\.[0-9])" if part[-1].isalnum() else ""
    places = [found.start() for found in re.finditer(before + re.escape(part) + after, text)]
    return places[-1] if places else None


def decimal_text(value: Fraction) -> str | None:
    """A number as a finite decimal; None if it has none of at most twelve places.

    >>> decimal_text(Fraction(-3, 8)), decimal_text(Fraction(1, 3))
    ('-0.375', None)
    """
    for places in range(13):
        scaled = value * 10**places
        if scaled.denominator == 1:
            digits = str(abs(scaled.numerator)).zfill(places + 1)
            point = f".{digits[-places:]}" if places else ""
            return ("-" if value < 0 else "") + digits[: len(digits) - places] + point
    return None


def near_misses(gold: str, shape: Shape) -> list[str]:
    """Wrong answers that look like the gold answer, in its own notation. None of them equals it."""
    if shape is Shape.NUMBER:
        return _near_numbers(gold)
    if shape is Shape.EXPRESSION:
        return [f"{gold} + 1"]
    if shape is Shape.LETTER:
        return [letter for letter in "ABCD" if letter != gold]
    if shape is Shape.TEXT:
        candidates = [gold[:-1], gold + gold[-1:], gold[1:]] if len(gold) > 2 and _WORDS.fullmatch(gold) else []
        return [text for text in candidates if _other_words(text, gold)]
    return []


def surely_differ(a: str, b: str) -> bool:
    """Whether two gold answers are different answers, as far as that can be said without a grader."""
    kinds = shape_of(a), shape_of(b)
    if kinds == (Shape.NUMBER, Shape.NUMBER):
        return number_of(a) != number_of(b)
    if Shape.EXPRESSION in kinds or Shape.NUMBER in kinds:
        return False
    return all(map(_WORDS.fullmatch, (a, b))) and _other_words(a, b)


def _other_words(a: str, b: str) -> bool:
    """Whether two texts differ in more than case, spaces, articles, signs and a plural's s."""

    def key(text: str) -> str:
        return "".join(c for c in normalised(text) if c.isalnum()).removesuffix("s")

    return key(a) != key(b)


def _near_numbers(gold: str) -> list[str]:
    value = number_of(gold)
    assert value is not None
    if _DECIMAL.fullmatch(gold.strip().replace("−", "-")) is None:
        top, bottom = value.numerator, value.denominator
        values = [value + 1, Fraction(top + 1, bottom), Fraction(top, bottom + 1), -value, value * 10, value / 10]
        values += [1 / value] if value else []
        written = [_fraction_text(each, gold) for each in values]
    else:
        last = Fraction(1, 10 ** len(gold.partition(".")[2]))
        values = [value + 1, value - 1, value + last, value - last, -value, value * 10, value / 10, value * 100]
        values += [value + Fraction(1, 10_000)] if value.denominator == 1 else []
        written = [text for each in values if (text := decimal_text(each)) is not None]
    return [text for text in dict.fromkeys(written) if number_of(text) != value]


def _fraction_text(value: Fraction, like: str) -> str:
    sign, top, bottom = "-" if value < 0 else "", abs(value.numerator), value.denominator
    return f"{sign}\\frac{{{top}}}{{{bottom}}}" if "frac" in like else f"{sign}{top}/{bottom}"
