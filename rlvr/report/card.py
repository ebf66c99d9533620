"""The model card of an exported model, as the hub reads it: what it is, how it was made, what it can do, how to load it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from rlvr.models.location import looks_local
from rlvr.report.beside import evaluations_beside, share_in
from rlvr.report.evaluations import tasks_in
from rlvr.report.runs import Run, ancestry
from rlvr.report.wording import number, shown
from rlvr.runtime.literal import printable
from rlvr.runtime.metrics import Row

STAGES = {"pretrain": "pretraining from scratch", "sft": "supervised fine-tuning", "rl": "RL with verifiable rewards"}

LOADING = """\
The weights are {dtype}. They load with transformers:

```python
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("THIS_FOLDER")
model = AutoModelForCausalLM.from_pretrained("THIS_FOLDER")
```

and are served by vLLM with `vllm serve THIS_FOLDER`."""


def card(run: Run, step: int, dtype: str) -> str:
    """The README.md of the model that a run made after a step. dtype: of the exported weights."""
    made = [*reversed(list(ancestry(run))), run]
    base = _base(made[0])
    front: dict[str, Any] = {"library_name": "transformers", "pipeline_tag": "text-generation"}
    front |= {"base_model": base} if base is not None else {}
    front["tags"] = ["rlvr", run.stage]
    parts = [
        f"---\n{yaml.safe_dump(front, sort_keys=False)}---",
        f"# {_plain(run.path.absolute().name)}",
        _made(made, base, step),
        f"## Load it\n\n{LOADING.format(dtype=dtype)}",
        f"## Training\n\n{_table(('what', 'value'), _training(run, step))}",
        f"## Evaluation\n\n{_evaluation(run, step)}",
        f"## Versions\n\n{_table(('what', 'version'), _versions(run))}",
        f"## Configuration\n\nPaths are shortened to names.\n\n{_fenced(_configuration(run))}",
    ]
    return "\n\n".join(parts) + "\n"


def _base(first: Run) -> str | None:
    """The name on the hub of the model that a chain of runs began from; None if it has none."""
    model = first.config.get("model")
    return model if isinstance(model, str) and first.began_from() is None and not looks_local(model) else None


def _made(made: Sequence[Run], base: str | None, step: int) -> str:
    stages = ", then ".join(STAGES.get(each.stage, each.stage) for each in made)
    origin = f" of {_plain(base)}" if base is not None else ""
    return f"A language model made with rlvr by {stages}{origin}. It is the model after step {step:,} of the last of these."


def _training(run: Run, step: int) -> Iterator[tuple[str, str]]:
    model = run.config.get("model")
    if isinstance(model, str):
        yield "began from", _short(model)
    steps = run.setting("train", "max_steps")
    yield "steps", f"{step:,} of {steps:,}" if isinstance(steps, int) else f"{step:,}"
    yield from _learnt(run)
    for key in ("learning_rate", "optimizer", "dtype"):
        if (value := run.setting("train", key)) is not None:
            yield key.replace("_", " "), str(value)
    seconds = sum(row.get("time/step_seconds") or 0.0 for row in run.rows if (row["step"] or 0) <= step)
    if seconds:
        yield (
            "time",
            f"{number(seconds if seconds < 120 else seconds / 60)} {'seconds' if seconds < 120 else 'minutes'}, evaluations included",
        )
    device = run.object("environment.json").get("device")
    if isinstance(device, str):
        yield "device", device


def _learnt(run: Run) -> Iterator[tuple[str, str]]:
    """From what, for what and how, by name; the configuration has the rest."""
    members = run.setting("task", "tasks")
    tasks = [each.get("task") for each in members.values()] if isinstance(members, dict) else [run.config.get("task")]
    named = [_named(task) for task in tasks if isinstance(task, dict)]
    sources = run.setting("data", "sources")
    named += [_named(each) for each in sources if isinstance(each, dict)] if isinstance(sources, list) else []
    if named:
        yield "learnt from", ", ".join(named)
    reward = run.config.get("reward")
    if isinstance(reward, dict) and run.stage == "rl":
        yield "rewarded for", ", ".join(map(str, reward))
    for key, names in (("algo", ("preset",)), ("lora", ("rank", "alpha", "targets"))):
        if isinstance(section := run.config.get(key), dict):
            yield key, ", ".join(f"{name} {section[name]}" for name in names if name in section)


def _named(section: dict[str, Any]) -> str:
    """A task or a source of documents by its name and its file, which its owner may know."""
    task, file = section.get("task"), section.get("path") or section.get("text")
    if isinstance(task, dict):
        return _named(task)
    return " ".join(
        str(word) for word in (section.get("name"), _short(file) if isinstance(file, str) else None) if word
    )


def _evaluation(run: Run, step: int) -> str:
    """What was measured of this very model, with intervals: by an evaluation beside the run, else while it trained."""
    newest = run.newest_checkpoint()
    after = evaluations_beside(run).after if newest is not None and newest.name == f"step_{step:06d}" else None
    if after is not None and tasks_in(after.rows):
        return f"By `rlvr eval`, {_settings(after)}. {_accuracies(after.rows[-1])}"
    rows = [row for row in run.rows if row["step"] == step and tasks_in([row])]
    if rows:
        return f"On the test split after the last step that is in here. {_accuracies(rows[-1])}"
    return "None of this model: neither was it evaluated after this step, nor is there an `rlvr eval` of it beside its run."


def _settings(after: Run) -> str:
    split, temperature = after.setting("eval", "split"), after.setting("rollout", "temperature")
    return f"on the {_plain(str(split))} split, sampled at temperature {_plain(str(temperature))}"


def _accuracies(row: Row) -> str:
    def share(name: str) -> str:
        found = share_in(row, name)
        return "" if found is None else shown(found)

    lines = []
    for task in tasks_in([row]):
        of = f"eval/{task}"
        passes = sorted(
            (int(name.rpartition("@")[2]), name) for name in row if re.fullmatch(rf"{re.escape(of)}/pass@\d+", name)
        )
        best = "" if not passes else f"pass@{passes[-1][0]} {number(row[passes[-1][1]] or 0.0)}"
        counts = (f"{row.get(f'{of}/{key}') or 0:.0f}" for key in ("problems", "samples"))
        lines.append((task, share(f"{of}/accuracy"), share(f"{of}/greedy_accuracy"), best, *counts))
    columns = ("task", "accuracy of samples", "greedy accuracy", "pass@k", "problems", "samples a problem")
    return f"Shares with 95 % intervals.\n\n{_table(columns, lines)}"


def _versions(run: Run) -> Iterator[tuple[str, str]]:
    environment = run.object("environment.json")
    listed = environment.get("versions")
    yield from ((name, str(value)) for name, value in (listed if isinstance(listed, dict) else {}).items())
    for key in ("python", "git_revision"):
        if isinstance(value := environment.get(key), str):
            yield key.replace("_", " "), value


def _configuration(run: Run) -> str:
    return yaml.safe_dump(_shortened(run.config), sort_keys=False, allow_unicode=True)


def _shortened(value: Any) -> Any:
    """A part of a configuration in which paths, which say where things are on one machine, are names."""
    if isinstance(value, dict):
        return {key: _shortened(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_shortened(each) for each in value]
    return _short(value) if isinstance(value, str) else value


def _short(text: str) -> str:
    """A path outside the working directory as its last part; any other text as it is."""
    path = Path(text)
    return path.name if "\n" not in text and (path.is_absolute() or text.startswith(("~", ".."))) else text


def _table(columns: Sequence[str], rows: Any) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(map(_plain, line))} |" for line in lines)


def _plain(text: str) -> str:
    """Text from anywhere in a sentence or cell of Markdown, where it means nothing else."""
    return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", printable(text.replace("\n", " ")))


def _fenced(text: str) -> str:
    """Text as a block of Markdown that ends where it ends."""
    fence = "`" * max(3, 1 + max((len(ticks) for ticks in re.findall("`+", text)), default=0))
    return f"{fence}yaml\n{printable(text)}{fence}"
