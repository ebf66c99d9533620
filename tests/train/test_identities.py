"""What must hold whatever the model: identities between algorithms, and splits that cannot change a gradient.

A small transformer in float64, on rollouts with made-up rewards.
"""

from dataclasses import replace

import pytest
import torch
from test_loop import CPU, Fixed, build, job

from rlvr.algo.advantages import ADVANTAGES, Context
from rlvr.algo.samples import divisor, to_samples
from rlvr.config import PRESETS, AlgoConfig, TrainConfig
from rlvr.data.batching import collate, to_batches
from rlvr.train.loop import fit
from rlvr.train.losses import cross_entropy, policy_loss
from rlvr.types import Completion, Problem, Rollout, Sample, StopReason, Update

REWARDS = [[1.0, 0.0, 0.0, 1.0], [0.0, 0.0, 1.0, 0.0], [1.0, 1.0, 0.0, 1.0]]
MAX_NEW_TOKENS = 8


def groups(rewards=REWARDS):
    """Rollouts of one to seven tokens, sampled by some policy near the model's."""
    generator = torch.Generator().manual_seed(0)

    def rollout(number, reward):
        length = 1 + number % 7
        ids = torch.randint(3, 12, (length,), generator=generator).tolist()
        logprobs = (-2.5 + torch.rand(length, generator=generator)).tolist()
        completion = Completion(
            prompt_ids=[1] + [6] * (1 + number % 3), token_ids=ids, logprobs=logprobs, stop_reason=StopReason.STOP
        )
        problem = Problem(task="t", split="train", index=0, question="q", answer="a")
        return Rollout(
            problem=problem, prompt="", completion=completion, text="", mode="", rewards={}, reasons={}, reward=reward,
            oracle=reward, correct=reward > 0, ref_logprobs=[value - 0.1 for value in logprobs], values=[0.4] * length,
            teacher_logprobs=[value + 0.2 * (-1) ** t for t, value in enumerate(logprobs)],
        )  # fmt: skip

    return [[rollout(4 * i + j, reward) for j, reward in enumerate(row)] for i, row in enumerate(rewards)]


def samples_of(algo):
    context = Context(running_mean=0.3, gae=algo.gae)
    return to_samples(ADVANTAGES[algo.advantage](groups(), context), algo.aggregation)


def gradient(loss, batches, divisor=None):
    """The flat gradient of the loop's own sum over batches, in float64."""
    model = build().double()
    count = sum(int(batch.loss_mask.sum()) for batch in batches) if divisor is None else divisor
    for batch in batches:
        (loss(model, batch).loss_sum / count).backward()
    return torch.cat([parameter.grad.flatten() for parameter in model.parameters()])


def off_policy(batches):
    return [replace(batch, on_policy=False) for batch in batches]


COMBINATIONS = {
    **{name: {"preset": name, "updates_per_batch": 4} for name in PRESETS if name != "opd"},
    "opd": {"preset": "opd", "teacher": "another model"},
    "by sequence": {"loss": "truncated", "ratio": "sequence", "staleness": 1, "aggregation": "sequence"},
    "all terms": {
        "loss": "clipped", "ratio": "geometric", "staleness": 1, "aggregation": "constant",
        "kl": {"coefficient": 0.1, "estimator": "k2"}, "entropy_bonus": 0.1,
    },
}  # fmt: skip


@pytest.mark.parametrize("fields", COMBINATIONS.values(), ids=COMBINATIONS)
def test_splits_padding_and_order_cannot_change_the_gradient(fields):
    algo = AlgoConfig.model_validate(fields)
    samples, loss = samples_of(algo), policy_loss(algo, 1.0)
    share = divisor(samples, algo.aggregation, MAX_NEW_TOKENS)
    expected = gradient(loss, off_policy([collate(samples, 0, CPU)]), share)
    assert expected.norm() > 1e-3
    splits = [
        [collate([sample], 0, CPU) for sample in samples],
        [collate([sample], 0, CPU) for sample in samples[::-1]],
        [collate(samples[::-1], 0, CPU)],
        to_batches(samples, budget=24, pad_id=5, device=CPU),
        to_batches(samples[::-1], budget=40, pad_id=0, device=CPU),
        to_batches(samples, budget=1000, pad_id=0, device=CPU),
        [collate(samples[:7], 0, CPU), collate(samples[7:], 0, CPU)],
    ]
    for batches in splits:
        found = gradient(loss, off_policy(batches), share)
        assert (found - expected).norm() < 1e-6 * expected.norm()


def test_reinforce_without_baseline_on_right_or_wrong_is_the_gradient_of_imitating_the_right():
    algo = AlgoConfig.model_validate({"advantage": "reward"})
    reinforce = gradient(policy_loss(algo, 1.0), [collate(samples_of(algo), 0, CPU)])
    right = [rollout for group in groups() for rollout in group if rollout.correct]
    documents = [
        Sample(
            token_ids=each.completion.prompt_ids + each.completion.token_ids,
            loss_mask=[False] * len(each.completion.prompt_ids) + [True] * each.length,
        )
        for each in right
    ]
    imitation = gradient(cross_entropy, [collate(documents, 0, CPU)])
    assert torch.nn.functional.cosine_similarity(reinforce, imitation, dim=0) > 0.9999
    share = sum(each.length for each in right) / sum(each.length for group in groups() for each in group)
    assert (reinforce.norm() / imitation.norm()).item() == pytest.approx(share, rel=1e-4)


def test_grpo_without_deviation_is_reinforce_with_the_groups_mean_bit_for_bit():
    reinforce = AlgoConfig.model_validate({})
    grpo = AlgoConfig.model_validate({"preset": "grpo", "advantage": "group_mean", "aggregation": "token"})
    assert samples_of(grpo) == samples_of(reinforce)
    batches = to_batches(samples_of(reinforce), budget=24, pad_id=0, device=CPU)
    assert torch.equal(gradient(policy_loss(grpo, 1.0), batches), gradient(policy_loss(reinforce, 1.0), batches))


def test_leave_one_out_is_a_longer_step_in_the_direction_of_the_groups_mean():
    mean, others = (AlgoConfig.model_validate({"advantage": name}) for name in ("group_mean", "leave_one_out"))
    first, second = (gradient(policy_loss(algo, 1.0), [collate(samples_of(algo), 0, CPU)]) for algo in (mean, others))
    assert (second - first * 4 / 3).norm() < 1e-6 * second.norm()


def test_the_loop_divides_by_the_updates_own_divisor(tmp_path):
    """One step of SGD at rate 1 by hand: minus the gradient of the sum over 12 rollouts of at most 8 tokens."""
    algo = AlgoConfig.model_validate({"preset": "dr_grpo"})
    samples = samples_of(algo)

    class Twice(Fixed):
        def next_step(self, step):
            share = divisor(samples, algo.aggregation, MAX_NEW_TOKENS)
            update = Update(batches=to_batches(samples, budget=24, pad_id=0, device=CPU), divisor=share)
            return replace(super().next_step(step), updates=[update])

    config = TrainConfig(max_steps=1, learning_rate=1.0, optimizer="sgd", max_grad_norm=1e9)
    run = job(tmp_path, source=Twice([]), loss=policy_loss(algo, 1.0), config=config)
    before = torch.cat([parameter.detach().clone().flatten() for parameter in run.model.parameters()])
    fit(run)
    after = torch.cat([parameter.detach().flatten() for parameter in run.model.parameters()])
    expected = gradient(policy_loss(algo, 1.0), [collate(samples, 0, CPU)], 12 * 8)
    torch.testing.assert_close((before - after).double(), expected, atol=1e-6, rtol=1e-4)
