"""The top forks of a run: after which words it was unsure how to go on, and how its choice there shifted. No torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rlvr.errors import RlvrError
from rlvr.report.attempts import Pieces, pieces_of, studied
from rlvr.report.blocks import Block, Cell, Prose, Section, Table
from rlvr.report.plots import Bar, bars
from rlvr.report.runs import Run
from rlvr.statistics import wilson

FILES = 12
"""Steps that are read, evenly over the run."""
ROLLOUTS = 2000
"""Of each of them, from the beginning."""
FORKS = 0.2
"""The share of a step's tokens, the most uncertain, that count as forks (as ``entropy/forks`` has it)."""
SHOWN = 12
CHOICES = 3
"""Tokens of each fork that are listed: those whose share changed most."""
DRAWN = 6
FEWEST = 10
"""A context that stands in fewer places is left out."""

WORTH = 0.01
"""The share of the early uncertainty that must stand at a fork."""
IDS = 2**20
"""Token ids are below; three of them are one number of 64 bits."""

Pair = tuple[int, int]
"""The ids of the two tokens before a place; for a completion's first token only the prompt's last is known, and -1 stands before it:
what is asked differs from problem to problem, how a prompt ends does not."""


@dataclass(frozen=True, kw_only=True)
class _Tokens:
    """The T tokens of some completions, each with the two before it and its entropy. first, second, ids: (T,) int64."""

    first: np.ndarray
    second: np.ndarray
    ids: np.ndarray
    entropies: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Share:
    """How often something was chosen, with its 95 % Wilson interval. exact: its mean probability at the studied tokens of this context."""

    value: float | None
    low: float = 0.0
    high: float = 1.0
    exact: float | None = None


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A token chosen at a fork; early in the run and late."""

    text: str
    early: Share
    late: Share


@dataclass(frozen=True, kw_only=True)
class Fork:
    """A context, and how the run went on from it.

    context: the text of the two tokens before. count: its places in the rollouts that were read, early: those of the first third of the
    steps, late: of the last. entropy_early, entropy_late: their mean entropies in nats; None where there are none. choices: those
    whose share changed most. studied: tokens of this context that a study looked into.
    """

    context: str
    count: int
    early: int
    late: int
    entropy_early: float | None
    entropy_late: float | None
    choices: list[Choice]
    studied: int = 0


@dataclass
class _Places:
    """What happened after one context, in one part of the run."""

    count: int = 0
    entropy: float = 0.0
    chosen: Counter[int] = field(default_factory=Counter)

    def mean(self) -> float | None:
        return self.entropy / self.count if self.count else None

    def share(self, token: int, exact: float | None) -> Share:
        if not self.count:
            return Share(value=None, exact=exact)
        value = self.chosen[token] / self.count
        low, high = wilson(value, self.count)
        return Share(value=value, low=low, high=high, exact=exact)


def forks(run: Run) -> Section | None:
    """The section on a run's forks; None for a run whose rollouts are of one step or none."""
    if run.stage != "rl" or len(run.rollout_steps()) < 2:
        return None
    title = "Forks: where the policy chose"
    try:
        found = top_forks(run)
    except RlvrError as error:
        why = f"There is no list of forks: {error}"
        return Section(name="forks", title=title, blocks=[Prose(text=why, kind="gap")])
    if not found:
        why = (
            "There is no list of forks: the rollouts that were read do not say how uncertain the policy was at each token "
            "(versions before this one did not write it), or too few were saved."
        )
        return Section(name="forks", title=title, blocks=[Prose(text=why, kind="gap")])
    steps = _spread(run.rollout_steps())
    third = _third(len(steps))
    intro = (
        f"A fork is a context at which the policy was among its most uncertain {FORKS:.0%} of tokens. A context is the two tokens before a place; "
        "for the first token of a completion, the last of the prompt. Forks are ordered by how much of the uncertainty of the first steps stood "
        f"there (places times mean entropy), and hold at least {WORTH:.0%} of it. Early is steps {_listed(steps[:third])}, "
        f"late is {_listed(steps[-third:])}; shares are of all places of the context, with 95 % Wilson intervals that take places as independent. "
        "Exact probabilities are means over the tokens that rlvr study looked into, under the model before and after."
    )
    blocks: list[Block] = [Prose(text=intro), _chart(found), _table(found)]
    return Section(name="forks", title=title, blocks=blocks)


