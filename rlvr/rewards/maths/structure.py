"""Reads a whole answer: lists of relations of sets and ratios of sums, with their units. All of the text or nothing."""

from rlvr.rewards.maths.arithmetic import power, sum_of_terms
from rlvr.rewards.maths.atoms import unit_fraction
from rlvr.rewards.maths.cursor import Cursor, Readers
from rlvr.rewards.maths.lexer import tokens
from rlvr.rewards.maths.units import CURRENCIES, LABELS, RAISED, SHAPES, UNITS, spell
from rlvr.rewards.maths.values import (
    ARITHMETIC,
    Based,
    Finite,
    Group,
    MalformedError,
    Matrix,
    Measure,
    Node,
    NumberSet,
    Ratio,
    Relation,
    SetTerm,
    Several,
    Var,
)

_RELATIONS = {"=": "=", "<": "<", ">": ">", "<=": "<=", ">=": ">=", "!=": "!=", "~=": "~", r"\in": "in"}
_SET_OPERATORS = {r"\cup": "cup", r"\cap": "cap", r"\setminus": "setminus"}
_SETS = (Group, Finite, SetTerm, NumberSet)
_MAX_ITEMS = 200
_MAX_MEMBERS = 10


def read(text: str, *, thousands: bool, units: frozenset[str] = frozenset(), any_unit: bool = False) -> Node:
    """The value of a whole text. Raises MalformedError or RefusedError.

    thousands: whether ``1,234`` is one number. units: words that count as units besides the known ones; any_unit: all words do.
    """
    cursor = Cursor(tokens(text, thousands=thousands), _READERS, units, any_unit)
    _leading(cursor)
    value = _several(cursor)
    cursor.skip(".", ",")
    cursor.skip("\\\\")
    if cursor.kind != "end":
        raise MalformedError(f"{cursor.text[:20]!r} is left over")
    return value


def _several(cursor: Cursor) -> Node:
    """One value or several; the ``or`` or ``and`` between them is kept in mind."""
    start = cursor.at
    items = _items(cursor)
    if len(items) == 1:
        return items[0]
    words = {token.text.lower() for token in cursor.tokens[start : cursor.at] if token.kind == "word"}
    return Several(items, next((word for word in ("or", "and") if word in words), ""))


def _leading(cursor: Cursor) -> None:
    """Go past the label of an answer, ``answer:``, and a lone ``=`` at the start."""
    if cursor.word("answer", "ans") and cursor.peek().text in (":", "is"):
        cursor.at += 2
    cursor.skip("=")


def _items(cursor: Cursor) -> tuple[Node, ...]:
    items = [_relation(cursor)]
    while _separator(cursor):
        items.append(_relation(cursor))
        if len(items) > _MAX_ITEMS:
            raise MalformedError("too many items")
    return tuple(items)


def _separator(cursor: Cursor) -> bool:
    """Go past ``,``, ``;``, ``and``, ``or`` or a comma with one of these words, which do not stand in brackets."""
    comma = cursor.peek().kind != "end" and cursor.skip(",", ";")
    if cursor.depth == cursor.joining and cursor.kind == "word" and cursor.word("and", "or"):
        cursor.at += 1
        return True
    return comma


def _relation(cursor: Cursor) -> Node:
    members, operators = [_labelled(cursor)], list[str]()
    while cursor.kind == "mark" and cursor.text in _RELATIONS:
        operators.append(_RELATIONS[cursor.take().text])
        members.append(_union(cursor))
        if len(members) > _MAX_MEMBERS:
            raise MalformedError("too long a chain")
    return Relation(tuple(members), tuple(operators)) if operators else members[0]


def _labelled(cursor: Cursor) -> Node:
    if cursor.kind == "word" and cursor.text.lower() in LABELS and cursor.peek() == ("mark", "="):
        return Var("label:" + cursor.take().text.lower())
    return _union(cursor)


def _union(cursor: Cursor) -> Node:
    items = [_ratio(cursor)]
    operator = ""
    while cursor.mark(*_SET_OPERATORS):
        found = _SET_OPERATORS[cursor.take().text]
        if operator not in ("", found) or not isinstance(items[-1], _SETS):
            raise MalformedError("sets joined in two ways")
        operator = found
        items.append(_ratio(cursor))
    if not operator:
        return items[0]
    if not all(isinstance(item, _SETS) for item in items):
        raise MalformedError("a union of what is no set")
    return SetTerm(operator, tuple(items))


