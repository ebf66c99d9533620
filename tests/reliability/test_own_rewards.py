"""A reward function of the user's that fails or hangs: what is charged, what is said, what goes on, what is left behind.

A function is never given a batch, so there is no wrong number of rewards: a list is one result that is no number.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import call, final_weights, read_metrics, start, write_config
from parrots import eval_tree, rl_tree, rollouts

# What the function does for a response; an error, as it is named, for those that are no reward.
ODD = {
    "raise": "raised KeyError: 'lost'",
    "raise markup": "raised ValueError: [/bold]\\x1b[2J",
    "exit": "ended without an answer",
    "die": "ended without an answer",
    "none": "returned None, which is no finite number",
    "text": "returned '1.0', which is no finite number",
    "list": "returned [1.0, 1.0], which is no finite number",
    "dict": "returned {'reward': 1.0}, which is no finite number",
    "complex": "returned (1+0j), which is no finite number",
    "nan": "returned nan, which is no finite number",
    "inf": "returned -inf, which is no finite number",
    "numpy nan": "returned np.float32(nan), which is no finite number",
    "numpy array": "returned array([1.]), which is no finite number",
    "large": "returned 1e+300, which is no finite number",
    "whole": "which is no finite number",
    "endless digits": "returned an object of type int, which is no finite number",
    "no words": "returned an object of type Wordless, which is no finite number",
    "deep": "raised RecursionError",
    "memory": "raised MemoryError",
}
OWN = r"""
import os, sys, time, re
import numpy

class Wordless:
    def __repr__(self):
        raise RuntimeError("no words")

def raising(error):
    raise error

def deep():
    return deep()

def hang():
    while True:
        pass

ODD = {
    "raise": lambda: {}["lost"], "raise markup": lambda: raising(ValueError("[/bold]\x1b[2J")), "exit": lambda: sys.exit(0),
    "die": lambda: os._exit(0), "none": lambda: None, "text": lambda: "1.0", "list": lambda: [1.0, 1.0], "dict": lambda: {"reward": 1.0},
    "complex": lambda: 1 + 0j, "nan": lambda: float("nan"), "inf": lambda: float("-inf"), "numpy nan": lambda: numpy.float32("nan"),
    "numpy array": lambda: numpy.array([1.0]), "large": lambda: 1e300, "whole": lambda: 10**400, "endless digits": lambda: 10**5000,
    "no words": lambda: Wordless(), "deep": deep, "memory": lambda: raising(MemoryError()),
    "hang": hang, "sleep": lambda: time.sleep(10**6), "backtrack": lambda: re.match("(a+)+$", "a" * 60 + "b"),
    "numpy number": lambda: numpy.float32(0.5), "numpy whole": lambda: numpy.int64(1), "true": lambda: True,
}

def score(response, answer):
    return ODD[response]() if response in ODD else float(response == answer)
"""
HANGS = ["hang", "sleep", "backtrack"]


@pytest.fixture
def own(tmp_path: Path) -> dict[str, Any]:
    """A reward of this function alone."""
    (tmp_path / "mine.py").write_text(OWN)
    return {"file": str(tmp_path / "mine.py"), "function": "score", "seconds": 2.0}


def between(odd: list[str]) -> tuple[list[str], list[str]]:
    """Odd responses with a right and a wrong one after each, and the gold answer of each."""
    said = [text for each in odd for text in (each, "right", "wrong")]
    return said, ["right"] * len(said)


def children() -> set[int]:
    """The living processes that this one started."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if int(parent) == os.getpid() and state != "Z":
            found.add(int(folder.name))
    return found


