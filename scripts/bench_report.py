"""The report of a long run: time, memory and size of ``rlvr report``.

Usage: bench_report.py [--steps 2000] [--problems 64] [--group 8] [--tokens 24] [--evaluations 20] [--rounds 3] [--folder DIR]

Writes a run directory of RL as the commands write it, with every step's rollouts saved with all that a rollout has: by default a million rollouts,
about 1.2 GB, removed afterwards. The numbers in it are made up, but move as a run's do: a mode takes over, rewards rise, entropy falls. Then
``rlvr report`` is started so many times, each in a process of its own; what the system caches of the files is as it comes, so the first
round may read from the disk.

Peak memory is the process's high-water mark of resident memory, what Python and its libraries take included (ru_maxrss).
"""

import argparse
import json
import math
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit

LIMITS = {"seconds": 10.0, "peak MiB": 1024.0, "report MB": 5.0}
"""What a report of the default size may take."""
WORDS = 30_000
"""Of the vocabulary."""
DISTINCT = 200
"""Rollouts of each kind that differ in their tokens; the others repeat them under other problems."""
CONFIG = """\
seed: 1
device: auto
model: {folder}/model
task: {{name: modsum, modulus: 2, length: 16}}
reward: {{exact: 1.0}}
rollout: {{engine: native, max_new_tokens: {tokens}, temperature: 1.0, group_size: {group}, problems_per_step: {problems}, save_every: 1}}
algo: {{preset: grpo}}
train: {{max_steps: {steps}, learning_rate: 0.0001, optimizer: adamw}}
eval: {{every: {every}, problems: 256, samples: 1}}
"""


def main() -> None:
    """Make the run, report on it, and print what that took."""
    options = _parser().parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        run = Path(name) / "long"
        size = make(run, options)
        found = [reported(run, Path(name) / f"report{number}") for number in range(options.rounds)]
    rollouts = options.steps * options.problems * options.group
    print(
        f"{options.steps:,} steps, {rollouts:,} rollouts, {size / 1e6:,.0f} MB of rollouts, {options.rounds} rounds\n"
    )
    print("| of `rlvr report` | median | least to most | at most |")
    print("|---|---|---|---|")
    for column, limit in LIMITS.items():
        values = [each[column] for each in found]
        spread = f"{min(values):,.2f} to {max(values):,.2f}"
        print(f"| {column} | {statistics.median(values):,.2f} | {spread} | {limit:,.0f} |")


def reported(run: Path, folder: Path) -> dict[str, float]:
    """What one report took: seconds, MiB at its peak, and MB of the file."""
    folder.mkdir()
    begin = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "rlvr", "report", str(run), "--out", str(folder / "report.html")])
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begin
    process.returncode = os.waitstatus_to_exitcode(status)  # it is known here that it has ended
    if process.returncode != 0:
        raise SystemExit(f"rlvr report ended with exit code {process.returncode}")
    peak = usage.ru_maxrss / (1024 if sys.platform != "darwin" else 1024**2)
    return {"seconds": seconds, "peak MiB": peak, "report MB": (folder / "report.html").stat().st_size / 1e6}


