"""The sandbox's machine code: CPython and guest.py.txt as a WebAssembly component, built once and kept in a cache."""

import fcntl
import hashlib
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from wasmtime import Config, Engine, WasmtimeError
from wasmtime.component import Component

from rlvr.errors import MissingExtraError, RlvrError

GUESTS = {"guest.py": "guest.py.txt", "guest_wasm.py": "guest_wasm.py.txt"}
"""What is built in: a module's file, and ours next to this one."""
WIT = """
package rlvr:sandbox;
world sandbox { export run: func(request: string) -> string; }
"""
BUILD = "from componentize_py import script; script()"
BUILD_SECONDS = 600
STACK_BYTES = 2 << 20
"""As much as wasmtime allows: some 1500 nested calls through C, as by lru_cache; calls of Python functions need none."""
DIGEST_BYTES = 32
OLD_SECONDS = 30 * 24 * 3600


@cache
def load_component() -> tuple[Component, Engine]:
    """The component and the engine that runs it, from the cache, or built now (about ten seconds).

    Nothing in it depends on this machine's files or environment, but Python's hash seed is drawn while it is built:
    the order of a set of strings, and so the count of instructions, is the same for every run of one built component.
    """
    engine = Engine(_settings())
    file = _folder() / f"{_key()}.bin"
    component = _read(engine, file)
    if component is None:
        with _alone(file.parent):
            component = _read(engine, file)  # built by another process while this one waited
            if component is None:
                component = _build(engine)
                _write(file, bytes(component.serialize()))
                _tidy(file)
    return component, engine


def _settings() -> Config:
    config = Config()
    config.consume_fuel = True
    config.wasm_component_model = True
    config.max_wasm_stack = STACK_BYTES
    config.cranelift_nan_canonicalization = True  # else the bits of a NaN depend on the processor
    return config


def _key() -> str:
    """What the machine code depends on, as a file name."""
    try:
        versions = [version("componentize-py"), version("wasmtime")]
    except PackageNotFoundError:
        raise MissingExtraError("the code grader", "componentize-py", "code") from None
    source = hashlib.sha256(b"".join(map(_source, GUESTS.values())) + WIT.encode()).hexdigest()
    return "-".join(["sandbox", *versions, platform.system(), platform.machine(), source[:16]])


def _source(name: str) -> bytes:
    return Path(__file__).with_name(name).read_bytes()


def _folder() -> Path:
    """The cache, only ours to write: what lies there is run as machine code."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    folder = (Path(base) if os.path.isabs(base) else Path.home() / ".cache") / "rlvr" / "code-sandbox"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.stat()
    except OSError as error:
        raise RlvrError(
            str(folder), f"no cache for the code grader: {error.strerror}", remedy="set XDG_CACHE_HOME"
        ) from None
    if status.st_uid != os.geteuid() or status.st_mode & 0o077:
        raise RlvrError(
            str(folder),
            "others could change the code grader's sandbox",
            got=f"owner {status.st_uid}, mode {status.st_mode & 0o777:o}",
            remedy="delete the folder, or set XDG_CACHE_HOME",
        )
    return folder


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the cache's lock: of processes that start at once one builds, and the others wait. It ends with its holder."""
    try:
        lock = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise RlvrError(str(folder), f"cannot lock the code grader's cache: {error.strerror}") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _tidy(kept: Path) -> None:
    """Remove what nobody reads again: other versions' old sandboxes, and, while locked, what a dead builder left."""
    oldest = time.time() - OLD_SECONDS
    for file in kept.parent.iterdir():
        old = file.match("sandbox-*.bin") and file != kept and file.stat().st_mtime < oldest
        if old or file.match(".tmp-*"):
            file.unlink(missing_ok=True)


def _read(engine: Engine, file: Path) -> Component | None:
    """The cached component; None if there is none, it is damaged, or it was compiled for another processor."""
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        return None
    digest, code = content[:DIGEST_BYTES], content[DIGEST_BYTES:]
    if hashlib.sha256(code).digest() != digest:
        return None
    try:
        return Component.deserialize(engine, code)
    except WasmtimeError:
        return None


def _write(file: Path, code: bytes) -> None:
    """Aside, then renamed: who reads at the same time finds a whole file or none."""
    try:
        with tempfile.NamedTemporaryFile(dir=file.parent, prefix=".tmp-", delete=False) as aside:
            aside.write(hashlib.sha256(code).digest() + code)
            aside.flush()
            os.fsync(aside.fileno())
        os.replace(aside.name, file)
    except OSError as error:
        raise RlvrError(str(file), f"cannot keep the code grader's sandbox: {error.strerror}") from None


def _build(engine: Engine) -> Component:
    """Build the component: its imports are all stubs that stop the instance, so it can reach nothing outside."""
    with tempfile.TemporaryDirectory(prefix="rlvr-sandbox-") as folder:
        wit, source, wasm = Path(folder, "wit"), Path(folder, "source"), Path(folder, "sandbox.wasm")
        wit.mkdir()
        source.mkdir()
        (wit / "sandbox.wit").write_text(WIT)
        for module, name in GUESTS.items():
            (source / module).write_bytes(_source(name))
        what = ["-d", wit, "-w", "sandbox", "componentize", "--stub-wasi", "-p", source, "-o", wasm, "guest_wasm"]
        # No environment: nothing of it can end up in the component, and the builder finds no packages to add.
        result = subprocess.run(
            [sys.executable, "-I", "-c", BUILD, *map(str, what)],
            env={},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=BUILD_SECONDS,
            check=False,
        )
        if result.returncode != 0 or not wasm.exists():
            said = result.stderr.decode("utf-8", "replace").strip()[-500:]
            raise RlvrError("the code grader", f"its sandbox could not be built: {said}")
        component = Component(engine, wasm.read_bytes())
    if component.type.imports(engine):
        raise RlvrError("the code grader", "its sandbox has imports", remedy="use the pinned componentize-py")
    return component
