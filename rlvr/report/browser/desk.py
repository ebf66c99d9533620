"""What all screens share: the runs, what was asked for, and the few files that were read last."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rlvr.errors import RlvrError
from rlvr.report.attempts import Attempt, Pieces, attempt_of, pieces_of, studied
from rlvr.report.choosing import Choice, Step, open_step
from rlvr.report.runs import Run


class Desk:
    """Runs that are read. step, against: as asked for on the command line. choice, colour: as chosen last."""

    def __init__(
        self, runs: Sequence[Run], *, step: int | None, choice: Choice, against: int | None, colour: str | None
    ) -> None:
        self.runs, self.step, self.choice, self.against = list(runs), step, choice, against
        self.colour = colour or "entropy"
        self._pieces: dict[object, Pieces] = {}
        self._studies: tuple[object, dict[int, dict[str, Any]]] = (None, {})

    def open(self, run: Run, step: int) -> Step:
        """One step, read anew: a run may still be writing. RlvrError as ``open_step`` says."""
        return open_step(run, step)

    def studies(self, step: Step) -> dict[int, dict[str, Any]]:
        """What a study found of a step's rollouts, by line; kept for the step that was asked for last. RlvrError if it is damaged."""
        where = (step.run.path, step.number)
        if self._studies[0] != where:
            self._studies = (where, studied(step.run, step.number))
        return self._studies[1]

    def studied_lines(self, step: Step) -> set[int]:
        """The lines that were studied; none where that cannot be read, which is said where it is needed."""
        try:
            return set(self.studies(step))
        except RlvrError:
            return set()

    def attempts(self, step: Step, lines: Sequence[int]) -> list[Attempt]:
        """Rollouts of a step token by token. RlvrError for what is damaged."""
        studies = self.studies(step)
        if step.run.path not in self._pieces:
            self._pieces[step.run.path] = pieces_of(step.run)
        pieces = self._pieces[step.run.path]
        return [attempt_of(step.number, line, step.records[line], pieces, studies.get(line)) for line in lines]
