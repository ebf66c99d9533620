"""Reads sums, products, powers and what they are made of. ``structure.py`` reads what is around them."""

from rlvr.rewards.maths.atoms import atom, starts_atom
from rlvr.rewards.maths.cursor import Cursor
from rlvr.rewards.maths.numbers import fraction_of_integers, number
from rlvr.rewards.maths.units import MAGNITUDES, ORDINALS
from rlvr.rewards.maths.values import (
    ARITHMETIC,
    Call,
    Group,
    MalformedError,
    Matrix,
    Measure,
    Negative,
    Node,
    Num,
    PlusMinus,
    Power,
    Product,
    Quotient,
    Sum,
)

_OPERANDS = (*ARITHMETIC, Measure, Matrix)


def sum_of_terms(cursor: Cursor) -> Node:
    """``term (+ term | - term | ± term)*``."""
    terms = [_signed(cursor)]
    while cursor.mark("+", "-", r"\pm", r"\mp"):
        terms.append(_signed(cursor))
    if len(terms) > 1 and not all(isinstance(term, (*_OPERANDS, Group)) for term in terms):
        raise MalformedError("a sum of what has no sum")
    return terms[0] if len(terms) == 1 else Sum(tuple(terms))


def _signed(cursor: Cursor) -> Node:
    """A term with any signs before it. Signs nest like brackets, so they count as depth."""
    if not cursor.mark("+", "-", r"\pm", r"\mp"):
        return _term(cursor)
    sign = cursor.take().text
    cursor.enter(bar=cursor.bars[-1])
    item = _signed(cursor)
    cursor.leave()
    if sign == "+":
        if not isinstance(item, _OPERANDS):
            raise MalformedError("a sign before what has none")
        return item
    return _negated(item) if sign == "-" else _hoisted(PlusMinus(_inner(item), sign == r"\pm"), item)


def _negated(item: Node) -> Node:
    if isinstance(item, Group):
        raise MalformedError("minus a point")
    return _hoisted(Negative(_inner(item)), item)


def _inner(item: Node) -> Node:
    return item.value if isinstance(item, Measure) else item


def _hoisted(inside: Node, item: Node) -> Node:
    return Measure(inside, item.unit) if isinstance(item, Measure) else inside


def _term(cursor: Cursor) -> Node:
    """``power (* power | / power | power)*``: products, also without a sign, from left to right."""
    first = power(cursor)
    tops, bottoms = [first], list[Node]()
    while True:
        if cursor.skip("*"):
            tops.append(_factor(cursor))
        elif cursor.skip("/"):
            bottoms.append(_factor(cursor))
        elif _goes_on(cursor, tops, bottoms):
            mixed = _mixed(cursor, tops, bottoms)
            tops[-1:] = [suffixed(cursor, mixed)] if mixed is not None else [tops[-1], power(cursor)]
        else:
            break
    return _product(tops, bottoms)


def _factor(cursor: Cursor) -> Node:
    if cursor.mark("-", "+"):
        cursor.enter(bar=cursor.bars[-1])
        sign = cursor.take().text
        item = _factor(cursor)
        cursor.leave()
        return _negated(item) if sign == "-" else item
    return power(cursor)


def _goes_on(cursor: Cursor, tops: list[Node], bottoms: list[Node]) -> bool:
    """Whether the next token begins a factor without a sign before it; two numbers side by side are no product."""
    if not starts_atom(cursor):
        return False
    if cursor.kind == "num":
        before = cursor.tokens[cursor.at - 1]
        return before.kind != "num" or _is_mixed_in_line(cursor, tops, bottoms)
    return True


def _is_mixed_in_line(cursor: Cursor, tops: list[Node], bottoms: list[Node]) -> bool:
    """``2 1/3``: a whole number, a space and a fraction of whole numbers."""
    return (
        len(tops) == 1
        and not bottoms
        and cursor.peek(1) == ("mark", "/")
        and cursor.peek(2).kind == "num"
        and cursor.text.isdigit()
        and cursor.peek(2).text.isdigit()
    )


