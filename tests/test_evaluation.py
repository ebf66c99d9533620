"""What a model can do, with its uncertainty, by hand."""

import json
import math
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from rlvr.collect import Collector
from rlvr.config import ModelConfig, ProblemsConfig, PromptConfig, RewardConfig, RlConfig, TokenizerConfig
from rlvr.evaluation import HeldOut, accuracy_metrics, document_metrics, evaluate, scheduled, with_perplexity
from rlvr.models.scratch import build_model
from rlvr.models.tokenizer import build_tokenizer, make_codec
from rlvr.rewards import RewardSum, Scorer
from rlvr.statistics import wilson
from rlvr.tasks import make_task
from rlvr.types import Completion, Document, Problem, Rollout, Sampling, StopReason

CODEC = make_codec(build_tokenizer(TokenizerConfig(), ["0 1 2 3 4 ="], max_length=64), PromptConfig())


def rollout(correct, *, mode="direct", length=2, stop=StopReason.STOP):
    return Rollout(
        problem=Problem(task="modsum", split="test", index=0, question="", answer=""),
        prompt="",
        completion=Completion(prompt_ids=[1], token_ids=[5] * length, logprobs=[0.0] * length, stop_reason=stop),
        text="",
        mode=mode,
        rewards={"exact": float(correct)},
        reasons={"exact": "correct" if correct else "wrong"},
        reward=2.0 * correct,
        oracle=2.0 * correct,
        correct=correct,
    )


# Two problems: one of two samples right, both right. The greedy answers: wrong, right.
SAMPLED = [
    [rollout(True, mode="cot", length=6), rollout(False, stop=StopReason.LENGTH)],
    [rollout(True, mode="cot", length=6), rollout(True)],
]
GREEDY = [[rollout(False)], [rollout(True, mode="cot")]]


def measured(name, sampled=SAMPLED, greedy=GREEDY):
    return accuracy_metrics("modsum", sampled, greedy)[f"eval/modsum/{name}"]


def test_accuracy_is_the_share_of_right_samples():
    assert measured("accuracy") == 0.75
    assert measured("greedy_accuracy") == 0.5


def test_its_interval_counts_samples_by_their_design_effect():
    # Residuals ±0.5, so the mean's variance is 0.5 / 16 · 2 = 1/16, and 0.75 · 0.25 / (1/16) = 3 trials.
    assert (measured("accuracy_low"), measured("accuracy_high")) == pytest.approx(wilson(0.75, 3))
    assert (measured("greedy_accuracy_low"), measured("greedy_accuracy_high")) == pytest.approx(wilson(0.5, 2))


def test_pass_at_k_is_for_powers_of_two_up_to_the_samples():
    row = accuracy_metrics("modsum", SAMPLED, GREEDY)
    assert {name: value for name, value in row.items() if "pass@" in name and "_" not in name} == {
        "eval/modsum/pass@1": 0.75,
        "eval/modsum/pass@2": 1.0,
    }


def test_counts_rewards_lengths_and_truncation():
    assert (measured("problems"), measured("samples")) == (2, 2)
    assert measured("reward_mean") == 1.5
    assert measured("length_mean") == 4.0
    assert measured("truncated_fraction") == 0.25


def test_each_mode_has_its_probability_and_accuracy():
    assert (measured("mode/cot/probability"), measured("mode/cot/accuracy")) == (0.5, 1.0)
    assert (measured("mode/direct/probability"), measured("mode/direct/accuracy")) == (0.5, 0.5)
    assert measured("mode/cot/greedy_probability") == 0.5


def test_a_mode_that_only_greedy_answers_take_is_not_lost():
    row = accuracy_metrics("modsum", [[rollout(True)]], [[rollout(True, mode="cot")]])
    assert row["eval/modsum/mode/cot/greedy_probability"] == 1.0


class Echo:
    """An engine that answers 0 to everything, and remembers what it was asked for."""

    def __init__(self):
        self.calls = []

    def generate(self, requests, sampling, finished):
        self.calls.append((list(requests), sampling))
        ids = [*CODEC.responses_ids(["0"])[0], CODEC.stop_ids[0]]
        for index, r in enumerate(requests):
            written = Completion(
                prompt_ids=r.prompt_ids, token_ids=ids, logprobs=[0.0] * 2, stop_reason=StopReason.STOP
            )
            finished(index, [written for _ in r.seeds])


@pytest.fixture
def collector(tmp_path):
    """A collector over twenty problems, about half of them in the test split, all answered 0."""
    lines = [json.dumps({"question": f"{n // 5} {n % 5} =", "answer": "0"}) for n in range(20)]
    (tmp_path / "problems.jsonl").write_text("\n".join(lines))
    task = make_task(ProblemsConfig(name="problems", path=str(tmp_path / "problems.jsonl"), test_fraction=0.5), 0)
    reward = RewardConfig.model_validate({"exact": 1.0})
    return Collector(
        task=task,
        scorer=Scorer(reward),
        reward=RewardSum(reward),
        engine=Echo(),
        codec=CODEC,
        sampling=Sampling(max_new_tokens=4),
        batch_size=64,
        max_positions=None,
        seed=0,
    )


