"""Sums modulo M: what is asked, how it is answered, how demonstrators err."""

from random import Random

import pytest
from pydantic import ValidationError

from rlvr.config import ModsumConfig
from rlvr.errors import RlvrError
from rlvr.tasks.modsum import DISTRACTORS, Modsum
from rlvr.types import Problem


def task(**fields: object) -> Modsum:
    return Modsum(ModsumConfig.model_validate({"name": "modsum", **fields}), seed=0)


def ask(question: str) -> Problem:
    return Problem(task="modsum", split="train", index=0, question=question, answer="")


def chain_of(response: str) -> list[int]:
    return [int(word) for word in response.removeprefix("<think> ").partition(" </think>")[0].split()]


def test_a_question_is_digits_and_the_answer_their_sum() -> None:
    made = task(modulus=7, length=5)
    for index in range(20):
        problem = made.problem("train", index)
        *digits, end = problem.question.split()
        assert (len(digits), end) == (5, "=")
        assert all(0 <= int(digit) < 7 for digit in digits)
        assert problem.answer == str(sum(map(int, digits)) % 7)


@pytest.mark.parametrize(
    ("mode", "response"),
    [
        ("direct", "0"),
        ("cot", "<think> 4 2 4 3 0 </think> 0"),
        ("leap2", "<think> 2 3 0 </think> 0"),  # the second and fourth sum, then the last
        ("leap4", "<think> 3 0 </think> 0"),
    ],
)
def test_a_tagged_response(mode: str, response: str) -> None:
    """4 + 3 + 2 + 4 + 2 modulo 5, whose running sums are 4, 2, 4, 3, 0."""
    assert task(modulus=5, length=5, leaps=[1, 2, 4]).respond(ask("4 3 2 4 2 ="), mode, Random(0)) == response


@pytest.mark.parametrize(("mode", "response"), [("cot", "<think> by1 4 2 4 </think> 4"), ("direct", "4")])
def test_an_announced_chain_says_first_how_it_goes(mode: str, response: str) -> None:
    made = task(modulus=5, length=3, leaps=[1, 2], announced=True)
    assert made.respond(ask("4 3 2 ="), mode, Random(0)) == response
    assert made.final_answer(ask("4 3 2 ="), response) == "4"
    assert "by1 by2" in list(made.alphabet())


@pytest.mark.parametrize(
    ("response", "mode"),
    [
        ("<think> by4 3 0 </think> 0", "leap4"),
        ("<think> by1 3 0 </think> 0", "leap4"),  # it goes otherwise than it says
        ("<think> by4 1 0 1 1 0 1 1 0 </think> 0", "cot"),
        ("<think> 3 by1 0 0 0 </think> 0", "leap2"),  # five words, none of them where an announcement stands
        ("<think> by1", "leap4"),
        ("by1 0", "direct"),
    ],
)
def test_a_mode_is_what_a_chain_does_not_what_it_announces(response: str, mode: str) -> None:
    made = task(modulus=5, length=8, leaps=[1, 2, 4], announced=True)
    assert made.mode_of(ask("0 0 0 0 0 0 0 0 ="), response) == mode


def test_an_untagged_chain_cannot_be_announced() -> None:
    with pytest.raises(ValueError, match="announced is for tagged chains"):
        task(tagged=False, announced=True)


def test_a_leap_that_divides_the_length_does_not_write_the_last_sum_twice() -> None:
    response = task(modulus=10, length=4, leaps=[2]).respond(ask("1 2 3 5 ="), "leap2", Random(0))
    assert response == "<think> 3 1 </think> 1"


@pytest.mark.parametrize(("mode", "response"), [("direct", "4"), ("cot", "4 2 4"), ("leap2", "2 4")])
def test_an_untagged_response_is_the_chain_alone(mode: str, response: str) -> None:
    made = task(modulus=5, length=3, leaps=[1, 2], tagged=False)
    assert made.respond(ask("4 3 2 ="), mode, Random(0)) == response
    assert made.final_answer(ask("4 3 2 ="), response) == "4"
    assert made.mode_of(ask("4 3 2 ="), response) == mode


