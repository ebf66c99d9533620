"""TensorBoard, Weights & Biases and trackio: each holds the rows of metrics.jsonl once, whatever happened to the run."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import sqlite3
import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy
import pytest
import yaml
from conftest import Answer, World, call, final_weights, read_metrics, start, write_config

ALL = ["tensorboard", "wandb", "trackio"]

Row = dict[str, Any]


def rows_of(run: Path) -> list[Row]:
    """A run's metrics.jsonl."""
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def one_file(folder: Path, pattern: str) -> Path:
    """The only file of its kind in a folder."""
    (file,) = folder.glob(pattern)
    return file


def tensorboard_events(run: Path) -> Iterator[Any]:
    from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
    from tensorboard.compat.proto.event_pb2 import Event

    for raw in RawEventFileLoader(str(one_file(run, "tracking/tensorboard/events.*"))).Load():
        yield Event.FromString(raw)


def tensorboard_rows(run: Path) -> list[Row]:
    """Its numbers have 32 bits."""
    found = []
    for event in tensorboard_events(run):
        values = {value.tag: value.simple_value for value in event.summary.value if value.HasField("simple_value")}
        found += [{"step": event.step, **values}] if values else []
    return found


def wandb_records(run: Path) -> Iterator[Any]:
    """What is in an offline run: records in blocks of 32 KiB, each part of one after its checksum, length and kind."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, at, part = one_file(run, "tracking/wandb/offline-run-*/*.wandb").read_bytes(), 7, b""
    while at + 7 <= len(data):
        if (left := 32768 - at % 32768) < 7:
            at += left
            continue
        _, size, kind = struct.unpack("<IHB", data[at : at + 7])
        part += data[at + 7 : at + 7 + size]
        at += 7 + size
        if kind in (1, 4):  # whole, or the last of its parts
            yield Record.FromString(part)
            part = b""


def wandb_rows(run: Path) -> list[Row]:
    found = []
    for record in wandb_records(run):
        if record.WhichOneof("record_type") == "history":
            values = {item.key or item.nested_key[0]: json.loads(item.value_json) for item in record.history.item}
            own = {name: value for name, value in values.items() if not name.startswith("_")}
            found.append({"step": values["_step"], **own})
    return found


def trackio_rows(run: Path) -> list[Row]:
    with sqlite3.connect(run / "tracking/trackio/rlvr.db") as database:
        found = database.execute("select step, metrics, run_name from metrics order by id").fetchall()
    database.close()
    assert {name for _, _, name in found} == {run.name}
    return [{"step": step, **json.loads(values)} for step, values, _ in found]


READERS: dict[str, Callable[[Path], list[Row]]] = {
    "tensorboard": tensorboard_rows,
    "wandb": wandb_rows,
    "trackio": trackio_rows,
}


def single(row: Row) -> Row:
    """A row as 32 bits hold it."""
    return {name: float(numpy.float32("nan" if value is None else value)) for name, value in row.items()}


def expect_tracked(run: Path, name: str) -> None:
    """A tracker has the rows of metrics.jsonl and nothing else."""
    expected = rows_of(run)
    got = READERS[name](run)
    assert expected
    if name == "tensorboard":
        numpy.testing.assert_equal([single(row) for row in got], [single(row) for row in expected])
    else:
        assert got == expected


@dataclass(frozen=True)
class Resumed:
    """A run that lost its last checkpoint, so that its last steps were done again. before: its times then."""

    run: Path
    answers: tuple[Answer, Answer]
    before: list[dict[str, float]]


def times_of(run: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run / "tracking/times.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def resumed(world: World, tmp_path_factory: pytest.TempPathFactory) -> Resumed:
    folder = tmp_path_factory.mktemp("tracked")
    config = write_config(folder / "sft.yaml", {**yaml.safe_load(world.configs["sft"].read_text()), "track": ALL})
    first = call("sft", config, "--run", folder / "run")
    before = times_of(folder / "run")
    shutil.rmtree(folder / "run/checkpoints/step_000006")
    return Resumed(folder / "run", (first, call("sft", config, "--run", folder / "run")), before)


@pytest.mark.parametrize("name", ALL)
def test_a_resumed_run_has_each_row_once_with_its_names_and_values(resumed: Resumed, name: str) -> None:
    assert [row["step"] for row in READERS[name](resumed.run)] == [1, 2, 3, 4, 5, 6]
    expect_tracked(resumed.run, name)


def test_tracking_changes_no_bit_and_says_nothing(resumed: Resumed, world: World) -> None:
    assert final_weights(resumed.run) == final_weights(world.runs["sft"])
    assert read_metrics(resumed.run) == read_metrics(world.runs["sft"])
    for answer in resumed.answers:
        assert answer.code == 0, answer.err
        assert answer.out == f"{resumed.run}\n"
        assert [
            line for line in answer.err.splitlines() if not line.startswith(("warning: eval.problems", "sft "))
        ] == []


def test_steps_that_were_not_done_again_keep_their_times(resumed: Resumed) -> None:
    after = times_of(resumed.run)
    assert [line["step"] for line in after] == [1, 2, 3, 4, 5, 6]
    assert after[:4] == resumed.before[:4]
    walls = [event.wall_time for event in tensorboard_events(resumed.run) if event.step]
    assert walls == [line["time"] for line in after]


def test_trackers_are_told_the_configuration_and_the_name(resumed: Resumed) -> None:
    config = yaml.safe_load((resumed.run / "config.yaml").read_text())
    (run,) = [record.run for record in wandb_records(resumed.run) if record.WhichOneof("record_type") == "run"]
    told = {update.key: json.loads(update.value_json) for update in run.config.update}
    assert (run.display_name, {key: told[key] for key in config}) == ("run", config)
    assert run.run_id == (resumed.run / "tracking/wandb.id").read_text().strip()
    texts = [
        value for event in tensorboard_events(resumed.run) for value in event.summary.value if value.tag == "config"
    ]
    assert yaml.safe_load(texts[0].tensor.string_val[0]) == config
    with sqlite3.connect(resumed.run / "tracking/trackio/rlvr.db") as database:
        ((kept,),) = database.execute("select config from configs").fetchall()
    database.close()
    assert json.loads(kept) == config


def test_an_evaluation_is_tracked_as_step_0(world: World, tmp_path: Path) -> None:
    run = tmp_path / "run"
    answer = call("eval", world.configs["eval"], "--run", run, "--set", "track=[tensorboard]")
    assert answer.code == 0, answer.err
    assert len(tensorboard_rows(run)) == 1
    expect_tracked(run, "tensorboard")


def test_a_tracker_that_fails_is_one_line_and_the_run_and_the_others_go_on(world: World, tmp_path: Path) -> None:
    run = tmp_path / "run"
    (run / "tracking").mkdir(parents=True)
    (run / ".lock").touch()
    (run / "tracking/trackio").write_text("in the way")
    answer = call("rl", world.configs["rl"], "--run", run, "--set", "track=[trackio, tensorboard]")
    assert answer.code == 0, answer.err
    told = [line for line in answer.err.splitlines() if line.startswith("warning: ") and "eval.problems" not in line]
    assert len(told) == 1, answer.err
    assert told[0].startswith("warning: trackio stopped tracking (NotADirectoryError: ")
    assert told[0].endswith("; the run goes on, and metrics.jsonl has all")
    expect_tracked(run, "tensorboard")
    assert final_weights(run) == final_weights(world.runs["rl"])


def test_files_are_not_written_through_a_link(world: World, tmp_path: Path, refused: Callable[..., str]) -> None:
    (tmp_path / "run/tracking").mkdir(parents=True)
    (tmp_path / "run/.lock").touch()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "run/tracking/tensorboard").symlink_to(tmp_path / "elsewhere")
    line = refused("rl", world.configs["rl"], "--run", tmp_path / "run", "--set", "track=[tensorboard]")
    assert "holds a link (tensorboard)" in line


def test_a_tracker_that_is_not_installed_is_named_with_the_extra(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: Callable[..., str]
) -> None:
    def absent(name: str) -> metadata.Distribution:
        if name == "wandb":
            raise metadata.PackageNotFoundError(name)
        return found(name)

    found = metadata.distribution
    monkeypatch.setattr(metadata, "distribution", absent)
    for stage, config in world.configs.items():
        line = refused(stage, config, "--run", tmp_path / "run", "--set", "track=[tensorboard, wandb]")
        assert line == "error: track: needs the package wandb; install it with: pip install 'rlvr[track]'"
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("track", "said"),
    [
        ("[mlflow]", "allowed: tensorboard, wandb, trackio"),
        ("[wandb, wandb]", "wandb is given twice; remove one"),
        ("[]", "at least 1"),
        ("wandb", "list"),
    ],
)
def test_what_is_no_list_of_trackers_is_refused(
    world: World, tmp_path: Path, refused: Callable[..., str], track: str, said: str
) -> None:
    line = refused("rl", world.configs["rl"], "--run", tmp_path / "run", "--set", f"track={track}")
    assert "track" in line
    assert said in line


def processes_in(folder: Path) -> list[int]:
    """The processes whose present folder it is: whoever follows the run, and what that has started."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            found += [int(entry.name)] if os.readlink(entry / "cwd") == str(folder) else []
        except OSError:  # it has ended, or is another user's
            continue
    return found


