"""SIGTERM and SIGINT in every phase: what there is to save is saved, and the run goes on to the same bits."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import World, call, final_weights, read_metrics, start, write_config

import rlvr.audit
import rlvr.collect
import rlvr.config_file
import rlvr.data.document_batches
import rlvr.evaluation
import rlvr.launch
import rlvr.preflight
import rlvr.report.runs
import rlvr.rollout.continuous
import rlvr.stages.documents
import rlvr.stages.evaluate
import rlvr.stages.pretrain
import rlvr.stages.rl
import rlvr.train.checkpoint
import rlvr.train.loop

CODES = {signal.SIGTERM: 143, signal.SIGINT: 130}

# Of each phase a function that runs in the middle of it, as it is looked up by its caller.
SAMPLING = (rlvr.rollout.continuous.ContinuousBatch, "_draw")
SCORING = (rlvr.collect.Collector, "score")
UPDATING = (rlvr.train.loop.Measured, "add")
APPLYING = (rlvr.train.loop, "_refuse_beyond_limits")
SAVING = (rlvr.train.checkpoint, "save_model")
EVALUATING = (rlvr.evaluation, "accuracy_metrics")
BATCHING = (rlvr.data.document_batches, "to_batches")
MEASURING = (rlvr.evaluation, "cross_entropy")

PHASES = {
    "rl": {"sampling": (SAMPLING, 40), "scoring": (SCORING, 3), "updating": (UPDATING, 5), "applying": (APPLYING, 3),
           "saving": (SAVING, 2), "saving the last": (SAVING, 3), "evaluating": (EVALUATING, 1)},
    "sft": {"batching": (BATCHING, 2), "updating": (UPDATING, 5), "applying": (APPLYING, 3), "saving": (SAVING, 2),
            "saving the last": (SAVING, 3), "evaluating": (EVALUATING, 1), "held-out loss": (MEASURING, 1)},
    "pretrain": {"batching": (BATCHING, 2), "updating": (UPDATING, 5), "applying": (APPLYING, 3), "saving": (SAVING, 2),
                 "saving the last": (SAVING, 3), "evaluating": (EVALUATING, 1), "held-out loss": (MEASURING, 1)},
    "eval": {"sampling": (SAMPLING, 5), "scoring": (SCORING, 1), "held-out loss": (MEASURING, 1)},
}  # fmt: skip
"""By stage and phase: the function, and at the how manieth call of it the signal comes."""


def signalled(monkeypatch: pytest.MonkeyPatch, place: tuple[Any, str], nth: int, number: signal.Signals) -> list[int]:
    """Send this process a signal at the nth call of a function; the list is empty until it was sent."""
    owner, name = place
    original, calls, sent = getattr(owner, name), 0, []

    def sending(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == nth:
            sent.append(nth)
            os.kill(os.getpid(), number)
        return original(*arguments, **options)

    monkeypatch.setattr(owner, name, sending)
    return sent


def newest(run: Path) -> int:
    """The step of a run's newest checkpoint."""
    return int((run / "checkpoints" / "latest").read_text().strip().removeprefix("step_"))


@pytest.mark.check("R12", "R13")
@pytest.mark.parametrize(
    ("stage", "phase", "number"),
    [(stage, phase, signal.SIGTERM) for stage in PHASES for phase in PHASES[stage]]
    + [("rl", phase, signal.SIGINT) for phase in PHASES["rl"]],
)
def test_a_signal_in_any_phase_saves_the_present_state_and_the_run_goes_on_exactly(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str, phase: str, number: signal.Signals
) -> None:
    run = tmp_path / "run"
    handlers = [signal.getsignal(each) for each in CODES]
    with monkeypatch.context() as patched:
        place, nth = PHASES[stage][phase]
        sent = signalled(patched, place, nth, number)
        answer = call(stage, world.configs[stage], "--run", run)
        assert sent
    assert [signal.getsignal(each) for each in CODES] == handlers
    assert answer.code == CODES[number], answer.err
    assert answer.out == ""
    assert answer.err.splitlines()[-1] == f"stopped by signal {number.value}; run the same command again to go on"
    if stage != "eval":
        state = json.loads((run / "checkpoints" / f"step_{newest(run):06d}" / "state.json").read_text())
        done = len(read_metrics(run)) + (state["row"] is not None)
        assert newest(run) == done
        assert not list((run / "checkpoints").glob(".tmp-*"))
    answer = call(stage, world.configs[stage], "--run", run)
    assert answer.code == 0, answer.err
    assert read_metrics(run) == read_metrics(world.runs[stage])
    for rollouts in (world.runs[stage] / "rollouts").iterdir():
        assert (run / "rollouts" / rollouts.name).read_bytes() == rollouts.read_bytes()
    if stage != "eval":
        assert final_weights(run) == final_weights(world.runs[stage])


