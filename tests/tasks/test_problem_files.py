"""Files of problems in every format: what is read, and which row is bad for which reason."""

import codecs
import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import World, call

from rlvr.config import ProblemsConfig
from rlvr.errors import RlvrError
from rlvr.tasks.problems import Problems

ROWS = [{"question": f"{n} + {n} = ?", "answer": str(2 * n), "level": f"{n}"} for n in range(1, 9)]


def table(rows: list[dict[str, Any]], delimiter: str = ",") -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def write_parquet(path: Path, rows: list[dict[str, Any]]) -> None:
    import pyarrow
    from pyarrow import parquet

    parquet.write_table(pyarrow.Table.from_pylist(rows), path, row_group_size=3)


def save_dataset(path: Path, rows: list[dict[str, Any]]) -> None:
    import datasets

    datasets.disable_progress_bars()
    made = datasets.Dataset.from_list(rows)
    datasets.DatasetDict({"train": made, "test": datasets.Dataset.from_list(rows[:2])}).save_to_disk(path)


WRITERS: dict[str, Callable[[Path], object]] = {
    "rows.jsonl": lambda path: path.write_text("".join(json.dumps(row) + "\n" for row in ROWS)),
    "rows.json": lambda path: path.write_text(json.dumps(ROWS, indent=1)),
    "inside.json": lambda path: path.write_text(json.dumps({"version": 2, "tags": ["x"], "data": ROWS})),
    "lines.json": lambda path: path.write_text("".join(json.dumps(row) + "\n" for row in ROWS)),
    "rows.csv": lambda path: path.write_bytes(codecs.BOM_UTF8 + table(ROWS).encode()),
    "rows.TSV": lambda path: path.write_text(table(ROWS, "\t")),
    "rows.parquet": lambda path: write_parquet(path, ROWS),
    "folder": lambda path: save_dataset(path, ROWS),
}


def task(path: Path, **fields: Any) -> Problems:
    tree = {"name": "problems", "path": str(path), **fields}
    if not {"test_path", "test_split", "test_fraction"} & fields.keys():
        tree["test_fraction"] = 1.0
    return Problems(ProblemsConfig.model_validate(tree), 0)


def drawn(made: Problems, split: Any = "test") -> list[tuple[str, str]]:
    return [
        (problem.question, problem.answer)
        for problem in (made.problem(split, index) for index in range(made.size(split) or 0))
    ]


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_gives_the_same_problems(name: str, world: World, tmp_path: Path) -> None:
    WRITERS[name](tmp_path / name)
    settings = f"task={{name: problems, path: '{tmp_path / name}', test_fraction: 1}}"
    answer = call("data", world.configs["eval"], "--set", settings, "--split", "test", "--count", 99)
    assert answer.code == 0, answer.err
    found = [json.loads(line) for line in answer.out.splitlines()]
    assert [{name: row[name] for name in ROWS[0]} for row in found] == ROWS
    lines = [row["line"] for row in found]
    assert lines == list(range(lines[0], lines[0] + 8))
    assert lines[0] == (2 if name.lower().endswith("sv") else 1)


def test_a_data_set_has_splits(tmp_path: Path) -> None:
    save_dataset(tmp_path / "d", ROWS)
    made = task(tmp_path / "d", test_split="test")
    assert (made.size("train"), made.size("test")) == (8, 2)
    assert made.warnings[0].endswith("task.contamination: drop leaves them out of training")
    with pytest.raises(RlvrError, match="has no split dev; allowed: train, test"):
        task(tmp_path / "d", split="dev")
    with pytest.raises(RlvrError, match="is a folder, but not one that datasets saved"):
        task(tmp_path)