def make(run: Path, options: argparse.Namespace) -> int:
    """Write the run directory; returns the bytes of its rollouts."""
    random.seed(0)
    (run / "rollouts").mkdir(parents=True)
    every = max(1, options.steps // options.evaluations)
    asked = {name: getattr(options, name) for name in ("steps", "problems", "group", "tokens")}
    (run / "config.yaml").write_text(CONFIG.format(folder=run.parent, every=every, **asked))
    (run / "environment.json").write_text(json.dumps({"python": "3", "device": "cpu", "seed": 1, "versions": {}}))
    checkpoint = run / "checkpoints" / f"step_{options.steps:06d}"
    checkpoint.mkdir(parents=True)
    tokenizer = Tokenizer(WordLevel({f"word{number}": number for number in range(WORDS)}, "word0"))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    tokenizer.save(str(checkpoint / "tokenizer.json"))
    notes, size = [], 0
    with (run / "metrics.jsonl").open("w") as metrics:
        kinds = {mode: [_rollout(mode, options.tokens) for _ in range(DISTINCT)] for mode in ("direct", "cot")}
        for step in range(1, options.steps + 1):
            chance = 1 / (1 + math.exp(4 - 8 * step / options.steps))
            metrics.write(json.dumps(_row(step, chance, evaluated=step % every == 0)) + "\n")
            text = _step(step, chance, kinds, options)
            size += (run / "rollouts" / f"step_{step:06d}.jsonl").write_text(text)
            if step % every == 0:
                notes.append({"step": step, "kind": "decided", "sentence": f"At step {step} most groups are decided."})
    (run / "explanations.jsonl").write_text("".join(json.dumps(note) + "\n" for note in notes))
    return size


def _step(step: int, chance: float, kinds: dict[str, list[str]], options: argparse.Namespace) -> str:
    """The rollouts of a step as lines."""
    lines = []
    for problem in range(step * options.problems, (step + 1) * options.problems):
        for _ in range(options.group):
            line = random.choice(kinds["cot" if random.random() < chance else "direct"])
            lines.append(line.replace("@index@", str(problem), 1).replace("@question@", f"0 1 1 0 {problem} =", 1))
    return "".join(lines)


def _rollout(mode: str, tokens: int) -> str:
    """A rollout's line, with its problem left open."""
    count = tokens if mode == "cot" else max(1, tokens // 6)
    correct = random.random() < (0.95 if mode == "cot" else 0.5)
    ids = [random.randrange(WORDS) for _ in range(count)]
    entropies = [round(random.expovariate(5), 6) for _ in range(count)]
    record = {
        "task": "modsum", "split": "train", "index": "@index@", "question": "@question@", "answer": "1", "metadata": {},
        "prompt": "what is the sum of these digits", "completion": " ".join(f"word{each}" for each in ids), "mode": mode,
        "correct": correct, "reward": float(correct), "oracle": float(correct), "rewards": {"exact": float(correct)},
        "reasons": {"exact": "ok" if correct else "wrong"}, "advantage": round(correct - 0.5 + random.gauss(0, 0.1), 6),
        "advantages": None, "trained": True, "stop_reason": "stop", "prompt_ids": list(range(16)), "token_ids": ids,
        "logprobs": [round(-each, 6) for each in entropies], "entropies": entropies,
        "ref_logprobs": [round(-each - random.random() / 9, 6) for each in entropies],
    }  # fmt: skip
    return json.dumps(record).replace('"@index@"', "@index@") + "\n"


def _row(step: int, chance: float, *, evaluated: bool) -> dict[str, Any]:
    """A step's metrics: those that RL writes, and as many again as a longer configuration adds."""

    def near(value: float, noise: float = 0.02) -> float:
        return value + random.gauss(0, noise)

    right = 0.5 + 0.45 * chance
    row = {
        "step": step, "reward/mean": near(right), "reward/exact": near(right), "rollout/length_mean": 4 + 20 * chance,
        "rollout/truncated_fraction": 0.01, "rollout/zero_variance_fraction": chance / 2, "tokens/rollout": 12000,
        "tokens/train": 11000, "length/change": 20 * chance, "length/by_mode": 19 * chance, "length/within_modes": chance,
        "entropy/mean": near(0.4 - 0.3 * chance), "entropy/forks": near(1.2 - 0.8 * chance), "entropy/early": near(0.5),
        "entropy/middle": near(0.3), "entropy/late": near(0.2), "signal/trained": 1 - chance / 2,
        "signal/zero_variance": chance / 2, "signal/zero_advantage": 0.0, "train/loss": near(0.0),
        "train/grad_norm": near(0.3), "train/learning_rate": 1e-4, "train/entropy": near(0.3), "train/nonfinite_steps": 0,
        "train/ratio_mean": 1.0, "train/ratio_max": near(2.0), "train/clip_fraction": 0.02, "train/kl_ref": chance / 9,
        "rollout/logprob_gap_max": 1e-5, "time/rollout_seconds": near(1.0), "time/train_seconds": near(0.8),
        "time/reward_seconds": near(0.2), "time/step_seconds": near(2.2),
    }  # fmt: skip
    for mode, share, accuracy in (("cot", chance, 0.95), ("direct", 1 - chance, 0.5)):
        row |= {
            f"mode/{mode}/probability": share,
            f"mode/{mode}/accuracy": near(accuracy),
            f"mode/{mode}/length_mean": 24.0,
            f"mode/{mode}/advantage": near(accuracy - right),
            f"mode/{mode}/entropy": near(0.3),
        }
    row |= {f"reward/exact/{reason}_fraction": 0.1 for reason in ("ok", "wrong", "missing")}
    row |= {f"task/part{number}/accuracy": near(right) for number in range(20)}
    if evaluated:
        for name, value in (("accuracy", right), ("greedy_accuracy", right), ("mode/cot/probability", chance)):
            row |= {f"eval/modsum/{name}": value, f"eval/modsum/{name}_low": value - 0.05, f"eval/modsum/{name}_high": min(1.0, value + 0.05)}  # fmt: skip
        row |= {"eval/modsum/kl_base": chance / 5, "eval/modsum/problems": 256, "eval/modsum/samples": 1}
    return row


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(usage=(__doc__ or "").partition("Usage: ")[2].partition("\n\n")[0])
    for name, value in (
        ("steps", 2000),
        ("problems", 64),
        ("group", 8),
        ("tokens", 24),
        ("evaluations", 20),
        ("rounds", 3),
    ):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--folder", type=Path)
    return parser


if __name__ == "__main__":
    main()
