"""The grader for answers that are JSON values."""

import json
import re
from typing import Any

from rlvr.rewards.extract import after_thoughts
from rlvr.rewards.verdict import Reason, Verdict

MAX_CHARACTERS = 65536
_FENCE = re.compile(r"```(?:json)?[ \t]*\n(.*?)\n[ \t]*```", re.S)


def json_value(gold: str, response: str) -> Verdict:
    """Right if the answer is the same JSON value as gold: keys in any order, lists in theirs, 1 and 1.0 alike, true not 1.

    The answer is the last fenced block after the thoughts, or all that follows them. Raises ValueError for a gold
    answer that is not JSON.
    """
    wanted = _strict(gold)
    text = after_thoughts(response)
    if text is None or not text.strip():
        return Verdict(reward=0.0, reason=Reason.NO_ANSWER)
    if len(text) > MAX_CHARACTERS:
        return Verdict(reward=0.0, reason=Reason.TOO_LONG)
    blocks = _FENCE.findall(text)
    answer = blocks[-1] if blocks else text.strip()
    try:
        value = _strict(answer)
    except (ValueError, RecursionError):
        return Verdict(reward=0.0, reason=Reason.MALFORMED, extracted=answer)
    right = _same(value, wanted)
    return Verdict(reward=float(right), reason=Reason.CORRECT if right else Reason.WRONG, extracted=answer)


def _strict(text: str) -> Any:
    """The value of a JSON text without NaN, infinities and repeated keys."""
    return json.loads(text, parse_constant=_refuse, object_pairs_hook=_object)


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is no JSON value")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError("a key is given twice")
    return made


def _same(a: Any, b: Any) -> bool:
    """Equality of JSON values, in which true is not 1."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_same(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(_same(x, y) for x, y in zip(a, b, strict=True))
    return bool(a == b)
