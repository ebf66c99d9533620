"""What a run was made from, and how to make it again."""

from __future__ import annotations

import json
import shlex
from typing import Any

from rlvr.config_file import read_bytes
from rlvr.report.blocks import Block, Cell, Listing, Prose, Section, Table
from rlvr.report.runs import Run
from rlvr.runtime.run_dir import INPUTS

OF_ITS_OWN = ("command", "versions", "graders")


def origin(run: Run) -> Section:
    """Command, configuration, inputs and environment; what is not there is left out, as the notes say."""
    environment, inputs = run.object("environment.json"), run.object(INPUTS)
    blocks: list[Block] = []
    command = environment.get("command")
    if isinstance(command, list) and command and all(isinstance(word, str) for word in command):
        blocks.append(Listing(title="Command that began it", text=shlex.join(command)))
    if run.config:
        written = str(read_bytes(run.path / "config.yaml"), "utf-8")
        again = f"rlvr {run.stage} config.yaml --run runs/again"
        text = f"The configuration below is complete: saved as config.yaml, {again} makes the run again, from the same inputs to the same bits where versions, device and threads are the same."
        blocks += [Prose(text=text), Listing(title="Configuration", text=written)]
    if inputs:
        hashes: list[list[Cell]] = [[name, _said(value)] for name, value in inputs.items()]
        blocks.append(Table(columns=["file", "SHA-256"], rows=hashes, caption="What it learnt or started from."))
    if facts := _facts(environment):
        blocks.append(Table(columns=["what", "value"], rows=facts, caption="Environment."))
    return Section(name="origin", title="How to make it again", blocks=blocks)


def _facts(environment: dict[str, Any]) -> list[list[Cell]]:
    """Single facts first, then versions."""
    rows: list[list[Cell]] = [[name, _said(value)] for name, value in environment.items() if name not in OF_ITS_OWN]
    for name in OF_ITS_OWN[1:]:
        listed = environment.get(name)
        if isinstance(listed, dict):
            rows += [[f"{name}: {key}", _said(value)] for key, value in listed.items()]
    return rows


def _said(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
