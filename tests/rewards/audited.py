"""The maths verifier under the two signatures that the auditors of test_auditors.py call."""

from typing import Any

from rlvr.rewards import grade


def score(response: str, gold: str) -> float:
    """The reward of one response."""
    return grade("math", gold, response).reward


def rewards(completions: list[str], answer: list[str], **_: Any) -> list[float]:
    """The rewards of a batch, as TRL's GRPOTrainer calls for them."""
    return [score(text, gold) for text, gold in zip(completions, answer, strict=True)]
