"""Useful tokens a second of our engines and of transformers' generate, in one run. Usage: bench_rollout.py [BATCH] [NEW_TOKENS]

A Llama of 4 layers × 128 with random weights and 49 tokens; prompts of 16 tokens, and every row writes NEW_TOKENS tokens.
"""

import statistics
import sys
import time
from collections.abc import Callable

import torch
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

from rlvr.rollout import ENGINES
from rlvr.types import Request, Sampling

STOP, PAD = 2, 0


def main() -> None:
    batch, new = (int(argument) for argument in [*sys.argv[1:3], "256", "64"][:2])
    model = tiny_model()
    prompts = torch.randint(4, 40, (batch, 16), generator=torch.Generator().manual_seed(0))
    fixed = {name: measure(lambda name=name: sample(model, name, prompts, new)) for name in ENGINES}
    fixed["transformers.generate"] = measure(lambda: generate(model, prompts, new))
    for name, seconds in fixed.items():
        print(f"fixed, {batch} × {new} tokens: {name} {batch * new / seconds:,.0f} tokens/s")
    print(f"fixed: native is {fixed['transformers.generate'] / fixed['native']:.1f} × transformers.generate")


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
        eos_token_id=STOP,
        pad_token_id=PAD,
    )
    return LlamaForCausalLM(config).eval()


def sample(model: LlamaForCausalLM, name: str, prompts: torch.Tensor, new: int) -> None:
    engine = ENGINES[name](model, stop_ids=[STOP], pad_id=PAD, batch_size=len(prompts))
    requests = [Request(prompt_ids=row, seeds=[index]) for index, row in enumerate(prompts.tolist())]
    engine.generate(requests, Sampling(max_new_tokens=new, min_new_tokens=new), lambda _index, _completions: None)


@torch.inference_mode()
def generate(model: LlamaForCausalLM, prompts: torch.Tensor, new: int) -> None:
    settings = GenerationConfig(
        do_sample=True, top_k=0, min_new_tokens=new, max_new_tokens=new, pad_token_id=PAD, eos_token_id=STOP
    )
    model.generate(prompts, attention_mask=torch.ones_like(prompts), generation_config=settings)


def measure(work: Callable[[], None]) -> float:
    """The median of three runs after one that warms up, in seconds."""
    work()
    times = []
    for _ in range(3):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


if __name__ == "__main__":
    main()
