"""The library math-verify as a grader: only for scoring processes that can be ended, as its time has no bound."""

import logging

from rlvr.errors import MissingExtraError
from rlvr.rewards.extract import the_answer
from rlvr.rewards.verdict import Reason, Verdict
from rlvr.runtime.foreign import Foreign


def require() -> None:
    """Raise MissingExtraError if the library is not installed."""
    try:
        import math_verify  # noqa: F401
    except ModuleNotFoundError as error:
        if error.name != "math_verify":
            raise
        raise MissingExtraError("reward.math.verifier", "math-verify", "math") from None


def grade_math_verify(gold: str, response: str, *, style: str, pattern: str | None) -> Verdict:
    """What math-verify says of the answer that our own rule finds. Raises ValueError for a gold answer it cannot parse.

    Both sides are given to it as LaTeX formulas and its own time limits are off: they need a main thread, and would
    be a second clock beside the process's.
    """
    from math_verify import parse, verify

    logging.getLogger("math_verify").setLevel(logging.ERROR)  # it warns, at every call, that its limits are off
    wanted = parse(f"${gold}$", parsing_timeout=None)
    if not wanted:
        raise ValueError("math-verify cannot parse it")
    found = the_answer(response, style, pattern)
    if found.text is None:
        return Verdict(reward=0.0, reason=Reason.TOO_LONG if found.how == "too_long" else Reason.NO_ANSWER)
    right = None
    with Foreign() as call:
        given = parse(f"${found.text}$", parsing_timeout=None)
        right = verify(wanted, given, timeout_seconds=None) if given else None
    if call.error is not None:
        return Verdict(reward=0.0, reason=Reason.ERROR, extracted=found.text)
    if right is None:
        return Verdict(reward=0.0, reason=Reason.MALFORMED, extracted=found.text)
    return Verdict(reward=float(right), reason=Reason.CORRECT if right else Reason.WRONG, extracted=found.text)
