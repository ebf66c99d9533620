"""transformers' generate on a work, all rows in one call, as trainers that use it do. Arguments: MODEL DTYPE DEVICE CALL.

CALL generate: a row that ends before the others is padded until the longest is done; only useful tokens count.
CALL generate_batch: its continuous batching.
"""

import sys
from functools import lru_cache
from typing import Any

import torch
from transformers import AutoModelForCausalLM, GenerationConfig

from bench.device import peak_mib
from bench.worker import serve
from bench.works import PAD, Work, prompts, read_work, stop_ids


def main() -> None:
    """Load the model, then generate what is told."""
    path, dtype, device, call = sys.argv[1:]
    model: Any = AutoModelForCausalLM.from_pretrained(path, dtype=getattr(torch, dtype))
    model = model.to(device).eval()
    complete = {"generate": generate, "generate_batch": generate_batch}[call]
    serve(lambda line: complete(model, read_work(line)), peak_mib)


@torch.inference_mode()
def generate(model: Any, work: Work) -> int:
    """Complete all rows; the useful tokens."""
    ids, stops = given(work), stop_ids(work.model)
    out = model.generate(ids, attention_mask=torch.ones_like(ids), generation_config=settings(work))[:, ids.shape[1] :]
    ended = torch.isin(out, torch.tensor(stops, device=out.device))
    lengths = torch.where(ended.any(-1), ended.int().argmax(-1) + 1, out.shape[1]).tolist()
    assert lengths == work.lengths(), f"other lengths than expected: {lengths}"
    return sum(lengths)


@lru_cache(maxsize=2)
def given(work: Work) -> torch.Tensor:
    """The prompts (B, L)."""
    return torch.tensor(prompts(work), device=work.device)


def generate_batch(model: Any, work: Work) -> int:
    """Complete all rows as the scheduler has it; the useful tokens."""
    found = model.generate_batch(prompts(work), generation_config=settings(work))
    lengths = [len(found[f"req_{row}"].generated_tokens) for row in range(work.rows)]
    assert lengths == work.lengths(), f"other lengths than expected: {lengths}"
    return sum(lengths)


def settings(work: Work) -> GenerationConfig:
    """Temperature 1, the whole vocabulary, and rows as long as the work has them."""
    return GenerationConfig(
        do_sample=True,
        top_k=0,
        top_p=1.0,
        temperature=1.0,
        max_new_tokens=work.new_tokens,
        min_new_tokens=work.new_tokens if work.forced else None,
        eos_token_id=stop_ids(work.model),
        pad_token_id=PAD,
    )


if __name__ == "__main__":
    main()
