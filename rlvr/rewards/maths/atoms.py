"""Reads what a product is made of: numbers, names, brackets, roots, fractions, functions, matrices."""

from fractions import Fraction

from rlvr.rewards.maths.cursor import Cursor
from rlvr.rewards.maths.forms import evaluated
from rlvr.rewards.maths.lexer import FUNCTIONS
from rlvr.rewards.maths.numbers import based_in_brackets, first_digit, number, written_number
from rlvr.rewards.maths.units import CURRENCIES, UNITS
from rlvr.rewards.maths.values import (
    ARITHMETIC,
    Call,
    Const,
    Finite,
    Group,
    MalformedError,
    Matrix,
    Measure,
    Negative,
    Node,
    Num,
    NumberSet,
    Power,
    Product,
    Quotient,
    Relation,
    SetTerm,
    Several,
    Var,
)

_NAMED = {"e": "e", "i": "i", "pi": "pi", "inf": "inf", "infinity": "inf"}
_CONSTANTS = {r"\pi": "pi", r"\infty": "inf"}
_INVERSES = {"sin": "asin", "cos": "acos", "tan": "atan"}
_SAME = {"arcsin": "asin", "arccos": "acos", "arctan": "atan", "log": "ln", "lg": "log10"}
_LETTER_FUNCTIONS = frozenset("fghFGH")
_LETTER_POLYNOMIALS = frozenset("pqPQ")
_ACCENTS = (
    r"\vec",
    r"\hat",
    r"\bar",
    r"\overline",
    r"\tilde",
    r"\overrightarrow",
    r"\widehat",
    r"\angle",
    r"\triangle",
)
_CLOSING = {"(": (")", "]"), "[": ("]", ")"), r"\langle": (r"\rangle",)}
_STARTS = frozenset({
    "(", "[", "{", r"\{", r"\langle", r"\frac", r"\sqrt", r"\binom", r"\lfloor", r"\lceil", r"\begin", r"\mathbb",
    r"\emptyset", r"\infty", r"\pi", *_ACCENTS,
})  # fmt: skip
_MAX_CELLS = 100


def starts_atom(cursor: Cursor) -> bool:
    """Whether the next token can begin an atom. A ``|`` can unless one is open."""
    match cursor.kind:
        case "num" | "letter":
            return True
        case "word":
            return _is_name(cursor)
        case "mark":
            return (cursor.text in _STARTS and not unit_fraction(cursor)) or (
                cursor.text == "|" and not cursor.bars[-1]
            )
        case _:
            return False


def unit_fraction(cursor: Cursor) -> bool:
    r"""Whether a fraction of units comes next, ``\frac{\text{m}}{\text{s}}``."""
    opening, name, after = (cursor.peek(k) for k in (1, 2, 3))
    named = opening.text == "{" and name.kind == "word" and name.text.lower() in UNITS
    return named and cursor.mark(r"\frac") and after.text in ("}", "^")


def _is_name(cursor: Cursor) -> bool:
    small = cursor.text.lower()
    if small in FUNCTIONS:
        # "5 min" is a time; min(1, 2) is a function.
        return small not in ("min", "max") or cursor.peek().text in ("(", r"\{", "{")
    return small in _NAMED


def atom(cursor: Cursor) -> Node:
    """One atom."""
    match cursor.kind:
        case "num":
            return written_number(cursor)
        case "letter":
            return _name(cursor)
        case "word":
            return _word(cursor)
        case _:
            return _marked(cursor)


def _word(cursor: Cursor) -> Node:
    small = cursor.text.lower()
    if small in FUNCTIONS:
        cursor.take()
        return _function(cursor, small)
    if len(small) == 1 or small in _NAMED:
        return _name(cursor)
    raise MalformedError("a word where a value must be")


