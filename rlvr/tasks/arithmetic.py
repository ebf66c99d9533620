"""Sums and products of two numbers of k digits, at once or worked digit by digit."""

from collections.abc import Iterable
from random import Random

from rlvr.config import ArithmeticConfig
from rlvr.runtime.seeding import generator
from rlvr.tasks import thinking
from rlvr.tasks.task import draw_question
from rlvr.types import Problem, Split

SIGNS = {"sum": "+", "product": "*"}


class Arithmetic:
    """``47+85=`` is answered ``132`` (direct) or worked (cot).

    Sums are worked from the last digit with the carry, ``<think> 7+5+0=12 4+8+1=13 </think> 132``; products by one
    digit of the second number after the other with the running total,
    ``<think> 47*5=235 47*80=3760 235+3760=3995 </think> 3995``.
    """

    name = "arithmetic"
    warnings: tuple[str, ...] = ()
    modes: tuple[str, ...] = ("direct", "cot")

    def __init__(self, config: ArithmeticConfig, seed: int) -> None:
        self._config, self._seed = config, seed

    def problem(self, split: Split, index: int) -> Problem:
        low, high = 10 ** (self._config.digits - 1), 10**self._config.digits
        a, b = draw_question(
            lambda rng: (rng.randrange(low, high), rng.randrange(low, high)),
            lambda pair: self._question(*pair),
            task=self.name,
            seed=self._seed,
            split=split,
            index=index,
        )
        answer = a + b if self._config.operation == "sum" else a * b
        return Problem(task=self.name, split=split, index=index, question=self._question(a, b), answer=str(answer))

    def size(self, split: Split) -> int | None:
        return None

    def respond(self, problem: Problem, mode: str, rng: Random) -> str:
        if mode == "direct":
            return problem.answer
        a, b = problem.question.removesuffix("=").split(SIGNS[self._config.operation])
        steps = _sum_steps(a, b) if self._config.operation == "sum" else _product_steps(int(a), b)
        return thinking.wrap(" ".join(steps), problem.answer)

    def gold_response(self, problem: Problem) -> str:
        return self.respond(problem, "cot", generator(0))

    def mode_of(self, problem: Problem, response: str) -> str:
        return "direct" if thinking.split(response)[0] is None else "cot"

    def final_answer(self, problem: Problem, response: str) -> str | None:
        return thinking.single_word(thinking.split(response)[1])

    def alphabet(self) -> Iterable[str]:
        yield "0123456789+*= "
        for index in range(64):
            problem = self.problem("train", index)
            yield f"{problem.question} {self.gold_response(problem)}"

    def _question(self, a: int, b: int) -> str:
        return f"{a}{SIGNS[self._config.operation]}{b}="


def _sum_steps(a: str, b: str) -> list[str]:
    carry, steps = 0, []
    for x, y in zip(reversed(a), reversed(b), strict=True):
        total = int(x) + int(y) + carry
        steps.append(f"{x}+{y}+{carry}={total}")
        carry = total // 10
    return steps


def _product_steps(a: int, b: str) -> list[str]:
    total, steps = 0, []
    for place, digit in enumerate(reversed(b)):
        factor = int(digit) * 10**place
        steps.append(f"{a}*{factor}={a * factor}")
        if place:
            steps.append(f"{total}+{a * factor}={total + a * factor}")
        total += a * factor
    return steps