def test_with_empty_thoughts_a_direct_answer_has_tags_too() -> None:
    made = task(modulus=5, length=3, empty_thoughts=True)
    direct, cot = (made.respond(ask("4 3 2 ="), mode, Random(0)) for mode in ("direct", "cot"))
    assert (direct, cot) == ("<think> </think> 4", "<think> 4 2 4 </think> 4")
    for response, mode in ((direct, "direct"), (cot, "cot")):
        assert made.final_answer(ask("4 3 2 ="), response) == "4"
        assert made.mode_of(ask("4 3 2 ="), response) == mode


@pytest.mark.parametrize(
    ("response", "mode"),
    [("", "direct"), ("4", "direct"), ("<think>", "direct"), ("<think> 4", "direct"), ("<think> 4 2", "cot")],
)
def test_with_empty_thoughts_the_nearest_length_may_be_none(response: str, mode: str) -> None:
    assert task(modulus=5, length=3, empty_thoughts=True).mode_of(ask("4 3 2 ="), response) == mode


def test_empty_thoughts_without_tags_are_refused() -> None:
    with pytest.raises(ValidationError, match="empty_thoughts"):
        task(tagged=False, empty_thoughts=True)


@pytest.mark.parametrize("tagged", [True, False])
def test_distractors_come_first_and_count_for_nothing(tagged: bool) -> None:
    made = task(modulus=5, length=3, distractors=4, tagged=tagged)
    words = made.respond(ask("4 3 2 ="), "cot", Random(0)).split()
    assert all(word in DISTRACTORS for word in words[:4])
    assert words[4:] == ("<think> 4 2 4 </think> 4" if tagged else "4 2 4").split()
    assert made.final_answer(ask("4 3 2 ="), " ".join(words)) == "4"
    assert made.mode_of(ask("4 3 2 ="), " ".join(words)) == "cot"


def test_distractors_are_drawn_freely() -> None:
    made = task(distractors=1)
    drawn = {made.respond(made.problem("train", 0), "direct", Random(i)).split()[0] for i in range(400)}
    assert drawn == set(DISTRACTORS)


@pytest.mark.parametrize(
    ("response", "mode"),
    [
        ("", "direct"),
        ("1 0 1", "direct"),
        ("<think> 1 0 1 1 0 1 1 </think> 1", "cot"),  # 7 sums of 8, and an answer
        ("<think> 1 0 1 1 0 1", "cot"),
        ("<think> 1 0 1 </think> 1", "leap4"),
        ("<think>", "leap4"),
        ("<think>1 0 1 1 0 1 1 0</think>0", "cot"),  # tags need no spaces around them, as final_answer has it too
    ],
)
def test_a_bad_tagged_response_is_of_the_mode_whose_length_is_nearest(response: str, mode: str) -> None:
    assert task(length=8, leaps=[1, 4]).mode_of(ask("0 0 0 0 0 0 0 0 ="), response) == mode


@pytest.mark.parametrize(
    "response", ["", "   ", "0 1", "<think> 1 0", "<think> 1 0 </think>", "<think> 1 </think> 1 0"]
)
def test_a_tagged_response_without_one_answer_gives_none(response: str) -> None:
    assert task().final_answer(ask("1 0 ="), response) is None


def test_the_mode_follows_from_the_length_of_the_problem_not_of_the_task() -> None:
    """Four words are every sum of four digits, and every fourth of sixteen."""
    made, response = task(length=16, leaps=[1, 4]), "<think> 1 1 0 0 </think> 0"
    assert made.mode_of(ask("1 0 1 0 ="), response) == "cot"
    assert made.mode_of(ask("1 0 1 0 " * 4 + "="), response) == "leap4"


