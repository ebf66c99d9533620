"""How a command ends: what is not our mistake is one line on stderr and an exit code."""

import contextlib
import sys
from collections.abc import Callable

import typer

from rlvr.errors import EndedError, RlvrError, StopRequestedError, TrainingStoppedError, out_of_memory
from rlvr.runtime import signals


def guard(command: Callable[[], None]) -> None:
    """Run a command; turn what is not our mistake into one line on stderr and its exit code."""
    try:
        with signals.ending():
            command()
    except (RlvrError, TrainingStoppedError) as error:
        say(f"error: {error}")
        raise typer.Exit(error.exit_code) from None
    except StopRequestedError as error:
        say(f"{error}; run the same command again to go on")
        raise typer.Exit(error.exit_code) from None
    except EndedError as error:
        say(f"{error}; there was nothing to save")
        raise typer.Exit(error.exit_code) from None
    except (MemoryError, RuntimeError, OSError, ImportError) as error:
        lacking = out_of_memory(error)
        if lacking is None:
            raise
    else:
        return
    # Only here are the frames gone that held the memory; there may still be none to import anything with.
    with contextlib.suppress(BrokenPipeError):
        sys.stderr.write(f"error: {lacking}\n")
    raise typer.Exit(TrainingStoppedError.exit_code)


def say(message: str) -> None:
    """A message as one line on stderr."""
    from rlvr.runtime import progress  # which takes a tenth of a second to import

    progress.say(message)
