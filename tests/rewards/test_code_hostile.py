"""Hostile programs: each earns nothing and leaves nothing, and the next program is graded as if it had never run."""

import builtins
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from code_sandboxes import SANDBOXES, needs_wasm
from hostile_programs import FORGERIES, PROBES, RIGHT, ZERO

from rlvr.rewards.code import CodeGrader, parse_gold
from rlvr.rewards.verdict import Reason

ADD = parse_gold('{"fn": "add", "cases": [[[1, 2], 3], [[-1, 1], 0], [[10, 5], 15]]}')
FUEL = 3_000_000_000
"""A tenth of the default: what never ends takes a quarter of a second; one second of bubblewrap's."""


def _surroundings() -> tuple[object, ...]:
    """What of this process a program could have changed. PYTEST_CURRENT_TEST says which phase a test is in."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
    return environment, os.getcwd(), threading.active_count(), json.loads, builtins.len


@pytest.fixture(scope="module", params=SANDBOXES)
def grader(request: pytest.FixtureRequest) -> CodeGrader:
    return CodeGrader(fuel=FUEL, sandbox=request.param)


@pytest.fixture
def untouched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """An empty folder two levels down, the working folder during the test; afterwards nothing may have changed."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("RLVR_SECRET", "secret")
    before = _surroundings()
    yield folder
    assert _surroundings() == before
    assert list(tmp_path.rglob("*")) == [folder]


def check(grader: CodeGrader, source: str) -> None:
    verdict = grader.grade(ADD, f"```python\n{source}\n```")
    assert verdict.reward == 0.0
    assert verdict.reason not in {"correct", "error"}, source
    assert grader.grade(ADD, f"```python\n{RIGHT}\n```").reward == 1.0


@pytest.mark.check("R35")
@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_result_earns_nothing(grader: CodeGrader, untouched: Path, name: str) -> None:
    check(grader, FORGERIES[name])


@pytest.mark.check("R35")
@pytest.mark.parametrize("family", PROBES)
def test_a_probe_earns_nothing_and_leaves_nothing(grader: CodeGrader, untouched: Path, family: str) -> None:
    for source in PROBES[family]:
        check(grader, source.replace("{}", str(untouched)))


def test_there_are_all_forgeries_and_families() -> None:
    assert len(FORGERIES) == 12
    assert [int(name.split()[0]) for name in PROBES] == list(range(1, 36))


@pytest.mark.parametrize("grader", [pytest.param("wasm", marks=needs_wasm)], indirect=True)
@pytest.mark.parametrize("family", ["1 exit at import", "13 endless loop", "15 memory", "18 floods", "20 nesting"])
def test_a_hostile_program_gets_the_same_verdict_and_count_every_time(grader: CodeGrader, family: str) -> None:
    for source in PROBES[family]:
        first, second = (grader._sandbox.run(source, function="add", arguments=[1, 2]) for _ in range(2))
        assert first == second


@pytest.mark.check("R35")
def test_the_host_survives_a_reply_of_many_megabytes(grader: CodeGrader) -> None:
    source = "import json\nclass E:\n    def encode(self, o): return 'x' * 60_000_000\njson._default_encoder = E()"
    check(grader, source + ZERO)


@pytest.mark.check("R35")
def test_expected_values_never_enter_the_sandbox(grader: CodeGrader) -> None:
    """A scan of all that the guest holds, as text, does not find an expected value that no argument gives away."""
    source = (
        "import gc, sys\ndef f():\n    frame, seen = sys._getframe(), []\n    while frame:\n"
        "        seen.append(repr(frame.f_locals) + repr(frame.f_globals))\n        frame = frame.f_back\n"
        "    for thing in gc.get_objects(): seen.append(repr(thing)[:10_000] if type(thing) in (list, dict) else '')\n"
        "    return any(chr(113) * 3 + 'zz' in text for text in seen)"
    )
    gold = parse_gold('{"fn": "f", "cases": [[[], false], [[], "qqqzz"]]}')
    assert grader.grade(gold, f"```python\n{source}\n```").reward == 0.0
    assert grader.grade(parse_gold('{"fn": "f", "cases": [[[], false]]}'), f"```python\n{source}\n```").reward == 1.0


def test_a_deep_program_does_not_end_a_caller_with_a_small_stack(grader: CodeGrader) -> None:
    verdicts: list[Reason] = []

    def grade() -> None:
        verdicts.extend(grader.grade(ADD, f"```python\n{source}\n```").reason for source in PROBES["20 nesting"])

    before = threading.stack_size(256 * 1024)
    try:
        caller = threading.Thread(target=grade)
        caller.start()
        caller.join()
        assert threading.stack_size() == 256 * 1024
    finally:
        threading.stack_size(before)
    # Python before 3.14, as bubblewrap may find it, refuses to read what is nested too deeply.
    assert len(verdicts) == 4
    assert set(verdicts[:3]) <= {Reason.TIMEOUT, Reason.MALFORMED}
    assert verdicts[3] is Reason.REFUSED
