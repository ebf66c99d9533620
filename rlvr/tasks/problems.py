"""Questions and answers from a JSONL file: ``{"question": "…", "answer": "…", …}`` on each line."""

import codecs
import json
import math
import re
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Any, Self

from rlvr.config import ProblemsConfig
from rlvr.config_file import read_bytes
from rlvr.errors import RlvrError
from rlvr.runtime.seeding import generator
from rlvr.tasks import thinking
from rlvr.tasks.task import hash_share
from rlvr.types import Problem, Split

MAX_QUESTION = 1_000_000
"""Characters."""
DEEPEST = 50
"""Lists in lists, or objects in objects."""
_HALF = re.compile("[\ud800-\udfff]")

DIRECT_WORDS = 5
"""A response of at most so many words, without thoughts, answers at once."""


class Problems:
    """The lines of a file, every other key than question and answer kept as metadata, with the number of the ``line``.

    ``direct`` writes the answer; ``cot`` writes the line's ``solution``, a worked response, and exists if every line
    has one. The train split is gone through in a new order each time; the test split in the file's order.
    Raises RlvrError for a file without lines, a split without problems, and a bad line (unless they are skipped).
    """

    name = "problems"

    def __init__(self, config: ProblemsConfig, seed: int) -> None:
        self._path, self._seed = config.path, seed
        path = Path(config.path)
        rows, skipped = _read(path, config.on_bad_line == "skip", _stamp(path))
        self.warnings: tuple[str, ...] = (f"{skipped} bad lines of {config.path} were skipped",) if skipped else ()
        self._rows = _split(rows, config.test_fraction)
        self.modes: tuple[str, ...] = ("direct", "cot") if all("solution" in row for row in rows) else ("direct",)

    def problem(self, split: Split, index: int) -> Problem:
        rows = self._rows[split]
        if not rows:
            raise RlvrError(
                self._path,
                f"has no problem in the {split} split",
                remedy="set task.test_fraction (0 keeps none for testing, 1 all) or give more lines",
            )
        turn, place = divmod(index, len(rows))
        row = rows[_order(self._seed, turn, len(rows))[place] if split == "train" else place]
        metadata = {key: value for key, value in row.items() if key not in ("question", "answer")}
        return Problem(
            task=self.name, split=split, index=index, question=row["question"], answer=row["answer"], metadata=metadata
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
                yield f"{row['question']} {row['answer']} {row.get('solution', '')}"


@lru_cache(maxsize=4)
def _order(seed: int, turn: int, count: int) -> list[int]:
    """The order in which ``count`` problems come in their ``turn``-th time round."""
    return generator(seed, "problems", turn).sample(range(count), count)


def _stamp(path: Path) -> tuple[int, ...] | None:
    """Which file it is, when it was written and its size: what changes with its contents; None without a file."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None  # reading it says what is wrong
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size


@lru_cache(maxsize=4)
def _read(path: Path, skip: bool, _contents: tuple[int, ...] | None) -> tuple[list[dict[str, Any]], int]:
    rows, skipped = [], 0
    for number, line in enumerate(read_bytes(path).removeprefix(codecs.BOM_UTF8).split(b"\n"), start=1):
        if not line.strip():
            continue
        row, trouble = _parse(line)
        if row is not None:
            rows.append({**row, "line": number})
        elif skip:
            skipped += 1
        else:
            raise RlvrError(f"{path}:{number}", trouble, remedy="mend the line or set task.on_bad_line: skip")
    if not rows:
        raise RlvrError(
            str(path), f"holds no problems ({skipped} bad lines skipped)", remedy="give one JSON object a line"
        )
    return rows, skipped


class _Decimal(float):
    """A number of a file that remembers how it was written: 0.00001 is no 1e-05."""

    def __new__(cls, text: str) -> Self:
        made = super().__new__(cls, text)
        made.text = text
        return made

    text: str

    def __str__(self) -> str:
        return self.text


def _parse(line: bytes) -> tuple[dict[str, Any] | None, str]:
    """The row of a line with its answer as text, or None and what is wrong with it."""
    try:
        row = json.loads(
            str(line, "utf-8"), parse_float=_Decimal, parse_constant=_refuse_constant, object_pairs_hook=_object
        )
    except UnicodeDecodeError as error:
        return None, f"not UTF-8 text (byte {error.start} of the line)"
    except (ValueError, RecursionError) as error:
        return None, f"not JSON: {error}"
    if not isinstance(row, dict):
        return None, "not a JSON object"
    question, answer, solution = row.get("question"), row.get("answer"), row.get("solution", "")
    if not isinstance(question, str) or not question.strip():
        return None, "question is missing or not a text"
    if isinstance(answer, bool) or not isinstance(answer, str | int | float) or not str(answer).strip():
        return None, "answer is missing or neither a text nor a number"
    if not isinstance(solution, str):
        return None, "solution is not a text"
    if len(question) > MAX_QUESTION:
        return None, f"question has more than {MAX_QUESTION} characters"
    trouble = _flaw(row)
    return (None, trouble) if trouble else ({**row, "answer": str(answer)}, "")


def _flaw(row: dict[str, Any]) -> str:
    """Why a row could not be written again, wherever in it that stands; empty if it can."""
    left: list[tuple[Any, int]] = [(row, 0)]
    while left:
        value, depth = left.pop()
        if depth > DEEPEST:
            return "is nested too deeply"
        if isinstance(value, str) and _HALF.search(value):
            return "holds half a character (a lone surrogate)"
        if isinstance(value, float) and math.isinf(value):
            return f"holds a number that is too large: {str(value)[:40]}"
        parts = [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else ()
        left += [(part, depth + 1) for part in parts]
    return ""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError("a key is given twice")
    return made


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number in JSON")


def _split(rows: list[dict[str, Any]], fraction: float) -> dict[Split, list[dict[str, Any]]]:
    """Rows by the hash of their question; of two questions or more, neither part that is wanted is empty."""
    questions = sorted({row["question"] for row in rows}, key=hash_share)
    count = sum(hash_share(question) < fraction for question in questions)
    if len(questions) > 1 and 0 < fraction < 1:
        count = min(max(count, 1), len(questions) - 1)
    test = set(questions[:count])
    return {
        "test": [row for row in rows if row["question"] in test],
        "train": [row for row in rows if row["question"] not in test],
    }
