"""Rollouts that are not of the policy that is trained stop the run, and the line names the side that is at fault."""

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from conftest import World, call, read_metrics, write_config

from rlvr.rollout import ENGINES
from rlvr.rollout.native import NativeEngine

STEPS = {"max_steps": 6, "learning_rate": 1e-2, "save_every": 1}


@pytest.fixture
def stopped(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Run rl with an engine in the place of native. Returns the line it stops with."""

    def run(engine: type, **changes: object) -> str:
        monkeypatch.setitem(ENGINES, "native", engine)
        tree = yaml.safe_load(world.configs["rl"].read_text())
        del tree["eval"]
        config = write_config(tmp_path / "rl.yaml", {**tree, "train": STEPS, **changes})
        answer = call("rl", config, "--run", tmp_path / "run")
        assert answer.code == 3, answer.err
        return answer.err.splitlines()[-1]

    return run


class Stale(NativeEngine):
    """An engine that keeps the weights that it was made with."""

    def __init__(self, model, **options):
        super().__init__(copy.deepcopy(model), **options)


class Stuck(NativeEngine):
    """An engine that is no longer brought up to date after it has sampled three times."""

    def __init__(self, model, **options):
        super().__init__(copy.deepcopy(model), **options)
        self.trained, self.calls = model, 0

    def generate(self, requests, sampling, finished):
        self.calls += 1
        if self.calls <= 3:
            self._model.load_state_dict(self.trained.state_dict())
        super().generate(requests, sampling, finished)


class Wrong(NativeEngine):
    """An engine with the trained weights that records other log-probabilities from its n-th time on."""

    begin = 1

    def __init__(self, model, **options):
        super().__init__(model, **options)
        self.calls = 0

    def generate(self, requests, sampling, finished):
        self.calls += 1
        off = 0.125 if self.calls >= self.begin else 0.0

        def moved(index, completions):
            finished(index, [replace(c, logprobs=[value - off for value in c.logprobs]) for c in completions])

        super().generate(requests, sampling, moved)


class LaterWrong(Wrong):
    begin = 3


def test_a_sampler_with_the_first_weights_is_named(stopped: Callable[..., str], tmp_path: Path) -> None:
    line = stopped(Stale)
    assert "step 2: rollout/logprob_gap_max is" in line
    assert "the sampler is stale: they are those of the weights that the run began from" in line
    assert [row["step"] for row in read_metrics(tmp_path / "run")] == [1]


def test_a_sampler_that_stopped_following_is_named_with_the_step_of_its_weights(stopped: Callable[..., str]) -> None:
    """It samples step 3 with the weights after step 2, and step 4 with the same."""
    line = stopped(Stuck)
    assert "step 4: rollout/logprob_gap_max is" in line
    assert "the sampler is stale: they are those of the weights after step 2" in line


def test_before_the_first_update_the_weights_cannot_be_at_fault(stopped: Callable[..., str]) -> None:
    line = stopped(Wrong)
    assert "step 1: rollout/logprob_gap_max is 0.125, above 0.001" in line
    assert "both sides have the same weights: sampling and training disagree" in line


def test_what_cannot_be_told_is_not_told(stopped: Callable[..., str]) -> None:
    line = stopped(LaterWrong)
    assert "step 3: rollout/logprob_gap_max is 0.125, above 0.001" in line
    assert "which side is stale cannot be told" in line
    assert "the weights that the run began from, the weights after step 1, the weights after step 2" in line


def test_a_sampler_that_is_staler_than_it_should_be_is_named(stopped: Callable[..., str]) -> None:
    """With a staleness of 1, step 2 samples from the first weights as it should, and step 3 no longer."""
    line = stopped(Stale, algo={"staleness": 1})
    assert "step 3: rollout/logprob_gap_max is" in line
    assert "the sampler is stale: they are those of the weights that the run began from" in line
