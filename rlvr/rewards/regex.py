"""The grader for answers that match a pattern of the problem's author."""

import re
from functools import lru_cache

from rlvr.rewards.extract import the_answer
from rlvr.rewards.verdict import Reason, Verdict

MAX_CHARACTERS = 1000
"""A longer answer is not matched: it bounds what a pattern that backtracks can cost."""


def regex(gold: str, response: str, *, style: str = "auto", pattern: str | None = None) -> Verdict:
    """Right if the whole answer matches gold, a regular expression of the problem's author (trusted; Python syntax).

    Raises ValueError for a pattern that does not compile or that an empty answer would match.
    """
    wanted = _compiled(gold)
    answer = the_answer(response, style, pattern).text
    if answer is None:
        return Verdict(reward=0.0, reason=Reason.NO_ANSWER)
    if len(answer) > MAX_CHARACTERS:
        return Verdict(reward=0.0, reason=Reason.TOO_LONG)
    right = wanted.fullmatch(answer) is not None
    return Verdict(reward=float(right), reason=Reason.CORRECT if right else Reason.WRONG, extracted=answer)


@lru_cache(maxsize=1024)
def _compiled(gold: str) -> re.Pattern[str]:
    try:
        pattern = re.compile(gold)
    except re.error as error:
        raise ValueError(f"the pattern does not compile: {error}") from None
    if pattern.fullmatch(""):
        raise ValueError("the pattern matches an empty answer")
    return pattern
