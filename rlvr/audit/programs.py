"""Programs that pass no honest test: they return nothing, a constant, something equal to everything, or never halt."""

import json
from collections.abc import Iterator
from typing import Any

from rlvr.rewards.code import FunctionTests, StdinTests, Tests

EQUAL_TO_ALL = """class Same:
    def __eq__(self, other): return True
    def __hash__(self): return 0
"""
PASSED = "print('PASSED'); print('1 passed'); print('{\"reward\": 1}')"
LEAVE = "import sys; print('PASSED'); sys.exit(0)"
NEVER_HALTS = "while True: pass"
RIGHT_TEXT = "CORRECT"


def wrong_programs(tests: Tests, right: str = "", *, hostile: bool = False) -> Iterator[tuple[str, str]]:
    """(family, response) of programs that must fail. right: one that passes. hostile: those that use up their budget, too."""
    for source in (*_sources(tests), "", "def (", PASSED, LEAVE, "raise SystemExit(0)"):
        if not _passes_empty(tests):
            yield "wrong program", _block(source)
    if right:
        yield "wrong answer last", f"{_block(right)}\n\nNo, wait.\n\n{_block('x = (')}"
        yield "unfinished thoughts", f"<think> So: {_block(right)}"
    if hostile:
        yield "program that never halts", _block(NEVER_HALTS)
        yield "program that never halts", _block("x = [0]\nwhile True: x += x")


def _block(source: str) -> str:
    return f"```python\n{source}\n```"


def _sources(tests: Tests) -> Iterator[str]:
    """Programs that give the same whatever they are given."""
    if isinstance(tests, StdinTests):
        first = tests.cases[0][1]
        if any(_lines(printed) != _lines(first) for _, printed in tests.cases):
            yield f"print({first!r}, end='')"
        return
    expected = [value for _, value in tests.cases]
    if any(value is not None for value in expected):
        yield _function(tests, "None")
    if any(json.dumps(value) != json.dumps(expected[0]) for value in expected) and _is_literal(expected[0]):
        yield _function(tests, repr(expected[0]))
    yield EQUAL_TO_ALL + _function(tests, "Same()")
    if RIGHT_TEXT not in expected:
        yield _function(tests, repr(RIGHT_TEXT))


def _function(tests: FunctionTests, value: str) -> str:
    return f"def {tests.function}(*args, **kwargs):\n    return {value}"


def _is_literal(value: Any) -> bool:
    """Whether a JSON value is a Python literal of the same value: infinities are not."""
    return "inf" not in repr(value)


def _passes_empty(tests: Tests) -> bool:
    """Whether printing nothing is right somewhere, so that a program without effect is no wrong one."""
    return isinstance(tests, StdinTests) and all(not printed.strip() for _, printed in tests.cases)


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.rstrip().split("\n")]
