"""The log-probability of each token: the one place that shifts logits against tokens."""

import torch
from transformers import PreTrainedModel

from rlvr.types import Batch


def token_logprobs(
    model: PreTrainedModel, batch: Batch, temperature: float = 1.0, *, entropy_gradient: bool = False
) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probability of every trained token, and the entropy of the distribution it was drawn from.

    batch: B rows of L tokens. temperature: logits are divided by it, in float32 or better.
    Returns (logprobs, entropy), each (N,) over the N True places of ``batch.loss_mask`` in row-major order;
    logprobs carry gradients to the model, entropy (nats) only with entropy_gradient.
    """
    # Logits are asked for only from the position before the first trained column on.
    columns = batch.loss_mask.any(dim=0)
    first = int(columns.to(torch.uint8).argmax())
    keep = batch.input_ids.shape[1] - first + 1
    logits = model(
        input_ids=batch.input_ids, attention_mask=batch.attention_mask, use_cache=False, logits_to_keep=keep
    ).logits  # (B, keep, V): the logits at position i are for token i + 1
    mask = batch.loss_mask[:, first:]  # (B, keep - 1)
    chosen = logits[:, :-1][mask]
    chosen = chosen.to(torch.promote_types(chosen.dtype, torch.float32)) / temperature  # (N, V)
    targets = batch.input_ids[:, first:][mask]  # (N,)
    logprobs = torch.log_softmax(chosen, dim=-1)
    with torch.set_grad_enabled(entropy_gradient and torch.is_grad_enabled()):
        entropy = -(logprobs.exp() * logprobs).sum(dim=-1)
    return logprobs.gather(-1, targets[:, None]).squeeze(-1), entropy
