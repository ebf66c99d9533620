"""What the machine's memory can do: one large block is copied to another. Its useful tokens are mebibytes that are read or written.

Arguments: DEVICE.
"""

import sys

import torch

from bench.device import finish
from bench.rounds import Measured
from bench.worker import serve

BLOCK_MIB, TIMES = 512, 8


def bytes_a_second(found: Measured) -> float:
    """The rate that was measured."""
    return found.tokens[0] * 2**20 / found.median


def main() -> None:
    """Copy, as often as told."""
    source = torch.ones(BLOCK_MIB * 2**20, dtype=torch.uint8, device=sys.argv[1])
    target = torch.empty_like(source)

    def copy(_line: str) -> int:
        for _ in range(TIMES):
            target.copy_(source)
        finish()
        return 2 * BLOCK_MIB * TIMES

    serve(copy)


if __name__ == "__main__":
    main()
