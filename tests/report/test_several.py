"""Several runs side by side: which are seeds of one arm, what the arms came to, and what the tests say."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from rlvr.report.blocks import Block, Cell, Chart, Prose, Section, Table
from rlvr.report.runs import open_finished
from rlvr.report.several import compare

Row = dict[str, Any]


def make(path: Path, rows: list[Row], seed: Any = 0, **config: Any) -> Path:
    """A run directory of RL, unless the configuration shows another stage."""
    path.mkdir(parents=True)
    tree = {"seed": seed, "model": "tiny", "task": {"name": "modsum"}, "reward": {"exact": 1.0}, **config}
    (path / "config.yaml").write_text(yaml.safe_dump(json.loads(json.dumps(tree)), sort_keys=False))
    (path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def trained(path: Path, rewards: list[float], seed: Any = 0, **config: Any) -> Path:
    """A run of RL with these mean rewards."""
    rows = [{"step": step, "reward/mean": reward} for step, reward in enumerate(rewards, start=1)]
    return make(path, rows, seed, **{"train": {"max_steps": len(rewards)}, **config})


def evaluation(path: Path, sampled: dict[str, list[bool]], greedy: dict[str, bool], **config: Any) -> Path:
    """An evaluation with answers to questions."""
    make(path, [{"step": 0, "eval/modsum/accuracy": 0.5, "eval/modsum/accuracy_low": 0.4, "eval/modsum/accuracy_high": 0.6}], **config)  # fmt: skip
    lines = [
        {"task": "modsum", "split": "test", "index": number, "question": question, "correct": correct, "greedy": greedily, "mode": "direct"}
        for number, question in enumerate(sampled)
        for greedily, answers in ((False, sampled[question]), (True, [greedy[question]]))
        for correct in answers
    ]  # fmt: skip
    (path / "rollouts").mkdir()
    (path / "rollouts" / "step_000000.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def sections(*paths: Path) -> dict[str, Section]:
    return {section.name: section for section in compare([open_finished(path) for path in paths])}


def charts(section: Section) -> dict[str, Chart]:
    return {block.title: block for block in section.blocks if isinstance(block, Chart)}


def tables(blocks: list[Block], column: str) -> list[list[dict[str, Cell]]]:
    """The rows of each table with a column of that name."""
    found = [block for block in blocks if isinstance(block, Table) and column in block.columns]
    return [[dict(zip(table.columns, row, strict=True)) for row in table.rows] for table in found]


def table(blocks: list[Block], column: str) -> list[dict[str, Cell]]:
    [rows] = tables(blocks, column)
    return rows


def two_arms(folder: Path, seeds: int, gain: float = 0.1) -> list[Path]:
    """Arms of RL over seeds, each seed from a base of its own: what it gains grows with the seed by a hundredth."""
    for seed in range(seeds):
        make(folder / "base" / str(seed), [], seed, train={}, data={})
    return [
        trained(folder / preset / str(seed), [0.3, 0.5 + 0.1 * seed + extra + (0.01 * seed if extra else 0)], seed,
                model=str(folder / "base" / str(seed)), algo={"preset": preset, "advantage": f"of {preset}"})
        for preset, extra in (("rloo", gain), ("grpo", 0.0)) for seed in range(seeds)
    ]  # fmt: skip


def test_seeds_with_bases_of_their_own_are_one_arm_named_by_what_sets_it_apart(tmp_path: Path) -> None:
    found = sections(*two_arms(tmp_path, 2))
    assert [(row["run"], row["arm"], row["seed"]) for row in table(found["runs"].blocks, "arm")] == [
        ("rloo/0", "algo.preset=rloo", "0"),
        ("rloo/1", "algo.preset=rloo", "1"),
        ("grpo/0", "algo.preset=grpo", "0"),
        ("grpo/1", "algo.preset=grpo", "1"),
    ]
    keys = table(found["arms-rl"].blocks, "key")
    assert [row["key"] for row in keys] == ["seed", "model", "algo.preset", "algo.advantage"]
    assert (keys[0]["rloo/1"], keys[2]["grpo/0"]) == (1, "grpo")


def test_bases_are_found_from_any_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = two_arms(tmp_path, 2)
    for run in runs:
        config = yaml.safe_load((run / "config.yaml").read_text())
        relative = Path(config["model"]).relative_to(tmp_path)
        (run / "config.yaml").write_text(yaml.safe_dump({**config, "model": str(relative)}))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert len({row["arm"] for row in table(sections(*runs)["runs"].blocks, "arm")}) == 2


def test_another_base_is_another_arm(tmp_path: Path) -> None:
    for name, steps in (("short", 5), ("long", 50)):
        make(tmp_path / name, [], train={"max_steps": steps}, data={})
    runs = [trained(tmp_path / f"of_{name}", [0.5], model=str(tmp_path / name)) for name in ("short", "long")]
    rows = table(sections(*runs)["runs"].blocks, "arm")
    assert [row["arm"] for row in rows] == ["model=short", "model=long"]


def test_evaluations_of_seeds_are_one_arm_and_paired_by_the_seeds_of_their_models(tmp_path: Path) -> None:
    runs = two_arms(tmp_path, 3)
    rows = [{"step": 0, "eval/modsum/accuracy": 0.1 * number**2} for number in range(6)]
    seen = [make(tmp_path / f"eval_{n}", [rows[n]], 7, model=str(run)) for n, run in enumerate(runs)]
    found = sections(*seen)
    rows = table(found["runs"].blocks, "arm")
    assert [row["arm"] for row in rows] == ["model.algo.preset=rloo"] * 3 + ["model.algo.preset=grpo"] * 3
    assert rows[2]["seed"] == "7, 2, 2"
    [test] = table(found["arms-eval"].blocks, "pairs")
    assert (test["pairs"], test["A − B"]) == (3, pytest.approx(0.1 * (0 + 1 + 4 - 9 - 16 - 25) / 3))


def test_a_run_that_was_made_again_is_no_seed_of_its_own(tmp_path: Path) -> None:
    paths = [trained(tmp_path / name, [0.1, 0.2], seed) for name, seed in (("one", 0), ("again", 0), ("two", 1))]
    [told] = [
        block.text for block in sections(*paths)["runs"].blocks if isinstance(block, Prose) and block.kind == "gap"
    ]
    assert told.startswith("The same seeds: one and again. They are one run made again")
    apart = sections(paths[0], paths[2])["runs"].blocks
    assert not any(isinstance(block, Prose) and block.kind == "gap" for block in apart)


def test_a_band_is_students_interval_over_seeds(tmp_path: Path) -> None:
    """0.2, 0.4 and 0.6: mean 0.4, standard deviation 0.2, and 4.303 x 0.2 / 3^(1/2) on either side, of a reward; a share ends at 0."""
    rewards = {0: 0.2, 1: 0.4, 2: 0.6}
    runs = [trained(tmp_path / str(seed), [reward, 0.5], seed) for seed, reward in rewards.items()]
    for run, chance in zip(runs, rewards.values(), strict=True):
        rows = [{"step": 1, "reward/mean": chance, "mode/a/probability": chance}, {"step": 2, "reward/mean": 0.5}]
        (run / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    chart = charts(sections(*runs)["arms-rl"])["Mean reward"]
    assert chart.table.columns == ["step", "3 seeds", "3 seeds, from", "3 seeds, to"]
    half = 4.30265 * 0.2 / 3**0.5
    assert chart.table.rows[0] == [1, *(pytest.approx(value, abs=1e-5) for value in (0.4, 0.4 - half, 0.4 + half))]
    [final] = [row for row in table(sections(*runs)["arms-rl"].blocks, "value") if row["of"] == "P(a)"]
    assert (final["from"], final["runs"]) == (0.0, 3)


def test_a_single_run_has_a_line_without_a_band(tmp_path: Path) -> None:
    chart = charts(sections(trained(tmp_path / "only", [0.1, 0.2]))["arms-rl"])["Mean reward"]
    assert chart.table.rows == [[1, 0.1], [2, 0.2]]
    assert chart.table.columns == ["step", "only"]


def test_accuracy_and_chances_of_modes(tmp_path: Path) -> None:
    """0.75 x 0.4 + 0.25 x 1; a mode that was not chosen has chance 0; of three modes the two that changed most are shown."""
    first = {"a": (0.75, 0.4), "b": (0.25, 1.0)}
    rows = [
        {"step": 1, **{f"mode/{m}/{k}": v for m, pair in first.items() for k, v in zip(("probability", "accuracy"), pair, strict=True)}},
        {"step": 2, "mode/b/probability": 0.95, "mode/b/accuracy": 0.5, "mode/c/probability": 0.05, "mode/c/accuracy": 0.0},
    ]  # fmt: skip
    found = charts(sections(make(tmp_path / "run", rows, train={}))["arms-rl"])
    assert found["Accuracy while training"].table.rows == [[1, pytest.approx(0.55)], [2, pytest.approx(0.475)]]
    assert found["P(a)"].table.rows == [[1, 0.75], [2, 0.0]]
    assert set(found) == {"Accuracy while training", "P(a)", "P(b)"}


def test_what_arms_came_to_is_tested_on_common_seeds(tmp_path: Path) -> None:
    """Differences 0.10 to 0.15: mean 0.125, all positive, so flipped signs reach their least, 2 / 2^6."""
    runs = two_arms(tmp_path, 6)
    [test] = table(sections(*runs)["arms-rl"].blocks, "pairs")
    assert (test["A"], test["pairs"], test["verdict"]) == (
        "algo.preset=rloo",
        6,
        "algo.preset=rloo above algo.preset=grpo",
    )
    assert test["A − B"] == pytest.approx(0.125)
    half = 2.570582 * 0.01 * (3.5 / 6) ** 0.5  # t of 5 times the deviation of 0, 1, …, 5 hundredths over 6^(1/2)
    assert test["from"] == pytest.approx(0.125 - half)
    assert (test["p of flipped signs"], test["smallest such p"]) == (1 / 32, 1 / 32)
    [fewer] = table(sections(*runs[:5], *runs[7:])["arms-rl"].blocks, "pairs")
    assert (fewer["pairs"], "p of flipped signs" in fewer) == (4, False)


def test_noise_is_not_significant(tmp_path: Path) -> None:
    ups = {"x": [0.5, 0.6, 0.4], "y": [0.6, 0.5, 0.4]}
    runs = [trained(tmp_path / a / str(s), [ups[a][s]], s, algo={"preset": a}) for a in ups for s in range(3)]
    [test] = table(sections(*runs)["arms-rl"].blocks, "pairs")
    assert test["verdict"] == "not significant"


def test_seeds_that_came_to_the_same_have_no_test(tmp_path: Path) -> None:
    """As where every reward of two arms was 0: all differences are alike, so no p-value is given, in no column and no sentence."""
    arms = [trained(tmp_path / f"{rate}-{seed}", [0.0, 0.0], seed, rate=rate) for rate in (1, 2) for seed in (0, 1)]
    section = sections(*arms)["arms-rl"]
    assert [row["verdict"] for row in table(section.blocks, "pairs")] == ["no test: the differences are all alike"]
    [told] = [block.text for block in section.blocks if isinstance(block, Prose)]
    assert told.endswith("all alike, A − B 0.000 [0.000, 0.000] over 2 pairs.")


def test_rewards_of_different_kinds_are_not_compared(tmp_path: Path) -> None:
    runs = [
        trained(tmp_path / name / str(s), [0.1 * s + len(name)], s, reward={name: 1.0})
        for name in ("exact", "number")
        for s in range(2)
    ]
    section = sections(*runs)["arms-rl"]
    assert tables(section.blocks, "pairs") == []
    assert "Mean reward" in [row["of"] for row in table(section.blocks, "value")]


def test_evaluations_are_compared_by_problem(tmp_path: Path) -> None:
    """Twenty problems: A has two samples right of two, B one; greedily A alone is right on nine, B alone on one."""
    questions = [f"{n} =" for n in range(20)]
    greedy_a, greedy_b = {q: n != 0 for n, q in enumerate(questions)}, {q: n == 0 or n > 9 for n, q in enumerate(questions)}  # fmt: skip
    a = evaluation(tmp_path / "a", {q: [True, True] for q in questions}, greedy_a, model="a")
    b = evaluation(tmp_path / "b", {q: [True, False] for q in questions}, greedy_b, model="b")
    blocks = sections(a, b)["arms-eval"].blocks
    [sampled] = table(blocks, "accuracy of A")
    assert (sampled["accuracy of A"], sampled["of B"], sampled["A − B"]) == (1.0, 0.5, 0.5)
    assert (sampled["problems"], sampled["verdict"]) == (20, "a above b")
    [greedy] = table(blocks, "only A right")
    assert (greedy["only A right"], greedy["only B right"]) == (9, 1)
    assert greedy["p"] == pytest.approx(22 / 1024)
    assert greedy["verdict"] == "a above b"
    finals = table(blocks, "value")
    assert (finals[0]["arm"], finals[0]["from"], finals[0]["to"]) == ("model=a", 0.4, 0.6)


def test_only_the_same_questions_are_the_same_problems(tmp_path: Path) -> None:
    a = evaluation(tmp_path / "a", {"1 =": [True], "2 =": [True]}, {"1 =": True, "2 =": True}, model="a")
    b = evaluation(tmp_path / "b", {"1 =": [True], "3 =": [False]}, {"1 =": True, "3 =": False}, model="b")
    [sampled] = table(sections(a, b)["arms-eval"].blocks, "accuracy of A")
    assert (sampled["problems"], sampled["verdict"]) == (1, "not significant")


def test_damaged_rollouts_are_a_gap_and_the_rest_is_shown(tmp_path: Path) -> None:
    runs = [evaluation(tmp_path / name, {"1 =": [True]}, {"1 =": True}, model=name) for name in "abc"]
    (runs[1] / "rollouts" / "step_000000.jsonl").write_text("{")
    blocks = sections(*runs)["arms-eval"].blocks
    assert any(isinstance(block, Prose) and block.kind == "gap" and "not JSON" in block.text for block in blocks)
    [greedy] = table(blocks, "only A right")
    assert (greedy["A"], greedy["B"]) == ("a", "c")


def test_stages_have_charts_of_their_own(tmp_path: Path) -> None:
    first = make(tmp_path / "pretrain", [{"step": s, "train/loss": 2.0 / s} for s in (1, 2)], model={"layers": 1}, train={"max_steps": 2})  # fmt: skip
    found = sections(first, trained(tmp_path / "rl", [0.1, 0.2]))
    assert list(found) == ["runs", "arms-pretrain", "arms-rl"]
    assert list(charts(found["arms-pretrain"])) == ["Training loss"]
    names = [block.name for section in found.values() for block in section.blocks if isinstance(block, Chart)]
    assert names == ["pretrain-train-loss", "rl-reward-mean"]


def test_many_runs_have_a_column_for_each_arm(tmp_path: Path) -> None:
    found = sections(*two_arms(tmp_path, 6))
    keys = table(found["arms-rl"].blocks, "key")
    assert list(keys[0]) == ["key", "algo.preset=rloo", "algo.preset=grpo"]
    assert [row["key"] for row in keys] == ["model", "algo.preset", "algo.advantage"][-len(keys) :]


def test_of_many_arms_eight_are_drawn_and_each_is_tested_against_the_first(tmp_path: Path) -> None:
    runs = [
        trained(tmp_path / f"{arm}" / str(s), [0.1, 0.2 + 0.1 * s * (arm + 1)], s, algo={"epsilon": arm})
        for arm in range(9)
        for s in range(2)
    ]
    blocks = sections(*runs)["arms-rl"].blocks
    told, drawn = (block.text for block in blocks if isinstance(block, Prose))
    assert told.startswith("Mean reward: algo.epsilon=1 and algo.epsilon=0: not significant, A − B 0.050 [")
    assert told.endswith(" over 2 pairs (p 1). 2 more tests are in the tables.")
    assert drawn == "The charts show the first 8 of 9 arms; the tables have all."
    [chart] = [block for block in blocks if isinstance(block, Chart)]
    assert len([column for column in chart.table.columns if "," not in column]) == 1 + 8
    assert len(table(blocks, "value")) == 9
    tests = table(blocks, "pairs")
    assert {(row["B"], row["A"]) for row in tests} == {("algo.epsilon=0", f"algo.epsilon={arm}") for arm in range(1, 9)}


def test_an_unfinished_run_is_named(tmp_path: Path) -> None:
    blocks = sections(
        trained(tmp_path / "a", [0.1, 0.2], train={"max_steps": 9}), trained(tmp_path / "b", [0.1], seed=1)
    )["runs"].blocks
    [gap] = [block.text for block in blocks if isinstance(block, Prose) and block.kind == "gap"]
    assert gap.startswith("Unfinished: a (it has done 2 of 9 steps).")


def test_runs_without_rows_and_the_same_run_twice(tmp_path: Path) -> None:
    empty = make(tmp_path / "empty", [], train={})
    found = sections(empty, empty)
    assert len(table(found["runs"].blocks, "arm")) == 1
    assert [block.kind for block in found["arms-rl"].blocks if isinstance(block, Prose)] == ["gap"]


@pytest.mark.parametrize("odd", [["x", 1], "<script>", {"a": None}, float("nan"), "n" * 5000, "\0", "~nobody/x", None])
def test_odd_values_are_shown_not_trusted(odd: Any, tmp_path: Path) -> None:
    runs = [
        trained(tmp_path / "a", [0.1], odd, model=odd, algo={"preset": odd}),
        trained(tmp_path / "b", [0.2], 1, algo={"preset": "grpo"}),
    ]
    stages = {run: open_finished(run).stage for run in runs}
    rows = table(sections(*runs)["runs"].blocks, "arm")
    assert [row["stage"] for row in rows] == list(stages.values())
    assert max(len(str(row["arm"])) for row in rows) < 100
