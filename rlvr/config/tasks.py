"""Tasks: one section a family."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, PositiveInt, model_validator

from rlvr.config.strict import Fraction, Strict


class ModsumConfig(Strict):
    """x1…xd in Z_M; the answer is their sum mod M. M = 2 is parity."""

    name: Literal["modsum"]
    modulus: Annotated[int, Field(ge=2, le=1000)] = 2
    length: Annotated[int, Field(ge=2, le=512)] = 16
    tagged: bool = True
    """A chain is written between <think> and </think>; untagged, it is the chain alone, whose last word answers."""
    leaps: list[PositiveInt] = [1]
    """Chains that exist beside ``direct``: leap 1 (mode cot) writes every running sum, leap k (mode leapk) every k-th."""
    distractors: Annotated[int, Field(ge=0, le=256)] = 0
    """Free tokens, drawn from 16, that a demonstrator writes before the response."""
    error_rate: Fraction = 0.0
    """Share of a demonstrator's steps that are wrong and carried on."""
    error_kind: Literal["random", "biased"] | None = None
    """random (default): any step may go wrong; biased: always the same (sum, digit) pairs do."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(set(self.leaps)) != len(self.leaps) or not self.leaps:
            raise ValueError(f"leaps {self.leaps} must be different numbers, at least one")
        lengths = {-(-self.length // leap) for leap in self.leaps}
        if max(self.leaps) >= self.length or len(lengths) < len(self.leaps):
            raise ValueError(
                f"leaps {self.leaps} must be below length {self.length} and give chains of different length"
            )
        if self.error_kind == "biased" and not self.wrong_pairs:
            raise ValueError(
                f"error_rate {self.error_rate} makes none of {self.modulus**2} (sum, digit) pairs wrong; raise it"
            )
        if not self.error_rate:
            self.refuse_set(("error_kind",), "with error_rate 0")
        return self

    @property
    def wrong_pairs(self) -> int:
        """How many of the (sum, digit) pairs a biased demonstrator always gets wrong."""
        return round(self.error_rate * self.modulus**2)


class ArithmeticConfig(Strict):
    """Sums or products of two numbers of k digits."""

    name: Literal["arithmetic"]
    operation: Literal["sum", "product"] = "sum"
    digits: Annotated[int, Field(ge=2, le=18)] = 3


class WordsConfig(Strict):
    """The product of a word over a permutation group."""

    name: Literal["words"]
    group: Literal["S3", "S5", "A5"] = "S3"
    length: Annotated[int, Field(ge=2, le=256)] = 8


class ProblemsConfig(Strict):
    """Questions and answers from a JSONL file."""

    name: Literal["problems"]
    path: str
    on_bad_line: Literal["stop", "skip"] = "stop"
    test_fraction: Fraction = 0.1
    """Share of the questions, chosen by a hash of their text, kept from training."""


TaskConfig = Annotated[ModsumConfig | ArithmeticConfig | WordsConfig | ProblemsConfig, Field(discriminator="name")]
