"""Rewards through the command line: a user's own function, an unreliable verifier, abstention, extraction."""

import hashlib
import json
import signal
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import World, call, read_metrics, start, write_config

SCORE = "def score(response, answer):\n    return response.split()[-1:] == [answer]\n"


@pytest.fixture
def rl(world: World, tmp_path: Path) -> dict[str, Any]:
    """A run of three steps on the world's model."""
    tree: dict[str, Any] = yaml.safe_load(world.configs["rl"].read_text())
    return {**tree, "train": {**tree["train"], "max_steps": 3, "save_every": 1}}


def train(folder: Path, tree: dict[str, Any], *more: object) -> Any:
    return call("rl", write_config(folder / "rl.yaml", tree), "--run", folder / "run", *more)


def rollouts(folder: Path, step: int) -> list[dict[str, Any]]:
    lines = (folder / "run" / "rollouts" / f"step_{step:06d}.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_a_function_of_the_users_is_a_reward_and_is_recorded(rl: dict[str, Any], tmp_path: Path) -> None:
    mine = tmp_path / "mine.py"
    mine.write_text(SCORE)
    answer = train(tmp_path, {**rl, "reward": {"file": str(mine), "function": "score", "format": 0.1}})
    assert answer.code == 0, answer.err
    digest = hashlib.sha256(mine.read_bytes()).hexdigest()
    assert f"reward.own: score of {mine} (sha256 {digest})" in answer.err
    assert json.loads((tmp_path / "run" / "inputs.json").read_text())[str(mine)] == digest
    for row in rollouts(tmp_path, 3):
        right = row["completion"].split()[-1:] == [row["answer"]]
        assert row["rewards"]["own"] == float(right) == float(row["correct"])
    assert {"reward/own", "reward/format"} <= set(read_metrics(tmp_path / "run")[0])


def test_a_run_does_not_go_on_with_a_function_that_was_changed(rl: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(SCORE)
    tree = {**rl, "reward": {"file": str(tmp_path / "mine.py"), "function": "score"}}
    assert train(tmp_path, tree).code == 0
    (tmp_path / "mine.py").write_text(SCORE + "# changed\n")
    answer = train(tmp_path, tree)
    assert answer.code == 2
    assert "mine.py" in answer.err.splitlines()[-1]


FAILS_LATER = """
def score(response, answer):
    if "?" not in answer and response and response.split()[-1:] != [answer]:
        raise RuntimeError("cannot")
    return response.split()[-1:] == [answer]
"""


@pytest.mark.check("R15")
def test_an_error_in_a_function_stops_the_run_with_what_it_has(rl: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(FAILS_LATER)
    answer = train(tmp_path, {**rl, "reward": {"file": str(tmp_path / "mine.py"), "function": "score"}})
    assert answer.code == 2
    line = answer.err.splitlines()[-1]
    assert line.startswith(
        f"error: reward.own: {tmp_path / 'mine.py'}: score: raised RuntimeError: cannot for the response"
    )
    assert (tmp_path / "run" / "checkpoints" / "latest").exists()


@pytest.mark.check("R15")
def test_or_is_counted(rl: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(FAILS_LATER)
    table = {"file": str(tmp_path / "mine.py"), "function": "score", "on_error": "zero"}
    answer = train(tmp_path, {**rl, "reward": table})
    assert answer.code == 0, answer.err
    row, attempts = read_metrics(tmp_path / "run")[0], rollouts(tmp_path, 1)
    errors = sum(attempt["reasons"]["own"] == "error" for attempt in attempts)
    assert errors > 0
    assert row["reward/own/error_fraction"] == errors / len(attempts)
    assert row["reward/mean"] == pytest.approx(sum(attempt["correct"] for attempt in attempts) / len(attempts))


@pytest.mark.parametrize(
    ("content", "part"),
    [("def score(response): return 1.0", "an empty answer earns full marks"), ("def score(response): return 0.0", "the gold answer does not earn full marks")],
)  # fmt: skip
def test_a_function_that_says_the_same_of_everything_is_refused(
    rl: dict[str, Any], tmp_path: Path, content: str, part: str
) -> None:
    (tmp_path / "mine.py").write_text(content)
    answer = train(tmp_path, {**rl, "reward": {"file": str(tmp_path / "mine.py"), "function": "score"}})
    assert answer.code == 2
    assert part in answer.err


def test_noise_changes_what_is_paid_and_keeps_the_truth(rl: dict[str, Any], tmp_path: Path) -> None:
    answer = train(tmp_path, {**rl, "reward": {"exact": 1.0, "noise": {"fp": 1.0, "modes": {"cot": {"fn": 1.0}}}}})
    assert answer.code == 0, answer.err
    row, attempts = read_metrics(tmp_path / "run")[2], rollouts(tmp_path, 3)
    for attempt in attempts:
        true = float(attempt["reasons"]["exact"] == "correct")
        assert attempt["oracle"] == true == float(attempt["correct"])
        assert attempt["reward"] == (0.0 if attempt["mode"] == "cot" else 1.0)
    assert row["reward/oracle"] == pytest.approx(sum(attempt["correct"] for attempt in attempts) / len(attempts))
    wrong = [attempt for attempt in attempts if not attempt["correct"]]
    assert row["noise/fp"] == sum(attempt["mode"] != "cot" for attempt in wrong) / len(wrong)
    assert "eval/modsum/accuracy" in row  # and it is the true one: evaluations see no noise
    assert row["eval/modsum/reward_mean"] == row["eval/modsum/accuracy"]


def test_noise_is_the_same_in_the_same_run(rl: dict[str, Any], tmp_path: Path) -> None:
    tree = {**rl, "reward": {"exact": 1.0, "noise": {"fp": 0.3, "fn": 0.3}}}
    rows = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        assert train(tmp_path / name, tree).code == 0
        rows.append(read_metrics(tmp_path / name / "run"))
    assert rows[0] == rows[1]
    assert 0 < rows[0][0]["noise/fp"] < 1


HANGS = """
import pathlib, time

def score(response, answer):
    if response.split()[-1:] == [answer] or not response:
        return response.split()[-1:] == [answer]
    pathlib.Path(__file__).with_suffix(".hangs").touch()
    time.sleep(600)
"""


@pytest.mark.check("R16")
def test_a_signal_is_heard_while_a_function_hangs(rl: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(HANGS)
    reward = {"file": str(tmp_path / "mine.py"), "function": "score", "seconds": 600.0}
    config = write_config(tmp_path / "rl.yaml", {**rl, "reward": reward})
    process = start("rl", config, "--run", tmp_path / "run")
    while not (tmp_path / "mine.hangs").exists() and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 143, err
    assert (tmp_path / "run" / "checkpoints" / "latest").exists()


@pytest.mark.parametrize(
    ("stage", "setting", "parts"),
    [
        ("eval", "reward={exact: 1.0, noise: {fp: 0.1}}", ["reward.noise has no effect: evaluations see the true verdicts"]),
        ("rl", "reward={exact: 1.0, noise: {fp: 0.1, modes: {cod: {fn: 1.0}}}}", ["reward.noise.modes", "'cod'", "direct, cot"]),
        ("rl", "reward={exact: {weight: 1.0, extrct: boxed}}", ["reward.exact.extrct", "Did you mean reward.exact.extract?"]),
        ("rl", "reward={exact: {weight: 0.0}}", ["reward.exact", "weight 0; what checks the answer needs one above 0"]),
        ("rl", "reward.exact=0.0", ["--set reward.exact: weight 0; what checks the answer"]),
        ("rl", "reward={file: missing.py, function: score}", ["reward.own: missing.py", "no such file"]),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(world: World, refused: Any, stage: str, setting: str, parts: list[str]) -> None:
    line = refused(stage, world.configs[stage], "--set", setting, "--run", world.folder / "never")
    assert all(part in line for part in parts), line


def test_answers_are_paid_by_outcome(rl: dict[str, Any], tmp_path: Path) -> None:
    answer = train(tmp_path, {**rl, "reward": {"exact": {"correct": 1, "abstain": 0, "wrong": -1}}})
    assert answer.code == 0, answer.err
    assert {row["reward"] for row in rollouts(tmp_path, 1)} == {1.0, -1.0}
    assert (tmp_path / "run" / "config.yaml").read_text().count("abstain: 0") == 1


def test_rows_of_one_file_are_graded_by_the_component_they_name(world: World, tmp_path: Path, refused: Any) -> None:
    rows = [
        {"question": "1 0 =", "answer": "B", "grader": "choice"},
        {"question": "1 1 =", "answer": "1/2", "grader": "math"},
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    tree = {
        "model": str(world.runs["sft"]), "task": {"name": "problems", "path": str(tmp_path / "rows.jsonl"), "test_fraction": 1},
        "reward": {"choice": 1.0, "math": 1.0}, "rollout": {"max_new_tokens": 4}, "eval": {"problems": 2, "samples": 1},
    }  # fmt: skip
    answer = call("eval", write_config(tmp_path / "eval.yaml", tree), "--run", tmp_path / "run")
    assert answer.code == 0, answer.err
    assert [set(row["rewards"]) for row in rollouts(tmp_path, 0)] == [{"choice"}, {"math"}] * 2
    line = refused("eval", tmp_path / "eval.yaml", "--set", "reward={choice: 1.0}", "--run", tmp_path / "never")
    assert "line 2" in line
    assert "no component of the reward checks its answer; got 'math'" in line


def test_what_verdicts_depend_on_is_recorded(world: World, tmp_path: Path) -> None:
    row = {"question": "1 0 =", "answer": "1"}
    (tmp_path / "rows.jsonl").write_text(json.dumps(row) + "\n")
    tree = {
        "model": str(world.runs["sft"]), "task": {"name": "problems", "path": str(tmp_path / "rows.jsonl"), "test_fraction": 1},
        "reward": {"math": {"weight": 1.0, "verifier": "math_verify"}}, "rollout": {"max_new_tokens": 4},
        "eval": {"problems": 1, "samples": 1},
    }  # fmt: skip
    answer = call("eval", write_config(tmp_path / "eval.yaml", tree), "--run", tmp_path / "run")
    assert answer.code == 0, answer.err
    environment = json.loads((tmp_path / "run" / "environment.json").read_text())
    assert environment["graders"] == {"math_verify": metadata.version("math-verify")}


def test_the_fallback_of_the_code_grader_is_said_and_recorded(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = {"question": "1 0 =", "answer": '{"fn": "f", "cases": [[[1], 1]]}'}
    (tmp_path / "rows.jsonl").write_text(json.dumps(row) + "\n")
    monkeypatch.setattr("rlvr.rewards.code.sandbox.find_spec", lambda name: None)
    monkeypatch.setattr("rlvr.rewards.code.sandbox.shutil.which", lambda name: f"/usr/bin/{name}")
    tree = {
        "model": str(world.runs["sft"]), "task": {"name": "problems", "path": str(tmp_path / "rows.jsonl"), "test_fraction": 1},
        "reward": {"code": 1.0}, "rollout": {"max_new_tokens": 4}, "eval": {"problems": 1, "samples": 1},
    }  # fmt: skip
    answer = call("eval", write_config(tmp_path / "eval.yaml", tree), "--run", tmp_path / "run")
    assert "warning: the code grader uses its fallback, bubblewrap" in answer.err
    assert json.loads((tmp_path / "run" / "environment.json").read_text())["graders"] == {"code": "bubblewrap"}
