"""The bubblewrap sandbox: the filter of system calls, what is in reach, and programs that try to get out or to stay."""

import os
import platform
import resource
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from code_sandboxes import needs_bubblewrap

from rlvr.rewards.code import CodeGrader, parse_gold
from rlvr.rewards.code.bubblewrap import INTERPRETER_BYTES, BubblewrapSandbox
from rlvr.rewards.code.outcome import Status
from rlvr.rewards.code.seccomp import ALLOW, AUDIT, DENIED, ENOSYS, EPERM, ERRNO, FUTEX, KILL, NEWEST, PRLIMIT, X32
from rlvr.rewards.code.seccomp import seccomp_filter as make_filter

ADD = parse_gold('{"fn": "add", "cases": [[[1, 2], 3], [[-1, 1], 0], [[10, 5], 15]]}')
RIGHT = "```python\ndef add(a, b): return a + b\n```"
FUEL = 1
"""One second, the least there is."""
MEMORY_BYTES = 64 << 20
LIBC = "import ctypes, posix\nlibc = ctypes.CDLL(None, use_errno=True)\n"
READ_WRITE_MMAP_EXECVE = {"x86_64": (0, 1, 9, 59), "aarch64": (63, 64, 222, 221)}

# What the guest's own disguises do not cover: the system, asked directly. {} is a folder that must stay empty.
PROBES = {
    "forks": ["import posix\nwhile True: posix.fork()", LIBC + "while libc.fork() < 0: pass", "import posix\nposix.posix_spawn('/usr/bin/touch', ['touch', '{}/x'], {{}})"],
    "threads": ["import _thread\nwhile True:\n    try: _thread.start_new_thread(print, ())\n    except RuntimeError: pass"],
    "sockets": ["import _socket\n_socket.socket()", "import _socket\n_socket.socket(_socket.AF_UNIX)", "import _socket\n_socket.socketpair()", "import _socket\n_socket.getaddrinfo('example.com', 80)"],
    "files": ["import io\nio.FileIO('/etc/passwd')", "import io\nio.FileIO('{home}/secret').read()", "import posix\nposix.listdir('{home}')", "import posix\nposix.open('/proc/1/environ', 0)"],
    "secrets": [LIBC + "libc.getenv.restype = ctypes.c_char_p\nassert libc.getenv(b'RLVR_SECRET')\ndef add(a, b): return a + b"],
    "writes": ["import io\nio.FileIO('{}/x', 'w')", "import io\nio.FileIO('x', 'w')", "import posix\nposix.mkdir('/x')", "import posix\nposix.ftruncate(0, 1 << 40)"],
    "kills": ["import posix\nposix.kill(-1, 9)", "import posix\nposix.kill(1, 9)", LIBC + "libc.raise_ = libc['raise']\nlibc.raise_(9)", "import posix\nposix.abort()"],
    "namespaces": [LIBC + "assert libc.unshare(0x10000000) == 0\ndef add(a, b): return a + b"],
    "traces": [LIBC + "assert libc.ptrace(16, 1, 0, 0) == 0\ndef add(a, b): return a + b", LIBC + "assert libc.ptrace(0, 0, 0, 0) == 0\ndef add(a, b): return a + b"],
    "mounts": [LIBC + "assert libc.mount(b'none', b'/', b'tmpfs', 0, None) == 0\ndef add(a, b): return a + b"],
    "sleep": ["import signal\nsignal.pause()", "import select\nselect.select([], [], [])", "import select\nselect.poll().poll()", LIBC + "libc.sleep(10**6)", "import _thread\nlock = _thread.allocate_lock()\nlock.acquire()\nlock.acquire()", "import posix\nposix.read(posix.pipe()[0], 1)", "import posix\nposix.read(0, 1)"],
    "memory": ["x = bytearray(10**9)", "x = []\nwhile True: x.append(bytearray(10**6))", "import mmap\nmmap.mmap(-1, 10**9)"],
    "floods": ["import posix\nwhile True: posix.write(1, b'x' * 10**6)", "import posix\nwhile True: posix.write(2, b'x' * 10**6)"],
    "replies": [
        "import posix\nposix.write(1, b'{{\"status\": \"ran\", \"value\": [\"int\", \"3\"]}}')\nposix._exit(0)",
        "import posix\nposix.write(1, b'ready\\n')\nposix._exit(0)",
        "import posix\nposix.close(1)\nwhile True: pass",
        "import posix\nposix.close(1)\nposix.close(2)\ndef add(a, b): return a + b",
    ],
    "exits": [f"import posix\nposix._exit({status})" for status in (0, 1, 134, 137, 139, 255)],
    "programs": ["import posix, sys\nposix.execv(sys.executable, ['python', '-c', 'while True: pass'])", "import posix\nposix.execv('/usr/bin/touch', ['touch', '{}/x'])"],
    "crashes": ["import ctypes\nctypes.string_at(0)", "import sys\nsys.setrecursionlimit(10**9)\nclass A:\n    def __repr__(self): return repr([self])\nrepr(A())"],
}  # fmt: skip


