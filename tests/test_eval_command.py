"""``rlvr eval`` beyond one table: solvability, filtered problems, finished runs, and two models on the same problems."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import World, call, loaded, write_config

from rlvr.config_file import read_mapping


def samples_of(run: Path) -> dict[int, list[bool]]:
    """By problem, which of its samples are right."""
    found: dict[int, list[bool]] = {}
    for line in (run / "rollouts" / "step_000000.jsonl").read_text().splitlines():
        record = json.loads(line)
        if not record["greedy"]:
            found.setdefault(record["index"], []).append(record["correct"])
    return found


@pytest.fixture(scope="module")
def several(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An evaluation of the SFT model beside the one of the RL model, on the same problems and seed."""
    run = tmp_path_factory.mktemp("several") / "sft"
    model = f"model={world.runs['sft']}"
    assert call("eval", world.configs["eval"], "--run", run, "--set", model).code == 0
    return run


def test_eval_json_has_each_problem_and_what_groups_would_show(world: World) -> None:
    found = json.loads((world.runs["eval"] / "eval.json").read_text())
    right = samples_of(world.runs["eval"])
    assert {each["index"]: each["right"] for each in found["by_problem"]} == {n: sum(r) for n, r in right.items()}
    first = found["by_problem"][0]
    assert first["pass@k"]["4"] == float(first["right"] > 0)
    solvable = found["solvability"]
    assert solvable["never"]["share"] == sum(not any(r) for r in right.values()) / 16
    assert solvable["never"]["share"] + solvable["sometimes"]["share"] + solvable["always"]["share"] == 1.0
    assert solvable["zero_variance"]["4"]["share"] == pytest.approx(1 - solvable["sometimes"]["share"])
    assert found["eval/modsum/pass@2_low"] < found["eval/modsum/pass@2"] < found["eval/modsum/pass@2_high"]


def test_a_finished_run_is_shown_again_without_sampling(world: World) -> None:
    answer = call("eval", world.runs["eval"])
    assert answer.out.strip() == str(world.runs["eval"])
    assert "problems by right answers among 4 samples" in answer.err
    assert "Recommended: rollout.group_size" in answer.err
    assert json.loads(call("eval", world.runs["eval"], "--json").out)["solvability"]["samples"] == 4


@pytest.mark.parametrize("band", [None, "0.5,1"])
def test_the_problems_of_the_band_can_be_read_again(world: World, tmp_path: Path, band: str | None) -> None:
    out = tmp_path / "kept.jsonl"
    options = ["--write-filtered", out] + ([] if band is None else ["--band", band])
    target = [world.runs["eval"]] if band is None else [world.configs["eval"], "--run", world.runs["eval"]]
    answer = call("eval", *target, *options)
    assert answer.code == 0, answer.err
    rates = {n: sum(right) / 4 for n, right in samples_of(world.runs["eval"]).items()}
    wanted = {n: rate for n, rate in rates.items() if (0 < rate < 1 if band is None else rate >= 0.5)}
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert {row["index"]: row["pass_rate"] for row in rows} == wanted
    task = {"name": "problems", "path": str(out), "test_fraction": 1.0}
    config = write_config(tmp_path / "c.yaml", {"model": str(world.runs["rl"]), "task": task})
    again = [json.loads(line) for line in call("data", config, "--split", "test", "--count", "16").out.splitlines()]
    told = ("question", "answer", "pass_rate", "samples")
    assert [[row[key] for key in told] for row in again] == [[row[key] for key in told] for row in rows]


def test_two_models_are_compared_on_the_same_problems_with_the_same_numbers(world: World, several: Path) -> None:
    answer = call("eval", several, world.runs["eval"])
    assert answer.code == 0, answer.err
    assert "In one sample " in answer.out
    found = json.loads(call("eval", several, world.runs["eval"], "--json").out)
    a, b = samples_of(several), samples_of(world.runs["eval"])
    assert found["difference"]["mean"] == pytest.approx(sum(sum(b[n]) - sum(a[n]) for n in a) / 64)
    assert (found["problems"], found["samples"], found["notes"]) == (16, 4, [])
    assert [at["k"] for at in found["pass@k"]] == [1, 2, 4]
    assert found["solved_by_b_alone"]["count"] == sum(any(b[n]) and not any(a[n]) for n in a)


