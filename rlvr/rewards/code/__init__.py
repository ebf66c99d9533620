"""The code grader: programs are graded by running them, in a sandbox that has nothing but a processor.

response -> answer.py   the last fenced code block
gold     -> gold.py     the tests, and whether a value or an output is the expected one
         -> sandbox.py  one answer on one test, in a fresh WebAssembly instance
         -> component.py  builds the sandbox from guest.py.txt and keeps it in a cache
         -> grader.py   the verdict
"""

from rlvr.rewards.code.gold import FunctionTests, StdinTests, Tests, parse_gold
from rlvr.rewards.code.grader import CodeGrader, grade_code

__all__ = ["CodeGrader", "FunctionTests", "StdinTests", "Tests", "grade_code", "parse_gold"]
