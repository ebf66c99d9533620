"""metrics.jsonl: one row a step, whole after a crash."""

import json
from pathlib import Path

import pytest

from rlvr.runtime.metrics import MetricsFile, read_rows


def written(path: Path, steps: range) -> Path:
    file = MetricsFile(path, last_step=0)
    for step in steps:
        file.write(step, {"train/loss": step / 2})
    file.close()
    return path


def test_rows_are_read_as_they_were_written(tmp_path: Path) -> None:
    path = written(tmp_path / "metrics.jsonl", range(1, 3))
    assert read_rows(path) == [{"step": 1, "train/loss": 0.5}, {"step": 2, "train/loss": 1.0}]


def test_a_row_is_on_disk_before_the_file_is_closed(tmp_path: Path) -> None:
    file = MetricsFile(tmp_path / "metrics.jsonl", last_step=0)
    file.write(1, {"train/loss": 0.5})
    assert len(read_rows(tmp_path / "metrics.jsonl")) == 1
    file.close()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_value_that_is_not_finite_is_null(value: float, tmp_path: Path) -> None:
    file = MetricsFile(tmp_path / "metrics.jsonl", last_step=0)
    file.write(1, {"train/loss": value})
    file.close()
    assert json.loads((tmp_path / "metrics.jsonl").read_text()) == {"step": 1, "train/loss": None}


def test_a_last_line_cut_off_by_a_crash_is_left_out(tmp_path: Path) -> None:
    path = written(tmp_path / "metrics.jsonl", range(1, 3))
    path.write_text(path.read_text()[:-5])
    assert [row["step"] for row in read_rows(path)] == [1]


def test_no_file_has_no_rows(tmp_path: Path) -> None:
    assert read_rows(tmp_path / "metrics.jsonl") == []


def test_reopening_drops_rows_after_the_checkpoint(tmp_path: Path) -> None:
    path = written(tmp_path / "metrics.jsonl", range(1, 6))
    path.write_text(path.read_text() + '{"step": 6, "tr')
    file = MetricsFile(path, last_step=3)
    file.write(4, {"train/loss": 7.0})
    file.close()
    assert [(row["step"], row["train/loss"]) for row in read_rows(path)] == [(1, 0.5), (2, 1.0), (3, 1.5), (4, 7.0)]
