"""Useful tokens a second of our engine and of transformers' generate, alternating in one run.

Usage: bench_rollout.py [ROWS=256] [NEW_TOKENS=64] [RUNS=5]

A Llama of 4 layers × 128 with random weights and 49 tokens; prompts of 16 tokens. Equal: every row writes NEW_TOKENS tokens.
Skewed: nine rows in ten end after 3 tokens and one after NEW_TOKENS. Seeds whose rows end there are looked for beforehand;
generate decodes its batch until the longest row is done, as trainers that call it do, and only useful tokens count.
"""

import statistics
import sys
import time
from collections.abc import Callable, Sequence

import torch
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

from rlvr.rollout import ENGINES
from rlvr.types import Completion, Request, Sampling, StopReason

STOPS, PAD = [2, 3], 0
SHORT = 3


def main() -> None:
    rows, new, runs = (int(given) for given in [*sys.argv[1:], *["256", "64", "5"][len(sys.argv) - 1 :]])
    model = tiny_model()
    prompts = torch.randint(4, 40, (rows, 16), generator=torch.Generator().manual_seed(0)).tolist()
    equal = [Request(prompt_ids=prompt, seeds=[index]) for index, prompt in enumerate(prompts)]
    skewed = skewed_requests(model, prompts, new)
    print("| work | engine | tokens/s, median | slowest to fastest | × transformers.generate |")
    print("|---|---|---|---|---|")
    report("equal", model, equal, Sampling(max_new_tokens=new, min_new_tokens=new), runs)
    report("skewed", model, skewed, Sampling(max_new_tokens=new, min_new_tokens=SHORT - 1), runs)


def report(name: str, model: LlamaForCausalLM, requests: list[Request], sampling: Sampling, runs: int) -> None:
    """Measure all on one work, one after the other in each round, and print a row of the table for each."""
    useful = sum(len(completion.token_ids) for completion in sample(model, "native", requests, sampling))
    works: dict[str, Callable[[], object]] = {
        "transformers.generate": lambda: generate(model, requests, sampling.max_new_tokens),
        "native": lambda: sample(model, "native", requests, sampling),
    }
    times: dict[str, list[float]] = {engine: [] for engine in works}
    for _ in range(runs + 1):  # the first round warms up
        for engine, work in works.items():
            start = time.perf_counter()
            work()
            times[engine].append(time.perf_counter() - start)
    base = statistics.median(times["transformers.generate"][1:])
    for engine in works:
        measured = times[engine][1:]
        median = statistics.median(measured)
        rates = f"{useful / max(measured):,.0f} to {useful / min(measured):,.0f}"
        print(f"| {name} | {engine} | {useful / median:,.0f} | {rates} | {base / median:.1f} |", flush=True)


def skewed_requests(model: LlamaForCausalLM, prompts: list[list[int]], new: int) -> list[Request]:
    """For each prompt a seed with which it ends where it should: every tenth at ``new`` tokens, the others at SHORT."""
    chosen: dict[int, Request] = {}
    for longest in (SHORT, new):
        wanted = [index for index in range(len(prompts)) if (index % 10 == 0) == (longest == new)]
        first = 0
        while missing := [index for index in wanted if index not in chosen]:
            tries = [Request(prompt_ids=prompts[index], seeds=list(range(first, first + 64))) for index in missing]
            found = sample(model, "native", tries, Sampling(max_new_tokens=longest, min_new_tokens=SHORT - 1))
            for number, completion in enumerate(found):
                whole = len(completion.token_ids) == longest
                if whole and (completion.stop_reason is StopReason.STOP) == (longest == SHORT):
                    seed = first + number % 64
                    chosen[missing[number // 64]] = Request(prompt_ids=completion.prompt_ids, seeds=[seed])
            first += 64
    return [chosen[index] for index in range(len(prompts))]


def tiny_model() -> LlamaForCausalLM:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=49,
        hidden_size=128,
        intermediate_size=512,
        num_hidden_layers=4,
        num_attention_heads=4,
        max_position_embeddings=512,
        bos_token_id=1,
        eos_token_id=STOPS[0],
        pad_token_id=PAD,
    )
    return LlamaForCausalLM(config).eval()


def sample(model: LlamaForCausalLM, name: str, requests: list[Request], sampling: Sampling) -> list[Completion]:
    """The completions of all requests, in order."""
    told: dict[int, Sequence[Completion]] = {}
    engine = ENGINES[name](model, stop_ids=STOPS, pad_id=PAD, batch_size=max(256, len(requests)))
    engine.generate(requests, sampling, told.__setitem__)
    return [completion for index in range(len(requests)) for completion in told[index]]


@torch.inference_mode()
def generate(model: LlamaForCausalLM, requests: list[Request], new: int) -> None:
    """All rows, ``new`` tokens each."""
    prompts = torch.tensor([request.prompt_ids for request in requests])
    settings = GenerationConfig(
        do_sample=True, top_k=0, min_new_tokens=new, max_new_tokens=new, pad_token_id=PAD, eos_token_id=STOPS
    )
    model.generate(prompts, attention_mask=torch.ones_like(prompts), generation_config=settings)


if __name__ == "__main__":
    main()
