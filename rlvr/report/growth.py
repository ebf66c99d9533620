"""How fast the odds of each mode grow, and how fast they should: fitted and predicted slopes of the log-odds. No torch.

Of a mode with probability p the odds are p / (1 − p), and the log-odds are their logarithm. Where odds double in every step,
log-odds are a straight line of slope ln 2: 1 % becomes 2, then 4, then 8.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from statistics import fmean

from rlvr.report.blocks import Block, Cell, Prose, Section, Table, without_empty_columns
from rlvr.report.fits import FEWEST, Fit, log_odds, logistic
from rlvr.report.plots import Line, lines
from rlvr.report.runs import Run
from rlvr.report.series import Column, Modes
from rlvr.report.wording import number
from rlvr.statistics import t_interval, wilson

BETWEEN = (0.01, 0.99)
"""Steps count for a fit while p, the mean over them and their neighbours, lies between: nearer to the ends there are too few of a mode, or of the rest.

By each step's own p those that are low by chance would be left out and those that are high kept, which bends the line.
"""

NEIGHBOURS = 5
"""Steps on either side of one over which its p is averaged for that."""

HIGHEST = 7.0
"""Log-odds up to which a line is drawn: 1,100 to 1."""

PICTURES = 3
"""Modes whose growth is drawn; the table has all."""

SOURCE = "Tsilivis, Malach, Ullrich and Kempe, arXiv:2510.11495"


@dataclass(frozen=True, kw_only=True)
class Law:
    """What was to be expected of a mode. sentence: in words. path: log-odds at each fitted step; empty where none follow.

    slope, low, high: what is predicted without any fit, where the law says so. rate: of the law's one constant that is fitted.
    """

    sentence: str
    path: Sequence[float] = ()
    slope: float | None = None
    low: float | None = None
    high: float | None = None
    rate: Fit | None = None


@dataclass(frozen=True, kw_only=True)
class Growth:
    """How a mode's log-odds went. steps: those that are fitted. fit: over them; None without enough."""

    mode: str
    steps: list[float]
    fit: Fit | None
    law: Law


def growth(run: Run, modes: Modes) -> Section | None:
    """The log-odds of the run's modes by step, with fitted and predicted growth; None for a run without modes."""
    if not modes.shares:
        return None
    section = Section(name="growth", title="Growth of the modes' odds")
    if len(modes.shares) == 1:
        text = "Every rollout was of the mode {}, so there are no odds between modes to look at."
        section.blocks.append(Prose(text=text.format(next(iter(modes.shares)))))
        return section
    counts = _counts(run, modes)
    found = grown(run, modes, counts)
    known = [each for each in found if each.fit is not None]
    if not known:
        low, high = BETWEEN
        text = (
            f"No growth can be fitted: no mode had a probability between {low} and {high} in {FEWEST} steps or more, which is what "
            "a slope and its interval need."
        )
        section.blocks.append(Prose(text=text))
    for place, each in enumerate(known[:PICTURES], 1):
        section.blocks.extend(_picture(each, _measured(modes, each.mode, counts), place))
    if known:
        section.blocks.append(_table(known, [each.mode for each in found if each.fit is None]))
    return section


def grown(run: Run, modes: Modes, counts: Column) -> list[Growth]:
    """Each mode's growth, the most frequent first. Of two modes only the one that gained: the other's log-odds are minus its.

    counts: rollouts of each row.
    """
    names = list(modes.shares)
    if len(names) == 2:
        names.sort(key=lambda mode: _gain(modes.shares[mode]), reverse=True)
        names = names[:1]
    worth = {what: modes.pooled(list(modes.shares), what) for what in ("accuracy", "advantage")}
    return [_growth(run, modes, mode, counts, worth) for mode in names]


