"""What prefixes of a rollout are worth, by sampling on from them."""

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean

from rlvr.algo.credit import of_branches
from rlvr.collect import Collector, Written
from rlvr.config import BranchesConfig
from rlvr.runtime.seeding import derive
from rlvr.types import Completion, Group, Metrics, Request, Rollout


def with_branch_values(
    collector: Collector, groups: Sequence[Group], branches: BranchesConfig, *, step: int
) -> tuple[list[Group], Metrics]:
    """The groups with each rollout's advantage parted among its tokens, and what the branches took.

    From the prefix of every ``branches.every`` tokens ``branches.samples`` completions are sampled and scored; the mean of
    their rewards is its value. A branch may write as many tokens as its rollout had left there.
    """
    begin = time.perf_counter()
    rollouts = [(j, rollout) for group in groups for j, rollout in enumerate(group)]
    values: list[dict[int, float]] = [{} for _ in rollouts]
    waiting: dict[int, list[int]] = defaultdict(list)  # by length of the prefix, the numbers of rollouts
    for number, (_, rollout) in enumerate(rollouts):
        for cut in range(branches.every, rollout.length, branches.every):
            waiting[cut].append(number)
    tokens = 0
    for cut, numbers in sorted(waiting.items()):
        chosen = [rollouts[number] for number in numbers]
        written = _sample(collector, chosen, cut, branches.samples, step)
        for number, (j, rollout), group in zip(numbers, chosen, written, strict=True):
            tokens += sum(len(each.completion.token_ids) - cut for each in group)
            [scored] = collector.score([rollout.problem], [group], step=derive(step, "branch", j, cut))
            values[number][cut] = fmean(branch.reward for branch in scored)
    parted = iter(of_branches(rollout, found) for (_, rollout), found in zip(rollouts, values, strict=True))
    row: Metrics = {"tokens/branches": tokens, "time/branches_seconds": time.perf_counter() - begin}
    return [[next(parted) for _ in group] for group in groups], row


def _sample(
    collector: Collector, rollouts: Sequence[tuple[int, Rollout]], cut: int, samples: int, step: int
) -> list[list[Written]]:
    """For each (number in its group, rollout) the completions that go on from its first ``cut`` tokens, prefix included,
    being scored."""
    sampling = collector.sampling
    sampling = replace(
        sampling,
        max_new_tokens=sampling.max_new_tokens - cut,
        min_new_tokens=max(0, sampling.min_new_tokens - cut),
    )
    requests = []
    for j, rollout in rollouts:
        prefix = rollout.completion.prompt_ids + rollout.completion.token_ids[:cut]
        names = (collector.seed, "branch", step, rollout.problem.index, j, cut)
        seeds = [derive(*names, sample) for sample in range(samples)]
        requests.append(Request(prompt_ids=prefix, seeds=seeds, begun=cut))
    written: list[list[Written]] = [[] for _ in rollouts]

    def finished(index: int, branches: Sequence[Completion]) -> None:
        rollout = rollouts[index][1]
        joined = [_joined(rollout.completion, cut, branch) for branch in branches]
        written[index] = [collector.submit(rollout.problem, completion) for completion in joined]

    collector.engine.generate(requests, sampling, finished)
    return written


def _joined(start: Completion, cut: int, branch: Completion) -> Completion:
    """The first tokens of a completion with what a branch wrote after them."""
    return Completion(
        prompt_ids=start.prompt_ids,
        token_ids=start.token_ids[:cut] + branch.token_ids,
        logprobs=start.logprobs[:cut] + branch.logprobs,
        stop_reason=branch.stop_reason,
    )
