"""Problems in, scored groups of rollouts out, with an engine that writes what it is told."""

from dataclasses import replace

import pytest

from rlvr.collect import Collector, noise_metrics, rollout_metrics, task_metrics, to_json
from rlvr.config import ModsumConfig, PromptConfig, RewardConfig, TokenizerConfig
from rlvr.errors import RlvrError
from rlvr.models.tokenizer import build_tokenizer, make_codec
from rlvr.rewards import RewardSum, Scorer
from rlvr.runtime.seeding import derive
from rlvr.tasks import make_task
from rlvr.types import Completion, Problem, Sampling, StopReason

TASK = make_task(ModsumConfig(name="modsum", length=6), seed=0)
CODEC = make_codec(build_tokenizer(TokenizerConfig(), ["0 1 ="], max_length=64), PromptConfig())
PROBLEM = Problem(task="modsum", split="train", index=7, question="1 0 1 1 0 0 =", answer="1")
OTHER = Problem(task="modsum", split="train", index=8, question="1 0 1 0 0 0 =", answer="0")

RIGHT_DIRECT = "1"
RIGHT_CHAIN = "<think> 1 1 0 1 1 1 </think> 1"
WRONG_CHAIN = "<think> 1 1 0 1 1 0 </think> 0"
CUT_CHAIN = "<think> 1 1"


class Scripted:
    """An engine that writes the same texts for every problem, and remembers what it was asked for.

    Every text ends with a stop token except CUT_CHAIN.
    """

    def __init__(self, *texts):
        self.texts, self.requests, self.sampling = texts, [], None

    def generate(self, requests, sampling, finished):
        self.requests, self.sampling = list(requests), sampling
        for index, request in reversed(list(enumerate(requests))):
            finished(index, [self.complete(request, text) for text, _ in zip(self.texts, request.seeds, strict=False)])

    def complete(self, request, text):
        [ids] = CODEC.responses_ids([text])
        cut = text == CUT_CHAIN
        ids = ids if cut else [*ids, CODEC.stop_ids[0]]
        return Completion(
            prompt_ids=request.prompt_ids,
            token_ids=ids,
            logprobs=[-0.5] * len(ids),
            stop_reason=StopReason.LENGTH if cut else StopReason.STOP,
        )


REWARD = {"exact": 1.0, "format": 0.5}


def collector_of(engine, *, seed=0, reward=REWARD):
    config = RewardConfig.model_validate(reward)
    return Collector(
        task=TASK,
        scorer=Scorer(config),
        reward=RewardSum(config),
        engine=engine,
        codec=CODEC,
        sampling=Sampling(max_new_tokens=16, temperature=0.7, min_new_tokens=1),
        batch_size=64,
        max_positions=None,
        seed=seed,
    )


def collect(*texts, problems=(PROBLEM,)):
    return collector_of(Scripted(*texts)).collect(problems, group_size=len(texts), purpose="rollout", step=1)


def seeds(problems, group_size, *, seed=0, purpose="rollout", step=1):
    """The seeds of each problem's rollouts."""
    engine = Scripted(*["0"] * group_size)
    collector_of(engine, seed=seed).collect(problems, group_size=group_size, purpose=purpose, step=step)
    return [request.seeds for request in engine.requests]


def test_each_rollout_is_scored_by_every_reward():
    [group] = collect(RIGHT_DIRECT, RIGHT_CHAIN, WRONG_CHAIN, CUT_CHAIN)
    assert [rollout.rewards for rollout in group] == [
        {"exact": 1.0, "format": 0.0},
        {"exact": 1.0, "format": 1.0},
        {"exact": 0.0, "format": 1.0},
        {"exact": 0.0, "format": 0.0},
    ]
    assert [rollout.reward for rollout in group] == [1.0, 1.5, 0.5, 0.0]
    assert [rollout.correct for rollout in group] == [True, True, False, False]


