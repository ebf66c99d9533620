"""What a side that computes on a CUDA device has to say and to wait for."""

import torch


def peak_mib() -> float | None:
    """The most memory that torch has had in use on the device; None if there is none or it was not used."""
    return torch.cuda.max_memory_allocated() / 2**20 if _used() else None


def finish() -> None:
    """Wait until the device has done what it was given."""
    if _used():
        torch.cuda.synchronize()


def _used() -> bool:
    return torch.cuda.is_available() and torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
