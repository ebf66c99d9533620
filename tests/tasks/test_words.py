"""Word problems over permutation groups."""

from itertools import product as pairs
from random import Random

import pytest

from rlvr.config import WordsConfig
from rlvr.tasks.words import Words, element_name, group_elements, is_even, product
from rlvr.types import Problem


def test_the_product_applies_the_left_factor_first() -> None:
    """p213 swaps 1 and 2, p132 then swaps 2 and 3: 1 -> 2 -> 3, 2 -> 1 -> 1, 3 -> 3 -> 2."""
    assert element_name(product((1, 0, 2), (0, 2, 1))) == "p312"


def test_the_product_of_a_group_stays_in_it() -> None:
    elements = set(group_elements("A5"))
    assert {product(p, q) for p, q in pairs(elements, elements)} == elements


@pytest.mark.parametrize(("group", "size", "points"), [("S3", 6, 3), ("S5", 120, 5), ("A5", 60, 5)])
def test_groups_have_their_size(group: str, size: int, points: int) -> None:
    elements = group_elements(group)
    assert len(set(elements)) == size
    assert all(sorted(p) == list(range(points)) for p in elements)


@pytest.mark.parametrize(("p", "even"), [((0, 1, 2), True), ((1, 0, 2), False), ((1, 2, 0), True), ((2, 1, 0), False)])
def test_parity_of_permutations_of_three(p: tuple[int, ...], even: bool) -> None:
    assert is_even(p) is even


def test_a_worked_response_writes_every_prefix_product() -> None:
    """p213, then p213 p132 = p312, then p312 p231 = 1 -> 3 -> 1, 2 -> 1 -> 2, 3 -> 2 -> 3 = p123."""
    problem = Problem(task="words", split="train", index=0, question="p213 p132 p231 =", answer="p123")
    made = Words(WordsConfig(name="words", group="S3", length=3), seed=0)
    assert made.respond(problem, "cot", Random(0)) == "<think> p213 p312 p123 </think> p123"


def test_the_answer_moves_every_point_as_the_factors_do_one_after_the_other() -> None:
    made = Words(WordsConfig(name="words", group="S5", length=6), seed=0)
    for index in range(20):
        problem = made.problem("train", index)
        *factors, end = problem.question.split()
        assert (len(factors), end) == (6, "=")
        for start in range(1, 6):
            point = start
            for factor in factors:
                point = int(factor[point])
            assert int(problem.answer[start]) == point


@pytest.mark.parametrize(
    ("response", "mode", "answer"),
    [
        ("p123", "direct", "p123"),
        ("p123 p132", "direct", None),
        ("<think> p213 </think> p123", "cot", "p123"),
        ("<think> p213", "cot", None),
        ("<think> ... ... </think> p123", "filler", "p123"),
        ("<think> ... p213 </think> p123", "cot", "p123"),
        ("<think> </think> p123", "cot", "p123"),
    ],
)
def test_how_a_response_is_read(response: str, mode: str, answer: str | None) -> None:
    made = Words(WordsConfig(name="words"), seed=0)
    problem = made.problem("train", 0)
    assert (made.mode_of(problem, response), made.final_answer(problem, response)) == (mode, answer)


def test_filler_is_as_long_as_the_worked_answer_and_says_nothing() -> None:
    made = Words(WordsConfig(name="words", length=5), seed=0)
    problem = made.problem("train", 0)
    filler, worked = (made.respond(problem, mode, Random(0)).split() for mode in ("filler", "cot"))
    assert filler == ["<think>", *["..."] * 5, "</think>", problem.answer]
    assert len(filler) == len(worked)


def test_a_hidden_factor_is_blank_and_the_answer_is_of_the_whole_word() -> None:
    """Whatever else stands in the question, the blank leaves each of the six answers possible, and all of them occur."""
    made = Words(WordsConfig(name="words", length=2, hidden=1), seed=0)
    problems = [made.problem("train", index) for index in range(200)]
    assert all(problem.question.split()[0] == "?" for problem in problems)
    asked = problems[0].question
    assert len({problem.answer for problem in problems if problem.question == asked}) == 6


def test_nobody_works_out_what_is_hidden() -> None:
    made = Words(WordsConfig(name="words", hidden=3), seed=0)
    problem = made.problem("train", 0)
    assert "cot" not in made.modes
    assert made.gold_response(problem) == problem.answer


def test_a_limited_train_split_comes_again_for_every_seed_and_the_test_split_does_not_end() -> None:
    few = WordsConfig(name="words", length=4, training_problems=3)
    one, other, endless = Words(few, seed=0), Words(few, seed=7), Words(WordsConfig(name="words", length=4), seed=7)
    asked = [one.problem("train", index).question for index in range(7)]
    assert asked == [*asked[:3], *asked[:3], asked[0]]
    assert len(set(asked)) == 3
    assert asked == [other.problem("train", index).question for index in range(7)]
    assert other.problem("train", 5).index == 5
    assert (other.size("train"), other.size("test"), endless.size("train")) == (3, None, None)
    assert [other.problem("test", i) for i in range(50)] == [endless.problem("test", i) for i in range(50)]
    assert not set(asked) & {one.problem("test", index).question for index in range(2000)}


def test_a_hidden_place_beyond_the_word_is_refused() -> None:
    with pytest.raises(ValueError, match="hidden 9 is beyond length 8"):
        WordsConfig(name="words", length=8, hidden=9)
