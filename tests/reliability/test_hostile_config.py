"""Configurations with mistakes and configurations that attack: one line, at once, in little memory, and nothing is run."""

import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import call

MEMORY = 200 << 20
"""Bytes that refusing a file may take, the interpreter and its imports included."""

RL = """\
model: runs/x
task: {name: modsum, length: 16}
rollout:
  group_size: 4
train:
  max_steps: 3
  learning_rate: 1e-3
"""

TYPOS = {
    "unknown key": (RL.replace("group_size", "groupsize"), ":4: rollout.groupsize: unknown key", "rollout.group_size"),
    "unknown section": (RL.replace("train:", "trian:"), ":5: trian: unknown key", "Did you mean train?"),
    "unknown key in a task": (RL.replace("length", "lenght"), ":2: task.lenght: unknown key", "task.length"),
    "unknown key three deep": (
        RL + "algo:\n  kl:\n    coeficient: 1\n",
        ":10: algo.kl.coeficient: unknown key",
        "Did you mean algo.kl.coefficient?",
    ),
    "unknown task": (RL.replace("modsum", "modsun"), ":2: task: unknown value", "Did you mean modsum?"),
    "unknown choice": (RL + "device: gpu\n", ":8: device: ", "cuda"),
    "a text for a number": (RL.replace("3", "three"), ":6: train.max_steps: ", "got 'three'"),
    "a number for a text": (RL.replace("runs/x", "7"), ":1: model: ", "got 7"),
    "a list for a section": (RL + "eval: [1, 2]\n", ":8: eval: ", "section"),
    "a section for a number": (RL + "seed: {a: 1}\n", ":8: seed: ", "got {'a': 1}"),
    "out of range": (RL.replace("1e-3", "-1"), ":7: train.learning_rate: ", "greater than 0"),
    "not a number": (RL.replace("1e-3", ".nan"), ":7: train.learning_rate: ", "finite"),
    "a key twice": (RL + "seed: 1\nseed: 2\n", ":9: seed: given twice", ":8"),
    "a key twice in a section": (
        RL.replace("  max_steps: 3\n", "  max_steps: 3\n" * 2),
        ":7: train.max_steps: given",
        "",
    ),
    "a tab": (RL.replace("  group_size", "\tgroup_size"), ":4: not plain YAML", "\\t"),
    "an open bracket": (RL.replace("16}", "16"), ":", "not plain YAML"),
    "a section without a value": (RL.replace("  group_size: 4\n", ""), ":3: rollout: must be a section", "None"),
    "a missing key": (RL.replace("  max_steps: 3\n", ""), ":5: train.max_steps: is missing", "--set train.max_steps"),
    "extends a missing file": ("extends: bse.yaml\n" + RL, "bse.yaml: no such file", "base.yaml"),
    "only a list": ("- a\n- b\n", ": must be a mapping", "['a', 'b']"),
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "base.yaml").write_text(RL)
    return tmp_path / "run.yaml"


@pytest.mark.check("R22")
@pytest.mark.parametrize("name", TYPOS)
def test_a_typo_is_one_line_with_its_place(
    name: str, file: Path, refused: Callable[..., str], record_property: Callable[[str, object], None]
) -> None:
    text, place, remedy = TYPOS[name]
    file.write_text(text)
    record_property("figure", f"{name}: exit 2")
    for stage in ("check", "rl"):
        line = refused(stage, file)
        assert place in line
        assert remedy in line


@pytest.mark.check("R22")
def test_a_missing_file_is_told_its_neighbour(file: Path, refused: Callable[..., str]) -> None:
    assert refused("rl", file.with_name("bass.yaml")).endswith("no such file; Did you mean base.yaml?")


