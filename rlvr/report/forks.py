"""The top forks of a run: after which words it was unsure how to go on, and how its choice there shifted. No torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rlvr.accounting import FORK_SHARE
from rlvr.errors import RlvrError
from rlvr.report.attempts import Pieces, pieces_of, studied
from rlvr.report.blocks import Block, Cell, Prose, Section, Table
from rlvr.report.plots import Bar, bars
from rlvr.report.runs import Run
from rlvr.statistics import spread, wilson

FILES = 12
"""Steps that are read, evenly over the run."""
ROLLOUTS, TOKENS = 2000, 200_000
"""Of each of them, from the beginning: whole rollouts, until there are so many of either."""
SHOWN = 12
CHOICES = 3
"""Tokens of each fork that are listed: those whose share changed most."""
DRAWN = 6
FEWEST = 10
"""A context that stands in fewer places is left out."""

LOOKED_AT = 100
"""Contexts, those first at which most of the early uncertainty stood."""
IDS = 2**20
"""Token ids are below; three of them are one number of 64 bits."""

Pair = tuple[int, int]
"""The ids of the two tokens before a place; for a completion's first token only the prompt's last is known, and -1 stands before it:
what is asked differs from problem to problem, how a prompt ends does not."""


@dataclass(frozen=True, kw_only=True)
class _Tokens:
    """The T tokens of some completions. contexts: (T,) int64, the pair before each as one number. ids: (T,) int64. entropies: (T,)
    float64. forks: (T,) bool, which are of the most uncertain of their step."""

    contexts: np.ndarray
    ids: np.ndarray
    entropies: np.ndarray
    forks: np.ndarray


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


@dataclass(frozen=True, kw_only=True)
class _Places:
    """What happened after one context, in one part of the run. entropy: of all its places together."""

    count: int
    entropy: float
    chosen: dict[int, int]

    def mean(self) -> float | None:
        return self.entropy / self.count if self.count else None

    def of(self, token: int) -> float:
        return self.chosen.get(token, 0) / self.count if self.count else 0.0

    def share(self, token: int, exact: float | None) -> Share:
        if not self.count:
            return Share(value=None, exact=exact)
        low, high = wilson(self.of(token), self.count)
        return Share(value=self.of(token), low=low, high=high, exact=exact)


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
            "(versions before this one did not write it), or no context came back often enough."
        )
        return Section(name="forks", title=title, blocks=[Prose(text=why, kind="gap")])
    steps = spread(run.rollout_steps(), FILES)
    third = _third(len(steps))
    intro = (
        f"A fork is where the choice was among the most uncertain {100 * FORK_SHARE:.0f} % of its step's tokens. Forks are listed by their context, the two "
        "tokens before; for the first token of a completion, the last of the prompt. Those come first where most of the uncertainty of the first "
        "steps stood (places times mean entropy), which is above the mean of all tokens there. "
        f"Early is {_listed(steps[:third])}, late is {_listed(steps[-third:])}; shares are of all places of the context, with 95 % Wilson intervals that "
        "take places as independent. · is a space, ⏎ ends a line. "
        "Exact probabilities are means over the tokens that rlvr study looked into, under the model before and after."
    )
    blocks: list[Block] = [Prose(text=intro), _chart(found), _table(found)]
    return Section(name="forks", title=title, blocks=blocks)


def top_forks(run: Run) -> list[Fork]:
    """The forks at which most of the early uncertainty stood, the first first; none where rollouts have no entropies.

    RlvrError as ``Run.rollouts`` says.
    """
    steps = spread(run.rollout_steps(), FILES)
    third = _third(len(steps))
    ends: set[int] = set()
    read = [_of_step(run, step, ends) for step in steps]
    early, middle, late = (_joined(part) for part in (read[:third], read[third:-third], read[-third:]))
    contexts, which = np.unique(early.contexts, return_inverse=True)
    sums = np.bincount(which, weights=early.entropies, minlength=len(contexts))
    above = sums / np.bincount(which, minlength=len(contexts)) >= sums.sum() / max(1, len(which))
    order = np.lexsort((contexts, -sums))
    worth = contexts[order[above[order]]][:LOOKED_AT].tolist()
    pieces, exact = pieces_of(run), _exact(run, set(worth))
    found: list[Fork] = []
    for context in worth:
        rows = [part.contexts == context for part in (early, middle, late)]
        if sum(int(row.sum()) for row in rows) < FEWEST or not any(
            part.forks[row].any() for part, row in zip((early, middle, late), rows, strict=True)
        ):
            continue
        if len(found) == SHOWN:
            break
        places = [_places(part, row) for part, row in zip((early, middle, late), rows, strict=True)]
        found.append(_fork(_pair(context), places, exact.get(context, []), pieces, ends))
    return found


def _of_step(run: Run, step: int, ends: set[int]) -> _Tokens:
    """The tokens of a step's first rollouts; its forks are the share that ``entropy/forks`` is of. ends: is told the tokens that ended them."""
    rows: list[_Tokens] = []
    tokens = 0
    for record in run.rollouts(step)[:ROLLOUTS]:
        row = _tokens(record)
        if row is None:
            continue
        if record.get("stop_reason") == "stop":
            ends.add(int(row.ids[-1]))
        rows.append(row)
        tokens += len(row.ids)
        if tokens >= TOKENS:
            break
    found = _joined(rows)
    if not rows:
        return found
    above = (found.entropies >= np.quantile(found.entropies, 1 - FORK_SHARE)) & (found.entropies > 0)
    return replace(found, forks=above)


