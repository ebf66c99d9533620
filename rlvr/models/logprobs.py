"""The log-probability of each token: the one place that shifts logits against tokens."""

import threading
from collections.abc import Iterator
from typing import Any
from weakref import WeakKeyDictionary

import torch
import torch.nn.functional as F  # noqa: N812
from transformers import PreTrainedModel

from rlvr.models.trunk import block_ids, hidden_before, rows_of
from rlvr.types import Batch, Layout

LOGITS_AT_ONCE = 2**24
"""So many logits are in memory at once, in float32 64 MiB, whatever the number of tokens."""


def token_logprobs(
    model: PreTrainedModel, batch: Batch, temperature: float = 1.0, *, entropy_gradient: bool = False
) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probability of every trained token, and the entropy of the distribution it was drawn from.

    temperature: logits are divided by it, in float32 or better.
    Returns (logprobs, entropy), each (N,) over the N True places of ``batch.loss_mask`` in row-major order;
    logprobs carry gradients to the model, entropy (nats) only with entropy_gradient.
    """
    targets = batch.input_ids[batch.loss_mask]  # (N,)
    if _has_plain_head(model):
        hidden = hidden_before(model.base_model, batch.layout)  # (N, W)
        head: Any = model.get_output_embeddings()
        given = (hidden, head.weight, head.bias, targets, temperature)
        logprobs, entropy = _ByChunks.apply(*given)  # type: ignore[no-untyped-call]
    else:
        logits = _own_logits(model, batch.layout)  # (N, V)
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32)) / temperature
        distribution = torch.log_softmax(logits, dim=-1)
        entropy = -(distribution.exp() * distribution).sum(dim=-1)
        logprobs = distribution.gather(-1, targets[:, None]).squeeze(-1)
    return logprobs, entropy if entropy_gradient else entropy.detach()


def distributions(model: PreTrainedModel, batch: Batch, temperature: float, *, rows: int) -> Iterator[torch.Tensor]:
    """Log-probabilities of all tokens at the N trained places, some places after the other: each (n, V), n at most ``rows``.

    temperature: logits are divided by it, in float32 or better. If the head does no more than multiply, only the hidden states
    of all N places are held at once.
    """
    plain = _has_plain_head(model)
    states = hidden_before(model.base_model, batch.layout) if plain else _own_logits(model, batch.layout)
    head: Any = model.get_output_embeddings()
    for some in torch.split(states, rows):
        wide = torch.promote_types(some.dtype, torch.float32)
        logits = _logits(some, head.weight, head.bias, temperature) if plain else some.to(wide) / temperature
        yield logits.log_softmax(dim=-1)


def _own_logits(model: PreTrainedModel, layout: Layout) -> torch.Tensor:
    """The logits (N, V) for each trained token where the head does more than multiply: only the model itself knows them.

    They are asked for only from the first place of a block on that is before a trained token.
    """
    wanted = layout.first[layout.before]  # (N,) places
    tokens, found, start = [], [], 0
    for ids in block_ids(layout):
        length, stop = ids.shape[1], start + ids.numel()
        here = ((wanted >= start) & (wanted < stop)).nonzero()[:, 0]  # which of the N stand in this block
        if len(here):
            rows, columns = (wanted[here] - start) // length, (wanted[here] - start) % length
            skipped = int(columns.min())
            logits = model(input_ids=ids, use_cache=False, logits_to_keep=length - skipped).logits
            tokens.append(here)
            found.append(rows_of(logits.flatten(0, 1), rows * logits.shape[1] + columns - skipped))
        start = stop
    return torch.cat(found)[torch.cat(tokens).argsort()]


class _ByChunks(torch.autograd.Function):
    """Log-probabilities and entropies from hidden states, a chunk of rows at a time.

    Forward keeps the log of each row's normaliser; backward computes each chunk's logits again. With p the probabilities,
    h the entropy: d logprob / d logits = (1[target] - p) / temperature, d h / d logits = -p (log p + h) / temperature.
    """

    @staticmethod
    def forward(
        ctx: Any,
        hidden: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        targets: torch.Tensor,
        temperature: float,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """hidden (N, W), weight (V, W), bias (V,), targets (N,) to logprobs (N,) and entropies (N,), float32 or better."""
        kind = hidden.device.type
        dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else hidden.dtype
        ctx.set_materialize_grads(False)
        ctx.temperature = temperature
        found = []
        with torch.autocast(kind, enabled=False):
            narrow = weight.to(dtype)
            for rows in _chunks(hidden, weight):
                logits = _logits(hidden[rows], narrow, bias, temperature)
                normaliser = logits.logsumexp(dim=-1)
                logprobs = logits.sub_(normaliser[:, None])  # (n, V)
                chosen = logprobs.gather(-1, targets[rows, None]).squeeze(-1)
                entropy = -logprobs.exp().mul_(logprobs).sum(dim=-1)
                found.append((chosen, entropy, normaliser))
        logprobs, entropy, normaliser = (torch.cat(parts) for parts in zip(*found, strict=True))
        ctx.save_for_backward(hidden, weight, bias, targets, entropy, normaliser)
        ctx.narrow = dtype
        return logprobs, entropy

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor | None, of_entropy: torch.Tensor | None) -> tuple[Any, ...]:
        hidden, weight, bias, targets, entropy, normaliser = ctx.saved_tensors
        narrow = weight.to(ctx.narrow)
        of_hidden = torch.empty_like(hidden)
        of_weight = torch.zeros_like(weight) if ctx.needs_input_grad[1] else None
        of_bias = None if bias is None else torch.zeros_like(bias)
        for rows in _chunks(hidden, weight):
            logprobs = _logits(hidden[rows], narrow, bias, ctx.temperature).sub_(normaliser[rows, None])  # (n, V)
            shares = logprobs.exp()
            if of_entropy is None:
                of_logits = shares
                of_logits.mul_(0.0 if grad is None else -grad[rows, None])
            else:
                scale = -of_entropy[rows, None] * (logprobs + entropy[rows, None])
                of_logits = shares.mul_(scale if grad is None else scale - grad[rows, None])
            if grad is not None:
                of_logits.scatter_add_(-1, targets[rows, None], grad[rows, None])
            of_logits.div_(ctx.temperature)
            if of_bias is not None:
                of_bias += of_logits.sum(dim=0)
            of_logits = of_logits.to(ctx.narrow)
            of_hidden[rows] = of_logits @ narrow
            if of_weight is not None:
                of_weight += of_logits.mT @ hidden[rows].to(ctx.narrow)
        return of_hidden, of_weight, of_bias, None, None


def _chunks(hidden: torch.Tensor, weight: torch.Tensor) -> list[slice]:
    step = max(1, LOGITS_AT_ONCE // len(weight))
    return [slice(start, start + step) for start in range(0, len(hidden), step)]


def _logits(hidden: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, temperature: float) -> torch.Tensor:
    """Logits (n, V) in float32 or better, divided by the temperature. weight: in the type that is multiplied in."""
    logits = F.linear(hidden.to(weight.dtype), weight, None if bias is None else bias.to(weight.dtype))
    return logits.to(torch.promote_types(logits.dtype, torch.float32)).div_(temperature)


_plain_heads: WeakKeyDictionary[torch.nn.Module, bool] = WeakKeyDictionary()
_probing = threading.Lock()


def _has_plain_head(model: PreTrainedModel) -> bool:
    """Whether the model's logits are its output embeddings times the last hidden state, and nothing else.

    Found out once a model: it is given large hidden states in the place of its trunk's, so that a cap or a scale would show.
    """
    with _probing:
        if model not in _plain_heads:
            _plain_heads[model] = _probe_head(model)
        return _plain_heads[model]


@torch.no_grad()
def _probe_head(model: Any) -> bool:
    if not isinstance(model, PreTrainedModel) or model.base_model is model:
        return False
    head = model.get_output_embeddings()
    if type(head) is not torch.nn.Linear:
        return False
    weight = head.weight
    noise = torch.randn(1, 8, weight.shape[1], generator=torch.Generator().manual_seed(0))
    hidden = (100 * noise / weight.float().std().cpu()).to(weight)
    replaced = []

    def replace(_module: torch.nn.Module, _inputs: object, output: Any) -> Any:
        if isinstance(getattr(output, "last_hidden_state", None), torch.Tensor):
            replaced.append(True)
            output.last_hidden_state = hidden
        return output

    hook = model.base_model.register_forward_hook(replace)
    try:
        with torch.autocast(weight.device.type, enabled=False):
            ids = torch.zeros(1, hidden.shape[1], dtype=torch.int64, device=weight.device)
            logits = model(input_ids=ids, use_cache=False).logits
            return bool(replaced) and logits.shape[-1] == len(weight) and torch.allclose(logits, head(hidden))
    finally:
        hook.remove()