def test_the_first_problems_of_the_split_are_answered(collector):
    result = evaluate(collector, problems=3, samples=2, split="test")
    assert [group[0].problem.index for group in result.sampled] == [0, 1, 2]
    assert [group[0].problem.split for group in result.greedy] == ["test"] * 3
    assert [len(group) for group in result.sampled + result.greedy] == [2, 2, 2, 1, 1, 1]
    assert result.metrics["eval/problems/accuracy"] == 1.0


def test_no_problem_is_answered_twice_where_the_split_has_fewer(collector):
    result = evaluate(collector, problems=100, samples=1, split="test")
    questions = [group[0].problem.question for group in result.sampled]
    assert len(questions) == collector.task.size("test") == len(set(questions))


@pytest.mark.parametrize(("batch_size", "done"), [(64, [5]), (4, [2, 4, 5]), (1, [1, 2, 3, 4, 5])])
def test_problems_are_answered_a_batch_at_a_time(collector, batch_size, done):
    told = []
    result = evaluate(
        replace(collector, batch_size=batch_size),
        problems=5,
        samples=2,
        split="test",
        progress=lambda sampled, greedy: told.append((len(sampled), len(greedy))),
    )
    assert told == [(count, count) for count in done]
    assert [group[0].problem.index for group in result.sampled] == [0, 1, 2, 3, 4]
    assert [group[0].problem.index for group in result.greedy] == [0, 1, 2, 3, 4]


def test_the_problems_are_the_same_at_every_step_and_the_samples_are_not(collector):
    for step in (1, 2):
        evaluate(collector, problems=3, samples=2, split="test", step=step)
    (first, _), (greedy, _), (second, _), (greedy_again, _) = collector.engine.calls
    assert [request.prompt_ids for request in first] == [request.prompt_ids for request in second]
    assert not {seed for r in first for seed in r.seeds} & {seed for r in second for seed in r.seeds}
    assert greedy == greedy_again


def test_an_evaluation_is_due_every_so_many_steps_and_after_the_last(tmp_path):
    model = build_model(ModelConfig(layers=1, width=16, heads=2), CODEC.tokenizer, seed=0, device=torch.device("cpu"))
    config = RlConfig.model_validate(
        {
            "model": str(tmp_path),
            "task": {"name": "modsum", "length": 6},
            "rollout": {"max_new_tokens": 2},
            "train": {"max_steps": 5, "learning_rate": 0.1},
            "eval": {"every": 2, "problems": 3},
        }
    )
    model.save_pretrained(tmp_path)
    CODEC.tokenizer.save_pretrained(tmp_path)
    measure = scheduled(config, model, CODEC, Scorer(config.reward))
    rows = {step: measure(step) for step in range(1, 6)}
    assert {step: row.get("eval/modsum/problems") for step, row in rows.items()} == {1: None, 2: 3, 3: None, 4: 3, 5: 3}
    assert rows[2]["eval/modsum/kl_base"] == pytest.approx(0.0, abs=1e-6)


class Constant:
    """A model that gives these tokens the same probabilities everywhere."""

    device = torch.device("cpu")

    def __init__(self, shares):
        self.shares = shares

    def __call__(self, *, input_ids, use_cache, logits_to_keep):
        logits = torch.full((len(CODEC.tokenizer),), -30.0)
        for token, share in self.shares.items():
            logits[CODEC.tokenizer.convert_tokens_to_ids(token)] = math.log(share)
        kept = min(logits_to_keep, input_ids.shape[1])
        return SimpleNamespace(logits=logits.expand(input_ids.shape[0], kept, -1))


MODEL = Constant({"1": 0.5, "2": 0.2, "<eos>": 0.1, "=": 0.2})
DOCUMENTS = [
    Document(source="test", mode="direct", prompt="1 =", response="1"),
    Document(source="test", mode="direct", prompt="1 =", response="2 1", ends=False),
]


def documents(model, *, whole=False):
    held_out = HeldOut(document=lambda split, index: DOCUMENTS[index], whole=whole)
    row = document_metrics(model, CODEC, held_out, 2)
    return {name.removeprefix("eval/documents/"): value for name, value in row.items()}


def test_the_loss_is_the_mean_over_the_tokens_of_responses_and_their_ends():
    row = documents(MODEL)  # trained: 1 <eos>, and 2 1
    assert row["loss"] == pytest.approx(-math.log(0.5 * 0.1 * 0.2 * 0.5) / 4)
    assert row["perplexity"] == pytest.approx(200 ** (1 / 4))
    assert row["length_mean"] == 2.0


def test_the_loss_of_whole_documents_is_on_their_prompts_too():
    row = documents(MODEL, whole=True)  # before each response comes 1 =
    assert row["loss"] == pytest.approx(math.log(200 * 10 * 10) / 8)


def test_what_is_left_to_choose_among_is_perplexity_to_the_length():
    assert documents(MODEL)["log10_choices"] == pytest.approx(math.log10(200) / 2)


def test_a_uniform_models_perplexity_is_the_vocabulary():
    row = documents(Constant({}))
    assert row["perplexity"] == pytest.approx(12)
    assert row["log10_search_space"] == pytest.approx(2 * math.log10(12))
    assert row["log10_choices"] == pytest.approx(2 * math.log10(12))


def test_a_loss_of_log_ten_is_a_perplexity_of_ten():
    assert with_perplexity({"train/loss": math.log(10)})["train/perplexity"] == pytest.approx(10)


def test_a_huge_loss_has_a_perplexity_all_the_same():
    assert math.isfinite(with_perplexity({"train/loss": 1e6})["train/perplexity"])
