"""Arms and seeds as runs to be made: each a file, its settings, and a directory named by all that its result depends on. No torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TypeVar

from rlvr.claims.claim import Arm, Claim
from rlvr.config import StageConfig
from rlvr.config_file import load
from rlvr.errors import RlvrError, did_you_mean

CONFIGS = Path(__file__).parent / "configs"
MADE = "made"
"""The folder, beside the results, of the runs that claims share."""
LONGEST_CHAIN = 10
"""Seeds that a chain of runs may use: each run of it has one of its own, so that no question or document comes twice in a chain."""
PACKAGES = ("rlvr", "torch", "transformers")
"""Of which another version may give other bits, and so makes runs of its own."""
PACKAGE = Path(__file__).parent.parent
READERS = ("claims", "commands", "report", "cli.py")
"""Parts of the package that plan, start and read runs, and decide none of their numbers."""

Changes = Mapping[str, Sequence[str]]
"""What the user sets otherwise than the claim: ``key=VALUE``, by the name of the file that it belongs to."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """One run. key: of its configuration, its start's, and the versions. path: named by it and by the code. start: the run whose model it begins from or evaluates, if one is.

    before: how many runs stand before it in its chain.
    """

    file: Path
    settings: tuple[str, ...]
    path: Path
    key: str
    start: Job | None
    before: int


Linked = TypeVar("Linked", Arm, Job)


def jobs_of(arms: Iterable[Arm], seed: int, folder: Path, changes: Changes) -> dict[str, Job]:
    """The runs of one seed, by the names of their arms. folder: where results are kept. RlvrError for a setting that is wrong."""
    made: dict[int, Job] = {}
    return {arm.name: _job(arm, seed, folder / MADE, changes, made) for arm in arms}


def in_order(jobs: Iterable[Job]) -> list[Job]:
    """Each run once, after those that it starts from."""
    return _starts_first(jobs, lambda job: job.key)


def everything(arms: Iterable[Arm]) -> list[Arm]:
    """The arms and all that they start from, each once, those first."""
    return _starts_first(arms, id)


def _starts_first(last: Iterable[Linked], identity: Callable[[Linked], object]) -> list[Linked]:
    found: dict[object, Linked] = {}
    for each in last:
        chain = [each]
        while chain[-1].start is not None:
            chain.append(chain[-1].start)
        for link in reversed(chain):
            found.setdefault(identity(link), link)
    return list(found.values())


def digest(keys: Iterable[str]) -> str:
    """Twelve digits that stand for all of these runs, whatever their order: what a result was made from."""
    return hashlib.sha256("\n".join(sorted(set(keys))).encode()).hexdigest()[:12]


def changes_of(settings: Sequence[str], claims: Sequence[Claim], quick: bool) -> dict[str, list[str]]:
    """``FILE.key=VALUE`` by FILE, the stem of one of the claims' files. RlvrError if none of them has that name."""
    stems = sorted({Path(arm.config).stem for claim in claims for arm in everything(claim.arms(quick))})
    found: dict[str, list[str]] = {}
    for setting in settings:
        stem, dot, rest = setting.partition(".")
        if not dot or "=" in stem:
            raise RlvrError("--set", "must look like FILE.section.key=VALUE", got=setting, allowed=", ".join(stems))
        if stem not in stems:
            raise RlvrError(
                f"--set {stem}",
                "is no file of these claims",
                allowed=", ".join(stems),
                remedy=did_you_mean(stem, stems) or None,
            )
        found.setdefault(stem, []).append(rest)
    return found


def _job(arm: Arm, seed: int, folder: Path, changes: Changes, made: dict[int, Job]) -> Job:
    if id(arm) in made:
        return made[id(arm)]
    start = _job(arm.start, seed, folder, changes, made) if arm.start is not None else None
    before = start.before + 1 if start is not None else 0
    file = CONFIGS / arm.config
    settings = [f"{key}={json.dumps(value)}" for key, value in arm.settings.items()]
    settings += [f"seed={LONGEST_CHAIN * seed + before}", "threads=1", *changes.get(file.stem, ())]
    if start is not None:
        settings.append(f"model={json.dumps(str(start.path))}")
    stage, config = _load(file, settings)
    key = _key(stage, config, start)
    path = folder / f"{file.parent.name}-{file.stem}-{key}-{_code(PACKAGE)}"
    made[id(arm)] = Job(file=file, settings=tuple(settings), path=path, key=key, start=start, before=before)
    return made[id(arm)]


def _load(file: Path, settings: list[str]) -> tuple[str, StageConfig]:
    try:
        return load(file, settings)
    except RlvrError as error:
        raise RlvrError(file.name, str(error)) from error


@cache
def _code(package: Path) -> str:
    """Eight digits of a hash of the code that makes runs, so that a changed program takes none of another's runs for its own."""
    found = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        inside = path.relative_to(package)
        if inside.parts[0] not in READERS:
            found.update(f"{inside.as_posix()}\n".encode() + path.read_bytes())
    return found.hexdigest()[:8]


def _key(stage: str, config: StageConfig, start: Job | None) -> str:
    """Sixteen digits of a hash of the configuration, where the model stands as the key of the run that made it.

    Without what is as by default: a program with one more option has the same keys. That a default itself has changed shows in the
    code, which a run's directory is named by too.
    """
    tree = config.model_dump(mode="json", exclude_defaults=True)
    if start is not None:
        tree["model"] = start.key
    versions = {name: metadata.version(name) for name in PACKAGES}
    text = json.dumps([stage, tree, versions], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
