"""A small world for tests through the command line: one short run of each stage, and a way to call rlvr."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from rlvr.cli import app
from rlvr.types import Completion, Group, Problem, Rollout, StopReason

os.environ["OMP_WAIT_POLICY"] = "passive"

TASK = {"name": "modsum", "modulus": 2, "length": 8}
TRAIN = {"max_steps": 6, "learning_rate": 1e-3, "save_every": 2}
MIXTURE = {"direct": 0.5, "cot": 0.5}
SAMPLING = {"max_new_tokens": 14}
EVAL = {"every": 3, "problems": 8}


@dataclass(frozen=True)
class Answer:
    """What a call of rlvr gave back."""

    code: int
    out: str
    err: str


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--checks", default="", help="of the tests marked check, only those of these numbers: R6,R7")
    parser.addoption("--thorough", action="store_true", help="checks with 20 kills a stage and 2,000 steps of soak")


def pytest_configure() -> None:
    import torch

    torch.set_num_threads(2)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tell a report which checks a test is of (scripts/reliability.py), and leave out what was not asked for."""
    wanted = {name for name in config.getoption("checks").split(",") if name}
    for item in items:
        numbers = [number for mark in item.iter_markers("check") for number in mark.args]
        item.user_properties += [("check", number) for number in numbers]
    if wanted:
        items[:] = [item for item in items if wanted & {value for _, value in item.user_properties}]


@pytest.fixture
def thorough(request: pytest.FixtureRequest) -> bool:
    """Whether many kills and a long soak are asked for."""
    return bool(request.config.getoption("thorough"))


def call(*arguments: object) -> Answer:
    """Call rlvr in this process. An exception that is our own fault is raised."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Answer(result.exit_code, result.stdout, result.stderr)


def start(*arguments: object, cwd: Path | None = None) -> subprocess.Popen[str]:
    """Start rlvr as a process of its own."""
    command = [sys.executable, "-m", "rlvr", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=cwd)


def loaded(*arguments: object) -> set[str]:
    """The modules that a call of rlvr has loaded when it has ended well, in a process of its own."""
    code = (
        "import sys; from rlvr.cli import app; app(sys.argv[1:], standalone_mode=False);"
        "print('loaded', *sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    said, *modules = done.stderr.splitlines()[-1].split()
    assert said == "loaded"
    return set(modules)


def write_config(path: Path, tree: dict[str, Any]) -> Path:
    """Write a configuration file."""
    path.write_text(yaml.safe_dump(tree, sort_keys=False))
    return path


def read_metrics(run: Path) -> list[dict[str, float]]:
    """A run's rows without the columns that hold times."""
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in row.items() if not name.startswith("time/")} for row in rows]


def final_weights(run: Path) -> bytes:
    """The bytes of a run's newest weights."""
    latest = (run / "checkpoints" / "latest").read_text().strip()
    return (run / "checkpoints" / latest / "model.safetensors").read_bytes()


def plain_model(checkpoint: Path, folder: Path) -> Path:
    """A copy of a checkpoint as a plain model, which may be changed: nothing in it says what was saved."""
    ignored = shutil.ignore_patterns("manifest.json", "state.json")
    return Path(shutil.copytree(checkpoint, folder, ignore=ignored))


@dataclass(frozen=True)
class World:
    """Configurations of the four stages, and finished runs of them."""

    folder: Path
    configs: dict[str, Path]
    runs: dict[str, Path]


def make_configs(folder: Path) -> dict[str, Path]:
    """Small configurations of the four stages in a folder; each starts from the run of the one before."""
    trees: dict[str, dict[str, Any]] = {
        "pretrain": {
            "model": {"layers": 1, "width": 16, "heads": 2, "max_positions": 64},
            "task": TASK, "data": {"mixture": MIXTURE, "loss_on": "response"}, "train": {**TRAIN, "batch_tokens": 512},
            "rollout": SAMPLING, "eval": EVAL,
        },
        "sft": {
            "model": str(folder / "pretrain"), "task": TASK, "data": {"mixture": MIXTURE},
            "train": {**TRAIN, "batch_tokens": 512}, "rollout": SAMPLING, "eval": EVAL,
        },
        "rl": {
            "model": str(folder / "sft"), "task": TASK, "train": TRAIN, "eval": EVAL,
            "rollout": {**SAMPLING, "group_size": 4, "problems_per_step": 8}, "study": {"rollouts": 0},
        },
        "eval": {
            "model": str(folder / "rl"), "task": TASK, "rollout": SAMPLING, "eval": {"problems": 16, "samples": 4},
            "data": {"mixture": MIXTURE},
        },
    }  # fmt: skip
    return {stage: write_config(folder / f"{stage}.yaml", tree) for stage, tree in trees.items()}


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """The whole path, run once."""
    folder = tmp_path_factory.mktemp("world")
    configs = make_configs(folder)
    for stage, config in configs.items():
        answer = call(stage, config, "--run", folder / stage)
        assert answer.code == 0, answer.err
    return World(folder, configs, {stage: folder / stage for stage in configs})


@pytest.fixture
def folder(world: World, tmp_path: Path) -> Path:
    """A trained model as a plain directory, which may be changed."""
    return plain_model(world.runs["sft"] / "checkpoints" / "step_000006", tmp_path / "model")


@pytest.fixture
def config(folder: Path) -> Path:
    """A small evaluation of that model."""
    return write_config(
        folder.parent / "eval.yaml",
        {"model": str(folder), "task": {"name": "modsum", "length": 8}, "rollout": {"max_new_tokens": 14}, "eval": {"problems": 2, "samples": 1}},
    )  # fmt: skip


@pytest.fixture
def refused() -> Callable[..., str]:
    """Call rlvr with something wrong: exit 2, one line on stderr, nothing on stdout. Returns the line."""

    def check(*arguments: object) -> str:
        answer = call(*arguments)
        assert answer.code == 2, answer
        assert answer.out == ""
        lines = [line for line in answer.err.splitlines() if not line.startswith("warning: ")]
        assert len(lines) == 1, answer.err
        assert lines[0].startswith("error: ")
        return lines[0]

    return check


@pytest.fixture
def answered() -> Callable[..., Group]:
    """Make a group of rollouts of a problem, so many of them right."""

    def make(problem: Problem, right: int, size: int = 4) -> Group:
        return [
            Rollout(
                problem=problem,
                prompt=problem.question,
                completion=Completion(prompt_ids=[1], token_ids=[2], logprobs=[0.0], stop_reason=StopReason.STOP),
                text="",
                mode="direct",
                rewards={},
                reasons={},
                reward=float(number < right),
                oracle=float(number < right),
                correct=number < right,
            )
            for number in range(size)
        ]

    return make