@pytest.mark.check("R15")
def test_what_is_no_reward_is_charged_to_its_own_sample_and_counted(
    own: dict[str, Any], tmp_path: Path, record_property: Any
) -> None:
    said, golds = between(list(ODD))
    tree = eval_tree(tmp_path, said, golds, {**own, "on_error": "zero"})
    answer = call("eval", write_config(tmp_path / "eval.yaml", tree), "--run", tmp_path / "run", "--json")
    assert answer.code == 0, answer.err
    rows = rollouts(tmp_path / "run", 0)
    assert [row["completion"] for row in rows] == said * 2
    wanted = {**dict.fromkeys(ODD, (0.0, "error")), "right": (1.0, "correct"), "wrong": (0.0, "wrong")}
    assert [(row["rewards"]["own"], row["reasons"]["own"]) for row in rows] == [wanted[text] for text in said * 2]
    tree = rl_tree(tmp_path, said, golds, {**own, "on_error": "zero"})
    answer = call("rl", write_config(tmp_path / "rl.yaml", tree), "--run", tmp_path / "rl")
    assert answer.code == 0, answer.err
    [row] = read_metrics(tmp_path / "rl")
    assert row["reward/own/error_fraction"] == pytest.approx(1 / 3)
    assert row["reward/mean"] == pytest.approx(1 / 3)
    trained = rollouts(tmp_path / "rl", 1)
    assert [(row["reward"], row["reasons"]["own"]) for row in trained] == [wanted[row["completion"]] for row in trained]
    record_property("figure", f"{len(ODD)} odd results, {2 * len(said) + len(trained)} rewards, none shifted")


@pytest.mark.check("R15")
@pytest.mark.parametrize("odd", ["raise markup", "exit", "list", "endless digits"])
def test_or_stops_the_run_naming_function_and_sample(own: dict[str, Any], tmp_path: Path, odd: str) -> None:
    tree = eval_tree(tmp_path, *between([odd]), own)
    answer = call("eval", write_config(tmp_path / "eval.yaml", tree), "--run", tmp_path / "run")
    assert answer.code == 2
    line = answer.err.splitlines()[-1]
    assert line.startswith(f"error: reward.own: {own['file']}: score: ")
    assert ODD[odd] in line
    assert f"for the response {odd!r} to 'p0', line 1" in line
    assert "reward.own.on_error: zero" in line


@pytest.mark.check("R15")
def test_numbers_of_numpy_and_truths_are_rewards(own: dict[str, Any], tmp_path: Path) -> None:
    paid = {"numpy number": 0.5, "numpy whole": 1.0, "true": 1.0}
    tree = eval_tree(tmp_path, list(paid), ["right"] * 3, own)
    answer = call("eval", write_config(tmp_path / "eval.yaml", tree), "--run", tmp_path / "run")
    assert answer.code == 0, answer.err
    assert {row["completion"]: row["reward"] for row in rollouts(tmp_path / "run", 0)} == paid


OUTAGE = """
import pathlib

def score(response, answer):
    if response == "away" and pathlib.Path(__file__).with_suffix(".away").exists():
        raise ConnectionError("away")
    return float(response == answer)
"""