def _joined(parts: list[_Tokens]) -> _Tokens:
    kinds = {"contexts": np.int64, "ids": np.int64, "entropies": np.float64, "forks": np.bool_}
    arrays = {
        name: np.concatenate([np.empty(0, dtype=kind), *(getattr(part, name) for part in parts)])
        for name, kind in kinds.items()
    }
    return _Tokens(**arrays)


def _places(tokens: _Tokens, rows: np.ndarray) -> _Places:
    ids, counts = np.unique(tokens.ids[rows], return_counts=True)
    chosen = dict(zip(ids.tolist(), counts.tolist(), strict=True))
    return _Places(count=int(rows.sum()), entropy=float(tokens.entropies[rows].sum()), chosen=chosen)


def _third(count: int) -> int:
    return max(1, count // 3)


def _listed(steps: list[int]) -> str:
    return f"step{'' if len(steps) == 1 else 's'} {', '.join(map(str, steps))}"


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
    contexts = (before[:-2] + 1) * IDS + before[1:-1]
    return _Tokens(contexts=contexts, ids=ids, entropies=entropies, forks=np.zeros(len(ids), dtype=np.bool_))


def _pair(key: int) -> Pair:
    return key // IDS - 1, key % IDS


def _exact(run: Run, wanted: set[int]) -> dict[int, list[dict[int, tuple[float, float]]]]:
    """For contexts, at each studied token the probabilities of its alternatives before and after, by id."""
    found: dict[int, list[dict[int, tuple[float, float]]]] = {}
    for step in sorted({*run.rollout_steps()} & {*run.study_steps()}):
        studies = studied(run, step)
        rows = run.numbered_rollouts(step, only=studies)
        for line, study in studies.items():
            tokens = _tokens(rows[line]) if line in rows else None
            if tokens is None:
                continue
            for context, named in zip(tokens.contexts.tolist(), study["alternatives"], strict=False):
                if context in wanted:
                    found.setdefault(context, []).append(dict(_probabilities(named)))
    return found


def _probabilities(named: Any) -> Iterator[tuple[int, tuple[float, float]]]:
    for each in named if isinstance(named, list) else []:
        token, before, after = (
            each.get(n) if isinstance(each, dict) else None for n in ("id", "against", "probability")
        )
        if isinstance(token, int) and isinstance(before, int | float) and isinstance(after, int | float):
            yield token, (before, after)


def _fork(
    pair: Pair, places: list[_Places], exact: list[dict[int, tuple[float, float]]], pieces: Pieces, ends: set[int]
) -> Fork:
    """A fork, of its places early, between and late."""
    early, _, late = places
    moved = {token: abs(late.of(token) - early.of(token)) for token in {**early.chosen, **late.chosen}}
    by_change = sorted(moved, key=lambda token: (-moved[token], -early.of(token), token))[:CHOICES]
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
        count=sum(each.count for each in places),
        early=early.count,
        late=late.count,
        entropy_early=early.mean(),
        entropy_late=late.mean(),
        choices=choices,
        studied=len(exact),
    )


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
    said = [f"{_quoted(c.text)} {_value(c.early)} → {_value(c.late)}" for c in first.choices]
    summary = f"After {_quoted(first.context)}, early → late: {', '.join(said)}."
    title = "What was chosen at the top forks, early and late"
    return bars("forks", title, summary, drawn, x="context → token", y="share of its places", share=True)


def _quoted(text: str) -> str:
    return f"“{_visible(text[-40:])}”"


def _visible(text: str) -> str:
    """Text whose spaces and ends of lines can be seen, as in the token view."""
    return text.replace(" ", "·").replace("\n", "⏎")


def _value(share: Share) -> str:
    return "–" if share.value is None else f"{share.value:.3f}"


def _table(found: list[Fork]) -> Table:
    columns = [
        "after", "places", "entropy early (nats)", "entropy late (nats)", "token",
        "early", "early, from", "early, to", "late", "late, from", "late, to",
        "exact before", "exact after", "studied tokens",
    ]  # fmt: skip
    rows: list[list[Cell]] = [
        [
            *(_visible(fork.context), fork.count, fork.entropy_early, fork.entropy_late, _visible(choice.text)),
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
