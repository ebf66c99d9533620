"""Work on several threads is that of one, whatever comes in between."""

import pytest
import torch

from rlvr.errors import StopRequestedError
from rlvr.rollout.native import ROWS_EACH, workers_for
from rlvr.runtime.threads import CACHED_BYTES, deal, side_by_side

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    assert torch.get_num_threads() == 2
    torch.set_num_threads(before)


def test_small_models_get_a_thread_for_each_processor_if_there_are_rows_enough(monkeypatch):
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    assert workers_for(2 * ROWS_EACH, parameter_bytes=1000, device=CPU) == 2
    assert workers_for(2 * ROWS_EACH - 1, parameter_bytes=1000, device=CPU) == 1
    assert workers_for(1, parameter_bytes=1000, device=CPU) == 1
    assert workers_for(1000, parameter_bytes=CACHED_BYTES + 1, device=CPU) == 1
    assert workers_for(1000, parameter_bytes=1000, device=torch.device("cuda")) == 1
    monkeypatch.setenv("OMP_WAIT_POLICY", "passive")
    assert workers_for(1000, parameter_bytes=CACHED_BYTES + 1, device=CPU) == 2


def test_every_work_is_dealt_once_and_large_ones_to_all():
    sizes = [9, 1, 8, 2, 7, 3]
    assert deal(sizes, 2) == [[1, 4, 2], [3, 5, 0]]
    assert deal(sizes, 1) == [[1, 3, 5, 4, 2, 0]]


def test_threads_compute_in_the_callers_modes_with_a_share_of_the_processors():
    seen = []

    def work(tell):
        seen.append((torch.get_num_threads(), torch.is_inference_mode_enabled(), torch.is_autocast_enabled("cpu")))
        tell(len(seen), [])

    told = []
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        side_by_side([work, work], lambda index, _completions: told.append(index), openmp=1)
    side_by_side([work, work], lambda index, _completions: told.append(index), openmp=1)
    assert seen == [(1, True, True)] * 2 + [(1, False, False)] * 2
    assert sorted(told) == [1, 2, 3, 4]


def test_what_a_thread_raises_is_raised_to_the_caller_and_stops_the_others():
    told = []

    def endless(tell):
        while True:
            tell(0, [])

    def broken(tell):
        tell(1, [])
        raise StopRequestedError(15)

    with pytest.raises(StopRequestedError):
        side_by_side([endless, broken], lambda index, _completions: told.append(index), openmp=1)
    assert 1 in told


def test_what_the_caller_raises_stops_the_threads():
    def endless(tell):
        while True:
            tell(0, [])

    def refuse(_index, _completions):
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        side_by_side([endless, endless], refuse, openmp=1)
