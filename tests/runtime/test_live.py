"""The view of a running stage: what it says, how wide and high it is, and that no text breaks it or its terminal."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from pathlib import Path
from threading import Thread

import pytest
from conftest import World, read_metrics
from rich.cells import cell_len
from rich.console import Console

from rlvr.cli import app
from rlvr.collect import telling
from rlvr.evaluation import so_far
from rlvr.runtime.literal import on_one_line
from rlvr.runtime.live import MOST_LINES, View
from rlvr.runtime.metrics import Row
from rlvr.runtime.sparkline import MOST, History, sparkline
from rlvr.types import Group, Problem, Rollout

PROBLEM = Problem(task="t", split="train", index=7, question="1 0 1 =", answer="0")

HOSTILE = {
    "control": "\x1b[2J\x1b[31m\x07\r\x00\x9b1;1H",
    "markup": "[red]x[/red] [/] [link=http://a]",
    "wide": "漢字" * 200,
    "emoji": "👩‍👩‍👧🇩🇪👍🏽❤️" * 80,
    "nothing wide": "\u200b\u200d\ufeff" * 300,
    "combining": "e" + "\u0301" * 5000,
    "right to left": "\u202eשלום עולם" * 60,
    "lines": "\n\r\n\u2028\x85\x0b\x0c" * 50,
    "surrogate": "\ud800\udfff",
    "long": "x" * 2_000_000,
    "empty": "",
}


def rl_row(step: int, cot: float) -> Row:
    """A step of RL with two modes."""
    return {
        "step": step, "reward/mean": 0.5 + cot / 2, "rollout/length_mean": 3 + 17 * cot, "entropy/mean": 0.3,
        "signal/trained": 0.9, "mode/cot/probability": cot, "mode/cot/advantage": 0.4, "mode/cot/accuracy": 1.0,
        "mode/direct/probability": 1 - cot, "mode/direct/advantage": -0.1, "mode/direct/accuracy": 0.5,
    }  # fmt: skip


def none(_right: bool) -> None:
    """No completion to show."""


def texts(view: View, width: int = 100, height: int = 30) -> list[str]:
    """The view's lines as a terminal of that width prints them."""
    lines = view.lines(width, height)
    console = Console(width=width, force_terminal=True, color_system=None, file=StringIO())
    with console.capture() as caught:
        for line in lines:
            console.print(line)
    shown = caught.get().split("\n")[:-1]
    assert len(shown) == len(lines)
    return shown


@pytest.fixture
def fresh(answered: Callable[..., Group]) -> Rollout:
    """A right answer."""
    return replace(answered(PROBLEM, 1)[0], text="1 1 0", mode="cot")


def full(fresh: Rollout, label: str = "rl", note: str = "note: step 3: " + "word " * 100) -> View:
    """A view in which every part has something to show."""
    view = View(label, 50, clock=lambda: 0.0)
    for step in range(1, 31):
        view.update(step, rl_row(step, step / 40), lambda _right: fresh, 0.5)
    view.note = note
    return view


def test_a_view_says_how_far_how_fast_which_numbers_what_was_noted_and_what_was_answered(fresh: Rollout) -> None:
    shown = texts(full(fresh))
    assert re.fullmatch(r"rl ━+─+  30/50  2\.0 step/s  10 s left", shown[0])
    assert shown[1].split()[:3] == ["reward", "0.875", "+0.3625"]
    assert shown[2].split()[:3] == ["P(cot)", "0.750", "+0.725"]
    assert [line.split()[0] for line in shown[3:6]] == ["length", "entropy", "signal"]
    assert shown[2].endswith("▆")
    assert shown[6].startswith("note: step 3: word")
    assert shown[9] == "fresh    right, reward 1, mode cot, gold answer 0"
    assert shown[10:] == ["asked    1 0 1 =", "answered 1 1 0"]


@pytest.mark.parametrize("width", [30, 60, 80, 120, 200])
@pytest.mark.parametrize("name", HOSTILE)
def test_no_text_makes_a_line_too_wide_or_a_view_too_high(fresh: Rollout, name: str, width: int) -> None:
    text = HOSTILE[name]
    problem = Problem(task="t", split="train", index=0, question=text, answer=text)
    hostile = replace(fresh, text=text, mode=text or "empty", problem=problem)
    view = full(hostile, note=f"note: {text[:5000]}")
    view.update(31, {**rl_row(31, 0.9), f"mode/{text}/probability": 0.5, f"mode/{text}/advantage": 3.0}, none, 0.5)
    for height in (MOST_LINES, 40):
        shown = texts(view, width, height)
        assert 10 <= len(shown) <= MOST_LINES
        assert max(map(cell_len, shown)) <= width
        assert all(character.isprintable() for line in shown for character in line)
    if name == "markup":
        assert text in "\n".join(texts(view, 200))


