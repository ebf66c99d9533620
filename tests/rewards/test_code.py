"""The code grader: which text is the program, what tests are, and the verdict on honest programs, good and bad."""

import fcntl
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from code_sandboxes import SANDBOXES, needs_bubblewrap, needs_wasm

from rlvr.errors import MissingExtraError, RlvrError
from rlvr.rewards.code import (
    CodeGrader,
    FunctionTests,
    StdinTests,
    grade_code,
    parse_gold,
    sandbox_name,
    sandbox_warning,
)
from rlvr.rewards.code.answer import last_code_block
from rlvr.rewards.code.gold import is_expected_output, is_expected_value
from rlvr.rewards.verdict import Reason

ADD = '{"fn": "add", "cases": [[[1, 2], 3], [[-1, 1], 0], [[10, 5], 15]]}'
SUM = '{"stdin_cases": [["1 2\\n", "3\\n"], ["10 5\\n", "15\\n"]]}'


def block(source: str) -> str:
    return f"So:\n```python\n{source}\n```\nDone."


@pytest.fixture(scope="module", params=SANDBOXES)
def grader(request: pytest.FixtureRequest) -> CodeGrader:
    return CodeGrader(sandbox=request.param)


def reason(grader: CodeGrader, gold: str, source: str) -> Reason:
    return grader.grade(parse_gold(gold), block(source)).reason


def returns(grader: CodeGrader, expected: object, expression: str) -> Reason:
    """The verdict on a function that returns an expression's value where a value is expected."""
    return reason(grader, json.dumps({"fn": "f", "cases": [[[], expected]]}), f"def f(): return {expression}")


def returns_of(grader: CodeGrader, source: str) -> object:
    outcome = grader._sandbox.run(source, function="f")
    assert outcome.status == "ran"
    return outcome.value


# Which text is the program.


@pytest.mark.parametrize(
    ("response", "source"),
    [
        ("```\nx\n```", "x"),
        ("~~~python\nx\n~~~", "x"),
        ("```py\r\nx\r\n```\r\n", "x\r"),
        ("```\na\n```\n```\nb\n```", "b"),
        ("````\n```\nx\n```\n````", "```\nx\n```"),
        ("```\n~~~\nx\n```", "~~~\nx"),
        ("1. So:\n   ```python\n   if x:\n       y\n   ```", "if x:\n    y"),
        ("```\nx = '```'\n```", "x = '```'"),
        ("```python\nx", "x"),
        ("```python\n\n```", ""),
        ("<think>\n```\na\n```\n</think>\n```\nb\n```", "b"),
        ("a</think>```no fence```\n```\nb\n```", "b"),
        ("x = 1", None),
        ("", None),
        ("inline ```x``` only", None),
        ("```x``` only", None),
        ("<think>\n```\na\n```\n</think>\nNo code.", None),
        ("<think>\n```\na\n```", None),
        ("```\na\n```\n</think><think>\n```\nb\n```", None),
    ],
)
def test_the_program_is_the_last_code_block_after_the_thoughts(response: str, source: str | None) -> None:
    assert last_code_block(response) == source


# What tests are.


def test_gold_is_read() -> None:
    assert parse_gold(ADD) == FunctionTests(function="add", cases=(([1, 2], 3), ([-1, 1], 0), ([10, 5], 15)))
    assert parse_gold(SUM) == StdinTests(cases=(("1 2\n", "3\n"), ("10 5\n", "15\n")))


