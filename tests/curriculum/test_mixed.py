"""Sources in fixed proportions."""

import json
from collections import Counter
from collections.abc import Callable

from rlvr.config import ArithmeticConfig, CurriculumConfig, ModsumConfig
from rlvr.curriculum.levels import Levels
from rlvr.curriculum.mixed import Mixed
from rlvr.curriculum.source import Stream
from rlvr.tasks import make_task
from rlvr.tasks.mixture import Member
from rlvr.types import Group

CURRICULUM = CurriculumConfig(dial="length", values=[6, 8], window=1)


def mixed() -> Mixed:
    levels = [Member("parity", make_task(ModsumConfig(name="modsum", length=length), 0)) for length in (6, 8)]
    sums = Member("sums", make_task(ArithmeticConfig(name="arithmetic"), 0))
    return Mixed({"parity": Levels(levels, CURRICULUM, seed=0), "sums": Stream(sums)}, {"parity": 1.0, "sums": 3.0})


def test_every_step_has_its_shares_to_within_one_problem() -> None:
    source = mixed()
    for step in range(1, 10):
        shares = Counter(problem.task for problem in source.next(step, 6))
        assert abs(shares["parity"] - 1.5) < 1
        assert abs(shares["sums"] - 4.5) < 1


def test_each_source_goes_on_in_its_own_order_and_draws_are_numbered() -> None:
    source, alone = mixed(), make_task(ArithmeticConfig(name="arithmetic"), 0)
    problems = [*source.next(1, 5), *source.next(1, 3)]
    sums = [problem.question for problem in problems if problem.task == "sums"]
    assert sums == [alone.problem("train", index).question for index in range(len(sums))]
    assert [problem.index for problem in problems] == list(range(8))


def test_groups_are_recorded_with_their_own_source(answered: Callable[..., Group]) -> None:
    source = mixed()
    source.record(1, [answered(problem, 4 if problem.task == "parity" else 0) for problem in source.next(1, 4)])
    assert source.metrics() == {
        "task/parity/curriculum/level": 1, "task/parity/curriculum/length": 6, "task/parity/curriculum/pass_rate": 1.0,
    }  # fmt: skip
    assert {p.metadata.get("length") for p in source.next(2, 4) if p.task == "parity"} == {8}


def test_the_state_goes_on_as_if_nothing_had_been(answered: Callable[..., Group]) -> None:
    whole, resumed = mixed(), mixed()
    whole.record(1, [answered(problem, 4) for problem in whole.next(1, 3)])
    resumed.load_state_dict(json.loads(json.dumps(whole.state_dict())))
    assert resumed.next(2, 7) == whole.next(2, 7)
    assert resumed.state_dict() == whole.state_dict()