def wait_until(true: Callable[[], bool]) -> None:
    """Wait, at most a minute."""
    for _ in range(600):
        if true():
            return
        time.sleep(0.1)
    raise AssertionError("it did not become true")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_an_ended_run_leaves_no_process_and_goes_on_with_each_step_once(
    world: World, tmp_path: Path, number: signal.Signals
) -> None:
    run = tmp_path / "run"
    command = (
        "sft",
        world.configs["sft"],
        "--run",
        run,
        "--set",
        f"track=[{', '.join(ALL)}]",
        "--set",
        "train.save_every=50",
    )
    command = (*command, "--set", "train.max_steps=500", "--set", "eval.every=500")
    process = start(*command)
    wait_until(lambda: (run / "tracking/times.jsonl").exists() and len(times_of(run)) > 60)
    assert len(processes_in(run)) >= 2  # the one that follows, and that of wandb
    process.send_signal(number)
    process.communicate()
    assert process.returncode == (143 if number == signal.SIGTERM else -9)
    wait_until(lambda: not processes_in(run))
    for name in ALL:
        assert [row["step"] for row in READERS[name](run)] == [row["step"] for row in rows_of(run)]
    assert len(rows_of(run)) < 500
    assert call(*command).code == 0
    assert [row["step"] for row in rows_of(run)] == list(range(1, 501))
    for name in ALL:
        expect_tracked(run, name)


@pytest.mark.slow
def test_a_file_that_can_grow_no_more_ends_its_tracker_alone(world: World, tmp_path: Path) -> None:
    run = tmp_path / "run"
    settings = (f"track=[{', '.join(ALL)}]", "train.max_steps=400", "train.save_every=400", "eval.every=400")
    options = [option for setting in settings for option in ("--set", setting)]
    process = start("sft", world.configs["sft"], "--run", run, *options)
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (260_000, 260_000))
    out, err = process.communicate()
    assert (process.returncode, out) == (0, f"{run}\n"), err
    told = [line.split(" stopped tracking (")[0] for line in err.splitlines() if "stopped tracking" in line]
    assert sorted(told) == ["warning: trackio", "warning: wandb"]
    assert len(rows_of(run)) == 400
    expect_tracked(run, "tensorboard")
