"""The verifiers on fixed lists: the same verdicts everywhere, and neither effects nor costs from hostile answers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from conftest import call, write_config
from parrots import eval_tree, rollouts

from rlvr.config import RewardConfig
from rlvr.rewards import Attempt, Scorer, grade
from tests.rewards import maths_pairs as pairs

ROWS = [
    (gold, rf"It is \boxed{{{answer}}}.")
    for rows in (
        pairs.EQUAL_NUMBERS, pairs.EQUAL_EXPRESSIONS, pairs.EQUAL_STRUCTURES, pairs.EQUAL_WORDS_AND_UNITS, pairs.EQUAL_IN_UNICODE,
        pairs.OTHER_NUMBERS, pairs.OTHER_EXPRESSIONS, pairs.OTHER_STRUCTURES, pairs.OTHER_WORDS_AND_UNITS, pairs.OTHER_IN_UNICODE,
        pairs.HEDGES, pairs.NOT_WORKED_OUT,
    )
    for gold, answer in rows
]  # fmt: skip
"""Gold answers and responses."""

COSTLY = [
    "9^{9^{9^9}}", "9**9**9**9", "9^9^9^9", "10^{10^{10}}", "10^{-10^{10}}", "2^{2^{2^{2^{2^2}}}}", "(-1)^{10^{99}}", "1e999999999",
    "1000000!", "((9!)!)!", "9!!!!", r"\binom{10^9}{10^8}", r"\cos(10^{10^{10}})", r"\sqrt[10^9]{2}", r"\log_{1+10^{-99}}(2)",
    "(x+1)^{10^{99}}", "(x+1)^{99999}", "(x+y+z)^{500}", "(" * 2000 + "5" + ")" * 2000, "{" * 2000 + "5" + "}" * 2000,
    "[" * 500 + "5" + "]" * 500, "(" * 60 + "5" + ")" * 60, "-" * 3000 + "6", "9" * 4000, "0." + "9" * 3000,
    "9" * 999 + "^" + "9" * 999, "+".join(["x"] * 900), "*".join(["(x+1)"] * 300), "/".join(["5"] * 900), "^".join(["x"] * 500),
    r"\frac{1}{" * 500 + "5" + "}" * 500, r"\sqrt{" * 500 + "5" + "}" * 500, r"\text{" * 500 + "5" + "}" * 500, "|" * 1000,
    "x=" * 900 + "6", r"\pm" * 500 + "5", r"\pm 1 " * 50, r"\sin " * 300 + "x", r"\left(" * 300 + "5", "1," * 1500 + "1",
    r"\{" + ",".join(map(str, range(900))) + r"\}", r"\begin{pmatrix}" + r"1&2\\" * 400 + r"\end{pmatrix}", r"\cup(1,2)" * 300,
    r"\def\a{\a\a}\a", "\\newcommand{\\b}{\\b\\b}\\b" + "\\b" * 500,
]  # fmt: skip
"""Answers that would cost a careless verifier minutes or gigabytes."""

GOLDS = ["5", "x+1", r"\sqrt{2}"]


def verdicts_here(rows: list[tuple[str, str]]) -> list[str]:
    return [_said(grade("math", gold, response)) for gold, response in rows]


def _said(verdict: Any) -> str:
    return f"{verdict.reward} {verdict.reason} {verdict.extracted!r}"


def verdicts_elsewhere(rows: list[tuple[str, str]]) -> list[str]:
    """Those of scoring processes."""
    with Scorer(RewardConfig.model_validate({"math": 1.0})) as scorer:
        attempts = [Attempt(gold=gold, response=text, answer=text, length=1) for gold, text in rows]
        return [_said(verdicts["math"]) for verdicts in scorer.verdicts(attempts)]


@contextmanager
def busy(count: int) -> Iterator[None]:
    """Processes that compute all the time."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for other in others:
            other.send_signal(signal.SIGKILL)
            other.wait()


@pytest.mark.check("R32")
def test_verdicts_are_the_same_in_threads_and_processes(record_property: Any) -> None:
    once = verdicts_here(ROWS)
    with ThreadPoolExecutor(8) as threads:
        parts = [ROWS[start::8] for start in range(8)]
        assert list(threads.map(verdicts_here, parts)) == [once[start::8] for start in range(8)]
    assert verdicts_elsewhere(ROWS) == once
    record_property("figure", f"{len(ROWS)} pairs, 0 differences")


@pytest.mark.slow
@pytest.mark.check("R32")
def test_verdicts_are_the_same_under_load(record_property: Any) -> None:
    rows = [*ROWS, *((gold, rf"\boxed{{{answer}}}") for gold in GOLDS for answer in COSTLY)]
    once = verdicts_here(rows)
    with busy(4):
        assert verdicts_here(rows) == once
        assert verdicts_elsewhere(rows) == once
    record_property("figure", f"{len(rows)} pairs beside 4 busy processes, 0 differences")


