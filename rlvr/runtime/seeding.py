"""Every random number comes from one seed and a name, so nothing hidden has to be saved with a checkpoint."""

import hashlib
import random
from functools import lru_cache


def derive(seed: int, *names: object) -> int:
    """A 64-bit seed that depends on the run's seed and the names alone, on every machine and Python.

    >>> derive(0, "rollout", 3, 17, 2) == derive(0, "rollout", 3, 17, 2)
    True
    >>> derive(0, "rollout", 3) == derive(0, "rollout", 4)
    False
    """
    text = "/".join([str(seed), *(str(name) for name in names)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def generator(seed: int, *names: object) -> random.Random:
    """A Python generator for the named purpose."""
    return random.Random(derive(seed, *names))


@lru_cache(maxsize=16)
def shuffled(count: int, seed: int, *names: object) -> list[int]:
    """The numbers below ``count`` in an order for the named purpose; not to be changed by who gets it."""
    return generator(seed, *names).sample(range(count), count)
