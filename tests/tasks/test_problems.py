"""Questions and answers from a file."""

import json
from pathlib import Path
from random import Random

import pytest

from rlvr.config import ProblemsConfig
from rlvr.errors import RlvrError
from rlvr.rewards.number import number
from rlvr.tasks.problems import Problems

GOOD = '{"question": "1+1?", "answer": "2"}'


def task(folder: Path, text: str, seed: int = 0, **fields: object) -> Problems:
    file = folder / "data.jsonl"
    file.write_text(text, encoding="utf-8")
    return Problems(ProblemsConfig.model_validate({"name": "problems", "path": str(file), **fields}), seed)


def rows(count: int) -> str:
    return "".join(json.dumps({"question": f"q{n}", "answer": n}) + "\n" for n in range(count))


def test_other_keys_are_metadata(tmp_path: Path) -> None:
    made = task(tmp_path, '{"question": "q", "answer": "a", "level": 3, "tags": ["x"]}\n', test_fraction=0)
    problem = made.problem("train", 0)
    assert (problem.question, problem.answer, problem.metadata) == ("q", "a", {"level": 3, "tags": ["x"], "line": 1})


@pytest.mark.parametrize(("answer", "text"), [("7", "7"), ("2.5", "2.5"), ('"seven"', "seven"), ("-3", "-3")])
def test_an_answer_is_a_text_or_a_number(answer: str, text: str, tmp_path: Path) -> None:
    made = task(tmp_path, f'{{"question": "q", "answer": {answer}}}\n', test_fraction=0)
    assert made.problem("train", 0).answer == text


@pytest.mark.parametrize(("answer", "wrong"), [("0.00001", "5"), ("10000000000000000.0", "16")])
def test_a_small_or_large_number_keeps_its_value(answer: str, wrong: str, tmp_path: Path) -> None:
    """Python writes 0.00001 as 1e-05, which is easily read as 5."""
    problem = task(tmp_path, f'{{"question": "q", "answer": {answer}}}\n', test_fraction=0).problem("train", 0)
    assert number(problem.answer, answer)
    assert not number(problem.answer, wrong)


def test_each_round_of_training_goes_through_all_problems_in_an_order_of_its_own(tmp_path: Path) -> None:
    made = task(tmp_path, rows(20), test_fraction=0)
    first, second = [[made.problem("train", 20 * turn + i).question for i in range(20)] for turn in (0, 1)]
    assert set(first) == set(second) == {f"q{n}" for n in range(20)}
    assert first != second


def test_the_test_split_is_in_the_order_of_the_file(tmp_path: Path) -> None:
    made = task(tmp_path, rows(5), test_fraction=1)
    assert [made.problem("test", i).question for i in range(7)] == ["q0", "q1", "q2", "q3", "q4", "q0", "q1"]


def test_sizes_add_up_to_the_file(tmp_path: Path) -> None:
    made = task(tmp_path, rows(300), test_fraction=0.2)
    assert made.size("train") + made.size("test") == 300
    assert made.size("test") == pytest.approx(60, abs=21)  # three standard deviations


def test_the_split_of_a_question_does_not_depend_on_the_other_lines(tmp_path: Path) -> None:
    def questions(made: Problems) -> set[str]:
        return {made.problem("test", i).question for i in range(made.size("test"))}

    few, many = questions(task(tmp_path, rows(50))), questions(task(tmp_path, rows(100)))
    assert few == {question for question in many if int(question[1:]) < 50}


@pytest.mark.parametrize("fraction", [1e-9, 0.1])
def test_a_question_that_stands_twice_is_never_in_both_splits(fraction: float, tmp_path: Path) -> None:
    """At 1e-9 no question's hash is in the test split, so that one line is chosen for it."""
    other_answers = rows(40).replace('"answer": ', '"answer": 1')
    made = task(tmp_path, rows(40) + other_answers, test_fraction=fraction)
    train, test = [{made.problem(split, i).question for i in range(80)} for split in ("train", "test")]
    assert not train & test


@pytest.mark.parametrize(("fraction", "empty"), [(0, "test"), (1, "train")])
def test_a_split_without_problems_says_so(fraction: float, empty: str, tmp_path: Path) -> None:
    made = task(tmp_path, rows(10), test_fraction=fraction)
    with pytest.raises(RlvrError, match=rf"has no problem in the {empty} split; set task\.test_fraction"):
        made.problem(empty, 0)


