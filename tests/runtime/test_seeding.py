"""Named random numbers."""

import pytest

from rlvr.runtime.seeding import derive, generator


def test_a_seed_is_the_same_on_every_machine() -> None:
    """The first 8 bytes of BLAKE2b of ``0/rollout/3``, big-endian (b2sum -l 64)."""
    assert derive(0, "rollout", 3) == 0xC31360786DDCD3A2


@pytest.mark.parametrize("other", [(1, "rollout", 3), (0, "rollout", 4), (0, "greedy", 3), (0, "rollout")])
def test_every_part_of_a_name_counts(other: tuple) -> None:
    assert derive(*other) != derive(0, "rollout", 3)


def test_seeds_fit_into_64_bits() -> None:
    assert all(0 <= derive(seed, "x") < 2**64 for seed in range(100))


def test_a_generator_draws_the_same_again() -> None:
    assert [generator(5, "a").random() for _ in range(3)] == [generator(5, "a").random()] * 3