# What has nothing to save is ended where it is.
BEFORE: dict[str, list[tuple[Any, str]]] = {
    "pretrain": [
        (rlvr.launch, "plan"), (rlvr.preflight, "check_gold"), (rlvr.stages.pretrain, "build_tokenizer"),
        (rlvr.stages.pretrain, "build_model"), (rlvr.stages.documents, "check_room"), (rlvr.train.checkpoint, "newest_whole"),
    ],
    "rl": [
        (rlvr.launch, "plan"), (rlvr.preflight, "sha256"), (rlvr.stages.rl, "load_model"), (rlvr.stages.rl, "make_collector"),
        (rlvr.train.checkpoint, "newest_whole"),
    ],
    "eval": [(rlvr.launch, "plan"), (rlvr.stages.evaluate, "load_model"), (rlvr.stages.evaluate, "check_room")],
    "check": [(rlvr.preflight, "plan"), (rlvr.preflight, "check_gold")],
    "data": [(rlvr.config_file, "load")],
    "inspect": [(rlvr.report.runs, "open_finished")],
    "audit": [(rlvr.config_file, "load"), (rlvr.audit, "audit")],
}  # fmt: skip
"""By command the functions at whose first call the signal comes."""


@pytest.mark.check("R12", "R13")
@pytest.mark.parametrize("number", CODES)
@pytest.mark.parametrize("command", BEFORE)
def test_a_signal_where_there_is_nothing_to_save_ends_the_command(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, number: signal.Signals
) -> None:
    target = world.runs["rl"] if command == "inspect" else world.configs.get(command, world.configs["rl"])
    runs = command in world.configs
    where = ("--run", tmp_path / "run") if runs else ()
    for place in BEFORE[command]:
        with monkeypatch.context() as patched:
            sent = signalled(patched, place, 1, number)
            answer = call(command, target, *where)
        assert sent, place
        assert answer.code == CODES[number], (place, answer)
        assert answer.out == ""
        assert answer.err.splitlines()[-1] == f"stopped by signal {number.value}; there was nothing to save", place
    if runs:
        assert call(command, target, *where).code == 0
        assert read_metrics(tmp_path / "run") == read_metrics(world.runs[command])
        assert not list((tmp_path / "run").rglob(".tmp-*"))


# ---------------------------------------------------------------------------------------------------- processes

SLEEPER = """
import pathlib, sys, time

def score(question, answer, response, metadata):
    marker = pathlib.Path({marker!r})
    if not marker.exists():
        marker.touch()
        time.sleep(50)
    return 1.0 if response.split()[-1:] == [answer] else len(response) % 3 / 4
"""


def wait_for(condition: Callable[[], object], process: subprocess.Popen[str]) -> None:
    """Until something holds, while a process runs."""
    deadline = time.monotonic() + 60
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.check("R12")
@pytest.mark.parametrize(
    "stage", [pytest.param("rl", marks=pytest.mark.slow), pytest.param("eval", marks=pytest.mark.slow), "check"]
)
def test_a_long_call_of_a_reward_function_is_not_waited_for(world: World, tmp_path: Path, stage: str) -> None:
    marker, function = tmp_path / "marker", tmp_path / "reward.py"
    function.write_text(SLEEPER.format(marker=str(marker)))
    tree = yaml.safe_load(world.configs["rl" if stage == "check" else stage].read_text())
    tree["reward"] = {"exact": 1.0, "own": {"file": str(function), "function": "score", "weight": 0.5, "seconds": 60.0}}
    config = write_config(tmp_path / "c.yaml", tree)
    if stage != "check":  # the check of gold answers is not what is to be interrupted
        marker.touch()
        assert call(stage, config, "--run", tmp_path / "whole").code == 0
    marker.unlink(missing_ok=True)
    if stage != "check":
        marker.touch()
    run = [] if stage == "check" else ["--run", tmp_path / "run"]
    process = start(stage, config, *run)
    if stage != "check":
        wait_for(lambda: (tmp_path / "run" / "environment.json").exists(), process)  # past the check
        marker.unlink()
    wait_for(marker.exists, process)
    begin = time.monotonic()
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert time.monotonic() - begin < 20
    assert process.returncode == 143, err
    assert out == ""
    assert "Traceback" not in err
    if stage == "check":
        return
    assert call(stage, config, *run).code == 0
    assert read_metrics(tmp_path / "run") == read_metrics(tmp_path / "whole")