def test_a_rollout_knows_its_mode_text_and_prompt():
    [group] = collect(RIGHT_DIRECT, RIGHT_CHAIN)
    assert [rollout.mode for rollout in group] == ["direct", "cot"]
    assert [rollout.text for rollout in group] == [RIGHT_DIRECT, RIGHT_CHAIN]
    assert {rollout.prompt for rollout in group} == {"1 0 1 1 0 0 ="}
    assert group[0].advantage is None


def test_each_problem_is_scored_by_its_own_answer():
    groups = collect("1", "0", problems=[PROBLEM, OTHER])
    assert [[rollout.correct for rollout in group] for group in groups] == [[True, False], [False, True]]
    assert [[rollout.problem.index for rollout in group] for group in groups] == [[7, 7], [8, 8]]


def test_the_engine_is_given_the_prompts_tokens_and_the_sampling():
    engine = Scripted("0")
    collector_of(engine).collect([PROBLEM], group_size=1, purpose="rollout", step=1)
    [request] = engine.requests
    assert CODEC.tokenizer.convert_ids_to_tokens(request.prompt_ids) == ["<bos>", *"101100="]
    assert engine.sampling == Sampling(max_new_tokens=16, temperature=0.7, min_new_tokens=1)


def test_greedy_rollouts_are_groups_of_one_at_temperature_zero():
    engine = Scripted("1", "0")
    groups = collector_of(engine).collect_greedy([PROBLEM, OTHER])
    assert [[rollout.text for rollout in group] for group in groups] == [["1"], ["1"]]
    assert engine.sampling == Sampling(max_new_tokens=16, temperature=0.0, min_new_tokens=1)


def test_the_seed_of_a_rollout_follows_from_seed_purpose_step_problem_and_number():
    assert seeds([PROBLEM], 3) == [[derive(0, "rollout", 1, 7, j) for j in range(3)]]


def test_seeds_do_not_depend_on_the_problems_beside_nor_on_the_size_of_the_group():
    assert seeds([OTHER, PROBLEM], 4)[1][:2] == seeds([PROBLEM], 2)[0]


@pytest.mark.parametrize("change", [{"seed": 1}, {"purpose": "eval"}, {"step": 2}])
def test_seeds_change_with_the_run_the_purpose_and_the_step(change):
    assert not set(seeds([PROBLEM], 4, **change)[0]) & set(seeds([PROBLEM], 4)[0])


def test_the_metrics_of_four_rollouts_by_hand():
    row = rollout_metrics(collect(RIGHT_DIRECT, RIGHT_CHAIN, WRONG_CHAIN, CUT_CHAIN))
    # Lengths with the end token: 2, 10, 10, and 3 without. Three of four think.
    assert row == {
        "reward/exact/no_answer_fraction": 0.25,
        "reward/format/malformed_fraction": 0.5,
        "reward/mean": 0.75,
        "reward/exact": 0.5,
        "reward/format": 0.5,
        "rollout/length_mean": 6.25,
        "rollout/truncated_fraction": 0.25,
        "rollout/zero_variance_fraction": 0.0,
        "tokens/rollout": 25,
        "mode/cot/probability": 0.75,
        "mode/cot/accuracy": pytest.approx(1 / 3),
        "mode/cot/length_mean": pytest.approx(23 / 3),
        "mode/direct/probability": 0.25,
        "mode/direct/accuracy": 1.0,
        "mode/direct/length_mean": 2.0,
    }


def test_the_mean_advantage_of_a_mode():
    [group] = collect(RIGHT_DIRECT, RIGHT_CHAIN, WRONG_CHAIN)
    group = [replace(rollout, advantages=[value]) for rollout, value in zip(group, [0.5, 1.0, -2.0], strict=True)]
    row = rollout_metrics([group])
    assert (row["mode/direct/advantage"], row["mode/cot/advantage"]) == (0.5, -0.5)