def test_a_low_terminal_loses_the_completion_then_the_note_then_numbers(fresh: Rollout) -> None:
    view = full(fresh)
    for height in range(1, 14):
        shown = "\n".join(texts(view, 60, height))
        assert len(shown.split("\n")) <= height
        assert ("answered" in shown) == (height >= 12)
        assert ("note:" in shown) == (height >= 7)
        assert ("signal trained" in shown) == (height >= 6)
        assert "30/50" in shown


def test_what_stays_is_progress_numbers_and_the_note(fresh: Rollout) -> None:
    view = full(fresh)
    view.finished = True
    shown = texts(view)
    assert len(shown) == 9
    assert "answered" not in "\n".join(shown)
    assert shown[0].endswith("2.0 step/s  0 s in all")


def test_a_signal_is_told_in_the_view(fresh: Rollout) -> None:
    view = full(fresh)
    view.stop_soon()
    assert texts(view)[0].endswith("stopping as soon as it is safe; Ctrl-C stops at once")


def test_without_rows_there_is_progress_alone() -> None:
    assert texts(View("rl", 50)) == [f"rl {'─' * 40}  0/50"]


def test_one_row_and_what_was_not_finite() -> None:
    view = View("sft", 9)
    view.update(1, {"train/loss": 2.0, "train/grad_norm": None, "train/perplexity": float("inf")}, none, 1.0)
    assert [line.split() for line in texts(view)[1:]] == [["loss", "2", "+0", "▄"]]
    view.update(2, {"train/loss": None, "train/grad_norm": 4.0}, none, 1.0)
    assert texts(view)[1].split()[:3] == ["loss", "not", "finite"]
    assert texts(view)[2].split()[:2] == ["gradient", "norm"]


def test_documents_have_numbers_of_their_own() -> None:
    row = {"train/loss": 1.0, "train/perplexity": 2.7, "train/grad_norm": 0.5, "tokens/documents": 9000.0}
    row |= {"time/step_seconds": 3.0, "time/eval_seconds": 1.0}
    view = View("sft", 9, rows=[{**row}])
    names = [line[:15].strip() for line in texts(view)[1:]]
    assert names == ["loss", "gradient norm", "tokens a second", "perplexity"]
    assert texts(view)[3].split()[3] == "4,500"
    view.update(1, {**row, "eval/documents/loss": 2.0, "eval/t/accuracy": 0.5}, none, 1.0)
    names = [line[:15].strip() for line in texts(view)[1:]]
    assert names == ["loss", "held-out loss", "accuracy", "gradient norm", "tokens a second"]


def test_the_mode_that_earns_more_is_shown_and_one_mode_is_accuracy() -> None:
    one = {"reward/mean": 0.5, "mode/a/probability": 1.0, "mode/a/advantage": 0.0, "mode/a/accuracy": 0.25}
    view = View("rl", 9, rows=[one])
    assert texts(view)[2].split()[:2] == ["accuracy", "0.250"]
    two = {**one, "mode/a/probability": 0.8, "mode/b/probability": 0.2, "mode/b/advantage": 0.3}
    view.update(2, {**two}, none, 1.0)
    assert texts(view)[2].split()[:3] == ["P(b)", "0.200", "+0.200"]
    view.update(3, {**one}, none, 1.0)
    assert texts(view)[2].split()[:2] == ["P(b)", "0.000"]


def test_an_evaluation_shows_what_it_has_so_far_with_intervals(answered: Callable[..., Group]) -> None:
    groups = [answered(PROBLEM, right) for right in (0, 2, 4, 2)]
    row = so_far(groups, [group[:1] for group in groups])
    view = View("eval", 9)
    view.update(4, row, none, 1.0)
    shown = texts(view)
    assert shown[1].split()[:2] == ["accuracy", "0.500"]
    low, high = map(float, shown[1].split()[2].split("–"))
    assert low == pytest.approx(row["so_far/accuracy_low"], abs=1e-3)
    assert high == pytest.approx(row["so_far/accuracy_high"], abs=1e-3)
    view.update(5, {}, none, 1.0)
    assert texts(view)[1] == shown[1]
    assert "5/9" in texts(view)[0]


