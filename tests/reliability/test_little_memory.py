"""Too little memory: one line, exit 3, and the checkpoints that were saved are whole."""

import re
import resource
import time
from pathlib import Path

import pytest
from conftest import TASK, World, call, final_weights, read_metrics, start, write_config

from rlvr.errors import out_of_memory
from rlvr.runtime.manifest import damage
from rlvr.runtime.saved import step_folders

LARGE = {
    "model": {"layers": 1, "width": 64, "heads": 2, "max_positions": 64},
    "task": TASK,
    "data": {"mixture": {"direct": 1.0}},
    "train": {
        "max_steps": 4, "learning_rate": 1e-3, "save_every": 1, "batch_tokens": 65536, "micro_batch_tokens": 65536,
        "keep_checkpoints": 4,
    },
}  # fmt: skip
"""Its activations are so large that each of them is memory of its own, asked of the system."""


@pytest.mark.check("R17")
@pytest.mark.slow
def test_memory_that_runs_out_ends_a_run_in_one_line_and_it_goes_on_with_more(world: World, tmp_path: Path) -> None:
    config = write_config(tmp_path / "large.yaml", LARGE)
    run, whole = tmp_path / "run", tmp_path / "whole"
    process = start("pretrain", config, "--run", run)
    deadline = time.monotonic() + 120
    while not (run / "checkpoints" / "step_000002").exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    in_use = int(re.search(r"VmSize:\s+(\d+)", Path(f"/proc/{process.pid}/status").read_text())[1]) * 1024  # type: ignore[index]
    resource.prlimit(process.pid, resource.RLIMIT_AS, (in_use // 2, in_use // 2))
    _, err = process.communicate(timeout=120)
    assert process.returncode == 3, err
    assert "Traceback" not in err
    last = err.splitlines()[-1]
    assert last.startswith("error: out of memory (")
    assert "train.micro_batch_tokens or rollout.batch_size" in last
    folders = step_folders(run / "checkpoints")
    assert len(folders) in (2, 3)
    assert [damage(folder) for folder in folders] == [None] * len(folders)
    for each in (run, whole):
        assert call("pretrain", config, "--run", each).code == 0
    assert final_weights(run) == final_weights(whole)
    assert read_metrics(run) == read_metrics(whole)


@pytest.mark.check("R17")
@pytest.mark.parametrize(
    ("error", "memory"),
    [
        (MemoryError(), True),
        (
            RuntimeError("[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory"),
            True,
        ),
        (RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB."), True),
        (RuntimeError("std::bad_alloc"), True),
        (OSError(12, "Cannot allocate memory"), True),
        (ImportError("libtorch_cpu.so: failed to map segment from shared object"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (OSError(2, "No such file or directory"), False),
    ],
)
def test_what_is_said_of_memory_is_understood(error: Exception, memory: bool) -> None:
    assert (out_of_memory(error) is not None) is memory