@pytest.mark.parametrize("fraction", [0.01, 0.5, 0.99])
def test_no_split_of_a_small_file_is_empty_unless_it_is_asked_for(fraction: float, tmp_path: Path) -> None:
    made = task(tmp_path, rows(3), test_fraction=fraction)
    assert made.size("train") >= 1
    assert made.size("test") >= 1


def test_blank_lines_and_windows_line_ends_are_read_over(tmp_path: Path) -> None:
    made = task(tmp_path, f"\n{GOOD}\r\n\n  \n", test_fraction=0)
    assert (made.size("train"), made.warnings) == (1, ())


@pytest.mark.parametrize(
    ("line", "trouble"),
    [
        ("{", "not JSON"),
        ("[1]", "not a JSON object"),
        ('{"answer": "2"}', "question is missing or not a text"),
        ('{"question": 5, "answer": "2"}', "question is missing or not a text"),
        ('{"question": " ", "answer": "2"}', "question is missing or not a text"),
        ('{"question": "q"}', "answer is missing or neither a text nor a number"),
        ('{"question": "q", "answer": true}', "answer is missing or neither a text nor a number"),
        ('{"question": "q", "answer": ""}', "answer is missing or neither a text nor a number"),
        (r'{"question": "\ud800", "answer": "a"}', ""),  # half a character, which no tokenizer takes
        ('{"question": "q", "answer": NaN}', ""),
        ('{"question": "q", "answer": "a", "solution": null}', ""),
        ('{"question": "q", "answer": ' + "1" * 5000 + "}", ""),
        ("[" * 100_000, ""),
    ],
    ids=lambda value: value[:40],
)
def test_a_bad_line_stops_by_its_number_or_is_skipped_and_counted(line: str, trouble: str, tmp_path: Path) -> None:
    text = f"{GOOD}\n{line}\n"
    with pytest.raises(RlvrError, match=rf"data\.jsonl:2: {trouble}.*set task\.on_bad_line: skip"):
        task(tmp_path, text)
    made = task(tmp_path, text, on_bad_line="skip", test_fraction=0)
    assert made.size("train") == 1
    counted, reason = made.warnings
    assert counted == f"1 bad lines of {tmp_path / 'data.jsonl'} were skipped"
    assert reason.startswith(f"{tmp_path / 'data.jsonl'}:2: {trouble}")
    assert reason.endswith("(the first of 1 skipped for this)")


@pytest.mark.parametrize("text", ["", "\n\n", "nonsense\n"])
def test_a_file_without_problems_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(RlvrError, match="holds no problems"):
        task(tmp_path, text, on_bad_line="skip")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RlvrError, match="no such file"):
        Problems(ProblemsConfig(name="problems", path=str(tmp_path / "none.jsonl")), 0)


def test_solutions_are_a_mode_if_every_line_has_one(tmp_path: Path) -> None:
    solved = '{"question": "q", "answer": "2", "solution": "<think> 1 and 1 </think> 2"}\n'
    made = task(tmp_path, solved, test_fraction=0)
    assert made.modes == ("direct", "cot")
    assert made.respond(made.problem("train", 0), "cot", Random(0)) == "<think> 1 and 1 </think> 2"
    assert task(tmp_path, f"{solved}{GOOD}\n", test_fraction=0).modes == ("direct",)


@pytest.mark.parametrize(
    ("response", "mode", "answer"),
    [
        ("42", "direct", "42"),
        ("It is 42, I think.", "direct", "It is 42, I think."),
        ("First 40, then 2 more make 42", "cot", "First 40, then 2 more make 42"),
        ("<think>40+2</think> 42", "cot", "42"),
        ("<think>40+2", "cot", None),
        ("", "direct", None),
    ],
)
def test_how_a_response_is_read(response: str, mode: str, answer: str | None, tmp_path: Path) -> None:
    made = task(tmp_path, GOOD, test_fraction=0)
    problem = made.problem("train", 0)
    assert (made.mode_of(problem, response), made.final_answer(problem, response)) == (mode, answer)


def test_a_file_that_is_written_anew_is_read_anew(tmp_path: Path) -> None:
    file = tmp_path / "p.jsonl"
    config = ProblemsConfig(name="problems", path=str(file), test_fraction=0)
    for count in (1, 2):
        file.write_text("".join(f'{{"question": "q{n}", "answer": "{n}"}}\n' for n in range(count)))
        assert Problems(config, 0).size("train") == count
