"""Tasks: one section a family."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, ValidationError, model_validator

from rlvr.config.problems import ProblemsConfig
from rlvr.config.selection import CurriculumConfig, SelectConfig
from rlvr.config.strict import Fraction, Strict


class ModsumConfig(Strict):
    """x1…xd in Z_M; the answer is their sum mod M. M = 2 is parity."""

    name: Literal["modsum"]
    modulus: Annotated[int, Field(ge=2, le=1000)] = 2
    length: Annotated[int, Field(ge=2, le=512)] = 16
    tagged: bool = True
    """A chain is written between <think> and </think>; untagged, it is the chain alone, whose last word answers."""
    empty_thoughts: bool = False
    """A direct answer begins with thoughts that are empty, ``<think> </think>``, so that no answer begins without a tag."""
    leaps: list[PositiveInt] = [1]
    """Chains that exist beside ``direct``: leap 1 (mode cot) writes every running sum, leap k (mode leapk) every k-th."""
    announced: bool = False
    """A tagged chain begins with the word of its leap: by1, by2, …"""
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
        if self.announced and not self.tagged:
            raise ValueError("announced is for tagged chains; an untagged one has nothing but sums")
        if self.error_kind == "biased" and not self.wrong_pairs:
            raise ValueError(
                f"error_rate {self.error_rate} makes none of {self.modulus**2} (sum, digit) pairs wrong; raise it"
            )
        if not self.error_rate:
            self.refuse_set(("error_kind",), "with error_rate 0")
        if not self.tagged:
            self.refuse_set(("empty_thoughts",), "untagged")
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
    hidden: PositiveInt | None = None
    """The place, from 1, of a factor that the question leaves blank: nobody can know the answer."""
    training_problems: PositiveInt | None = None
    """So many problems make up the train split, again and again, the same for every seed; None: it has no end."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.hidden is not None and self.hidden > self.length:
            raise ValueError(f"hidden {self.hidden} is beyond length {self.length}")
        return self


class StridesConfig(Strict):
    """x1…xd in Z_M are added in strides; how many digits the next one takes is free. The answer is their sum mod M."""

    name: Literal["strides"]
    modulus: Annotated[int, Field(ge=2, le=1000)] = 2
    length: Annotated[int, Field(ge=2, le=512)] = 16
    strides: Annotated[list[PositiveInt], Field(min_length=2)] = [1, 2, 8]
    """How many digits can be added at once; a demonstrator draws, each time, among those that are left to take."""
    guessed: bool = False
    """A demonstrator does not add up the longest stride: it draws a digit, and goes on from there."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(set(self.strides)) != len(self.strides) or 1 not in self.strides or max(self.strides) > self.length:
            raise ValueError(
                f"strides {self.strides} must be different numbers up to length {self.length}, 1 among them"
            )
        return self


class StringsConfig(Strict):
    """Functions of a string, one after another."""

    name: Literal["strings"]
    functions: Literal["A", "B", "all"] = "all"
    """Which ones: f0 to f3 (A), f4 to f7 (B), or all eight."""
    level: Annotated[int, Field(ge=1, le=8)] = 2
    """How many of them a problem applies, all different."""
    places: Annotated[int, Field(ge=1, le=8)] = 4
    """Places for functions in a problem; those of no function hold a dot."""
    length: Annotated[int, Field(ge=4, le=16)] = 4
    letters: Annotated[int, Field(ge=3, le=25)] = 6

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.functions != "all" and self.level > 4:
            raise ValueError(f"level {self.level} needs more than the 4 functions of {self.functions}; use all")
        if self.level > self.places:
            raise ValueError(f"level {self.level} needs as many places, and there are {self.places}")
        return self


WORLD = 4096
"""How many people there are to know facts about."""


class FactsConfig(Strict):
    """A fact about each of some people, out of one world of 4096 that is the same for every seed."""

    name: Literal["facts"]
    people: Annotated[int, Field(ge=128, le=WORLD)] = 1024
    first: Annotated[int, Field(ge=0)] = 0
    """The number of the first of them; those of two tasks are different people if their numbers are."""
    form: Literal["question", "statement"] = "question"
    """A person is asked about once in all, in one of the splits; statements, by 16 speakers, are about the people of both."""
    reliability: Annotated[list[Fraction], Field(min_length=1)] = [1.0]
    """How often a person's value comes out as the same; given to the people in turn."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.first + self.people > WORLD:
            raise ValueError(f"first {self.first} and people {self.people} go beyond the {WORLD} people that there are")
        return self


