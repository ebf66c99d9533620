"""Steps of fixed shapes, recorded and replayed. What a CUDA graph does is played on the CPU by a tape of torch's own operations."""

from functools import partial

import pytest
import torch
from test_llama import MODELS, REQUESTS, SAMPLING, generate, model_of, numbers, tokens
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from rlvr.rollout import continuous, static
from rlvr.rollout.cache import KeyValueCache
from rlvr.rollout.llama import LlamaDecoder
from rlvr.rollout.static import StaticStep


class Tape(TorchDispatchMode):
    """Operations as a CUDA graph holds them: on these very tensors, with these very numbers, and nothing read by the host."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def __torch_dispatch__(self, func, _types, args=(), kwargs=None):
        assert func is not torch.ops.aten._local_scalar_dense.default, "the host waits for a number"
        found = func(*args, **(kwargs or {}))
        self.calls.append((func, args, kwargs or {}, found))
        return found

    def replay(self):
        for func, args, kwargs, before in self.calls:
            found = func(*args, **kwargs)
            for old, new in zip(tree_leaves(before), tree_leaves(found), strict=True):
                if isinstance(old, torch.Tensor) and old.data_ptr() != new.data_ptr():
                    old.copy_(new)


def taped(work, recorded):
    tape = Tape()
    with tape:
        found = work()
    recorded.append(len(tape.calls))

    def replay():
        tape.replay()
        return found

    return replay


@pytest.fixture
def recorded(monkeypatch):
    """All batches take recorded steps, of lengths rounded up to 8; of each recording, its number of operations."""
    found = []
    monkeypatch.setattr(static, "COLUMNS", 8)
    monkeypatch.setattr(
        continuous, "step_of", lambda decoder, cache: StaticStep(decoder, cache, partial(taped, recorded=found))
    )
    return found


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("batch_size", [64, 7])
def test_recorded_steps_write_what_others_do(name, batch_size, recorded, monkeypatch):
    static_ones = generate(model_of(name), batch_size=batch_size)
    assert len(recorded) > 1
    assert min(recorded) > 20
    monkeypatch.undo()
    others = generate(model_of(name), batch_size=batch_size)
    assert tokens(static_ones) == tokens(others)
    torch.testing.assert_close(numbers(static_ones), numbers(others), atol=1e-4, rtol=0)


def test_in_bfloat16_a_replay_is_the_work_itself_bit_for_bit(recorded, monkeypatch):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        replayed = generate(model_of("llama"))
        assert recorded
        monkeypatch.setattr(continuous, "step_of", lambda decoder, cache: StaticStep(decoder, cache, lambda work: work))
        again = generate(model_of("llama"))
    assert tokens(replayed) == tokens(again)
    assert torch.equal(numbers(replayed), numbers(again))


def test_shapes_are_few(recorded):
    """Rows end one by one and each makes the cache longer, yet only so many shapes are recorded."""
    generate(model_of("llama"), batch_size=16)
    halves = 5  # 16, 8, 4, 2, 1 rows
    lengths = 4  # of at most 9 + 20 positions
    written = SAMPLING.max_new_tokens * len(REQUESTS)
    assert len(recorded) <= halves * lengths < written


def test_a_step_is_run_then_recorded_then_replayed():
    told = []

    def record(work):
        told.append("recorded")

        def replay():
            told.append("replayed")
            return work()

        return replay

    model = model_of("llama")
    with torch.inference_mode():
        cache = KeyValueCache(model.config, 6, 40, torch.float32, model.device)
        step = StaticStep(LlamaDecoder(model, 40, torch.float32), cache, record)
        plain = KeyValueCache(model.config, 6, 40, torch.float32, model.device)
        for position in range(3):
            read = torch.tensor([5, 6]), torch.tensor([position, position])
            torch.testing.assert_close(step(*read), LlamaDecoder(model, 40, torch.float32).step(*read, plain))
        assert told == ["recorded", "replayed", "replayed"]
        step(torch.tensor([5, 6, 7]), torch.tensor([3, 3, 0]))  # three rows of six: another part of the same shape
        assert told[3:] == ["replayed"]
        step(torch.tensor([5, 6, 7, 8]), torch.tensor([4, 4, 1, 0]))  # four need all six
        assert told[4:] == []
