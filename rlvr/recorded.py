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
        rollouts = []
        for number, line in enumerate(read_bytes(file).splitlines(), start=1):
            try:
                rollouts.append(_rollout(json.loads(str(line, "utf-8"))))
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                what = f"is no rollout: {type(error).__name__} {error}"
                raise RlvrError(f"{KEY}: {file}:{number}", what) from None
        if not rollouts:
            raise RlvrError(f"{KEY}: {file}", "is empty")
        first = rollouts[0]
        if self._text(first.completion.token_ids) != first.text:
            raise RlvrError(
                f"{KEY}: {file}:1",
                "was written with another tokenizer",
                got=self._text(first.completion.token_ids),
                allowed=repr(first.text[:80]),
                remedy="use the model that the rollouts are from, or one of its family",
            )
        return [list(group) for _, group in groupby(rollouts, key=lambda rollout: rollout.problem.index)]


def _rollout(row: dict[str, Any]) -> Rollout:
    """One line of a rollouts file. Advantages are not read: they are estimated again."""
    problem = Problem(
        task=row["task"],
        split=row["split"],
        index=row["index"],
        question=row["question"],
        answer=row["answer"],
        metadata=row["metadata"],
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
        reasons=row["reasons"],
        reward=float(row["reward"]),
        oracle=float(row["oracle"]),
        correct=bool(row["correct"]),
    )
