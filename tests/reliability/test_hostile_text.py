"""Terminal escapes, markup and odd characters: in what a model says, in problems, in run directories, in errors."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import World, call, final_weights, read_metrics, start, write_config
from parrots import eval_tree, rl_tree, rollouts

SAYINGS: list[str | bytes] = [
    "[/bold] 42",
    "[red]42[/red] [link=file:///x]y[/link]",
    ":smile: 42",
    "\x1b]0;title\x07 42",
    "\x1b[2J\x1b[H\x9b31m 42",
    "41\r42",
    "a\nerror: b\n42",
    "4\x002",
    "\u202e24\u202c \u2066x\u2069 \u200b",
    "line\u2028paragraph\u2029next\x85end",
    b"\xff\xfe\x80 42",
    b"\xe2\x82",
    "half \ud800 42",
    "{0.__class__} %s %(x)s ${HOME} `id`",
    "</think> <think> [/bold]",
    "\U0001f600\U000e0041\ufeff",
    "x" * 1_000_000,
]
NEVER = {"\x1b", "\x9b", "\x07", "\x00", "\r", "\u202e", "\u2066", "\u2028", "\x85", "\ud800"}
"""What must not reach a terminal."""


def harmless(text: str) -> bool:
    return not NEVER & set(text)


def strict(text: str) -> Any:
    """JSON as the standard has it: no NaN, no infinity."""

    def refuse(name: str) -> None:
        raise ValueError(name)

    return json.loads(text, parse_constant=refuse)


def whole_folder_is_json(run: Path) -> int:
    """Read every JSON file of a run; how many objects there were."""
    count = 0
    for file in run.rglob("*.json*"):
        text = file.read_text(encoding="utf-8")
        pieces = [line for line in text.split("\n") if line] if file.suffix == ".jsonl" else [text]
        count += len([strict(piece) for piece in pieces])
    return count


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run of rl and one of eval in which a model says all of it."""
    folder = tmp_path_factory.mktemp("said")
    golds = ["42"] * len(SAYINGS)
    rl = rl_tree(folder, SAYINGS, golds, {"number": 1.0, "format": 0.1})
    rl["train"]["max_steps"] = 2
    evaluated = eval_tree(folder, SAYINGS, golds, {"number": 1.0})
    for stage, tree in (
        ("rl", rl),
        ("eval", {**evaluated, "task": rl["task"], "eval": {**evaluated["eval"], "split": "train"}}),
    ):
        answer = call(stage, write_config(folder / f"{stage}.yaml", tree), "--run", folder / stage)
        assert answer.code == 0, answer.err
        assert harmless(answer.out + answer.err)
    return folder


@pytest.mark.check("R29")
def test_what_a_model_says_is_written_as_json_and_shown_literally(said: Path, record_property: Any) -> None:
    texts = {row["completion"] for row in rollouts(said / "rl", 1)}
    assert "\x1b]0;title\x07 42" in texts
    assert "\ufffd\ufffd\ufffd 42" in texts
    assert len(texts) == len(SAYINGS)
    objects = whole_folder_is_json(said / "rl") + whole_folder_is_json(said / "eval")
    for run in ("rl", "eval"):
        shown = call("inspect", said / run, "--count", 100)
        assert shown.code == 0, shown.err
        assert harmless(shown.out), NEVER & set(shown.out)
        for literal in (
            "[/bold] 42",
            "[red]42[/red]",
            ":smile: 42",
            r"\x1b]0;title\x07 42",
            r"41\x0d42",
            r"4\x002",
            r"\x202e24",
        ):
            assert literal in shown.out
        assert "x" * 1_000_000 in shown.out
        again = call("audit", "--rescore", said / run, "--set", "reward={math: 1.0}")
        assert again.code == 0, again.err
        assert harmless(again.out + again.err)
        strict(call("audit", "--rescore", said / run, "--json").out)
    record_property("figure", f"{len(SAYINGS)} sayings, {objects} JSON objects")


@pytest.mark.check("R29")
def test_what_was_said_does_not_block_resume(said: Path, tmp_path: Path) -> None:
    shutil.copytree(said / "rl", tmp_path / "rl")
    newest = tmp_path / "rl" / "checkpoints" / "step_000002"
    shutil.rmtree(newest)
    (newest.parent / "latest").write_text("step_000001\n")
    answer = call("rl", said / "rl.yaml", "--run", tmp_path / "rl")
    assert answer.code == 0, answer.err
    assert read_metrics(tmp_path / "rl") == read_metrics(said / "rl")
    assert final_weights(tmp_path / "rl") == final_weights(said / "rl")


@pytest.mark.check("R29")
def test_recorded_text_is_learnt_from_again(said: Path, tmp_path: Path) -> None:
    tree = yaml.safe_load((said / "rl.yaml").read_text())
    del tree["rollout"]["group_size"], tree["rollout"]["problems_per_step"]
    tree = {**tree, "algo": {"offline": str(said / "rl")}}
    answer = call("rl", write_config(tmp_path / "rl.yaml", tree), "--run", tmp_path / "run")
    assert answer.code == 0, answer.err


NASTY = "\x1b]0;owned\x07[/bold] \x00 \r \u202e:smile: 1 + 1 ="


