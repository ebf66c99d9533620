"""Everything that is known of one token, as lines."""

from __future__ import annotations

from typing import Any

from rich.cells import cell_len
from rich.text import Text

from rlvr.report.attempts import Attempt
from rlvr.report.tokens_text import MOST_TOKENS, QUANTITIES, credit_points, shown, text_of, values_of
from rlvr.runtime.literal import printable
from rlvr.runtime.written import NUMBER

BAR = 12
"""Columns of the bar of a probability of 1."""
TEXT = 16
"""Columns for the text of an alternative."""


def facts(attempt: Attempt, token: int, where: str) -> list[Text]:
    """A token's text and number, what was measured of it, credit after it, and what could have stood in its place.

    token: from 0. where: the run's directory, for the command that would find out more.
    """
    ids = attempt.record["token_ids"]
    lines = [
        Text.assemble(
            f"token {token + 1:,} of {min(len(ids), MOST_TOKENS):,}  ",
            (text_of(attempt, token), "bold reverse"),
            f"  id {ids[token]}",
        )
    ]
    lines.append(Text("  ".join(_measured(attempt, token))))
    lines += _credit(attempt, token)
    return lines + _alternatives(attempt, token, where)


def _measured(attempt: Attempt, token: int) -> list[str]:
    parts, values = [], values_of(attempt)
    for name in ("probability", "entropy", "advantage", "change", "ratio"):
        value = values[name][token] if name in values else None
        if value is not None:
            parts.append(f"{name} {QUANTITIES[name].text(value)}")
    if isinstance(attempt.trained, list) and token < len(attempt.trained):
        parts.append("trained" if attempt.trained[token] else "not trained")
    return parts


def _credit(attempt: Attempt, token: int) -> list[Text]:
    points = [point for point in credit_points(attempt) if point[0] <= token + 1]
    if not points:
        return []
    position, right, low, high = points[-1]
    samples = ((attempt.studied or {}).get("credit") or {}).get("samples")
    after = "after this token" if position == token + 1 else f"last measured after {position} tokens"
    return [
        Text(printable(f"credit {right:.2f} [{low:.2f}, {high:.2f}] of {samples} continuations end right, {after}"))
    ]


def _alternatives(attempt: Attempt, token: int, where: str) -> list[Text]:
    if attempt.studied is None:
        return [Text(printable(f"rlvr study {where} adds alternatives, change, ratio and credit"))]
    of_tokens = attempt.studied["alternatives"]
    found = of_tokens[token] if token < len(of_tokens) and isinstance(of_tokens[token], list) else []
    names = printable(f"{attempt.studied['policy']}, before: {attempt.studied['against']}").replace("\n", " ")
    rows = [_alternative(each, attempt.record["token_ids"][token]) for each in found if _whole(each)]
    return [Text(f"alternatives of {names}"), *rows] if rows else [Text("no alternatives were studied")]


def _whole(each: Any) -> bool:
    return (
        isinstance(each, dict)
        and isinstance(each.get("text"), str)
        and isinstance(each.get("probability"), NUMBER)
        and 0 <= each["probability"] <= 1
    )


def _alternative(each: dict[str, Any], sampled: object) -> Text:
    text = shown(each["text"], each.get("id"))
    before = each.get("against")
    return Text.assemble(
        "► " if each.get("id") == sampled else "  ",
        (text, "bold" if each.get("id") == sampled else ""),
        " " * max(1, TEXT - cell_len(text)),
        f"{each['probability']:.3f} ",
        "█" * round(each["probability"] * BAR),
        "░" * (BAR - round(each["probability"] * BAR)),
        f"  before {before:.3f}" if isinstance(before, NUMBER) else "",
    )
