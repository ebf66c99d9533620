"""Advantages, filters and training samples, against numbers computed by hand."""

from dataclasses import replace

import pytest

from rlvr.algo.advantages import (
    ADVANTAGES,
    Context,
    explained_variance,
    generalised,
    group_mean,
    leave_one_out,
    positive,
    standardised,
)
from rlvr.algo.filters import chosen, has_variance
from rlvr.algo.samples import divisor, split_groups, to_sample, to_samples
from rlvr.config import PRESETS, GaeConfig
from rlvr.types import Completion, Group, Problem, Rollout, Sample, StopReason


def rollout(reward: float, advantages: list[float] | None = None) -> Rollout:
    completion = Completion(
        prompt_ids=[1, 7], token_ids=[8, 9, 2], logprobs=[-0.5, -0.25, -2.0], stop_reason=StopReason.STOP
    )
    problem = Problem(task="t", split="train", index=0, question="q", answer="a")
    return Rollout(
        problem=problem, prompt="q", completion=completion, text="a", mode="direct", rewards={"exact": reward}, reasons={"exact": "correct"},
        reward=reward, oracle=reward, correct=reward == 1.0, advantages=advantages,
    )  # fmt: skip


def group(*rewards: float) -> Group:
    return [rollout(reward) for reward in rewards]


def rewards_of(groups: list[Group]) -> list[list[float]]:
    return [[attempt.reward for attempt in members] for members in groups]


def test_group_mean() -> None:
    assert group_mean([1.0, 0.0, 0.0, 0.0]) == [0.75, -0.25, -0.25, -0.25]


def test_group_mean_keeps_reward_units() -> None:
    assert group_mean([5.0, 1.0]) == [2.0, -2.0]


def test_standardised_divides_by_the_deviation_of_the_sample() -> None:
    """Rewards 1, 0, 0, 0: squares sum to 0.75, a third of it is 0.25, the deviation 0.5."""
    assert standardised([1.0, 0.0, 0.0, 0.0]) == pytest.approx([1.5, -0.5, -0.5, -0.5], rel=1e-5)


def test_standardised_has_no_units() -> None:
    assert standardised([10.0, 0.0]) == pytest.approx(standardised([1.0, 0.0]), rel=1e-5)


@pytest.mark.parametrize("estimator", [group_mean, standardised])
def test_equal_rewards_have_no_advantage(estimator: object) -> None:
    assert estimator([0.5, 0.5, 0.5]) == [0.0, 0.0, 0.0]


def test_standardised_of_one_rollout_is_zero() -> None:
    assert standardised([1.0]) == [0.0]


def test_positive_keeps_positive_rewards() -> None:
    assert positive([1.0, 0.0, -0.5, 0.25]) == [1.0, 0.0, 0.0, 0.25]


def test_every_preset_names_an_estimator() -> None:
    assert {preset["advantage"] for preset in PRESETS.values()} <= set(ADVANTAGES)


def estimated(name: str, *rewards: list[float], running_mean: float = 0.0) -> list[list[float | None]]:
    """Each rollout's advantage by the estimator of a name, for groups with these rewards."""
    groups = [group(*each) for each in rewards]
    found = ADVANTAGES[name](groups, Context(running_mean=running_mean))
    for members in found:
        for attempt in members:
            assert attempt.advantages is not None
            assert len(attempt.advantages) == 3
            assert len(set(attempt.advantages)) == 1
    return [[attempt.advantage for attempt in members] for members in found]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("reward", [[1, 0, 0.5], [0, 0, 1.5]]),
        ("group_mean", [[0.5, -0.5, 0], [-0.5, -0.5, 1]]),
        ("leave_one_out", [[0.75, -0.75, 0], [-0.75, -0.75, 1.5]]),
        ("running_mean", [[0.75, -0.25, 0.25], [-0.25, -0.25, 1.25]]),
        # Group deviations: ((0.25 + 0.25) / 2)^½ = 0.5 and ((0.25 + 0.25 + 1) / 2)^½ = 0.75^½.
        ("group_standardised", [[1, -1, 0], [-0.5 / 0.75**0.5, -0.5 / 0.75**0.5, 1 / 0.75**0.5]]),
        # Batch: mean 0.5, squares 0.25 · 4 + 1 = 2, over 5: deviation 0.4^½.
        ("batch_standardised", [[x / 0.4**0.5 for x in row] for row in [[0.5, -0.5, 0], [-0.5, -0.5, 1]]]),
        ("positive", [[1, 0, 0.5], [0, 0, 1.5]]),
    ],
)  # fmt: skip
def test_estimators_by_hand_on_two_groups_of_three(name: str, expected: list[list[float]]) -> None:
    found = estimated(name, [1.0, 0.0, 0.5], [0.0, 0.0, 1.5], running_mean=0.25)
    assert [pytest.approx(row, rel=1e-5) for row in expected] == found


def test_leave_one_out_is_the_group_mean_scaled() -> None:
    rewards = [0.3, 1.0, 0.0, 0.7]
    assert leave_one_out(rewards) == pytest.approx([4 / 3 * value for value in group_mean(rewards)])


