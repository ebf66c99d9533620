"""Audits of rewards: probes from both sides, and saved rollouts graded again."""

import json
from pathlib import Path
from typing import Any

from rlvr.audit.probing import PROBLEMS, AuditResult, audit
from rlvr.audit.rescoring import NEEDED, RescoreResult, rescore
from rlvr.errors import RlvrError
from rlvr.runtime.files import write_atomically

__all__ = ["NEEDED", "PROBLEMS", "AuditResult", "RescoreResult", "audit", "record", "rescore"]


def record(run: Path, section: str, result: dict[str, Any]) -> None:
    """Write a result into a run's audit.json, beside the other section that it may have. RlvrError if it cannot be written."""
    file = run / "audit.json"
    try:
        old = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        old = None
    kept = old if isinstance(old, dict) else {}
    # Lone surrogates that a response may hold stay escapes: the file is UTF-8 for every reader.
    try:
        write_atomically(file, json.dumps({**kept, section: result}, indent=2) + "\n")
    except OSError as error:
        raise RlvrError(str(file), f"cannot be written: {error.strerror}", remedy="make the folder writable") from None
