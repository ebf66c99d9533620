"""Seconds and memory of one update by our batches and by rows padded to one length, each in a process of its own.

Usage: bench_update.py [RUNS=5] [BUDGET=8192] [WORKS=equal,skewed,uniform,long]

A Llama of 4 layers × 128 with 49 tokens, 256 completions in groups of 8. Padded: one batch with an attention mask and logits of
every completion's places, as trainers that pad do; the loss and the optimizer are the same. Memory is the process's
largest, less what it had before the first update.
"""

import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import torch
from bench.tiny import make_tiny
from transformers import AutoModelForCausalLM

from rlvr.config import AlgoConfig
from rlvr.data.batching import to_batches
from rlvr.train.losses import policy_loss
from rlvr.types import Sample

CPU = torch.device("cpu")
GROUPS, SIZE, LONGEST = 32, 8, 64
WORKS: dict[str, tuple[int, Callable[[Random, int], int]]] = {
    "equal": (16, lambda _rng, _index: LONGEST),
    "skewed": (16, lambda _rng, index: 3 if index % 10 else LONGEST),
    "uniform": (16, lambda rng, _index: rng.randint(1, LONGEST)),
    "long": (200, lambda _rng, _index: LONGEST),
}
"""Tokens of the prompt, and of the completion by its number."""


def main() -> None:
    if len(sys.argv) > 4:
        print(measure(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
        return
    defaults = ["5", "8192", ",".join(WORKS)]
    runs, budget, works = [*sys.argv[1:], *defaults[len(sys.argv) - 1 :]]
    print("| work | batches | seconds, median | processor seconds | MiB |\n|---|---|---|---|---|")
    for work in works.split(","):
        for kind in ("padded", "ours"):
            command = [sys.executable, __file__, work, kind, runs, budget]
            found = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
            print(f"| {work} | {kind} | {found} |", flush=True)


def measure(work: str, kind: str, runs: int, budget: int) -> str:
    """Median seconds, median processor seconds and MiB of an update, as cells of a table."""
    model, rows = tiny_model(), samples(work)
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    backward = {"padded": padded, "ours": ours}[kind]
    before, walls, loads = peak(), [], []
    for _ in range(runs + 1):  # the first warms up
        wall, load = time.perf_counter(), time.process_time()
        optimizer.zero_grad()
        backward(model, rows, budget)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        walls.append(time.perf_counter() - wall)
        loads.append(time.process_time() - load)
    return f"{statistics.median(walls[1:]):.2f} | {statistics.median(loads[1:]):.2f} | {peak() - before:.0f}"


def tiny_model() -> torch.nn.Module:
    """The tiny Llama of the other benchmarks."""
    with tempfile.TemporaryDirectory() as folder:
        model: torch.nn.Module = AutoModelForCausalLM.from_pretrained(make_tiny(Path(folder)))
        return model


def samples(work: str) -> list[Sample]:
    """Random tokens, with advantages of 1 and -1."""
    rng, (prompt_tokens, length_of), found = Random(0), WORKS[work], []
    for index in range(GROUPS * SIZE):
        if index % SIZE == 0:
            prompt = [rng.randrange(4, 40) for _ in range(prompt_tokens)]
        nothing, length = [0.0] * prompt_tokens, length_of(rng, index)
        found.append(
            Sample(
                token_ids=prompt + [rng.randrange(4, 40) for _ in range(length)],
                loss_mask=[False] * prompt_tokens + [True] * length,
                advantages=nothing + [rng.choice([-1.0, 1.0])] * length,
                old_logprobs=nothing + [-3.9] * length,
            )
        )
    return found


def ours(model: torch.nn.Module, rows: list[Sample], budget: int) -> None:
    """The gradient of the mean over tokens, as the loop makes it."""
    loss, count = policy_loss(AlgoConfig.model_validate({}), 1.0), sum(sum(row.loss_mask) for row in rows)
    for batch in to_batches(rows, budget=budget, pad_id=0, device=CPU):
        (loss(model, batch).loss_sum / count).backward()


def padded(model: torch.nn.Module, rows: list[Sample], _budget: int) -> None:
    """The same from one batch of rows of one length."""
    longest = max(len(row.token_ids) for row in rows)

    def filled(values: list[list[float]] | list[list[int]]) -> torch.Tensor:
        return torch.tensor([[*each, *[0] * (longest - len(each))] for each in values])

    ids, trained = filled([row.token_ids for row in rows]), filled([[int(x) for x in row.loss_mask] for row in rows])
    real, advantages = (
        filled([[1] * len(row.token_ids) for row in rows]),
        filled([row.advantages or [] for row in rows]),
    )
    first = int(trained.any(dim=0).to(torch.uint8).argmax())
    logits = model(input_ids=ids, attention_mask=real, use_cache=False, logits_to_keep=longest - first + 1).logits
    logprobs = torch.log_softmax(logits[:, :-1], dim=-1).gather(-1, ids[:, first:, None]).squeeze(-1)
    (-(logprobs * advantages[:, first:] * trained[:, first:]).sum() / trained.sum()).backward()


def peak() -> float:
    """The most memory (MiB) that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
