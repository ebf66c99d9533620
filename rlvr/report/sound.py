"""What lines of a run directory must hold, beyond their fields' types, so that nothing that reads them meets a surprise.

A report is made of directories that anyone may have written: numbers that are none, lists of other lengths, text in their place.
"""

from __future__ import annotations

import math
from typing import Any

LARGEST = 1e100
"""No value that a run writes is larger, and sums and squares of smaller ones are finite."""
MOST_STEPS = 10**12
TOKENS = 2**32

SHARES = ("/probability", "/accuracy", "/probability_low", "/probability_high", "/accuracy_low", "/accuracy_high")
"""Endings of what lies between 0 and 1: counts divided by counts."""
COUNTS = ("tokens/", "rollout/length_mean")
"""Beginnings of what is never negative."""

BY_TOKEN = ("logprobs", "entropies", "advantages", "ref_logprobs", "against_logprobs", "against_entropies")
"""Numbers of each token, where there are any."""

CREDIT = ("positions", "right", "low", "high")
"""The lists of a study's credit, of one length."""


def is_number(value: Any) -> bool:
    """Whether a value is a finite number of a usual size, no truth value."""
    return isinstance(value, int | float) and not isinstance(value, bool) and -LARGEST < value < LARGEST


def are_numbers(values: list[Any]) -> bool:
    """``is_number`` of all of many, without a call for each: there may be millions."""
    if not set(map(type, values)) <= {int, float}:
        return False
    return not values or (min(values) > -LARGEST and max(values) < LARGEST and not math.isnan(sum(values)))


def are_tokens(values: list[Any]) -> bool:
    """Whether all of many are token ids."""
    return set(map(type, values)) <= {int} and (not values or (min(values) >= 0 and max(values) < TOKENS))


def row(metrics: dict[str, Any]) -> str | None:
    """What is wrong with a row of metrics; None if nothing is."""
    if not (is_number(metrics["step"]) and 0 <= metrics["step"] < MOST_STEPS):
        return "step is no count"
    wrong = next(
        (name for name, value in metrics.items() if not (value is None or isinstance(value, int | float))), None
    )
    if wrong is not None:
        return f"{wrong[:60]!r} is no number"
    for name, value in metrics.items():
        if not is_number(value):  # shown as not measured
            continue
        if name.endswith(SHARES) and not 0 <= value <= 1:
            return f"{name[:60]!r} is no share"
        if name.startswith(COUNTS) and value < 0:
            return f"{name[:60]!r} is no count"
    return None


def rollout(record: dict[str, Any]) -> str | None:
    """What is wrong with a line of a rollouts file; None if nothing is. Only what it has is looked at."""
    tokens = record.get("token_ids", [])
    if not (isinstance(tokens, list) and are_tokens(tokens)):
        return "token_ids are no tokens"
    for name in ("task", "split"):
        if not isinstance(record.get(name), str | None):
            return f"{name} is no name"
    for name in ("reward", "oracle", "advantage"):
        if record.get(name) is not None and not is_number(record[name]):
            return f"{name} is no number"
    rewards, reasons = record.get("rewards"), record.get("reasons")
    if rewards is not None and not (isinstance(rewards, dict) and all(map(is_number, rewards.values()))):
        return "rewards are no numbers"
    if reasons is not None and not (isinstance(reasons, dict) and all(isinstance(r, str) for r in reasons.values())):
        return "reasons are no words"
    trained = record.get("trained")
    whole = trained is None or isinstance(trained, bool)
    if not whole and not (
        isinstance(trained, list) and len(trained) == len(tokens) and set(map(type, trained)) <= {bool}
    ):
        return "trained does not say of each token"
    return _numbers_by_token(record, len(tokens)) if "token_ids" in record else None


def study(record: dict[str, Any]) -> str | None:
    """What is wrong with a line of a study's file; None if nothing is."""
    tokens = len(record["logprobs"])
    if record["line"] < 0:
        return "line is no line"
    if reason := _numbers_by_token(record, tokens):
        return reason
    if len(record["alternatives"]) != tokens or not all(map(_are_alternatives, record["alternatives"])):
        return "alternatives do not fit the tokens"
    credit = record.get("credit")
    return None if credit is None or _is_credit(credit) else "credit is damaged"


def _numbers_by_token(record: dict[str, Any], count: int) -> str | None:
    for name in BY_TOKEN:
        values = record.get(name)
        if values is None:
            continue
        if not (isinstance(values, list) and len(values) == count and are_numbers(values)):
            return f"{name} are no numbers, one a token"
    return None


def _are_alternatives(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(each, dict)
        and type(each.get("id")) is int
        and isinstance(each.get("text"), str)
        and is_number(each.get("probability"))
        and is_number(each.get("against"))
        for each in value
    )


def _is_credit(value: Any) -> bool:
    if not isinstance(value, dict) or type(value.get("samples")) is not int:
        return False
    lists: list[Any] = [value.get(name) for name in CREDIT]
    return all(isinstance(each, list) and are_numbers(each) for each in lists) and len(set(map(len, lists))) == 1
