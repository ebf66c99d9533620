"""Run directories whose files are damaged or attack: read by every command that reads one, never with a traceback."""

import json
import shutil
from pathlib import Path

import pytest
from conftest import World, call

from rlvr.audit import record
from rlvr.errors import RlvrError
from rlvr.runtime.files import reading
from rlvr.runtime.manifest import damage

CONTENTS = {
    "bad UTF-8": b'{"step": 1}\n\xff\xfe\n',
    "deep": b"[" * 200_000,
    "a list": b"[1]\n",
    "null": b"null\n",
    "text": b'"x"\n',
    "half a line": b'{"step": ',
    "a large number": b'{"step": ' + b"9" * 5000 + b"}\n",
    "nested wrongly": b'{"step": {"a": []}, "sentence": 7, "rewards": null}\n',
    "empty": b"",
    "NUL": b"\0" * 100,
}
FILES = ["metrics.jsonl", "explanations.jsonl", "rollouts/step_000006.jsonl", "inputs.json", "environment.json"]


@pytest.mark.check("R30")
@pytest.mark.parametrize("content", CONTENTS)
@pytest.mark.parametrize("file", FILES)
def test_a_damaged_file_of_a_run_is_never_a_traceback(file: str, content: str, world: World, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(world.runs["rl"], run)
    (run / file).write_bytes(CONTENTS[content])
    longer = ["--set", "train.max_steps=6"]
    offline = [
        "--set",
        "algo.preset=null",
        "--set",
        f"algo.offline={run}",
        "--set",
        "train.max_steps=1",
        "--set",
        "eval=null",
    ]
    for command in (
        ["inspect", run],
        ["audit", "--rescore", run],
        ["rl", world.configs["rl"], "--run", run, *longer],
        ["rl", world.configs["rl"], "--run", tmp_path / "offline", *offline]
        if "rollouts" in file
        else ["inspect", run],
    ):
        answer = call(*command)
        assert answer.code in (0, 2), answer
        assert "Traceback" not in answer.err


@pytest.mark.check("R30")
@pytest.mark.parametrize("content", CONTENTS)
def test_a_damaged_result_of_an_evaluation_is_never_a_traceback(content: str, world: World, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(world.runs["eval"], run)
    (run / "eval.json").write_bytes(CONTENTS[content])
    answer = call("eval", world.configs["eval"], "--run", run, "--json")
    assert answer.code in (0, 2), answer
    assert "Traceback" not in answer.err


@pytest.mark.check("R30")
def test_a_file_beside_the_rollouts_is_left_alone(world: World, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(world.runs["rl"], run)
    (run / "rollouts" / "step_old.jsonl").write_text("x")
    assert call("inspect", run).code == 0


@pytest.mark.check("R30")
@pytest.mark.parametrize("content", [b"[" * 200_000, b"{", None])
def test_an_audit_is_recorded_whatever_stands_there(content: bytes | None, tmp_path: Path) -> None:
    """A file that cannot be read as an audit is replaced; a folder in its place is said."""
    if content is None:
        (tmp_path / "audit.json").mkdir()
        with pytest.raises(RlvrError, match=r"audit\.json: cannot be written"):
            record(tmp_path, "probes", {})
        return
    (tmp_path / "audit.json").write_bytes(content)
    record(tmp_path, "probes", {})
    assert (tmp_path / "audit.json").read_text() == '{\n  "probes": {}\n}\n'


@pytest.mark.check("R30")
@pytest.mark.parametrize("name", ["a\0b", "\ud800", "x" * 300, "../x", "/x"])
def test_a_manifest_of_impossible_names_is_damage(name: str, tmp_path: Path) -> None:
    entries = {name: {"bytes": 0, "sha256": ""}}
    (tmp_path / "manifest.json").write_text(json.dumps({"files": entries}, indent=2) + "\n")
    reason = damage(tmp_path)
    assert reason is not None
    assert "manifest.json is damaged" in reason or "File name too long" in reason


@pytest.mark.check("R29")
def test_the_mode_of_a_rollout_does_nothing_to_a_terminal(world: World, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(world.runs["rl"], run)
    file = sorted((run / "rollouts").iterdir())[-1]
    rows = [{**json.loads(line), "mode": "\x1b]0;evil\x07\nforged"} for line in file.read_text().splitlines()]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    answer = call("inspect", run)
    assert answer.code == 0, answer.err
    assert "\x1b" not in answer.out + answer.err
    assert "evil" in answer.out + answer.err
    assert "\nforged" not in answer.out + answer.err


@pytest.mark.check("R25")
def test_an_input_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(RlvrError, match="cannot be read: Is a directory"), reading(tmp_path):
        tmp_path.open("rb")