@pytest.mark.check("R15")
def test_a_run_that_was_stopped_goes_on_once_its_function_works(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(OUTAGE)
    reward = {"file": str(tmp_path / "mine.py"), "function": "score"}
    tree = rl_tree(tmp_path, ["right", "also", "away", "wrong"], ["right", "also", "right", "right"], reward)
    tree["rollout"]["problems_per_step"] = 1
    tree["train"]["max_steps"] = 4
    config = write_config(tmp_path / "rl.yaml", tree)
    assert call("rl", config, "--run", tmp_path / "whole").code == 0
    (tmp_path / "mine.away").touch()
    answer = call("rl", config, "--run", tmp_path / "run")
    assert answer.code == 2
    assert "raised ConnectionError: away" in answer.err.splitlines()[-1]
    (tmp_path / "mine.away").unlink()
    answer = call("rl", config, "--run", tmp_path / "run")
    assert answer.code == 0, answer.err
    assert read_metrics(tmp_path / "run") == read_metrics(tmp_path / "whole")
    assert final_weights(tmp_path / "run") == final_weights(tmp_path / "whole")


@pytest.mark.check("R16")
def test_a_function_that_hangs_stops_the_run_after_its_time(own: dict[str, Any], tmp_path: Path) -> None:
    tree = eval_tree(tmp_path, *between(["backtrack"]), {**own, "seconds": 0.5})
    before = children()
    begin = time.monotonic()
    answer = call("eval", write_config(tmp_path / "eval.yaml", tree), "--run", tmp_path / "run")
    assert time.monotonic() - begin < 30
    assert answer.code == 2
    line = answer.err.splitlines()[-1]
    assert "score: took too long (reward.own.seconds: 0.5) for the response 'backtrack' to 'p0', line 1" in line
    assert children() <= before


@pytest.mark.check("R16")
def test_or_is_counted_and_the_run_goes_on(own: dict[str, Any], tmp_path: Path, record_property: Any) -> None:
    said, golds = between(HANGS)
    tree = eval_tree(tmp_path, said, golds, {**own, "seconds": 0.5, "on_error": "zero"})
    before = children()
    begin = time.monotonic()
    answer = call("eval", write_config(tmp_path / "eval.yaml", tree), "--run", tmp_path / "run")
    took = time.monotonic() - begin
    assert took < 60
    assert answer.code == 0, answer.err
    wanted = {**dict.fromkeys(HANGS, (0.0, "timeout")), "right": (1.0, "correct"), "wrong": (0.0, "wrong")}
    rows = rollouts(tmp_path / "run", 0)
    assert [(row["reward"], row["reasons"]["own"]) for row in rows] == [wanted[text] for text in said * 2]
    assert children() <= before
    record_property("figure", f"{2 * len(HANGS)} calls that hang, limit 0.5 s each: {took:.1f} s, no process left")


@pytest.mark.check("R16")
def test_a_pattern_of_the_users_that_backtracks_is_bounded_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rlvr.rewards.scorer.FOREIGN_SECONDS", 0.5)
    said = ["a" * 60 + "b", "aab", "c"]
    tree = eval_tree(tmp_path, said, ["(a+)+b?$x|aab"] * 3, {"regex": 1.0})
    before = children()
    answer = call("eval", write_config(tmp_path / "eval.yaml", tree), "--run", tmp_path / "run")
    assert answer.code == 0, answer.err
    assert [row["reasons"]["regex"] for row in rollouts(tmp_path / "run", 0)] == ["timeout", "correct", "wrong"] * 2
    assert children() <= before


SLOW_IMPORT = "import time\ntime.sleep(10**6)\n\ndef score(response):\n    return 0.0\n"


@pytest.mark.check("R16")
def test_a_file_that_hangs_while_it_is_imported_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: Any
) -> None:
    monkeypatch.setattr("rlvr.rewards.processes.START_SECONDS", 1.0)
    (tmp_path / "mine.py").write_text(SLOW_IMPORT)
    reward = {"file": str(tmp_path / "mine.py"), "function": "score"}
    before = children()
    config = write_config(tmp_path / "eval.yaml", eval_tree(tmp_path, ["a"], ["a"], reward))
    line = refused("eval", config, "--run", tmp_path / "run")
    assert "a scoring process took too long while it started" in line
    assert children() <= before


@pytest.mark.check("R16")
def test_a_hanging_function_ends_with_its_run_though_that_was_killed(own: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "import os, pathlib\ndef score(response, answer):\n    if response != 'hang':\n        return float(response == answer)\n"
        "    pathlib.Path(__file__).with_suffix('.pid').write_text(str(os.getpid()))\n    while True:\n        pass\n"
    )
    tree = eval_tree(tmp_path, *between(["hang"]), {**own, "seconds": 600.0})
    process = start("eval", write_config(tmp_path / "eval.yaml", tree), "--run", tmp_path / "run")
    file = tmp_path / "mine.pid"
    while not (file.exists() and file.read_text()) and process.poll() is None:
        time.sleep(0.02)
    process.kill()
    process.communicate()
    command = Path("/proc", file.read_text(), "cmdline")  # empty once it has ended, whoever is to collect it
    begin = time.monotonic()
    while command.exists() and command.read_bytes() and time.monotonic() - begin < 60:
        time.sleep(0.02)
    assert not command.exists() or not command.read_bytes()
