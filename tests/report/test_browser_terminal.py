"""``rlvr inspect``: rollouts as text by what is asked for, and the browser with its keys."""

from __future__ import annotations

import asyncio
import json
import math
import os
import pty
import select
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import call, loaded
from textual.pilot import Pilot
from textual.widgets import DataTable, Static
from tokenizers import Tokenizer
from tokenizers.decoders import Fuse
from tokenizers.models import WordLevel

from rlvr.report.browser.app import Browser
from rlvr.report.browser.desk import Desk
from rlvr.report.browser.tokens import TokenLines
from rlvr.report.choosing import Choice, Step, likeliest, open_step, places
from rlvr.report.runs import open_finished

PIECES = ["yes", " no", "\x1b[2J", "[bold]", "字字", "a\nb", "\u0301", "x" * 1_000_000]
TITLE = "\x1b]0;gone\x07"


def rollout(
    index: int, tokens: list[int], *, mode: str = "cot", right: bool = True, **changed: object
) -> dict[str, Any]:
    count = len(tokens)
    row: dict[str, Any] = {
        "index": index, "question": f"question {index}", "answer": "yes", "prompt": f"question {index}",
        "completion": "".join(PIECES[token] for token in tokens), "mode": mode, "correct": right, "reward": float(right),
        "rewards": {"exact": float(right)}, "reasons": {}, "advantage": 0.5 if right else -0.5, "advantages": None, "trained": True,
        "stop_reason": "stop", "token_ids": tokens, "logprobs": [math.log(0.5)] * count, "entropies": [0.1 * index] * count,
    }  # fmt: skip
    return {**row, **changed}


def study(line: int, count: int) -> dict[str, Any]:
    """Each token is twice as likely as when it was sampled, and four times as likely as before."""
    choices = [
        {"id": 0, "text": "yes", "probability": 0.75, "against": 0.25},
        {"id": 1, "text": " no", "probability": 0.25, "against": 0.75},
    ]
    return {
        "line": line, "index": 0, "policy": "checkpoints/step_000002", "against": "first", "logprobs": [0.0] * count,
        "against_logprobs": [math.log(0.25)] * count, "entropies": [0.5] * count, "against_entropies": [0.5] * count,
        "alternatives": [choices] * count,
        "credit": {"policy": "p", "samples": 8, "positions": [0, 1, count], "right": [0.0, 0.25, 1.0], "low": [0.0, 0.1, 0.7], "high": [0.3, 0.6, 1.0]},
    }  # fmt: skip


def write(file: Path, rows: list[dict[str, Any]]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))


