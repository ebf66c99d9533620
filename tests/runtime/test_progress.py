"""What a person sees while a stage runs."""

from io import StringIO

import pytest
from rich.console import Console

from rlvr.runtime import progress
from rlvr.runtime.progress import StepProgress, summary


def test_the_share_of_tokens_that_trained_is_shown_with_the_largest_loss() -> None:
    row = {"signal/trained": 0.4, "signal/zero_variance": 0.1, "signal/clipped": 0.5, "signal/masked": 0.0}
    assert summary(row) == "signal 0.40 (clipped 0.50)"
    assert summary({"signal/trained": 1.0, "signal/zero_variance": 0.0}) == "signal 1.00"
    assert summary({"train/loss": 0.5}) == "loss 0.5"


def test_a_line_is_said_beside_the_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with StepProgress("rl", 2) as shown:
        shown.say("note: [bold]as it is")
    assert capsys.readouterr().err == "note: [bold]as it is\n"


def test_a_line_is_said_above_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = StringIO()
    monkeypatch.setattr(progress, "console", lambda: Console(file=screen, force_terminal=True, highlight=False))
    with StepProgress("rl", 2) as shown:
        shown.update(1, "loss 1")
        shown.say("note: [bold]as it is")
    assert "note: [bold]as it is\n" in screen.getvalue()
