"""What a person sees while a stage runs."""

from io import StringIO

import pytest
from rich.console import Console

from rlvr.runtime import progress
from rlvr.runtime.live import View
from rlvr.runtime.progress import StepProgress, summary
from rlvr.runtime.screen import Screen as Drawn


def test_the_share_of_tokens_that_trained_is_shown_with_the_largest_loss() -> None:
    row = {"signal/trained": 0.4, "signal/zero_variance": 0.1, "signal/clipped": 0.5, "signal/masked": 0.0}
    assert summary(row) == "signal 0.40 (clipped 0.50)"
    assert summary({"signal/trained": 1.0, "signal/zero_variance": 0.0}) == "signal 1.00"
    assert summary({"train/loss": 0.5}) == "loss 0.5"


def test_a_line_is_said_beside_the_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with StepProgress("rl", 2) as shown:
        shown.say("note: [bold]as it is")
    assert capsys.readouterr().err == "note: [bold]as it is\n"


class Screen(StringIO):
    """A terminal that keeps what is written."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Screen:
    """The terminal that progress is shown on."""
    screen = Screen()
    monkeypatch.setattr(progress, "console", lambda: Console(file=screen, force_terminal=True, force_interactive=True))
    return screen


def test_a_note_has_a_place_in_the_view_and_goes_above_it_for_the_next(screen: Screen) -> None:
    with StepProgress("rl", 2) as shown:
        shown.update(1, {"train/loss": 1.0})
        shown.say("note: [bold]as it is")
        shown.say("note: the next")
    before, _, last = screen.getvalue().rpartition("\x1b[?7l")
    assert "note: [bold]as it is\n" in before
    assert "note: the next" in last
    assert "as it is" not in last


def test_text_that_other_parts_print_goes_above_the_view(screen: Screen) -> None:
    with StepProgress("rl", 2):
        progress.say("a warning")
    before, _, last = screen.getvalue().rpartition("\x1b[?7l")
    assert "a warning" in before
    assert "0/2" in last


def test_a_narrower_terminal_leaves_no_rest_of_the_view(screen: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    """A view of one line of 78 cells has two rows once the terminal has 40 columns: one more line to go up."""
    terminal = Console(file=screen, force_terminal=True, force_interactive=True, width=80, height=24)
    drawn = Drawn(View("rl" + "x" * 64, 99999, 9999), terminal)
    drawn.start()
    assert "\x1b[1A" not in screen.getvalue()
    terminal.width = 40
    drawn.refresh()
    assert screen.getvalue().count("\x1b[1A") == 1
    drawn.stop()
    assert screen.getvalue().count("\x1b[1A") == 1


def test_a_terminal_that_has_gone_ends_nothing(screen: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it was told meanwhile is in the view, which is drawn again once the terminal is back."""
    failed = []

    def gone(text: str) -> int:
        failed.append(text)
        raise OSError(5, "Input/output error")

    with StepProgress("rl", 2) as shown:
        with monkeypatch.context() as meanwhile:
            meanwhile.setattr(screen, "write", gone)
            shown.update(1, {"train/loss": 1.0})
            shown.say("note: one")
            shown.say("note: two")
        assert any("note: one" in text for text in failed)
    _, _, last = screen.getvalue().rpartition("\x1b[?7l")
    assert "1/2" in last
    assert "note: two" in last
