"""Which of several runs are seeds of one arm, what sets the arms apart, and how the arms are called."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlvr.config_file import read_mapping
from rlvr.errors import RlvrError
from rlvr.report.blocks import Cell, Table
from rlvr.report.runs import Run, run_named

LONGEST = 40
"""Characters of a value in an arm's name; of a path, the last."""
MOST_COLUMNS = 10
"""Runs with a column each."""

Flat = dict[str, Any]
"""Leaves of a configuration under dotted keys."""


@dataclass(frozen=True, kw_only=True)
class Seeded:
    """A run of an arm. seeds: its own, then that of each run that made its model; runs of two arms with equal seeds are a pair."""

    name: str
    run: Run
    seeds: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Arm:
    """Runs whose configurations are equal but for the seed, and so are those of the runs that made their models."""

    name: str
    stage: str
    runs: list[Seeded]

    def by_seeds(self) -> dict[tuple[str, ...], Run]:
        """Its runs by their seeds; seeds that stand for several runs are left out."""
        seeds = [each.seeds for each in self.runs]
        return {each.seeds: each.run for each in self.runs if seeds.count(each.seeds) == 1}


def arms_of(runs: Sequence[Run]) -> list[Arm]:
    """The arms of some runs, in the order of each one's first run; names are unique within a stage."""
    names = names_of(runs)
    groups: list[tuple[tuple[str, Flat], list[Seeded]]] = []
    for name, run in zip(names, runs, strict=True):
        recipe, seeds = _recipe(run.config, run.path, {run.path.resolve()})
        kind, seeded = (run.stage, flat(recipe)), Seeded(name=name, run=run, seeds=seeds)
        for known, members in groups:
            if known == kind:
                members.append(seeded)
                break
        else:
            groups.append((kind, [seeded]))
    arms: list[Arm] = []
    for stage in dict.fromkeys(run.stage for run in runs):
        own = [(recipe, members) for (at, recipe), members in groups if at == stage]
        called = _arm_names([_shared(recipe, members) for recipe, members in own])
        if len(own) == 1:
            called = [_alone(own[0][1])]
        arms += [Arm(name=name, stage=stage, runs=members) for name, (_, members) in zip(called, own, strict=True)]
    return arms


def names_of(runs: Sequence[Run]) -> list[str]:
    """The last parts of each run's path, as many as tell them all apart."""
    return _tails([run.path.resolve().as_posix() for run in runs])


def _tails(paths: Sequence[str]) -> list[str]:
    """The last parts of paths, as many as tell all different ones apart."""
    parts = [path.split("/") for path in paths]
    most = max(map(len, parts), default=1)
    count = next((n for n in range(1, most) if len({tuple(each[-n:]) for each in parts}) == len(set(paths))), most)
    return ["/".join(each[-count:]) for each in parts]


def differing(arms: Sequence[Arm]) -> Table | None:
    """The keys in which configurations differ, a row each, with a column for each run; None if they do not.

    Of more than ten runs, the first of each arm stands for it, and seeds are left out.
    """
    members = [each for arm in arms for each in arm.runs]
    columns, configs = [each.name for each in members], [flat(each.run.config) for each in members]
    if len(members) > MOST_COLUMNS:
        firsts = [flat(arm.runs[0].run.config) for arm in arms]
        columns, configs = [arm.name for arm in arms], [{**first, "seed": None} for first in firsts]
    keys = [key for key in _keys(configs) if len({repr(config.get(key)) for config in configs}) > 1]
    if not keys:
        return None
    rows: list[list[Cell]] = [[key, *(_cell(config.get(key)) for config in configs)] for key in keys]
    return Table(columns=["key", *columns], rows=rows, caption="Keys in which the configurations differ.")


def flat(config: dict[str, Any], prefix: str = "") -> Flat:
    """The leaves of a configuration under dotted keys.

    >>> flat({"algo": {"preset": "grpo"}, "seed": 1})
    {'algo.preset': 'grpo', 'seed': 1}
    """
    leaves: Flat = {}
    for key, value in config.items():
        leaves |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return leaves


def _recipe(config: dict[str, Any], path: Path, seen: set[Path]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """A configuration without its seed, with that of the run that made its model in the model's place; and all their seeds."""
    recipe, seeds = {key: value for key, value in config.items() if key != "seed"}, (_text(config.get("seed")),)
    model = config.get("model")
    made = run_named(model, path) if isinstance(model, str) else None
    if made is None or made.resolve() in seen:
        return recipe, seeds
    try:
        below = read_mapping(made / "config.yaml")
    except RlvrError:
        return recipe, seeds
    checkpoint = Path(str(model)).name if Path(str(model)).parent.name == "checkpoints" else ""
    of_model, earlier = _recipe(below, made, seen | {made.resolve()})
    return {**recipe, "model": {**of_model, "checkpoint": checkpoint}}, seeds + earlier


def _shared(recipe: Flat, members: list[Seeded]) -> Flat:
    """What all runs of an arm have: their own keys where these agree, else those of the runs that made their models."""
    configs = [flat(member.run.config) for member in members]
    common = {
        key: value
        for key, value in configs[0].items()
        if key != "seed" and all(config.get(key) == value for config in configs)
    }
    return common if "model" in common else {**common, **recipe}


def _arm_names(shared: list[Flat]) -> list[str]:
    """A name for each arm from the fewest keys that tell them apart, the first that tell most."""
    told: list[str] = []

    def apart(keys: list[str]) -> int:
        return len({tuple(repr(arm.get(key)) for key in keys) for arm in shared})

    while apart(told) < len(shared):
        best = max(_keys(shared), key=lambda key: apart([*told, key]))
        if apart([*told, best]) == apart(told):
            break
        told.append(best)
    said = [_said(key, shared) for key in told]
    names = [", ".join(parts) for parts in zip(*said, strict=True)] if said else ["the same" for _ in shared]
    return [f"{name} ({names[:n].count(name) + 1})" if names.count(name) > 1 else name for n, name in enumerate(names)]


def _alone(members: list[Seeded]) -> str:
    if len(members) == 1:
        return members[0].name
    seeds = len({each.seeds for each in members})
    return f"{len(members)} runs" if seeds < len(members) else f"{seeds} seeds"


def _said(key: str, arms: Sequence[Flat]) -> list[str]:
    """A key with each arm's value; of paths, the parts that tell them apart."""
    texts = [_text(arm[key]) if key in arm else None for arm in arms]
    tails = iter(_tails([text for text in texts if text is not None]))
    return [f"no {key}" if text is None else f"{key}={_brief(next(tails))}" for text in texts]


def _keys(configs: Sequence[Flat]) -> list[str]:
    return list(dict.fromkeys(key for config in configs for key in config))


def _cell(value: Any) -> Cell:
    """Numbers and nothing as they are, all else as text."""
    return value if value is None or type(value) in (int, float) else _text(value)


def _text(value: Any) -> str:
    """A value as YAML would show it, on one line."""
    return re.sub(r"\s+", " ", str(value).lower() if isinstance(value, bool) else str(value))


def _brief(text: str) -> str:
    return text if len(text) <= LONGEST else f"…{text[-LONGEST:]}"
