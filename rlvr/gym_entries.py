"""Entries of reasoning-gym's data sets (extra ``gym``): made by number, the same in every process, and scored by their data set.

A scorer may evaluate the answer it is given: ``score`` is only for processes that can be ended.
"""

import contextlib
import copy
import io
import json
import random
import sys
from collections.abc import Iterator
from dataclasses import fields, replace
from functools import lru_cache
from typing import Any

from rlvr.errors import MissingExtraError, RlvrError, did_you_mean
from rlvr.runtime.foreign import Foreign

Entry = dict[str, Any]
"""question, answer (a text, or None where the package knows none) and metadata, as the package makes them."""

NUMBERS = 2**31 - 1
"""Entries of a data set go by the numbers below this."""

KEPT = 1024
"""Entries of a data set that are kept: a command makes its tasks several times, and some entries take seconds."""

OURS = ("seed", "size")
"""Keys of every data set's configuration that are not for users: which entries there are is decided here."""

MADE_AT_ONCE = ("acre", "gsm_symbolic", "list_functions", "word_ladder")
"""Data sets that draw something for each of their entries when they are made; here, each entry is from a set of its own."""

HASHED = ("isomorphic_strings", "knight_swap", "polynomial_multiplication", "ransom_note", "word_ladder")
"""Data sets whose entries follow the order of sets of texts, which Python changes from process to process."""

EXAMPLES = {
    "graph_color": "possible_answer",
    "propositional_logic": "example_answer",
    "rubiks_cube": "example_correct_answer",
}
"""Data sets with many right answers, and the key of the metadata that holds one; their ``answer`` is None."""

UNSOUND = {
    "game_of_life_halting": "whose scorer takes any text for right; use reward exact",
    "puzzle24": "whose scorer does not look which numbers make 24",
}
"""Data sets whose scorers pay for what is wrong."""

REPLACED = {"composite": "use task mixture, with one member for each data set"}
"""Data sets that something of ours stands for, and what."""


class GymEntries:
    """The entries of one data set.

    settings: of the data set's own configuration; they come before what a curriculum's ``level`` says.
    Raises MissingExtraError without the package, and RlvrError for an unknown data set, key or level, and for values
    that the data set refuses.
    """

    def __init__(self, dataset: str, settings: dict[str, Any], level: int | None = None) -> None:
        self._name = dataset
        self._class, config_class = _registered(dataset)
        allowed = [field.name for field in fields(config_class) if field.name not in OURS]
        for key in settings:
            if key not in allowed:
                what = ". ".join(filter(None, [f"{dataset} has no key {key}", did_you_mean(key, allowed)]))
                raise RlvrError("task.config", what, allowed=", ".join(allowed))
        self._config: Any = None
        with Foreign() as call:
            base = config_class() if level is None else _at_level(dataset, level)
            self._config = replace(base, **copy.deepcopy(settings), seed=0, size=1)
            if hasattr(self._config, "validate"):
                self._config.validate()
        if isinstance(call.error, RlvrError):
            raise call.error
        if call.error is not None:
            raise RlvrError("task.config", f"{dataset} cannot take it: {_told(call.error)}", got=settings)
        self._all: Any = None
        self._known = lru_cache(maxsize=KEPT)(self._make)
        self.trouble = ""
        """What went wrong when an entry could not be made last."""

    def entry(self, number: int) -> Entry | None:
        """Entry ``number`` (0 … NUMBERS - 1), not to be changed; None if the data set fails to make it, as some do at times."""
        return self._known(number)

    def gold(self, entry: Entry) -> str | None:
        """A right answer to an entry; None if the package knows none."""
        known = entry["metadata"][EXAMPLES[self._name]] if self._name in EXAMPLES else entry["answer"]
        return known if known is None or isinstance(known, str) else json.dumps(known)

    def score(self, answer: str, entry: Entry) -> float:
        """What the data set's own scorer says of an answer; raises what it raises."""
        dataset = self._all if self._all is not None else self._class(self._config)
        return float(dataset.score_answer(answer, copy.deepcopy(entry)))

    def _make(self, number: int) -> Entry | None:
        entry: Entry | None = None
        with Foreign() as call, _seeded(number), contextlib.redirect_stdout(io.StringIO()):
            if self._name in MADE_AT_ONCE:
                entry = self._class(replace(self._config, seed=number))[0]
            else:
                if self._all is None:
                    self._all = self._class(replace(self._config, size=NUMBERS))
                entry = self._all[number]
        if call.error is not None:
            self.trouble = _told(call.error)
        return entry


