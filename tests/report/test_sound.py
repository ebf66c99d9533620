"""What lines of a run directory must hold before anything is computed from them."""

from __future__ import annotations

import pytest

from rlvr.report import sound


@pytest.mark.parametrize(
    ("name", "value", "wrong"),
    [
        ("mode/cot/probability", 1.5, "is no share"),
        ("mode/cot/probability", -0.1, "is no share"),
        ("mode/cot/probability", float("nan"), None),
        ("mode/cot/probability", 1.0, None),
        ("mode/cot/probability", None, None),
        ("eval/sums/accuracy_low", -1.0, "is no share"),
        ("tokens/rollout", -4.0, "is no count"),
        ("tokens/rollout", 0, None),
        ("train/loss", -4.0, None),
        ("train/loss", "4", "is no number"),
    ],
)
def test_a_row_with_an_impossible_value_is_damaged(name: str, value: object, wrong: str | None) -> None:
    found = sound.row({"step": 1, name: value})
    assert found == (None if wrong is None else f"{name!r} {wrong}")


@pytest.mark.parametrize(
    ("task", "wrong"), [("sums", None), (None, None), ({"a": "b"}, "task is no name"), ([1], "task is no name")]
)
def test_a_rollout_whose_task_is_no_name_is_damaged(task: object, wrong: str | None) -> None:
    assert sound.rollout({"task": task, "index": 0}) == wrong
