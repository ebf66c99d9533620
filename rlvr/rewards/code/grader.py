"""The verdict on a program: right only if it passes every test."""

from functools import cache
from typing import TYPE_CHECKING

from rlvr.errors import MissingExtraError
from rlvr.rewards.code.answer import last_code_block
from rlvr.rewards.code.gold import FunctionTests, Tests, is_expected_output, is_expected_value, parse_gold
from rlvr.rewards.verdict import Reason, Verdict

if TYPE_CHECKING:
    from rlvr.rewards.code.sandbox import Outcome, Sandbox

SOURCE_BYTES = 64 * 1024
FUEL = 30_000_000_000
"""Instructions for one test: about two seconds, some twenty million turns of a simple loop in a Python function."""
MEMORY_BYTES = 256 << 20


class CodeGrader:
    """Grades programs by running them in a sandbox. The verdict is the same on every machine load and in any thread.

    Making one loads the sandbox, or builds it the first time, so that what is missing is found before the first
    sample. Raises MissingExtraError without the extra; nothing is ever run outside a sandbox instead.
    """

    def __init__(self, *, fuel: int = FUEL, memory_bytes: int = MEMORY_BYTES) -> None:
        self._sandbox = _sandbox(fuel, memory_bytes)

    def grade(self, tests: Tests, response: str) -> Verdict:
        """1.0 if the response's last code block passes every test, else 0.0; the first failed test gives the reason.

        Each test has a fresh interpreter. What is expected stays outside of it and is compared there.
        """
        source = last_code_block(response)
        if source is None:
            return Verdict(reward=0.0, reason=Reason.NO_ANSWER)
        if len(source.encode("utf-8", "surrogatepass")) > SOURCE_BYTES:
            return Verdict(reward=0.0, reason=Reason.TOO_LONG)
        for index in range(len(tests.cases)):
            reason = self._try(tests, index, source)
            if reason is not Reason.CORRECT:
                return Verdict(reward=0.0, reason=reason, extracted=source)
        return Verdict(reward=1.0, reason=Reason.CORRECT, extracted=source)

    def _try(self, tests: Tests, index: int, source: str) -> Reason:
        """The reason for which one test counts as it does."""
        from rlvr.rewards.code.sandbox import SandboxError

        try:
            if isinstance(tests, FunctionTests):
                arguments, value = tests.cases[index]
                outcome = self._sandbox.run(source, function=tests.function, arguments=arguments)
                return _reason(outcome, is_expected_value(value, outcome.value))
            given, printed = tests.cases[index]
            outcome = self._sandbox.run(source, stdin=given)
            return _reason(outcome, is_expected_output(printed, outcome.printed))
        except SandboxError:
            return Reason.ERROR


def grade_code(gold: str, response: str, *, fuel: int = FUEL, memory_bytes: int = MEMORY_BYTES) -> Verdict:
    """Grade one response by the tests in a JSON text; see parse_gold, which raises ValueError, and CodeGrader.

    >>> grade_code('{"fn": "add", "cases": [[[1, 2], 3]]}', "```python\\ndef add(a, b): return a + b\\n```").reward
    1.0
    """
    return CodeGrader(fuel=fuel, memory_bytes=memory_bytes).grade(parse_gold(gold), response)


def _reason(outcome: "Outcome", expected: bool) -> Reason:
    reasons = {
        "ran": Reason.CORRECT if expected else Reason.WRONG,
        "raised": Reason.WRONG,
        "malformed": Reason.MALFORMED,
        "refused": Reason.REFUSED,
        "fuel": Reason.TIMEOUT,
        "memory": Reason.TIMEOUT,
    }
    return reasons[outcome.status]


@cache
def _sandbox(fuel: int, memory_bytes: int) -> "Sandbox":
    try:
        from rlvr.rewards.code.sandbox import Sandbox
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "wasmtime":
            raise
        raise MissingExtraError("the code grader", "wasmtime", "code") from None
    return Sandbox(fuel=fuel, memory_bytes=memory_bytes)
