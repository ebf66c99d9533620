"""Run directories whose files are damaged or attack: read by every command that reads one, never with a traceback."""

import shutil
from pathlib import Path

import pytest
from conftest import World, call

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
