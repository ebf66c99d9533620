"""Which tokens of a step's rollouts are trained."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from rlvr.config import EntropyMaskConfig
from rlvr.runtime.seeding import derive
from rlvr.types import Group


def by_entropy(groups: Sequence[Group], mask: EntropyMaskConfig, *, seed: int, step: int) -> list[Group]:
    """The groups with a share of those tokens trained that were to be: the most uncertain, the least, or any.

    Entropies are the sampling policy's, and the share is of all tokens of the step together
    (arXiv:2506.01939, section 4.1: the top 20 % of the batch). Ties go to the token that comes first.
    """
    rollouts = [rollout for group in groups for rollout in group]
    entropies = np.array([value for each in rollouts for value in _entropies(each.completion.entropies)])
    before = np.array([keep for each in rollouts for keep in each.trained or [True] * each.length])
    count = max(1, round(mask.share * int(before.sum())))
    if mask.random is not None:
        order = np.random.Generator(np.random.Philox(key=derive(seed, "entropy_mask", step))).permutation(
            len(entropies)
        )
    else:
        order = np.argsort(-entropies if mask.top is not None else entropies, kind="stable")
    trained = np.zeros(len(entropies), dtype=bool)
    trained[order[before[order]][:count]] = True
    parts = iter(np.split(trained, np.cumsum([rollout.length for rollout in rollouts])[:-1]))
    return [[replace(rollout, trained=next(parts).tolist()) for rollout in group] for group in groups]


def _entropies(found: list[float] | None) -> list[float]:
    assert found is not None, "the engine recorded no entropies"
    return found
