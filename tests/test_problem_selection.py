"""Which problems are trained on, through the command line: selection, curricula, mixtures, and their resume."""

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import World, call, final_weights, read_metrics, start, write_config

LENGTH = 8


@pytest.fixture(scope="module")
def rl(world: World) -> dict[str, Any]:
    """A run of six steps of eight groups of four on the world's model."""
    tree: dict[str, Any] = yaml.safe_load(world.configs["rl"].read_text())
    return tree


def sums(folder: Path, count: int = 12, **keys: Any) -> dict[str, Any]:
    """A file of parities, with difficulties 0, 1, …"""
    path = folder / "parities.jsonl"
    rows = []
    for n in range(count):
        digits = f"{n * 37 % 256:08b}"
        rows.append({"question": f"{' '.join(digits)} =", "answer": str(digits.count("1") % 2), "difficulty": n})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return {"name": "problems", "path": str(path), "test_fraction": 0.0, **keys}


def train(folder: Path, tree: dict[str, Any], *more: object) -> list[dict[str, float]]:
    """The rows of a run that must succeed."""
    answer = call("rl", write_config(folder / "rl.yaml", tree), "--run", folder / "run", *more)
    assert answer.code == 0, answer.err
    return read_metrics(folder / "run")


def rollouts(folder: Path, step: int) -> list[dict[str, Any]]:
    lines = (folder / "run" / "rollouts" / f"step_{step:06d}.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def without(tree: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in tree.items() if key not in keys}


# ----------------------------------------------------------------------------------------------- selection


def test_problems_outside_the_band_are_left_out_and_counted(rl: dict[str, Any], tmp_path: Path) -> None:
    """What the files of rollouts say of each problem is what the next step's choice and the metrics follow from."""
    select = {"difficulty": [2, 41], "pass_rate": [0.3, 0.7], "window": 1}
    small = {**rl["rollout"], "problems_per_step": 2}
    rows = train(tmp_path, {**without(rl, "eval"), "task": sums(tmp_path, 60), "select": select, "rollout": small})
    rates: dict[str, float] = {}
    out = 0
    for step, row in enumerate(rows, start=1):
        groups: dict[str, list[bool]] = {}
        for rollout in rollouts(tmp_path, step):
            groups.setdefault(rollout["question"], []).append(rollout["correct"])
            assert 2 <= rollout["metadata"]["difficulty"] <= 41
        assert len(groups) == 2
        known = [rates[question] for question in groups if question in rates]
        assert row["problems/recalled"] == 0
        assert all(0.3 <= rate <= 0.7 for rate in known)
        rates |= {question: sum(right) / len(right) for question, right in groups.items()}
        out = sum(not 0.3 <= rate <= 0.7 for rate in rates.values())
        assert (row["problems/active"], row["problems/out_of_band"]) == (40 - out, out)
        assert row["problems/unseen"] == 40 - len(rates)
        assert row["problems/pass_rate"] == pytest.approx(sum(rates.values()) / len(rates))
    assert out > 0


def test_a_run_whose_problems_are_all_retired_goes_on_with_the_longest_left_out(
    rl: dict[str, Any], tmp_path: Path
) -> None:
    """Solved at 0.01 of four rollouts is solved by one."""
    select = {"retire_after": 1, "solved_at": 0.01}
    rows = train(tmp_path, {**without(rl, "eval"), "task": sums(tmp_path), "select": select})
    last = rows[-1]
    assert last["problems/retired"] > 12 - 8
    assert last["problems/recalled"] >= 8 - (12 - rows[-2]["problems/retired"])
    assert len({rollout["index"] for rollout in rollouts(tmp_path, 6)}) == 8


def test_fewer_problems_than_a_step_needs_are_warned_about(rl: dict[str, Any], tmp_path: Path) -> None:
    tree = {**without(rl, "eval"), "task": sums(tmp_path), "select": {"difficulty": [0, 2]}}
    answer = call("check", write_config(tmp_path / "rl.yaml", tree))
    assert answer.code == 0
    assert "warning: 3 problems are selected, and a step needs 8: some are visited more than once" in answer.err
    task = mixed(tmp_path)
    task["tasks"]["file"]["select"]["difficulty"] = [0, 1]
    answer = call("check", write_config(tmp_path / "rl.yaml", {**without(rl, "eval"), "task": task}))
    assert "warning: 2 problems of file are selected, and a step needs 3" in answer.err


def test_data_prints_what_would_be_drawn_first(rl: dict[str, Any], tmp_path: Path) -> None:
    def drawn(tree: dict[str, Any], *more: str) -> list[dict[str, Any]]:
        answer = call("data", write_config(tmp_path / "rl.yaml", tree), "--count", 6, *more)
        assert answer.code == 0, answer.err
        return [json.loads(line) for line in answer.out.splitlines()]

    selected = drawn({**without(rl, "eval"), "task": sums(tmp_path), "select": {"difficulty": [2, 5]}})
    assert sorted(row["difficulty"] for row in selected) == [2, 3, 4, 5]
    curriculum = {**rl, "curriculum": {"dial": "length", "values": [6, 9]}}
    assert [row["length"] for row in drawn(curriculum)] == [6] * 6
    assert [len(row["question"].split()) - 1 for row in drawn(curriculum, "--split", "test")] == [LENGTH] * 6
    assert [row["task"] for row in drawn({**rl, "task": mixed(tmp_path)})] == ["parity", "file", "parity"] * 2


# ----------------------------------------------------------------------------------------------- curricula


def test_a_curriculum_moves_and_evaluations_keep_to_the_task(rl: dict[str, Any], tmp_path: Path) -> None:
    """One right rollout in two steps is success here. Updates too small for float32 leave the evaluation as it is."""
    curriculum = {"dial": "length", "values": [6, 7, 10], "raise_at": 0.001, "window": 2, "earlier": 0.25}
    still = {**rl, "train": {**rl["train"], "learning_rate": 1e-30}}
    rows = train(tmp_path, {**still, "curriculum": curriculum})
    assert [row["curriculum/length"] for row in rows] == [6, 6, 7, 7, 10, 10]
    assert [row["curriculum/level"] for row in rows] == [1, 1, 2, 2, 3, 3]
    for rollout in rollouts(tmp_path, 6):
        assert len(rollout["question"].split()) - 1 == rollout["metadata"]["length"]
    evaluated = {name: value for name, value in rows[-1].items() if name.startswith("eval/")}
    assert evaluated.items() <= train(tmp_path, still, "--fresh")[-1].items()


# ------------------------------------------------------------------------------------------------ mixtures


def mixed(folder: Path) -> dict[str, Any]:
    """A curriculum and a selection, two to one."""
    curriculum = {"dial": "length", "values": [6, 8], "raise_at": 0.3, "window": 2, "earlier": 0.3}
    select = {"retire_after": 1, "solved_at": 0.5, "return_after": 3}
    return {
        "name": "mixture",
        "tasks": {
            "parity": {"weight": 2, "task": {"name": "modsum", "length": LENGTH}, "curriculum": curriculum},
            "file": {"task": sums(folder, 40, test_fraction=0.2), "select": select},
        },
    }


def test_a_mixture_measures_each_of_its_tasks(rl: dict[str, Any], tmp_path: Path) -> None:
    rows = train(tmp_path, {**rl, "task": mixed(tmp_path), "reward": {"exact": 1.0, "number": 1.0}})
    for row in rows:
        parts = [row[f"task/{name}/reward/mean"] for name in ("parity", "file")]
        tokens = [row[f"task/{name}/tokens/rollout"] for name in ("parity", "file")]
        assert min(parts) <= row["reward/mean"] <= max(parts)
        assert sum(tokens) == row["tokens/rollout"]
        assert {"task/parity/curriculum/level", "task/file/problems/retired", "task/file/accuracy"} <= set(row)
    shares = [rollout["task"] for step in range(1, 7) for rollout in rollouts(tmp_path, step)]
    assert shares.count("parity") == 2 * shares.count("file") == 2 * 6 * 8 * 4 / 3
    assert {"eval/mixture/accuracy", "eval/parity/accuracy", "eval/file/accuracy"} <= set(rows[-1])
    assert rows[-1]["eval/parity/problems"] + rows[-1]["eval/file/problems"] == rows[-1]["eval/mixture/problems"]
    assert str(tmp_path / "parities.jsonl") in json.loads((tmp_path / "run" / "inputs.json").read_text())


def test_an_evaluation_says_which_task_each_number_is_of(world: World, tmp_path: Path) -> None:
    tree: dict[str, Any] = yaml.safe_load(world.configs["eval"].read_text())
    tasks = {"short": {"task": {"name": "modsum", "length": 6}}, "long": {"task": {"name": "modsum", "length": 9}}}
    config = write_config(tmp_path / "e.yaml", {**without(tree, "data"), "task": {"name": "mixture", "tasks": tasks}})
    answer = call("eval", config, "--run", tmp_path / "run", "--json")
    assert answer.code == 0, answer.err
    result = json.loads(answer.out)
    whole, short, long = (result[f"eval/{name}/accuracy"] for name in ("mixture", "short", "long"))
    assert whole == pytest.approx((short + long) / 2)
    shown = call("inspect", tmp_path / "run", "--count", 0).out
    assert {"short: accuracy, sampled", "long: accuracy, sampled", "mixture: accuracy, sampled"} <= {
        line.split("│")[1].strip() for line in shown.splitlines() if line.count("│") > 1
    }


def test_a_mixture_can_be_pretrained_on_in_the_modes_that_all_have(world: World, tmp_path: Path) -> None:
    tree: dict[str, Any] = yaml.safe_load(world.configs["pretrain"].read_text())
    tasks = {"short": {"task": {"name": "modsum", "length": 6}}, "long": {"task": {"name": "words", "length": 4}}}
    config = {**tree, "task": {"name": "mixture", "tasks": tasks}, "train": {**tree["train"], "max_steps": 2}}
    answer = call("pretrain", write_config(tmp_path / "p.yaml", config), "--run", tmp_path / "run")
    assert answer.code == 0, answer.err
    assert {"eval/short/accuracy", "eval/long/accuracy"} <= set(read_metrics(tmp_path / "run")[-1])


# -------------------------------------------------------------------------------------------------- resume


@pytest.fixture(scope="module")
def whole(rl: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An uninterrupted run of 30 steps on a mixture of a curriculum and a selection."""
    folder = tmp_path_factory.mktemp("whole")
    rows = train(folder, {**without(rl, "eval"), "task": mixed(folder)}, *LONGER)
    levels = [row["task/parity/curriculum/level"] for row in rows]
    assert levels[0] == 1
    assert levels[-1] == 2
    assert rows[-1]["task/file/problems/retired"] > 0
    return folder


LONGER = ["--set", "train.max_steps=30", "--set", "train.save_every=4"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_run_that_is_stopped_goes_on_to_the_same_problems_and_bits(
    whole: Path, tmp_path: Path, number: signal.Signals
) -> None:
    run = tmp_path / "run"
    process = start("rl", whole / "rl.yaml", "--run", run, *LONGER)
    while not (run / "metrics.jsonl").exists() or (run / "metrics.jsonl").read_text().count("\n") < 6:
        assert process.poll() is None
        time.sleep(0.005)
    process.send_signal(number)
    process.communicate(timeout=120)
    assert len(read_metrics(run)) < 30
    answer = call("rl", whole / "rl.yaml", "--run", run, *LONGER)
    assert answer.code == 0, answer.err
    assert read_metrics(run) == read_metrics(whole / "run")
    assert final_weights(run) == final_weights(whole / "run")
    for step in (29, 30):
        name = f"rollouts/step_{step:06d}.jsonl"
        assert (run / name).read_text() == (whole / "run" / name).read_text()


# -------------------------------------------------------------------------------------------------- refusals

Refused = Callable[..., str]
CURRICULUM = {"dial": "length", "values": [6, 8]}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"select": {"retire_after": 2}}, "select has no effect on modsum, whose problems are generated"),
        ({"curriculum": {**CURRICULUM, "dial": "digits"}}, "modsum has no dial digits; its dials: length, modulus"),
        ({"curriculum": {**CURRICULUM, "values": [1, 8]}}, "curriculum.values: modsum cannot take length 1"),
        ({"curriculum": {**CURRICULUM, "values": [5, 8]}}, "length 5 cannot be trained on: task.length: 2^5 problems are"),
        ({"curriculum": {**CURRICULUM, "values": [8, 8]}}, "values [8, 8] must be different numbers"),
        ({"curriculum": {**CURRICULUM, "lower_at": 0.9}}, "lower_at 0.9 must be below raise_at 0.8"),
        ({"curriculum": {**CURRICULUM, "values": [8, 50]}}, "has 52 tokens, and the model has 64 positions for it and"),
        ({"curriculum": {"dial": "modulus", "values": [2, 7]}}, "the model's tokenizer does not know '"),
        ({"task": {"name": "mixture", "tasks": {"a": {"task": {"name": "modsum"}}}}}, "task.tasks"),
    ],
)  # fmt: skip
def test_what_cannot_be_trained_on_is_refused(
    rl: dict[str, Any], tmp_path: Path, refused: Refused, changes: dict[str, Any], message: str
) -> None:
    line = refused("rl", write_config(tmp_path / "rl.yaml", {**rl, **changes}), "--run", tmp_path / "run")
    assert message in line
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("select", "message"),
    [
        ({}, "selects nothing: give difficulty, pass_rate or retire_after"),
        ({"pass_rate": [0.7, 0.2]}, "pass_rate [0.7, 0.2] is empty"),
        ({"pass_rate": [0.0, 1.0]}, "pass_rate [0, 1] has no effect"),
        ({"pass_rate": [20.0, 80.0]}, "is a band of shares; allowed: 0 to 1"),
        ({"difficulty": [1, 3], "return_after": 9}, "return_after has no effect without pass_rate or retire_after"),
        ({"pass_rate": [0.1, 0.9], "solved_at": 0.5}, "solved_at has no effect without retire_after"),
        ({"difficulty": [70, 80]}, "select.difficulty: is of none of the 12 problems"),
    ],
)
def test_a_selection_that_cannot_be_meant_is_refused(
    rl: dict[str, Any], tmp_path: Path, refused: Refused, select: dict[str, Any], message: str
) -> None:
    tree = {**without(rl, "eval"), "task": sums(tmp_path), "select": select}
    assert message in refused("rl", write_config(tmp_path / "rl.yaml", tree), "--run", tmp_path / "run")


def test_a_curriculum_of_a_file_is_refused(rl: dict[str, Any], tmp_path: Path, refused: Refused) -> None:
    tree = {**without(rl, "eval"), "task": sums(tmp_path), "curriculum": CURRICULUM}
    assert "a file has none; remove it, or use select" in refused("check", write_config(tmp_path / "rl.yaml", tree))


def test_a_selection_of_a_mixture_belongs_to_one_of_its_tasks(
    rl: dict[str, Any], tmp_path: Path, refused: Refused
) -> None:
    tree = {**rl, "task": mixed(tmp_path), "select": {"retire_after": 2}}
    line = refused("check", write_config(tmp_path / "rl.yaml", tree))
    assert "select has no effect on a mixture; set it for the task that it is meant for, in task.tasks" in line


def test_an_evaluation_has_no_use_for_a_curriculum(world: World, tmp_path: Path, refused: Refused) -> None:
    tree: dict[str, Any] = yaml.safe_load(world.configs["eval"].read_text())
    line = refused("check", write_config(tmp_path / "e.yaml", {**without(tree, "data"), "task": mixed(tmp_path)}))
    assert "has no effect outside rlvr rl" in line


def test_a_mistake_in_a_member_is_named_with_its_place(rl: dict[str, Any], tmp_path: Path, refused: Refused) -> None:
    task = mixed(tmp_path)
    task["tasks"]["parity"]["task"]["lenght"] = task["tasks"]["parity"]["task"].pop("length")
    line = refused("check", write_config(tmp_path / "rl.yaml", {**rl, "task": task}))
    assert "task.tasks.parity.task.lenght: unknown key" in line
    assert "Did you mean task.tasks.parity.task.length?" in line


def test_a_member_whose_gold_answers_earn_nothing_is_found(
    rl: dict[str, Any], tmp_path: Path, refused: Refused
) -> None:
    task = mixed(tmp_path)
    with (tmp_path / "parities.jsonl").open("a") as stream:
        stream.write('{"question": "1 1 =", "answer": "even", "difficulty": 1}\n')
    tree = {**rl, "task": task, "reward": {"number": 1.0}}
    assert "of file, line 41" in refused("check", write_config(tmp_path / "rl.yaml", tree))


def test_a_mixture_can_be_audited_and_its_rollouts_graded_again(rl: dict[str, Any], tmp_path: Path) -> None:
    tree = {**rl, "task": mixed(tmp_path), "train": {**rl["train"], "max_steps": 1}}
    train(tmp_path, tree)
    for more in ((), ("--rescore", tmp_path / "run")):
        answer = call("audit", tmp_path / "rl.yaml", *more, "--json")
        assert answer.code == 0, answer.err