@pytest.fixture(scope="module")
def grader() -> CodeGrader:
    return CodeGrader(fuel=FUEL, memory_bytes=MEMORY_BYTES, sandbox="bubblewrap")


def value_of(source: str) -> object:
    """What a function f gives back; plain lists and texts only."""
    outcome = BubblewrapSandbox(fuel=FUEL, memory_bytes=MEMORY_BYTES).run(source, function="f")
    assert outcome.status is Status.RAN

    def untag(value: object) -> object:
        match value:
            case ["list" | "tuple", list(items)]:
                return [untag(item) for item in items]
            case ["int", str(text)]:
                return int(text, 16)
            case [str(), content]:
                return content
        return value

    return untag(outcome.value)


# The filter, on any machine: the program is run here as the kernel would.


def judge(machine: str, number: int, *arguments: int, audit: int | None = None) -> int:
    """What the filter says of one call."""
    steps = list(struct.iter_unpack("=HBBI", make_filter(machine)))
    data = struct.pack("=iIQ6Q", number, audit or AUDIT[machine], 0, *arguments, *[0] * (6 - len(arguments)))
    loaded, at = 0, 0
    while True:
        code, jump_true, jump_false, operand = steps[at]
        at += 1
        match code:
            case 0x20:
                (loaded,) = struct.unpack_from("=I", data, operand)
            case 0x54:
                loaded &= operand
            case 0x15:
                at += jump_true if loaded == operand else jump_false
            case 0x35:
                at += jump_true if loaded >= operand else jump_false
            case 0x06:
                return operand
            case _:
                raise AssertionError(code)


@pytest.mark.parametrize("machine", AUDIT)
def test_the_filter_denies_what_is_on_its_list_and_what_is_newer(machine: str) -> None:
    column = list(AUDIT).index(machine)
    for numbers in DENIED.values():
        number = numbers[column]
        assert number is None or judge(machine, number) == ERRNO | EPERM
    for number in (NEWEST, 425, 435, 437, 500, 1000):
        assert judge(machine, number) == ERRNO | ENOSYS
    for number in READ_WRITE_MMAP_EXECVE[machine]:
        assert judge(machine, number) == ALLOW
        assert judge(machine, number, audit=0x4000_0003) == KILL
        assert judge(machine, number | X32) == KILL
    assert judge(machine, PRLIMIT[column], 0) == ALLOW
    assert judge(machine, PRLIMIT[column], 1) == ERRNO | EPERM
    for command, verdict in ((1, ALLOW), (129, ALLOW), (0, ERRNO | EPERM), (128, ERRNO | EPERM), (137, ERRNO | EPERM)):
        assert judge(machine, FUTEX[column], 0, command) == verdict


def test_the_numbers_are_distinct_and_old() -> None:
    for column in range(len(AUDIT)):
        numbers = [numbers[column] for numbers in DENIED.values() if numbers[column] is not None]
        assert len(set(numbers)) == len(numbers)
        assert max(numbers) < NEWEST


# The filter, in the sandbox.


