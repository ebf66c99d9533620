"""A process that makes runs: reads one JSON line, makes a run, answers one JSON line (``python -m rlvr.claims.worker``).

Torch is loaded once for many runs, which are short.
"""

import json
import os
import signal
from pathlib import Path
from typing import Any

from rlvr.config_file import load
from rlvr.errors import RlvrError, StopRequestedError, TrainingStoppedError
from rlvr.launch import checked, launch
from rlvr.runtime.signals import end_with_parent


def main() -> None:
    """Make runs until standard input ends, or until the process that started this one does."""
    end_with_parent(signal.SIGTERM)
    jobs, answers = os.fdopen(os.dup(0), encoding="utf-8"), os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    for line in jobs:
        job = json.loads(line)
        with open(job["log"], "a", encoding="utf-8") as log:
            os.dup2(log.fileno(), 2)
        answers.write(json.dumps(made(job)) + "\n")
        answers.flush()


def made(job: dict[str, Any]) -> dict[str, str]:
    """How a run ended: ``{}`` well, ``stopped`` where training had to, ``unwritten`` where the system refused a write, ``refused`` where
    it could not begin, or ``interrupted``."""
    try:
        stage, config = load(Path(job["file"]), job["settings"])
        launch(stage, config, checked(config), Path(job["run"]))
    except TrainingStoppedError as error:
        return {"unwritten" if isinstance(error.__cause__, OSError) else "stopped": str(error)}
    except RlvrError as error:
        return {"refused": str(error)}
    except StopRequestedError as error:
        return {"interrupted": str(error)}
    return {}


if __name__ == "__main__":
    main()
