"""The browser: its screens, and how they are laid out."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import App
from textual.screen import Screen

from rlvr.report.browser.desk import Desk
from rlvr.report.browser.lists import opened_at
from rlvr.report.choosing import Choice
from rlvr.report.runs import Run


class Browser(App[None]):
    """A list of runs; a run's problems; a problem's rollouts; a rollout's tokens: each a screen above the one before."""

    ENABLE_COMMAND_PALETTE = False
    HORIZONTAL_BREAKPOINTS: list[tuple[int, str]] | None = [(0, "-narrow"), (120, "-wide")]  # noqa: RUF012
    CSS = """
    #place { background: $primary-background; color: $text; max-height: 4; }
    #keys { background: $panel; color: $text-muted; max-height: 4; }
    #table { height: 3fr; }
    #below { height: 2fr; border-top: solid $primary-background; }
    #below:focus, #here:focus, #there:focus { background: $boost; }
    #here, #there { width: 1fr; padding: 0 1; }
    #there { border-left: solid $primary-background; }
    #both { layout: vertical; }
    #legend { max-height: 6; color: $text-muted; }
    #tokens { height: 1fr; }
    #facts { height: auto; max-height: 50%; border-top: solid $primary-background; }
    .-wide #both { layout: horizontal; }
    .-wide #tokens { width: 1fr; height: 100%; }
    .-wide #facts { width: 64; height: 100%; max-height: 100%; border-top: none; border-left: solid $primary-background; padding: 0 1; }
    #search { dock: bottom; }
    """

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self.first = opened_at(desk)

    def get_default_screen(self) -> Screen[None]:
        """The list of runs."""
        return self.first[0]

    async def on_mount(self) -> None:
        """A single run is opened at once."""
        for screen in self.first[1:]:
            await self.push_screen(screen)


def browse(runs: Sequence[Run], step: int | None, choice: Choice, *, against: int | None, tokens: str | None) -> None:
    """Let a person read runs until they leave. RlvrError if a step is asked for that none of the runs has."""
    for asked in (step, against):
        if asked is not None and not any(asked in run.rollout_steps() for run in runs):
            runs[0].rollouts(asked)
    Browser(Desk(runs, step=step, choice=choice, against=against, colour=tokens)).run()
