"""One program on one test, in a WebAssembly instance that has a processor, memory and nothing else."""

import threading
from concurrent.futures import ThreadPoolExecutor

from wasmtime import Store, WasmtimeError
from wasmtime.component import Linker

from rlvr.errors import RlvrError
from rlvr.rewards.code.component import STACK_BYTES, load_component
from rlvr.rewards.code.outcome import Outcome, SandboxError, Status, read_reply, request_text

THREAD_STACK_BYTES = 4 * STACK_BYTES
_stack_size = threading.Lock()


class WasmSandbox:
    """Runs programs, each in a fresh instance. May be used by several threads.

    fuel: instructions that one run may use, the same number in every run of the same program by the same component.
    memory_bytes: how much memory it may use, of which the interpreter takes 22 MiB.
    """

    def __init__(self, *, fuel: int, memory_bytes: int) -> None:
        self.fuel = fuel
        self.memory_bytes = memory_bytes
        self._component, self._engine = load_component()
        self._linker = Linker(self._engine)
        self._check()

    def run(self, source: str, *, function: str | None = None, arguments: object = (), stdin: str = "") -> Outcome:
        """Run a program, then call one of its functions, or with none named give it a text on standard input."""
        request = request_text(source, function, arguments, stdin)
        # A thread of its own: the caller's may have less stack than the program can use up, which would end us, not it.
        with ThreadPoolExecutor(1) as thread:
            with _stack_size:
                before = threading.stack_size(THREAD_STACK_BYTES)
                try:
                    outcome = thread.submit(self._run, request)
                except RuntimeError as error:
                    raise SandboxError(str(error)) from error
                finally:
                    threading.stack_size(before)
            return outcome.result()

    def _run(self, request: str) -> Outcome:
        # Closed at once: an instance holds up to memory_bytes.
        with Store(self._engine) as store:
            store.set_fuel(self.fuel)
            store.set_limits(memory_size=self.memory_bytes)
            try:
                run = self._linker.instantiate(store, self._component).get_func(store, "run")
            except WasmtimeError as error:
                raise SandboxError(f"no new sandbox: {error}") from error
            assert run is not None
            try:
                reply = run(store, request)
            except WasmtimeError as error:
                return Outcome(status=_cause(store, error), fuel=self.fuel - store.get_fuel())
            return read_reply(reply, self.fuel - store.get_fuel())

    def _check(self) -> None:
        """Raise RlvrError if not even an empty program runs."""
        try:
            status = self.run("").status
        except SandboxError as error:
            raise RlvrError("the code grader", f"its sandbox does not start: {error}") from error
        if status is not Status.RAN:
            raise RlvrError("the code grader", "an empty program does not run", got=status, remedy="raise the budgets")


def _cause(store: Store, error: WasmtimeError) -> Status:
    """What stopped an instance: a budget, or a call for what is not there. Only the program differs from run to run."""
    if store.get_fuel() == 0:
        return Status.FUEL
    return Status.MEMORY if "call stack exhausted" in str(error) else Status.REFUSED
