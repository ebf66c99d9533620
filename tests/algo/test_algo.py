"""Advantages, filters and training samples, against numbers computed by hand."""

import pytest

from rlvr.algo.advantages import ADVANTAGES, correct_only, mean_centred, standardised
from rlvr.algo.filters import chosen, has_variance
from rlvr.algo.samples import to_sample, with_advantages
from rlvr.config import PRESETS
from rlvr.types import Completion, Group, Problem, Rollout, Sample, StopReason


def rollout(reward: float, advantage: float | None = None) -> Rollout:
    completion = Completion(
        prompt_ids=[1, 7], token_ids=[8, 9, 2], logprobs=[-0.5, -0.25, -2.0], stop_reason=StopReason.STOP
    )
    problem = Problem(task="t", split="train", index=0, question="q", answer="a")
    return Rollout(
        problem=problem, prompt="q", completion=completion, text="a", mode="direct", rewards={"exact": reward}, reasons={"exact": "correct"},
        reward=reward, oracle=reward, correct=reward == 1.0, advantage=advantage,
    )  # fmt: skip


def group(*rewards: float) -> Group:
    return [rollout(reward) for reward in rewards]


def rewards_of(groups: list[Group]) -> list[list[float]]:
    return [[attempt.reward for attempt in members] for members in groups]


def test_mean_centred() -> None:
    assert mean_centred([1.0, 0.0, 0.0, 0.0]) == [0.75, -0.25, -0.25, -0.25]


def test_mean_centred_keeps_reward_units() -> None:
    assert mean_centred([5.0, 1.0]) == [2.0, -2.0]


def test_standardised_divides_by_the_deviation_of_the_sample() -> None:
    """Rewards 1, 0, 0, 0: squares sum to 0.75, a third of it is 0.25, the deviation 0.5."""
    assert standardised([1.0, 0.0, 0.0, 0.0]) == pytest.approx([1.5, -0.5, -0.5, -0.5], rel=1e-5)


def test_standardised_has_no_units() -> None:
    assert standardised([10.0, 0.0]) == pytest.approx(standardised([1.0, 0.0]), rel=1e-5)


@pytest.mark.parametrize("estimator", [mean_centred, standardised])
def test_equal_rewards_have_no_advantage(estimator: object) -> None:
    assert estimator([0.5, 0.5, 0.5]) == [0.0, 0.0, 0.0]


def test_standardised_of_one_rollout_is_zero() -> None:
    assert standardised([1.0]) == [0.0]


def test_correct_only_keeps_positive_rewards() -> None:
    assert correct_only([1.0, 0.0, -0.5, 0.25]) == [1.0, 0.0, 0.0, 0.25]


def test_every_preset_names_an_estimator() -> None:
    assert {preset["advantage"] for preset in PRESETS.values()} == set(ADVANTAGES)


def test_with_advantages_fills_in_each_rollouts_own() -> None:
    filled = with_advantages(group(1.0, 0.0), mean_centred)
    assert [(attempt.reward, attempt.advantage) for attempt in filled] == [(1.0, 0.5), (0.0, -0.5)]


def test_a_sample_trains_the_completion_with_its_advantage_and_sampled_ids() -> None:
    assert to_sample(rollout(1.0, advantage=0.75)) == Sample(
        token_ids=[1, 7, 8, 9, 2],
        loss_mask=[False, False, True, True, True],
        advantages=[0.0, 0.0, 0.75, 0.75, 0.75],
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
    groups = [with_advantages(members, correct_only) for members in (group(1.0, 0.0, 1.0), group(0.0, 0.0))]
    assert rewards_of(chosen(groups, drop_zero_variance=False, imitate=True)) == [[1.0, 1.0]]
