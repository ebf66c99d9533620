"""What a program is tested on, and whether what it gave is what was expected."""

import json
import math
from dataclasses import dataclass
from typing import Any

Value = None | bool | int | float | str | list[Any] | dict[str, Any]
"""A value as JSON has it."""

DEPTH = 64
FLOAT_TOLERANCE = 1e-9


@dataclass(frozen=True, kw_only=True)
class FunctionTests:
    """Calls of one function: arguments, and the value that must come back."""

    function: str
    cases: tuple[tuple[list[Value], Value], ...]


@dataclass(frozen=True, kw_only=True)
class StdinTests:
    """Runs of a whole program: the text on its standard input, and the text that it must print."""

    cases: tuple[tuple[str, str], ...]


Tests = FunctionTests | StdinTests


def parse_gold(gold: str) -> Tests:
    """Read tests from JSON. Raises ValueError saying what is wrong: a gold that does not parse is an error in the data.

    >>> parse_gold('{"fn": "add", "cases": [[[1, 2], 3]]}')
    FunctionTests(function='add', cases=(([1, 2], 3),))
    >>> parse_gold('{"stdin_cases": [["1 2\\\\n", "3\\\\n"]]}')
    StdinTests(cases=(('1 2\\n', '3\\n'),))
    """
    try:
        tree = json.loads(gold)
    except RecursionError:
        raise ValueError("the tests are nested too deeply") from None
    match tree:
        case {"fn": str(function), "cases": [_, *_] as cases, **rest} if function.isidentifier() and not rest:
            return FunctionTests(function=function, cases=tuple(_call(case) for case in cases))
        case {"stdin_cases": [_, *_] as cases, **rest} if not rest:
            return StdinTests(cases=tuple(_run(case) for case in cases))
    raise ValueError('tests are {"fn": name, "cases": [[arguments, expected], …]} or {"stdin_cases": [[in, out], …]}')


def is_expected_output(expected: str, printed: str) -> bool:
    """Whether the texts are the same, apart from spaces at the ends of lines and empty lines at the end."""
    return _lines(expected) == _lines(printed)


def is_expected_value(expected: Value, got: object) -> bool:
    """Whether a value that came out of the sandbox is the expected one, by exact type.

    got: tagged lists, see plain() in guest.py.txt; they may hold anything, so every shape is checked and nothing is
    built from them (no int of a million digits, no dict with colliding keys). Exact types: a bool is no int, 3 is not
    3.0. A JSON list stands for a list or a tuple, for no set; the keys of a JSON object are strings. Numbers that are
    not whole (a JSON number with a point or exponent) may differ by a relative 1e-9: sums have an order.
    """
    match got:
        case ["none"]:
            return expected is None
        case ["bool", bool(value)]:
            return expected is value
        case ["int", str(text)]:
            return type(expected) is int and text == format(expected, "x")
        case ["float", str(text)]:
            return isinstance(expected, float) and _is_close(expected, text)
        case ["str", str(text)]:
            return isinstance(expected, str) and text == expected
        case ["list" | "tuple", list(items)]:
            return (
                isinstance(expected, list)
                and len(items) == len(expected)
                and all(map(is_expected_value, expected, items))
            )
        case ["dict", list(pairs)]:
            return isinstance(expected, dict) and _has_pairs(expected, pairs)
    return False


def _has_pairs(expected: dict[str, Value], pairs: list[Any]) -> bool:
    """Whether the pairs are the expected ones, in any order."""
    seen = set()
    for pair in pairs:
        match pair:
            case [["str", str(key)], value] if key in expected and is_expected_value(expected[key], value):
                seen.add(key)
            case _:
                return False
    return len(seen) == len(expected) == len(pairs)


def _is_close(expected: float, text: str) -> bool:
    try:
        got = float.fromhex(text[:40])
    except (ValueError, OverflowError):
        return False
    return math.isclose(expected, got, rel_tol=FLOAT_TOLERANCE)


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.rstrip().split("\n")]


def _call(case: Any) -> tuple[list[Value], Value]:
    match case:
        case [list(arguments), expected]:
            _check(case, DEPTH)
            return arguments, expected
    raise ValueError(f"a case is [arguments, expected] with a list of arguments, not {_shorten(case)}")


def _run(case: object) -> tuple[str, str]:
    match case:
        case [str(given), str(printed)]:
            return given, printed
    raise ValueError(f"a case is [input, output], two texts, not {_shorten(case)}")


def _check(value: object, depth: int) -> None:
    """Refuse what no answer could give back: NaN equals nothing, and too deep values do not leave the sandbox."""
    if depth == 0:
        raise ValueError(f"a case is nested more than {DEPTH} deep")
    if isinstance(value, float) and math.isnan(value):
        raise ValueError("a case holds NaN, which equals nothing")
    children = value if isinstance(value, list) else value.values() if isinstance(value, dict) else ()
    for child in children:
        _check(child, depth - 1)


def _shorten(value: object) -> str:
    return repr(value)[:80]
