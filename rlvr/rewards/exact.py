"""The reward for answers that are right only if they are the same text."""

from rlvr.types import Problem


def exact(problem: Problem, response: str, answer: str | None) -> float:
    """1.0 if the final answer is the gold answer, spaces at the ends apart."""
    return float(answer is not None and answer.strip() == problem.answer.strip())