@pytest.mark.parametrize(
    "gold",
    [
        "",
        "add",
        "null",
        "[]",
        "{}",
        '{"fn": "add", "cases": []}',
        '{"fn": "add"}',
        '{"fn": "a b", "cases": [[[1], 2]]}',
        '{"fn": 1, "cases": [[[1], 2]]}',
        '{"fn": "add", "cases": [[1, 2]]}',
        '{"fn": "add", "cases": [[[1]]]}',
        '{"fn": "add", "cases": [[[1], NaN]]}',
        '{"fn": "add", "cases": [[[1], 2]], "stdin_cases": [["1", "2"]]}',
        '{"stdin_cases": []}',
        '{"stdin_cases": [["1", 2]]}',
        '{"stdin_cases": [["1"]]}',
        '{"fn": "f", "cases": [[[1], ' + "[" * 70 + "]" * 70 + "]]}",
        "[" * 100_000,
    ],
)
def test_gold_that_does_not_parse_is_an_error_in_the_data(gold: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_gold(gold)


@pytest.mark.parametrize(
    "tree",
    [None, 3, "3", [], ["int"], ["int", 3], ["int", "0x3"], ["int", "03"], ["bool", True], ["bool", "3"],
     ["float", "0x1.8p+1"], ["float", "x"], ["float", "0x1p+99999"], ["str", "3"], ["list", 3], ["dict", [[1]]],
     ["set", [["int", "3"]]], {"int": "3"}, [["int", "3"]], ["int", "3", 0]],
)  # fmt: skip
def test_a_reply_that_is_not_the_expected_value_is_wrong_whatever_it_is(tree: object) -> None:
    assert is_expected_value(3, ["int", "3"])
    assert not is_expected_value(3, tree)


def test_a_dict_must_have_each_key_once() -> None:
    one = [["str", "a"], ["int", "1"]]
    assert is_expected_value({"a": 1}, ["dict", [one]])
    assert not is_expected_value({"a": 1}, ["dict", [one, one]])
    assert not is_expected_value({"a": 1, "b": 1}, ["dict", [one, one]])


def test_output_is_compared_without_the_spaces_at_line_ends() -> None:
    assert is_expected_output("1 2\n3\n", "1 2  \r\n3\n\n")
    assert not is_expected_output("1 2\n3\n", "1  2\n3")
    assert not is_expected_output("1\n\n2\n", "1\n2\n")
    assert not is_expected_output("1", " 1")


# Verdicts.


@pytest.mark.parametrize(
    "source",
    [
        "def add(a, b):\n    return a + b",
        "add = lambda a, b: a + b",
        "class Add:\n    def __call__(self, a, b): return a + b\nadd = Add()",
        "import os, sys, re, json, math, heapq, random, string, statistics, fractions, decimal, typing, copy, datetime\n"
        "import itertools, collections, bisect, functools, operator, dataclasses\n"
        "@dataclasses.dataclass\nclass A:\n    x: typing.List[int]\n"
        "def add(a: int, b: int) -> int:\n    return int(sum(fractions.Fraction(x) for x in A([a, b]).x))",
        "try:\n    import numpy\nexcept ImportError:\n    def add(a, b): return a + b",
        "import functools\n@functools.lru_cache(None)\ndef add(a, b, n=400):\n    return add(a, b, n - 1) if n else a + b",
        "import sys, time, random\nsys.setrecursionlimit(10**6)\nprint(time.time(), random.Random().random())\n"
        "def add(a, b, n=20_000):\n    return add(a, b, n - 1) if n else a + b",
        "def add(a, b):\n    print('adding', a, b)\n    return a + b\nif __name__ == '__main__':\n    print(add(input(), 1))",
        "import os.path, traceback, logging\ntry:\n    1 / 0\nexcept Exception:\n    traceback.print_exc()\n"
        "def add(a, b):\n    return a + b + os.path.exists('x')",
        "def add(a, b):\r\n    return a + b\r",
        "# ünï ©ø∂é 💡\ndef add(a, b):\n    return a + b",
    ],
)  # fmt: skip
def test_a_right_function_earns_full_marks(grader: CodeGrader, source: str) -> None:
    verdict = grader.grade(parse_gold(ADD), block(source))
    assert (verdict.reward, verdict.reason) == (1.0, Reason.CORRECT)
    assert verdict.extracted == source


@pytest.mark.parametrize(
    "source",
    [
        "a, b = map(int, input().split())\nprint(a + b)",
        "import sys\nprint(sum(map(int, sys.stdin.read().split())))\nsys.exit(0)",
        "print(sum(map(int, open(0).read().split())))\nexit()",
        "import os\nos.write(1, str(sum(map(int, os.read(0, 100).split()))).encode())",
        "import sys\nsys.stdout.buffer.write(b'%d  \\n\\n' % sum(map(int, sys.stdin.buffer.readline().split())))",
        "import sys, threading\nsys.setrecursionlimit(10**6)\nthreading.stack_size(2**27)\n"
        "def main():\n    print(sum(map(int, input().split())))\n"
        "if __name__ == '__main__':\n    t = threading.Thread(target=main)\n    t.start()\n    t.join()",
    ],
)  # fmt: skip
def test_a_right_program_earns_full_marks(grader: CodeGrader, source: str) -> None:
    assert reason(grader, SUM, source) is Reason.CORRECT


@pytest.mark.parametrize(
    ("gold", "source", "expected"),
    [
        (ADD, "def add(a, b): return a - b", Reason.WRONG),
        (ADD, "def add(a, b): return 3", Reason.WRONG),
        (ADD, "def add(a, b): return str(a + b)", Reason.WRONG),
        (ADD, "def add(a, b): print(a + b)", Reason.WRONG),
        (ADD, "def add(a): return a", Reason.WRONG),
        (ADD, "def add(a, b): raise ValueError", Reason.WRONG),
        (ADD, "import numpy\ndef add(a, b): return a + b", Reason.WRONG),
        (ADD, "", Reason.MALFORMED),
        (ADD, "def plus(a, b): return a + b", Reason.MALFORMED),
        (ADD, "add = 3", Reason.MALFORMED),
        (ADD, "def add(a, b) return a + b", Reason.MALFORMED),
        (ADD, "def add(a, b):\nreturn a + b", Reason.MALFORMED),
        (ADD, "x = '\0'\ndef add(a, b): return a + b", Reason.MALFORMED),
        (ADD, "x = '\ud800'\ndef add(a, b): return a + b", Reason.MALFORMED),
        (ADD, "def add(a, b): yield a + b", Reason.REFUSED),
        (ADD, "def add(a, b):\n    while True: pass", Reason.TIMEOUT),
        (SUM, "a, b = map(int, input().split())\nprint(a - b)", Reason.WRONG),
        (SUM, "a, b = map(int, input('Numbers: ').split())\nprint(a + b)", Reason.WRONG),
        (SUM, "print(sum(map(int, input().split())))\n1 / 0", Reason.WRONG),
        (SUM, "print(sum(map(int, input().split())))\nexit(1)", Reason.WRONG),
        (SUM, "print(input())\nprint(input())", Reason.WRONG),
        (SUM, "", Reason.WRONG),
    ],
)
def test_a_wrong_program_earns_nothing_and_the_reason_says_why(
    grader: CodeGrader, gold: str, source: str, expected: Reason
) -> None:
    verdict = grader.grade(parse_gold(gold), block(source))
    assert (verdict.reward, verdict.reason) == (0.0, expected)


def test_a_response_without_a_program_is_no_answer_and_a_long_one_is_not_read(grader: CodeGrader) -> None:
    source = "def add(a, b): return a + b"
    tests = parse_gold(ADD)
    assert grader.grade(tests, source).reason is Reason.NO_ANSWER
    assert grader.grade(tests, "").reason is Reason.NO_ANSWER
    assert grader.grade(tests, f"<think>{block(source)}").reason is Reason.NO_ANSWER
    assert grader.grade(tests, block(source + "\n#" + "x" * 60_000)).reason is Reason.CORRECT
    assert grader.grade(tests, block(source + "\n#" + "x" * 200_000)).reason is Reason.TOO_LONG


@pytest.mark.parametrize(
    ("expected", "expression"),
    [
        (None, "None"),
        (True, "1 == 1"),
        (2**4000, "2**4000"),
        (-5, "-5"),
        (0.3, "0.1 + 0.2"),
        (float("inf"), "1e999"),
        ("é\n\0\ud800", "'é\\n\\0\\ud800'"),
        ([1, [2, "x"], None], "(1, [2, 'x'], None)"),
        ([], "()"),
        ({"a": {"b": 1}, "c": 2}, "{'c': 2, 'a': {'b': 1}}"),
    ],
)
def test_a_value_is_right_if_it_is_the_expected_one(grader: CodeGrader, expected: object, expression: str) -> None:
    assert returns(grader, expected, expression) is Reason.CORRECT


@pytest.mark.parametrize(
    ("expected", "expression"),
    [
        (1, "True"),
        (True, "1"),
        (3, "3.0"),
        (3.0, "3"),
        (0.3, "0.3000001"),
        (None, "0"),
        (0, "None"),
        ("a", "b'a'"),
        ("a", "['a']"),
        (2**100, "2**100 + 1"),
        ([1, 2], "[2, 1]"),
        ([1, 2], "{1, 2}"),
        ([1], "[True]"),
        ([1], "iter([1])"),
        ([0, 1], "range(2)"),
        ({"1": 2}, "{1: 2}"),
        ({"a": 1}, "__import__('collections').Counter('a')"),
        ({}, "[]"),
    ],
)
def test_a_value_that_only_looks_like_the_expected_one_is_wrong(
    grader: CodeGrader, expected: object, expression: str
) -> None:
    assert returns(grader, expected, expression) in {Reason.WRONG, Reason.REFUSED}


@pytest.mark.check("R32")
@needs_wasm
def test_the_verdict_and_the_instructions_are_the_same_every_time_and_in_every_thread() -> None:
    source = "import random\ndef f(n): return [random.random() for _ in range(n)][-1:] + [hash('a'), id(f)]"
    sandbox = CodeGrader()._sandbox
    outcomes = [sandbox.run(source, function="f", arguments=[1000])]
    threads = [
        threading.Thread(target=lambda: outcomes.append(sandbox.run(source, function="f", arguments=[1000])))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 5
    assert all(outcome == outcomes[0] for outcome in outcomes)
    assert outcomes[0].fuel > 0


@needs_wasm
def test_a_budget_holds() -> None:
    source = "def add(a, b):\n    x = [0] * 20_000_000\n    return a + b + x[a]"
    assert grade_code(ADD, block(source)).reason is Reason.CORRECT
    assert grade_code(ADD, block(source), fuel=50_000_000).reason is Reason.TIMEOUT
    assert grade_code(ADD, block(source), memory_bytes=64 << 20).reason is Reason.TIMEOUT
    for budget in ({"fuel": 1000}, {"memory_bytes": 1 << 20}):
        with pytest.raises(RlvrError, match="the code grader"):
            CodeGrader(**budget)


@needs_wasm
def test_our_own_failure_is_said_to_be_one(monkeypatch: pytest.MonkeyPatch) -> None:
    grader = CodeGrader()
    monkeypatch.setattr(grader._sandbox, "memory_bytes", 1 << 20)
    verdict = grader.grade(parse_gold(ADD), block("def add(a, b): return a + b"))
    assert (verdict.reward, verdict.reason) == (0.0, Reason.ERROR)


# Making one.


def hide_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("wasmtime", "componentize_py"):
        monkeypatch.setitem(sys.modules, name, None)


@pytest.mark.check("R36")
def test_without_a_sandbox_the_grader_cannot_be_made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    hide_packages(monkeypatch)
    monkeypatch.setenv("PATH", str(tmp_path))
    for attempt in (sandbox_name, sandbox_warning, lambda: CodeGrader(fuel=1)):
        with pytest.raises(MissingExtraError, match=r"^the code grader: .*bubblewrap.*rlvr\[code\][^\n]*$"):
            attempt()
    with pytest.raises(MissingExtraError, match=r"no bwrap on PATH.*rlvr\[code\]"):
        CodeGrader(fuel=1, sandbox="bubblewrap")
    with pytest.raises(MissingExtraError, match=r"wasmtime.*rlvr\[code\]"):
        CodeGrader(fuel=1, sandbox="wasm")


@pytest.mark.check("R36")
def test_a_bubblewrap_that_does_not_work_is_no_sandbox(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "bwrap"
    program.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
    program.chmod(0o755)
    hide_packages(monkeypatch)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingExtraError, match=r"bwrap: No permissions to create new namespace.*rlvr\[code\]"):
        CodeGrader(fuel=1)


@needs_wasm
def test_the_default_sandbox_needs_no_warning() -> None:
    assert sandbox_name() == "wasm"
    assert sandbox_warning() is None


@pytest.mark.check("R36")
@needs_bubblewrap
def test_without_the_extra_bubblewrap_is_used_and_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    hide_packages(monkeypatch)
    assert sandbox_name() == "bubblewrap"
    warning = sandbox_warning()
    assert warning is not None
    assert "bubblewrap" in warning
    assert "rlvr[code]" in warning
    assert "\n" not in warning
    verdict = grade_code(ADD, block("def add(a, b): return a + b"), fuel=2)
    assert (verdict.reward, verdict.reason) == (1.0, Reason.CORRECT)


@needs_bubblewrap
def test_bubblewraps_budgets_hold() -> None:
    source = "def add(a, b):\n    x = [0] * 10_000_000\n    return a + b + x[a]"
    for memory_bytes, expected in ((256 << 20, Reason.CORRECT), (16 << 20, Reason.TIMEOUT)):
        grader = CodeGrader(memory_bytes=memory_bytes, sandbox="bubblewrap")
        assert reason(grader, ADD, source) is expected


def test_randomness_is_the_same_every_time(grader: CodeGrader) -> None:
    source = (
        "import random\ndef f():\n    numbers = [random.randrange(10**9)]\n    random.seed()\n"
        "    return [*numbers, random.randrange(10**9), random.Random().randrange(10**9)]"
    )
    assert returns_of(grader, source) == returns_of(grader, source)


# The cache of the WebAssembly sandbox.


@needs_wasm
def test_one_process_builds_at_a_time(tmp_path: Path) -> None:
    from rlvr.rewards.code.component import _alone

    with (tmp_path / ".lock").open("w") as other:
        with _alone(tmp_path), pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


@needs_wasm
def test_what_nobody_reads_again_leaves_the_cache(tmp_path: Path) -> None:
    from rlvr.rewards.code.component import OLD_SECONDS, _tidy

    names = ("sandbox-kept.bin", "sandbox-old.bin", "sandbox-new.bin", ".tmp-dead", ".lock", "other")
    for name in names:
        (tmp_path / name).touch()
        if name != "sandbox-new.bin":
            os.utime(tmp_path / name, (0, time.time() - OLD_SECONDS - 60))
    _tidy(tmp_path / "sandbox-kept.bin")
    assert {file.name for file in tmp_path.iterdir()} == {"sandbox-kept.bin", "sandbox-new.bin", ".lock", "other"}


@needs_wasm
@pytest.mark.slow
def test_of_processes_that_start_at_once_one_builds(tmp_path: Path) -> None:
    source = (
        "from rlvr.rewards.code import component\nbuild, built = component._build, []\n"
        "component._build = lambda engine: built.append(1) or build(engine)\n"
        "component.load_component()\nprint(len(built))"
    )
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    processes = [
        subprocess.Popen([sys.executable, "-c", source], env=environment, stdout=subprocess.PIPE) for _ in range(2)
    ]
    assert sorted(process.communicate()[0] for process in processes) == [b"0\n", b"1\n"]


@needs_wasm
def test_a_cache_that_others_can_write_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from rlvr.rewards.code.component import load_component

    folder = tmp_path / "rlvr" / "code-sandbox"
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(RlvrError, match="mode 777"):
        load_component.__wrapped__()


@needs_wasm
@pytest.mark.slow
def test_the_sandbox_is_built_once_and_a_damaged_one_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from rlvr.rewards.code.component import load_component

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    component, engine = load_component.__wrapped__()
    assert component.type.imports(engine) == {}
    (file,) = (tmp_path / "rlvr" / "code-sandbox").glob("*.bin")
    assert os.stat(file.parent).st_mode & 0o777 == 0o700
    assert os.stat(file).st_mode & 0o777 == 0o600
    first = file.stat().st_mtime_ns
    load_component.__wrapped__()
    assert file.stat().st_mtime_ns == first
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    load_component.__wrapped__()
    assert file.read_bytes() != content
    assert {path.name for path in file.parent.iterdir()} == {".lock", file.name}
