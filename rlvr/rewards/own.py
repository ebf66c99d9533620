"""A reward function of the user's: found in its file, called, and its result read. Only ever used in a scoring process."""

import importlib.util
import inspect
import math
import numbers
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rlvr.config import OwnConfig
from rlvr.errors import RlvrError
from rlvr.rewards.attempt import Attempt
from rlvr.rewards.verdict import Reason, Verdict
from rlvr.runtime.foreign import Foreign

DOES_NOT_APPLY = "does not apply"
"""What a function returns for a response that it has nothing to say about."""

LARGEST = 1e18
"""What a reward may be, either way: its square is still far from the largest number of float32, 3e38."""

ARGUMENTS = ("question", "answer", "response", "metadata")


class OwnError(Exception):
    """The user's function did not return a number."""


class OwnFunction:
    """The user's function. Raises RlvrError if the file cannot be imported or has no such function."""

    def __init__(self, config: OwnConfig) -> None:
        where = f"reward.own: {config.file}"
        function = getattr(_module(Path(config.file), where), config.function, None)
        if not callable(function):
            raise RlvrError(where, f"has no function {config.function}")
        self._function: Callable[..., object] = function
        self._arguments = _arguments(function, f"{where}: {config.function}")

    def grade(self, attempt: Attempt) -> Verdict | None:
        """What the function says; None if it does not apply. Raises OwnError for what it raises or returns wrongly."""
        given = {
            "question": attempt.question,
            "answer": attempt.gold,
            "response": attempt.response,
            "metadata": attempt.metadata,
        }
        result: object = None
        with Foreign() as call:
            result = self._function(**{name: given[name] for name in self._arguments})
        if call.error is not None:
            raise OwnError(f"raised {_named(call.error)}")
        if isinstance(result, str) and result == DOES_NOT_APPLY:
            return None
        number: Any = result if isinstance(result, numbers.Real) else math.nan
        if not abs(number) <= LARGEST:
            raise OwnError(f"returned {_short(result)}, which is no finite number")
        reward = float(number)
        return Verdict(reward=reward, reason=Reason.CORRECT if reward >= 1.0 else Reason.WRONG)


def _module(file: Path, where: str) -> Any:
    """The file as a module, by its own path: no folder is searched, and nothing is written beside it."""
    if not file.is_file():
        raise RlvrError(where, "no such file", remedy="name the Python file that holds your function")
    spec = importlib.util.spec_from_file_location("rlvr_own_reward", file)
    if spec is None or spec.loader is None:
        raise RlvrError(where, "is no Python file", remedy="its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    with Foreign() as call:
        spec.loader.exec_module(module)
    if call.error is not None:
        raise RlvrError(where, f"cannot be imported: {_named(call.error)}")
    return module


def _arguments(function: Callable[..., object], where: str) -> tuple[str, ...]:
    """Which of ARGUMENTS a function takes. RlvrError if it asks for others."""
    parameters = inspect.signature(function).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return ARGUMENTS
    keyword = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    for parameter in parameters:
        known = parameter.name in ARGUMENTS and parameter.kind in keyword
        if not known and parameter.default is parameter.empty and parameter.kind is not parameter.VAR_POSITIONAL:
            raise RlvrError(where, "asks for an unknown argument", got=parameter.name, allowed=", ".join(ARGUMENTS))
    return tuple(parameter.name for parameter in parameters if parameter.name in ARGUMENTS)


def _named(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _short(value: object) -> str:
    """A value as it is written, or its type where that cannot be: an int of thousands of digits, a class that fails."""
    text = f"an object of type {type(value).__name__}"
    with Foreign():
        text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
