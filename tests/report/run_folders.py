"""A small run directory of RL, complete as this version writes it, for tests that take something away from it or spoil it."""

import json
from pathlib import Path
from typing import Any

import yaml

Record = dict[str, Any]
STEPS, PROBLEMS, ATTEMPTS = (1, 3, 6), 2, 4

CONFIG: Record = {
    "seed": 3,
    "model": "owner/tiny",
    "task": {"name": "modsum", "modulus": 2, "length": 4},
    "train": {"max_steps": 6},
    "eval": {"every": 3},
    "algo": {"preset": "rloo", "advantage": "leave_one_out"},
}


def rollout(index: int = 0, right: bool = True, mode: str = "cot", **facts: Any) -> Record:
    """A rollout of three tokens, paid if it is right."""
    return {
        "task": "modsum",
        "split": "train",
        "index": index,
        "question": f"{index} 1 =",
        "answer": str((index + 1) % 2),
        "metadata": {},
        "prompt": f"{index} 1 =",
        "completion": "so it is",
        "mode": mode,
        "correct": right,
        "reward": float(right),
        "oracle": float(right),
        "rewards": {"exact": float(right)},
        "reasons": {"exact": "correct" if right else "wrong"},
        "advantage": 0.5 if right else -0.5,
        "advantages": None,
        "trained": True,
        "entropies": [0.7, 0.1, 0.0],
        "ref_logprobs": None,
        "stop_reason": "stop",
        "prompt_ids": [1, 7, 8],
        "token_ids": [5, 6, 2],
        "logprobs": [-0.7, -0.1, 0.0],
        **facts,
    }


def row(step: int, p: float, **more: Any) -> Record:
    """A step of 8 rollouts of 3 tokens in two modes, of which cot is always right."""
    return {
        "step": step,
        "reward/mean": p,
        "rollout/length_mean": 3.0,
        "tokens/rollout": 24,
        "tokens/train": 20,
        "entropy/mean": 0.3,
        "signal/trained": 1.0,
        "mode/cot/probability": p,
        "mode/cot/accuracy": 1.0,
        "mode/cot/advantage": 1 - p,
        "mode/direct/probability": 1 - p,
        "mode/direct/accuracy": 0.0,
        "mode/direct/advantage": -p,
        "train/loss": 0.1,
        "time/step_seconds": 0.5,
        **more,
    }


def measured(task: str, accuracy: float, half: float = 0.1, what: str = "accuracy") -> Record:
    """A share of an evaluation with its interval."""
    name = f"eval/{task}/{what}"
    return {name: accuracy, f"{name}_low": max(0.0, accuracy - half), f"{name}_high": min(1.0, accuracy + half)}


def study(line: int) -> Record:
    """A studied rollout of three tokens."""
    alternative = {"id": 5, "text": "so", "probability": 0.6, "against": 0.4}
    numbers = [-0.5, -0.1, 0.0]
    names = ("logprobs", "against_logprobs", "entropies", "against_entropies")
    credit = {"policy": "p", "samples": 4, "positions": [0, 3], "right": [0.5, 1.0], "low": [0.2, 0.6], "high": [0.8, 1.0]}  # fmt: skip
    found: Record = {
        "line": line,
        "index": 0,
        "policy": "p",
        "against": "owner/tiny",
        "alternatives": [[alternative]] * 3,
    }
    return found | dict.fromkeys(names, numbers) | {"credit": credit}


def write_lines(file: Path, objects: list[Record]) -> None:
    """One JSON object a line."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(each) + "\n" for each in objects))


def rl_run(path: Path, **config: Any) -> Path:
    """A finished run of six steps, the rollouts of three of them, a study, and a note and a warning."""
    path.mkdir(parents=True)
    (path / "config.yaml").write_text(yaml.safe_dump({**CONFIG, **config}, sort_keys=False))
    rows = [row(step, step / 8) for step in range(1, 7)]
    rows[2] |= measured("modsum", 0.3)
    rows[5] |= measured("modsum", 0.8)
    write_lines(path / "metrics.jsonl", rows)
    for step in STEPS:
        made = [
            rollout(index, right=attempt < index + 1, mode="cot" if attempt < 2 else "direct")
            for index in range(PROBLEMS)
            for attempt in range(ATTEMPTS)
        ]
        write_lines(path / "rollouts" / f"step_{step:06d}.jsonl", made)
    write_lines(path / "study" / "step_000006.jsonl", [study(0), study(5)])
    note = {"step": 4, "kind": "reward_flat", "sentence": "the reward is flat; take harder problems"}
    write_lines(path / "explanations.jsonl", [note])
    (path / "warnings.json").write_text(json.dumps(["few problems"]))
    command = ["rlvr", "rl", "my rl.yaml"]
    (path / "environment.json").write_text(json.dumps({"seed": 3, "command": command, "versions": {"rlvr": "1"}}))
    (path / "inputs.json").write_text(json.dumps({"data.jsonl": "0123abcd"}))
    return path


def evaluation(path: Path, model: str, answers: dict[str, list[bool]], **config: Any) -> Path:
    """A finished evaluation of a model: of each question whether its samples are right."""
    path.mkdir(parents=True)
    tree = {"model": model, "task": CONFIG["task"], "eval": {"problems": len(answers)}, **config}
    (path / "config.yaml").write_text(yaml.safe_dump(tree, sort_keys=False))
    given = [right for samples in answers.values() for right in samples]
    values = {"eval/modsum/problems": len(answers), "eval/modsum/samples": len(given) // len(answers)}
    write_lines(path / "metrics.jsonl", [{"step": 0, **values, **measured("modsum", sum(given) / len(given))}])
    (path / "eval.json").write_text("{}")
    made = [
        rollout(number, right, question=question, split="test", greedy=greedy)
        for number, (question, samples) in enumerate(answers.items())
        for greedy, some in ((False, samples), (True, samples[:1]))
        for right in some
    ]
    write_lines(path / "rollouts" / "step_000000.jsonl", made)
    return path
