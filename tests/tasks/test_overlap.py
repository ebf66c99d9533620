"""Duplicates, and training problems that are in the test split."""

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import World, call

from rlvr.config import ProblemsConfig
from rlvr.errors import RlvrError
from rlvr.tasks.overlap import overlaps, repeated
from rlvr.tasks.problems import Problems

LONG = "a train leaves the first town at nine and comes to the second town by noon how fast is it"


def write(path: Path, questions: list[str], first: int = 0) -> Path:
    rows = [{"question": question, "answer": first + n} for n, question in enumerate(questions)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def task(folder: Path, train: list[str], test: list[str], **fields: Any) -> Problems:
    paths = {"path": str(write(folder / "train.jsonl", train)), "test_path": str(write(folder / "test.jsonl", test))}
    return Problems(ProblemsConfig.model_validate({"name": "problems", **paths, **fields}), 0)


def test_what_makes_a_text_another_and_what_does_not() -> None:
    assert repeated(["1 + 1?", "1  +\n1?", "1 - 1?", "１ + 1?", "A", "a"]) == {1: 0, 3: 0, 5: 4}


def test_short_questions_are_compared_whole() -> None:
    assert [(o.train, o.test, o.whole) for o in overlaps(["2 + 3", "2 + 4?", "2 * 3"], ["2 + 4", "9"])] == [
        (1, 0, True)
    ]


def test_thirteen_words_in_a_row_are_an_overlap_and_twelve_are_none() -> None:
    words = LONG.split()
    for count, found in ((13, 1), (12, 0)):
        train = ["x y " + " ".join(words[2 : 2 + count]) + ", z"]
        assert len(overlaps(train, [LONG])) == found
    assert not overlaps([" ".join(words[:13])], ["b " + " ".join(words[:12])])


def test_words_that_many_training_questions_share_are_a_phrase() -> None:
    phrase = "answer with one number and nothing else at all after you have thought about it"
    for count, found in ((10, 10), (11, 0)):
        train = [f"what is {n} + {n} ? {phrase}" for n in range(count)]
        assert len(overlaps(train, [f"what is 99 + 98 ? {phrase}"])) == found
        assert (
            len(overlaps([*train, train[0]], [train[0]])) >= 2
        )  # the same question whole is one however often it stands


def test_contamination_is_warned_of_dropped_or_stops(tmp_path: Path) -> None:
    train, test = ["1+1?", "2+2?", f"{LONG} and why", "3+3?"], ["9+9?", "2+2", LONG]
    counted = (
        "2 of 4 training problems are in the test split too: 1 whole, 1 for 13 words in a row (first: line 2 as line 2"
    )
    made = task(tmp_path, train, test)
    assert (made.size("train"), made.size("test")) == (4, 3)
    assert counted in made.warnings[0]
    made = task(tmp_path, train, test, contamination="drop")
    assert {made.problem("train", index).question for index in range(9)} == {"1+1?", "3+3?"}
    assert counted in made.warnings[0]
    assert "left out of training" in made.warnings[0]
    with pytest.raises(RlvrError, match=r"2 of 4 training problems.*set task\.contamination: drop"):
        task(tmp_path, train, test, contamination="stop")
    assert task(tmp_path, train[:1], test).warnings == ()


def test_one_file_is_checked_where_that_is_asked_for(tmp_path: Path) -> None:
    """Another space makes another hash, so that one question can come into both splits."""
    path = write(tmp_path / "rows.jsonl", [f"{n} +{' ' * spaces}1" for n in range(20) for spaces in (1, 2)])
    config = {"name": "problems", "path": str(path), "test_fraction": 0.5}
    assert Problems(ProblemsConfig.model_validate(config), 0).warnings == ()
    made = Problems(ProblemsConfig.model_validate({**config, "contamination": "drop"}), 0)
    train, test = [{made.problem(s, i).question.split()[0] for i in range(60)} for s in ("train", "test")]
    assert not train & test
    assert "are left out of training" in made.warnings[0]


def test_duplicates_are_dropped_and_counted(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", ["a?", "b?", "A?", "a? "])
    config = {"name": "problems", "path": str(path), "test_fraction": 1.0}
    assert Problems(ProblemsConfig.model_validate(config), 0).size("test") == 4
    made = Problems(ProblemsConfig.model_validate({**config, "duplicates": "drop"}), 0)
    assert [made.problem("test", index).answer for index in range(2)] == ["0", "1"]
    [warning] = made.warnings
    assert "2 of 4 problems" in warning
    assert "2 of them had another answer" in warning


def test_counts_are_shown_by_check(world: World, tmp_path: Path) -> None:
    train = write(tmp_path / "train.jsonl", ["1+1?", "2+2?", "3+3?", "3+3 ?", "3+3?"])
    test = write(tmp_path / "test.jsonl", ["2+2?", "5+5?"])
    settings = f"task={{name: problems, path: '{train}', test_path: '{test}', duplicates: drop}}"
    reward = ["--set", "reward={number: 1.0}", "--set", "rollout.max_new_tokens=4"]
    answer = call("check", world.configs["rl"], "--set", settings, *reward)
    assert answer.code == 0, answer.err
    assert f"warning: 1 of 5 problems of {train} were dropped as duplicates" in answer.err
    assert "1 of 4 training problems are in the test split too: 1 whole" in answer.err
