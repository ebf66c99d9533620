"""One problem as a reward sees it: which components check it, what its right answer is, and where a response holds it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rlvr.audit.shapes import (
    Shape,
    last_number_in,
    near_misses,
    number_of,
    occurrence,
    shape_of,
    surely_differ,
)
from rlvr.config import ANSWERS, AnswerConfig, RewardConfig, TextAnswerConfig
from rlvr.gold import has_gold_response
from rlvr.rewards import RewardSum
from rlvr.rewards.code.answer import last_code_block
from rlvr.rewards.extract import after_thoughts, the_answer
from rlvr.tasks.task import Task
from rlvr.types import Problem

OTHERS = 3
"""Answers to other problems that are tried on one."""

_DOLLARS = re.compile(r"\$([^$]+)\$")


@dataclass(frozen=True, kw_only=True)
class Case:
    """A problem, and what probes of it are made from.

    components: those that check this problem's answer, by name. response: one that must earn full marks, if there is
    any. gold: the answer in it, as a text; "" if it is not known. before, after: what stands around it. near: wrong
    answers that look like it. others: right answers to other problems, and wrong here.
    """

    task: Task
    problem: Problem
    components: dict[str, AnswerConfig]
    shape: Shape
    gold: str
    response: str | None
    before: str
    after: str
    near: tuple[str, ...]
    others: tuple[str, ...]

    @property
    def wrong(self) -> tuple[str, ...]:
        """Answers that are surely wrong."""
        return (*self.near, *self.others)

    def write(self, answer: str) -> str:
        """The right response with another answer in it."""
        return f"{self.before}{answer}{self.after}"


def make_case(task: Task, problem: Problem, reward: RewardConfig, answers: Sequence[str]) -> Case:
    """A case of a problem. answers: the gold answers of other problems.

    No components if the problem names a grader that the reward has not. Raises ValueError for a gold answer that
    cannot be read.
    """
    grader = problem.metadata.get("grader")
    components = {
        name: component
        for name, component in reward.components()
        if name in ANSWERS and isinstance(component, AnswerConfig) and grader in (None, name)
    }
    response = task.gold_response(problem) if has_gold_response(problem, RewardSum(reward)) else None
    shape, gold = _shape_and_gold(components, problem, response)
    before, after = _around(task, problem, components, gold, response)
    same = [other for other in answers if shape in COMPARED and surely_differ(gold, _bare(other))]
    return Case(
        task=task,
        problem=problem,
        components=components,
        shape=shape,
        gold=gold,
        response=response,
        before=before,
        after=after,
        near=tuple(near_misses(gold, shape)),
        others=tuple(_bare(other) for other in dict.fromkeys(same))[:OTHERS],
    )


COMPARED = (Shape.NUMBER, Shape.LETTER, Shape.TEXT)
"""Shapes of which it can be said that two answers are different ones."""


def style_of(component: AnswerConfig) -> str:
    """How a component finds the answer: a style of extract.the_answer; own for functions of the user's."""
    return (component.extract or "auto") if isinstance(component, TextAnswerConfig) else "whole"


def _shape_and_gold(components: dict[str, AnswerConfig], problem: Problem, response: str | None) -> tuple[Shape, str]:
    gold = _bare(problem.answer)
    if "code" in components:
        return Shape.PROGRAM, (last_code_block(response) or "") if response is not None else ""
    if "json" in components:
        return Shape.JSON, problem.answer
    if "regex" in components or "gym" in components:  # which can take many answers
        return Shape.PATTERN, _found(components, response) or ""
    if "choice" in components:
        return Shape.LETTER, gold.strip("()").upper()
    if components.keys() == {"number"} and number_of(gold) is None:
        gold = last_number_in(gold) or gold
    return shape_of(gold), gold


def _bare(answer: str) -> str:
    """An answer without the signs that make it a formula."""
    dollars = _DOLLARS.fullmatch(answer.strip())
    return (dollars[1] if dollars else answer).strip()


def _found(components: dict[str, AnswerConfig], response: str | None) -> str | None:
    """What the documented rule takes for the answer in a response, for the first component that looks for one."""
    for component in components.values():
        if isinstance(component, TextAnswerConfig) and response is not None:
            return the_answer(response, style_of(component), component.pattern).text
    return None


def _around(
    task: Task, problem: Problem, components: dict[str, AnswerConfig], gold: str, response: str | None
) -> tuple[str, str]:
    """What stands before and after the answer in the right response; nothing if the answer is not in it as such."""
    if response is None or not gold:
        return "", ""
    rest = after_thoughts(response) or ""
    region = _found(components, response) or task.final_answer(problem, response) or rest
    place = response.rfind(region)
    inside = occurrence(region, gold)
    if place < 0 or inside is None:
        inside = occurrence(rest, gold)
        region, place = rest, len(response) - len(rest)
    if inside is None:
        return "", ""
    start = place + inside
    before, after = response[:start], response[start + len(gold) :]
    if "choice" in components and before.endswith("(") and after.startswith(")"):
        return before[:-1], after[1:]
    return before, after
