"""What all screens share: the runs, what was asked for, and how tokens are spelt."""

from __future__ import annotations

from collections.abc import Sequence

from rlvr.errors import RlvrError
from rlvr.report.attempts import Attempt, Pieces, pieces_of, studied
from rlvr.report.choosing import Choice, Step
from rlvr.report.runs import Run
from rlvr.report.tokens_text import read_tokens


class Desk:
    """Runs that are read. step, against: as asked for on the command line. choice, colour: as chosen last."""

    def __init__(
        self, runs: Sequence[Run], *, step: int | None, choice: Choice, against: int | None, colour: str | None
    ) -> None:
        self.runs, self.step, self.choice, self.against = list(runs), step, choice, against
        self.colour = colour or "entropy"
        self._pieces: dict[object, Pieces] = {}

    def studied(self, step: Step) -> set[int]:
        """The lines of a step that were studied; none where that cannot be read, which is said where it is needed."""
        try:
            return set(studied(step.run, step.number))
        except RlvrError:
            return set()

    def attempts(self, step: Step, lines: Sequence[int]) -> list[Attempt]:
        """Rollouts of a step token by token; a run's tokenizer is read once. RlvrError as ``read_tokens`` says."""
        if step.run.path not in self._pieces:
            self._pieces[step.run.path] = pieces_of(step.run)
        return read_tokens(step, lines, self._pieces[step.run.path])
