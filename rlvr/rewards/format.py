"""The grader of the form of a response: thoughts, then an answer."""

from rlvr.rewards.verdict import Reason, Verdict


def thinks_then_answers(gold: str, response: str) -> Verdict:
    """Full marks if the response is exactly one ``<think>…</think>`` and then something, whatever the answer is."""
    text = response.strip()
    once = text.count("<think>") == 1 and text.count("</think>") == 1
    right = once and text.startswith("<think>") and not text.endswith("</think>")
    return Verdict(reward=float(right), reason=Reason.CORRECT if right else Reason.MALFORMED)
