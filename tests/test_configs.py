"""Every configuration that is shipped."""

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import call

ROOT = Path(__file__).parent.parent
CONFIGS = sorted((ROOT / "configs").rglob("*.yaml"))


@pytest.mark.parametrize("config", CONFIGS, ids=lambda file: str(file.relative_to(ROOT)))
def test_it_is_valid(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    answer = call("check", config)
    assert answer.code == 0, answer.err


@pytest.mark.parametrize("config", CONFIGS, ids=lambda file: str(file.relative_to(ROOT)))
def test_its_header_says_what_it_is_for_and_what_to_expect(config: Path) -> None:
    header = [line for line in config.read_text().splitlines() if line.startswith("#")]
    text = "\n".join(header)
    assert len(header) >= 3
    assert "rlvr " in text or "scripts/" in text
    assert "Two cores: about" in text
    assert "Expect" in text


def test_the_page_of_all_keys_is_up_to_date(tmp_path: Path) -> None:
    subprocess.run([sys.executable, ROOT / "scripts" / "write_configuration.py", tmp_path / "page.md"], check=True)
    assert (tmp_path / "page.md").read_text() == (ROOT / "docs" / "configuration.md").read_text()