def test_a_rollout_as_a_line_of_json():
    [[rollout]] = collect(RIGHT_DIRECT)
    assert to_json(rollout) == {
        "reasons": {"exact": "correct", "format": "malformed"},
        "task": "modsum",
        "split": "train",
        "index": 7,
        "question": "1 0 1 1 0 0 =",
        "answer": "1",
        "metadata": {},
        "prompt": "1 0 1 1 0 0 =",
        "completion": "1",
        "mode": "direct",
        "correct": True,
        "reward": 1.0,
        "oracle": 1.0,
        "rewards": {"exact": 1.0, "format": 0.0},
        "advantage": None,
        "advantages": None,
        "trained": False,
        "stop_reason": "stop",
        "prompt_ids": rollout.completion.prompt_ids,
        "token_ids": rollout.completion.token_ids,
        "logprobs": [-0.5, -0.5],
        "entropies": None,
        "ref_logprobs": None,
    }


def test_a_completion_that_could_run_past_the_models_positions_is_refused():
    # <bos>, six bits and = are 8 tokens; with 16 more, 24 positions are needed.
    enough = replace(collector_of(Scripted(RIGHT_DIRECT)), max_positions=24)
    assert enough.collect([PROBLEM], group_size=1, purpose="eval", step=0)[0][0].correct
    with pytest.raises(
        RlvrError,
        match=r"the prompt of problem 7 of modsum .* has 8 tokens, and the model has 23 positions; got 16; allowed: at most 15",
    ):
        replace(enough, max_positions=23).collect([PROBLEM], group_size=1, purpose="eval", step=0)


class Counting:
    """A scorer that remembers what it was given, and when."""

    def __init__(self, scorer):
        self.scorer, self.given = scorer, []

    def submit(self, attempt):
        self.given.append(attempt.response)
        return self.scorer.submit(attempt)


class Watching(Scripted):
    """An engine that looks, after each request, at how much has been handed over to be scored."""

    def generate(self, requests, sampling, finished):
        self.seen = []

        def told(index, completions):
            finished(index, completions)
            self.seen.append(len(self.scorer.given))

        super().generate(requests, sampling, told)


def test_a_completion_is_scored_while_the_next_are_sampled():
    engine = Watching("1", "0")
    collector = collector_of(engine)
    engine.scorer = Counting(collector.scorer)
    groups = replace(collector, scorer=engine.scorer).collect([PROBLEM, OTHER], group_size=2, purpose="x", step=1)
    assert engine.seen == [2, 4]
    assert [[rollout.correct for rollout in group] for group in groups] == [[True, False], [False, True]]


def test_each_member_of_a_mixture_has_metrics_of_its_own():
    [right] = collect(RIGHT_CHAIN, RIGHT_CHAIN, problems=(replace(PROBLEM, task="a"),))
    [mixed] = collect(RIGHT_DIRECT, WRONG_CHAIN, problems=(replace(PROBLEM, task="b"),))
    row = task_metrics([right, mixed], "mixture")
    assert (row["task/a/accuracy"], row["task/b/accuracy"]) == (1.0, 0.5)
    assert (row["task/a/reward/exact"], row["task/b/reward/exact"]) == (1.0, 0.5)
    assert (row["task/a/rollout/zero_variance_fraction"], row["task/b/rollout/zero_variance_fraction"]) == (1.0, 0.0)
    assert row["task/b/mode/cot/probability"] == 0.5


def test_a_task_alone_has_no_metrics_of_members():
    assert task_metrics(collect(RIGHT_CHAIN), "modsum") == {}


def test_the_rates_of_noise_leave_abstentions_out():
    """Two right, one of them refused; two wrong, one of them paid; one that abstains, whom noise never touches."""
    [group] = collect(RIGHT_DIRECT, RIGHT_DIRECT, WRONG_CHAIN, WRONG_CHAIN, WRONG_CHAIN)
    right, refused, wrong, paid, unsure = group
    refused, paid = replace(refused, reward=0.0), replace(paid, reward=1.5)
    unsure = replace(unsure, reasons={"exact": "abstained", "format": "correct"})
    row = noise_metrics([[right, refused, wrong, paid, unsure]])
    assert (row["noise/fp"], row["noise/fn"], row["noise/youden"]) == (0.5, 0.5, 0.0)