@pytest.mark.parametrize(
    ("trace", "expected"),
    [
        # δ = (0 + 0.4 - 0.5, 0 + 0.8 - 0.4, 1 - 0.8) = (-0.1, 0.4, 0.2).
        (0.0, [-0.1, 0.4, 0.2]),
        (0.5, [-0.1 + 0.5 * 0.5, 0.4 + 0.5 * 0.2, 0.2]),
        (1.0, [0.5, 0.6, 0.2]),  # the outcome minus each value
    ],
)
def test_generalised_advantages_by_hand(trace: float, expected: list[float]) -> None:
    found = generalised([0.0, 0.0, 1.0], [0.5, 0.4, 0.8], discount=1.0, trace=trace)
    assert found == pytest.approx(expected)


def test_a_discount_makes_later_rewards_worth_less() -> None:
    assert generalised([0.0, 0.0, 1.0], [0.0] * 3, discount=0.5, trace=1.0) == [0.25, 0.5, 1.0]


def test_gae_standardises_over_the_steps_tokens_and_keeps_the_returns_in_reward_units() -> None:
    groups = [[replace(rollout(1.0), values=[0.5, 0.4, 0.8])], [replace(rollout(0.0), values=[0.5, 0.5, 0.5])]]
    [[first], [second]] = ADVANTAGES["gae"](groups, Context(gae=GaeConfig(trace=1.0)))
    assert first.returns == pytest.approx([1.0] * 3)
    assert second.returns == pytest.approx([0.0] * 3)
    raw = [0.5, 0.6, 0.2, -0.5, -0.5, -0.5]
    assert [*(first.advantages or ()), *(second.advantages or ())] == pytest.approx(standardised(raw))
    assert explained_variance([first, second]) == pytest.approx(1 - (1.4 / 6 - (-0.2 / 6) ** 2) / 0.25)


def test_what_was_added_at_tokens_counts_as_reward() -> None:
    shaped = [replace(rollout(1.0), shaping=[0.0, -0.25, -0.25]), rollout(0.0)]
    [found] = ADVANTAGES["group_mean"]([shaped], Context())
    assert [attempt.advantage for attempt in found] == [0.25, -0.25]


def test_by_sequence_a_token_weighs_one_over_its_rows_tokens() -> None:
    groups = [[rollout(1.0, [1.0] * 3)]]
    assert [sample.weight for sample in to_samples(groups, "sequence")] == [1 / 3]
    assert [sample.weight for sample in to_samples(groups, "token") + to_samples(groups, "constant")] == [1.0, 1.0]


@pytest.mark.parametrize(("aggregation", "expected"), [("token", 6), ("sequence", 2), ("constant", 20)])
def test_what_two_rollouts_of_three_tokens_are_divided_by(aggregation: str, expected: float) -> None:
    samples = to_samples([[rollout(1.0, [1.0] * 3)], [rollout(0.0, [0.0] * 3)]], aggregation)
    assert divisor(samples, aggregation, 10) == expected


def test_groups_are_dealt_out_whole_and_no_part_is_empty() -> None:
    groups = [group(float(number)) for number in range(5)]
    assert [rewards_of(part) for part in split_groups(groups, 2)] == [[[0], [2], [4]], [[1], [3]]]
    assert len(split_groups(groups[:2], 4)) == 2
    assert split_groups([], 4) == []


def test_a_sample_trains_the_completion_with_its_advantage_and_sampled_ids() -> None:
    assert to_sample(rollout(1.0, [0.75, 0.5, 0.25])) == Sample(
        token_ids=[1, 7, 8, 9, 2],
        loss_mask=[False, False, True, True, True],
        advantages=[0.0, 0.0, 0.75, 0.5, 0.25],
        old_logprobs=[0.0, 0.0, -0.5, -0.25, -2.0],
    )


@pytest.mark.parametrize(("rewards", "expected"), [([1.0, 1.0], False), ([1.0, 0.0], True), ([0.5], False)])
def test_has_variance(rewards: list[float], expected: bool) -> None:
    assert has_variance(group(*rewards)) is expected


@pytest.mark.parametrize(("drop", "expected"), [(True, [[1.0, 0.0]]), (False, [[1.0, 0.0], [0.0, 0.0], [1.0, 1.0]])])
def test_groups_without_variance_are_dropped_whole_or_kept(drop: bool, expected: list[list[float]]) -> None:
    groups = [group(1.0, 0.0), group(0.0, 0.0), group(1.0, 1.0)]
    assert rewards_of(chosen(groups, drop_zero_variance=drop, imitate=False)) == expected


def test_imitation_keeps_the_rewarded_rollouts_and_no_empty_group() -> None:
    groups = ADVANTAGES["positive"]([group(1.0, 0.0, 1.0), group(0.0, 0.0)], Context())
    assert rewards_of(chosen(groups, drop_zero_variance=False, imitate=True)) == [[1.0, 1.0]]
