"""Values of prefixes by sampling on from them, with an engine that writes what it is told."""

from dataclasses import replace

from rlvr.collect import Collector
from rlvr.config import BranchesConfig, ModsumConfig, PromptConfig, RewardConfig, TokenizerConfig
from rlvr.models.tokenizer import build_tokenizer, make_codec
from rlvr.rewards import RewardSum, Scorer
from rlvr.stages.branches import with_branch_values
from rlvr.tasks import make_task
from rlvr.types import Completion, Problem, Sampling, StopReason

TASK = make_task(ModsumConfig(name="modsum", length=6), seed=0)
CODEC = make_codec(build_tokenizer(TokenizerConfig(), ["0 1 ="], max_length=64), PromptConfig())
PROBLEM = Problem(task="modsum", split="train", index=7, question="1 0 1 1 0 0 =", answer="1")
CHAIN = "<think> 1 1 0 1 1 1 </think> 1"


class Parrot:
    """An engine that ends any prefix with an answer: the right one for even numbers of seeds, a wrong one else."""

    def __init__(self):
        self.requests, self.budgets = [], []

    def generate(self, requests, sampling, finished):
        self.requests += requests
        self.budgets += [sampling.max_new_tokens - request.begun for request in requests]
        for index, request in enumerate(requests):
            finished(index, [self.complete(request, n) for n, _ in enumerate(request.seeds)])

    def complete(self, request, number):
        [ids] = CODEC.responses_ids(["</think> 1" if number % 2 == 0 else "</think> 0"])
        ids = [*ids, CODEC.stop_ids[0]]
        return Completion(
            prompt_ids=request.prompt_ids, token_ids=ids, logprobs=[-0.5] * len(ids), stop_reason=StopReason.STOP
        )


def estimated(samples=4, every=4):
    """The engine, the rollout of a chain with its advantage parted, and what it took."""
    engine = Parrot()
    reward = RewardConfig.model_validate({"exact": 1.0})
    collector = Collector(
        task=TASK, scorer=Scorer(reward), reward=RewardSum(reward), engine=engine, codec=CODEC,
        sampling=Sampling(max_new_tokens=16), batch_size=64, max_positions=None, seed=3,
    )  # fmt: skip
    [ids] = CODEC.responses_ids([CHAIN])
    completion = Completion(
        prompt_ids=[1, 6], token_ids=[*ids, CODEC.stop_ids[0]], logprobs=[-0.1] * (len(ids) + 1),
        stop_reason=StopReason.STOP,
    )  # fmt: skip
    [[rollout]] = collector.score([PROBLEM], [[collector.submit(PROBLEM, completion)]], step=5)
    assert rollout.reward == 1.0
    rollout = replace(rollout, advantages=[0.75] * rollout.length)
    [[found]], row = with_branch_values(collector, [[rollout]], BranchesConfig(every=every, samples=samples), step=5)
    return engine, found, row


def test_advantages_are_differences_of_the_shares_of_right_branches():
    """Ten tokens: the prefix of 4 is worth 0.5; that of 8 has ended its thought, so that a branch ends it twice and is worth
    0. The baseline is 0.25 and the reward 1."""
    _, rollout, _ = estimated()
    assert rollout.length == 10
    assert rollout.advantages == [0.25] * 4 + [-0.5] * 4 + [1.0] * 2


def test_branches_go_on_from_prefixes_with_what_is_left_of_the_budget():
    engine, rollout, _ = estimated()
    assert [len(request.prompt_ids) for request in engine.requests] == [2 + 4, 2 + 8]
    assert engine.requests[0].prompt_ids == [1, 6, *rollout.completion.token_ids[:4]]
    assert engine.budgets == [12, 8]
    assert [request.begun for request in engine.requests] == [4, 8]  # a stop string may begin in the prefix


def test_branches_have_seeds_of_their_own():
    engine, _, _ = estimated()
    seeds = [seed for request in engine.requests for seed in request.seeds]
    assert len(set(seeds)) == len(seeds) == 8


def test_what_branches_cost_is_counted():
    assert estimated(samples=4)[2]["tokens/branches"] == 2 * 4 * 3
