"""The code grader: programs are graded by running them, in a sandbox that has nothing but a processor.

response -> answer.py    the last fenced code block
gold     -> gold.py      the tests, and whether a value or an output is the expected one
         -> sandbox.py   which sandbox there is: WebAssembly, or else bubblewrap, or none and an error
         -> outcome.py   what goes into a sandbox and what comes out
         -> wasm.py      one answer on one test, in a fresh WebAssembly instance; component.py builds it and keeps it
         -> bubblewrap.py  one answer on one test, in a fresh process; seccomp.py: what it may not ask of the kernel
         -> grader.py    the verdict

Inside of both sandboxes runs guest.py.txt, started by guest_wasm.py.txt or guest_native.py.txt.
"""

from rlvr.rewards.code.gold import FunctionTests, StdinTests, Tests, parse_gold
from rlvr.rewards.code.grader import CodeGrader, grade_code
from rlvr.rewards.code.sandbox import SandboxName, sandbox_name, sandbox_warning

__all__ = [
    "CodeGrader",
    "FunctionTests",
    "SandboxName",
    "StdinTests",
    "Tests",
    "grade_code",
    "parse_gold",
    "sandbox_name",
    "sandbox_warning",
]
