"""A long run of RL with scoring processes: what it holds does not grow with its steps."""

import contextlib
import os
import statistics
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from conftest import World, start, write_config

LARGEST_SLOPE = 1.0
"""KiB a step that resident memory may grow by: less than one row of metrics, if all were kept, would be."""


@dataclass(frozen=True)
class Held:
    """What a process and its children held after a step."""

    step: int
    kib: float
    children_kib: float
    descriptors: int
    threads: int
    children: int
    files: int


def look(pid: int, run: Path, temporary: Path) -> Held:
    """From outside: /proc, the run directory but what it keeps of every step, and the folder for temporary files."""
    children = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError):  # a thread that has just ended
            children += [int(each) for each in (task / "children").read_text().split()]
    kept = [file for file in run.rglob("*") if file.parent.name != "rollouts"]
    step = (run / "metrics.jsonl").read_bytes().count(b"\n")
    return Held(
        step=step,
        kib=resident(pid),
        children_kib=sum(map(resident, children)),
        descriptors=len(os.listdir(f"/proc/{pid}/fd")),
        threads=len(os.listdir(f"/proc/{pid}/task")),
        children=len(children),
        files=len(kept) + len(os.listdir(temporary)),
    )


def resident(pid: int) -> float:
    """Resident memory (KiB)."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1024


def slope(points: list[tuple[int, float]]) -> float:
    """Of the least-squares line."""
    return statistics.linear_regression(*zip(*points, strict=True)).slope


@pytest.mark.check("R39")
@pytest.mark.slow
def test_a_long_run_holds_no_more_at_its_end_than_in_its_middle(
    world: World,
    tmp_path: Path,
    thorough: bool,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
) -> None:
    steps, run, temporary = 2000 if thorough else 150, tmp_path / "run", tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    function = tmp_path / "reward.py"
    function.write_text(
        "def score(response, answer):\n    return 1.0 if response.split()[-1:] == [answer] else len(response) % 3 / 4\n"
    )
    tree = yaml.safe_load(world.configs["rl"].read_text())
    tree["reward"] = {"exact": 1.0, "own": {"file": str(function), "function": "score", "weight": 0.5}}
    tree["train"] |= {"max_steps": steps, "save_every": 10, "learning_rate": 1e-5}
    tree["rollout"] |= {"problems_per_step": 4}
    tree["eval"] = {"every": 50, "problems": 4}
    process = start("rl", write_config(tmp_path / "c.yaml", tree), "--run", run)
    seen = watch(process, run, temporary, steps)
    late = [held for held in seen if held.step >= steps // 2]
    assert len(late) >= 20
    growth = slope([(held.step, held.kib) for held in late])
    of_children = slope([(held.step, held.children_kib) for held in late])
    record_property(
        "figure", f"{steps} steps: {growth:+.2f} KiB a step, scoring processes {of_children:+.2f}; {largest(late)}"
    )
    # A short run says little of a slope: a page that is touched for the first time is seen at once.
    allowed = LARGEST_SLOPE if thorough else 80 * LARGEST_SLOPE
    assert growth < allowed
    assert of_children < allowed
    early = [
        held for held in seen if max(steps // 8, 40) <= held.step < steps // 2
    ]  # from 30 on there are three checkpoints
    for name in ("descriptors", "threads", "children"):
        assert max(getattr(held, name) for held in late) <= max(getattr(held, name) for held in early) + 1, name
    # Between two checkpoints there is nothing but the files of the contract, and explanations.jsonl once there is one.
    assert min(held.files for held in late) <= min(held.files for held in early) + 1
    assert len(list((run / "checkpoints").glob("step_*"))) == 3
    assert {path.name for path in temporary.iterdir()} == set()


def watch(process: subprocess.Popen[str], run: Path, temporary: Path, steps: int) -> list[Held]:
    """What the process holds, some hundred times until it ends; its messages are read, so that it need not wait."""
    seen: list[Held] = []
    assert process.stderr is not None
    for line in process.stderr:
        assert not line.startswith("error"), line
        if (
            line.startswith("rl ")
            and int(line.split()[1].split("/")[0]) % max(1, steps // 200) == 0
            and process.poll() is None
        ):
            seen.append(look(process.pid, run, temporary))
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0, out
    return seen


def largest(seen: list[Held]) -> str:
    """The most of everything that was held at once."""
    names = ("descriptors", "threads", "children")
    counts = ", ".join(f"{max(getattr(held, name) for held in seen)} {name}" for name in names)
    return f"at most {max(held.kib for held in seen) / 1024:.0f} MiB, {counts}"