class GymConfig(Strict):
    """A data set of reasoning-gym (extra ``gym``), whose own scorer is the reward ``gym``. docs/gym.md says which are fit."""

    name: Literal["gym"]
    dataset: str
    config: dict[str, Any] = {}
    """Keys of the data set's own configuration; the others keep the package's values, or those of ``level``."""
    level: Annotated[int, Field(ge=0)] | None = None
    """Of the package's curriculum for the data set, whose first level is 0; None: its configuration as it is."""
    instruction: str = "Write the final answer, and nothing else, between <answer> and </answer>."
    """What is added to each question. With <answer> in it, gold responses are written between the tags."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        for key in ("seed", "size"):
            if key in self.config:
                raise ValueError(
                    f"config: {key} has no effect here: the run's seed decides, and problems have no end; remove it"
                )
        return self


_Single = (
    ModsumConfig
    | ArithmeticConfig
    | WordsConfig
    | StridesConfig
    | StringsConfig
    | FactsConfig
    | ProblemsConfig
    | GymConfig
)
SingleTaskConfig = Annotated[_Single, Field(discriminator="name")]

DIALS: dict[str, tuple[str, ...]] = {
    "modsum": ("length", "modulus"),
    "arithmetic": ("digits",),
    "words": ("length",),
    "strides": ("length", "modulus"),
    "strings": ("level", "length", "letters"),
    "facts": ("people",),
    "gym": ("level", "config.KEY"),
}
"""What a curriculum can move, by task; config.KEY is any number of a data set's own configuration."""

OF_CONFIG = "config."


def at_level(task: SingleTaskConfig, dial: str, value: int) -> SingleTaskConfig:
    """The task with another value of a dial; ValueError, in the schema's words, if it cannot take it."""
    tree = task.model_dump(exclude_unset=True)
    if dial.startswith(OF_CONFIG):
        tree["config"] = {**tree.get("config", {}), dial.removeprefix(OF_CONFIG): value}
    else:
        tree[dial] = value
    try:
        return type(task).model_validate(tree)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ValueError(
            f"curriculum.values: {task.name} cannot take {dial} {value}: {first['msg'].removeprefix('Value error, ')}"
        ) from None


def check_selection(task: SingleTaskConfig, select: SelectConfig | None, curriculum: CurriculumConfig | None) -> None:
    """ValueError if a task's problems cannot be chosen in this way."""
    if select is not None and not isinstance(task, ProblemsConfig):
        raise ValueError(f"select has no effect on {task.name}, whose problems are generated; it is for task problems")
    if curriculum is None:
        return
    dials = DIALS.get(task.name, ())
    if curriculum.dial not in dials and not (task.name == "gym" and curriculum.dial.startswith(OF_CONFIG)):
        have = f"its dials: {', '.join(dials)}" if dials else "a file has none; remove it, or use select"
        raise ValueError(f"curriculum: {task.name} has no dial {curriculum.dial}; {have}")
    for value in curriculum.values:
        at_level(task, curriculum.dial, value)


class MemberConfig(Strict):
    """One task of a mixture."""

    task: SingleTaskConfig
    weight: PositiveFloat = 1.0
    """Its share of the problems, relative to the other weights."""
    grader: str | None = None
    """The one component of the reward that grades its problems, where they do not name one themselves; None: all."""
    select: SelectConfig | None = None
    curriculum: CurriculumConfig | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        check_selection(self.task, self.select, self.curriculum)
        return self


class MixtureConfig(Strict):
    """Several tasks at once, each under a name of its own, which the metrics go by."""

    name: Literal["mixture"]
    tasks: Annotated[dict[str, MemberConfig], Field(min_length=2)]

    @model_validator(mode="after")
    def _check(self) -> Self:
        for name in self.tasks:
            if not re.fullmatch(r"[A-Za-z0-9_.-]+", name) or name in ("mixture", "documents"):
                raise ValueError(
                    f"tasks: {name!r} cannot be a task's name here; use letters, digits and _ . - (not mixture, documents)"
                )
        return self

    def refuse_selection(self) -> None:
        """Raise ValueError if a member says which of its problems are trained on, where none are."""
        for member in self.tasks.values():
            member.refuse_set(("select", "curriculum"), "outside rlvr rl: all problems of a split are meant")


TaskConfig = Annotated[_Single | MixtureConfig, Field(discriminator="name")]
