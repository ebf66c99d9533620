"""What a grader says of one response."""

from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """Why a response got its reward."""

    CORRECT = "correct"
    WRONG = "wrong"
    """There is an answer, and it is not the gold answer."""
    NO_ANSWER = "no_answer"
    """There is nothing to grade: no answer where one is looked for, or thoughts that never end."""
    MALFORMED = "malformed"
    """There is something, but not one answer of the asked kind: a hedge, several candidates, a false equation, noise."""
    REFUSED = "refused"
    """The grader will not work on it: its cost would have no bound, or it tried what is not allowed."""
    TOO_LONG = "too_long"
    """It is longer than the grader reads."""
    TIMEOUT = "timeout"
    """It used up its budget of instructions or time."""
    ABSTAINED = "abstained"
    """It says that it does not know, where that is an outcome of its own."""
    ERROR = "error"
    """The grader itself failed; never the response's fault alone."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """A grader's word on one response. Its truth value is: full marks.

    reward: 0.0 … 1.0 (what a function of the user's returns may lie beyond). extracted: the text that was taken for the answer, None if there was none.
    """

    reward: float
    reason: Reason
    extracted: str | None = None

    def __bool__(self) -> bool:
        return self.reward >= 1.0