ATTACKS = [
    *pairs.CODE,
    "__import__('os').system('touch {}')", "open('{}','w')", "eval('open(\"{}\",\"w\")')", "exec('import os')",
    "(lambda: open('{}', 'w'))()", r"\input{{}}", r"\write18{touch {}}", r"\immediate\write18{touch {}}", r"\openout\x={}",
    "{0.__class__.__mro__}", "%(x)s", "`touch {}`", "$(touch {})", "; touch {} #", "| tee {}", "\x00", "\ud800",
]  # fmt: skip


@pytest.mark.check("R33")
def test_hostile_answers_leave_no_trace(tmp_path: Path, record_property: Any) -> None:
    """Said by a model in an evaluation, under every reward that reads mathematics."""
    marker = tmp_path / "marker"
    answers = list(dict.fromkeys(answer.replace("{}", str(marker)) for answer in ATTACKS))
    said = [text for answer in answers for text in (rf"\boxed{{{answer}}}", answer)]
    before = (os.getcwd(), dict(os.environ), sorted(Path.cwd().iterdir()))
    for number, reward in enumerate(
        ({"math": 1.0}, {"number": 1.0}, {"math": {"weight": 1.0, "verifier": "math_verify"}})
    ):
        config = write_config(tmp_path / "eval.yaml", eval_tree(tmp_path, said, ["71829"] * len(said), reward))
        answer = call("eval", config, "--run", tmp_path / f"run{number}")
        assert answer.code == 0, answer.err
        assert not [row["completion"] for row in rollouts(tmp_path / f"run{number}", 0) if row["correct"]]
    assert before == (os.getcwd(), dict(os.environ), sorted(Path.cwd().iterdir()))
    assert not list(tmp_path.rglob("marker*"))
    record_property("figure", f"{len(said)} answers, 3 rewards, no marker")


MEASURED = """
import resource, subprocess, sys
code = subprocess.run([sys.executable, "-m", "rlvr", *sys.argv[1:]], stdout=sys.stderr).returncode
print(code, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def measured(*arguments: object) -> tuple[float, float]:
    """Seconds that a command takes, and MiB of the largest of its processes."""
    begin = time.monotonic()
    command = [sys.executable, "-c", MEASURED, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110)
    took = time.monotonic() - begin
    code, kibibytes = done.stdout.split()
    assert code == "0", done.stderr
    return took, int(kibibytes) / 1024


@pytest.mark.check("R33")
def test_costly_answers_take_neither_time_nor_memory(tmp_path: Path, record_property: Any) -> None:
    """Saved rollouts graded again, once with plain answers and once with costly ones: no model is loaded beside it."""
    assert len(COSTLY) == 45
    found = {}
    for name, answers in (("plain", [str(number) for number in range(45)]), ("costly", COSTLY)):
        run = tmp_path / name / "run"
        (run / "rollouts").mkdir(parents=True)
        task = {"name": "problems", "path": str(tmp_path / name / "problems.jsonl"), "test_fraction": 0}
        (tmp_path / name / "problems.jsonl").write_text('{"question": "p0", "answer": "5"}\n')
        write_config(run / "config.yaml", {"model": "none", "task": task, "reward": {"math": 1.0}})
        rows = [_rollout(index, rf"\boxed{{{answer}}}") for index, answer in enumerate(answers)]
        (run / "rollouts" / "step_000000.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        found[name] = measured("audit", "--rescore", run, "--json")
    took, grown = found["costly"][0] - found["plain"][0], found["costly"][1] - found["plain"][1]
    assert took < 10
    assert grown < 100
    record_property("figure", f"45 rows {took:+.1f} s and {grown:+.0f} MiB beside 45 plain ones")


def _rollout(index: int, text: str) -> dict[str, Any]:
    return {
        "index": index, "question": "p0", "answer": "5", "completion": text, "correct": False, "reward": 0.0,
        "rewards": {"math": 0.0}, "token_ids": [1], "metadata": {},
    }  # fmt: skip


@pytest.mark.check("R33")
def test_costly_answers_of_a_model_are_graded_and_none_is_right(tmp_path: Path) -> None:
    said = [rf"\boxed{{{answer}}}" for answer in COSTLY]
    tree = eval_tree(tmp_path, said, ["71829"] * len(said), {"math": 1.0})
    answer = call("eval", write_config(tmp_path / "eval.yaml", tree), "--run", tmp_path / "run")
    assert answer.code == 0, answer.err
    rows = rollouts(tmp_path / "run", 0)
    assert {row["reward"] for row in rows} == {0.0}
    assert not {"timeout", "error"} & {row["reasons"]["math"] for row in rows}
