"""The maths verifier: reads LaTeX, plain and Unicode answers into typed values and compares them exactly.

Nothing is run, nothing is simplified and no clock is asked: the cost of a verdict is bounded by counting, so it is the same on every
machine, in every thread and under any load.
"""

from rlvr.rewards.maths.grade import Gold, grade_math, parse_gold

__all__ = ["Gold", "grade_math", "parse_gold"]