@pytest.mark.check("R22")
def test_a_typo_is_told_at_once_and_without_torch(file: Path, record_property: Callable[[str, object], None]) -> None:
    file.write_text(TYPOS["unknown key"][0])
    code = "import sys, atexit; atexit.register(lambda: print('torch' in sys.modules)); from rlvr.cli import app; app()"
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code, "rl", str(file)], capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - started
    record_property("figure", f"{seconds:.2f} s")
    assert (done.returncode, done.stdout) == (2, "False\n")
    assert "Traceback" not in done.stderr
    assert seconds < 10


# ------------------------------------------------------------------------------------------------- attacks


def bomb(levels: int) -> str:
    """Aliases of aliases: ten of each in the next, ten to the power of ``levels`` values in the end."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, levels)]
    return "\n".join(lines) + "\n"


def merges(levels: int) -> str:
    """Merge keys of merge keys."""
    lines = ["a0: &a0 {x: 1}"]
    lines += [f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}" for n in range(1, levels)]
    return "\n".join(lines) + "\n"


def attacks(marker: Path) -> dict[str, bytes]:
    """Files that no configuration should look like. marker: what their code would make."""
    touch = f"touch {marker}"
    texts = {
        "python/object/apply": f"model: !!python/object/apply:os.system ['{touch}']\n",
        "python/object/new": f"model: !!python/object/new:subprocess.Popen [['touch', '{marker}']]\n",
        "python/name": "model: !!python/name:os.system ''\n",
        "python/module": "model: !!python/module:antigravity ''\n",
        "a tag on a key": f"!!python/object/apply:os.system ['{touch}']: 1\n",
        "a tag of its own": "model: !run {command: 'x'}\n",
        "a directive": f"%TAG ! tag:yaml.org,2002:python/object/apply:\n---\nmodel: !os.system ['{touch}']\n",
        "billion laughs": bomb(10),
        "merge keys": merges(10),
        "an alias of itself": "model: &a [*a]\n",
        "a key that is itself": "&a {*a : 1}\n",
        "flow nesting": "model: " + "[" * 10_000,
        "closed flow nesting": "model: " + "[" * 10_000 + "]" * 10_000 + "\n",
        "nested mappings": "model: " + "{a: " * 10_000 + "1" + "}" * 10_000 + "\n",
        "block nesting": "".join(" " * depth + "a:\n" for depth in range(1200)),
        "dashes": "- " * 10_000 + "1\n",
        "many keys": "".join(f"k{n}: 1\n" for n in range(9000)),
        "a long key": f"{'k' * 90_000}: 1\n",
        "a long value": f"model: {'v' * 90_000}\n",
        "a long number": f"seed: {'9' * 5000}\n",
        "NUL": "model: a\0b\n",
        "an escaped NUL": 'model: "a\\0b"\ntask: {name: modsum}\n',
        "a lone surrogate": 'model: "\\ud800"\n',
        "a key that is a list": "[a, b]: 1\n",
        "a key that is null": "null: 1\n",
        "several documents": RL + "---\n" + RL,
        "a date": "seed: 2024-99-99\n",
        "binary": "model: !!binary aGVsbG8=\n",
        "a set": "model: !!set {a, b}\n",
        "omap": "model: !!omap [a: 1]\n",
        "timestamp": "model: !!timestamp 2024-99-99\n",
        "int tag": "seed: !!int x\n",
        "float tag": "seed: !!float x\n",
        "bool tag": "seed: !!bool x\n",
        "empty": "",
        "only comments": "# nothing\n" * 1000,
        "extends itself": "extends: run.yaml\n",
        "extends a device": "extends: /dev/zero\n",
        "extends a NUL": 'extends: "a\\0b"\n',
    }
    found = {name: text.encode("utf-8", "surrogatepass") for name, text in texts.items()}
    found["bad UTF-8"] = b"model: \xff\xfe\xff\n"
    found["UTF-16"] = RL.encode("utf-16")
    found["UTF-32"] = RL.encode("utf-32")
    found["50 MB"] = b"model: " + b"x" * 50_000_000
    found["50 MB of keys"] = b"a: 1\n" * 10_000_000
    found["noise"] = bytes(range(256)) * 100
    return found


NAMES = list(attacks(Path("marker")))


def limited() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))


MEASURED = """
import atexit, re
atexit.register(lambda: print(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]))
from rlvr.cli import app
app()
"""


def measured(*arguments: object) -> tuple[int, str, float, int]:
    """rlvr as a process of its own: exit code, standard error, seconds and the most memory it had in bytes."""
    started = time.perf_counter()
    command = [sys.executable, "-c", MEASURED, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, preexec_fn=limited)
    return done.returncode, done.stderr, time.perf_counter() - started, int(done.stdout.split()[-1]) << 10


@pytest.mark.check("R23")
@pytest.mark.parametrize("name", NAMES)
def test_a_hostile_file_is_one_line_and_nothing_is_run(
    name: str, file: Path, refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(file.parent)
    marker = file.with_name("marker")
    file.write_bytes(attacks(marker)[name])
    started = time.perf_counter()
    line = refused("eval", file)
    assert time.perf_counter() - started < 10
    assert len(line) < 3000
    assert not marker.exists()


@pytest.mark.check("R23")
@pytest.mark.parametrize("name", ["python/object/apply", "billion laughs", "many keys", "closed flow nesting", "50 MB"])
def test_refusing_it_takes_little_time_and_memory(
    name: str, file: Path, record_property: Callable[[str, object], None]
) -> None:
    marker = file.with_name("marker")
    file.write_bytes(attacks(marker)[name])
    code, text, seconds, peak = measured("check", file)
    record_property("figure", f"{name}: {seconds:.2f} s, {peak >> 20} MiB")
    assert code == 2, text
    assert text.startswith("error: ")
    assert text.count("\n") == 1
    assert seconds < 10
    assert peak < MEMORY
    assert not marker.exists()


VALUES = {
    "python/object/apply": "!!python/object/apply:os.system ['touch {marker}']",
    "python/name": "!!python/name:os.system",
    "alias of itself": "&a [*a]",
    "flow nesting": "[" * 10_000,
    "nested mappings": "{a: " * 10_000,
    "a surrogate": '"\\ud800"',
    "a long number": "9" * 5000,
    "date": "2024-99-99",
    "tag": "!!bool x",
    "another document": "--- 1\n--- 2",
}


@pytest.mark.check("R23")
@pytest.mark.parametrize("key", ["seed", "model", "reward", "task", "task.length", "reward.own.file"])
@pytest.mark.parametrize("name", VALUES)
def test_a_hostile_value_on_the_command_line_is_one_line(
    name: str, key: str, file: Path, refused: Callable[..., str]
) -> None:
    marker = file.with_name("marker")
    file.write_text(RL)
    value = VALUES[name].replace("{marker}", str(marker))
    assert len(refused("rl", file, "--set", f"{key}={value}")) < 3000
    assert not marker.exists()


@pytest.mark.check("R23")
@pytest.mark.parametrize(
    "name", ["a" + ".a" * 5000, "task." * 300 + "x", "", ".", "..", "a..b", "task.", "=", "\ud800"]
)
def test_a_hostile_key_on_the_command_line_is_one_line(name: str, file: Path, refused: Callable[..., str]) -> None:
    file.write_text(RL)
    assert len(refused("rl", file, "--set", f"{name}=1")) < 30_000


@pytest.mark.check("R23")
@pytest.mark.parametrize("name", NAMES)
def test_the_configuration_of_a_run_directory_may_be_hostile_too(
    name: str, tmp_path: Path, refused: Callable[..., str]
) -> None:
    """``inspect``, ``audit`` and a stage that goes on read what a run directory holds, whoever made it."""
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "metrics.jsonl").write_text("")
    (folder / "config.yaml").write_bytes(attacks(tmp_path / "marker")[name])
    (tmp_path / "rl.yaml").write_text(RL)
    answer = call("inspect", folder)
    assert answer.code in (0, 2)
    assert "Traceback" not in answer.err
    refused("audit", "--rescore", folder)
    assert not (tmp_path / "marker").exists()
