"""Pages made by hand for the tests of the report's page."""

from __future__ import annotations

import math
import re
from typing import Any

from rlvr.report.attempts import Attempt, as_json
from rlvr.report.blocks import Chart, Listing, Prose, Reader, Section, Table
from rlvr.report.plots import Bar, Line, bars, lines, stacked

HOSTILE = [
    "<script>window.hit=1;alert(1)</script>",
    "</script><script>window.hit=1</script><!--",
    "<img src=x onerror=window.hit=1>",
    "\x1b[31mred\x1b[0m \x07\x00",
    "\u202eright to left\u2066 \u2028 \ud800 lone",
    "[bold]markup[/bold] {{ 7 * 7 }} ${7 * 7} &lt;b&gt;",
]
"""What a model may write to break a page."""

SENTENCE = "think : 1 + 0 = 1 , 1 + 1 = 2 → 0 , so the sum is even\nanswer : 0"


def attempt(
    pieces: list[str], *, step: int = 41, index: int = 3, mode: str = "cot", correct: bool = True, **facts: Any
) -> Attempt:
    """A rollout with plausible numbers: open choices at the first token and at every fifth."""
    count = len(pieces)
    logprobs = [-1.2 if number % 5 == 0 else -0.01 - 0.003 * number for number in range(count)]
    record = {
        "index": index,
        "question": "1 0 1 1 =",
        "answer": "0",
        "prompt": "1 0 1 1 =",
        "completion": "".join(pieces),
        "mode": mode,
        "correct": correct,
        "reward": float(correct),
        "rewards": {"exact": float(correct)},
        "reasons": {"exact": "correct" if correct else "wrong"},
        "advantage": 0.375 if correct else -0.625,
        "stop_reason": "stop",
        "token_ids": list(range(5, 5 + count)),
        "logprobs": logprobs,
    }
    given = {"entropies": [-value / 2 for value in logprobs], "advantages": [record["advantage"]] * count, **facts}
    return Attempt(
        step=step,
        line=0,
        record=record,
        pieces=pieces,
        logprobs=logprobs,
        **{"trained": [True] * count, **given},
    )


def study(pieces: list[str], sampled: list[float]) -> dict[str, Any]:
    """A study of a rollout in which the first token grew likelier, and the tenth decided the answer."""
    count = len(pieces)
    now = [value / 4 if number % 5 == 0 else value * 1.2 for number, value in enumerate(sampled)]
    before = [value - 1.5 if number % 10 == 0 else value + 0.005 for number, value in enumerate(sampled)]
    positions = list(range(0, count + 1, 2))
    right = [0.52 if position < 10 else 0.97 for position in positions]
    return {
        "line": 0,
        "policy": "checkpoints/step_000050",
        "against": "runs/sft",
        "logprobs": now,
        "against_logprobs": before,
        "entropies": [-value / 2 for value in now],
        "against_entropies": [-value / 2 for value in before],
        "alternatives": [
            [
                {
                    "id": 5 + number,
                    "text": piece,
                    "probability": math.exp(now[number]),
                    "against": math.exp(min(0, before[number])),
                },
                {"id": 900, "text": " wait", "probability": 0.02, "against": 0.21},
                {"id": 901, "text": "", "probability": 0.001, "against": 0.0004},
            ]
            for number, piece in enumerate(pieces)
        ],
        "credit": {
            "policy": "checkpoints/step_000050",
            "samples": 64,
            "positions": positions,
            "right": right,
            "low": [value - (0.12 if value < 0.9 else 0.08) for value in right],
            "high": [value + (0.12 if value < 0.9 else 0.02) for value in right],
        },
    }


def studied_attempt() -> Attempt:
    """A rollout with everything that can be known of one, its last two tokens not trained on."""
    pieces = [*re.findall(r" ?\S+|\n", SENTENCE), ""]
    plain = attempt(pieces)
    count = len(pieces)
    return attempt(
        pieces,
        trained=[number < count - 2 for number in range(count)],
        advantages=[0.375 - 0.02 * number for number in range(count)],
        studied=study(pieces, plain.logprobs),
    )


def reader() -> Reader:
    """Rollouts of every kind: studied, of an older version, hostile, and longer than is shown."""
    old = attempt(["0", ""], step=1, index=0, mode="direct", entropies=None, trained=None)
    made = [
        studied_attempt(),
        attempt(["think", " :", " 1", " +", " 1", " =", " 3", "\n", "1", ""], correct=False, index=4),
        old,
        attempt(HOSTILE, mode="direct", correct=False, step=11, index=7),
        attempt(["x" * 1_000_000], mode="direct", correct=False, step=11, index=8),
        attempt(["a ", "b "] * 1_500, step=21, index=9),
    ]
    return Reader(title="Rollouts token by token", attempts=[as_json(each) for each in made])


def charts() -> list[Chart]:
    """One chart of each kind."""
    steps = list(range(1, 121))
    rising = [1 / (1 + math.exp(-(step - 60) / 15)) for step in steps]
    cot = Line(
        name="cot", x=steps, values=rising, low=[v * 0.9 for v in rising], high=[v + (1 - v) * 0.15 for v in rising]
    )
    direct = Line(name="direct", x=steps, values=[1 - value for value in rising])
    accuracy = [
        Bar(category="before", series="cot", value=0.62, low=0.55, high=0.69),
        Bar(category="before", series="direct", value=0.51, low=0.44, high=0.58),
        Bar(category="after", series="cot", value=0.99, low=0.96, high=1.0),
        Bar(category="after", series="direct", value=0.52, low=0.45, high=0.59),
    ]
    return [
        lines(
            "mode", "P(mode)", "P(cot) rose from 0.02 to 0.98 in 120 steps.", [cot, direct], y="probability", share=True
        ),
        stacked(
            "signal", "Signal", "Groups with signal fell from half to a tenth.", [cot, direct], y="share of groups"
        ),
        bars(
            "accuracy",
            "Accuracy",
            "Accuracy of cot rose from 0.62 to 0.99.",
            accuracy,
            x="when",
            y="accuracy",
            share=True,
        ),
    ]


def sections() -> list[Section]:
    """A report with every kind of block, most of them hostile."""
    verdict = [
        Prose(
            text="Trained modsum from runs/sft for 120 steps. Accuracy rose from 0.56 [0.49, 0.63] to 0.98 [0.95, 0.99]."
        ),
        Prose(text="step 17: every attempt of 80 % of the groups was right; choose harder problems", kind="note"),
        Prose(text="No evaluation was found beside this run.", kind="gap"),
    ]
    wide = Table(
        columns=["step", *[f"a column with a long name {n}" for n in range(12)]],
        rows=[[1, *[n / 7 for n in range(12)]], [2, *[None] * 11, HOSTILE[0]]],
        caption="A wide table",
    )
    texts = [Prose(text=text) for text in HOSTILE]
    return [
        Section(name="verdict", title="Verdict", blocks=[*verdict]),
        Section(name="learning", title="Learning", blocks=[*charts()]),
        Section(name="tokens", title="Tokens", blocks=[reader()]),
        Section(
            name="samples", title="Samples", blocks=[*texts, wide, Listing(title=HOSTILE[1], text="y" * 1_000_000)]
        ),
        Section(name="origin", title="Origin", blocks=[Listing(title="Command", text="rlvr rl configs/rl.yaml\n" * 3)]),
    ]
