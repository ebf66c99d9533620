"""Where the arithmetic runs, in which precision, and on how many threads."""

import contextlib
import os
from typing import Literal

import torch

from rlvr.config import StageConfig
from rlvr.errors import RlvrError
from rlvr.runtime.progress import say
from rlvr.runtime.run_dir import RunDirectory, record_environment


def choose_device(name: Literal["auto", "cpu", "cuda"], threads: int | None) -> torch.device:
    """The device to compute on; sets torch's CPU threads if a number is given.

    Raises RlvrError if cuda is asked for and absent.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    if name == "cuda" and not torch.cuda.is_available():
        raise RlvrError("device", "no CUDA device is visible", got="cuda", allowed="auto, cpu")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def precision(device: torch.device, dtype: Literal["float32", "bfloat16"]) -> contextlib.AbstractContextManager[object]:
    """The context in which forward passes run: plain float32, or autocast to bfloat16 over float32 weights."""
    if dtype == "float32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)


def openmp_sleeps() -> bool:
    """Whether OpenMP's threads sleep between two products, as the environment asks of them, instead of spinning.

    On a CPU it decides how rows are shared among threads (``runtime.threads``), and so the rounding of what is sampled and trained.
    """
    return os.environ.get("OMP_WAIT_POLICY", "").lower() == "passive"


def start(config: StageConfig, run: RunDirectory, graders: dict[str, str]) -> torch.device:
    """The device of a stage; records the environment, and says so if a resumed run's has changed.

    graders: what verdicts depend on beside this package.
    """
    device = choose_device(config.device, config.threads)
    changed = record_environment(
        run,
        seed=config.seed,
        device=str(device),
        threads=torch.get_num_threads(),
        openmp_sleeps=openmp_sleeps(),
        graders=graders,
    )
    if changed:
        say(f"the environment has changed ({'; '.join(changed)}): bits may differ from an uninterrupted run")
    return device
