"""Questions and answers from a JSONL file: ``{"question": "…", "answer": "…", …}`` on each line."""

import json
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Any

from rlvr.config import ProblemsConfig
from rlvr.config_file import read_text
from rlvr.errors import RlvrError
from rlvr.runtime.seeding import generator
from rlvr.tasks import thinking
from rlvr.tasks.task import in_test_split
from rlvr.types import Problem, Split

DIRECT_WORDS = 5
"""A response of at most so many words, without thoughts, answers at once."""


class Problems:
    """The lines of a file, every other key than question and answer kept as metadata.

    ``direct`` writes the answer; ``cot`` writes the line's ``solution``, a worked response, and exists if every line
    has one. The train split is gone through in a new order each time; the test split in the file's order.
    Raises RlvrError for a file without lines, a split without problems, and a bad line (unless they are skipped).
    """

    name = "problems"

    def __init__(self, config: ProblemsConfig, seed: int) -> None:
        self._path, self._seed = config.path, seed
        rows, skipped = _read(Path(config.path), config.on_bad_line == "skip")
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
        return problem.answer

    def mode_of(self, response: str) -> str:
        thoughts, rest = thinking.split(response)
        return "direct" if thoughts is None and len((rest or "").split()) <= DIRECT_WORDS else "cot"

    def final_answer(self, response: str) -> str | None:
        return thinking.split(response)[1] or None

    def alphabet(self) -> Iterable[str]:
        for rows in self._rows.values():
            for row in rows:
                yield f"{row['question']} {row['answer']} {row.get('solution', '')}"


@lru_cache(maxsize=4)
def _order(seed: int, turn: int, count: int) -> list[int]:
    """The order in which ``count`` problems come in their ``turn``-th time round."""
    return generator(seed, "problems", turn).sample(range(count), count)


def _read(path: Path, skip: bool) -> tuple[list[dict[str, Any]], int]:
    rows, skipped = [], 0
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        row, trouble = _parse(line)
        if row is not None:
            rows.append(row)
        elif skip:
            skipped += 1
        else:
            raise RlvrError(f"{path}:{number}", trouble, remedy="mend the line or set task.on_bad_line: skip")
    if not rows:
        raise RlvrError(
            str(path), f"holds no problems ({skipped} bad lines skipped)", remedy="give one JSON object a line"
        )
    return rows, skipped


def _parse(line: str) -> tuple[dict[str, Any] | None, str]:
    """The row of a line with its answer as text, or None and what is wrong with it."""
    try:
        row = json.loads(line)
    except (json.JSONDecodeError, RecursionError) as error:
        return None, f"not JSON: {error}"
    if not isinstance(row, dict):
        return None, "not a JSON object"
    question, answer = row.get("question"), row.get("answer")
    if not isinstance(question, str) or not question.strip():
        return None, "question is missing or not a text"
    if isinstance(answer, bool) or not isinstance(answer, str | int | float) or not str(answer).strip():
        return None, "answer is missing or neither a text nor a number"
    return {**row, "answer": str(answer)}, ""


def _split(rows: list[dict[str, Any]], fraction: float) -> dict[Split, list[dict[str, Any]]]:
    """Rows by a hash of their question; a part that ought not to be empty gets the row nearest to it."""
    test = [row for row in rows if in_test_split(row["question"], fraction)]
    if not test and fraction > 0:
        test = [rows[0]] if len(rows) > 1 else []
    questions = {row["question"] for row in test}
    return {"test": test, "train": [row for row in rows if row["question"] not in questions]}
