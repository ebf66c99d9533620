"""``rlvr rl`` as it is, through its command line; only its source waits to be told before each step.

Arguments: MODEL SHORT_TENTHS NEW_TOKENS RATE FOLDER. A turn is a whole round of the training loop: sampling, scoring, advantages,
the update, the identity check, and writing metrics and rollouts.
"""

import json
import sys
from pathlib import Path

import yaml

from bench.worker import Turns
from bench.works import GROUP, PROBLEMS, answer_tokens, questions
from rlvr import cli
from rlvr.stages import rl
from rlvr.stages.rollouts import Rollouts
from rlvr.types import StepData

MANY = 1_000_000


def main() -> None:
    """Write the configuration and run it."""
    model, tenths, new, rate, path = sys.argv[1:]
    short_tenths, folder, turns = int(tenths), Path(path), Turns()
    expected = answer_tokens(short_tenths, int(new))

    class Paced(Rollouts):
        """Rollouts that begin when told."""

        def next_step(self, step: int) -> StepData:
            """See Rollouts; the step before is told of first."""
            tokens = sum(len(completion.token_ids) for completion in self.newest)
            assert tokens in (0, expected), f"{expected} tokens were expected, not {tokens}"
            turns.wait(tokens)
            return super().next_step(step)

    rl.Rollouts = Paced  # type: ignore[attr-defined]
    problems = folder / "problems.jsonl"
    problems.write_text("".join(json.dumps(row) + "\n" for row in questions(short_tenths)))
    config = folder / "rl.yaml"
    config.write_text(yaml.safe_dump(configuration(model, str(problems), int(new), float(rate))))
    sys.argv = ["rlvr", "rl", str(config), "--run", str(folder / "run")]
    cli.main()


def configuration(model: str, problems: str, new: int, rate: float) -> dict[str, object]:
    """What the run is told; all else is as the program has it."""
    return {
        "model": model,
        "task": {"name": "problems", "path": problems, "test_fraction": 0.0},
        "reward": {"number": 1.0},
        "rollout": {"group_size": GROUP, "problems_per_step": PROBLEMS, "max_new_tokens": new},
        "algo": {"preset": "reinforce", "drop_zero_variance": False},
        "train": {"max_steps": MANY, "learning_rate": rate, "save_every": MANY},
        "seed": 0,
    }


if __name__ == "__main__":
    main()
