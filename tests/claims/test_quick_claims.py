"""Every claim in its quick form: one seed and reduced grids, in runs that they share."""

import json
from pathlib import Path

import pytest
from conftest import call

from rlvr.claims import CLAIMS
from rlvr.claims.claim import Claim

FOUNDATION = ("emergence",)
"""Claims that the others rest on, and that one seed must show."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("quick")


@pytest.mark.claims
@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_a_claim_is_judged_and_drawn(claim: Claim, folder: Path) -> None:
    answer = call("claims", "run", claim.id, "--quick", "--out", folder)
    assert answer.code == 0, answer.err
    result = json.loads((folder / f"{claim.id}.quick.json").read_text())
    assert result["stopped"] == {}
    assert [row["quantity"] for row in result["rows"] if row["values"] == [None] and row["holds"] is None] == []
    page = (folder / "report.html").read_text()
    assert f"{claim.title}: {result['verdict']} (quick)" in page
    assert f'"{claim.id}-' in page  # its charts
    if claim.id in FOUNDATION:
        assert result["verdict"] == "PASS", answer.err
