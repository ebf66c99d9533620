"""Compare arms of RL on the quickstart's task over several seeds, and print a table in Markdown.

    .venv/bin/python scripts/experiments.py presets [--seeds 3] [--steps 50] [--out runs/experiments]

Every seed has a base of its own (the quickstart's pretraining and SFT), shared by all arms; every arm sees the same number of
problems and rollouts a step. Runs that are finished are not run again, so it can be interrupted.
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
QUICKSTART = ROOT / "configs" / "quickstart"
RLVR = Path(sys.executable).with_name("rlvr")

T95 = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776, 6: 2.571, 8: 2.365, 10: 2.262}
"""Two-sided 95 % points of Student's t, by the number of seeds."""

Arms = dict[str, list[str]]
TEACHER = "{teacher}"
"""Stands for the model that the first arm made from the same base."""


def presets() -> Arms:
    """Every preset, and what else may stand where a baseline does."""
    names = ("reinforce", "rloo", "grpo", "dr_grpo", "dapo", "gspo", "cispo", "reinforce++", "ppo", "star", "raft")
    return {
        **{name: [f"algo.preset={name}"] for name in names},
        "dapo": ["algo.preset=dapo", "algo.max_refills=2"],  # at most three times the rollouts of the others
        "gspo, clip 0.2": ["algo.preset=gspo", "algo.clip_low=0.2", "algo.clip_high=0.28"],
        "opd": ["algo.preset=opd", f"algo.teacher={TEACHER}"],
        "reinforce, no baseline": ["algo.advantage=reward"],
        "reinforce, running mean": ["algo.advantage=running_mean"],
    }


def staleness() -> Arms:
    """Rollouts of older and older policies, with and without a correction, at two learning rates."""
    arms = {}
    for rate in ("5.0e-4", "2.0e-3"):
        for lag in (0, 4, 16, 64):
            for loss in ("policy_gradient", "truncated", "clipped") if lag else ("policy_gradient",):
                name = f"lr {rate}, staleness {lag}, {loss}"
                arms[name] = [f"train.learning_rate={rate}", f"algo.staleness={lag}", f"algo.loss={loss}"]
    return arms


EXPERIMENTS = {"presets": presets, "staleness": staleness}
MEASURES = {
    "P(cot)": "eval/modsum/mode/cot/probability",
    "accuracy, sampled": "eval/modsum/accuracy",
    "accuracy, greedy": "eval/modsum/greedy_accuracy",
}


def rlvr(stage: str, config: str, run: Path, settings: list[str]) -> None:
    """Run a stage; what it prints is shown only if it fails."""
    options = [part for setting in settings for part in ("--set", setting)]
    command = [str(RLVR), stage, str(QUICKSTART / config), "--run", str(run), *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 3):
        sys.exit(f"{' '.join(command)}\n{done.stderr}")


def base(out: Path, seed: int) -> Path:
    """The model that every arm of a seed starts from."""
    rlvr("pretrain", "pretrain.yaml", out / "base" / f"{seed}" / "pretrain", [f"seed={seed}"])
    sft = out / "base" / f"{seed}" / "sft"
    rlvr("sft", "sft.yaml", sft, [f"seed={seed}", f"model={sft.with_name('pretrain')}"])
    return sft


def measure(name: str, settings: list[str], start: Path, teacher: Path, folder: Path, seed: int, steps: int) -> dict:
    """One run of one arm: what its evaluation says, when it reached 0.5, and how many rollouts it took."""
    run = folder / name.replace(" ", "_").replace(",", "") / str(seed)
    settings = [setting.replace(TEACHER, str(teacher)) for setting in settings]
    shared = [
        f"model={start}",
        f"seed={seed}",
        f"train.max_steps={steps}",
        "rollout.max_new_tokens=32",
        "rollout.save_every=1000",
    ]
    rlvr("rl", "rl.yaml", run, [*shared, *settings])
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    rlvr("eval", "eval.yaml", run.with_name(f"{seed}_eval"), [f"model={run}"])
    found = json.loads((run.with_name(f"{seed}_eval") / "eval.json").read_text())
    half = [row["step"] for row in rows if row.get("mode/cot/probability", 0.0) >= 0.5]
    return {
        **{label: found.get(metric, 0.0) for label, metric in MEASURES.items()},
        "step of P(cot) ≥ 0.5": half[0] if half else math.nan,
        "tokens sampled (thousands)": sum(row["tokens/rollout"] for row in rows) / 1000,
        "seconds": sum(row["time/step_seconds"] - row.get("time/eval_seconds", 0.0) for row in rows),
        "steps done": rows[-1]["step"],
    }


def interval(values: list[float]) -> str:
    """Mean and 95 % interval over seeds (Student's t); a seed that never got there is said."""
    known = [value for value in values if not math.isnan(value)]
    if len(known) < len(values):
        reached = f"{statistics.fmean(known):.3g} in " if known else ""
        return f"{reached}{len(known)} of {len(values)} seeds"
    mean = statistics.fmean(values)
    if len(values) < 2 or len(values) not in T95:
        return f"{mean:.3g}"
    half = T95[len(values)] * statistics.stdev(values) / math.sqrt(len(values))
    return f"{mean:.3f} ± {half:.3f}" if mean < 10 else f"{mean:.0f} ± {half:.0f}"


def main() -> None:
    """Run the arms, seed by seed, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiment", choices=list(EXPERIMENTS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "experiments")
    asked = parser.parse_args()
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    arms = EXPERIMENTS[asked.experiment]()
    folder = asked.out / f"{asked.experiment}_{asked.steps}"
    first = next(iter(arms))
    results: dict[str, list[dict]] = {name: [] for name in arms}
    for seed in range(100, 100 + asked.seeds):
        start = base(asked.out, seed)
        for name, settings in arms.items():
            teacher = folder / first / str(seed)
            results[name].append(measure(name, settings, start, teacher, folder, seed, asked.steps))
            print(f"{name}, seed {seed}: {results[name][-1]}", file=sys.stderr)
    columns = list(results[first][0])
    print(f"| arm | {' | '.join(columns)} |\n|---|{'---|' * len(columns)}")
    for name, found in results.items():
        print(f"| {name} | {' | '.join(interval([each[column] for each in found]) for column in columns)} |")


if __name__ == "__main__":
    main()