def _name(cursor: Cursor) -> Node:
    """A variable with its subscript and primes, a constant, or a letter function of its arguments."""
    name = cursor.take().text
    name = name if len(name) == 1 else name.lower()
    if name in _NAMED and not cursor.mark("_"):
        return Const(_NAMED[name])
    if cursor.skip("_"):
        name += "_" + _subscript(cursor)
    while cursor.mark("'"):
        name += cursor.take().text
    if name in _LETTER_FUNCTIONS and [cursor.peek(k).text for k in range(6)] == ["^", "{", "-", "1", "}", "("]:
        cursor.at += 5
        name += "^-1"
    if cursor.mark("(") and (
        name[0] in _LETTER_FUNCTIONS or (name[0] in _LETTER_POLYNOMIALS and _one_name_in_brackets(cursor))
    ):
        return _letter_function(cursor, name)
    return Var(name)


def _one_name_in_brackets(cursor: Cursor) -> bool:
    """The letters of polynomials are as often variables: ``P(x)`` is a function, ``P(1+r)`` a product."""
    return cursor.peek().kind in ("letter", "num") and cursor.peek(2) == ("mark", ")")


def _letter_function(cursor: Cursor, name: str) -> Node:
    """``f(x+1)``."""
    argument = _bracketed(cursor)
    args = argument.items if isinstance(argument, Group) else (argument,)
    if not all(isinstance(arg, ARITHMETIC) for arg in args):
        raise MalformedError("a function of what is no number")
    return Call("apply:" + name, args)


def _subscript(cursor: Cursor) -> str:
    if not cursor.mark("{"):
        return first_digit(cursor) if cursor.kind == "num" else cursor.take().text
    cursor.take()
    name = ""
    while not cursor.mark("}"):
        name += cursor.take().text
    cursor.take()
    return name


def _marked(cursor: Cursor) -> Node:
    text = cursor.text
    if text in _CLOSING:
        return _bracketed(cursor)
    if text in _CONSTANTS:
        cursor.take()
        return Const(_CONSTANTS[text])
    if text in CURRENCIES or text == "\\$":
        cursor.take()
        unit = CURRENCIES[text.lstrip("\\")]
        minus = cursor.skip("-")
        value = cursor.read.power(cursor)
        if not isinstance(value, Num | Product) or not evaluated(value) or minus:
            raise MalformedError("a currency without an amount")
        return Measure(value, unit)
    reader = _READERS.get(text)
    if reader is None:
        if text in _ACCENTS:
            cursor.take()
            return Var(text + _subscript(cursor))
        raise MalformedError(f"no value begins with {text[:20]!r}")
    cursor.take()
    return reader(cursor)


def _bracketed(cursor: Cursor) -> Node:
    """What stands in round or square brackets: one value is that value, several are a Group."""
    based = based_in_brackets(cursor)
    if based is not None:
        return based
    left = cursor.take().text
    cursor.enter()
    items = cursor.read.items(cursor)
    cursor.leave()
    right = cursor.take().text
    if right not in _CLOSING[left]:
        raise MalformedError("a bracket that does not close")
    if len(items) == 1 and (left, right) in (("(", ")"), ("[", "]")):
        return items[0]
    if left == r"\langle":
        left, right = "(", ")"
    return Group(left, items, right)


def _between(cursor: Cursor, close: str, *, bar: bool = False) -> Node:
    cursor.enter(bar=bar)
    item = cursor.read.sum_of_terms(cursor)
    cursor.leave()
    cursor.expect(close)
    return item


def _number_between(cursor: Cursor, close: str, *, bar: bool = False) -> Node:
    item = _between(cursor, close, bar=bar)
    if not isinstance(item, (*ARITHMETIC, Measure, Matrix)):
        raise MalformedError("a number must be here")
    return item


