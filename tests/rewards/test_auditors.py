"""Two auditors of reward functions, which try to be paid for wrong answers, run against the maths verifier.

Neither needs a network: falsepass's runner is called in this environment, not through ``falsepass audit``, which has uv build one.
"""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

AUDITED = Path(__file__).with_name("audited.py")
ROOT = AUDITED.parents[2]
SECONDS = 60

NOT_OURS = {
    "eq.choice.case": "a for A: in maths two letters; the grader for choices takes it",
    "eq.text.article": "derivative for the derivative: the grader for exact texts takes it",
    "fmt.markdown_heading": "The product is **42**: nothing says that this is the answer",
}
"""What rewardlint would have us take, and we do not."""

# No two are equal and no whole number has over six digits: falsepass writes the numbers beside a gold one with six.
PROBLEMS = [
    ("What is 6 times 7?", "42"),
    ("What is 3 minus 20?", "-17"),
    ("How many seconds are there in a day?", "86,400"),
    ("How many ways are there to choose a subset of 100 things?", "2^{100}"),
    ("What is 7 factorial?", "5040"),
    ("What is 5 minus 5?", "0"),
    ("How many primes are there below 100?", "25"),
    ("How many sheets are there in 2 stacks of 1234?", "2468"),
    ("What is two thirds of one half?", r"\frac{1}{3}"),
    ("Write 0.875 as a fraction.", "7/8"),
    ("What is the slope of a line that falls 5 over a run of 6?", r"-\frac{5}{6}"),
    ("Write 66/21 in lowest terms.", "22/7"),
    ("What is the probability of two heads in two tosses?", r"\dfrac14"),
    ("Write 13/5 as a mixed number.", r"2\frac{3}{5}"),
    ("Write 3/2 as a decimal.", "1.5"),
    ("Round pi to four places.", "3.1416"),
    ("Round e to three places.", "2.718"),
    ("What is 0.1 times 0.01?", "0.001"),
    ("What is the temperature if it falls by 12.25 from 0?", "-12.25"),
    ("How many particles are there in a mole, to three digits?", r"6.02\times 10^{23}"),
    ("What share is 7 of 25, in percent?", r"28\%"),
    ("How long is the diagonal of a unit square?", r"\sqrt{2}"),
    ("Simplify the square root of 75.", r"5\sqrt{3}"),
    ("What is the golden ratio?", r"\frac{1+\sqrt{5}}{2}"),
    ("Which number has the cube 10?", r"\sqrt[3]{10}"),
    ("Add the square roots of 2 and 7.", r"\sqrt{2}+\sqrt{7}"),
    ("What is the area of a circle of radius 3?", r"9\pi"),
    ("How many radians are 150 degrees?", r"\frac{5\pi}{6}"),
    ("Solve e^x = 5.", r"\ln 5"),
    ("What does (1+1/n)^n tend to?", "e"),
    ("What does (1+3/n)^n tend to?", "e^3"),
    ("How many degrees are three quarters of a right angle?", r"67.5^\circ"),
    ("Expand (x+1)(x-2).", "x^2-x-2"),
    ("Factor x^2-9.", "(x-3)(x+3)"),
    ("Differentiate x^3+2x.", "3x^2+2"),
    ("Integrate 1/x.", r"\ln|x|+C"),
    ("Simplify (a^2-b^2)/(a+b).", "a-b"),
    ("Solve ax+b=0 for x.", r"-\frac{b}{a}"),
    ("What is the n-th odd number?", "2n-1"),
    ("Differentiate the sine of 2x.", r"2\cos(2x)"),
    ("Add 1/(1-x) and 1/(1+x).", r"\frac{2}{1-x^2}"),
    ("Where is x^2 less than 4?", "(-2,2)"),
    ("Where is the square root of x-3 defined?", r"[3,\infty)"),
    ("Where is x(x-1) greater than 0?", r"(-\infty,0)\cup(1,\infty)"),
    ("Solve 2x+1 > 10.", "x>4.5"),
    ("Which x are at least 0 and less than 9?", "[0,9)"),
    ("What is the midpoint of (0,2) and (6,8)?", "(3,5)"),
    ("Subtract (0,3,0) from (1,1,4).", "(1,-2,4)"),
    ("Which set solves x^2=49?", r"\{-7,7\}"),
    ("Solve x^2-5x+6=0.", "2, 3"),
    ("Solve x^2=11.", r"\pm\sqrt{11}"),
    ("Which line has slope 2 and meets the y-axis at 8?", "y=2x+8"),
    ("What is the identity matrix of size 2?", r"\begin{pmatrix}1&0\\0&1\end{pmatrix}"),
    ("What is (1+i)(2+i)?", "1+3i"),
    ("What are the roots of x^2+1?", r"\pm i"),
    ("How tall is a tower of 108 floors of 3 metres?", r"324\text{ m}"),
    ("What do two tickets at $6.50 cost?", r"\$13"),
    ("Is 91 odd or even?", r"\text{odd}"),
    ("Which set has no elements?", r"\emptyset"),
    ("Write 13 in base 2.", "1101_2"),
    ("In which ratio are 6 and 10?", "3:5"),
    ("Which day follows Monday?", "Tuesday"),
]


