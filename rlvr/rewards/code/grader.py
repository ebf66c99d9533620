"""The verdict on a program: right only if it passes every test."""

from rlvr.rewards.code.answer import last_code_block
from rlvr.rewards.code.gold import FunctionTests, Tests, is_expected_output, is_expected_value, parse_gold
from rlvr.rewards.code.outcome import Outcome, SandboxError
from rlvr.rewards.code.sandbox import SandboxName, load_sandbox
from rlvr.rewards.verdict import Reason, Verdict

SOURCE_BYTES = 64 * 1024
FUEL = 30_000_000_000
"""Instructions for one test: about two seconds, some twenty million turns of a simple loop in a Python function."""
MEMORY_BYTES = 256 << 20


class CodeGrader:
    """Grades programs by running them in a sandbox. The verdict is the same on every machine load and in any thread.

    That is so with the sandbox of the extra, WebAssembly, which counts instructions. Without the extra, bubblewrap
    takes its place where it is installed, and counts processor seconds: the same programs are right and wrong, but for
    one at the very edge of its budget that can depend on the machine, and the Python is this machine's.

    Making one loads the sandbox, or builds it the first time, so that what is missing is found before the first
    sample. Raises MissingExtraError if there is none; nothing is ever run outside a sandbox instead.

    sandbox: None: the one that sandbox_name() says.
    """

    def __init__(
        self, *, fuel: int = FUEL, memory_bytes: int = MEMORY_BYTES, sandbox: SandboxName | None = None
    ) -> None:
        self._sandbox = load_sandbox(sandbox, fuel, memory_bytes)

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


def _reason(outcome: Outcome, expected: bool) -> Reason:
    reasons = {
        "ran": Reason.CORRECT if expected else Reason.WRONG,
        "raised": Reason.WRONG,
        "malformed": Reason.MALFORMED,
        "refused": Reason.REFUSED,
        "fuel": Reason.TIMEOUT,
        "memory": Reason.TIMEOUT,
    }
    return reasons[outcome.status]