def gym_entries(dataset: str, settings: dict[str, Any], level: int | None) -> GymEntries:
    """The entries of a data set, as ``GymEntries`` makes them, and kept for the next who asks."""
    return _kept(dataset, json.dumps(settings, sort_keys=True), level)


def require_gym(where: str) -> None:
    """Raise MissingExtraError if the package is not installed. where: the key that needs it."""
    try:
        import reasoning_gym  # noqa: F401
    except ModuleNotFoundError as error:
        if error.name != "reasoning_gym":
            raise
        raise MissingExtraError(where, "reasoning-gym", "gym") from None


def dataset_names() -> list[str]:
    """The names of all data sets that can be a task, in alphabetical order."""
    require_gym("task.name")
    from reasoning_gym.factory import DATASETS

    return sorted(name for name in DATASETS if name not in REPLACED)


def levels(dataset: str) -> int:
    """How many levels the curriculum of a data set has, the first of them 0; 0 if it has no curriculum."""
    require_gym("task.name")
    from reasoning_gym.factory import create_curriculum, has_curriculum

    if not has_curriculum(dataset):
        return 0
    return max((len(attribute.levels) for attribute in create_curriculum(dataset).attributes.values()), default=0)


@lru_cache(maxsize=16)
def _kept(dataset: str, settings: str, level: int | None) -> GymEntries:
    return GymEntries(dataset, json.loads(settings), level)


def _registered(dataset: str) -> tuple[Any, Any]:
    """The class of a data set and that of its configuration."""
    names = dataset_names()
    if dataset in REPLACED:
        raise RlvrError("task.dataset", f"{dataset} is no task; {REPLACED[dataset]}")
    if dataset not in names:
        near = did_you_mean(dataset, names)
        what = f"reasoning-gym has no data set {dataset}" + (f". {near}" if near else "")
        raise RlvrError("task.dataset", what, allowed=None if near else ", ".join(names))
    if dataset in HASHED and sys.flags.hash_randomization:
        raise RlvrError(
            "task.dataset",
            f"{dataset} makes other entries in every process, by the order of Python's sets",
            remedy="set PYTHONHASHSEED=0 in the environment, for every command that uses it",
        )
    from reasoning_gym.factory import DATASETS

    dataset_class, config_class = DATASETS[dataset]
    return dataset_class, config_class


def _at_level(dataset: str, level: int) -> Any:
    """The configuration that a curriculum of the package has at a level: every range from its first level up to this one."""
    count = levels(dataset)
    if level >= count:
        what = f"{dataset} has levels 0 to {count - 1}" if count else f"{dataset} has no curriculum"
        raise RlvrError("task.level", what, got=level, remedy=None if count else "remove level; set config instead")
    from reasoning_gym.factory import create_curriculum

    curriculum = create_curriculum(dataset)
    curriculum.set_global_level(level)
    return curriculum.generate_configuration()


@contextlib.contextmanager
def _seeded(number: int) -> Iterator[None]:
    """Some generators draw from Python's and numpy's global state: it is set for them, and put back."""
    import numpy as np

    python, numpys = random.getstate(), np.random.get_state()
    random.seed(number)
    np.random.seed(number)
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpys)


def _told(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:200]}" if text else type(error).__name__
