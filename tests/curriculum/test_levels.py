"""Curricula over a dial, by hand."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from rlvr.config import CurriculumConfig, ModsumConfig
from rlvr.curriculum.levels import Levels
from rlvr.tasks import make_task
from rlvr.types import Group, Problem

Answered = Callable[..., Group]
VALUES = [6, 8, 16]


def levels(seed: int = 0, **fields: Any) -> Levels:
    config = CurriculumConfig.model_validate({"dial": "length", "values": VALUES, "window": 2, **fields})
    tasks = [make_task(ModsumConfig(name="modsum", length=length), seed) for length in VALUES]
    return Levels(tasks, config, seed=seed)


def run(source: Levels, shares: list[int], answered: Answered, start: int = 1) -> list[int]:
    """Steps of two problems, each answered right so many times of four; the level of every step."""
    found = []
    for step, right in enumerate(shares, start=start):
        problems = source.next(step, 2)
        source.record(step, [answered(problem, right) for problem in problems])
        found.append(int(source.metrics()["curriculum/length"]))
    return found


def test_a_problem_is_of_its_level_and_says_so() -> None:
    [problem] = levels().next(1, 1)
    assert (len(problem.question.split()) - 1, problem.metadata, problem.index) == (6, {"length": 6}, 0)


def test_the_level_rises_once_the_window_is_full_of_success(answered: Answered) -> None:
    """0.75 and 1.0 are 0.875 over the window, at least 0.8. After a move the window begins anew."""
    assert run(levels(), [3, 4, 4, 4, 4, 4], answered) == [6, 6, 8, 8, 16, 16]


def test_the_level_stays_below_the_rate_that_raises_it(answered: Answered) -> None:
    assert run(levels(), [3, 3, 3, 3], answered) == [6, 6, 6, 6]


def test_only_the_window_counts(answered: Answered) -> None:
    assert run(levels(), [0, 0, 4, 4, 0], answered) == [6, 6, 6, 6, 8]


def test_the_hardest_level_is_the_last(answered: Answered) -> None:
    assert run(levels(window=1), [4, 4, 4, 4], answered) == [6, 8, 16, 16]


def test_failure_lowers_the_level_if_that_is_asked_for(answered: Answered) -> None:
    assert run(levels(window=1, lower_at=0.25), [4, 1, 0, 2, 4], answered) == [6, 8, 6, 6, 6]
    assert run(levels(window=1), [4, 1, 0, 2], answered) == [6, 8, 8, 8]


def test_the_metrics_are_level_value_and_the_rate_that_decides(answered: Answered) -> None:
    source = levels()
    run(source, [1, 2], answered)
    assert source.metrics() == {"curriculum/level": 1, "curriculum/length": 6, "curriculum/pass_rate": 0.375}


def test_recording_in_parts_is_recording_at_once(answered: Answered) -> None:
    """A step that is filled up draws and records several times."""
    source = levels(window=1)
    for right in (4, 0):
        source.record(1, [answered(problem, right) for problem in source.next(1, 2)])
    assert source.metrics()["curriculum/pass_rate"] == 0.5
    assert source.next(2, 1)[0].metadata == {"length": 6}


def test_a_share_stays_on_earlier_levels_and_does_not_decide(answered: Answered) -> None:
    """Of 600 draws at the third level a third, give or take three standard deviations, are from the two before."""
    source = levels(window=1, earlier=1 / 3)
    run(source, [4, 4], answered)
    problems = source.next(3, 600)
    drawn = [problem.metadata["length"] for problem in problems]
    assert drawn.count(16) == pytest.approx(400, abs=35)
    assert drawn.count(6) == pytest.approx(100, abs=28)
    source.record(3, [answered(problem, 4 if problem.metadata["length"] == 16 else 0) for problem in problems])
    assert source.metrics()["curriculum/pass_rate"] == 1.0


def test_no_problem_comes_twice_and_draws_are_numbered(answered: Answered) -> None:
    source = levels(window=1, earlier=0.5)
    problems: list[Problem] = []
    for step in (1, 2, 3, 4):
        drawn = source.next(step, 5)
        source.record(step, [answered(problem, 4) for problem in drawn])
        problems += drawn
    long = [problem.question for problem in problems if problem.metadata["length"] == 16]
    assert len(set(long)) == len(long)
    assert [problem.index for problem in problems] == list(range(20))


def test_the_state_goes_on_as_if_nothing_had_been(answered: Answered) -> None:
    shares = [4, 3, 4, 0, 0, 4, 4, 4]
    whole, stopped, resumed = (levels(earlier=0.3, lower_at=0.2) for _ in range(3))
    expected = run(whole, shares, answered)
    run(stopped, shares[:3], answered)
    state = stopped.state_dict()
    before = json.dumps(state)
    stopped.next(4, 2)
    assert json.dumps(state) == before
    resumed.load_state_dict(json.loads(before))
    assert run(resumed, shares[3:], answered, start=4) == expected[3:]
    assert resumed.state_dict() == whole.state_dict()
