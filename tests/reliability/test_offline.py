"""No command opens a connection: what is local is all that is needed."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import World, call, plain_model

WATCHED: list[str] | None = None
"""What was asked of the network, while a test watches."""


def watch(event: str, arguments: tuple[object, ...]) -> None:
    if WATCHED is not None and event in (
        "socket.connect",
        "socket.getaddrinfo",
        "socket.gethostbyname",
        "socket.sendto",
    ):
        WATCHED.append(f"{event} {arguments[-1]}")


sys.addaudithook(watch)


@pytest.fixture
def asked() -> Iterator[list[str]]:
    """What the code under test asks of the network."""
    global WATCHED
    WATCHED = []
    yield WATCHED
    WATCHED = None


def commands(world: World, folder: Path) -> list[list[object]]:
    """Every command, on the small world."""
    short = ["--set", "train.max_steps=2"]
    return [
        *[[stage, world.configs[stage], *short, "--set", "eval.every=1", "--run", folder / stage] for stage in ("pretrain", "sft", "rl")],
        ["eval", world.configs["eval"], "--run", folder / "eval"],
        ["eval", world.configs["eval"], "--set", "rollout.engine=hf", "--run", folder / "hf"],
        ["check", world.configs["rl"]],
        ["data", world.configs["rl"]],
        ["audit", world.configs["rl"]],
        ["audit", "--rescore", folder / "rl"],
        ["inspect", folder / "rl", folder / "eval"],
    ]  # fmt: skip


@pytest.mark.check("R31")
def test_no_command_asks_for_the_network(
    world: World, tmp_path: Path, asked: list[str], record_property: Callable[[str, object], None]
) -> None:
    for command in commands(world, tmp_path):
        answer = call(*command)
        assert answer.code == 0, answer.err
    assert asked == []
    record_property("figure", f"{len(commands(world, tmp_path))} commands, 0 calls")


@pytest.mark.check("R31")
def test_a_chat_model_asks_for_nothing_either(world: World, tmp_path: Path, asked: list[str]) -> None:
    model = tmp_path / "model"
    plain_model(world.runs["sft"] / "checkpoints" / "step_000006", model)
    (model / "chat_template.jinja").write_text("{% for m in messages %}{{ m.content }} {% endfor %}")
    answer = call("eval", world.configs["eval"], "--set", f"model={model}", "--run", tmp_path / "run")
    assert answer.code == 0, answer.err
    assert asked == []


@pytest.mark.check("R31")
@pytest.mark.slow
def test_the_system_sees_no_connection(
    world: World, tmp_path: Path, thorough: bool, record_property: Callable[[str, object], None]
) -> None:
    """Each command in a network namespace of its own without any network, its system calls watched."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    alone = ["unshare", "-rn"] if subprocess.run(["unshare", "-rn", "true"], check=False).returncode == 0 else []
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "TRANSFORMERS_"))}
    chosen = commands(world, tmp_path) if thorough else commands(world, tmp_path)[2:4]
    for number, command in enumerate(chosen):
        trace = tmp_path / f"trace{number}"
        watching = ["strace", "-f", "-qq", "-e", "trace=socket,connect,sendto,bind", "-o", str(trace)]
        program = [sys.executable, "-m", "rlvr", *map(str, command)]
        done = subprocess.run(
            [*alone, *watching, *program], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert not re.findall(r".*(?:AF_INET|connect\().*", trace.read_text())
    where = "in a namespace without network" if alone else "without a namespace of its own"
    record_property("figure", f"{len(chosen)} commands {where}, 0 connects")
