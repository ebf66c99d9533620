"""The gradient of an update's loss, one batch after the other or several side by side."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import torch
from transformers import PreTrainedModel

from rlvr.models.trunk import takes_threads
from rlvr.runtime.device import openmp_sleeps
from rlvr.runtime.threads import CACHED_BYTES, Tell, deal, most_workers, side_by_side
from rlvr.types import Batch, LossOutput

Forward = Callable[[Batch], LossOutput]


def gradient_workers(model: PreTrainedModel, companion: torch.nn.Module | None = None) -> int:
    """On how many threads the batches of an update are worked through.

    Several for a model whose products are so small that waking OpenMP's sleeping threads for each takes longer than it saves;
    a gradient for each thread is then little memory. Where they spin instead, one batch after the other is as fast.
    """
    modules = [model] if companion is None else [model, companion]
    size = sum(each.numel() * each.element_size() for module in modules for each in module.parameters())
    few = openmp_sleeps() and size <= CACHED_BYTES and takes_threads(model)
    return most_workers(model.device) if few else 1


def leave_gradient(
    forward: Forward,
    batches: Sequence[Batch],
    divisor: float,
    *,
    model: PreTrainedModel,
    companion: torch.nn.Module | None,
    check: Callable[[], None],
) -> LossOutput:
    """Leave the gradient of the batches' losses, added and divided, in parameters that have none yet; the added outputs.

    Batches are dealt to threads and their gradients added in an order that depends on their number and size alone, so the same
    batches on as many threads give the same bits. check: called before or after each batch, may raise.
    """
    workers = min(len(batches), gradient_workers(model, companion))
    if workers == 1:
        return _added([_backward(forward, batch, divisor, check) for batch in batches])
    parameters = _trained(model, companion)
    totals: list[list[torch.Tensor | None]] = [[None] * len(parameters) for _ in range(workers)]
    outputs: dict[int, LossOutput] = {}

    def told(index: int, output: LossOutput) -> None:
        outputs[index] = output
        check()

    def work(part: list[int], total: list[torch.Tensor | None], tell: Tell) -> None:
        for index in part:
            output = forward(batches[index])
            found = torch.autograd.grad(output.loss_sum / divisor, parameters, allow_unused=True)
            _add(total, found)
            tell(index, _detached(output))

    parts = deal([batch.loss_mask.numel() for batch in batches], workers)
    works = [partial(work, part, total) for part, total in zip(parts, totals, strict=True)]
    side_by_side(works, told, openmp=max(1, torch.get_num_threads() // workers))
    for total in totals[1:]:
        _add(totals[0], total)
    for parameter, gradient in zip(parameters, totals[0], strict=True):
        parameter.grad = gradient
    return _added([outputs[index] for index in range(len(batches))])


def _trained(model: torch.nn.Module, companion: torch.nn.Module | None) -> list[torch.nn.Parameter]:
    modules = [model] if companion is None else [model, companion]
    return [each for module in modules for each in module.parameters() if each.requires_grad]


def _backward(forward: Forward, batch: Batch, divisor: float, check: Callable[[], None]) -> LossOutput:
    """Add a batch's gradient to what the parameters have."""
    check()
    output = forward(batch)
    (output.loss_sum / divisor).backward()  # type: ignore[no-untyped-call]
    return _detached(output)


def _add(total: list[torch.Tensor | None], more: Sequence[torch.Tensor | None]) -> None:
    """Add gradients to a total, in place; a parameter that has none yet takes what comes."""
    for index, gradient in enumerate(more):
        if gradient is not None:
            own = total[index]
            # A copy, since autograd may give two parameters the same tensor.
            total[index] = gradient.clone() if own is None else own.add_(gradient)


def _detached(output: LossOutput) -> LossOutput:
    return replace(output, loss_sum=output.loss_sum.detach())


def _added(outputs: Sequence[LossOutput]) -> LossOutput:
    """Sums added up, in order, and the largest of maxima; a maximum that is not a number stays."""
    loss_sum = outputs[0].loss_sum
    sums, maxima = dict(outputs[0].sums), dict(outputs[0].maxima)
    for output in outputs[1:]:
        loss_sum = loss_sum + output.loss_sum
        for name, value in output.sums.items():
            sums[name] = sums[name] + value if name in sums else value
        for name, value in output.maxima.items():
            maxima[name] = torch.maximum(maxima[name], value) if name in maxima else value
    return LossOutput(loss_sum=loss_sum, sums=sums, maxima=maxima)
