"""Exit codes and streams of every command: what is on stdout, what on stderr, and what it ends with."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import World, call, start, write_config
from parrots import eval_tree
from test_hostile_text import strict
from test_secrets import hide_packages

from rlvr.cli import app

COMMANDS = ["pretrain", "sft", "rl", "eval", "check", "audit", "report", "inspect", "study", "export", "data"]
FEW = ["--set", "eval.problems=3"]
"""So few problems are warned of."""


def rightly(world: World, command: str, folder: Path) -> list[object]:
    """A call of each command that succeeds."""
    if command in ("pretrain", "sft", "rl", "eval"):
        return [command, world.configs[command], "--run", folder / "run", *FEW]
    if command == "study":
        return [command, shutil.copytree(world.runs["rl"], folder / "run"), "--rollouts", 1, "--samples", 1]
    if command == "report":
        return [command, world.runs["rl"], "--out", folder / "report.html"]
    if command == "export":
        return [command, world.runs["rl"], "--out", folder / "model"]
    return [command, world.runs["rl"] if command == "inspect" else world.configs["rl"]]


@pytest.mark.check("R38")
def test_every_command_is_tried_here() -> None:
    assert [command.name or command.callback.__name__ for command in app.registered_commands] == COMMANDS  # type: ignore[union-attr]


@pytest.mark.check("R38")
@pytest.mark.parametrize("command", COMMANDS)
def test_success_is_0_and_a_mistake_of_the_users_2(
    world: World, tmp_path: Path, refused: Callable[..., str], command: str
) -> None:
    answer = call(*rightly(world, command, tmp_path))
    assert answer.code == 0, answer.err
    assert answer.out
    assert "error" not in answer.err
    if command in ("pretrain", "sft", "rl"):
        assert answer.out == f"{tmp_path / 'run'}\n"
        assert answer.err.startswith("warning: ")
    if command == "data":
        assert all(strict(line) for line in answer.out.splitlines())
    out = ("--out", tmp_path / "another") if command == "export" else ()
    assert "error: " in refused(command, tmp_path / "no such", *out)
    for arguments in ((), ("--no-such-option",)):
        usage = call(command, *arguments)
        assert (usage.code, usage.out) == (2, "")
        assert "Traceback" not in usage.err
    shown = call(command, "--help")
    assert (shown.code, shown.err) == (0, "")


@pytest.mark.check("R38")
def test_json_is_all_there_is_on_stdout_whatever_is_warned_of(world: World, tmp_path: Path) -> None:
    calls: dict[str, list[object]] = {
        "check": ["check", world.configs["rl"], *FEW],
        "eval": ["eval", world.configs["eval"], "--run", tmp_path / "run", *FEW],
        "finished": ["eval", world.configs["eval"], "--run", tmp_path / "run", *FEW],
        "dry run": ["eval", world.configs["eval"], "--dry-run", *FEW],
        "audit": ["audit", world.configs["rl"], "--problems", 2],
        "rescore": ["audit", "--rescore", world.runs["rl"]],
    }
    for name, arguments in calls.items():
        answer = call(*arguments, "--json")
        assert answer.code == 0, answer.err
        assert isinstance(strict(answer.out), dict)
        if name in ("eval", "finished"):
            assert "warning: " in answer.err


@pytest.mark.check("R38")
def test_what_had_to_stop_is_3(world: World, tmp_path: Path) -> None:
    """Training whose updates are not finite, and an audit past its limit."""
    answer = call("sft", world.configs["sft"], "--run", tmp_path / "run", "--set", "train.learning_rate=1e30")
    assert answer.code == 3
    assert answer.out == ""
    assert answer.err.splitlines()[-1].startswith("error: ")
    (tmp_path / "mine.py").write_text("def score(response, answer):\n    return float(answer in response)\n")
    reward = f"reward={{file: {tmp_path / 'mine.py'}, function: score}}"
    answer = call("audit", world.configs["rl"], "--set", reward, "--max-fp", 0.0, "--json")
    assert answer.code == 3
    assert strict(answer.out)["fp"] > 0
    assert answer.err.splitlines()[-1].startswith("error: fp ")


SLEEPS = """
import pathlib, time

def score(response, answer):
    pathlib.Path(__file__).with_suffix(".waits").touch()
    time.sleep(600)
