"""Lines that runs wrote, read back by who wants what is left of a damaged file."""

import json
from pathlib import Path
from typing import Any

import pytest

from rlvr.report import sound
from rlvr.runtime.written import sound_lines


def sound_or_not(_: dict[str, Any]) -> None:
    return None


def test_sound_lines_keep_their_numbers_and_the_others_are_named(tmp_path: Path) -> None:
    file = tmp_path / "f.jsonl"
    file.write_text('{"step": 1}\n[\n{"step": 3}\n7\n{"step": "x"}\n\n{"step": 7}')
    lines, left_out = sound_lines(file, {"step": int}, sound_or_not)
    assert lines == {0: {"step": 1}, 2: {"step": 3}, 6: {"step": 7}}
    assert left_out == (
        f"{file}: 4 of 7 lines are damaged and left out: line 2 (not JSON), line 4 (not a JSON object), "
        "line 5 (step is missing or of another kind) and 1 more"
    )


def test_a_flaw_is_asked_for_of_what_has_its_fields(tmp_path: Path) -> None:
    file = tmp_path / "f.jsonl"
    file.write_text('{"step": 1}\n{"step": -1}\n{}\n')
    lines, left_out = sound_lines(file, {"step": int}, lambda row: "below 0" if row["step"] < 0 else None)
    assert list(lines) == [0]
    assert left_out is not None
    assert left_out.endswith("line 2 (below 0), line 3 (step is missing or of another kind)")


def test_without_a_file_there_is_nothing_and_nothing_is_wrong(tmp_path: Path) -> None:
    assert sound_lines(tmp_path / "none", {}, sound_or_not) == ({}, None)


@pytest.mark.parametrize("kind", ["folder", "loop", "dangling"])
def test_what_is_no_file_has_no_lines_and_is_named(kind: str, tmp_path: Path) -> None:
    file = tmp_path / "f"
    if kind == "folder":
        file.mkdir()
    else:
        file.symlink_to(file if kind == "loop" else tmp_path / "gone")
    lines, left_out = sound_lines(file, {}, sound_or_not)
    assert lines == {}
    assert left_out is not None
    assert str(file) in left_out


def test_a_truth_value_is_no_number(tmp_path: Path) -> None:
    file = tmp_path / "f.jsonl"
    file.write_text('{"a": true}\n{"a": 1}\n')
    assert list(sound_lines(file, {"a": (int, float)}, sound_or_not)[0]) == [1]
    assert list(sound_lines(file, {"a": bool}, sound_or_not)[0]) == [0]


@pytest.mark.parametrize(
    ("value", "number"),
    [(1, True), (-2.5, True), (True, False), (float("nan"), False), (float("inf"), False), (10**200, False), ("1", False), (None, False)],
)  # fmt: skip
def test_what_is_a_number(value: object, number: bool) -> None:
    assert sound.is_number(value) is number
    assert sound.are_numbers([0.5, value]) is number


def test_tokens_are_small_whole_numbers() -> None:
    assert sound.are_tokens([])
    assert sound.are_tokens([0, 2**32 - 1])
    assert not any(sound.are_tokens([each]) for each in (-1, 2**32, 1.0, True, "1", None))


def test_a_studied_rollout_must_fit_itself() -> None:
    line = {
        "line": 0,
        "logprobs": [0.0],
        "alternatives": [[{"id": 1, "text": "a", "probability": 0.5, "against": 0.5}]],
    }
    credit = {"samples": 4, "positions": [0], "right": [0.5], "low": [0.1], "high": [0.9]}
    assert sound.study(line) is None
    assert sound.study({**line, "credit": credit}) is None
    assert sound.study({**line, "credit": {**credit, "low": []}}) == "credit is damaged"
    assert sound.study({**line, "alternatives": []}) == "alternatives do not fit the tokens"
    assert sound.study({**line, "entropies": [0.1, 0.2]}) == "entropies are no numbers, one a token"
    assert sound.study({**line, "line": -1}) == "line is no line"
    assert json.loads(json.dumps(line)) == line
