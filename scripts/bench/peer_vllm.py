"""vLLM's offline engine on a work, in an environment that has vLLM. Arguments: MODEL DTYPE.

A work that is not forced ends at the stop token, as on every side. Prefixes are not cached: a round that found the last one's
prompts read already would not do the same work. The model is compiled, as vLLM does by default. Threads: left to itself, vLLM keeps a core for its
scheduler, which is half of a small machine; here it computes on as many as the other sides. What is set in the environment stays.
"""

import os
import sys

from bench.worker import Turns
from bench.works import prompts, read_work

KV_CACHE_GIB = "1"


def main() -> None:
    """Load the model, then generate what is told."""
    turns = Turns()  # before vLLM writes to standard output
    path, dtype = sys.argv[1:]
    given = {
        "VLLM_CPU_KVCACHE_SPACE": KV_CACHE_GIB,
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "OMP_NUM_THREADS": str(len(os.sched_getaffinity(0))),
        "VLLM_LOGGING_LEVEL": "ERROR",
    }
    os.environ.update({name: os.environ.get(name, value) for name, value in given.items()})
    from vllm import LLM, SamplingParams

    llm = LLM(path, dtype=dtype, max_model_len=512, max_num_seqs=256, enable_prefix_caching=False)
    line = turns.wait()
    while True:
        work = read_work(line)
        least = work.new_tokens if work.forced else 0
        params = SamplingParams(
            temperature=1.0, max_tokens=work.new_tokens, min_tokens=least, ignore_eos=work.forced, detokenize=False
        )
        rows = [{"prompt_token_ids": prompt} for prompt in prompts(work)]
        outputs = llm.generate(rows, params, use_tqdm=False)
        lengths = [len(output.outputs[0].token_ids) for output in outputs]
        assert lengths == work.lengths(), f"other lengths than expected: {lengths}"
        line = turns.wait(sum(lengths))


if __name__ == "__main__":
    main()
