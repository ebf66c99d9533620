"""What there is to grade."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One response to one problem.

    gold: the problem's answer. answer: the part of the response that answers, as its task finds it; None if there is
    none. length: tokens written. metadata: what else the problem's data say; ``grader`` names the one component that
    checks it where several are configured.
    """

    gold: str
    response: str
    answer: str | None
    length: int
    question: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)