READING = """
import itertools, sys
from rlvr.config import TokenizerConfig
from rlvr.models.tokenizer import build_tokenizer
from rlvr.runtime import signals
def texts():
    for number in itertools.count():
        yield f"text number {number}"
        if number == 10_000:
            print("reading", flush=True)
with signals.ending():
    build_tokenizer(TokenizerConfig(kind="bpe"), texts(), 64)
"""


@pytest.mark.check("R12")
def test_a_signal_ends_the_training_of_a_tokenizer() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", READING], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "reading\n"
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=20)
    assert process.returncode == -signal.SIGTERM  # which a shell calls 143
    assert err == ""


STUCK = """
import sys, time
import rlvr.train.checkpoint
from rlvr.cli import app
def stuck(*arguments):
    print("saving", file=sys.stderr, flush=True)
    time.sleep(50)
rlvr.train.checkpoint.save_model = stuck
app(sys.argv[1:])
"""


@pytest.mark.check("R13")
@pytest.mark.parametrize("number", CODES)
def test_a_second_signal_ends_a_run_at_once_and_it_goes_on_exactly(
    world: World, tmp_path: Path, number: signal.Signals
) -> None:
    run = tmp_path / "run"
    arguments = ["rl", str(world.configs["rl"]), "--run", str(run)]
    process = subprocess.Popen([sys.executable, "-c", STUCK, *arguments], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for word in ("saving", "stopping as soon as it is safe"):
        assert any(word in line for line in process.stderr)
        process.send_signal(number)
    _, err = process.communicate(timeout=10)
    assert process.returncode == -number, err  # which a shell calls 128 + number
    assert "Traceback" not in err
    assert not (run / "checkpoints" / "latest").exists()
    assert call(*arguments).code == 0
    assert read_metrics(run) == read_metrics(world.runs["rl"])
    assert final_weights(run) == final_weights(world.runs["rl"])


@pytest.mark.check("R12", "R13")
@pytest.mark.slow
def test_a_signal_at_any_moment_of_starting_has_its_exit_code(
    world: World, tmp_path: Path, thorough: bool, record_property: Callable[[str, object], None]
) -> None:
    rng, run = random.Random(3), tmp_path / "run"
    tries = 20 if thorough else 4
    for attempt in range(tries):
        number = rng.choice(list(CODES))
        process = start("rl", world.configs["rl"], "--run", run)
        time.sleep(0.2 + 4.0 * (attempt + rng.random()) / tries)  # from when Python has started
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
        assert "Traceback" not in err
        if "rl 6/6" in err:
            break  # the signal came when all was done
        assert process.returncode == CODES[number], err
    assert call("rl", world.configs["rl"], "--run", run).code == 0
    assert read_metrics(run) == read_metrics(world.runs["rl"])
    assert final_weights(run) == final_weights(world.runs["rl"])
    record_property("figure", f"{attempt + 1} signals while starting")


@pytest.mark.check("R13")
def test_a_ctrl_c_that_ends_the_reader_of_the_messages_too_still_saves(world: World, tmp_path: Path) -> None:
    run, options = tmp_path / "run", ["--set", "train.max_steps=2000", "--set", "train.save_every=1000"]
    process = start("pretrain", world.configs["pretrain"], "--run", run, *options)
    wait_for(lambda: (run / "metrics.jsonl").exists() and read_metrics(run), process)
    assert process.stderr is not None
    with process:
        process.stderr.close()
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 130
    assert newest(run) in (len(read_metrics(run)), len(read_metrics(run)) + 1)