STEPS = {
    1: [rollout(0, [1], right=False), rollout(0, [0, 1]), rollout(9, [1])],
    2: [
        rollout(0, [0, 1, 0]),
        rollout(0, [1], mode="direct", right=False, reward=0.5),
        rollout(1, [0, 1, 1, 1, 1], right=False),
        rollout(1, [0], question="Question one"),
        rollout(2, [2, 3, 4, 5, 6, 7], question=TITLE, mode="[red]", trained=[True, False, True, True, True, True]),
    ],
}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run of two steps: of a problem that is in both, of hostile text, and with one rollout studied."""
    folder = tmp_path / "run"
    for step, rows in STEPS.items():
        write(folder / "rollouts" / f"step_{step:06d}.jsonl", rows)
    write(folder / "study" / "step_000002.jsonl", [study(0, 3)])
    write(folder / "metrics.jsonl", [{"step": 1, "mode/cot/probability": 0.5}])
    (folder / "config.yaml").write_text(yaml.safe_dump({"model": "m", "train": {}}))
    (folder / "checkpoints" / "step_000001").mkdir(parents=True)
    tokenizer = Tokenizer(WordLevel({piece: number for number, piece in enumerate(PIECES)}, unk_token="yes"))
    tokenizer.decoder = Fuse()
    tokenizer.save(str(folder / "checkpoints" / "step_000001" / "tokenizer.json"))
    return folder


def without_recordings(run: Path, step: int) -> None:
    """As an older version wrote it."""
    rows = [
        {name: value for name, value in row.items() if name not in ("entropies", "trained", "reasons")}
        for row in STEPS[step]
    ]
    write(run / "rollouts" / f"step_{step:06d}.jsonl", rows)


def inspect(*arguments: object) -> str:
    answer = call("inspect", *arguments)
    assert answer.code == 0, answer.err
    assert not {"\x1b", "\x07"} & set(answer.out)
    return answer.out


def completions(text: str) -> list[str]:
    """The completions that are shown, in order, each as far as its first 20 characters."""
    return [line.split(" | ", 1)[1][:20] for line in text.splitlines() if " | " in line]


# ------------------------------------------------------------------------------------------------- as text


@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        (["--only", "wrong-rewarded"], [" no"]),
        (["--only", "wrong"], [" no", "yes no no no no"]),
        (["--only", "right", "--mode", "cot"], ["yes noyes", "yes"]),
        (["--only", "longest", "--count", "2"], ["\\x1b[2J[bold]字字a", "yes no no no no", "yes"]),
        (["--only", "uncertain", "--count", "1"], ["\\x1b[2J[bold]字字a"]),
        (["--mode", "direct"], [" no"]),
        (["--search", "QUESTION ONE"], ["yes"]),
        (["--search", "NOYES"], ["yes noyes"]),
        (["--problem", "1", "--only", "wrong"], ["yes no no no no"]),
        (["--step", "1", "--problem", "9"], [" no"]),
        (["--problem", "77"], []),
    ],
)
def test_rollouts_are_chosen_by_what_is_asked(run: Path, asked: list[str], shown: list[str]) -> None:
    text = inspect(run, *asked)
    assert completions(text) == shown
    assert "while training" not in text  # only what was asked for
    assert f"{len(shown) or 'none'} of them" in text or "--count" in asked


def test_the_same_problem_stands_beside_itself_at_another_step(run: Path) -> None:
    text = inspect(run, "--against", 1)
    assert "1 of their 3 problems are among those of step 1 too" in text
    assert "step 2: 1 of 2 right, reward 0.75" in text
    (line,) = [line for line in text.splitlines() if "yes noyes" in line]
    here, there = line.strip("│ ").split("│")
    assert ("yes noyes" in here, " no" in there) == (True, True)


@pytest.mark.parametrize(
    ("quantity", "blocks", "legend"),
    [
        ("entropy", "▁▁▁▁▁▁▁▁▁", "█ ≥ 0.693 nats"),
        ("advantage", "▆▆▆▆▆▆▆▆▆", "▄ +0.000"),  # 0.5 of 1
        ("change", "▇▇▇▇▇▇▇▇▇", "▇ ≥ +1.386 nats"),  # log 4
        ("ratio", "▇▇▇▇▇▇▇▇▇", "▇ ≥ 2.000"),
        ("probability", "▂▂▂▂▂▂▂▂▂", "█ ≤ 0.010"),  # log 2 of log 100
    ],
)
def test_tokens_have_blocks_that_say_what_the_colours_say(run: Path, quantity: str, blocks: str, legend: str) -> None:
    lines = inspect(run, "--tokens", quantity, "--problem", 0, "--only", "right").splitlines()
    letters = lines.index("yes noyes")
    assert lines[letters + 1] == blocks
    assert lines[letters + 2] == "▃▃▃▃▃▃███"  # credit: 0.25 after the first token, 1 after the last
    assert any(legend in line for line in lines)


def test_a_token_without_text_is_the_end_or_its_number(run: Path) -> None:
    row = rollout(0, [0])
    for stop, shown in (("stop", "yes‹end›"), ("length", "yes‹99›")):
        changed = {"token_ids": [0, 99], "logprobs": [-0.1, -0.1], "entropies": [0.1, 0.1], "stop_reason": stop}
        write(run / "rollouts" / "step_000003.jsonl", [{**row, **changed}])
        assert shown in inspect(run, "--step", 3, "--tokens", "entropy").splitlines()


def test_a_token_that_was_not_learnt_from_is_crossed(run: Path) -> None:
    lines = inspect(run, "--tokens", "entropy", "--problem", 2).splitlines()
    (letters,) = [n for n, line in enumerate(lines) if line.startswith("\\x1b[2J[bold]字字a⏎b")]
    assert lines[letters + 1] == "▃▃▃▃▃▃▃×▃▃▃▃▃▃▃▃▃▃▃▃"
    assert any("× under a crossed-out token" in line for line in lines)
    assert any(line.endswith("xxx…(1,000,000 characters)") for line in lines)


def test_only_what_was_recorded_is_offered(run: Path, refused: Callable[..., str]) -> None:
    without_recordings(run, 1)
    assert "step 1: was not recorded of these rollouts; got 'entropy'; allowed: advantage, probability" in refused(
        "inspect", run, "--step", 1, "--tokens", "entropy"
    )
    assert "▂▂" in inspect(run, "--step", 1, "--tokens", "probability")
    assert "--only uncertain: needs the entropies of tokens" in refused(
        "inspect", run, "--step", 1, "--only", "uncertain"
    )


def test_words_that_are_none_are_refused(run: Path, refused: Callable[..., str]) -> None:
    assert "--only: unknown filter; got 'best'; allowed: wrong-rewarded, wrong, right" in refused(
        "inspect", run, "--only", "best"
    )
    assert "--tokens: unknown quantity; got 'x'; allowed: entropy, advantage" in refused(
        "inspect", run, "--tokens", "x"
    )
    assert "has no rollouts of that step; got 7; allowed: 1, 2" in refused("inspect", run, "--against", 7)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"token_ids": ["a"]}, "token_ids are no tokens"),
        ({"token_ids": [-1]}, "token_ids are no tokens"),
        ({"logprobs": 1}, "logprobs is missing or of another kind"),
    ],
)
def test_a_damaged_rollout_is_one_line(
    run: Path, refused: Callable[..., str], changed: dict[str, Any], said: str
) -> None:
    write(run / "rollouts" / "step_000003.jsonl", [{**STEPS[1][0], **changed}])
    assert f"is damaged: {said}" in refused("inspect", run, "--tokens", "probability")


def test_lists_of_another_length_say_nothing_of_tokens(run: Path) -> None:
    rows = [{**STEPS[1][1], "entropies": [0.1], "logprobs": [None, float("nan")], "trained": [True]}]
    write(run / "rollouts" / "step_000003.jsonl", rows)
    assert "▆▆▆▆▆▆" in inspect(run, "--tokens", "advantage")
    assert call("inspect", run, "--tokens", "entropy").code == 2


def test_where_a_problem_is_looked_for_again(run: Path) -> None:
    for number in (3, 4, 5):
        write(run / "rollouts" / f"step_{number:06d}.jsonl", STEPS[1])
    opened = open_finished(run)
    step = Step(run=opened, number=4, records=[])
    found = places(step, [opened])
    assert [number for _, number in found] == [1, 2, 3, 5]
    assert [number for _, number in likeliest(step, found)] == [3, 1, 2, 5]


def test_plain_text_needs_no_textual(run: Path) -> None:
    assert {"torch", "transformers", "textual"}.isdisjoint(loaded("inspect", run, "--tokens", "entropy"))


# ---------------------------------------------------------------------------------------------- the browser


def browse(
    *runs: Path, script: Callable[[Pilot[None]], Awaitable[None]], width: int = 100, height: int = 30, **asked: Any
) -> None:
    """Run the browser without a terminal, and press keys."""

    async def play() -> None:
        desk = Desk(
            [open_finished(run) for run in runs],
            **{"step": None, "choice": Choice(), "against": None, "colour": None, **asked},
        )
        app = Browser(desk)
        async with app.run_test(size=(width, height)) as pilot:
            await pilot.pause()
            await script(pilot)
        assert app.return_code in (0, None)

    asyncio.run(play())


def screen(pilot: Pilot[None]) -> list[str]:
    """The lines on the screen."""
    lines = ["".join(segment.text for segment in strip) for strip in pilot.app.screen._compositor.render_strips()]
    assert not any(ord(c) < 32 or ord(c) == 127 for line in lines for c in line), lines
    return lines


def text_of(pilot: Pilot[None], name: str) -> str:
    return str(pilot.app.screen.query_one(f"#{name}", Static).visual)


def column(pilot: Pilot[None], number: int) -> list[str]:
    table = pilot.app.screen.query_one(DataTable)
    return [str(table.get_row_at(row)[number]) for row in range(table.row_count)]


def test_from_the_problems_of_the_last_step_to_a_token_and_back(run: Path) -> None:
    async def script(pilot: Pilot[None]) -> None:
        assert "step 2 (2 of 2): 5 rollouts" in text_of(pilot, "place")
        assert [column(pilot, n) for n in range(3)] == [["0", "1", "2"], ["yes", "–", "–"], ["1/2", "1/2", "1/1"]]
        await pilot.press("enter")
        assert column(pilot, 0) == ["✓ right", "✗ wrong"]
        await pilot.press("enter")
        assert "rollout 1 of 2: right cot reward 1.00 advantage +0.500 3 tokens" in text_of(pilot, "place")
        await pilot.press("right", "right")
        facts = text_of(pilot, "fact")
        assert "token 3 of 3  yes  id 0" in facts
        assert (
            "probability 0.500  entropy 0.000 nats  advantage +0.500  change +1.386 nats  ratio 2.000  trained" in facts
        )
        assert "credit 1.00 [0.70, 1.00] of 8 continuations end right, after this token" in facts
        assert "► yes             0.750 █████████░░░  before 0.250" in facts
        await pilot.press("left")
        assert "► \u00a0no".replace("\u00a0", " ") in text_of(pilot, "fact")
        assert "last measured after 1 tokens" in text_of(pilot, "fact")
        await pilot.press("t", "n")
        assert "advantage: blue was made less likely" in text_of(pilot, "legend")
        assert "rollout 2 of 2: wrong direct" in text_of(pilot, "place")
        assert "rlvr study" in text_of(pilot, "fact")
        await pilot.press("escape", "escape", "escape")
        assert column(pilot, 1) == ["rl"]
        assert "P(cot) while training" in "\n".join(screen(pilot))

    browse(run, script=script)


def test_keys_choose_and_turn_to_other_steps(run: Path) -> None:
    async def script(pilot: Pilot[None]) -> None:
        await pilot.press("f")
        assert column(pilot, 0) == ["0"]
        assert "1 shown: wrong but rewarded" in text_of(pilot, "place")
        await pilot.press("f")
        assert column(pilot, 0) == ["0", "1"]
        await pilot.press("f", "f")
        assert column(pilot, 0) == ["2", "1", "0"]  # longest first
        await pilot.press("slash", *"nowhere", "enter", "enter", "c")
        assert "x shows all" in text_of(pilot, "about")
        await pilot.press("x", "m", "m")
        assert "mode direct" in text_of(pilot, "place")
        await pilot.press("x", "slash", *"NOYES", "enter")
        assert column(pilot, 0) == ["0"]
        await pilot.press("enter")
        assert len(column(pilot, 0)) == 1
        await pilot.press("x", "left_square_bracket")
        assert "step 1 (1 of 2)" in text_of(pilot, "place")
        assert column(pilot, 0) == ["✗ wrong", "✓ right"]
        await pilot.press("p")
        assert "there is no further step" in text_of(pilot, "place")
        await pilot.press("slash", "q", "escape", "q")  # a q is a letter where words are typed
        assert not pilot.app.is_running or pilot.app._exit

    browse(run, script=script)


def test_a_problem_beside_itself(run: Path) -> None:
    async def script(pilot: Pilot[None]) -> None:
        await pilot.press("c")
        assert "run step 2: 1 of 2 right" in text_of(pilot, "left")
        assert "run step 1: 1 of 2 right" in text_of(pilot, "right")
        await pilot.press("escape", "down", "c")
        assert "run step 1 does not have problem 1" in text_of(pilot, "right")

    browse(run, script=script)


@pytest.mark.parametrize("width", [60, 100, 200])
def test_hostile_text_is_shown_literally_at_any_width(run: Path, width: int) -> None:
    async def script(pilot: Pilot[None]) -> None:
        for keys in (["down", "down"], ["enter"], ["enter"], [*["right"] * 5], ["escape", "c"]):
            await pilot.press(*keys)
            lines = screen(pilot)
            assert len(lines) == 24
            assert "q\u00a0" in "".join(lines)  # the keys are all there
            if keys == ["enter"]:
                assert "[bold]" in "\n".join(lines)
        await pilot.press("escape", "escape")
        assert "\\x1b]0;gone\\x07" in text_of(pilot, "about")
        assert "(cut: 1,000,0" in text_of(pilot, "about")

    browse(run, script=script, width=width, height=24)


def test_tokens_are_drawn_again_where_the_terminal_becomes_narrower(run: Path) -> None:
    write(run / "rollouts" / "step_000003.jsonl", [rollout(0, [0, 1] * 2000)])

    async def script(pilot: Pilot[None]) -> None:
        await pilot.press("enter", "enter", "end")
        tokens = pilot.app.screen.query_one(TokenLines)
        assert tokens.cursor == 3999
        wide = len(tokens.lines)
        assert tokens.scroll_offset.y > 0
        await pilot.resize_terminal(60, 24)
        assert len(tokens.lines) > wide
        assert "token 4,000 of 4,000" in text_of(pilot, "fact")
        await pilot.press("up")
        assert tokens.cursor < 3999

    browse(run, script=script)


def test_the_top_forks_of_a_run(run: Path) -> None:
    """After the same question, “ no” gave way to “yes”; by hand: none of 16 places early, 12 of 16 late."""
    for step, right in ((1, 0), (2, 12)):
        rows = [rollout(0, [2, 0 if n < right else 1], entropies=[0.0, 0.6], prompt_ids=[5]) for n in range(16)]
        write(run / "rollouts" / f"step_{step:06d}.jsonl", rows)

    async def script(pilot: Pilot[None]) -> None:
        await pilot.press("F")
        await pilot.pause()
        assert "forks, those first" in text_of(pilot, "place")
        assert column(pilot, 2)[0] == "0.60 → 0.60"
        assert "\\x1b[2J" in column(pilot, 0)[0]
        assert "yes           0.00 [0.00, 0.19] → 0.75 [0.51, 0.90]" in text_of(pilot, "about")
        assert "\\x1b[2J" in "\n".join(screen(pilot))

    browse(run, script=script)


def test_several_runs_are_a_list_and_one_without_rollouts_says_so(run: Path, tmp_path: Path) -> None:
    other = tmp_path / "pretrain"
    write(other / "metrics.jsonl", [{"step": 3, "train/loss": 0.5}])
    (other / "config.yaml").write_text(yaml.safe_dump({"model": {"layers": 1}, "train": {}}))

    async def script(pilot: Pilot[None]) -> None:
        assert column(pilot, 2) == ["none", "1 to 2"]
        assert "this run has no rollouts to read" in "\n".join(screen(pilot))
        await pilot.press("enter", "down", "enter")
        assert "step 1 (1 of 2)" in text_of(pilot, "place")

    browse(other, run, script=script, step=1)


def test_what_is_damaged_is_said_and_the_browser_goes_on(run: Path) -> None:
    (run / "rollouts" / "step_000001.jsonl").write_text("{")
    (run / "study" / "step_000002.jsonl").write_text("{}\n")

    async def script(pilot: Pilot[None]) -> None:
        await pilot.press("p")
        assert "step_000001.jsonl:1: is damaged: not JSON" in text_of(pilot, "place")
        assert len(column(pilot, 0)) == 3
        await pilot.press("enter", "enter")
        assert "step_000002.jsonl:1: is damaged" in text_of(pilot, "place")
        await pilot.press("t", "n", "right", "escape", "c")
        assert "is damaged" in text_of(pilot, "place")

    browse(run, script=script)


def test_rollouts_of_an_older_version_offer_what_they_have(run: Path) -> None:
    without_recordings(run, 1)

    async def script(pilot: Pilot[None]) -> None:
        await pilot.press("f", "f", "f", "f", "f")  # there is no fifth filter: nothing is uncertain
        assert "shown" not in text_of(pilot, "place")
        await pilot.press("enter")
        assert len(pilot.app.screen.query_one(DataTable).columns) == 6  # neither studied nor entropy
        await pilot.press("enter")
        assert "entropy was not recorded of this rollout; t turns to advantage, probability" in text_of(pilot, "legend")

    browse(run, script=script, step=1)


def test_in_a_terminal_it_is_a_browser_and_q_leaves(run: Path) -> None:
    assert open_step(open_finished(run), 1).number == 1
    master, slave = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24"}
    process = subprocess.Popen(
        [sys.executable, "-m", "rlvr", "inspect", str(run)], stdin=slave, stdout=slave, stderr=slave, env=environment
    )
    os.close(slave)
    seen = b""
    while process.poll() is None:
        if select.select([master], [], [], 0.1)[0]:
            try:
                seen += os.read(master, 65536)
            except OSError:
                break
        if b"problem" in seen and b"question" in seen:
            os.write(master, b"q")
    os.close(master)
    assert process.wait(60) == 0
    assert b"\x1b]0;gone" not in seen
