"""Rollouts to be read token by token: what their file recorded, what a study found, and each token's text. No torch."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import NoneType
from typing import Any

from tokenizers import Tokenizer
from tokenizers.decoders import DecodeStream

from rlvr.report import sound
from rlvr.report.runs import Run
from rlvr.runtime.foreign import Foreign
from rlvr.runtime.saved import step_folders
from rlvr.runtime.written import NUMBER, Fields

NEEDED: Fields = {
    "index": int,
    "question": str,
    "answer": str,
    "prompt": str,
    "completion": str,
    "mode": str,
    "correct": bool,
    "reward": NUMBER,
    "rewards": dict,
    "reasons": (dict, NoneType),
    "advantage": (*NUMBER, NoneType),
    "stop_reason": str,
    "token_ids": list,
    "logprobs": list,
}
"""What every rollout of a file has; reasons, entropies, advantages of single tokens and more came later and may be missing."""

STUDIED: Fields = {
    "line": int,
    "policy": str,
    "against": str,
    "logprobs": list,
    "against_logprobs": list,
    "alternatives": list,
}
"""What every line of a study has."""

MOST_TOKENS, MOST_CHARACTERS = 2_000, 20_000
"""Of a rollout on a page; more is not read token by token."""

Pieces = Callable[[list[int]], list[str]]
"""Token ids to the text of each token; together they are the completion."""


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One rollout with the facts of each of its T tokens; a list that was not recorded is None.

    step, line: of its file (from 0). pieces: each token's text, empty for a special one. logprobs, entropies: nats, of the policy
    that sampled it. advantages: of each token; None if there are none. trained: which tokens the step learnt from.
    studied: its line of the study's file (``rlvr.study``), if it was studied.
    """

    step: int
    line: int
    record: dict[str, Any]
    pieces: list[str]
    logprobs: list[float]
    entropies: list[float] | None
    advantages: list[float] | None
    trained: list[bool] | None
    studied: dict[str, Any] | None = None


def attempts(run: Run, step: int, pieces: Pieces, lines: Sequence[int] | None = None) -> list[Attempt]:
    """The rollouts of a step, all or those of some lines that it has. RlvrError as ``Run.rollouts`` says."""
    records, studies = run.numbered_rollouts(step, NEEDED, lines), studied(run, step)
    chosen = records if lines is None else [line for line in lines if line in records]
    return [_attempt(step, line, records[line], pieces, studies.get(line)) for line in chosen]


def studied(run: Run, step: int) -> dict[int, dict[str, Any]]:
    """What a study found of a step's rollouts, by line of their file; empty without one."""
    rows = run.lines(f"study/step_{step:06d}.jsonl", STUDIED, sound.study)
    return {row["line"]: row for row in rows.values()}


def _attempt(step: int, line: int, record: dict[str, Any], pieces: Pieces, study: dict[str, Any] | None) -> Attempt:
    count = len(record["token_ids"])
    advantages, trained = record.get("advantages"), record.get("trained")
    if advantages is None and record.get("advantage") is not None:
        advantages = [record["advantage"]] * count
    return Attempt(
        step=step,
        line=line,
        record=record,
        pieces=pieces(record["token_ids"]),
        logprobs=record["logprobs"],
        entropies=record.get("entropies"),
        advantages=advantages,
        trained=[trained] * count if isinstance(trained, bool) else trained,
        studied=study if study is not None and len(study["logprobs"]) == count else None,
    )


def pieces_of(run: Run) -> Pieces:
    """How a run's tokens are spelt, by its tokenizer (``tokenizer_of``)."""
    return pieces_by(tokenizer_of(run))


def pieces_by(tokenizer: Tokenizer | None) -> Pieces:
    """How a tokenizer spells tokens; without one each is its number."""
    if tokenizer is None:
        return lambda ids: [f"‹{token}›" for token in ids]
    return partial(spelt, tokenizer)


def tokenizer_of(run: Run) -> Tokenizer | None:
    """The tokenizer of a run's newest checkpoint, or of its model; None if none can be read."""
    for folder in [*_newest_first(run.path), *_model_folders(run)]:
        file = folder / "tokenizer.json"
        if os.path.isfile(file):  # no error, as Path's would be, for a name that is none
            with Foreign():
                return Tokenizer.from_file(str(file))
            if run.gaps is not None:
                run.gaps.setdefault("tokenizer.json", f"{file}: is no tokenizer that can be read")
    return None


def _newest_first(run: Path) -> list[Path]:
    return step_folders(run / "checkpoints")[::-1]


def _model_folders(run: Run) -> list[Path]:
    """Where the model that a run began from may be: a run's newest checkpoint, or the folder itself."""
    model, begun = run.config.get("model"), run.began_from()
    found = [] if begun is None else _newest_first(begun)
    return [*found, Path(model)] if isinstance(model, str) else found


