"""Processes that run a module of this package: how they find it, and how many there is room for."""

import os
import sys
from pathlib import Path

_HOME = Path(__file__).resolve().parents[2]
"""Where the package is, which need not be installed."""


def command(module: str, *arguments: str) -> list[str]:
    """What starts a module with this Python; nothing is imported from the working directory."""
    return [sys.executable, "-P", "-m", module, *arguments]


def environment() -> dict[str, str]:
    """This process's, in which this package is the first of its name."""
    path = os.pathsep.join([str(_HOME), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "PYTHONPATH": path}


def processors() -> int:
    """On how many processors this process may run; where the system does not tell, how many there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
