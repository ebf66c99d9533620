"""What docs/gym.md says of every data set of reasoning-gym, tried again."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("reasoning_gym", reason="the extra gym is not installed")

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_every_data_set_is_fit_or_among_the_exceptions_of_the_page(tmp_path: Path) -> None:
    script, made = ROOT / "scripts" / "gym_datasets.py", tmp_path / "gym.md"
    subprocess.run([sys.executable, script, tmp_path / "rows.jsonl", "--page", made], check=True, cwd=ROOT)
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert len(rows) == len({row["name"] for row in rows}) > 100
    assert exceptions(made.read_text()) == exceptions((ROOT / "docs" / "gym.md").read_text())


def exceptions(page: str) -> list[str]:
    """The rows of the page's first table: data sets and why they are not fit."""
    return re.findall(r"^\| `\w+` \| \D.*\|$", page.partition("The fit ones")[0], re.MULTILINE)
