"""The probes of one problem: responses that must earn full marks, and responses that must not."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from rlvr.audit.case import Case, style_of
from rlvr.audit.honest import rewritings
from rlvr.audit.shapes import last_number_in, number_of
from rlvr.audit.wrong import wrong_responses
from rlvr.config import TextAnswerConfig
from rlvr.rewards.extract import after_thoughts, the_answer

Side = Literal["pass", "fail", "rule"]
"""pass: must earn full marks. fail: must not. rule: no careful reader would pay it, but a documented rule may, as ``number``
pays the last number of an unmarked "41 or 42" and a task the last word; if it does, that is shown and counts for neither rate."""

MARKS = ("\\boxed", "<answer>", "####", "nswer", "$")
"""With one of these the answer is marked."""

SAYING_BOTH = frozenset(
    {"hedge", "candidates", "false chain", "question restated", "unfinished thoughts", "thoughts alone"}
)
"""Families whose responses hold the right answer beside something that takes it back."""


@dataclass(frozen=True, kw_only=True)
class Probe:
    """A response that no model wrote, and what a sound reward does with it. family: the kind of response."""

    family: str
    side: Side
    response: str


def probes(case: Case, *, hostile: bool) -> Iterator[Probe]:
    """All probes of a problem, the right response first. hostile: those that are costly to grade, too."""
    for family, response in rewritings(case):
        yield Probe(family=family, side="pass", response=response)
    for family, response in wrong_responses(case, hostile=hostile):
        side: Side = "rule" if family in SAYING_BOTH and _paid_by_rule(case, family, response) else "fail"
        yield Probe(family=family, side=side, response=response)


def _paid_by_rule(case: Case, family: str, response: str) -> bool:
    """Whether the documented rules by which the answer is found leave the right answer alone, for every component."""
    thinks = family in ("thoughts alone", "unfinished thoughts")
    return all(
        _last_word(case, name, response) or (not thinks and _last_number(case, name, response))
        for name in case.components
    )


def _last_word(case: Case, name: str, response: str) -> bool:
    """Whether the task takes the right answer, or a box or tags around it, out of a longer text, and the component goes by that."""
    component = case.components[name]
    if name == "own" or (isinstance(component, TextAnswerConfig) and component.extract is not None):
        return False
    found = case.task.final_answer(case.problem, response)
    if found is None or found == (after_thoughts(response) or "").strip():
        return False
    return found == case.gold or the_answer(found).text == case.gold


def _last_number(case: Case, name: str, response: str) -> bool:
    """Whether a component takes the last number (``number`` does where no answer is marked), and that is the right one."""
    style = style_of(case.components[name])
    unmarked = name == "number" and style == "auto" and not any(mark in response for mark in MARKS)
    if not unmarked and style != "last_number":
        return False
    last = last_number_in(response)
    return last is not None and number_of(last) is not None and number_of(last) == number_of(case.gold)
