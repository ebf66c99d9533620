"""The scorers of reasoning-gym's data sets as a grader: only for scoring processes that can be ended.

Some evaluate the answer as Python or with sympy. Three things stand before that: answers to those data sets must look like
what is evaluated there, nothing but computing and reading files goes through while a scorer runs, and the process's time
and memory are bounded.
"""

import json
import math
import os
import re
import sys
from functools import lru_cache
from typing import Any

from rlvr.config import GymRewardConfig
from rlvr.gym_entries import NUMBERS, Entry, GymEntries, gym_entries
from rlvr.rewards.attempt import Attempt
from rlvr.rewards.extract import Answer, the_answer
from rlvr.rewards.verdict import Reason, Verdict
from rlvr.runtime.foreign import Foreign

LITERALS = ("binary_matrix", "n_queens", "spiral_matrix", "string_insertion")
"""Data sets whose scorers evaluate an answer as Python, hoping for a list: without a parenthesis nothing can be called."""

FORMULAS = ("countdown", "intermediate_integration", "polynomial_multiplication", "puzzle24", "simple_integration")
"""Data sets whose scorers evaluate an answer with sympy, which knows all that Python does."""

FUNCTIONS = frozenset({
    "sin", "cos", "tan", "cot", "sec", "csc", "asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh",
    "exp", "log", "ln", "sqrt", "Abs", "erf", "Si", "Ci", "Ei", "li", "pi",
})  # fmt: skip
"""Names of more than one letter that a formula may hold."""

_FORMULA = re.compile(r"[\w\s+\-*/^().,=]*")
_NAME = re.compile(r"[^\W\d]\w*")
_ATTRIBUTE = re.compile(r"\.\s*[^\W\d]")

BARE = 2
"""How many times as long as the gold answer a response may be that is taken for an answer as a whole."""

HARMLESS = frozenset({
    "import", "compile", "exec", "marshal.loads", "os.listdir", "os.scandir", "sys._getframe", "object.__getattr__",
    "builtins.id", "code.__new__", "function.__new__",
})  # fmt: skip
"""What Python's audit tells of where modules are imported and formulas evaluated (https://docs.python.org/3/library/audit_events.html)."""

_scoring = False


def grade_gym(config: GymRewardConfig, attempt: Attempt) -> Verdict:
    """What the data set's scorer says of the answer: the last ``<answer>…</answer>``, or what our own rule finds.

    Its score, cut to 0 … 1, is the reward; an exception or no number is 0, with reason error. Raises ValueError for a
    problem that is not from a data set, or that comes out differently here.
    """
    entries, entry = _source(attempt)
    found = _find(config, attempt)
    if found.text is None:
        return Verdict(reward=0.0, reason=Reason.TOO_LONG if found.how == "too_long" else Reason.NO_ANSWER)
    if not may_be_scored(attempt.metadata["gym"]["dataset"], found.text):
        return Verdict(reward=0.0, reason=Reason.REFUSED, extracted=found.text)
    text = attempt.gold if found.text == attempt.gold.strip() else found.text
    score = math.nan
    with Foreign() as call, _Watched():
        score = entries.score(text, entry)
    if call.error is not None or math.isnan(score):
        return Verdict(reward=0.0, reason=Reason.ERROR, extracted=found.text)
    reward = min(1.0, max(0.0, score))
    if not config.partial:
        reward = float(reward >= 1.0)
    return Verdict(reward=reward, reason=Reason.CORRECT if reward >= 1.0 else Reason.WRONG, extracted=found.text)


def may_be_scored(dataset: str, answer: str) -> bool:
    """Whether an answer, where the data set's scorer would evaluate it, can do no more than compute.

    >>> may_be_scored("countdown", "(3 + 4)*5"), may_be_scored("countdown", "exec('1')"), may_be_scored("n_queens", "[[1]]")
    (True, False, True)
    """
    if dataset in LITERALS:
        return "(" not in answer
    if dataset not in FORMULAS:
        return True
    names = _NAME.findall(answer)
    return (
        _FORMULA.fullmatch(answer) is not None
        and _ATTRIBUTE.search(answer) is None
        and all(len(name) == 1 or name in FUNCTIONS for name in names)
    )


def refuse_while_scoring() -> None:
    """From now on scorers that do more than compute and read files get PermissionError; it cannot be taken back."""
    sys.addaudithook(_refuse)


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    if _scoring and event not in HARMLESS and not (event == "open" and _reads(*arguments)):
        raise PermissionError(f"{event} while an answer is scored")


def _reads(path: object, mode: str | None, flags: int) -> bool:
    """Whether a file is opened to be read only. mode: None where the system's own open is called."""
    return set(mode or "r") <= set("rbt") and not flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC)


class _Watched:
    """Marks the time in which a scorer runs."""

    def __enter__(self) -> None:
        global _scoring
        _scoring = True

    def __exit__(self, *_: object) -> None:
        global _scoring
        _scoring = False


def _source(attempt: Attempt) -> tuple[GymEntries, Entry]:
    """The data set of an attempt's problem, and its entry, made again."""
    source = attempt.metadata.get("gym")
    if not isinstance(source, dict) or source.keys() != {"dataset", "config", "level", "number"}:
        raise ValueError("it is not of a reasoning-gym data set; reward gym is for task gym")
    number = source["number"]
    if not isinstance(number, int) or not 0 <= number < NUMBERS:
        raise ValueError(f"its data set has no entry {number!r}")
    entries, entry = _made(json.dumps(source, sort_keys=True))
    if entry is None or not attempt.question.startswith(str(entry["question"])):
        raise ValueError("its entry comes out differently here; was it made by another version of reasoning-gym?")
    return entries, entry


@lru_cache(maxsize=64)
def _made(source: str) -> tuple[GymEntries, Entry | None]:
    read = json.loads(source)
    entries = gym_entries(str(read["dataset"]), dict(read["config"]), read["level"])
    return entries, entries.entry(read["number"])


def _find(config: GymRewardConfig, attempt: Attempt) -> Answer:
    """The answer; without an ``extract``, a text without any mark of one is it as a whole if it is hardly longer than the gold answer."""
    if config.extract is not None:
        return the_answer(attempt.response, config.extract, config.pattern)
    tagged = the_answer(attempt.response, "tags")
    found = the_answer(attempt.response) if tagged.how == "nothing" else tagged
    bare = the_answer(attempt.response, "whole")
    if found.how == "nothing" and bare.text is not None and len(bare.text) <= BARE * len(attempt.gold):
        return bare
    return found