def test_a_completion_stays_until_it_was_read_and_right_and_wrong_take_turns(answered: Callable[..., Group]) -> None:
    now, asked = [0.0], []
    groups = [answered(PROBLEM, 2)]

    def fresh(right: bool) -> Rollout | None:
        asked.append(right)
        return telling(groups, right=right)

    view = View("rl", 99, clock=lambda: now[0])
    for second in range(10):
        now[0] = float(second)
        view.update(second, {}, fresh, 1.0)
    assert asked == [True, False, True]
    assert "fresh    right" in "\n".join(texts(view))


def test_what_is_told_is_of_the_rarest_mode_and_as_right_as_asked(answered: Callable[..., Group]) -> None:
    modes = ["a", "a", "a", "b"]
    groups = [
        [replace(r, mode=mode) for r, mode in zip(answered(PROBLEM, right), modes, strict=True)] for right in (4, 2)
    ]
    assert telling(groups, right=True) is groups[0][3]
    assert telling(groups, right=False) is groups[1][3]
    assert telling(groups[:1], right=False) is groups[0][3]
    assert telling([], right=True) is None


def test_a_resumed_view_begins_with_the_rows_that_are_there(fresh: Rollout) -> None:
    rows = [rl_row(step, step / 40) for step in range(1, 31)]
    resumed = View("rl", 50, 30, rows, clock=lambda: 0.0)
    assert texts(resumed)[1:6] == texts(full(fresh))[1:6]
    assert "30/50" in texts(resumed)[0]


def test_a_history_is_drawn_in_as_many_columns_as_there_are_and_keeps_its_means() -> None:
    history = History()
    for value in range(10 * MOST):
        history.add(float(value))
    drawn = history.columns(10)
    assert drawn == sorted(drawn)
    assert drawn[0] == pytest.approx(MOST / 2, rel=0.05)
    assert len(history.columns(10_000)) <= MOST
    assert (history.first, history.last) == (0.0, 10 * MOST - 1)
    short = History()
    assert short.columns(5) == []
    short.add(3.0)
    assert short.columns(5) == [3.0]


def test_a_sparkline_has_a_block_for_each_value() -> None:
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7]) == "▁▂▃▄▅▆▇█"
    assert sparkline([0.5, 1.0], 0.0, 1.0) == "▅█"
    assert sparkline([2.0, 2.0]) == "▄▄"
    assert sparkline([]) == ""


def test_a_long_line_keeps_both_its_ends() -> None:
    assert on_one_line("short", 10) == "short"
    assert on_one_line("a" * 50 + "\nanswer", 20) == "aaaaaaaaaaa … answer"
    assert on_one_line("a" * 50 + "漢字", 21) == "aaaaaaaaaaaa … aa漢字"


# ------------------------------------------------------------------------------------------------ a terminal


def assert_whole(shown: str) -> None:
    """The cursor is shown and lines are wrapped again at the end."""
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")
    assert shown.rindex("\x1b[?7h") > shown.rindex("\x1b[?7l")
    assert "\x1b[?1049h" not in shown
    assert "Traceback" not in shown


def read(terminal: int) -> str:
    """What is shown next; nothing once nobody has the other end any more."""
    try:
        return os.read(terminal, 65536).decode(errors="replace")
    except OSError:
        return ""


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[object, str]]:
    """Call rlvr in this process with stderr on a terminal: its exit code, and what the terminal was sent."""

    def run(*arguments: object, term: str = "xterm-256color") -> tuple[object, str]:
        monkeypatch.setenv("TERM", term)
        for name in ("NO_COLOR", "FORCE_COLOR"):
            monkeypatch.delenv(name, raising=False)
        ours, theirs = pty.openpty()
        shown: list[str] = []
        reader = Thread(target=lambda: shown.extend(iter(lambda: read(ours), "")))
        reader.start()
        with os.fdopen(theirs, "w", encoding="utf-8") as stderr, monkeypatch.context() as patched:
            patched.setattr(sys, "stderr", stderr)
            with pytest.raises(SystemExit) as ended:
                app([str(argument) for argument in arguments])
        reader.join()
        os.close(ours)
        return ended.value.code, "".join(shown)

    return run