@needs_bubblewrap
def test_the_kernel_refuses_each_denied_call() -> None:
    column = list(AUDIT).index(platform.machine())
    numbers = [numbers[column] for numbers in DENIED.values() if numbers[column] is not None]
    source = LIBC + (
        "def f():\n    said = []\n    for n in %s:\n        ctypes.set_errno(0)\n"
        "        said.append([libc.syscall(ctypes.c_long(n), *[ctypes.c_long(-1)] * 6), ctypes.get_errno()])\n    return said"
    )
    assert value_of(source % numbers) == [[-1, EPERM]] * len(numbers)
    assert value_of(source % [NEWEST, 425, 434, 435, 437, 450, 500]) == [[-1, ENOSYS]] * 7


@needs_bubblewrap
def test_a_call_by_another_convention_ends_the_program(grader: CodeGrader) -> None:
    outcome = grader._sandbox.run(LIBC + f"libc.syscall(ctypes.c_long({X32 | 39}))")
    assert outcome.status is Status.REFUSED


# What is in reach.


@needs_bubblewrap
def test_there_are_no_files_but_the_interpreters_and_none_can_be_written() -> None:
    folders = value_of("import posix\ndef f(): return posix.listdir('/')")
    assert isinstance(folders, list)
    assert set(folders) <= {"usr", "lib", "lib64", "guest", Path(sys.base_prefix).parts[1]}
    source = (
        "import errno, io, posix, sys\ndef walk(folder):\n    yield folder\n    for entry in posix.scandir(folder):\n"
        "        if entry.is_dir(follow_symlinks=False) and folder.count('/') < 4: yield from walk(entry.path)\n"
        "def f():\n    made = []\n    for folder in [*walk('/'), *%r]:\n"
        "        try: io.FileIO(folder + '/of_the_test', 'w')\n        except OSError as error:\n"
        "            if error.errno in (errno.EROFS, errno.ENOENT): continue\n        made.append(folder)\n    return made"
    )
    assert value_of(source % sys.path) == []


@needs_bubblewrap
def test_installed_packages_are_not_in_reach() -> None:
    source = (
        "import posix, sys\ndef f():\n    found = []\n    for base in %r:\n"
        "        for folder in ('/site-packages', '/dist-packages'):\n            try: found += posix.listdir(base + folder)\n"
        "            except FileNotFoundError: pass\n    return found"
    )
    assert value_of(source % sys.path) == []


