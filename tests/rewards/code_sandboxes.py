"""The sandboxes of the code grader, as parameters of its tests: one that is absent here shows as skipped, with why."""

from importlib.util import find_spec

import pytest

from rlvr.rewards.code.bubblewrap import BubblewrapSandbox
from rlvr.rewards.code.outcome import SandboxError

HAS_WASM = find_spec("wasmtime") is not None and find_spec("componentize_py") is not None


def why_no_bubblewrap() -> str:
    """Why bubblewrap cannot be used on this machine; empty if it can."""
    try:
        BubblewrapSandbox(fuel=1, memory_bytes=64 << 20)
    except SandboxError as error:
        return f"needs bubblewrap: {error}"
    return ""


WHY_NO_BUBBLEWRAP = why_no_bubblewrap()
needs_wasm = pytest.mark.skipif(not HAS_WASM, reason="needs the extra rlvr[code]")
needs_bubblewrap = pytest.mark.skipif(bool(WHY_NO_BUBBLEWRAP), reason=WHY_NO_BUBBLEWRAP)
SANDBOXES = [pytest.param("wasm", marks=needs_wasm), pytest.param("bubblewrap", marks=needs_bubblewrap)]
