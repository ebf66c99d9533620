"""What prefixes of a rollout are worth, by sampling on from them."""

import time
from collections.abc import Sequence
from statistics import fmean

from rlvr.algo.credit import of_branches
from rlvr.collect import Collector, Prefix
from rlvr.config import BranchesConfig
from rlvr.runtime.seeding import derive
from rlvr.types import Group, Metrics


def with_branch_values(
    collector: Collector, groups: Sequence[Group], branches: BranchesConfig, *, step: int
) -> tuple[list[Group], Metrics]:
    """The groups with each rollout's advantage parted among its tokens, and what the branches took.

    From the prefix of every ``branches.every`` tokens ``branches.samples`` completions are sampled and scored; the mean of
    their rewards is its value. A branch may write as many tokens as its rollout had left there.
    """
    begin = time.perf_counter()
    rollouts = [(j, rollout) for group in groups for j, rollout in enumerate(group)]
    places: list[tuple[int, int]] = []  # of each prefix the number of its rollout, and the rollout's in its group
    prefixes: list[Prefix] = []
    for number, (j, rollout) in enumerate(rollouts):
        for cut in range(branches.every, rollout.length, branches.every):
            names = (collector.seed, "branch", step, rollout.problem.index, j, cut)
            seeds = [derive(*names, sample) for sample in range(branches.samples)]
            places.append((number, j))
            prefixes.append(Prefix(rollout=rollout, cut=cut, seeds=seeds))
    values: list[dict[int, float]] = [{} for _ in rollouts]
    tokens = 0
    for (number, j), prefix, written in zip(places, prefixes, collector.go_on(prefixes), strict=True):
        tokens += sum(len(each.completion.token_ids) - prefix.cut for each in written)
        noise = derive(step, "branch", j, prefix.cut)
        [scored] = collector.score([prefix.rollout.problem], [written], step=noise)
        values[number][prefix.cut] = fmean(branch.reward for branch in scored)
    parted = iter(of_branches(rollout, found) for (_, rollout), found in zip(rollouts, values, strict=True))
    row: Metrics = {"tokens/branches": tokens, "time/branches_seconds": time.perf_counter() - begin}
    return [[next(parted) for _ in group] for group in groups], row