def _ratio(cursor: Cursor) -> Node:
    items = [_measured(cursor)]
    last = ""
    while cursor.mark(":") or (cursor.word("to") and len(items) == 1):
        last = cursor.text if cursor.take().text == ":" else ""
        items.append(sum_of_terms(cursor))
    if len(items) == 1:
        return items[0]
    if not all(isinstance(item, ARITHMETIC) for item in items):
        raise MalformedError("a ratio of what is no number")
    ratio = Ratio(tuple(items), clock=last.isdigit() and len(last) == 2)
    unit = _unit(cursor)
    return Measure(ratio, unit) if unit else ratio


def _measured(cursor: Cursor) -> Node:
    value = sum_of_terms(cursor)
    if isinstance(value, Measure):
        # "$5 dollars" says it twice; another unit behind a unit is malformed.
        start = cursor.at
        if _unit(cursor) not in ("", value.unit):
            cursor.at = start
        return value
    if cursor.kind != "word" and not cursor.mark("\\$", *CURRENCIES) and not unit_fraction(cursor):
        return value
    unit = _unit(cursor)
    if unit and not isinstance(value, (*ARITHMETIC, Matrix, Based)):
        raise MalformedError("a unit of what has none")
    return Measure(value, unit) if unit else value


def _unit(cursor: Cursor) -> str:
    """The unit that comes next in its canonical spelling, empty if none does: ``cm^2``, ``miles per hour``, ``square feet``."""
    factors = _fraction_of_units(cursor) if unit_fraction(cursor) else {}
    sign = 1
    while cursor.kind == "word" or cursor.mark("\\$", *CURRENCIES) or (factors and cursor.kind == "letter"):
        start = cursor.at
        power_before = 1
        if cursor.text.lower() in SHAPES and (cursor.peek().kind == "word" or cursor.peek().text == "."):
            power_before = SHAPES[cursor.take().text.lower()]
            cursor.skip(".")
        name = _unit_name(cursor)
        if name is None:
            cursor.at = start
            break
        factors[name] = factors.get(name, 0) + sign * power_before * _unit_power(cursor)
        if cursor.skip("/") or _skip_word(cursor, "per"):
            sign = -1
            if cursor.kind != "word":
                raise MalformedError("a unit is missing")
        else:
            cursor.skip("*")
    return spell(factors)


def _fraction_of_units(cursor: Cursor) -> dict[str, int]:
    factors: dict[str, int] = {}
    cursor.take()
    for sign in (1, -1):
        cursor.expect("{")
        name = _unit_name(cursor)
        if name is None or name in factors:
            raise MalformedError("a unit is missing")
        factors[name] = sign * _unit_power(cursor)
        cursor.expect("}")
    return factors


def _unit_name(cursor: Cursor) -> str | None:
    small = cursor.text.lower()
    if UNITS.get(small) == "degree" and cursor.peek().text.lower() in ("celsius", "fahrenheit"):
        small = cursor.peek().text.lower()
        cursor.take()
    if small in ("and", "or"):
        return None
    name = UNITS.get(small) or (small if small in cursor.units else None)
    if small in ("unit", "units") or cursor.mark("\\$", *CURRENCIES):
        name = CURRENCIES.get(cursor.text.lstrip("\\"), "")
    if name is None and cursor.any_unit:
        name = small
    if name is not None:
        cursor.take()
    return name


def _unit_power(cursor: Cursor) -> int:
    if cursor.kind == "word" and cursor.text.lower() in RAISED:
        return RAISED[cursor.take().text.lower()]
    if not cursor.skip("^"):
        return 1
    braced = cursor.skip("{")
    minus = -1 if cursor.skip("-") else 1
    digits = cursor.take()
    if braced:
        cursor.expect("}")
    if digits.kind != "num" or len(digits.text) != 1:
        raise MalformedError("a unit to no power")
    return minus * int(digits.text)


def _skip_word(cursor: Cursor, word: str) -> bool:
    if cursor.kind == "word" and cursor.text.lower() == word:
        cursor.at += 1
        return True
    return False


_READERS = Readers(items=_items, condition=_several, sum_of_terms=sum_of_terms, power=power)
