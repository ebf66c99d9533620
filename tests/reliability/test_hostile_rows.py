"""Files of problems and texts that are damaged or attack: the line and the reason before the first step."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import TRAIN, World, call

GOOD = [f'{{"question": "{n} + 1 =", "answer": "{n + 1}"}}' for n in range(20)]

BAD: dict[str, tuple[bytes, str]] = {
    "not JSON": (b"{", "not JSON"),
    "a list": (b"[1]", "not a JSON object"),
    "no question": (b'{"answer": "1"}', "question is missing"),
    "no answer": (b'{"question": "1"}', "answer is missing"),
    "null question": (b'{"question": null, "answer": "1"}', "question is missing"),
    "null answer": (b'{"question": "1", "answer": null}', "answer is missing"),
    "a list for an answer": (b'{"question": "1", "answer": [1]}', "answer is missing"),
    "an empty question": (b'{"question": "", "answer": "1"}', "question is missing"),
    "a key twice": (b'{"question": "1", "question": "2", "answer": "1"}', "a key is given twice"),
    "NaN": (b'{"question": "1", "answer": NaN}', "NaN is no number"),
    "1e999": (b'{"question": "1", "answer": 1e999}', "too large: 1e999"),
    "5000 digits": (b'{"question": "1", "answer": ' + b"9" * 5000 + b"}", "not JSON"),
    "5000 digits beside": (b'{"question": "1", "answer": 1, "x": ' + b"9" * 5000 + b"}", "not JSON"),
    "a lone surrogate": (rb'{"question": "\ud800", "answer": "1"}', "half a character"),
    "a lone surrogate beside": (rb'{"question": "1", "answer": "1", "x": {"y": ["\udfff"]}}', "half a character"),
    "a lone surrogate in a key": (rb'{"question": "1", "answer": "1", "\udfff": 1}', "half a character"),
    "bad UTF-8": (b'{"question": "\xff", "answer": "1"}', "not UTF-8"),
    "a cut character": (b'{"question": "\xe2\x82", "answer": "1"}', "not UTF-8"),
    "deep": (b"[" * 100_000, "not JSON"),
    "deep beside": (b'{"question": "1", "answer": "1", "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "not JSON"),
    "not so deep beside": (b'{"question": "1", "answer": "1", "x": ' + b"[" * 60 + b"]" * 60 + b"}", "nested"),
    "a raw NUL": (b'{"question": "a\0b", "answer": "1"}', "not JSON"),
    "50 MB": (b'{"question": "' + b"x" * 50_000_000 + b'", "answer": "1"}', "characters"),
    "10 MB of a question": (b'{"question": "' + b"x " * 5_000_000 + b'", "answer": "1"}', "characters"),
    "UTF-16": ('{"question": "1", "answer": "1"}'.encode("utf-16-le"), ""),
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "data.jsonl"


def commands(world: World, file: Path) -> list[list[object]]:
    """Every command that reads a file of problems, on this one."""
    task = f"task={{name: problems, path: '{file}'}}"
    number = "reward={number: 1.0}"
    return [
        ["rl", world.configs["rl"], "--set", task, "--set", number],
        ["check", world.configs["rl"], "--set", task, "--set", number],
        ["eval", world.configs["eval"], "--set", task, "--set", number, "--set", "data=null"],
        ["data", world.configs["rl"], "--set", task],
        ["audit", world.configs["rl"], "--set", task, "--set", number],
        ["data", world.configs["sft"], "--set", task],
    ]


@pytest.mark.check("R30")
@pytest.mark.parametrize("name", BAD)
def test_a_bad_row_is_named_before_the_first_step(
    name: str, world: World, file: Path, tmp_path: Path, refused: Callable[..., str]
) -> None:
    line, reason = BAD[name]
    rows = [row.encode() for row in GOOD]
    file.write_bytes(b"\n".join([*rows[:4], line, *rows[4:]]) + b"\n")
    for command in commands(world, file):
        started = time.perf_counter()
        said = refused(*command, *(["--run", tmp_path / "run"] if command[0] in ("rl", "eval") else []))
        assert f"{file}:5: " in said
        assert reason in said
        assert len(said) < 2000
        assert time.perf_counter() - started < 20
    assert not (tmp_path / "run").exists()


@pytest.mark.check("R30")
@pytest.mark.parametrize("name", BAD)
def test_bad_rows_are_skipped_where_that_is_asked_for_and_counted(name: str, world: World, file: Path) -> None:
    rows = [row.encode() for row in GOOD]
    file.write_bytes(b"\n".join([*rows[:4], BAD[name][0], *rows[4:]]) + b"\n")
    task = f"task={{name: problems, path: '{file}', on_bad_line: skip, test_fraction: 0}}"
    answer = call("data", world.configs["rl"], "--set", task, "--set", "reward={number: 1.0}", "--count", 99)
    assert answer.code == 0, answer.err
    assert {json.loads(line)["question"] for line in answer.out.splitlines()} == {f"{n} + 1 =" for n in range(20)}


@pytest.mark.check("R30")
def test_the_count_of_skipped_rows_is_kept_with_the_run(world: World, file: Path, tmp_path: Path) -> None:
    file.write_text("\n".join([*GOOD, "{", "[]"]) + "\n")
    task = f"task={{name: problems, path: '{file}', on_bad_line: skip, test_fraction: 0.5}}"
    common = ["--set", task, "--set", "reward={number: 1.0}", "--set", "train.max_steps=1", "--set", "eval=null"]
    answer = call("rl", world.configs["rl"], *common, "--run", tmp_path / "run")
    assert answer.code == 0, answer.err
    assert f"2 bad lines of {file} were skipped" in answer.err
    kept = json.loads((tmp_path / "run" / "warnings.json").read_text())
    assert f"2 bad lines of {file} were skipped" in kept


@pytest.mark.check("R30")
@pytest.mark.parametrize(
    "content",
    [b"", b"\n\n", b"\xef\xbb\xbf", b"\0\0\0", b"\xff" * 100, b"null\n", b"[]\n" * 5],
    ids=["empty", "blank", "a mark alone", "NUL", "bytes", "null", "lists"],
)
def test_a_file_without_problems_is_refused(
    content: bytes, world: World, file: Path, refused: Callable[..., str]
) -> None:
    file.write_bytes(content)
    for command in commands(world, file):
        assert str(file) in refused(*command)


@pytest.mark.check("R30")
def test_a_byte_order_mark_windows_line_ends_and_equal_rows_are_fine(world: World, file: Path) -> None:
    file.write_bytes(b"\xef\xbb\xbf" + "\r\n".join([*GOOD, *GOOD]).encode())
    for command in commands(world, file)[1:3] + commands(world, file)[3:4]:
        answer = call(*command, *(["--dry-run"] if command[0] == "eval" else []))
        assert answer.code == 0, answer.err


@pytest.mark.check("R30")
@pytest.mark.parametrize(
    "gold", ["x", "1/0", "NaN", "inf", "1e999", "9" * 5000, "\\frac{", "\0", "((((((((", "--", "1 2", "١"]
)
def test_a_gold_answer_that_cannot_be_read_is_named_before_the_first_step(
    gold: str, world: World, file: Path, refused: Callable[..., str], tmp_path: Path
) -> None:
    rows = [json.loads(row) for row in GOOD]
    rows[7]["answer"] = gold
    file.write_text("\n".join(map(json.dumps, rows)) + "\n")
    task = f"task={{name: problems, path: '{file}', test_fraction: 0}}"
    for reward in ("number", "math"):
        answer = call(
            "check", world.configs["rl"], "--set", task, "--set", f"reward={{{reward}: 1.0}}", "--set", "eval=null"
        )
        assert answer.code in (0, 2), answer.err  # what one of them reads the other may refuse
        assert "Traceback" not in answer.err
        if answer.code == 2:
            assert "7 + 1 =" in answer.err
    assert "7 + 1 =" in refused("rl", world.configs["rl"], "--set", task, "--set", "reward={number: 1.0}", "--set", "eval=null") or gold in ("1e999", "9" * 5000, "١")  # fmt: skip


@pytest.mark.check("R30")
@pytest.mark.parametrize(
    "content",
    [b"", b"x" * 19, b"\xff\xfe" * 50, b"good text, then \xff and more text"],
    ids=["empty", "short", "not UTF-8", "one bad byte"],
)
def test_a_hostile_text_is_refused(content: bytes, world: World, tmp_path: Path, refused: Callable[..., str]) -> None:
    (tmp_path / "notes.txt").write_bytes(content)
    data = f"data={{sources: [{{text: '{tmp_path / 'notes.txt'}'}}]}}"
    file = tmp_path / "pretrain.yaml"
    file.write_text(
        f"model: {{layers: 1, width: 16, heads: 2}}\ntrain: {{max_steps: 1, learning_rate: 0.1, batch_tokens: {TRAIN['max_steps'] * 100}}}\ndata: {{}}\n"
    )
    for command in ("pretrain", "check", "data"):
        assert "notes.txt" in refused(command, file, "--set", data, "--set", "tokenizer.kind=characters")


@pytest.mark.check("R30")
@pytest.mark.parametrize(
    "content",
    [b"a\0b " * 50, b"a\r\nb\r\n" * 50, "\u202e\u200b\x1b]0;x\x07 ".encode() * 50, b"word" * 1000],
    ids=["NUL", "CRLF", "escapes", "one long word"],
)
def test_odd_text_is_learnt_from(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_bytes(content)
    file = tmp_path / "pretrain.yaml"
    file.write_text(
        "model: {layers: 1, width: 16, heads: 2}\ntokenizer: {kind: characters}\n"
        "train: {max_steps: 1, learning_rate: 0.1, batch_tokens: 600}\n"
        f"data: {{sources: [{{text: '{tmp_path / 'notes.txt'}', block: 32}}]}}\n"
    )
    answer = call("pretrain", file, "--run", tmp_path / "run")
    assert answer.code == 0, answer.err


@pytest.mark.check("R30")
@pytest.mark.parametrize("path", ["/dev/zero", "/dev/null", "/", "/proc/self/mem"])
def test_what_is_no_file_is_refused(path: str, world: World, refused: Callable[..., str]) -> None:
    for command in commands(world, Path(path)):
        assert path in refused(*command)
