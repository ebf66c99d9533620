"""The top forks of a run: after which words it was unsure how to go on, and towards what its choice there shifted."""

from __future__ import annotations

from rich.cells import cell_len
from rich.text import Text

from rlvr.errors import RlvrError
from rlvr.report.browser.page import Listed
from rlvr.report.forks import Fork, Share, top_forks
from rlvr.report.rollouts_text import one_line
from rlvr.report.runs import Run

WORD = 14
"""Columns for the token that was chosen."""


class Forks(Listed):
    """One row a fork, and below what was chosen there."""

    KEYS = "↑↓ choose"

    def __init__(self, run: Run) -> None:
        super().__init__()
        self.of = run
        self.found: list[Fork] = []

    def on_mount(self) -> None:
        """Some files are read first, which takes a moment."""
        super().on_mount()
        self.place(one_line(f"{self.of.path}: reading rollouts from all over the run …", 400))
        self.call_after_refresh(self._read)

    def _read(self) -> None:
        try:
            self.found = top_forks(self.of)
        except RlvrError as error:
            self.place(one_line(str(error), 400))
            return
        if not self.found:
            self.place("no forks: rollouts of several steps, with the entropy of each token, are needed to find them")
            return
        self.place(
            one_line(
                f"{self.of.path}: the top forks, those first where most of the early uncertainty stood",
                400,
            )
        )
        rows = [
            {
                "after": one_line(fork.context, 30),
                "places": f"{fork.count:,}",
                "entropy, nats": f"{_nats(fork.entropy_early)} → {_nats(fork.entropy_late)}",
                "what was chosen, early → late": _shifted(fork),
            }
            for fork in self.found
        ]
        self.fill(rows)

    def show_row(self, row: int) -> None:
        """Every choice with its shares and their intervals."""
        fork = self.found[row]
        text = Text.assemble(
            "after “",
            (one_line(fork.context), "bold"),
            f"”: {fork.early:,} places early in the run, {fork.late:,} late\n",
        )
        for choice in fork.choices:
            word = one_line(choice.text, 40)
            text.append(word, "bold reverse").append(" " * max(1, WORD - cell_len(word)))
            text.append(f"{_share(choice.early)} → {_share(choice.late)}\n")
        self.about(text)

    def open_row(self, row: int) -> None:
        """There is nothing further in."""


def _nats(entropy: float | None) -> str:
    return "–" if entropy is None else f"{entropy:.2f}"


def _shifted(fork: Fork) -> str:
    return one_line(
        ", ".join(f"{choice.text} {_value(choice.early)} → {_value(choice.late)}" for choice in fork.choices)
    )


def _value(share: Share) -> str:
    return "–" if share.value is None else f"{share.value:.2f}"


def _share(share: Share) -> str:
    return "not seen" if share.value is None else f"{share.value:.2f} [{share.low:.2f}, {share.high:.2f}]"