def test_on_a_terminal_the_view_appears_and_stdout_has_the_path_alone(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str], watched: Callable[..., tuple[object, str]]
) -> None:
    code, shown = watched("rl", world.configs["rl"], "--run", tmp_path / "run")
    assert code == 0
    assert capsys.readouterr().out == f"{tmp_path / 'run'}\n"
    assert_whole(shown)
    last = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown.split("\x1b[?7l")[-1])
    assert re.match(r"rl ━+  6/6  ", last)
    assert re.search(r"reward +\d", last)
    assert read_metrics(tmp_path / "run") == read_metrics(world.runs["rl"])


def test_an_evaluation_is_watched_too_and_json_is_alone_on_stdout(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str], watched: Callable[..., tuple[object, str]]
) -> None:
    code, shown = watched("eval", world.configs["eval"], "--run", tmp_path / "run", "--json")
    assert code == 0
    assert json.loads(capsys.readouterr().out)["eval/modsum/problems"] == 16
    assert_whole(shown)
    assert "16/16" in shown
    assert "greedy accuracy" in shown


def test_a_terminal_that_can_do_nothing_gets_plain_lines(
    world: World, tmp_path: Path, watched: Callable[..., tuple[object, str]]
) -> None:
    code, shown = watched("eval", world.configs["eval"], "--run", tmp_path / "run", term="dumb")
    assert code == 0
    assert "eval 16/16    " in shown
    assert "\x1b" not in shown


def test_a_resumed_run_shows_the_rows_that_were_written_before_its_first_step(
    world: World, tmp_path: Path, watched: Callable[..., tuple[object, str]]
) -> None:
    run = Path(shutil.copytree(world.runs["rl"], tmp_path / "run"))
    shutil.rmtree(run / "checkpoints" / "step_000006")
    (run / "checkpoints" / "latest").write_text("step_000004\n")
    code, shown = watched("rl", world.configs["rl"], "--run", run)
    assert code == 0
    first = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown.split("\x1b[?7l")[1])
    assert re.match(r"rl ━+─+  4/6\s", first)
    assert re.search(r"reward .*  [▁▂▃▄▅▆▇█]{4}\s", first)


PRESSED = """
import fcntl, sys, termios
from rlvr.cli import app
fcntl.ioctl(2, termios.TIOCSCTTY, 0)
app(sys.argv[1:])
"""


def test_ctrl_c_on_a_terminal_leaves_it_whole(world: World, tmp_path: Path) -> None:
    """The key itself, on a terminal of 70 columns without colour."""
    steps = [word for key in ("train.max_steps", "train.save_every", "eval.every") for word in ("--set", f"{key}=9999")]
    arguments = ["rl", str(world.configs["rl"]), "--run", str(tmp_path / "run"), *steps]
    own = {
        name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")
    }  # of pytest's terminal
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 70, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-c", PRESSED, *arguments],
        stdin=theirs, stdout=subprocess.PIPE, stderr=theirs, start_new_session=True,
        env={**own, "TERM": "xterm-256color", "NO_COLOR": "1", "PYTHONUTF8": "1"},
    )  # fmt: skip
    os.close(theirs)
    shown = ""
    while "reward" not in shown and (new := read(ours)):
        shown += new
    os.write(ours, b"\x03")
    while new := read(ours):
        shown += new
    out, _ = process.communicate(timeout=60)
    os.close(ours)
    assert (process.returncode, out) == (130, b"")
    assert_whole(shown)
    assert "once more to stop at once" not in shown  # the view says it, where it moves no line
    assert shown.endswith("stopped by signal 2; run the same command again to go on\r\n")
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]m", shown)
    view = shown[shown.index("\x1b[?25l") :]
    moved = re.sub(r"\x1b\[[0-9;]*[A-HJK]", "\n", view)  # what comes after is not beside what came before
    lines = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", moved).replace("^C", "").splitlines()
    said = [
        line for line in lines if line.endswith("(rlvr inspect shows them)")
    ]  # a plain line, which the terminal wraps
    assert [line for line in lines if line not in said and cell_len(line) > 70] == []
    done = json.loads((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[-1])["step"]
    assert (tmp_path / "run" / "checkpoints" / "latest").read_text().strip() == f"step_{done:06d}"
