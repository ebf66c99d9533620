"""``rlvr export``: the model of a run as a directory to be given away."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from rlvr.ending import say
from rlvr.errors import RlvrError

if TYPE_CHECKING:
    from rlvr.config import PromptConfig

DTYPES = ("float32", "bfloat16", "float16")


def export(path: Path, out: Path, dtype: str, gguf: bool) -> None:
    """Write weights, tokenizer and model card of a run's newest checkpoint, or of the one that is named, into a new folder."""
    from rlvr.report.card import card
    from rlvr.report.runs import open_as_it_is
    from rlvr.runtime.saved import step_of

    if dtype not in DTYPES:
        raise RlvrError("--dtype", "unknown type", got=dtype, allowed=", ".join(DTYPES))
    run, checkpoint = _found(path)
    text = card(open_as_it_is(run), step_of(checkpoint), dtype)
    prompt = _prompt(run)
    with _new_folder(out) as folder:
        from rlvr.models.exported import export_model

        export_model(checkpoint, prompt, folder, dtype, gguf=gguf)  # type: ignore[arg-type]
        (folder / "README.md").write_text(text, encoding="utf-8", errors="backslashreplace")
    say(f"{checkpoint.name} of {run} in {dtype}")
    print(out)


def _found(path: Path) -> tuple[Path, Path]:
    """The run directory and the checkpoint that a path names. RlvrError if it is neither, or there is no whole one."""
    from rlvr.runtime.manifest import damage
    from rlvr.runtime.saved import STEP, newest_whole

    if (path / "config.yaml").is_file():
        newest = newest_whole(path / "checkpoints")
        if newest is None:
            raise RlvrError(str(path), "has no checkpoint", remedy="name a training run that has reached one")
        for damaged in newest.passed:
            say(f"warning: {damaged}; {newest.folder.name} is exported instead")
        return path, newest.folder
    run = path.absolute().parent.parent
    if not STEP.fullmatch(path.name) or not (run / "config.yaml").is_file():
        raise RlvrError(str(path), "is neither a run directory nor one of its checkpoints", remedy="give runs/NAME")
    if (reason := damage(path)) is not None:
        raise RlvrError(str(path), f"is a damaged checkpoint: {reason}", remedy="name another")
    return run, path


def _prompt(run: Path) -> PromptConfig:
    """How the run put questions to its model."""
    from rlvr.config import PretrainConfig, PromptConfig
    from rlvr.config_file import load

    _, config = load(run / "config.yaml", [])
    return PromptConfig() if isinstance(config, PretrainConfig) else config.prompt  # type: ignore[attr-defined]


@contextlib.contextmanager
def _new_folder(out: Path) -> Iterator[Path]:
    """A folder beside ``out`` that takes its place at the end, whole. RlvrError if there is something already, or no room."""
    from rlvr.runtime.files import Writing

    if os.path.lexists(out) and not (out.is_dir() and not out.is_symlink() and not any(out.iterdir())):
        raise RlvrError(f"--out {out}", "is there already, and not an empty folder", remedy="name a new folder")
    try:
        out.absolute().parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(dir=out.absolute().parent, prefix=".tmp-"))
    except OSError as error:
        remedy = "name a folder that you can write"
        raise RlvrError(f"--out {out}", f"cannot be written: {error.strerror}", remedy=remedy) from None
    try:
        with Writing(out):
            yield aside
            aside.chmod(0o755)  # it is to be given away, and both were made for their owner alone
            for file in aside.iterdir():
                file.chmod(0o644)
            aside.replace(out)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