def _gain(shares: Column) -> float:
    known = [share for share in shares if share is not None]
    half = max(1, len(known) // 2)
    return sum(known[-half:]) / half - sum(known[:half]) / half


def _counts(run: Run, modes: Modes) -> Column:
    """Rollouts of each step; as the configuration says where the rows do not tell."""
    sizes = [run.setting("rollout", key) for key in ("group_size", "problems_per_step")]
    known = [size for size in sizes if isinstance(size, int)]
    asked = math.prod(known) if len(known) == 2 else None
    return [asked if count is None else count for count in modes.series.rollouts]


def _growth(run: Run, modes: Modes, mode: str, counts: Column, worth: dict[str, Column]) -> Growth:
    low, high = BETWEEN
    shares, steps = modes.shares[mode], modes.series.steps
    places = [place for place, p in enumerate(_averaged(shares)) if p is not None and low < p < high and counts[place]]
    chosen, sizes = [shares[place] or 0.0 for place in places], [counts[place] or 0.0 for place in places]
    fit = logistic([steps[place] for place in places], chosen, sizes)
    if fit is None:
        return Growth(mode=mode, steps=[], fit=None, law=Law(sentence=""))
    facts = _Facts(
        modes=modes, mode=mode, places=places, shares=chosen, sizes=sizes, counts=counts, fit=fit, worth=worth
    )
    return Growth(mode=mode, steps=facts.steps, fit=fit, law=_law(run, facts))


def _averaged(shares: Column) -> Column:
    """Each with its neighbours, where it is known."""
    near = [shares[max(0, place - NEIGHBOURS) : place + NEIGHBOURS + 1] for place in range(len(shares))]
    means = (
        fmean(each for each in some if each is not None) if share is not None else None
        for share, some in zip(shares, near, strict=True)
    )
    return list(means)


# ------------------------------------------------------------------------------------------------ laws


@dataclass(frozen=True, kw_only=True)
class _Facts:
    """What a law is told of a mode: the fitted rows, its shares and all rollouts there, the fit, and the means over all modes.

    counts: rollouts of every row.
    """

    modes: Modes
    mode: str
    places: list[int]
    shares: list[float]
    sizes: list[float]
    counts: Column
    fit: Fit
    worth: dict[str, Column]

    @property
    def steps(self) -> list[float]:
        """Of the fitted rows."""
        return [self.modes.series.steps[place] for place in self.places]

    def pair(self, place: int, what: str) -> tuple[float, float] | None:
        """Of the mode and of the rest together: the mean of something over their rollouts in a row."""
        own, whole = self.modes.of(self.mode, what)[place], self.worth[what][place]
        share = self.modes.shares[self.mode][place]
        if own is None or whole is None or share is None or not 0 < share < 1:
            return None
        return own, (whole - share * own) / (1 - share)


def _law(run: Run, facts: _Facts) -> Law:
    """What the run's algorithm should do to a mode's odds."""
    advantage = run.setting("algo", "advantage")
    if advantage == "positive":
        return imitation(facts)
    if advantage == "teacher":
        return Law(sentence="Nothing is predicted: what learns from a teacher's probabilities looks at no reward.")
    return gradient(facts, str(run.setting("train", "optimizer") or "adamw"))


def imitation(facts: _Facts) -> Law:
    """Keep what is right and imitate it (STaR, RAFT): odds' = odds · a_mode / a_rest, so the slope is ln(a_mode / a_rest).

    Of what is kept the mode has the share p a_mode / (p a_mode + (1 − p) a_rest), and a model that imitates it completely answers so
    (arXiv:2510.11495). a is the mean reward that is imitated, where it is positive, or the accuracy if that was not recorded; with rewards
    of 0 and 1 that is the share that is kept. Both are pooled over the fitted steps. The interval of the logarithm of their ratio is put
    together from their Wilson intervals (Zou and Donner, Statistics in Medicine 27, 2008): exact for rewards of 0
    and 1, too wide for those between, none for higher ones.
    """
    what = "advantage" if facts.modes.of(facts.mode, "advantage") != [None] * len(facts.counts) else "accuracy"
    own = rest = own_count = rest_count = 0.0
    for place in facts.places:
        pair, share, count = facts.pair(place, what), facts.modes.shares[facts.mode][place], facts.counts[place]
        if pair is None or share is None or count is None:
            continue
        own, own_count = own + pair[0] * share * count, own_count + share * count
        rest, rest_count = rest + pair[1] * (1 - share) * count, rest_count + (1 - share) * count
    if not own_count or own <= 0 or rest <= 1e-9 * rest_count:
        who = facts.mode if own <= 0 else "the rest"
        return Law(sentence=f"Nothing can be predicted: in those steps no answer of {who} was rewarded.")
    a_mode, a_rest = own / own_count, rest / rest_count
    slope = math.log(a_mode / a_rest)
    low, high = _ratio_interval(a_mode, own_count, a_rest, rest_count)
    return Law(
        sentence=_imitation_told(facts, a_mode, a_rest, slope, low, high),
        path=[facts.fit.base + facts.fit.slope * facts.steps[0] + slope * (at - facts.steps[0]) for at in facts.steps],
        slope=slope,
        low=low,
        high=high,
    )


def _ratio_interval(first: float, count: float, second: float, others: float) -> tuple[float | None, float | None]:
    """The 95 % interval of ln(first / second), two shares of so many trials (Zou and Donner 2008, as ``imitation`` says)."""
    if first > 1 + 1e-9 or second > 1 + 1e-9:
        return None, None
    first, second = min(first, 1.0), min(second, 1.0)
    (a, b), (c, d) = wilson(first, count), wilson(second, others)
    middle = math.log(first / second)
    down = math.hypot(math.log(first / a), math.log(d / second))
    up = math.hypot(math.log(b / first), math.log(second / c))
    return middle - down, middle + up


def _imitation_told(
    facts: _Facts, a_mode: float, a_rest: float, slope: float, low: float | None, high: float | None
) -> str:
    ends = "" if low is None or high is None else f" (95 % {number(low)} to {number(high)})"
    text = (
        f"Predicted, before anything is fitted: a step that keeps what is right and imitates it completely multiplies the odds by how "
        f"often {facts.mode} is right over how often the rest is ({SOURCE}: odds' = odds · a_mode / a_rest). Over those steps mean rewards were "
        f"{number(a_mode)} and {number(a_rest)}, which is a slope of "
        f"ln({number(a_mode)} / {number(a_rest)}) = {number(slope)} a step{ends}{', ' + _pace(slope) if slope else ''}."
    )
    if low is not None and high is not None and low <= 0 <= high:
        return f"{text} The two cannot be told apart, so neither direction is predicted."
    if low is not None and high is not None and facts.fit.low <= high and facts.fit.high >= low:
        return f"{text} The fitted slope agrees with it."
    return (
        f"{text} The fitted slope is {100 * facts.fit.slope / slope:.0f} % of it: a step of gradients is no complete imitation, and "
        "how far it goes depends on the learning rate."
    )


def gradient(facts: _Facts, optimizer: str) -> Law:
    """Policy gradients: log-odds move in the direction of ΔA, the mean advantage of the mode minus that of the rest.

    For two answers with p = sigmoid(θ), the expected gradient of the reward is p (1 − p) ΔA (Sutton and Barto, "Reinforcement
    Learning", 2018, section 2.8, has it for any number of answers), so that plain SGD moves θ by that (the replicator equation
    has ΔA alone); Adam and Muon normalise a gradient's size, and θ moves nearly evenly as long as its sign stays. So the law's
    drive D is p (1 − p) ΔA for SGD and ΔA for the others, both times the learning rate over its mean, and log-odds at step t are
    base + rate · Σ D over the steps from the first that is fitted to the one before t. How large the rate is depends on the
    model, and is fitted, so that direction and shape are predicted and the size is not. A step without ΔA adds what the one before did.
    """
    first, last = facts.places[0], facts.places[-1]
    rates = facts.modes.series.column("train/learning_rate")
    known_rates = [rate for rate in rates[first : last + 1] if rate]
    mean_rate = sum(known_rates) / len(known_rates) if known_rates else 1.0
    drives, differences, drive = [], [], 0.0
    for place in range(first, last + 1):
        pair, share = facts.pair(place, "advantage"), facts.modes.shares[facts.mode][place]
        if pair is not None and share is not None:
            differences.append(pair[0] - pair[1])
            drive = differences[-1] * (share * (1 - share) if optimizer == "sgd" else 1.0)
        drives.append(drive * (rates[place] or mean_rate) / mean_rate)
    if not differences:
        return Law(sentence="Nothing can be predicted: no step recorded the advantages of the mode and of the rest.")
    difference = t_interval(differences)
    told = f"{facts.mode}'s advantage over the rest was {number(difference.mean)} on average over those steps"
    if difference.low is None or difference.high is None or difference.low <= 0 <= difference.high:
        return Law(sentence=f"Neither direction is predicted: {told}, which cannot be told from 0.")
    before = [0.0, *accumulate(drives)]
    summed = [before[place - first] for place in facts.places]
    rate = logistic(summed, facts.shares, facts.sizes)
    path = [] if rate is None else [rate.base + rate.slope * each for each in summed]
    sentence = _gradient_told(facts, optimizer, told, difference.mean, rate)
    return Law(sentence=sentence, path=path, rate=rate)


def _gradient_told(facts: _Facts, optimizer: str, told: str, difference: float, rate: Fit | None) -> str:
    sign = 1 if difference > 0 else -1
    moved = 0 if facts.fit.low <= 0 <= facts.fit.high else (1 if facts.fit.slope > 0 else -1)
    outcome = {sign: "and they did", -sign: "but they did the opposite", 0: "but no slope can be told from 0"}[moved]
    text = f"Predicted is the direction: {told} (95 % interval without 0), so its odds should {'rise' if sign > 0 else 'fall'}, {outcome}."
    if rate is None:
        return text
    drive = "p (1 − p) times that difference" if optimizer == "sgd" else "that difference"
    return (
        f"{text} Predicted is the shape too: with {optimizer} each step should move the log-odds in proportion to {drive} (and the learning rate). "
        f"The factor is fitted, not predicted: {number(rate.slope)} (95 % {number(rate.low)} to {number(rate.high)}), with which the law explains "
        f"{_percent(rate.r2)} of the variance of the log-odds."
    )


def _percent(share: float | None) -> str:
    return "nothing" if share is None else f"{100 * share:.1f} %"


# ------------------------------------------------------------------------------------------------ what is shown


def _measured(modes: Modes, mode: str, counts: Column) -> Line:
    """Log-odds at all steps with some of the mode and some of the rest; the ends of intervals are those of the share's."""
    shares, steps = modes.shares[mode], modes.series.steps
    inside = [place for place, p in enumerate(shares) if p is not None and 0 < p < 1]
    low: list[float | None] = []
    high: list[float | None] = []
    for place in inside:
        ends = wilson(shares[place] or 0, counts[place] or 0)
        known = ends[0] > 0 and ends[1] < 1
        low.append(log_odds(ends[0]) if known else None)
        high.append(log_odds(ends[1]) if known else None)
    values = [log_odds(shares[place] or 0) for place in inside]
    return Line(name="measured", x=[steps[place] for place in inside], values=values, low=low, high=high)


def _picture(each: Growth, measured: Line, place: int) -> list[Block]:
    """A chart of one mode, and what was fitted and predicted in words."""
    assert each.fit is not None
    straight = _within([each.fit.base + each.fit.slope * at for at in each.steps])
    drawn = [measured, Line(name="fitted line", x=each.steps, values=straight, computed=True)]
    if each.law.path:
        label = "predicted" if each.law.rate is None else "predicted shape, fitted size"
        drawn.append(Line(name=label, x=each.steps, values=_within(each.law.path), computed=True))
    text = _fit_told(each.mode, each.fit)
    chart = lines(f"growth-{place}", f"Log-odds of {each.mode}, with 95 % intervals", text, drawn, y="ln(p / (1 − p))")
    return [chart, Prose(text=each.law.sentence)]


def _within(path: Sequence[float]) -> list[float | None]:
    """Log-odds without those that no step's rollouts could show."""
    return [value if abs(value) <= HIGHEST else None for value in path]


def _fit_told(mode: str, fit: Fit) -> str:
    told = not fit.low <= 0 <= fit.high
    size, ends = (abs(fit.slope), sorted((abs(fit.low), abs(fit.high)))) if told else (fit.slope, [fit.low, fit.high])
    text = (
        f"The log-odds of {mode} {('rose' if fit.slope > 0 else 'fell') if told else 'changed'} by {number(size)} a step (95 % "
        f"{number(ends[0])} to {number(ends[1])}), fitted to the {fit.count} steps around which {BETWEEN[0]} < p < {BETWEEN[1]}; a straight line explains "
        f"{_percent(fit.r2)} of their variance"
    )
    return f"{text}: {_doubled(fit)}." if told else f"{text}. The slope cannot be told from 0."


def _doubled(fit: Fit) -> str:
    """For a slope whose interval is without 0."""
    ends = sorted(math.log(2) / abs(end) for end in (fit.low, fit.high))
    return f"{_pace(fit.slope)} ({number(ends[0])} to {number(ends[1])})"


def _pace(slope: float) -> str:
    """
    >>> _pace(math.log(2)), _pace(-math.log(2) / 3)
    ('the odds double every step', 'the odds halve every 3 steps')
    """
    steps = number(math.log(2) / abs(slope))
    return f"the odds {'double' if slope > 0 else 'halve'} every {'step' if steps == '1' else f'{steps} steps'}"


def _table(known: Sequence[Growth], without: Sequence[str]) -> Table:
    """Every fit, and what was predicted. Where odds fall, the times are those in which they halve, below 0."""
    columns = ["mode", "steps fitted", "slope", "from", "to", "R²", "odds double in (steps)", "predicted slope"]
    columns += ["predicted from", "predicted to", "predicted doubling (steps)", "R² of the predicted shape"]
    rows: list[list[Cell]] = []
    for each in known:
        assert each.fit is not None
        told = each.fit.low > 0 or each.fit.high < 0
        rate, predicted = each.law.rate, each.law.slope
        rows.append(
            [
                *(each.mode, each.fit.count, each.fit.slope, each.fit.low, each.fit.high, each.fit.r2),
                math.log(2) / each.fit.slope if told else None,
                *(predicted, each.law.low, each.law.high, math.log(2) / predicted if predicted else None),
                None if rate is None else rate.r2,
            ]
        )
    caption = (
        "Logistic regressions of the rollouts on their step; steps are taken as independent, and intervals are wider where these stray further than chance. "
        "Slopes are per step, with 95 % intervals; a time below 0 is the one in which odds halve."
    )
    if without:
        few = f"{', '.join(without[:PICTURES])}{' and more' if len(without) > PICTURES else ''}"
        caption += f" Too few steps to fit: {len(without)} modes ({few})."
    return without_empty_columns(Table(columns=columns, rows=rows, caption=caption))
