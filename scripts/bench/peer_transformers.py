"""transformers' generate on a work, all rows in one call, as trainers that use it do. Arguments: MODEL DTYPE.

A row that ends before the others is padded until the longest is done; only useful tokens count.
"""

import sys
from functools import lru_cache
from typing import Any

import torch
from transformers import AutoModelForCausalLM, GenerationConfig

from bench.worker import serve
from bench.works import PAD, Work, prompts, read_work, stop_ids


def main() -> None:
    """Load the model, then generate what is told."""
    path, dtype = sys.argv[1:]
    model: Any = AutoModelForCausalLM.from_pretrained(path, dtype=getattr(torch, dtype)).eval()
    serve(lambda line: generate(model, read_work(line)))


@torch.inference_mode()
def generate(model: Any, work: Work) -> int:
    """Complete all rows; the useful tokens."""
    ids, stops = given(work), stop_ids(work.model)
    settings = GenerationConfig(
        do_sample=True,
        top_k=0,
        top_p=1.0,
        temperature=1.0,
        max_new_tokens=work.new_tokens,
        min_new_tokens=work.new_tokens if work.forced else None,
        eos_token_id=stops,
        pad_token_id=PAD,
    )
    out = model.generate(ids, attention_mask=torch.ones_like(ids), generation_config=settings)[:, ids.shape[1] :]
    ended = torch.isin(out, torch.tensor(stops))
    lengths = torch.where(ended.any(-1), ended.int().argmax(-1) + 1, out.shape[1]).tolist()
    assert lengths == work.lengths(), f"other lengths than expected: {lengths}"
    return sum(lengths)


@lru_cache(maxsize=2)
def given(work: Work) -> torch.Tensor:
    """The prompts (B, L)."""
    return torch.tensor(prompts(work))


if __name__ == "__main__":
    main()
