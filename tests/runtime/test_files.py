"""Files that are whole or absent."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from rlvr.runtime.files import write_atomically, write_json, write_jsonl


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a longer old text")
    write_atomically(tmp_path / "a.txt", "new é")
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == "new é"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    def rows() -> Iterator[dict]:
        yield {"a": 1}
        raise RuntimeError("interrupted")

    (tmp_path / "a.jsonl").write_text("old")
    with pytest.raises(RuntimeError):
        write_jsonl(tmp_path / "a.jsonl", rows())
    assert (tmp_path / "a.jsonl").read_text() == "old"


def test_json_is_written_for_people(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"é": 1})
    assert (tmp_path / "a.json").read_text(encoding="utf-8") == '{\n  "é": 1\n}\n'


def test_jsonl_has_one_object_a_line_whatever_a_text_holds(tmp_path: Path) -> None:
    texts = ["a\nb", "\u2028", "\x85", "\ud800"]
    write_jsonl(tmp_path / "a.jsonl", [{"text": text} for text in texts])
    lines = (tmp_path / "a.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["text"] for line in lines] == texts