def _mixed(cursor: Cursor, tops: list[Node], bottoms: list[Node]) -> Num | None:
    """A mixed number if a whole number and a proper fraction of whole numbers meet, else None with nothing taken."""
    whole = tops[0]
    if len(tops) > 1 or bottoms or not isinstance(whole, Num) or whole.form != "integer":
        return None
    if cursor.tokens[cursor.at - 1].kind != "num":
        return None
    start, tokens = cursor.at, cursor.tokens[cursor.at : cursor.at + 8]
    part = fraction_of_integers(cursor)
    if part is None or not 0 < part < 1 or _raised(cursor):
        if tokens[0].kind == "num":
            raise MalformedError("two numbers side by side")
        cursor.at = start
        cursor.tokens[start : start + 8] = tokens
        return None
    return Num(whole.value + part, form="mixed", digits=whole.digits)


def _raised(cursor: Cursor) -> bool:
    """Whether a factorial or a power comes next, which of a mixed number could mean two things."""
    degrees = cursor.mark("^") and r"\circ" in (cursor.peek(1).text, cursor.peek(2).text)
    return cursor.mark("^", "!") and not degrees


def _product(tops: list[Node], bottoms: list[Node]) -> Node:
    if len(tops) + len(bottoms) == 1:
        return tops[0]
    if not all(isinstance(item, _OPERANDS) for item in tops + bottoms):
        raise MalformedError("a product of what has no product")
    top = tops[0] if len(tops) == 1 else Product(tuple(tops))
    if not bottoms:
        return top
    return Quotient(top, bottoms[0] if len(bottoms) == 1 else Product(tuple(bottoms)))


def power(cursor: Cursor) -> Node:
    """``atom ! % ^ …``: an atom and what stands behind it."""
    return suffixed(cursor, atom(cursor))


def suffixed(cursor: Cursor, base: Node) -> Node:
    """A value with the factorials, units and exponents that stand behind it; exponents go from right to left."""
    while True:
        if cursor.mark("!"):
            cursor.take()
            if cursor.mark("!") or not isinstance(base, ARITHMETIC):
                raise MalformedError("!!")
            base = Call("factorial", (base,))
        elif cursor.mark("%"):
            cursor.take()
            base = _measured(base, "percent")
        elif cursor.kind == "word" and cursor.text.lower() in MAGNITUDES and isinstance(base, Num):
            return Product((base, Power(number("10"), number(str(MAGNITUDES[cursor.take().text.lower()])))))
        elif cursor.mark("^"):
            return _exponent(cursor, base)
        elif cursor.mark(r"\circ") and isinstance(base, Num):
            cursor.take()
            return _measured(base, _degrees(cursor))
        elif cursor.kind == "word" and cursor.text in ORDINALS and isinstance(base, Num) and base.form == "integer":
            cursor.take()
            return base
        else:
            return base


def _measured(base: Node, unit: str) -> Measure:
    if not isinstance(base, ARITHMETIC):
        raise MalformedError("a unit of what has none")
    return Measure(base, unit)


def _degrees(cursor: Cursor) -> str:
    """The unit that a degree sign begins: degrees of an angle, Celsius or Fahrenheit."""
    scale = {"C": "celsius", "F": "fahrenheit"}.get(cursor.text)
    if scale is not None:
        cursor.take()
    return scale or "degree"


def _exponent(cursor: Cursor, base: Node) -> Node:
    cursor.expect("^")
    braced = cursor.skip("{")
    if cursor.mark(r"\circ"):
        cursor.take()
        if braced:
            cursor.expect("}")
        return _measured(base, _degrees(cursor))
    if cursor.kind in ("word", "letter") and cursor.text in ORDINALS and isinstance(base, Num):
        cursor.take()
        if braced:
            cursor.expect("}")
        return base
    if not isinstance(base, (*ARITHMETIC, Matrix)):
        raise MalformedError("a power of what has none")
    cursor.enter(bar=not braced and cursor.bars[-1])
    exponent = sum_of_terms(cursor) if braced else _factor(cursor)
    cursor.leave()
    if braced:
        cursor.expect("}")
        if cursor.mark("^"):
            # x^{2}^{3} is an error in LaTeX, but a plain 9^9^9 with braces still means a tower.
            exponent = _exponent(cursor, exponent)
    if not isinstance(exponent, ARITHMETIC):
        raise MalformedError("an exponent that is no number")
    if cursor.mark("!"):
        cursor.take()
        return Call("factorial", (Power(base, exponent),))
    return Power(base, exponent)
