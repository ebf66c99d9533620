"""Rollouts that a run wrote, to be learnt from again: text, tokens, rewards and log-probabilities as they were recorded."""

import json
from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from typing import Any

from rlvr.config_file import read_bytes
from rlvr.errors import RlvrError
from rlvr.types import Completion, Group, Problem, Rollout, StopReason

KEY = "algo.offline"
KINDS: dict[str, type] = {
    "task": str,
    "index": int,
    "question": str,
    "answer": str,
    "prompt": str,
    "completion": str,
    "mode": str,
    "prompt_ids": list,
    "token_ids": list,
    "logprobs": list,
    "rewards": dict,
}
"""Of a rollout's fields."""


def recorded_files(folder: str) -> list[Path]:
    """The rollout files of a run directory, or of a folder of such files, in the order of their steps.

    RlvrError if there is none.
    """
    path = Path(folder).expanduser()
    files = sorted(path.glob("rollouts/step_*.jsonl")) or sorted(path.glob("step_*.jsonl"))
    if not files:
        raise RlvrError(KEY, "no recorded rollouts (step_….jsonl) there", got=folder, remedy="name a run of rlvr rl")
    return files


class Recorded:
    """Recorded rollouts, one file a step, over and over.

    text: how the model's tokenizer reads token ids, which must be how they were written.
    """

    def __init__(self, folder: str, text: Callable[[list[int]], str]) -> None:
        self._files, self._text = recorded_files(folder), text

    def groups(self, step: int) -> list[Group]:
        """The groups of step ``step`` (from 1). RlvrError names a line that is no rollout, or one of another tokenizer."""
        file = self._files[(step - 1) % len(self._files)]
        rollouts = list(read_rollouts(file, KEY).values())
        if not rollouts:
            raise RlvrError(f"{KEY}: {file}", "is empty")
        check_text(rollouts[0], self._text, f"{KEY}: {file}:1")
        return [list(group) for _, group in groupby(rollouts, key=lambda rollout: rollout.problem.index)]


def read_rollouts(
    file: Path, key: str, wanted: Callable[[dict[str, Any]], bool] = lambda _row: True
) -> dict[int, Rollout]:
    """The rollouts of a file whose rows are wanted, by line from 0. RlvrError, beginning with key, names a line that is none."""
    rollouts = {}
    for number, line in enumerate(read_bytes(file).splitlines()):
        try:
            row = json.loads(str(line, "utf-8"))
            if wanted(row):
                rollouts[number] = _rollout(row)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            what = f"is no rollout: {type(error).__name__} {error}"
            raise RlvrError(f"{key}: {file}:{number + 1}", what) from None
    return rollouts


def check_text(rollout: Rollout, text: Callable[[list[int]], str], where: str) -> None:
    """RlvrError unless a tokenizer, which reads ids as ``text`` does, is that of a rollout."""
    found = text(rollout.completion.token_ids)
    if found != rollout.text:
        raise RlvrError(
            where,
            "was written with another tokenizer",
            got=found,
            allowed=repr(rollout.text[:80]),
            remedy="use the model that the rollouts are from, or one of its family",
        )


def _rollout(row: dict[str, Any]) -> Rollout:
    """One line of a rollouts file; older ones lack metadata, reasons and oracle. Advantages are not read: they are estimated again."""
    for name, kind in KINDS.items():
        if not isinstance(row[name], kind):
            raise TypeError(f"{name} is {type(row[name]).__name__}")
    problem = Problem(
        task=row["task"],
        split=row["split"],
        index=row["index"],
        question=row["question"],
        answer=row["answer"],
        metadata=row.get("metadata") or {},
    )
    completion = Completion(
        prompt_ids=row["prompt_ids"],
        token_ids=row["token_ids"],
        logprobs=row["logprobs"],
        stop_reason=StopReason(row["stop_reason"]),
    )
    if not len(completion.token_ids) == len(completion.logprobs) > 0:
        raise ValueError(f"{len(completion.token_ids)} tokens and {len(completion.logprobs)} log-probabilities")
    return Rollout(
        problem=problem,
        prompt=row["prompt"],
        completion=completion,
        text=row["completion"],
        mode=row["mode"],
        rewards=row["rewards"],
        reasons=row.get("reasons") or {},
        reward=float(row["reward"]),
        oracle=float(row.get("oracle", row["reward"])),
        correct=bool(row["correct"]),
    )