def top_forks(run: Run, count: int = SHOWN) -> list[Fork]:
    """The forks at which most of the early uncertainty stood, the first first; none where rollouts have no entropies.

    RlvrError as ``Run.rollouts`` says.
    """
    steps = _spread(run.rollout_steps())
    third = _third(len(steps))
    parts: dict[str, dict[Pair, _Places]] = {"early": {}, "middle": {}, "late": {}}
    uncertain: set[Pair] = set()
    ends: set[int] = set()
    for number, step in enumerate(steps):
        part = "early" if number < third else "late" if number >= len(steps) - third else "middle"
        records = run.rollouts(step)[:ROLLOUTS]
        rows = [(record, tokens) for record in records if (tokens := _tokens(record)) is not None]
        ends |= {int(tokens.ids[-1]) for record, tokens in rows if record.get("stop_reason") == "stop"}
        if rows:
            uncertain |= _add([tokens for _, tokens in rows], parts[part])
    early, late = parts["early"], parts["late"]
    counted = {pair: sum(places[pair].count for places in parts.values() if pair in places) for pair in uncertain}
    least = WORTH * sum(places.entropy for places in early.values())
    ranked = sorted(
        (
            pair
            for pair, places in counted.items()
            if places >= FEWEST and pair in early and early[pair].entropy >= least
        ),
        key=lambda pair: (-early[pair].entropy, pair),
    )[:count]
    pieces, exact = pieces_of(run), _exact(run, set(ranked))
    return [
        _fork(pair, counted[pair], (early[pair], late.get(pair, _Places())), exact.get(pair, []), pieces, ends)
        for pair in ranked
    ]


def _spread(steps: list[int]) -> list[int]:
    """At most FILES of the steps, evenly, the first and the last among them."""
    if len(steps) <= FILES:
        return steps
    return [steps[round(number * (len(steps) - 1) / (FILES - 1))] for number in range(FILES)]


