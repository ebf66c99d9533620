"""Where length, entropy and signal are: numbers checked by hand."""

from dataclasses import replace

import pytest

from rlvr.accounting import length_change, rollout_accounts, signal_after_updates, signal_shares, with_new_modes
from rlvr.algo.filters import chosen
from rlvr.types import Completion, Problem, Rollout, StopReason

PROBLEM = Problem(task="t", split="train", index=0, question="q", answer="a")


def rollout(mode="cot", length=3, *, reward=0.0, advantage=None, entropies=None, cut=False, trained=None):
    completion = Completion(
        prompt_ids=[1],
        token_ids=[2] * length,
        logprobs=[-1.0] * length,
        entropies=entropies,
        stop_reason=StopReason.LENGTH if cut else StopReason.STOP,
    )
    return Rollout(
        problem=PROBLEM,
        prompt="q",
        completion=completion,
        text="",
        mode=mode,
        rewards={},
        reasons={},
        reward=reward,
        oracle=reward,
        correct=reward > 0,
        trained=trained,
        advantages=None if advantage is None else [advantage] * length,
    )


# ------------------------------------------------------------------------------------------------ length


def change(first, *later):
    """The change of length in the last of some steps since the first."""
    reference = {}
    for step in (first, *later):
        reference = with_new_modes(reference, [step])
    row = length_change(reference, [step])
    return row["length/change"], row["length/by_mode"], row["length/within_modes"]


def of(**modes):
    """Rollouts of each mode with these lengths."""
    return [rollout(mode, length) for mode, lengths in modes.items() for length in lengths]


def test_more_of_the_long_mode_is_a_change_by_mode():
    """Half direct (2) and half cot (10), mean 6; then a quarter and three quarters, mean 8."""
    assert change(of(direct=[2, 2], cot=[10, 10]), of(direct=[2], cot=[10] * 3)) == (2.0, 2.0, 0.0)


def test_longer_chains_are_a_change_within_modes():
    assert change(of(direct=[2], cot=[10]), of(direct=[2], cot=[14])) == (2.0, 0.0, 2.0)


def test_both_parts_add_up_to_the_change_of_the_mean():
    """By mode: (1/4 - 1/2)(2 + 2)/2 + (3/4 - 1/2)(10 + 14)/2 = 2.5. Within: (14 - 10)(1/2 + 3/4)/2 = 2.5. Mean: 6 to 11."""
    assert change(of(direct=[2, 2], cot=[10, 10]), of(direct=[2], cot=[14] * 3)) == (5.0, 2.5, 2.5)


def test_a_mode_that_is_gone_has_kept_its_length():
    assert change(of(direct=[2], cot=[10]), of(cot=[10])) == (4.0, 4.0, 0.0)


def test_a_mode_that_came_later_is_measured_by_its_length_when_it_came():
    """Step 2: half of the rollouts are a new mode of 6 tokens; step 3: it has 8. (1/2 - 1)2 + 1/2 · 7 = 2.5; (8 - 6)/4 = 0.5."""
    first, second, third = of(direct=[2, 2]), of(direct=[2], leap=[6]), of(direct=[2], leap=[8])
    assert change(first, second) == (2.0, 2.0, 0.0)
    assert change(first, second, third) == (3.0, 2.5, 0.5)


def test_the_first_step_has_changed_nothing():
    assert change(of(direct=[2], cot=[9, 11])) == (0.0, 0.0, 0.0)


# ------------------------------------------------------------------------------------------------ entropy


def test_entropy_of_all_tokens_forks_positions_and_modes():
    """Ten tokens; the two most uncertain are forks."""
    first = rollout("cot", 6, entropies=[0.9, 0.1, 0.0, 0.2, 0.0, 0.0])
    second = rollout("direct", 3, entropies=[0.6, 0.3, 0.0])
    third = rollout("direct", 1, entropies=[0.4])
    row = rollout_accounts([[first, second], [third]])
    assert row["entropy/mean"] == pytest.approx(2.5 / 10)
    assert row["entropy/forks"] == pytest.approx((0.9 + 0.6) / 2)
    assert row["entropy/early"] == pytest.approx((0.9 + 0.1 + 0.6 + 0.4) / 4)
    assert row["entropy/middle"] == pytest.approx((0.0 + 0.2 + 0.3) / 3)
    assert row["entropy/late"] == pytest.approx(0.0)
    assert row["mode/cot/entropy"] == pytest.approx(1.2 / 6)
    assert row["mode/direct/entropy"] == pytest.approx(1.3 / 4)


