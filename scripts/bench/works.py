"""The work that is measured, the same for every side. Standard library alone: every environment imports it."""

import json
import random
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

SHORT = 3
"""Tokens of a short answer, its stop token included."""
PROBLEMS, GROUP = 32, 8
"""Of an RL step."""

PAD, BOS, STOP, UNK = 0, 1, 2, 3
CHARACTERS = "0123456789abcdefghijklmnopqrstuvwxyz+-*=?/.,:"
TO_SHORT, TO_LONG = "=", "?"
"""The last character of a prompt says how long the tiny model's answer will be (``tiny``)."""
FIRST = {TO_SHORT: "67", TO_LONG: "89"}
"""The characters an answer may begin with, equally likely: the second of them is the right answer of a problem."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """Rows to be completed together.

    model: a Hugging Face directory. device: cpu or cuda, whose memory it is on. short_tenths: of ten prompts, how many the tiny model answers with SHORT tokens instead
    of new_tokens. forced: stop tokens are ruled out instead, so that any model writes new_tokens.
    """

    model: str
    dtype: str
    rows: int
    prompt_tokens: int
    new_tokens: int
    device: str = "cpu"
    short_tenths: int = 0
    forced: bool = False

    def text(self) -> str:
        """One line of JSON."""
        return json.dumps(asdict(self))

    def lengths(self) -> list[int]:
        """Tokens that each row writes, its stop token included."""
        return [SHORT if is_short(row, self.short_tenths) else self.new_tokens for row in range(self.rows)]


def read_work(text: str) -> Work:
    """A work from its line of JSON."""
    return Work(**json.loads(text))


def is_short(row: int, short_tenths: int) -> bool:
    """Whether a row is one of the short ones, which are spread evenly."""
    return row % 10 < short_tenths


@lru_cache(maxsize=2)
def prompts(work: Work) -> list[list[int]]:
    """Token ids of each row's prompt, all different. For the tiny model the last of them says how long the answer is."""
    rng = random.Random(0)
    if work.forced:
        vocabulary = json.loads((Path(work.model) / "config.json").read_text())["vocab_size"]
        return [[rng.randrange(100, vocabulary) for _ in range(work.prompt_tokens)] for _ in range(work.rows)]
    made = []
    for row in range(work.rows):
        last = TO_SHORT if is_short(row, work.short_tenths) else TO_LONG
        made.append([token(rng.choice(CHARACTERS)) for _ in range(work.prompt_tokens - 1)] + [token(last)])
    return made


def token(character: str) -> int:
    """The tiny model's token of a character."""
    return UNK + 1 + CHARACTERS.index(character)


def stop_ids(model: str) -> list[int]:
    """The tokens that end a row of a model."""
    found = json.loads((Path(model) / "config.json").read_text())["eos_token_id"]
    return found if isinstance(found, list) else [found]


def questions(short_tenths: int) -> list[dict[str, str]]:
    """An RL step's problems: question and answer."""
    rng = random.Random(1)
    found = {f"{rng.randint(100, 999)}+{rng.randint(100, 999)}": None for _ in range(2 * PROBLEMS)}
    last = [TO_SHORT if is_short(row, short_tenths) else TO_LONG for row in range(PROBLEMS)]
    return [
        {"question": question + sign, "answer": FIRST[sign][1]}
        for question, sign in zip(list(found)[:PROBLEMS], last, strict=True)
    ]


def answer_tokens(short_tenths: int, new_tokens: int) -> int:
    """Tokens that the answers of an RL step have together."""
    return GROUP * sum(SHORT if is_short(row, short_tenths) else new_tokens for row in range(PROBLEMS))
