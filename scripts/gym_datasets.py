"""Go through every data set of reasoning-gym with its default configuration, and write docs/gym.md.

Usage: gym_datasets.py ROWS [--page OUT]. ROWS (JSONL) gets one line a data set; those it has are not tried again, so that the
command can be ended and called again. With --page, the page is written from ROWS.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rlvr.config import GymConfig, RewardConfig
from rlvr.errors import RlvrError
from rlvr.gold import to_attempt
from rlvr.gym_entries import HASHED, dataset_names, levels
from rlvr.rewards import Scorer, Verdict
from rlvr.tasks import make_task
from rlvr.types import Problem

PROBLEMS = 16
"""Of each data set that are graded."""
SECONDS = 60
"""For all problems of a data set to be made."""
SLOW = 0.5
"""Seconds a problem from which on a data set is called slow."""
REWARD = RewardConfig.model_validate({"gym": 1.0})

INTRO = """# reasoning-gym

With the extra `gym` (`pip install 'rlvr[gym]'`), the data sets of [reasoning-gym](https://github.com/open-thought/reasoning-gym) are tasks:
puzzles, arithmetic, logic, games and graphs, made without end, each graded by its own scorer.

```yaml
task:
  name: gym
  dataset: chain_sum
  config: {min_terms: 2, max_terms: 3, min_digits: 1, max_digits: 2}   # the data set's own keys; all have defaults
reward:
  gym: 1.0
rollout: {max_new_tokens: 64}
```

- `config` is checked by the data set; a wrong name is answered with the right ones. `rlvr check FILE` says so before anything runs.
- `level: 3` takes the package's curriculum for the data set at that level (the first is 0) instead of its defaults; `config` comes before it.
- `instruction` is added to each question and says how to answer; the default asks for `<answer>…</answer>`. For a model that you train from
  nothing, `instruction: ""` leaves the question as it is and makes the bare answer the gold response.
- Train and test share no question: a quarter of all questions, by a hash of their text, are the test split's. A data set that has too few
  different questions for that is refused, or warned about.
- Rollouts and `rlvr data` keep `gym: {dataset, config, level, number}` of each problem: with that, the same entry is made again. So what
  `rlvr eval … --write-filtered FILE` or `rlvr data … --out FILE` writes can be trained on with `task: {name: problems, path: FILE}` and `reward: {gym: 1.0}`.

## The reward

`reward: {gym: 1.0}` gives what the data set's scorer says of the last `<answer>…</answer>`, or without tags of what is found as for other
rewards; `extract` changes that. Scores between 0 and 1 are paid as they are (many scorers give a little for an answer that only holds the
right one, or for nothing); `gym: {weight: 1.0, partial: false}` pays full marks only. A rollout counts as right with full marks only.
An answer of more than 4,096 characters is `too_long`; the longest of `tower_of_hanoi` come near that.

Several scorers evaluate the answer as Python or with sympy. They run in processes of their own with bounded time (`seconds: 10`, then the
reason is `timeout`) and memory (4 GiB). Answers to those data sets that hold more than lists or formulas are not passed on
(`refused`), and while a scorer runs its process may not write files, start programs or use the network (`error`). That is care, not a
sandbox: a model that you do not trust belongs in a container.

## Several data sets, and curricula

```yaml
task:
  name: mixture
  tasks:
    sums: {task: {name: gym, dataset: chain_sum}, weight: 2, curriculum: {dial: level, values: [0, 1, 2]}}
    gcd: {task: {name: gym, dataset: gcd}, curriculum: {dial: config.max_value, values: [20, 100, 1000]}}
reward: {gym: 1.0}
```

A curriculum's dial is `level`, where the data set has levels, or any number of its configuration, as `config.KEY`. The package's own
`composite` is not a task: mixtures do that, with metrics for each member.
"""


class OutOfTimeError(BaseException):
    """A data set took longer than it may; no Exception, so that nothing that is tried keeps it."""


@contextmanager
def limited(seconds: int) -> Iterator[None]:
    """Raise OutOfTimeError inside after so many seconds."""

    def stop(*_: object) -> None:
        raise OutOfTimeError

    signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)


def tried(dataset: str, scorer: Scorer) -> dict[str, Any]:
    """What there is to say of one data set."""
    row: dict[str, Any] = {"name": dataset, "levels": levels(dataset)}
    started = time.monotonic()
    try:
        with limited(SECONDS):
            task = make_task(GymConfig(name="gym", dataset=dataset), 0)
            problems = [task.problem("train", index) for index in range(PROBLEMS)]
    except RlvrError as error:
        return {**row, "trouble": str(error)}
    except OutOfTimeError:
        return {**row, "trouble": f"{PROBLEMS} problems are not made in {SECONDS} s"}
    row["seconds"] = (
        (time.monotonic() - started) / PROBLEMS / 2
    )  # the task draws them too, to see how many are different
    row["warnings"] = list(task.warnings)
    row["answer"] = max(len(problem.answer) for problem in problems)
    row["question"] = max(len(problem.question) for problem in problems)
    golds, junk, others, reasons = [], [], 0, set()
    for place, problem in enumerate(problems):
        other = problems[place - 1].answer
        gold = asked(scorer, task, problem, task.gold_response(problem))
        if isinstance(gold, str):
            return {**row, "trouble": gold}
        golds.append(gold.reward)
        reasons.add(gold.reason.value)
        for text in ("", "junk"):
            verdict = asked(scorer, task, problem, text)
            junk.append(1.0 if isinstance(verdict, str) else verdict.reward)
        if other.strip() != problem.answer.strip():
            verdict = asked(scorer, task, problem, f"<answer>{other}</answer>")
            others += not isinstance(verdict, str) and bool(verdict)
    return {
        **row,
        "gold": sum(each >= 1.0 for each in golds),
        "reasons": sorted(reasons),
        "junk": max(junk),
        "others": others,
    }


def asked(scorer: Scorer, task: Any, problem: Problem, response: str) -> Verdict | str:
    """The verdict, or what is wrong with the problem."""
    try:
        [verdicts] = scorer.verdicts([to_attempt(task, problem, response)])
    except (ValueError, RlvrError) as error:
        return str(error)
    return verdicts["gym"]


def exception(row: dict[str, Any]) -> str | None:
    """Why a data set is not fit as it is; None if it is."""
    if "trouble" in row:
        return "the package knows no right answer" if "no gold answers" in row["trouble"] else str(row["trouble"])
    if row["gold"] < PROBLEMS:
        return f"the gold answer of {PROBLEMS - row['gold']} of {PROBLEMS} problems does not earn full marks ({', '.join(row['reasons'])})"
    if row["junk"] >= 1.0:
        return "junk earns full marks"
    if row["others"] == PROBLEMS:
        return "the answer to any other problem earns full marks"
    return None


def notes(row: dict[str, Any]) -> str:
    """What a user of a fit data set should know."""
    found = list(row["warnings"])
    if row["name"] in HASHED:
        found.append("needs PYTHONHASHSEED=0")
    if row["seconds"] >= SLOW:
        found.append("slow")
    if row["others"]:
        found.append(f"{row['others']} of {PROBLEMS} answers to another problem are right here too")
    if row["junk"]:
        found.append(f"pays {row['junk']:.2g} for junk")
    return "; ".join(found)


def page(rows: list[dict[str, Any]]) -> str:
    """docs/gym.md."""
    rows = sorted(rows, key=lambda row: str(row["name"]))
    bad = [(row, why) for row in rows if (why := exception(row))]
    good = [row for row in rows if not exception(row)]
    head = f"""
## Which data sets are fit

`python scripts/gym_datasets.py` tried all {len(rows)} of version {version("reasoning-gym")} with their default configuration, {PROBLEMS} problems each, through the task and
the reward above: whether they load, whether gold answers earn full marks, and whether nothing, the word junk and the answer to another
problem do not. {len(good)} are fit; the others are not, as they are:

| data set | why not |
|---|---|
"""
    table = """
The fit ones; seconds are for making one training problem, lengths are the longest in characters:

| data set | levels | seconds | question | answer | |
|---|---|---|---|---|---|
"""
    exceptions = "".join(f"| `{row['name']}` | {why} |\n" for row, why in bad)
    lines = "".join(
        f"| `{row['name']}` | {row['levels'] or ''} | {row['seconds']:.2g} | {row['question']} | {row['answer']} | {notes(row)} |\n"
        for row in good
    )
    return INTRO + head + exceptions + table + lines


def main() -> None:
    """Try what ROWS does not have yet, then write the page if it is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", type=Path)
    parser.add_argument("--page", type=Path)
    given = parser.parse_args()
    done = {row["name"] for row in read(given.rows)}
    fixed = not sys.flags.hash_randomization
    names = [name for name in dataset_names() if name not in done and (name in HASHED) == fixed]
    with Scorer(REWARD) as scorer:
        for name in names:
            row = tried(name, scorer)
            with given.rows.open("a") as file:
                file.write(json.dumps(row) + "\n")
            print(name, exception(row) or "fit", notes(row) if not exception(row) else "", flush=True)
    if not fixed:
        command = [sys.executable, __file__, str(given.rows)]
        subprocess.run(command, env={**os.environ, "PYTHONHASHSEED": "0"}, check=True)
    if given.page is not None:
        given.page.write_text(page(read(given.rows)))


def read(path: Path) -> list[dict[str, Any]]:
    """The rows so far."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


if __name__ == "__main__":
    main()