def _third(count: int) -> int:
    return max(1, count // 3)


def _listed(steps: list[int]) -> str:
    return ", ".join(map(str, steps))


def _tokens(row: dict[str, Any]) -> _Tokens | None:
    """A rollout's tokens; None if it does not say how uncertain they were, or is damaged."""
    try:
        prompt, ids = (np.asarray(row.get(name)) for name in ("prompt_ids", "token_ids"))
        entropies = np.asarray(row.get("entropies"))
    except (ValueError, OverflowError):
        return None
    lists = (prompt, ids, entropies)
    if any(each.ndim != 1 or each.dtype.kind not in kinds for each, kinds in zip(lists, ("i", "i", "fi"), strict=True)):
        return None
    before = np.concatenate([[-1], prompt[-1:], ids])
    if not len(ids) == len(entropies) == len(before) - 2 > 0 or before[1:].min() < 0 or before.max() >= IDS:
        return None
    return _Tokens(first=before[:-2][: len(ids)], second=before[1:-1][: len(ids)], ids=ids, entropies=entropies)


def _add(rows: list[_Tokens], places: dict[Pair, _Places]) -> set[Pair]:
    """Count the places of a step's rollouts; the contexts that were forks there."""
    first, second, ids, entropies = (
        np.concatenate([getattr(row, name) for row in rows]) for name in ("first", "second", "ids", "entropies")
    )
    keys, which = np.unique(((first + 1) * IDS + second) * IDS + ids, return_inverse=True)
    counts, sums = np.bincount(which), np.bincount(which, weights=entropies)
    for key, count, entropy in zip(keys.tolist(), counts.tolist(), sums.tolist(), strict=True):
        found = places.setdefault(_pair(key // IDS), _Places())
        found.count += count
        found.entropy += entropy
        found.chosen[key % IDS] += count
    above = (entropies >= np.quantile(entropies, 1 - FORKS)) & (entropies > 0)
    return {_pair(key) for key in np.unique((keys // IDS)[which[above]]).tolist()}


def _pair(key: int) -> Pair:
    return key // IDS - 1, key % IDS


def _exact(run: Run, wanted: set[Pair]) -> dict[Pair, list[dict[int, tuple[float, float]]]]:
    """For contexts, at each studied token the probabilities of its alternatives before and after, by id."""
    found: dict[Pair, list[dict[int, tuple[float, float]]]] = {}
    for step in run.rollout_steps():
        studies = studied(run, step)
        rows = run.rollouts(step) if studies else []
        for line, study in studies.items():
            tokens = _tokens(rows[line]) if 0 <= line < len(rows) else None
            if tokens is None:
                continue
            contexts = zip(tokens.first.tolist(), tokens.second.tolist(), strict=True)
            for pair, named in zip(contexts, study["alternatives"], strict=False):
                if pair in wanted:
                    found.setdefault(pair, []).append(dict(_probabilities(named)))
    return found


def _probabilities(named: Any) -> Iterator[tuple[int, tuple[float, float]]]:
    for each in named if isinstance(named, list) else []:
        token, before, after = (
            each.get(n) if isinstance(each, dict) else None for n in ("id", "against", "probability")
        )
        if isinstance(token, int) and isinstance(before, int | float) and isinstance(after, int | float):
            yield token, (before, after)


def _fork(
    pair: Pair,
    count: int,
    parts: tuple[_Places, _Places],
    exact: list[dict[int, tuple[float, float]]],
    pieces: Pieces,
    ends: set[int],
) -> Fork:
    early, late = parts
    moved = {token: abs(_value(late, token) - _value(early, token)) for token in [*early.chosen, *late.chosen]}
    by_change = sorted(moved, key=lambda token: (-moved[token], -early.chosen[token], token))[:CHOICES]
    context = [token for token in pair if token >= 0]
    choices = []
    for token in by_change:
        # A study leaves out what neither model would write once in a thousand times.
        before, after = (_mean([found.get(token, (0.0, 0.0))[side] for found in exact]) for side in (0, 1))
        text = pieces([*context, token])[-1]
        name = text or ("‹end›" if token in ends else f"‹{token}›")
        choices.append(Choice(text=name, early=early.share(token, before), late=late.share(token, after)))
    return Fork(
        context="".join(pieces(context)) or "‹start›",
        count=count,
        early=early.count,
        late=late.count,
        entropy_early=early.mean(),
        entropy_late=late.mean(),
        choices=choices,
        studied=len(exact),
    )


def _value(places: _Places, token: int) -> float:
    return places.chosen[token] / places.count if places.count else 0.0


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _chart(found: list[Fork]) -> Any:
    drawn = []
    for fork in found[:DRAWN]:
        for choice in fork.choices[:2]:
            category = f"{_quoted(fork.context)} → {_quoted(choice.text)}"
            for series, share in (("early", choice.early), ("late", choice.late)):
                if share.value is not None:
                    drawn.append(
                        Bar(category=category, series=series, value=share.value, low=share.low, high=share.high)
                    )
    first = found[0]
    said = [f"{_quoted(c.text)} {_percent(c.early)} → {_percent(c.late)}" for c in first.choices]
    summary = f"After {_quoted(first.context)}, early → late: {', '.join(said)}."
    title = "What was chosen at the top forks, early and late"
    return bars("forks", title, summary, drawn, x="context → token", y="share of its places", share=True)


def _quoted(text: str) -> str:
    return f"“{text[-40:]}”"


def _percent(share: Share) -> str:
    return "–" if share.value is None else f"{share.value:.3f}"


def _table(found: list[Fork]) -> Table:
    columns = [
        "after", "places", "entropy early (nats)", "entropy late (nats)", "token",
        "early", "early, from", "early, to", "late", "late, from", "late, to",
        "exact before", "exact after", "studied tokens",
    ]  # fmt: skip
    rows: list[list[Cell]] = [
        [
            *(fork.context, fork.count, fork.entropy_early, fork.entropy_late, choice.text),
            *_cells(choice.early),
            *_cells(choice.late),
            *(choice.early.exact, choice.late.exact, fork.studied or None),
        ]
        for fork in found
        for choice in fork.choices
    ]
    return Table(columns=columns, rows=rows, caption="The top forks, and the tokens whose share changed most")


def _cells(share: Share) -> list[Cell]:
    return [None, None, None] if share.value is None else [share.value, share.low, share.high]
