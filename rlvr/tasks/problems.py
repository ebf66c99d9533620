"""Questions and answers from a file, its test split from it or from another."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from random import Random

from rlvr.config import ProblemsConfig
from rlvr.config.problems import HUB
from rlvr.errors import RlvrError
from rlvr.models.limits import read_limits
from rlvr.models.location import locate
from rlvr.runtime.progress import say
from rlvr.runtime.seeding import shuffled
from rlvr.tasks import thinking
from rlvr.tasks.layouts import LAYOUTS, Row, layout_of
from rlvr.tasks.overlap import WORDS, Overlap, overlaps, repeated
from rlvr.tasks.problem_files import read_rows, where
from rlvr.tasks.rows import Place
from rlvr.tasks.task import hash_share
from rlvr.types import Problem, Split

DIRECT_WORDS = 5
"""A response of at most so many words, without thoughts, answers at once."""


class Problems:
    """The rows of a file, all cells but question and answer kept as metadata, with the number of the ``line``.

    ``direct`` writes the answer; ``cot`` writes the row's ``solution``, a worked response, and exists if every row
    has one. The train split is gone through in a new order each time; the test split in the file's order.
    Raises RlvrError for a file without rows, a split without problems, and a bad row (unless they are skipped).
    """

    name = "problems"

    def __init__(self, config: ProblemsConfig, seed: int) -> None:
        self._path, self._seed = config.path, seed
        share = "set task.test_fraction (0 keeps none for testing, 1 all) or "
        self._remedy = "give more lines" if config.has_test else f"{share}give more lines"
        paths = (config.path, config.test_path, config.tokenizer)
        loaded = _load(config, tuple(_stamp(path) for path in paths if path is not None))
        self.warnings: tuple[str, ...] = loaded.warnings
        self._rows: dict[Split, list[Row]] = {"train": loaded.train, "test": loaded.test}
        worked = all("solution" in row.metadata for rows in self._rows.values() for row in rows)
        self.modes: tuple[str, ...] = ("direct", "cot") if worked else ("direct",)

    def problem(self, split: Split, index: int) -> Problem:
        rows = self._rows[split]
        if not rows:
            raise RlvrError(
                self._path,
                f"has no problem in the {split} split",
                remedy=self._remedy,
            )
        turn, place = divmod(index, len(rows))
        row = rows[shuffled(len(rows), self._seed, "problems", turn)[place] if split == "train" else place]
        return Problem(
            task=self.name,
            split=split,
            index=index,
            question=row.question,
            answer=row.answer,
            metadata=dict(row.metadata),
        )

    def size(self, split: Split) -> int | None:
        return len(self._rows[split])

    def respond(self, problem: Problem, mode: str, rng: Random) -> str:
        return problem.answer if mode == "direct" else str(problem.metadata["solution"])

    def gold_response(self, problem: Problem) -> str:
        return str(problem.metadata.get("solution", problem.answer))

    def mode_of(self, problem: Problem, response: str) -> str:
        thoughts, rest = thinking.split(response)
        return "direct" if thoughts is None and len((rest or "").split()) <= DIRECT_WORDS else "cot"

    def final_answer(self, problem: Problem, response: str) -> str | None:
        return thinking.split(response)[1] or None

    def alphabet(self) -> Iterable[str]:
        for rows in self._rows.values():
            for row in rows:
                yield f"{row.question} {row.answer} {row.metadata.get('solution', '')}"


def _stamp(path: str) -> tuple[object, ...]:
    """Which files there are, when they were written and their sizes: what changes with their contents."""
    if path.startswith(HUB):
        return ()
    try:
        folder = Path(path)
        files = sorted([*folder.glob("*"), *folder.glob("*/*")]) if folder.is_dir() else [folder]
        stats = [(str(file), file.stat()) for file in files]
    except (OSError, ValueError):
        return ()  # reading it says what is wrong
    return tuple((name, s.st_dev, s.st_ino, s.st_mtime_ns, s.st_size) for name, s in stats)


# ------------------------------------------------------------------------------------------------------ loading


@dataclass(frozen=True, kw_only=True)
class _Loaded:
    train: list[Row]
    test: list[Row]
    warnings: tuple[str, ...]


@lru_cache(maxsize=4)
def _load(config: ProblemsConfig, _contents: tuple[tuple[object, ...], ...]) -> _Loaded:
    """Both splits: read, without duplicates and without contamination where that is asked for."""
    warnings: list[str] = []
    place = Place(path=config.path, subset=config.subset, split=config.split, revision=config.revision)
    train = _distinct(config, place.path, _read(config, place, warnings), warnings)
    if config.has_test:
        apart = Place(
            path=config.test_path or config.path,
            subset=config.subset,
            split=config.test_split,
            revision=config.revision,
        )
        test = _distinct(config, apart.path, _read(config, apart, warnings), warnings)
    else:
        train, test = _split(train, config.test_fraction)
    if config.contamination is not None or config.has_test:
        train = _uncontaminated(config, train, test, warnings)
    return _Loaded(train=train, test=test, warnings=tuple(warnings))


def _read(config: ProblemsConfig, place: Place, warnings: list[str]) -> list[Row]:
    """The problems of a place; RlvrError for the first bad row, or how many were skipped among the warnings."""
    path = place.path
    raws = read_rows(place)
    layout = layout_of(config, raws, path)
    rows: list[Row] = []
    bad: list[tuple[str, int]] = []
    for raw in raws:
        row = raw.trouble if raw.cells is None else layout.row(raw)
        if isinstance(row, Row):
            rows.append(row)
        elif config.on_bad_line == "skip":
            bad.append((row, raw.line))
        else:
            raise RlvrError(where(path, raw.line), row, remedy="mend the line or set task.on_bad_line: skip")
    if not rows:
        raise RlvrError(path, f"holds no problems ({len(bad)} bad lines skipped)", remedy="give one JSON object a line")
    if bad:
        warnings += [f"{len(bad)} bad lines of {path} were skipped", *_reasons(path, bad)]
    rows = _short_enough(config, path, rows, warnings)
    if config.layout == "auto" and layout.name in LAYOUTS:
        say(
            f"{path}: the layout of {LAYOUTS[layout.name]} was recognised (task.layout: plain reads answers as they are)"
        )
    return rows


def _short_enough(config: ProblemsConfig, path: str, rows: list[Row], warnings: list[str]) -> list[Row]:
    """The problems whose questions have at most ``max_tokens`` tokens. RlvrError if there is no such tokenizer, and for none."""
    if config.max_tokens is None or config.tokenizer is None:
        return rows
    limits = read_limits(locate(config.tokenizer))
    if limits is None:
        remedy = "name a directory with a model and its tokenizer.json"
        raise RlvrError("task.tokenizer", "has no tokenizer to count by", got=config.tokenizer, remedy=remedy)
    lengths = [limits.length(row.question) for row in rows]
    kept = [row for row, length in zip(rows, lengths, strict=True) if length <= config.max_tokens]
    if not kept:
        what = f"every question has more than {config.max_tokens} tokens; the shortest has {min(lengths)}"
        raise RlvrError(path, what, remedy="raise task.max_tokens")
    if len(kept) < len(rows):
        warnings.append(
            f"{len(rows) - len(kept)} of {len(rows)} problems of {path} were left out: their questions have more than "
            f"{config.max_tokens} tokens (the longest has {max(lengths)})"
        )
    return kept


def _reasons(path: str, bad: list[tuple[str, int]]) -> list[str]:
    """The first row that was bad for each reason, and how many there were."""
    counts: Counter[str] = Counter()
    first: dict[str, str] = {}
    for trouble, line in bad:
        reason = trouble.partition(":")[0].partition(" (")[0]
        counts[reason] += 1
        first.setdefault(reason, f"{where(path, line)}: {trouble}")
    return [f"{told} (the first of {counts[reason]} skipped for this)" for reason, told in first.items()]


def _distinct(config: ProblemsConfig, path: str, rows: list[Row], warnings: list[str]) -> list[Row]:
    """The rows, without those whose question stands before if that is asked for."""
    if config.duplicates == "keep":
        return rows
    twice = repeated([row.text for row in rows])
    if twice:
        other = sum(rows[place].answer != rows[first].answer for place, first in twice.items())
        contradicting = f"; {other} of them had another answer" if other else ""
        warnings.append(f"{len(twice)} of {len(rows)} problems of {path} were dropped as duplicates{contradicting}")
    return [row for place, row in enumerate(rows) if place not in twice]


def _uncontaminated(config: ProblemsConfig, train: list[Row], test: list[Row], warnings: list[str]) -> list[Row]:
    """The training problems, or those that are not in the test split. RlvrError if that is to stop the run."""
    found = overlaps([row.text for row in train], [row.text for row in test])
    if not found:
        return train
    told = _contamination(found, len(train), train, test)
    if config.contamination == "stop":
        raise RlvrError(config.path, told, remedy="remove them, or set task.contamination: drop")
    if config.contamination == "drop":
        warnings.append(f"{config.path}: {told}; they are left out of training")
        out = {each.train for each in found}
        return [row for place, row in enumerate(train) if place not in out]
    warnings.append(f"{config.path}: {told}; task.contamination: drop leaves them out of training")
    return train


def _contamination(found: list[Overlap], size: int, train: list[Row], test: list[Row]) -> str:
    whole = sum(each.whole for each in found)
    lines = f"line {train[found[0].train].metadata['line']} as line {test[found[0].test].metadata['line']}"
    return (
        f"{len(found)} of {size} training problems are in the test split too: {whole} whole, {len(found) - whole} for "
        f"{WORDS} words in a row (first: {lines} of the test split's file)"
    )


def _split(rows: list[Row], fraction: float) -> tuple[list[Row], list[Row]]:
    """Rows by the hash of their question; of two questions or more, neither part that is wanted is empty."""
    questions = sorted({row.text for row in rows}, key=hash_share)
    count = sum(hash_share(question) < fraction for question in questions)
    if len(questions) > 1 and 0 < fraction < 1:
        count = min(max(count, 1), len(questions) - 1)
    test = set(questions[:count])
    return [row for row in rows if row.text not in test], [row for row in rows if row.text in test]
