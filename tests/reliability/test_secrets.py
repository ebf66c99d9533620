"""Secrets in the environment and in addresses: nowhere in what a run writes, and out of reach of the programs it grades."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import World, call, make_configs, write_config
from parrots import eval_tree, rollouts

SECRETS = {
    name: f"s3cr3t-{number}-{name[::-1].lower()}"
    for number, name in enumerate(
        ["HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "OPENAI_API_KEY", "WANDB_API_KEY", "MY_PASSWORD", "GITHUB_TOKEN"]
    )
}
CALLS = """
import json, sys
from rlvr.cli import app
for arguments in json.loads(sys.argv[1]):
    try:
        app(arguments)
    except SystemExit as end:
        print("exit", end.code, file=sys.stderr)
"""
OWN = """
def score(response, answer):
    if response.split()[-1:] == ["</think>"]:
        raise RuntimeError("cannot")
    return float(response.split()[-1:] == [answer])
"""


def leaked(text: bytes) -> list[str]:
    """The secrets that are in a text."""
    return [name for name, value in SECRETS.items() if value.encode() in text]


@pytest.mark.slow
@pytest.mark.check("R28")
def test_secrets_of_the_environment_are_in_no_file_and_on_no_stream(tmp_path: Path, record_property: Any) -> None:
    configs = make_configs(tmp_path)
    (tmp_path / "mine.py").write_text(OWN)
    own = f"reward={{file: {tmp_path / 'mine.py'}, function: score, on_error: zero}}"
    stops = f"reward={{file: {tmp_path / 'mine.py'}, function: score}}"
    calls = [[stage, configs[stage], "--run", tmp_path / stage] for stage in ("pretrain", "sft")]
    calls += [["rl", configs["rl"], "--run", tmp_path / "rl", "--set", own]]
    calls += [["eval", configs["eval"], "--run", tmp_path / "eval", "--json"]]
    calls += [["rl", configs["rl"], "--run", tmp_path / "stopped", "--set", stops]]
    calls += [["inspect", tmp_path / "rl", tmp_path / "eval"], ["audit", "--rescore", tmp_path / "rl", "--json"]]
    calls += [["check", configs["rl"], "--json"], ["data", configs["rl"]], ["audit", configs["rl"]], ["rl", "no.yaml"]]
    names = [[str(argument) for argument in arguments] for arguments in calls]
    done = subprocess.run(
        [sys.executable, "-c", CALLS, json.dumps(names)],
        env={**os.environ, **SECRETS},
        cwd=tmp_path,
        capture_output=True,
        timeout=110,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    codes = [line.split()[1] for line in done.stderr.decode().splitlines() if line.startswith("exit ")]
    assert codes == ["0"] * 4 + ["2"] + ["0"] * 5 + ["2"], done.stderr[-2000:]
    assert leaked(done.stdout + done.stderr) == []
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert [file for file in files if leaked(file.read_bytes())] == []
    record_property("figure", f"{len(SECRETS)} secrets, {len(calls)} commands, {len(files)} files")


PEEKS = """```python
import os
def peek(secret):
    seen = repr(dict(os.environ)) + repr(getattr(os, "environb", "")) + repr(os.getenv("MY_PASSWORD"))
    for path in ("/proc/self/environ", "/proc/1/environ", "/proc/2/environ"):
        try:
            seen += open(path).read()
        except Exception:
            pass
    return [secret in seen, "MY_PASSWORD" in os.environ]
```"""


def hide_packages(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every process that is started find no package of the WebAssembly sandbox."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(
        "import sys\nsys.modules['wasmtime'] = sys.modules['componentize_py'] = None\n"
    )
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")])))


@pytest.mark.slow
@pytest.mark.check("R28")
@pytest.mark.parametrize("sandbox", ["wasm", "bubblewrap"])
def test_a_program_that_is_graded_sees_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sandbox: str) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    if sandbox == "bubblewrap":
        hide_packages(tmp_path / "hide", monkeypatch)
    gold = json.dumps({"fn": "peek", "cases": [[[value], [False, False]] for value in SECRETS.values()]})
    config = write_config(tmp_path / "eval.yaml", eval_tree(tmp_path, [PEEKS], [gold], {"code": 1.0}))
    done = subprocess.run(
        [sys.executable, "-m", "rlvr", "eval", str(config), "--run", str(tmp_path / "run")],
        capture_output=True,
        text=True,
        timeout=110,
    )
    if sandbox == "bubblewrap" and "bubblewrap, which does not work here" in done.stderr:
        pytest.skip("bubblewrap does not work here")
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "run" / "environment.json").read_text())["graders"] == {"code": sandbox}
    assert [row["reward"] for row in rollouts(tmp_path / "run", 0)] == [1.0, 1.0]


@pytest.mark.check("R28")
@pytest.mark.parametrize(
    "setting",
    [
        "model=https://user:{}@example.com/owner/name",
        "model=https://{}@example.com/owner/name",
        "task={{name: problems, path: 'https://user:{}@example.com/x.jsonl'}}",
        "reward={{file: 'https://{}@example.com/mine.py', function: f}}",
        "algo.offline=https://user:{}@example.com/run",
        "task='https://user:{}@example.com/x'",
        "https://user:{}@example.com=1",
    ],
)
def test_an_address_with_a_password_is_refused_without_it(
    world: World, tmp_path: Path, refused: Callable[..., str], setting: str
) -> None:
    secret = SECRETS["MY_PASSWORD"]
    for command in ("check", "rl"):
        where = () if command == "check" else ("--run", tmp_path / "run")
        line = refused(
            command,
            world.configs["rl"],
            "--set",
            setting.replace("{}", secret).replace("{{", "{").replace("}}", "}"),
            *where,
        )
        assert secret not in line
    assert not (tmp_path / "run").exists()


@pytest.mark.check("R28")
def test_no_key_of_a_configuration_is_meant_for_a_secret(world: World) -> None:
    """Every key that a configuration can have, by name: what would hold a token is none of them."""
    words = {"password", "secret", "credential", "api_key", "auth", "login", "hf_token", "access_token"}
    keys = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text().lower()
    assert not [word for word in words if word in keys]
    answer = call("check", world.configs["rl"], "--set", "hub_token=abc")
    assert answer.code == 2