def test_against_evaluates_both_and_the_same_model_answers_alike(world: World, tmp_path: Path) -> None:
    config = write_config(
        tmp_path / "e.yaml", {**read_mapping(world.configs["eval"]), "eval": {"problems": 4, "samples": 2}}
    )
    run = tmp_path / "run"
    answer = call("eval", config, "--run", run, "--against", world.runs["rl"], "--json")
    assert answer.code == 0, answer.err
    both = [run.with_name(name) / "rollouts" / "step_000000.jsonl" for name in ("run-against", "run")]
    assert both[0].read_bytes() == both[1].read_bytes()
    found = json.loads(answer.out)
    assert (found["difference"]["mean"], found["solved_by_b_alone"]["count"], found["notes"]) == (0.0, 0, [])


def test_comparing_imports_no_torch(world: World, several: Path, tmp_path: Path) -> None:
    assert {"torch", "transformers"}.isdisjoint(loaded("eval", several, world.runs["eval"]))
    assert call("report", several, world.runs["eval"], "--out", tmp_path / "both.html").code == 0
    page = (tmp_path / "both.html").read_text()
    assert "One against the other, on the same problems" in page


def test_what_cannot_be_evaluated_or_compared_is_one_line(
    world: World, several: Path, tmp_path: Path, refused: Callable[..., str]
) -> None:
    run, config = world.runs["eval"], world.configs["eval"]
    assert "is a run of rlvr rl, not of rlvr eval" in refused("eval", world.runs["rl"])
    assert "is a run of rlvr rl, not of rlvr eval" in refused("eval", run, world.runs["rl"])
    assert "is not a run directory" in refused("eval", run, tmp_path)
    assert "cannot tell what to evaluate" in refused("eval", config, run)
    assert "cannot tell what to evaluate" in refused("eval", run, several, run)
    assert "--fresh: has no effect on finished run directories" in refused("eval", run, "--fresh")
    assert "--against: has no effect" in refused("eval", run, several, "--against", "m")
    assert "no such file or directory; got './nowhere'" in refused(
        "eval", config, "--run", tmp_path / "r", "--against", "./nowhere"
    )
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--band", "0.1,0.9"], "--band: has no effect without --write-filtered"),
        (["--write-filtered", "x.jsonl", "--band", "0.9,0.1"], "--band: is not two shares in order; got '0.9,0.1'"),
        (["--write-filtered", "x.jsonl", "--band", "half"], "--band: is not two shares in order"),
        (["--write-filtered", "no/such/folder.jsonl"], "is in a folder that does not exist"),
        (["--write-filtered", "."], "is a folder"),
        (["--write-filtered", "x.jsonl", "--set", "eval.samples=1"], "needs a task, and several samples of a problem; got 'eval.samples 1'"),
        (["--write-filtered", "x.jsonl", "--against", "m"], "--write-filtered: has no effect beside --against"),
    ],
)  # fmt: skip
def test_a_filter_that_cannot_be_written_is_refused_before_anything_runs(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: Callable[..., str], options: list[str], said: str
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert said in refused("eval", world.configs["eval"], "--run", tmp_path / "run", *options)
    assert not (tmp_path / "run").exists()


def test_a_filter_of_a_finished_run_that_leaves_nothing_is_refused(
    world: World, tmp_path: Path, refused: Callable[..., str]
) -> None:
    run = world.runs["eval"]
    assert "none of 16 problems is in the band 0.3 to 0.4" in refused(
        "eval", run, "--write-filtered", tmp_path / "x.jsonl", "--band", "0.3,0.4"
    )
    assert not (tmp_path / "x.jsonl").exists()
    missing = tmp_path / "no" / "x.jsonl"
    assert "cannot be written: No such file or directory" in refused("eval", run, "--write-filtered", missing)