def test_positions_that_no_completion_has_are_not_there():
    row = rollout_accounts([[rollout(length=1, entropies=[0.5])]])
    assert {name for name in row if name.startswith("entropy/")} == {"entropy/mean", "entropy/forks", "entropy/early"}


def test_without_recorded_entropies_there_is_nothing_to_say_of_them():
    assert set(rollout_accounts([[rollout(), rollout(cut=True)]])) == {
        "rollout/truncated_reward",
        "rollout/ended_reward",
    }


def test_the_reward_of_truncated_and_of_ended_rollouts():
    row = rollout_accounts([[rollout(reward=1.0), rollout(reward=0.5)], [rollout(reward=0.0, cut=True)]])
    assert (row["rollout/ended_reward"], row["rollout/truncated_reward"]) == (0.75, 0.0)


# ------------------------------------------------------------------------------------------------ signal

MIXED = [rollout(length=4, reward=1.0, advantage=0.5), rollout(length=6, reward=0.0, advantage=-0.5)]
ALIKE = [rollout(length=5, reward=1.0, advantage=0.0), rollout(length=5, reward=1.0, advantage=0.0)]


def shares(groups, kept):
    row = signal_shares(groups, kept)
    assert sum(row.values()) == pytest.approx(1.0)
    return {name.removeprefix("signal/"): pytest.approx(value) for name, value in row.items()}


def test_groups_rewarded_alike_are_half_of_the_tokens():
    assert shares([MIXED, ALIKE], [MIXED]) == {"trained": 0.5, "zero_variance": 0.5, "zero_advantage": 0.0}


def test_the_same_where_they_are_kept_with_an_advantage_of_zero():
    assert shares([MIXED, ALIKE], [MIXED, ALIKE])["zero_variance"] == 0.5


def test_groups_rewarded_alike_train_where_they_have_an_advantage():
    """Without a baseline: 10 tokens of a group that is all right, and the 4 of the right rollout in the other."""
    right = [replace(each, advantages=[1.0] * 5) for each in ALIKE]
    mixed = [replace(MIXED[0], advantages=[1.0] * 4), replace(MIXED[1], advantages=[0.0] * 6)]
    assert shares([mixed, right], [mixed, right]) == {
        "trained": 0.7,
        "zero_variance": 0.0,
        "zero_advantage": 0.3,
    }


def test_what_is_not_imitated_has_no_advantage():
    groups = [[replace(MIXED[0], advantages=[1.0] * 4), replace(MIXED[1], advantages=[0.0] * 6)]]
    kept = chosen(groups, drop_zero_variance=False, imitate=True)
    assert shares(groups, kept) == {"trained": 0.4, "zero_variance": 0.0, "zero_advantage": 0.6}


def test_masked_tokens_are_a_share_of_their_own():
    kept = [[replace(MIXED[0], trained=[True, False, False, False]), replace(MIXED[1], trained=[False] * 6)]]
    assert shares([MIXED, ALIKE], kept) == {
        "trained": 0.05,
        "masked": 0.45,
        "zero_variance": 0.5,
        "zero_advantage": 0.0,
    }


def test_groups_beyond_those_that_are_wanted_are_a_surplus():
    more = [replace(each, completion=replace(each.completion)) for each in MIXED]
    assert shares([MIXED, ALIKE, more], [MIXED]) == {
        "trained": 10 / 30,
        "zero_variance": 10 / 30,
        "surplus": 10 / 30,
        "zero_advantage": 0.0,
    }


def test_clipped_tokens_are_taken_from_those_that_were_trained():
    row = {"signal/trained": 0.5, "signal/zero_variance": 0.5, "train/clip_fraction": 0.2}
    after = signal_after_updates(row, clips=True)
    assert (after["signal/trained"], after["signal/clipped"]) == (pytest.approx(0.4), pytest.approx(0.1))


def test_truncated_weights_keep_their_gradient():
    row = {"signal/trained": 0.5, "signal/zero_variance": 0.5, "train/clip_fraction": 0.2}
    assert signal_after_updates(row, clips=False) == row


def test_updates_that_were_not_applied_trained_nothing():
    row = {"signal/trained": 0.6, "signal/zero_variance": 0.4, "train/skipped_updates_fraction": 0.5}
    after = signal_after_updates(row, clips=False)
    assert (after["signal/trained"], after["signal/skipped"]) == (pytest.approx(0.3), pytest.approx(0.3))