def run(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a module of this environment's Python in a folder, with the rlvr under test on its path."""
    command = [sys.executable, "-m", *map(str, arguments)]
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=SECONDS)


@pytest.mark.slow
@pytest.mark.check("R34")
def test_rewardlint_gets_no_exploit_paid(tmp_path: Path, record_property: Any) -> None:
    done = run("rewardlint.cli", "audit", f"{AUDITED}:score", "--fail-on", "exploit", "-f", "json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    audit = json.loads(done.stdout)
    assert audit["n_cases"] == 83
    assert audit["by_category"]["exploit"] == {"total": 24, "failed": 0}
    assert audit["false_positive_rate"] == 0
    assert {case["id"] for case in audit["failures"]} == set(NOT_OURS)
    exploits, cases = audit["by_category"]["exploit"], audit["n_cases"]
    record_property("figure", f"rewardlint: {exploits['failed']} of {exploits['total']} exploits paid, {cases} cases")


def falsepass(folder: Path, ask: str) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    """falsepass's audit of the maths verifier on the problems, each of which asks for the answer in one form."""
    rows = [{"prompt": f"{question} {ask}", "answer": answer} for question, answer in PROBLEMS]
    (folder / "problems.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    made = run("falsepass.cli", "init", AUDITED, "--dataset", "problems.jsonl", "--name", "audit", cwd=folder)
    assert made.returncode == 0, made.stderr
    gates = ["--fail-on", "ceiling>0", "--fail-on", "errors>0", "--fail-on", "false_fail>0.02"]
    done = run("falsepass.runner", "audits/audit", "-n", len(PROBLEMS), "--jobs", 1, *gates, cwd=folder)
    return done, json.loads((folder / "audits/audit/probe-results.json").read_text())


@pytest.mark.slow
@pytest.mark.check("R34")
@pytest.mark.parametrize(
    ("ask", "form"),
    [
        (r"Put the answer in \boxed{}.", "reasoning+boxed"),
        ("Write #### before the answer.", "reasoning+####"),
        ("Put the answer in <answer> tags.", "reasoning+<answer>"),
    ],
)
def test_falsepass_gets_nothing_paid_that_is_wrong_and_nearly_all_that_is_right(
    tmp_path: Path, record_property: Any, ask: str, form: str
) -> None:
    done, audit = falsepass(tmp_path, ask)
    assert audit["meta"]["examples"] == len(PROBLEMS)
    assert audit["meta"]["adapter"]["format"] == form
    assert Counter(row["expected"] for row in audit["results"])["zero"] > 1500
    golds = {f"row-{number}": answer for number, (_, answer) in enumerate(PROBLEMS)}
    disagreed = {(row["variant"], golds.get(row["example"])) for row in audit["results"] if not row["passed"]}
    # It would have us take E for e.
    assert disagreed == {("answer_case_swapped", "e")}
    assert done.returncode == 0, done.stderr
    right = [row for row in audit["results"] if row["expected"] != "zero"]
    paid = [row for row in audit["results"] if row["expected"] == "zero" and not row["passed"]]
    refused = [row for row in right if not row["passed"]]
    record_property(
        "figure", f"falsepass, {form}: {len(paid)} wrong paid, {len(refused)} of {len(right)} right refused"
    )