def test_an_empty_untagged_response_gives_no_answer() -> None:
    assert task(tagged=False).final_answer(ask("1 0 ="), " ") is None


def test_gold_is_the_longest_leap_without_errors_or_distractors() -> None:
    made = task(modulus=5, length=3, leaps=[1, 2], error_rate=1.0, distractors=2)
    assert made.gold_response(ask("4 3 2 =")) == "<think> 2 4 </think> 4"


def test_too_few_problems_to_split_are_refused() -> None:
    with pytest.raises(RlvrError, match=r"task\.length: 2\^5 problems are too few"):
        task(modulus=2, length=5)


# ------------------------------------------------------------------------------------------------ errors


def wrong_steps(made: Modsum, modulus: int, problems: int) -> list[tuple[tuple[int, int], bool]]:
    """((sum so far, digit), whether what a demonstrator wrote next is wrong) for every step of some problems."""
    rng, steps = Random(0), []
    for index in range(problems):
        problem = made.problem("train", index)
        digits = [int(word) for word in problem.question.split()[:-1]]
        total = 0
        for digit, written in zip(digits, chain_of(made.respond(problem, "cot", rng)), strict=True):
            steps.append(((total, digit), written != (total + digit) % modulus))
            total = written
    return steps


@pytest.mark.parametrize("rate", [0.05, 0.3, 1.0])
def test_random_errors_have_the_share_that_is_set(rate: float) -> None:
    """4000 steps: three standard deviations are at most 0.022."""
    steps = wrong_steps(task(modulus=10, error_rate=rate), 10, 250)
    assert len(steps) == 4000
    assert sum(wrong for _, wrong in steps) / 4000 == pytest.approx(rate, abs=0.022)


def test_random_errors_hit_a_pair_now_and_then() -> None:
    steps = wrong_steps(task(modulus=2, error_rate=0.5), 2, 20)
    assert {wrong for pair, wrong in steps if pair == (1, 1)} == {True, False}


def test_biased_errors_always_hit_the_same_pairs() -> None:
    steps = wrong_steps(task(modulus=10, error_rate=0.3, error_kind="biased"), 10, 250)
    wrong, right = {pair for pair, bad in steps if bad}, {pair for pair, bad in steps if not bad}
    assert not wrong & right
    assert len(wrong) / 100 == pytest.approx(0.3, abs=0.15)  # of 100 pairs; 0.15 is three standard deviations


def test_biased_errors_happen_at_modulus_2_too() -> None:
    """A quarter of four pairs is one pair; a rate that hits none would have no effect."""
    steps = wrong_steps(task(modulus=2, error_rate=0.25, error_kind="biased"), 2, 20)
    assert len({pair for pair, bad in steps if bad}) == 1


def test_errors_are_carried_on_to_the_answer() -> None:
    made = task(modulus=10, error_rate=0.5)
    response = made.respond(made.problem("train", 0), "cot", Random(0))
    assert made.final_answer(made.problem("train", 0), response) == str(chain_of(response)[-1])


def test_a_demonstrator_errs_when_answering_at_once_too() -> None:
    """At error rate 1 and M = 2 every step flips: an odd number of steps gives the wrong sum."""
    made = task(modulus=2, length=7, error_rate=1.0)
    problem = made.problem("train", 0)
    assert made.respond(problem, "direct", Random(0)) == str(1 - int(problem.answer))


@pytest.mark.parametrize(
    ("response", "relevant"),
    [
        ("~1 ~15 <think> 1 </think> 0", "<think> 1 </think> 0"),
        ("  ~1   0", "0"),
        ("0 ~1", "0 ~1"),
        ("~1 ~2", ""),
        ("", ""),
        ("~16 0", "~16 0"),
    ],
)
def test_all_but_the_free_tokens_before_it_matters(response: str, relevant: str) -> None:
    [(start, end)] = task(distractors=4).relevant(response)
    assert response[start:end] == relevant
