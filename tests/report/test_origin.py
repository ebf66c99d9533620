"""How to make a run again: its command, its configuration as it stands, what it learnt from, and where."""

import json
from pathlib import Path

import pytest
from conftest import call, write_config
from run_folders import rl_run

from rlvr.report.blocks import Listing, Section, Table
from rlvr.report.origin import origin
from rlvr.report.runs import open_as_it_is


def found(path: Path) -> Section:
    return origin(open_as_it_is(path))


def listings(section: Section) -> dict[str, str]:
    return {block.title: block.text for block in section.blocks if isinstance(block, Listing)}


def test_the_command_can_be_typed_again(tmp_path: Path) -> None:
    assert listings(found(rl_run(tmp_path / "rl")))["Command that began it"] == "rlvr rl 'my rl.yaml'"


def test_the_configuration_is_the_file_and_is_accepted_again(tmp_path: Path) -> None:
    tree = {"model": "owner/tiny", "task": {"name": "modsum"}, "train": {"max_steps": 2, "learning_rate": 1e-3}}
    plan = call("check", write_config(tmp_path / "c.yaml", tree))
    assert plan.code == 0, plan.err
    run = rl_run(tmp_path / "rl")
    (run / "config.yaml").write_text("# as it was\n" + (tmp_path / "c.yaml").read_text())
    text = listings(found(run))["Configuration"]
    assert text == (run / "config.yaml").read_text()
    (tmp_path / "again.yaml").write_text(text)
    assert call("check", tmp_path / "again.yaml").out == plan.out


def test_inputs_and_versions_are_tables(tmp_path: Path) -> None:
    run = rl_run(tmp_path / "rl")
    facts = {"seed": 3, "graders": {"code": {"a": 1}}, "versions": {"rlvr": "1", "torch": "2"}, "device": "cpu"}
    (run / "environment.json").write_text(json.dumps(facts))
    inputs, environment = [block for block in found(run).blocks if isinstance(block, Table)]
    assert inputs.rows == [["data.jsonl", "0123abcd"]]
    assert environment.rows == [
        ["seed", "3"], ["device", "cpu"], ["versions: rlvr", "1"], ["versions: torch", "2"], ["graders: code", '{"a": 1}'],
    ]  # fmt: skip


@pytest.mark.parametrize("command", ["rlvr", [1, 2], None, {"a": 1}, []])
def test_a_command_of_another_kind_is_left_out(command: object, tmp_path: Path) -> None:
    run = rl_run(tmp_path / "rl")
    (run / "environment.json").write_text(json.dumps({"command": command}))
    assert "Command that began it" not in listings(found(run))


def test_what_is_not_there_is_left_out(tmp_path: Path) -> None:
    run = rl_run(tmp_path / "rl")
    for name in ("environment.json", "inputs.json"):
        (run / name).unlink()
    assert [type(block).__name__ for block in found(run).blocks] == ["Prose", "Listing"]