@pytest.mark.check("R28")
@needs_bubblewrap
def test_there_is_no_environment_no_open_file_and_no_capability(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RLVR_SECRET", "secret")
    source = (
        "import os, posix\ndef f():\n    files = []\n    for n in range(256):\n        try: posix.fstat(n)\n"
        "        except OSError: continue\n        files.append(n)\n"
        "    return [[f'{name}={value}' for name, value in os.environ.items()], files]"
    )
    assert value_of(source) == [[], [0, 1, 2]]
    # PR_CAPBSET_READ of CAP_SYS_ADMIN, and PR_GET_NO_NEW_PRIVS.
    assert value_of(LIBC + "def f(): return [libc.prctl(23, 21, 0, 0, 0), libc.prctl(39, 0, 0, 0, 0)]") == [0, 1]


@needs_bubblewrap
def test_the_limits_are_set_and_cannot_be_raised() -> None:
    limits = {
        resource.RLIMIT_CPU: 1,
        resource.RLIMIT_AS: MEMORY_BYTES + INTERPRETER_BYTES,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NPROC: 0,
    }
    source = "import resource\ndef f(): return [list(resource.getrlimit(kind)) for kind in %s]"
    assert value_of(source % list(limits)) == [[most, most] for most in limits.values()]
    source = (
        "import resource\ndef f():\n    try: resource.setrlimit(resource.RLIMIT_CPU, (9, 9))\n"
        "    except ValueError: return 'not raised'"
    )
    assert value_of(source) == "not raised"


@needs_bubblewrap
def test_hashes_and_sets_have_the_same_order_every_time() -> None:
    source = "def f(): return [list(set('abcdefgh')), hash('a')]"
    assert value_of(source) == value_of(source)


# Hostile programs.


@pytest.fixture
def untouched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """An empty folder next to a home with a secret; afterwards nothing may have changed."""
    folder, home = tmp_path / "work", tmp_path / "home"
    folder.mkdir()
    home.mkdir()
    (home / "secret").write_text("secret")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("RLVR_SECRET", "secret")
    yield folder
    assert sorted(tmp_path.rglob("*")) == [home, home / "secret", folder]


@needs_bubblewrap
@pytest.mark.parametrize("family", PROBES)
def test_a_probe_of_the_system_earns_nothing_and_leaves_nothing(
    grader: CodeGrader, untouched: Path, family: str
) -> None:
    open_files = sorted(os.listdir("/proc/self/fd"))
    for source in PROBES[family]:
        program = source.format(untouched, home=os.environ["HOME"])
        verdict = grader.grade(ADD, f"```python\n{program}\n```")
        assert verdict.reward == 0.0, program
        assert verdict.reason not in {"correct", "error"}, program
        assert grader.grade(ADD, RIGHT).reward == 1.0
    assert sorted(os.listdir("/proc/self/fd")) == open_files


@needs_bubblewrap
def test_threads_of_the_host_get_the_same_outcomes(grader: CodeGrader) -> None:
    verdicts: list[float] = []

    def grade() -> None:
        for source in ("return a + b", "return a - b"):
            verdicts.append(grader.grade(ADD, f"```python\ndef add(a, b): {source}\n```").reward)

    threads = [threading.Thread(target=grade) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(verdicts) == [0.0] * 4 + [1.0] * 4


@needs_bubblewrap
def test_a_failure_of_ours_is_said_to_be_one(monkeypatch: pytest.MonkeyPatch) -> None:
    grader = CodeGrader(fuel=FUEL, memory_bytes=MEMORY_BYTES + 1, sandbox="bubblewrap")
    for command in (["/bin/false"], ["/no/such/program"]):
        with monkeypatch.context() as patch:
            patch.setattr(grader._sandbox, "_before", command)
            assert grader.grade(ADD, RIGHT).reason == "error"
        assert grader.grade(ADD, RIGHT).reward == 1.0


def processes_with(mark: str) -> list[str]:
    """The processes of this machine that have a word on their command line."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if mark.encode() in words:
            found.append(process.name)
    return found


def wait_until(count: int, mark: str) -> None:
    """Wait until there are so many such processes, or none where there should be some; in vain after a minute."""
    for _ in range(600):
        if bool(processes_with(mark)) == bool(count):
            return
        time.sleep(0.1)
    raise AssertionError(processes_with(mark))


@needs_bubblewrap
def test_the_wall_clock_ends_what_waits_and_nothing_stays_behind() -> None:
    memory_bytes = MEMORY_BYTES + 4096 + os.getpid()
    sandbox = BubblewrapSandbox(fuel=FUEL, memory_bytes=memory_bytes)
    sandbox.seconds, sandbox.wall_seconds = 1000, 1
    assert sandbox.run("while True: pass").status is Status.FUEL
    assert sandbox.run("import posix\nposix.close(1)\nwhile True: pass").status is Status.FUEL
    wait_until(0, str(memory_bytes + INTERPRETER_BYTES))


@needs_bubblewrap
def test_a_program_ends_with_its_host() -> None:
    memory_bytes = MEMORY_BYTES + 8192 + os.getpid()
    mark = str(memory_bytes + INTERPRETER_BYTES)
    source = (
        "from rlvr.rewards.code.bubblewrap import BubblewrapSandbox\n"
        f"sandbox = BubblewrapSandbox(fuel=1, memory_bytes={memory_bytes})\nsandbox.seconds = 1000\n"
        "print('here', flush=True)\nsandbox.run('while True: pass')"
    )
    with subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE) as host:
        assert host.stdout is not None
        assert host.stdout.readline() == b"here\n"
        wait_until(1, mark)
        host.kill()
    wait_until(0, mark)
