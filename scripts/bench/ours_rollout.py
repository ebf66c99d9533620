"""Our engine on a work. Arguments: ENGINE MODEL DTYPE DEVICE, where DTYPE may be autocast: float32 weights, arithmetic in bfloat16,
as ``train.dtype: bfloat16`` has it. What is timed is one ``Engine.generate``, log-probabilities and entropies included."""

import sys
from collections.abc import Sequence
from functools import lru_cache

import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from bench.device import peak_mib
from bench.worker import serve
from bench.works import PAD, SHORT, Work, prompts, read_work, stop_ids
from rlvr.rollout import ENGINES
from rlvr.runtime.device import precision
from rlvr.types import Completion, Request, Sampling


def main() -> None:
    """Load the model, then sample what is told."""
    engine, path, dtype, device = sys.argv[1:]
    weights = torch.bfloat16 if dtype == "bfloat16" else torch.float32
    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(path, dtype=weights)
    model = model.to(device).eval()  # type: ignore[arg-type]

    def complete(line: str) -> int:
        work = read_work(line)
        with precision(model.device, "bfloat16" if dtype == "autocast" else "float32"):
            return sample(engine, model, work)

    serve(complete, peak_mib)


def sample(engine: str, model: PreTrainedModel, work: Work) -> int:
    """Complete all rows; the useful tokens."""
    told: dict[int, Sequence[Completion]] = {}
    least = work.new_tokens if work.forced else 0
    sampling = Sampling(max_new_tokens=work.new_tokens, min_new_tokens=least)
    made = ENGINES[engine](model, stop_ids=stop_ids(work.model), pad_id=PAD, batch_size=work.rows)
    made.generate(requests(work), sampling, told.__setitem__)
    lengths = [len(told[row][0].token_ids) for row in range(work.rows)]
    assert lengths == work.lengths(), f"rows of {SHORT} and {work.new_tokens} tokens were expected: {lengths}"
    return sum(lengths)


@lru_cache(maxsize=2)
def requests(work: Work) -> list[Request]:
    """One completion of each prompt."""
    return [Request(prompt_ids=prompt, seeds=[row]) for row, prompt in enumerate(prompts(work))]


if __name__ == "__main__":
    main()
