"""The grader for multiple-choice answers."""

import pytest

from rlvr.rewards.choice import choice

RIGHT = [
    "B", "b", "(B)", "B.", "**B**", "$B$", "#### B", "Option B", "Answer: B", "The correct answer is **B**.", "Final Answer: (B)",
    r"\boxed{B}", r"\boxed{(B)}", r"\boxed{\text{B}}", r"\boxed{\boxed{B}}", r"\boxed{\textbf{(B)}\ 12}", "(B) 12", "B) 12", "B. Paris",
    "Answer: B. Paris", "The answer is B) Romeo and Juliet", r"\boxed{A} \boxed{B}", "<think>A</think>B", "<answer>(B)</answer>",
]  # fmt: skip
WRONG = [
    "", "A", "It is not B.", "Either B or C", "A, B", r"\boxed{B and C}", r"\boxed{B or C}", r"\boxed{B?}", r"\boxed{BB}", r"\boxed{B} \boxed{A}",
    "(B) or (C)", "(B) is wrong", "B. C.", "B) 12, C) 13", "(A) B", "B. I do not know", "A good question.", "<think>B", "B is nice", "(B) but unsure",
]  # fmt: skip


@pytest.mark.parametrize("response", RIGHT)
def test_the_letter_is_right(response: str) -> None:
    assert choice("B", response)


@pytest.mark.parametrize("response", WRONG)
def test_anything_else_is_not(response: str) -> None:
    assert not choice("B", response)
