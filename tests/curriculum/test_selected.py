"""Selection from a file's problems, by hand."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rlvr.config import ProblemsConfig, SelectConfig
from rlvr.curriculum.selected import Selected, Standing, Visits, standing, visited
from rlvr.curriculum.source import Stream, passed
from rlvr.errors import RlvrError
from rlvr.tasks import make_task
from rlvr.types import Group, Problem

Answered = Callable[..., Group]
BAND = SelectConfig(pass_rate=[0.25, 0.75], window=2)
RETIRE = SelectConfig(retire_after=2, solved_at=1.0)


def rates(select: SelectConfig, *outcomes: float) -> Visits:
    """What is remembered of a problem visited at steps 1, 2, … with these shares of right rollouts."""
    found: Visits | None = None
    for step, rate in enumerate(outcomes, start=1):
        found = visited(found, rate, step, select)
    assert found is not None
    return found


# ------------------------------------------------------------------------------------------------ standings


def test_a_problem_that_was_never_visited_is_active() -> None:
    assert standing(None, 1, BAND) is Standing.ACTIVE


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        ([0.25], Standing.ACTIVE),  # the ends of the band are in it
        ([0.75], Standing.ACTIVE),
        ([0.0], Standing.OUT_OF_BAND),
        ([1.0], Standing.OUT_OF_BAND),
        ([1.0, 0.25], Standing.ACTIVE),  # 0.625 over the last two
        ([0.25, 1.0, 1.0], Standing.OUT_OF_BAND),  # the first is over two visits ago
    ],
)
def test_the_pass_rate_over_the_last_visits_decides_the_band(outcomes: list[float], expected: Standing) -> None:
    assert standing(rates(BAND, *outcomes), 9, BAND) is expected


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        ([1.0], Standing.ACTIVE),
        ([1.0, 1.0], Standing.RETIRED),
        ([1.0, 0.75, 1.0], Standing.ACTIVE),
        ([0.0, 1.0, 1.0], Standing.RETIRED),
    ],
)
def test_visits_solved_in_a_row_retire_a_problem(outcomes: list[float], expected: Standing) -> None:
    assert standing(rates(RETIRE, *outcomes), 9, RETIRE) is expected


def test_solved_means_a_share_of_the_rollouts() -> None:
    select = SelectConfig(retire_after=1, solved_at=0.75)
    assert standing(rates(select, 0.75), 2, select) is Standing.RETIRED
    assert standing(rates(select, 0.5), 2, select) is Standing.ACTIVE


def test_what_was_left_out_returns_and_one_more_visit_decides() -> None:
    select = SelectConfig(retire_after=2, solved_at=1.0, return_after=5)
    solved = rates(select, 1.0, 1.0)  # last visited at step 2
    assert standing(solved, 6, select) is Standing.RETIRED
    assert standing(solved, 7, select) is Standing.ACTIVE
    assert standing(visited(solved, 1.0, 7, select), 8, select) is Standing.RETIRED
    assert standing(visited(solved, 0.5, 7, select), 8, select) is Standing.ACTIVE


def test_a_problem_that_is_both_solved_and_too_easy_counts_as_retired() -> None:
    select = SelectConfig(pass_rate=[0.0, 0.9], retire_after=1)
    assert standing(rates(select, 1.0), 2, select) is Standing.RETIRED


def test_the_verdicts_of_an_unreliable_verifier_are_believed(answered: Answered) -> None:
    group = answered(Problem(task="t", split="train", index=0, question="q", answer="a"), right=2)
    assert passed(group) == 2
    assert passed([replace(group[0], reward=0.0), *group[1:]]) == 1  # a right one failed
    assert passed([*group[:3], replace(group[3], reward=1.0)]) == 3  # a wrong one passed


# -------------------------------------------------------------------------------------------------- draws


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Selected]:
    """A selection from a file of problems q0, q1, … with difficulties 0, 1, …"""

    def build(count: int, **fields: Any) -> Selected:
        path = tmp_path / f"p{count}.jsonl"
        rows = [{"question": f"q{n}", "answer": "a", "difficulty": n} for n in range(count)]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        task = make_task(ProblemsConfig(name="problems", path=str(path), test_fraction=0.0), 0)
        return Selected(task, SelectConfig.model_validate(fields), path=str(path))

    return build


def questions(problems: Sequence[Problem]) -> list[str]:
    return [problem.question for problem in problems]


def visit(source: Selected, step: int, count: int, answered: Answered, right: Callable[[Problem], int]) -> list[str]:
    """One step: draw, answer, record; the questions drawn."""
    problems = source.next(step, count)
    source.record(step, [answered(problem, right(problem)) for problem in problems])
    return questions(problems)


def test_while_all_are_active_the_stream_is_that_of_the_file(make: Callable[..., Selected]) -> None:
    source = make(6, retire_after=9)
    plain = Stream(source._task)
    assert [source.next(step, 3) for step in (1, 2, 3)] == [plain.next(step, 3) for step in (1, 2, 3)]


def test_draws_are_numbered_through_the_run(make: Callable[..., Selected]) -> None:
    source = make(4, retire_after=9)
    indices = [problem.index for step in (1, 2) for problem in source.next(step, 3)]
    assert indices == [0, 1, 2, 3, 4, 5]


def test_only_the_difficulties_of_the_band_are_drawn(make: Callable[..., Selected]) -> None:
    source = make(10, difficulty=[2, 4])
    assert set(questions(source.next(1, 9))) == {"q2", "q3", "q4"}
    assert source.metrics()["problems/active"] == 3


def test_a_step_draws_no_problem_twice_even_over_several_calls(make: Callable[..., Selected]) -> None:
    source = make(5, retire_after=9)
    for step in range(1, 8):
        drawn = questions([*source.next(step, 3), *source.next(step, 2)])
        assert sorted(drawn) == ["q0", "q1", "q2", "q3", "q4"]


def test_a_step_of_more_problems_than_there_are_draws_each_as_often(make: Callable[..., Selected]) -> None:
    drawn = questions(make(2, retire_after=9).next(1, 4))
    assert sorted(drawn) == ["q0", "q0", "q1", "q1"]


def test_solved_problems_are_not_drawn_again(make: Callable[..., Selected], answered: Answered) -> None:
    """q0 and q1 are always solved: after both have been seen, the four others alone come."""
    source = make(6, retire_after=1)
    easy = {"q0", "q1"}
    visit(source, 1, 6, answered, lambda problem: 4 if problem.question in easy else 1)
    assert source.metrics() == {
        "problems/active": 4,
        "problems/retired": 2,
        "problems/out_of_band": 0,
        "problems/unseen": 0,
        "problems/recalled": 0,
        "problems/pass_rate": (2 * 1.0 + 4 * 0.25) / 6,
    }
    later = [visit(source, step, 2, answered, lambda _: 1) for step in range(2, 8)]
    assert {question for step in later for question in step} == {"q2", "q3", "q4", "q5"}


def test_too_few_active_problems_are_filled_up_with_those_left_out_the_longest(
    make: Callable[..., Selected], answered: Answered
) -> None:
    source = make(4, retire_after=1)
    first = visit(source, 1, 2, answered, lambda _: 4)
    second = visit(source, 2, 2, answered, lambda _: 4)
    assert source.metrics()["problems/active"] == 0
    assert sorted(visit(source, 3, 3, answered, lambda _: 4)[:2]) == sorted(first)
    assert source.metrics()["problems/recalled"] == 3
    assert visit(source, 4, 1, answered, lambda _: 4)[0] in second


def test_a_recalled_problem_that_is_no_longer_solved_is_active(
    make: Callable[..., Selected], answered: Answered
) -> None:
    source = make(2, retire_after=1)
    visit(source, 1, 2, answered, lambda _: 4)
    visit(source, 2, 2, answered, lambda _: 3)
    assert source.metrics()["problems/active"] == 2


def test_the_state_goes_on_as_if_nothing_had_been(make: Callable[..., Selected], answered: Answered) -> None:
    def right(problem: Problem) -> int:
        return int(problem.question[1:]) % 5

    def run(source: Selected, steps: range) -> list[list[str]]:
        return [visit(source, step, 3, answered, right) for step in steps]

    fields = {"pass_rate": [0.2, 0.8], "window": 2, "retire_after": 2, "return_after": 3}
    whole, stopped, resumed = (make(9, **fields) for _ in range(3))
    expected = run(whole, range(1, 13))
    run(stopped, range(1, 6))
    state = stopped.state_dict()
    before = json.dumps(state)
    stopped.next(6, 3)
    assert json.dumps(state) == before  # a step that is never finished leaves the state alone
    resumed.load_state_dict(json.loads(before))
    assert run(resumed, range(6, 13)) == expected[5:]
    assert (resumed.state_dict(), resumed.metrics()) == (whole.state_dict(), whole.metrics())


@pytest.mark.parametrize("difficulty", ['"hard"', "null", "true"])
def test_a_line_without_a_difficulty_is_named(difficulty: str, tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text('{"question": "q", "answer": "a", "difficulty": ' + difficulty + "}\n")
    task = make_task(ProblemsConfig(name="problems", path=str(path), test_fraction=0.0), 0)
    with pytest.raises(RlvrError, match=r"p\.jsonl:1: has no number as its difficulty"):
        Selected(task, SelectConfig(difficulty=[0.0, 1.0]), path=str(path))


def test_a_band_without_problems_is_refused(make: Callable[..., Selected]) -> None:
    with pytest.raises(RlvrError, match=r"select\.difficulty: is of none of the 4 problems"):
        make(4, difficulty=[7, 8])