@pytest.mark.check("R29")
def test_errors_warnings_data_and_audits_quote_a_row_literally(
    world: World, tmp_path: Path, refused: Callable[..., str]
) -> None:
    file = tmp_path / "p.jsonl"
    tree = {
        "model": str(world.runs["sft"]), "task": {"name": "problems", "path": str(file), "test_fraction": 0},
        "reward": {"number": 1.0}, "train": {"max_steps": 1, "learning_rate": 1e-3}, "rollout": {"max_new_tokens": 4},
    }  # fmt: skip
    config = write_config(tmp_path / "c.yaml", tree)
    good = json.dumps({"question": NASTY, "answer": "2", "solution": NASTY + "2", "tag": NASTY}) + "\n"
    file.write_text(good * 2)
    for arguments in (("data", config), ("audit", config), ("audit", config, "--json"), ("check", config)):
        answer = call(*arguments)
        assert answer.code == 0, answer.err
        assert harmless(answer.out + answer.err)
    assert strict(call("data", config, "--count", 1).out)["question"] == NASTY
    for row in (
        {"question": NASTY, "answer": "[/bold]\x1b[J\u202e"},
        {"question": "\ud800", "answer": "2"},
        {NASTY: 1},
    ):
        file.write_text(good + json.dumps(row) + "\n")
        for command in (("check", config), ("rl", config, "--run", tmp_path / "run"), ("audit", config)):
            assert harmless(refused(*command))


@pytest.mark.check("R29")
@pytest.mark.parametrize(
    ("file", "content", "part"),
    [
        ("metrics.jsonl", b"[1]\n", "metrics.jsonl:1: is damaged"),
        ("metrics.jsonl", b'{"step": "\\u001b[2J"}\n', "metrics.jsonl:1: is damaged"),
        ("metrics.jsonl", b'{"step": 1, "mode/[/red]/probability": "x"}\n', "metrics.jsonl:1: is damaged"),
        ("metrics.jsonl", b"\xff\n", "metrics.jsonl:1: is damaged"),
        ("metrics.jsonl", b"[" * 100_000 + b"\n", "metrics.jsonl:1: is damaged"),
        ("explanations.jsonl", b"[1]\n", "explanations.jsonl:1: is damaged"),
        ("rollouts/step_000006.jsonl", b"\xff\xfe{}\n", "step_000006.jsonl:1: is damaged"),
        ("rollouts/step_000006.jsonl", b"[" * 100_000 + b"\n", "step_000006.jsonl:1: is damaged"),
        ("rollouts/step_000006.jsonl", b'{"index": 1}\n', "question is missing or of another kind"),
        ("rollouts/step_000006.jsonl", {"index": [1]}, "index is missing or of another kind"),
        ("rollouts/step_000006.jsonl", {"reward": None}, "reward is missing or of another kind"),
        ("config.yaml", b"\x1b[2J: 1\n", "not plain YAML"),
    ],
)  # fmt: skip
def test_a_run_directory_that_somebody_wrote_is_one_line(
    world: World, tmp_path: Path, refused: Callable[..., str], file: str, content: bytes | dict[str, Any], part: str
) -> None:
    run = tmp_path / "run"
    shutil.copytree(world.runs["rl"], run, ignore=shutil.ignore_patterns("checkpoints"))
    if isinstance(content, dict):
        row = json.loads((run / file).read_text().split("\n")[0])
        content = json.dumps({**row, **content}).encode() + b"\n"
    (run / file).write_bytes(content)
    line = refused("inspect", run)
    assert part in line
    assert harmless(line)


@pytest.mark.check("R29")
def test_names_in_a_run_directory_are_shown_literally(world: World, tmp_path: Path) -> None:
    run = tmp_path / "run[" / "bold]"
    shutil.copytree(world.runs["eval"], run)
    odd = "[/red]\x1b[2J:smile:"
    row = {"step": 0, f"eval/{odd}/accuracy": 0.5, f"eval/t/{odd}/accuracy": 0.5, "eval/documents/loss": 1.0}
    (run / "metrics.jsonl").write_text(json.dumps(row) + "\n")
    told = {"step": 1, "kind": "x", "sentence": f"{odd}\ud800"}
    (run / "explanations.jsonl").write_text(json.dumps(told) + "\n")
    shown = call("inspect", run, "--count", 0)
    assert shown.code == 0, shown.err
    assert harmless(shown.out)
    assert r"\x1b[2J:smile:\xd800" in shown.out


@pytest.mark.check("R29")
def test_what_a_changed_environment_says_is_shown_literally(world: World, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(world.runs["rl"], run)
    shutil.rmtree(run / "checkpoints" / "step_000006")
    (run / "checkpoints" / "latest").write_text("step_000004\n")
    environment = json.loads((run / "environment.json").read_text())
    (run / "environment.json").write_text(json.dumps({**environment, "device": "[/bold]\x1b[2J"}))
    answer = call("rl", world.configs["rl"], "--run", run)
    assert answer.code == 0, answer.err
    assert r"[/bold]\x1b[2J -> cpu" in answer.err


@pytest.mark.slow
@pytest.mark.check("R29")
def test_half_characters_in_arguments_do_not_block_resume(world: World, tmp_path: Path) -> None:
    """A name of bytes that are no UTF-8: as the configuration's it is recorded, as the run's it is refused."""
    config = Path(f"{tmp_path}/\udcff[bold].yaml")
    shutil.copy(world.configs["rl"], config)
    for steps in (1, 1):
        process = start("rl", config, "--run", tmp_path / "run", "--set", f"train.max_steps={steps}")
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
    assert "\udcff[bold].yaml" in json.loads((tmp_path / "run" / "environment.json").read_text())["command"][2]
    assert call("inspect", tmp_path / "run").code == 0
    refusing = start("rl", world.configs["rl"], "--run", f"{tmp_path}/\udcff")
    out, err = refusing.communicate(timeout=60)
    assert (refusing.returncode, out) == (2, "")
    assert err.splitlines()[-1].startswith(f"error: {tmp_path}/\\xdcff: is no UTF-8")
