"""Steps of a transformer's layer, each with a backward of its own that keeps and writes less than autograd's would.

Norms and rotations are in float32 or better, as transformers has them.
"""

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812

from rlvr.types import Layout


def normalised(x: torch.Tensor, weight: torch.Tensor, eps: float) -> torch.Tensor:
    """RMS norm (arXiv:1910.07467, equation 4) over the last dimension; keeps x and one number for each of its vectors."""
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    found: torch.Tensor = _Normalised.apply(wide, weight, eps)  # type: ignore[no-untyped-call]
    return found


def gated(gate: torch.Tensor, up: torch.Tensor) -> torch.Tensor:
    """silu(gate) · up (arXiv:2002.05202, equation 6); keeps the two it is given."""
    found: torch.Tensor = _Gated.apply(gate, up)  # type: ignore[no-untyped-call]
    return found


def rotated(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor
) -> torch.Tensor:
    """Queries and keys turned by their positions (arXiv:2104.09864, section 3.4.2, halves instead of pairs), and values.

    (T, heads, D) each, cos and sin (T, 1, D), to (T, all heads, D). Keeps nothing but the tables.
    """
    found: torch.Tensor = _Rotated.apply(query, key, value, cos, sin)  # type: ignore[no-untyped-call]
    return found


def spread(x: torch.Tensor, layout: Layout) -> torch.Tensor:
    """Distinct tokens (T, …) to their places (S, …); keeps nothing."""
    found: torch.Tensor = _Spread.apply(x, layout)  # type: ignore[no-untyped-call]
    return found


class _Normalised(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weight: torch.Tensor, eps: float) -> torch.Tensor:
        scale: torch.Tensor = (
            torch.linalg.vector_norm(x, dim=-1, keepdim=True).square_().div_(x.shape[-1]).add_(eps).rsqrt_()
        )
        ctx.save_for_backward(x, weight, scale)
        return (x * scale).mul_(weight)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None]:
        """With n = x · scale: of n it is g = grad · weight, of x it is scale · (g - n · mean(g · n))."""
        x, weight, scale = ctx.saved_tensors
        normed, of_normed = x * scale, grad * weight
        inner = (of_normed * normed).mean(dim=-1, keepdim=True)
        of_x = of_normed.addcmul_(normed, inner, value=-1).mul_(scale)
        return of_x, normed.mul_(grad).flatten(0, -2).sum(dim=0), None


class _Gated(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gate: torch.Tensor, up: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(gate, up)
        return F.silu(gate).mul_(up)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        gate, up = ctx.saved_tensors
        return torch.ops.aten.silu_backward(grad * up, gate), F.silu(gate).mul_(grad)


class _Rotated(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor
    ) -> torch.Tensor:
        ctx.save_for_backward(cos, sin)
        ctx.kinds = [(part.shape[1], part.dtype) for part in (query, key, value)]
        turned, start = cos.new_empty(len(query), sum(part.shape[1] for part in (query, key, value)), cos.shape[-1]), 0
        for part in (query, key):
            _turn(part, cos, sin, turned[:, start : start + part.shape[1]])
            start += part.shape[1]
        turned[:, start:] = value
        return turned

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Turned back, which is to turn the other way."""
        cos, sin = ctx.saved_tensors
        parts = torch.split(grad, [count for count, _ in ctx.kinds], dim=1)
        back = [_turn(part, cos, -sin, torch.empty_like(part)) for part in parts[:2]]
        found = [part.to(dtype) for part, (_, dtype) in zip([*back, parts[2]], ctx.kinds, strict=True)]
        return *found, None, None


def _turn(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
    """x (T, heads, D) turned, written to out and returned. Both halves of cos are the same, and of sin."""
    half = x.shape[-1] // 2
    torch.mul(x, cos, out=out)
    out[..., :half].addcmul_(x[..., half:].to(sin.dtype), sin[..., :half], value=-1)
    out[..., half:].addcmul_(x[..., :half].to(sin.dtype), sin[..., half:])
    return out


class _Spread(torch.autograd.Function):
    """Of the gradients at its places a token gets the sum, padded ones apart.

    Those are zero: no row looks at its padding, and nothing is taken from it. Autograd would add them all up one by one.
    """

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, layout: Layout) -> torch.Tensor:
        ctx.layout = layout
        return x.index_select(0, layout.read)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, None]:
        layout = ctx.layout
        found = grad.index_select(0, layout.first)
        if len(layout.again):
            found.index_add_(0, layout.read[layout.again], grad.index_select(0, layout.again))
        return found, None