def _braced(cursor: Cursor) -> Node:
    """A group in braces, which are not seen around one value, as in ``{x+1}``, and are a set's around several."""
    builder = _set_builder(cursor, "}")
    if builder is not None:
        return builder
    cursor.enter()
    items = cursor.read.items(cursor)
    if len(items) == 1 and cursor.mark(r"\choose", r"\over"):
        return _infix(cursor, items[0])
    cursor.leave()
    cursor.expect("}")
    return items[0] if len(items) == 1 else Finite(items)


def _infix(cursor: Cursor, top: Node) -> Node:
    r"""The rest of ``{10 \choose 3}`` or ``{1 \over 2}``."""
    command = cursor.take().text
    bottom = cursor.read.sum_of_terms(cursor)
    cursor.leave()
    cursor.expect("}")
    if not isinstance(top, ARITHMETIC) or not isinstance(bottom, ARITHMETIC):
        raise MalformedError("a number must be here")
    return Call("binomial", (top, bottom)) if command == r"\choose" else Quotient(top, bottom)


def _set(cursor: Cursor) -> Node:
    if cursor.skip(r"\}"):
        return Finite(())
    builder = _set_builder(cursor, r"\}")
    if builder is not None:
        return builder
    cursor.enter()
    items = cursor.read.items(cursor)
    cursor.leave()
    cursor.expect(r"\}")
    return Finite(items)


def _set_builder(cursor: Cursor, close: str) -> SetTerm | None:
    r"""``x \mid x > 2\}`` or ``x \in \mathbb{R} : x > 2\}``; None, and nothing taken, if that is not what comes."""
    if cursor.kind != "letter":
        return None
    start = cursor.at
    name = Var(cursor.take().text)
    domain = [Relation((name, atom(cursor)), ("in",))] if cursor.skip(r"\in") and cursor.mark(r"\mathbb") else []
    if not cursor.skip("|", ":"):
        cursor.at = start
        return None
    cursor.enter()
    outer, cursor.joining = cursor.joining, cursor.depth
    condition = cursor.read.condition(cursor)
    cursor.joining = outer
    cursor.leave()
    cursor.expect(close)
    conditions = condition.items if isinstance(condition, Several) and condition.word != "or" else (condition,)
    return SetTerm("where", (name, *domain, *conditions))


def _argument(cursor: Cursor) -> Node:
    """An argument of a LaTeX command: a group in braces, or one digit or letter, or a command with its own."""
    if cursor.skip("{"):
        return _number_between(cursor, "}")
    if cursor.kind == "num":
        return number(first_digit(cursor))
    cursor.enter()
    item = atom(cursor)
    cursor.leave()
    if not isinstance(item, ARITHMETIC):
        raise MalformedError("a number must be here")
    return item


def _frac(cursor: Cursor) -> Node:
    top = _argument(cursor)
    return Quotient(top, _argument(cursor))


def _sqrt(cursor: Cursor) -> Node:
    if cursor.skip("["):
        degree = _number_between(cursor, "]")
        return Call("root", (_argument(cursor), degree))
    # √12 means the root of twelve: digit by digit is for \sqrt in LaTeX, where nobody writes that on purpose.
    if cursor.kind == "num":
        return Call("root", (number(cursor.take().text), Num(2 * number("1").value)))
    return Call("root", (_argument(cursor), number("2")))


def _binom(cursor: Cursor) -> Node:
    top = _argument(cursor)
    return Call("binomial", (top, _argument(cursor)))


def _absolute(cursor: Cursor) -> Node:
    item = _number_between(cursor, "|", bar=True)
    return Call("det" if isinstance(item, Matrix) else "abs", (item,))


def _number_set(cursor: Cursor) -> Node:
    letter = _subscript(cursor)
    if letter not in ("R", "Z", "N", "Q", "C"):
        raise MalformedError("no such set")
    return NumberSet(letter)