def spelt(tokenizer: Tokenizer, ids: list[int]) -> list[str]:
    """The text of each token as it adds to those before, so that together they are the completion.

    Of a letter made of several tokens, the last has it and the others nothing; a special token has nothing.
    """
    stream = DecodeStream(skip_special_tokens=True)
    pieces = [stream.step(tokenizer, token) or "" for token in ids]
    text, found = str(tokenizer.decode(ids, skip_special_tokens=True)), "".join(pieces)
    if pieces and text.startswith(found):
        pieces[-1] += text[len(found) :]  # the bytes of a letter that was never finished
    return pieces


def as_json(attempt: Attempt) -> dict[str, Any]:
    """An attempt for the page's token view (``page.js``), cut after MOST_TOKENS tokens or MOST_CHARACTERS characters.

    values: by quantity and token, those that were measured alone. Numbers have four digits.
    """
    record, count = attempt.record, _shown(attempt.pieces)
    advantage, trained = record.get("advantage"), attempt.trained
    return {
        "step": attempt.step,
        "line": attempt.line,
        **{key: record[key] for key in ("index", "mode", "correct")},
        "prompt": record["prompt"][:MOST_CHARACTERS],
        "answer": record["answer"][:MOST_CHARACTERS],
        "stop": record["stop_reason"],
        "reward": _short(record["reward"]),
        "advantage": None if advantage is None else _short(advantage),
        "graded": "; ".join(
            _graded(name, paid, record.get("reasons") or {}) for name, paid in record["rewards"].items()
        ),
        "length": len(attempt.pieces),
        "characters": sum(map(len, attempt.pieces)),
        "pieces": [piece[:MOST_CHARACTERS] for piece in attempt.pieces[:count]],
        "ids": record["token_ids"][:count],
        "trained": trained[0] if trained and len(set(trained)) == 1 else trained and trained[:count],
        "values": {
            name: [_short(value) for value in values[:count]] for name, values in measured(attempt).items() if values
        },
        "study": _study(attempt, count),
    }


def measured(attempt: Attempt) -> dict[str, list[float] | None]:
    """What is known of each token, in nats where it has a unit; ``now`` is of the policy that was studied."""
    study = attempt.studied or {}
    sampled = _numbers(attempt.logprobs, attempt)
    now, before = _numbers(study.get("logprobs"), attempt), _numbers(study.get("against_logprobs"), attempt)
    return {
        "entropy": _numbers(attempt.entropies, attempt),
        "advantage": _numbers(attempt.advantages, attempt),
        "change": _difference(now, before),
        "log_ratio": _difference(now, sampled),
        "logprob": sampled,
        "entropy_now": _numbers(study.get("entropies"), attempt),
    }


def _difference(ours: list[float] | None, theirs: list[float] | None) -> list[float] | None:
    return None if ours is None or theirs is None else [a - b for a, b in zip(ours, theirs, strict=True)]


def _study(attempt: Attempt, count: int) -> dict[str, Any] | None:
    """What page.js needs of a study: an alternative is its id, text, and probability by the policy and by what it began from."""
    study = attempt.studied
    if study is None:
        return None
    alternatives = study["alternatives"] if len(study["alternatives"]) == len(attempt.pieces) else []
    credit = study.get("credit")
    return {
        "policy": study["policy"],
        "against": study["against"],
        "alternatives": [
            [
                [each["id"], each["text"], _short(each["probability"]), _short(each["against"])]
                for each in some
                if each.keys() >= {"id", "text", "probability", "against"}
            ]
            for some in alternatives[:count]
        ],
        "credit": credit if credit and len({len(credit.get(name, "")) for name in sound.CREDIT}) == 1 else None,
    }


def _numbers(values: list[Any] | None, attempt: Attempt) -> list[float] | None:
    """Values that are one for each token; a file that was changed by hand may have others, which say nothing."""
    fit = values is not None and len(values) == len(attempt.pieces) and all(isinstance(v, int | float) for v in values)
    return values if fit else None


def _shown(pieces: list[str]) -> int:
    """How many tokens are shown, one at least."""
    characters = 0
    for number, piece in enumerate(pieces[:MOST_TOKENS]):
        characters += len(piece)
        if number and characters > MOST_CHARACTERS:
            return number
    return min(len(pieces), MOST_TOKENS)


def _graded(name: str, paid: float, reasons: dict[str, Any]) -> str:
    reason = reasons.get(name)
    return f"{name} {paid:.4g}" + (f" ({reason.replace('_', ' ')})" if isinstance(reason, str) else "")


def _short(value: float) -> float:
    return float(f"{value:.4g}")
