"""What counts as the answer in a response."""

import pytest
from counted_work import counted_work

from rlvr.rewards.extract import STYLES, after_thoughts, the_answer

MOST_CALLS = 60_000
"""Of 100,000 characters; the costliest of these made 28,018, a quadratic search would make millions."""

AUTO = [
    (r"\boxed{42}", "42"),
    (r"\boxed{41} then \boxed{42}", "42"),
    (r"\fbox{42}", "42"),
    (r"\boxed {42}", "42"),
    (r"\boxed{\boxed{42}}", r"\boxed{42}"),
    (r"\boxed{\frac{1}{2}}", r"\frac{1}{2}"),
    (r"\boxed{\{1,2\}}", r"\{1,2\}"),
    ("\\boxed{42}\nIt is in \\boxed{} as asked.", "42"),
    (r"$\boxed{1}$ and $\boxed{2}$", "1, 2"),
    (r"\boxed{1}, \boxed{2}, and \boxed{3}", "1, 2, 3"),
    (r"\[ \boxed{-2} \quad \text{and} \quad \boxed{1} \]", "-2, 1"),
    (r"\boxed{1} and then \boxed{2}", "2"),
    (r"\boxed{42", None),
    (r"\boxed{\}", None),
    (r"\boxed{}", None),
    (r"\boxed{} 42", None),
    ("<answer> 42 </answer>", "42"),
    ("<answer>41</answer> no, <answer>42</answer>", "42"),
    (r"<answer>It is \boxed{42}</answer>", "42"),
    (r"\boxed{41} <answer>42</answer>", "42"),
    ("<answer></answer>", None),
    ("a\n#### 42\n", "42"),
    ("#### 41\n#### 1,234", "1,234"),
    ("The answer is 42.", "42"),
    ("The answer is 3.14. I hope so.", "3.14"),
    ("Final Answer: The final answer is $(-6,10)$. I hope it is correct.", "(-6,10)"),
    ("Final Answer: **73**", "73"),
    ("**Answer:** 42", "42"),
    ("The answer is $41$ or $42$", "$41$ or $42$"),
    ("The answer is:\n\n42\n", "42"),
    ("We get \\[ x = 42 \\]", "x = 42"),
    ("We get $x=1$ and $x=42$.", "We get $x=1$ and $x=42$."),
    ("Paris", "Paris"),
    ("<think>Rome?</think>Paris", "Paris"),
    ("<think>Rome?", None),
    ("a</think><think>b", None),
    ("", None),
    ("word " * 200, None),
]


@pytest.mark.parametrize(("response", "answer"), AUTO)
def test_auto(response: str, answer: str | None) -> None:
    assert the_answer(response).text == answer


@pytest.mark.parametrize(
    ("style", "response", "answer"),
    [
        ("boxed", r"<answer>1</answer> \boxed{2}", "2"),
        ("tags", r"<answer>1</answer> \boxed{2}", "1"),
        ("hashes", "#### 3\n\\boxed{2}", "3"),
        ("last_number", "It is 12, or 1,234.5 in all.", "1,234.5"),
        ("last_number", "from -3 to -4", "-4"),
        ("last_number", "none", None),
        ("whole", "<think>a</think> all of it ", "all of it"),
        ("boxed", "42", None),
    ],
)
def test_styles(style: str, response: str, answer: str | None) -> None:
    assert the_answer(response, style).text == answer


def test_a_pattern_of_the_user_s() -> None:
    assert the_answer("Result: 1\nResult: 2", "regex", r"Result: (\d+)").text == "2"
    assert the_answer("nothing", "regex", r"Result: (\d+)").text is None


def test_boxes_with_the_same_name_before_them_are_one_answer() -> None:
    assert the_answer("x=\\boxed{3} \\text{ or } x=\\boxed{5}").text == "3, 5"
    assert the_answer("$x = \\boxed{3}$ and $x = \\boxed{5}$").text == "3, 5"
    assert the_answer("x=\\boxed{3} and y=\\boxed{5}").text == "5"


def test_a_sentence_in_a_tag_answers_as_one_outside() -> None:
    assert the_answer("<answer>The answer is 42.</answer>").text == "42"
    assert the_answer("<answer>42</answer>").text == "42"


def test_an_unknown_style_is_an_error() -> None:
    for style, pattern in (("box", None), ("regex", None), ("boxed", "x")):
        with pytest.raises(ValueError, match="no style"):
            the_answer("42", style, pattern)


def test_thoughts() -> None:
    assert after_thoughts("a") == "a"
    assert after_thoughts("<think>a</think>b") == "b"
    assert after_thoughts("a</think>b</think>c") == "c"
    assert after_thoughts("<think>a") is None
    assert after_thoughts("<think>a</think><think>b") is None


def test_only_the_end_is_looked_at() -> None:
    assert the_answer("\\boxed{42}" + "x" * 30_000).text is None
    assert the_answer("x" * 1_000_000 + "\\boxed{42}").text == "42"


def test_a_long_answer_is_too_long() -> None:
    assert the_answer("\\boxed{" + "4" * 5000 + "}").how == "too_long"


HOSTILE = [
    "\\boxed{", "<answer>", "</answer>", "answer is ", "$", "\\[", "\\(", "####\n", "\\boxed{}", "\\boxed{1},", "{", "}", "$$a", "<think>",
    "answer: ", "*", "answer is*_ ", "1,", "1,111", "\\[a\\]", "\\boxed ", "\\", " ", "\n", "\x00",
]  # fmt: skip


@pytest.mark.parametrize("piece", HOSTILE)
def test_hostile_text_takes_linear_time(piece: str) -> None:
    text = piece * (100_000 // len(piece))
    for style in STYLES:
        if style != "regex":
            for hostile in (text, text + "\\boxed{1}"):
                _, calls = counted_work(lambda hostile=hostile, style=style: the_answer(hostile, style))
                assert calls < MOST_CALLS, style


def test_an_empty_pair_of_tags_named_after_the_answer_does_not_hide_it() -> None:
    assert the_answer("<answer>42</answer> I wrapped it in <answer></answer>, as asked").text == "42"
    assert the_answer("\\boxed{42} <answer> </answer>").text is None
