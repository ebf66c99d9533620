"""One RL step: ``rlvr rl`` beside TRL's GRPOTrainer, each a process of its own, in turn, in one run.

Usage: bench_rl.py [--works equal,skewed] [--rounds 5] [--threads N] [--trl-python PATH]

Both train the same tiny Llama (4 layers × 128, 49 tokens, float32) on 32 problems × 8 completions of up to 64 tokens:
equal    every completion has 64 tokens
skewed   the answers to 29 problems end after 3 tokens, those to 3 have 64

What makes the sides equal:
- The whole step is timed, from the moment that it is told to begin until the next could begin: drawing problems, sampling, rewards,
  advantages, one optimizer update on all 256 completions, metrics. Ours is the command ``rlvr rl`` with a source that waits; it also checks that
  the sampler was the trained policy and writes rollouts to disk. TRL's is ``GRPOTrainer.train`` with a callback that waits. Files of both go to a
  temporary folder, and neither saves checkpoints.
- Model and tokenizer: one directory for both. Lengths come from its weights (``bench.tiny``), so both end rows in the same way, by the same
  token; each side checks how many tokens it got. min_new_tokens is not needed and not set. Half of the answers are right by chance.
- Both: float32, temperature 1, no top-k or top-p, rewards by the last number of the text, advantages within the group, none dropped, one
  update a batch, no KL term and no reference model, AdamW, constant learning rate 1e-6 (lengths stay what they are), no weight decay,
  gradient norm clipped at 1.
- TRL: the batch trained in one piece and no gradient checkpointing, though that is its default: it only takes time here.
  Ours: train.micro_batch_tokens as by default. TRL's sampling is transformers' generate; its vLLM mode needs a GPU.
- Threads: torch's default of all cores on each side, or --threads (OMP_NUM_THREADS); OMP_WAIT_POLICY is passive unless it is set. A
  side that is not asked is stopped. A first step on each side is not counted.

Peak memory is Linux' high-water mark of resident memory (VmHWM) of a side's processes added up, what Python and its libraries take included.
Tokens/s are tokens of completions. The share of the limit: the operations that sampling (each prompt read once) and training need in matrix
products and attention (``bench.arithmetic``), divided by the median rate of products of 2048 × 2048 in float32, measured in the same rounds, and by
the side's median time.
"""

import argparse
import tempfile
from pathlib import Path

import torch
from bench.arithmetic import cost
from bench.matmul import operations_a_second
from bench.rounds import Contender, Measured, alternate, chosen, head, mib, program, row, running, warm_up
from bench.tiny import make_tiny
from bench.works import GROUP, PROBLEMS, SHORT, answer_tokens, is_short, questions

RATE = "1e-6"
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
"""Where both sides compute by themselves."""
TENTHS = {"equal": 0, "skewed": 9}
"""Of ten problems, how many have short answers."""


def main() -> None:
    """Measure what is asked for."""
    options = _parser().parse_args()
    head(["work", "side", "s a step", "fastest to slowest", "× ours", "tokens/s", "peak MiB", "share of the limit"])
    with tempfile.TemporaryDirectory() as name:
        model = make_tiny(Path(name) / "tiny")
        for work in options.works:
            compare(work, model, Path(name) / work, options)


def compare(work: str, model: str, folder: Path, options: argparse.Namespace) -> None:
    """Measure both sides on one work and print a row of the table for each."""
    tenths, new = TENTHS[work], options.new_tokens
    contenders = [Contender(name="rlvr rl", module="ours_rl", arguments=_told(model, tenths, new, folder / "ours"))]
    if options.trl_python:
        told = _told(model, tenths, new, folder / "trl")
        contenders.append(
            Contender(name="TRL GRPOTrainer", module="peer_trl", python=options.trl_python, arguments=told)
        )
    limit = Contender(name="matrix products", module="matmul", arguments=("float32", DEVICE))
    with running([*contenders, limit], options.threads) as sides:
        warm_up(sides, "")
        *found, products = alternate(sides, "", options.rounds)
    rate = operations_a_second(products)
    least = operations(model, tenths, new) / rate
    for contender, each in zip(contenders, found, strict=True):
        row(_cells(work, contender.name, each, found[0], least))
    tokens = f"{answer_tokens(tenths, new) / least:,.0f}"
    row([work, f"limit: {rate / 1e9:,.0f} GFLOP/s", f"{least:.3f}", "", "", tokens, "", "1"])


def operations(model: str, tenths: int, new: int) -> float:
    """What one step needs in matrix products and attention."""
    prompts = [len(each["question"]) for each in questions(tenths)]
    lengths = [SHORT if is_short(row, tenths) else new for row in range(PROBLEMS)]
    each = cost(model)
    sampling = each.sampling(prompts, [[length] * GROUP for length in lengths])
    return sampling + sum(GROUP * each.update(prompt, length) for prompt, length in zip(prompts, lengths, strict=True))


def _cells(work: str, side: str, found: Measured, base: Measured, least: float) -> list[str]:
    """A row of the table. least: seconds that the arithmetic alone takes."""
    return [
        work,
        side,
        f"{found.median:.3f}",
        f"{min(found.seconds):.3f} to {max(found.seconds):.3f}",
        f"{found.median / base.median:.2f}",
        f"{found.tokens[0] / found.median:,.0f}",
        mib(found.peak_mib),
        f"{least / found.median:.3f}",
    ]


def _told(model: str, tenths: int, new: int, folder: Path) -> tuple[str, ...]:
    """The arguments of a side, and its folder."""
    folder.mkdir(parents=True)
    return (model, str(tenths), str(new), RATE, str(folder))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(usage=(__doc__ or "").partition("Usage: ")[2].partition("\n\n")[0])
    parser.add_argument("--works", type=chosen(*TENTHS), default=list(TENTHS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--trl-python", type=program)
    parser.add_argument("--new-tokens", type=int, default=64)
    return parser


if __name__ == "__main__":
    main()
