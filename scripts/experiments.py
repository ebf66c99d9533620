"""Compare arms of RL on the quickstart's task over several seeds, and print a table in Markdown.

    .venv/bin/python scripts/experiments.py presets [--seeds 3] [--steps 50] [--jobs 2] [--out runs/experiments]

Every seed has a base of its own (the quickstart's pretraining and SFT), shared by all arms; every arm has the same budget of
rollouts: one that samples more of them a step is stopped before it would exceed it. Runs that are finished are not run again,
so it can be interrupted. ``--jobs`` seeds run at the same time, on a share of the processors each.
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
QUICKSTART = ROOT / "configs" / "quickstart"
RLVR = Path(sys.executable).with_name("rlvr")

PROBLEMS, GROUP = 64, 8
"""Problems a step and rollouts a problem, in the quickstart and so in every arm."""

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
        "gspo, clip 0.2": ["algo.preset=gspo", "algo.clip_low=0.2", "algo.clip_high=0.28"],
        "opd": ["algo.preset=opd", f"algo.teacher={TEACHER}"],
        "reinforce, no baseline": ["algo.advantage=reward"],
        "reinforce, running mean": ["algo.advantage=running_mean"],
    }


def staleness() -> Arms:
    """Rollouts of older and older policies, with and without a correction, at three learning rates."""
    arms = {}
    for rate in ("2.5e-4", "5.0e-4", "1.0e-3"):
        for lag in (0, 4, 16, 64):
            for loss in ("policy_gradient", "truncated", "clipped") if lag else ("policy_gradient",):
                name = f"lr {rate}, staleness {lag}, {loss}"
                arms[name] = [f"train.learning_rate={rate}", f"algo.staleness={lag}", f"algo.loss={loss}"]
    return arms


def collapse() -> Arms:
    """What the two presets that lost worked answers do with fewer updates, smaller ones, or no division by a deviation."""
    arms = {}
    for name in ("cispo", "ppo"):
        arms[name] = [f"algo.preset={name}"]
        arms[f"{name}, one update a batch"] = [f"algo.preset={name}", "algo.updates_per_batch=1"]
        arms[f"{name}, a quarter of the learning rate"] = [f"algo.preset={name}", "train.learning_rate=1.25e-4"]
    arms["cispo, group mean"] = ["algo.preset=cispo", "algo.advantage=group_mean"]
    return arms


EXPERIMENTS = {"presets": presets, "staleness": staleness, "collapse": collapse}
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
    settings += [f"model={start}", f"seed={seed}", "rollout.max_new_tokens=32", "rollout.save_every=1000"]
    rlvr("rl", "rl.yaml", run, [*settings, f"train.max_steps={steps}"])
    affordable = within(steps * PROBLEMS * GROUP, rows_of(run))
    if affordable < steps and len(rows_of(run)) > affordable:
        run = run.with_name(f"{seed}_within_budget")
        rlvr("rl", "rl.yaml", run, [*settings, f"train.max_steps={affordable}"])
    rows, evaluated = rows_of(run), run.with_name(f"{run.name}_eval")
    rlvr("eval", "eval.yaml", evaluated, [f"model={run}"])
    found = json.loads((evaluated / "eval.json").read_text())
    half = [row["step"] for row in rows if row.get("mode/cot/probability", 0.0) >= 0.5]
    return {
        **{label: found.get(metric, 0.0) for label, metric in MEASURES.items()},
        "step of P(cot) ≥ 0.5": half[0] if half else math.nan,
        "rollouts (thousands)": sum(map(rollouts_of, rows)) / 1000,
        "tokens sampled (thousands)": sum(row["tokens/rollout"] for row in rows) / 1000,
        "seconds": sum(row["time/step_seconds"] - row.get("time/eval_seconds", 0.0) for row in rows),
        "steps done": rows[-1]["step"],
    }


def rows_of(run: Path) -> list[dict]:
    """The metrics of a run, one row a step."""
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def rollouts_of(row: dict) -> float:
    """How many rollouts a step sampled, refills included."""
    return PROBLEMS * GROUP * (1 + row.get("rollout/extra_fraction", 0.0))


def within(budget: float, rows: list[dict]) -> int:
    """The number of steps that a budget of rollouts pays for."""
    return sum(spent <= budget for spent in accumulate(map(rollouts_of, rows)))


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
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--first-seed", type=int, default=100)
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "experiments")
    asked = parser.parse_args()
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    os.environ["OMP_NUM_THREADS"] = str(max(1, (os.cpu_count() or 1) // asked.jobs))
    arms = EXPERIMENTS[asked.experiment]()
    folder = asked.out / f"{asked.experiment}_{asked.steps}"
    first = next(iter(arms))

    def every_arm(seed: int) -> list[dict]:
        start, results = base(asked.out, seed), []
        for name, settings in arms.items():
            results.append(measure(name, settings, start, folder / first / str(seed), folder, seed, asked.steps))
            print(f"{name}, seed {seed}: {results[-1]}", file=sys.stderr, flush=True)
        return results

    with ThreadPoolExecutor(asked.jobs) as jobs:
        by_seed = list(jobs.map(every_arm, range(asked.first_seed, asked.first_seed + asked.seeds)))
    columns = list(by_seed[0][0])
    print(f"| arm | {' | '.join(columns)} |\n|---|{'---|' * len(columns)}")
    for name, found in zip(arms, zip(*by_seed, strict=True), strict=True):
        print(f"| {name} | {' | '.join(interval([each[column] for each in found]) for column in columns)} |")


if __name__ == "__main__":
    main()
