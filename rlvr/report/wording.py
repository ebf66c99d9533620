"""Numbers in sentences and cells: shares with their intervals, large counts, and what an interval allows to say."""

from __future__ import annotations

from rlvr.statistics import Estimate

Interval = tuple[float, float, float]
"""A value and the ends of its 95 % interval."""


def shown(interval: Interval) -> str:
    """A value with its interval.

    >>> shown((0.5, 0.4038, 0.5962))
    '0.500 [0.404, 0.596]'
    """
    value, low, high = interval
    return f"{value:.3f} [{low:.3f}, {high:.3f}]"


def change(found: Estimate) -> str:
    """A difference with its sign and interval.

    >>> change(Estimate(mean=0.25, low=0.122, high=0.367, p=None))
    '+0.250 [+0.122, +0.367]'
    """
    if found.low is None or found.high is None:
        return f"{found.mean:+.3f}"
    return f"{found.mean:+.3f} [{found.low:+.3f}, {found.high:+.3f}]"


def went(before: Interval, after: Interval, found: Estimate) -> str:
    """How something went, as far as the interval of its difference allows to say.

    >>> went((0.5, 0.4, 0.6), (0.55, 0.45, 0.65), Estimate(mean=0.05, low=-0.09, high=0.19, p=None))
    'did not change measurably (0.500 [0.400, 0.600], then 0.550 [0.450, 0.650]; difference +0.050 [-0.090, +0.190])'
    """
    difference = f"difference {change(found)}"
    if found.low is not None and found.high is not None and (found.low > 0 or found.high < 0):
        return f"{'rose' if found.low > 0 else 'fell'} from {shown(before)} to {shown(after)} ({difference})"
    return f"did not change measurably ({shown(before)}, then {shown(after)}; {difference})"


def number(value: float) -> str:
    """A measured number in a sentence: three digits that matter, or all before the point.

    >>> number(0.05432), number(12345.6), number(1.0), number(-0.0)
    ('0.0543', '12,346', '1', '0')
    """
    return f"{value:,.0f}" if abs(value) >= 999.5 else f"{value + 0.0:.3g}"


def amount(number: float) -> str:
    """A count as it is read.

    >>> [amount(number) for number in (999, 20480, 1234567, 2.5e9, 3.1e13)]
    ['999', '20,480', '1.23 million', '2.5 billion', '3.1 × 10^13']
    """
    if number < 1e6:
        return f"{number:,.0f}"
    number = float(f"{number:.3g}")  # first, since 999.9 million are a billion
    for size, word in ((1e9, "million"), (1e12, "billion")):
        if number < size:
            return f"{number / size * 1e3:.3g} {word}"
    mantissa, power = f"{number:.1e}".split("e")
    return f"{mantissa} × 10^{int(power)}"


def counted(number: int, noun: str) -> str:
    """A count and its noun.

    >>> counted(1, "step"), counted(1200, "step")
    ('1 step', '1,200 steps')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
