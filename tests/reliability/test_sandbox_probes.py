"""Hostile programs that a model writes, in an evaluation and in training: none is paid, none leaves a trace."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from conftest import call, write_config
from parrots import eval_tree, rl_tree, rollouts

from tests.rewards.hostile_programs import FORGERIES, PROBES, RIGHT

GOLD = '{"fn": "add", "cases": [[[1, 2], 3], [[-1, 1], 0], [[10, 5], 15]]}'
needs_wasm = pytest.mark.skipif(find_spec("wasmtime") is None, reason="needs the extra rlvr[code]")
USES_ITS_BUDGET = ("13", "14", "16", "17", "18", "20", "22", "33")
"""Families that compute until they are stopped, or until their output is too long."""


def fenced(source: str) -> str:
    return f"```python\n{source}\n```"


def programs(folder: Path, families: list[str]) -> list[str]:
    """The probes of some families, and all that forge a result."""
    sources = [*FORGERIES.values(), *(source for family in families for source in PROBES[family])]
    return [fenced(source.replace("{}", str(folder))) for source in dict.fromkeys(sources)]


def surroundings(folder: Path) -> tuple[object, ...]:
    """What a program could have changed."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
    return environment, os.getcwd(), sorted(folder.rglob("*"))


def tried(folder: Path, monkeypatch: pytest.MonkeyPatch, families: list[str], normal: int) -> int:
    """Evaluate and train on a model that writes the probes, with so many normal programs after each; how many probes."""
    work = folder / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setenv("RLVR_SECRET", "secret")
    probes = programs(work, families)
    said = [text for probe in probes for text in (probe, *([fenced(RIGHT)] * normal))]
    before = surroundings(work)
    tree = eval_tree(folder, said, [GOLD] * len(said), {"code": 1.0})
    answer = call("eval", write_config(folder / "eval.yaml", tree), "--run", folder / "eval")
    assert answer.code == 0, answer.err
    check(rollouts(folder / "eval", 0), 2 * len(said))
    said = [*probes, *([fenced(RIGHT)] * len(probes))]
    tree = rl_tree(folder, said, [GOLD] * len(said), {"code": 1.0})
    answer = call("rl", write_config(folder / "rl.yaml", tree), "--run", folder / "rl")
    assert answer.code == 0, answer.err
    check(rollouts(folder / "rl", 1), 2 * len(said))
    assert surroundings(work) == before
    return len(probes)


def check(rows: list[dict[str, Any]], count: int) -> None:
    """Every normal program is paid in full, no other one at all, and no grader failed."""
    assert len(rows) == count
    for row in rows:
        right = row["completion"] == fenced(RIGHT)
        assert row["reward"] == float(right), row["completion"][:200]
        assert row["reasons"]["code"] != "error", row["completion"][:200]


@needs_wasm
@pytest.mark.check("R35")
def test_probes_earn_nothing_and_the_next_programs_are_graded_rightly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record_property: Any
) -> None:
    families = [family for family in PROBES if family.split()[0] not in (*USES_ITS_BUDGET, "15", "19", "35")]
    count = tried(tmp_path, monkeypatch, families, 2)
    record_property("figure", f"{count} quick probes, 0 paid")


@needs_wasm
@pytest.mark.slow
@pytest.mark.check("R35")
def test_probes_that_use_up_their_budget_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record_property: Any, thorough: bool
) -> None:
    families = list(PROBES) if thorough else ["15 memory", "19 disk", "22 ignored signals", "35 odd texts"]
    count = tried(tmp_path, monkeypatch, families, 10 if thorough else 2)
    record_property("figure", f"{count} probes, {10 if thorough else 2} normal programs after each, 0 paid")