BAD: dict[str, tuple[bytes | Callable[[Path], object], str]] = {
    "fields.csv": (b"question,answer\n1+1?,2\n2+2?\n", r":3: has 1 fields: the header has 2"),
    "empty_cell.csv": (b"question,answer\n1+1?,2\n\n2+2?,\n", r":4: answer is missing"),
    "bytes.csv": (b"question,answer\n1+1?,2\n\xff?,4\n", r":3: not UTF-8"),
    "quote.csv": (b'question,answer\n1+1?,2\n"2+2?,4\n', r":3: not CSV: a quote that opens here is never closed"),
    "inner.csv": (b'question,answer\n1+1?,2\n"2"+2?,4\n', r":3: not CSV: "),
    "long.csv": (b"question,answer\n1+1?,2\n" + b"x" * 10_000_000 + b",4\n", r":3: question has more than"),
    "null.json": (b'[{"question": "1+1?", "answer": 2}, {"question": null, "answer": 1}]', ", row 2: question is missing"),
    "twice.json": (b'[{"question": "1+1?", "answer": 2}, {"answer": 1, "answer": 1}]', ", row 2: not JSON: a key is given twice"),
    "nan.json": (b'[{"question": "1+1?", "answer": 2}, {"question": "x", "answer": NaN}]', ", row 2: not JSON: NaN is no number"),
    "digits.json": (b'[{"question": "1+1?", "answer": 2}, {"answer": ' + b"9" * 5000 + b"}]", ", row 2: not JSON: "),
    "bytes.json": (b'[{"question": "1+1?", "answer": 2}, {"question": "\xff", "answer": 1}]', ", row 2: not UTF-8"),
    "number.json": (b'[{"question": "1+1?", "answer": 2}, 7]', ", row 2: not a JSON object"),
    "null.parquet": (lambda path: write_parquet(path, [*ROWS[:1], {"question": None, "answer": "4"}]), ", row 2: question is missing"),
    "inf.parquet": (lambda path: write_parquet(path, [{"question": "a", "answer": 0.5}, {"question": "b", "answer": 1e999}]), ", row 2: "),
}  # fmt: skip


def put(path: Path, content: bytes | Callable[[Path], object]) -> Path:
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        content(path)
    return path


@pytest.mark.parametrize("name", BAD)
def test_a_bad_row_is_named_or_skipped_and_counted(name: str, tmp_path: Path) -> None:
    content, trouble = BAD[name]
    path = put(tmp_path / name, content)
    with pytest.raises(RlvrError, match=rf"{name}{trouble}.*on_bad_line: skip"):
        task(path)
    made = task(path, on_bad_line="skip")
    assert made.size("test") == 1
    assert made.warnings[0] == f"1 bad lines of {path} were skipped"
    assert "(the first of 1 skipped for this)" in made.warnings[1]


