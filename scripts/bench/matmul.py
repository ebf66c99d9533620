"""What the machine itself can do: products of two large square matrices. Its useful tokens are millions of operations.

Arguments: DTYPE DEVICE.
"""

import sys

import torch

from bench.device import finish
from bench.rounds import Measured
from bench.worker import serve

SIDE, TIMES = 2048, 8
MEGA_OPERATIONS = 2 * SIDE**3 * TIMES // 10**6


def operations_a_second(found: Measured) -> float:
    """The rate that was measured."""
    return found.tokens[0] * 1e6 / found.median


def main() -> None:
    """Multiply, as often as told."""
    dtype = {"float32": torch.float32, "bfloat16": torch.bfloat16}[sys.argv[1]]
    left, right = (torch.randn(SIDE, SIDE).to(sys.argv[2], dtype) for _ in range(2))
    out = torch.empty_like(left)

    def multiply(_line: str) -> int:
        for _ in range(TIMES):
            torch.mm(left, right, out=out)
        finish()
        return MEGA_OPERATIONS

    serve(multiply)


if __name__ == "__main__":
    main()