def _function(cursor: Cursor, name: str) -> Node:
    """A function by its name: its power, its base, its argument in brackets or without."""
    exponent = None
    base = None
    if cursor.mark("_"):
        cursor.take()
        base = _argument(cursor)
    if cursor.skip("^"):
        exponent = _argument(cursor) if not cursor.skip("-") else Num(-number(cursor.take().text).value)
    if exponent in (Num(Fraction(-1)), Negative(Num(Fraction(1)))) and name in _INVERSES:
        name, exponent = _INVERSES[name], None
    call = _call(_SAME.get(name, name), _function_arguments(cursor), base)
    return call if exponent is None else Power(call, exponent)


def _call(name: str, args: tuple[Node, ...], base: Node | None) -> Node:
    if name in ("max", "min", "gcd", "lcm"):
        return Call(name, args)
    if len(args) != 1 or (base is not None and name != "ln"):
        raise MalformedError(f"{name} of that")
    if name == "exp":
        return Power(Const("e"), args[0])
    if name in ("sqrt", "cbrt"):
        return Call("root", (args[0], number("2" if name == "sqrt" else "3")))
    if base is not None:
        return Quotient(Call("ln", args), Call("ln", (base,)))
    return Call(name, args)


def _function_arguments(cursor: Cursor) -> tuple[Node, ...]:
    if cursor.mark("(", "[", "{"):
        close = {"(": ")", "[": "]", "{": "}"}[cursor.take().text]
        cursor.enter()
        items = cursor.read.items(cursor)
        cursor.leave()
        cursor.expect(close)
        if not all(isinstance(item, (*ARITHMETIC, Measure, Matrix)) for item in items):
            raise MalformedError("a function of what is no number")
        return items
    cursor.enter(bar=cursor.bars[-1])
    factors = [cursor.read.power(cursor)]
    while starts_atom(cursor) and cursor.kind != "word" and not cursor.mark("(", "["):
        factors.append(cursor.read.power(cursor))
    cursor.leave()
    if len(factors) > 1 and not all(isinstance(item, ARITHMETIC) for item in factors):
        raise MalformedError("a function of what is no number")
    return (factors[0] if len(factors) == 1 else Product(tuple(factors)),)


def _matrix(cursor: Cursor) -> Node:
    r"""``\begin{pmatrix} a & b \\ c & d \end{pmatrix}``."""
    kind = _environment(cursor)
    if kind == "array" and cursor.mark("{"):
        _subscript(cursor)
    rows: list[list[Node]] = [[]]
    cursor.enter()
    while not cursor.mark(r"\end"):
        rows[-1].append(cursor.read.sum_of_terms(cursor))
        if cursor.skip("\\\\"):
            rows.append([])
        elif not cursor.skip("&") and not cursor.mark(r"\end"):
            raise MalformedError("a cell that does not end")
    cursor.leave()
    cursor.take()
    if _environment(cursor) != kind:
        raise MalformedError("a matrix that does not close")
    if not rows[-1]:
        rows.pop()
    if len({len(row) for row in rows}) != 1 or sum(map(len, rows)) > _MAX_CELLS or not rows[0]:
        raise MalformedError("rows of different lengths")
    matrix = Matrix(tuple(map(tuple, rows)))
    return Call("det", (matrix,)) if kind == "vmatrix" else matrix


def _environment(cursor: Cursor) -> str:
    kind = _subscript(cursor)
    if kind not in ("pmatrix", "bmatrix", "Bmatrix", "matrix", "vmatrix", "array", "smallmatrix"):
        raise MalformedError("an unknown environment")
    return kind


_READERS = {
    "{": _braced,
    r"\{": _set,
    "|": _absolute,
    r"\frac": _frac,
    r"\sqrt": _sqrt,
    r"\binom": _binom,
    r"\lfloor": lambda cursor: Call("floor", (_number_between(cursor, r"\rfloor"),)),
    r"\lceil": lambda cursor: Call("ceil", (_number_between(cursor, r"\rceil"),)),
    r"\mathbb": _number_set,
    r"\emptyset": lambda _: Finite(()),
    r"\begin": _matrix,
}