BROKEN: dict[str, tuple[bytes, str]] = {
    "empty.csv": (b"\xef\xbb\xbf\n", "is empty"),
    "commas.csv": (b",,\n,,\n", "is empty"),
    "empty.json": (b"", "is empty"),
    "none.json": (b"[]", "holds no problems"),
    "header.csv": (b"question,answer\n", "holds no problems"),
    "twice.csv": (b"question,question\na,b\n", "names a column twice; got 'question'"),
    "wide.csv": (codecs.BOM_UTF16_LE + "question,answer".encode("utf-16-le"), "is UTF-16 text"),
    "semicolons.csv": (b"question;answer\na;b\n", "separate its fields by commas"),
    "cut.json": (b'[{"question": "a",\n "answer": 1},', r"cut\.json:2: not JSON"),
    "after.json": (b'[{"question": "a", "answer": 1}]\n]', "something follows the value"),
    "two.json": (b'{"train": [{"a": 1}], "test": [{"a": 1}]}', "several lists of objects; got .'train', 'test'.; put each"),
    "text.json": (b'"a"', "holds no list of objects"),
    "deep.json": (b"[" * 100_000, "nested too deeply"),
    "empty.parquet": (b"", "cannot be read as parquet"),
    "junk.parquet": (b"PAR1" + b"\0" * 100 + b"PAR1", "cannot be read as parquet"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_refused_in_one_line(
    name: str, world: World, tmp_path: Path, refused: Callable[..., str]
) -> None:
    (tmp_path / name).write_bytes(BROKEN[name][0])
    settings = f"task={{name: problems, path: '{tmp_path / name}', test_fraction: 1}}"
    with pytest.raises(RlvrError, match=BROKEN[name][1]):
        task(tmp_path / name, on_bad_line="skip")
    assert name in refused("data", world.configs["eval"], "--set", settings, "--split", "test")


def test_a_parquet_file_that_was_cut_or_written_over_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "p.parquet"
    write_parquet(path, ROWS)
    whole = path.read_bytes()
    for damaged in (whole[: len(whole) // 2], whole[:40] + b"\xff" * 60 + whole[100:]):
        path.write_bytes(damaged)
        with pytest.raises(RlvrError, match=r"p\.parquet: cannot be read as parquet"):
            task(path)


def test_numbers_dates_and_pictures_of_a_table(tmp_path: Path) -> None:
    import datetime

    extra = {"day": datetime.date(2020, 1, 2), "picture": b"\x89PNG", "score": float("nan"), "parts": [1.0, None]}
    rows = [{"question": q, "answer": a, "solution": s, **extra} for q, a, s in (("a", 3.0, "x 3"), ("b", 1e-5, None))]
    write_parquet(tmp_path / "p.parquet", rows)
    made = task(tmp_path / "p.parquet")
    assert drawn(made) == [("a", "3"), ("b", "0.00001")]
    assert made.problem("test", 0).metadata == {"day": "2020-01-02", "parts": [1, None], "solution": "x 3", "line": 1}
    assert made.modes == ("direct",)  # the second row has no solution
    json.dumps(made.problem("test", 0).metadata)


def test_text_of_a_table_that_is_no_utf8_is_one_bad_row(tmp_path: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    texts = pyarrow.array([b"a", b"\xff", b"c"], pyarrow.binary()).view(pyarrow.string())
    parquet.write_table(pyarrow.table({"question": texts, "answer": ["1", "2", "3"]}), tmp_path / "p.parquet")
    with pytest.raises(RlvrError, match=r"row 2: not UTF-8 text"):
        task(tmp_path / "p.parquet")
    assert drawn(task(tmp_path / "p.parquet", on_bad_line="skip")) == [("a", "1"), ("c", "3")]


def test_a_package_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    (tmp_path / "p.parquet").write_bytes(b"x")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(RlvrError, match=r"needs the package pyarrow; .*rlvr\[data\]"):
        task(tmp_path / "p.parquet")
    with pytest.raises(RlvrError, match=r"needs the package datasets; .*rlvr\[data\]"):
        task(Path("hub:owner/name"))


def test_a_data_set_goes_by_the_name_that_the_hub_has_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``datasets`` looks for a folder of that name first, so that the same call can be tried without a hub."""
    import datasets

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    (tmp_path / "owner" / "name").mkdir(parents=True)
    for split, rows in (("train", ROWS), ("test", ROWS[:3])):
        (tmp_path / "owner" / "name" / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    made = task(Path("hub:owner/name"), test_split="test")
    assert (made.size("train"), made.size("test")) == (8, 3)
    assert drawn(made) == [(row["question"], row["answer"]) for row in ROWS[:3]]
    with pytest.raises(RlvrError, match=r"hub:owner/name: cannot be loaded from the hub: Unknown split .*task\.split"):
        task(Path("hub:owner/name"), split="dev")


def test_a_data_set_on_the_hub_without_a_network_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    asked = []

    def unreachable(name: str, subset: str | None, **keys: object) -> None:
        asked.append((name, subset, keys))
        raise ConnectionError(f"Couldn't reach '{name}'\non the Hub")

    monkeypatch.setattr(datasets, "load_dataset", unreachable)
    with pytest.raises(
        RlvrError, match="hub:owner/name: cannot be loaded from the hub: Couldn't reach 'owner/name' on"
    ):
        task(Path("hub:owner/name"), subset="main", revision="v1")
    assert asked == [("owner/name", "main", {"split": "train", "revision": "v1"})]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ("path: a.csv, split: train", "split has no effect for a file"),
        ("path: a.csv, subset: main", "subset has no effect without a data set on the hub"),
        ("path: 'hub:a b'", "names no data set on the hub"),
        ("path: a.csv, test_path: b.csv, test_fraction: 0.5", "test_fraction has no effect where the test split is apart"),
        ("path: a.csv, test_path: a.csv", "is the file that is trained on"),
        ("path: folder, test_split: train", "is what is trained on"),
        ("path: a.csv, test_fraction: 0, contamination: drop", "contamination has no effect"),
        ("path: a.csv, template: 'Hello'", "names no column"),
        ("path: a.csv, template: '{question} {answer}'", "would tell the model the answer"),
        ("path: a.csv, layout: gsm8k, columns: {solution: s}", "columns.solution has no effect in layout gsm8k"),
        ("path: a.csv, columns: {questoin: s}", "Did you mean"),
    ],
)  # fmt: skip
def test_keys_that_do_not_go_together_are_refused(
    fields: str, said: str, world: World, refused: Callable[..., str]
) -> None:
    assert said in refused("check", world.configs["rl"], "--set", f"task={{name: problems, {fields}}}")


def test_a_run_knows_the_contents_of_all_its_files(world: World, tmp_path: Path) -> None:
    from rlvr.config_file import load
    from rlvr.preflight import inputs

    save_dataset(tmp_path / "d", ROWS)
    settings = f"task={{name: problems, path: '{tmp_path / 'd'}', split: train, test_path: 'hub:a/b'}}"
    _, config = load(world.configs["rl"], [settings])
    found = {Path(name).name for name in inputs(config) if name.startswith(str(tmp_path))}
    assert found == {"dataset_dict.json", "data-00000-of-00001.arrow", "dataset_info.json", "state.json"}
