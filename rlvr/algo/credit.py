"""Which tokens of a rollout its advantage belongs to."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from rlvr.types import Rollout

Span = tuple[int, int]
"""From the first to before the second, in characters or tokens."""


def of_relevant(rollout: Rollout, tokens: Sequence[Span], relevant: Sequence[Span]) -> Rollout:
    """The rollout with only those tokens trained that overlap what its task says matters.

    tokens: where each token stands in the text, in characters. Tokens without text, such as the end, matter.
    """
    trained = [start == end or any(start < last and first < end for first, last in relevant) for start, end in tokens]
    return replace(rollout, trained=trained)


def of_branches(rollout: Rollout, values: Mapping[int, float]) -> Rollout:
    """The rollout's advantage R - b parted among its tokens by the values of prefixes (VinePPO, arXiv:2410.01679, section 4).

    values: the mean reward from a prefix of so many tokens on. Tokens between two prefixes have the later value minus the
    earlier; before the first there is the baseline b, after the last the reward R. Over these pieces it sums to R - b.
    With R = 1, b = 0.5 and values {2: 0.25, 3: 0.75}, four tokens have -0.25, -0.25, 0.5 and 0.25.
    """
    assert rollout.advantage is not None
    reward = rollout.shaped_reward
    cuts = sorted(cut for cut in values if cut < rollout.length)
    worth = [reward - rollout.advantage, *(values[cut] for cut in cuts), reward]
    ends = [*cuts, rollout.length]
    advantages: list[float] = []
    for end, before, after in zip(ends, worth[:-1], worth[1:], strict=True):
        advantages += [after - before] * (end - len(advantages))
    return replace(rollout, advantages=advantages)


def overlong_penalty(length: int, *, longest: int, buffer: int) -> float:
    """0 up to ``longest - buffer`` tokens, then falling linearly to -1 at ``longest`` (DAPO, arXiv:2503.14476, equation 13).

    >>> [overlong_penalty(length, longest=10, buffer=4) for length in (6, 7, 10)]
    [0.0, -0.25, -1.0]
    """
    over = length - (longest - buffer)
    return -min(1.0, over / buffer) if over > 0 else 0.0
