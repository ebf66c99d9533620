"""One program on one test, in an interpreter of this machine that bubblewrap and a seccomp filter cut off from it."""

import math
import os
import platform
import selectors
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rlvr.errors import RlvrError
from rlvr.rewards.code.outcome import Outcome, SandboxError, Status, read_reply, request_text
from rlvr.rewards.code.seccomp import AUDIT, seccomp_filter

PROGRAM = "bwrap"
FUEL_PER_SECOND = 15_000_000_000
"""Instructions that the WebAssembly sandbox executes in a second, about."""
INTERPRETER_BYTES = 64 << 20
"""The address space that the interpreter takes before the program's memory is counted; it is some 20 MiB."""
REPLY_BYTES = 8 << 20
"""More than the 1 MiB that a program may print or give back takes as JSON, at six bytes for a character."""
WALL_SECONDS = 60
WALL_PER_CPU = 30
READY = b"ready\n"
GUESTS = "/guest"
KILLED, CRASHED = 128 + signal.SIGKILL, 128 + signal.SIGSEGV
NAMESPACES = "--unshare-all --unshare-user --disable-userns --die-with-parent --new-session --cap-drop ALL --clearenv"
SETTINGS = "--remount-ro / --chdir / --setenv PYTHONHASHSEED 0 --setenv PYTHONUTF8 1"


class BubblewrapSandbox:
    """Runs programs, each in a fresh interpreter without files, network, processes or threads. For several threads.

    fuel: becomes processor seconds, rounded up, at FUEL_PER_SECOND. Seconds are not instructions: whether a program
    at the very edge of its budget passes can depend on the machine. For that, and because the interpreter is this
    machine's and the kernel's faults are within reach, WebAssembly is the default.
    memory_bytes: address space beyond the interpreter's. Objects take up to twice what they take in WebAssembly, whose
    pointers are half as long.

    A program that waits is refused, as nothing could wake it; a wall clock, too far off to meet under load, ends what
    waits nevertheless. Raises SandboxError, saying why, where bubblewrap cannot do this.
    """

    def __init__(self, *, fuel: int, memory_bytes: int) -> None:
        self.seconds = math.ceil(fuel / FUEL_PER_SECOND)
        self.wall_seconds = WALL_SECONDS + WALL_PER_CPU * self.seconds
        self.memory_bytes = memory_bytes
        program, machine = shutil.which(PROGRAM), platform.machine()
        if program is None:
            raise SandboxError("no bwrap on PATH")
        if machine not in AUDIT:
            raise SandboxError(f"no filter of system calls for {machine}")
        self._filter = seccomp_filter(machine)
        self._before = [os.path.abspath(program), *NAMESPACES.split(), *_root()]
        self._check()

    def run(self, source: str, *, function: str | None = None, arguments: object = (), stdin: str = "") -> Outcome:
        """Run a program, then call one of its functions, or with none named give it a text on standard input."""
        request = request_text(source, function, arguments, stdin).encode()
        try:
            reply, status, errors = self._exchange(request)
        except OSError as error:
            raise SandboxError(f"no new process: {error.strerror}") from error
        if not reply.startswith(READY):
            raise SandboxError((errors.splitlines() or [f"no interpreter came up, exit {status}"])[-1])
        return _outcome(reply.removeprefix(READY), status)

    def _exchange(self, request: bytes) -> tuple[bytes, int | None, str]:
        """What the sandbox sends for a request, its exit status, and what it says of its own errors."""
        # The request is a file, not a pipe: nobody waits for the other.
        with _memory_file("request", request) as given, _memory_file("errors") as errors:
            with _memory_file("filter", self._filter) as filter_:
                process = subprocess.Popen(
                    [*self._before, "--seccomp", str(filter_), *self._interpreter()],
                    stdin=given,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    pass_fds=[filter_],
                    env={},
                    cwd="/",
                )
            reply, status = _receive(process, time.monotonic() + self.wall_seconds)
            return reply, status, os.pread(errors, 500, 0).decode("utf-8", "replace")

    def _interpreter(self) -> list[str]:
        """The command in the sandbox. Not -I, which would ignore PYTHONHASHSEED; there is no environment to isolate."""
        limits = [str(self.seconds), str(self.memory_bytes + INTERPRETER_BYTES)]
        return [os.path.realpath(sys.executable), "-s", "-S", "-B", f"{GUESTS}/guest_native.py", *limits]

    def _check(self) -> None:
        """Raise SandboxError if nothing runs here, and RlvrError if a budget is too small for an empty program."""
        status = self.run("").status
        if status is not Status.RAN:
            raise RlvrError("the code grader", "an empty program does not run", got=status, remedy="raise the budgets")


def _root() -> list[str]:
    """What of this machine is there, all of it read-only: the interpreter, its libraries, and our program for it.

    The packages installed next to the library are left out, and so is every file that can be written: what a program
    under WebAssembly cannot import or keep, it cannot here. There is no /proc and no /dev.
    """
    executable = os.path.realpath(sys.executable)
    folders = ["/usr/lib", "/usr/lib64", "/lib", "/lib64", *(f"{sys.base_prefix}/{name}" for name in ("lib", "lib64"))]
    arguments, hidden = list[str](), list[str]()
    for folder in dict.fromkeys(folders):
        if os.path.islink(folder):
            arguments += ["--symlink", os.readlink(folder), folder]
        elif os.path.isdir(folder):
            arguments += ["--ro-bind", folder, folder]
            packages = (*Path(folder).glob("python3*/site-packages"), *Path(folder).glob("python3*/dist-packages"))
            hidden += (str(package) for package in packages if not package.is_symlink())
    arguments += ["--ro-bind", executable, executable]
    for guest in ("guest", "guest_native"):
        arguments += ["--ro-bind", str(Path(__file__).with_name(f"{guest}.py.txt")), f"{GUESTS}/{guest}.py"]
    for folder in hidden:
        arguments += ["--tmpfs", folder, "--remount-ro", folder]
    return [*arguments, *SETTINGS.split()]


@contextmanager
def _memory_file(name: str, content: bytes = b"") -> Iterator[int]:
    """A file in memory, open at its start."""
    descriptor = os.memfd_create(name)
    try:
        with open(descriptor, "wb", closefd=False) as file:
            file.write(content)
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield descriptor
    finally:
        os.close(descriptor)


def _receive(process: "subprocess.Popen[bytes]", deadline: float) -> tuple[bytes, int | None]:
    """What the sandbox sends, and its exit status; None if it sent too much or took too long, and was ended for it."""
    assert process.stdout is not None
    reply = bytearray()
    with process, selectors.DefaultSelector() as ready:
        ready.register(process.stdout, selectors.EVENT_READ)
        try:
            while len(reply) <= REPLY_BYTES and ready.select(max(0.0, deadline - time.monotonic())):
                piece = os.read(process.stdout.fileno(), 1 << 16)
                if not piece:
                    return bytes(reply), process.wait(max(0.0, deadline - time.monotonic()))
                reply += piece
        except subprocess.TimeoutExpired:
            pass
        finally:
            process.kill()  # and with it, as it dies with its parent, all that is in the sandbox
    return bytes(reply), None


def _outcome(reply: bytes, status: int | None) -> Outcome:
    """What the end of the sandbox means. Its exit status is the program's word too, but none of them is a success."""
    if status == 0:
        return read_reply(reply)
    if status == KILLED or (status is None and len(reply) <= REPLY_BYTES):
        return Outcome(status=Status.FUEL)
    return Outcome(status=Status.MEMORY if status == CRASHED else Status.REFUSED)
