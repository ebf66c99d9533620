"""Which sandbox runs the programs: WebAssembly, or bubblewrap where that is not installed, or none at all."""

import shutil
from functools import cache
from importlib.util import find_spec
from typing import Literal

from rlvr.errors import MissingExtraError
from rlvr.rewards.code.outcome import Sandbox, SandboxError

SandboxName = Literal["wasm", "bubblewrap"]
PACKAGES = ("componentize_py", "wasmtime")


def sandbox_name() -> SandboxName:
    """The sandbox that grades code here: "wasm" with the extra, else "bubblewrap" with that program. For records.

    Raises MissingExtraError if there is neither: no program is ever run outside a sandbox.
    """
    if all(find_spec(package) for package in PACKAGES):
        return "wasm"
    if shutil.which("bwrap"):
        return "bubblewrap"
    raise _missing("the program bubblewrap")


def sandbox_warning() -> str | None:
    """What to tell the user about the sandbox before programs are run, in one line; None if it is the default one."""
    if sandbox_name() == "wasm":
        return None
    return (
        "the code grader uses its fallback, bubblewrap: budgets are processor seconds, so a verdict at the very edge "
        "can depend on the machine; for the WebAssembly sandbox: pip install 'rlvr[code]'"
    )


@cache
def load_sandbox(name: SandboxName | None, fuel: int, memory_bytes: int) -> Sandbox:
    """The sandbox of this name, or the one that sandbox_name() says. Raises RlvrError if it cannot be used here."""
    if (name or sandbox_name()) == "bubblewrap":
        from rlvr.rewards.code.bubblewrap import BubblewrapSandbox

        try:
            return BubblewrapSandbox(fuel=fuel, memory_bytes=memory_bytes)
        except SandboxError as error:
            raise _missing(f"bubblewrap, which does not work here ({error})") from error
    if not all(find_spec(package) for package in PACKAGES):
        raise MissingExtraError("the code grader", "wasmtime", "code")
    from rlvr.rewards.code.wasm import WasmSandbox

    return WasmSandbox(fuel=fuel, memory_bytes=memory_bytes)


def _missing(other: str) -> MissingExtraError:
    return MissingExtraError("the code grader", f"componentize-py with wasmtime, or else {other}", "code")
