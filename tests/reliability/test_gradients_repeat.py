"""Gradients are added up in the same order every time, also where threads share the work."""

from pathlib import Path

import pytest
from conftest import TASK, call, final_weights, read_metrics, write_config


@pytest.mark.check("R4")
def test_a_large_batch_on_several_threads_trains_the_same_model_twice(tmp_path: Path) -> None:
    tree = {
        "model": {"layers": 1, "width": 64, "heads": 2, "max_positions": 64},
        "task": TASK,
        "data": {"mixture": {"direct": 1.0}},
        "train": {"max_steps": 1, "learning_rate": 1e-3, "batch_tokens": 12288, "micro_batch_tokens": 12288},
    }
    config, runs = write_config(tmp_path / "large.yaml", tree), [tmp_path / name for name in ("a", "b", "c")]
    for run in runs:
        assert call("pretrain", config, "--run", run).code == 0
    for run in runs[1:]:
        assert final_weights(run) == final_weights(runs[0])
        assert read_metrics(run) == read_metrics(runs[0])