"""


@pytest.mark.check("R38")
@pytest.mark.parametrize(
    ("command", "number"), [("audit", signal.SIGINT), ("check", signal.SIGINT), ("eval", signal.SIGTERM)]
)
def test_a_signal_is_128_and_its_number(world: World, tmp_path: Path, command: str, number: signal.Signals) -> None:
    """Training has tests of its own. A process that a signal ends is that number to a shell too."""
    (tmp_path / "mine.py").write_text(SLEEPS)
    tree = eval_tree(
        tmp_path, ["right"], ["right"], {"file": str(tmp_path / "mine.py"), "function": "score", "seconds": 600.0}
    )
    config = write_config(tmp_path / "eval.yaml", tree)
    process = start(command, config, *(["--run", tmp_path / "run"] if command == "eval" else []))
    while not (tmp_path / "mine.waits").exists():
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode in (128 + number, -number), err
    assert out == ""
    assert "Traceback" not in err


@pytest.mark.check("R38")
@pytest.mark.parametrize("command", ["data", "inspect", "check", "audit", "eval", "help"])
def test_a_reader_that_goes_away_leaves_no_traceback(world: World, command: str) -> None:
    """As in ``rlvr data … | head -1``; here nobody reads from the start."""
    arguments: dict[str, list[object]] = {
        "data": ["data", world.configs["rl"], "--count", 3000],
        "inspect": ["inspect", world.runs["rl"], "--count", 300],
        "check": ["check", world.configs["rl"], "--json"],
        "audit": ["audit", world.configs["rl"], "--problems", 2],
        "eval": ["eval", world.configs["eval"], "--run", world.runs["eval"], "--json"],
        "help": ["--help"],
    }
    process = start(*arguments[command])
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    err = process.stderr.read()
    process.stderr.close()
    assert process.wait(60) in (0, 1)
    assert "Traceback" not in err
    assert "Exception ignored" not in err


@pytest.mark.check("R38")
def test_without_a_stdout_or_a_stderr_a_command_does_its_work(world: World, tmp_path: Path) -> None:
    out = tmp_path / "rows.jsonl"
    command = 'exec "$0" -m rlvr data "$1" --out "$2" >&- 2>&-'
    done = subprocess.run(["/bin/sh", "-c", command, sys.executable, str(world.configs["rl"]), str(out)], check=False)
    assert done.returncode == 0
    assert len(out.read_text().splitlines()) == 5


@pytest.mark.check("R38")
def test_text_that_a_stream_cannot_encode_is_escaped(world: World, tmp_path: Path) -> None:
    """A stream of ASCII: an evaluation's missing values are dashes that it does not have."""
    row = {"step": 0, "eval/a/accuracy": 0.5, "eval/a/loss": None}
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.yaml").write_text((world.runs["eval"] / "config.yaml").read_text())
    (tmp_path / "run" / "metrics.jsonl").write_text(json.dumps(row) + "\n")
    done = subprocess.run(
        [sys.executable, "-m", "rlvr", "inspect", str(tmp_path / "run")],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "\\u2013" in done.stdout


# ------------------------------------------------------------------------------------------------ no sandbox


@pytest.mark.check("R36")
def test_without_a_sandbox_nothing_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record_property: Any
) -> None:
    """Neither the extra nor bubblewrap: every command that would grade a program is refused, and none has run it."""
    hide_packages(tmp_path / "hide", monkeypatch)
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    marker = tmp_path / "ran"
    program = f"```python\nopen({str(marker)!r}, 'w')\ndef f(x):\n    return x\n```"
    gold = json.dumps({"fn": "f", "cases": [[[1], 1]]})
    evaluated = write_config(tmp_path / "eval.yaml", eval_tree(tmp_path, [program], [gold], {"code": 1.0}))
    trained = write_config(tmp_path / "rl.yaml", trained_tree(tmp_path, program, gold))
    calls = [("check", evaluated), ("audit", evaluated), ("eval", evaluated, "--run", tmp_path / "run")]
    calls += [("rl", trained, "--run", tmp_path / "run"), ("check", trained)]
    running = [start(*arguments) for arguments in calls]
    for process in running:
        out, err = process.communicate(timeout=110)
        assert (process.returncode, out) == (2, ""), err
        assert "pip install 'rlvr[code]'" in err.splitlines()[-1]
        assert "bubblewrap" in err.splitlines()[-1]
        assert "Traceback" not in err
    assert not marker.exists()
    record_property("figure", f"{len(calls)} commands, exit 2 each")


def trained_tree(folder: Path, program: str, gold: str) -> dict[str, Any]:
    """The same problem for rl, with the program as its worked solution."""
    (folder / "solved.jsonl").write_text(json.dumps({"question": "p0", "answer": gold, "solution": program}) + "\n")
    return {
        "model": str(folder / "parrot"),
        "task": {"name": "problems", "path": str(folder / "solved.jsonl"), "test_fraction": 0},
        "reward": {"code": 1.0},
        "rollout": {"max_new_tokens": 2, "group_size": 2, "problems_per_step": 1},
        "train": {"max_steps": 1, "learning_rate": 1e-6},
    }
