"""The reward for thinking in the agreed form."""

from rlvr.types import Problem


def thinks_then_answers(problem: Problem, response: str, answer: str | None) -> float:
    """1.0 if the response is exactly one ``<think>…</think>`` and then something, else 0.0."""
    text = response.strip()
    once = text.count("<think>") == 1 and text.count("</think>") == 1
    return float(once and text.startswith("<think>") and not text.endswith("</think>"))
