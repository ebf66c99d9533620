"""``rlvr audit``: what a reward wrongly pays and refuses, and saved rollouts graded again."""

import json
import re
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from conftest import call, loaded, write_config

from rlvr.audit.estimates import advantages
from rlvr.audit.programs import wrong_programs
from rlvr.audit.shapes import Shape, decimal_text, near_misses, number_of, surely_differ
from rlvr.audit.wrong import changed_json
from rlvr.config import RlConfig
from rlvr.rewards.code import grade_code, parse_gold

ROOT = Path(__file__).parent.parent
NUMBERS = ["12", "-7", "0", "1", "1234", "3.5", "-0.25", "0.001"]
ADD = '{"fn": "add", "cases": [[[1, 2], 3], [[2, 2], 4]]}'
ADDS = "```python\ndef add(a, b):\n    return a + b\n```"

REFUSING = {"gold", "spaces around", "after thoughts", "box", "answer tags", "hashes", "formula", "phrase", "full stop"}
NOTATIONS = {"words around", "trailing zeros", "thousands", "fraction", "decimal", "minus sign", "named", "letter"}
WORDS = {"case", "article", "spaces inside", "composition"}
FORMS = {
    "prose around",
    "fence",
    "comment",
    "line ends",
    "last block",
    "key order",
    "white space",
    "compact",
    "number form",
}
PAYING = {
    "empty", "blank", "punctuation", "thoughts alone", "empty thoughts", "unfinished thoughts", "cut short",
    "question restated", "prompt echo", "near miss", "other answer", "hedge", "candidates", "false chain",
    "wrong answer last", "judge-speak", "abstention", "hostile", "wrong program", "program that never halts",
}  # fmt: skip


def config(folder: Path, answers: list[str], reward: Any, rows: dict[str, list[Any]] | None = None) -> Path:
    """An RL configuration on a file of problems. rows: further keys of its lines."""
    lines = [{"question": f"Which one is case {chr(97 + n)}?", "answer": answer} for n, answer in enumerate(answers)]
    for key, values in (rows or {}).items():
        lines = [{**line, key: value} for line, value in zip(lines, values, strict=True)]
    (folder / "data.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    task = {"name": "problems", "path": str(folder / "data.jsonl"), "test_fraction": 0}
    return rl_config(folder / "audited.yaml", task, reward)


def rl_config(file: Path, task: Any, reward: Any) -> Path:
    return write_config(
        file, {"model": "none", "task": task, "reward": reward, "train": {"max_steps": 1, "learning_rate": 0.1}}
    )


def own(folder: Path, body: str) -> dict[str, Any]:
    (folder / "own.py").write_text(f"import time\ndef score(question, answer, response, metadata):\n    {body}\n")
    return {"file": str(folder / "own.py"), "function": "score", "seconds": 0.5}


def audited(*arguments: object, code: int = 0) -> dict[str, Any]:
    """What ``--json`` prints: nothing else is on stdout."""
    answer = call("audit", *arguments, "--json")
    assert answer.code == code, answer.err
    result = json.loads(answer.out)
    assert isinstance(result, dict)
    return result


def families(result: dict[str, Any], side: str) -> dict[str, int]:
    """Mistakes by family."""
    return {each["family"]: each["rate_wrong"] for each in result["families"] if each["side"] == side}


# ----------------------------------------------------------------------------------------------- from both sides


CASES: list[tuple[dict[str, Any], list[str], dict[str, list[Any]]]] = [
    ({"math": 1.0}, [*NUMBERS, "3/4", "\\frac{2}{5}", "x^2+1", "\\frac{x}{2}+y", "(3,4)", "yes"], {}),
    ({"number": 1.0}, NUMBERS, {}),
    ({"number": {"weight": 1.0, "extract": "last_number"}}, NUMBERS, {}),
    ({"exact": 1.0}, ["Paris", "the Nile", "New York", "São Paulo", "p312", "42"], {}),
    ({"choice": 1.0}, ["A", "C", "(E)"], {}),
    ({"json": 1.0}, ['{"a": [1, 2], "b": null}', "[1, 2]", "true", '"x"', "0"], {}),
    ({"code": 1.0}, [ADD], {"solution": [ADDS]}),
    ({"regex": 1.0}, ["[ab]+"], {"solution": ["So it is \\boxed{abba}."]}),
    ({"math": {"weight": 1.0, "extract": "boxed"}}, ["4", "1/2"],
     {"solution": ["2 + 2 is \\boxed{4}.", "Half is \\boxed{1/2}."]}),
    ({"exact": {"weight": 1.0, "extract": "regex", "pattern": "Answer: (.+)"}}, ["4"], {"solution": ["Answer: 4"]}),
    ({"math": 1.0, "exact": 1.0, "choice": 1.0, "json": 1.0}, ["12", "Paris", "B", "[1]"],
     {"grader": ["math", "exact", "choice", "json"]}),
    ({"math": {"correct": 1, "abstain": 0, "wrong": -1}, "format": 0.1}, ["12", "7"], {}),
]  # fmt: skip


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """An audit of each of CASES."""
    folders = [tmp_path_factory.mktemp("audit") for _ in CASES]
    return [
        audited(config(folder, answers, reward, rows))
        for folder, (reward, answers, rows) in zip(folders, CASES, strict=True)
    ]


@pytest.mark.parametrize("index", range(len(CASES)), ids=lambda index: "+".join(CASES[index][0]))
def test_our_own_graders_make_no_mistake(results: list[dict[str, Any]], index: int) -> None:
    result = results[index]
    assert result["fp"] == result["fn"] == 0.0, result["offenders"]
    assert result["errors"] == result["timeouts"] == 0
    assert result["fp_count"] >= 40
    assert result["fn_count"] >= 1


def test_every_family_is_tried_somewhere(results: list[dict[str, Any]]) -> None:
    tried = {side: {name for result in results for name in families(result, side)} for side in ("pass", "fail")}
    assert tried["pass"] == REFUSING | NOTATIONS | WORDS | FORMS
    assert tried["fail"] == PAYING


def test_each_problem_is_probed_by_its_own_grader_alone(tmp_path: Path) -> None:
    """The letter may be written (B), which exact and math do not promise for their own problems."""
    reward = {"exact": 1.0, "choice": 1.0}
    graded = audited(config(tmp_path, ["Paris", "B"], reward, {"grader": ["exact", "choice"]}))
    both = audited(config(tmp_path, ["B", "C"], reward))
    assert families(graded, "pass")["letter"] == 0
    assert "letter" not in families(both, "pass")


def test_a_function_that_looks_for_the_answer_anywhere_is_caught(tmp_path: Path) -> None:
    file = config(tmp_path, NUMBERS, own(tmp_path, "return float(answer in response)"))
    answer = call("audit", file, "--max-fp", 0.05)
    assert answer.code == 3
    assert answer.err.count("\n") == 1
    assert answer.err.startswith("error: fp 0.")
    assert "is above --max-fp 0.05" in answer.err
    assert re.search(r"'not [-0-9.]+' was paid 1 of 1 \(own: correct\)", answer.out)
    result = audited(file)
    caught = families(result, "fail")
    tried = {each["family"]: each["rate_count"] for each in result["families"] if each["side"] == "fail"}
    for family in ("hedge", "candidates", "false chain", "unfinished thoughts", "wrong answer last"):
        assert caught[family] == tried[family] > 0
    assert caught["empty"] == caught["question restated"] == 0
    assert result["fp_low"] < result["fp"] == result["fp_wrong"] / result["fp_count"] < result["fp_high"]
    assert result["fn"] == 0.0
    assert len({offender["family"] for offender in result["offenders"]}) == len(result["offenders"]) <= 10


def test_a_function_that_is_too_strict_is_caught(tmp_path: Path) -> None:
    file = config(tmp_path, NUMBERS, own(tmp_path, "return float(response == answer)"))
    result = audited(file, "--max-fp", 0, "--max-fn", 0.4, code=3)
    assert (result["fp"], result["fn"]) == (0.0, 0.5)
    assert families(result, "pass") == {"gold": 0, "spaces around": len(NUMBERS)}
    assert audited(file, "--max-fn", 0.5)["fn"] == 0.5


def test_a_wrong_answer_that_is_paid_as_much_as_the_right_one_is_caught(tmp_path: Path) -> None:
    """The right response earns 1 + 1; a wrong one 0 + 2, though ``exact`` does not take it for right."""
    function = own(tmp_path, "return 1.0 if response.strip() == answer else 2.0 if response.strip() else 0.0")
    result = audited(config(tmp_path, ["12", "7"], {"exact": 1.0, "own": {**function, "weight": 1.0}}))
    caught = families(result, "fail")
    assert caught["near miss"] > 0
    assert caught["empty"] == caught["blank"] == 0
    assert result["fn"] == 0.0


def test_a_function_that_fails_or_hangs_is_counted_and_the_audit_goes_on(tmp_path: Path) -> None:
    body = "time.sleep(60) if len(response) > 500_000 else None; return float(int(response) == int(answer))"
    result = audited(config(tmp_path, ["12", "7"], own(tmp_path, body)), "--problems", 2)
    assert result["timeouts"] == 4  # a megabyte of digits and one of letters for each problem
    assert result["errors"] > 50
    assert result["fp"] == result["fn"] == 0.0
    assert not result["stopped"]
    assert {offender["reasons"]["own"] for offender in result["offenders"]} <= {"error", "timeout"}


@pytest.mark.check("R16")
def test_a_function_that_always_hangs_does_not_hold_up_the_audit(tmp_path: Path) -> None:
    result = audited(config(tmp_path, NUMBERS, {**own(tmp_path, "time.sleep(60)"), "seconds": 0.1}))
    assert result["stopped"]
    assert result["problems"] == 1
    assert result["timeouts"] == result["fp_count"] + result["fn_count"] == 8
    assert result["fn"] == 1.0


def test_what_a_documented_rule_pays_is_counted_apart(tmp_path: Path) -> None:
    result = audited(config(tmp_path, ["12", "7"], {"number": 1.0}))
    assert result["fp"] == 0.0
    assert result["by_rule"] == sum(families(result, "rule").values()) > 0
    answer = call("audit", tmp_path / "audited.yaml")
    assert f"{result['by_rule']} hedges were paid by a documented rule and count for neither rate" in answer.out
    math = audited(tmp_path / "audited.yaml", "--set", "reward={math: 1.0}")
    assert math["by_rule"] == math["fp_wrong"] == 0


TASKS = [
    {"name": "modsum", "modulus": 2, "length": 16},
    {"name": "modsum", "modulus": 10, "length": 8, "leaps": [1, 3]},
    {"name": "modsum", "modulus": 2, "length": 8, "tagged": False},
    {"name": "arithmetic", "operation": "product", "digits": 3},
    {"name": "words", "group": "S5"},
]


@pytest.mark.parametrize("task", TASKS, ids=lambda task: "-".join(map(str, task.values())))
def test_generated_tasks_pay_right_answers_alone(task: dict[str, Any], tmp_path: Path) -> None:
    table = {"exact": 1.0} if task["name"] == "words" else {"exact": 1.0, "number": 0.5, "format": 0.1}
    result = audited(rl_config(tmp_path / "config.yaml", task, table), "--problems", 16)
    assert result["problems"] == 16
    assert result["fp"] == result["fn"] == 0.0, result["offenders"]


@pytest.mark.parametrize("file", sorted((ROOT / "configs").rglob("*.yaml")), ids=lambda file: file.stem)
def test_the_rewards_of_shipped_configurations_are_sound(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    result = audited(file, "--max-fp", 0, "--max-fn", 0)
    assert result["problems"] == 32
    assert result["fp"] == result["fn"] == 0.0


# -------------------------------------------------------------------------------------------- what is sure to be wrong


@pytest.mark.parametrize("gold", [*NUMBERS, "1,250", "−4", "3/4", "-1/3", "\\frac{2}{5}", "\\dfrac{-7}{2}", "100000"])
def test_a_near_miss_never_equals_the_number(gold: str) -> None:
    value, near = number_of(gold), near_misses(gold, Shape.NUMBER)
    assert len(near) >= (5 if value else 2)
    assert value not in {number_of(text) for text in near}
    assert None not in {number_of(text) for text in near}


def test_numbers_are_read_and_written_exactly() -> None:
    assert number_of("-1,250.50") == Fraction(-2501, 2)
    assert number_of("-\\dfrac{3}{4}") == Fraction(-3, 4)
    assert [number_of(text) for text in ("3 apples", "1/0", "1e3", "9" * 61, "")] == [None] * 5
    assert decimal_text(Fraction(-1, 8)) == "-0.125"
    assert decimal_text(Fraction(5)) == "5"


@pytest.mark.parametrize(
    ("a", "b", "differ"),
    [
        ("1/2", "0.5", False), ("1/2", "0.6", True), ("Paris", "the paris", False), ("Paris", "Rome", True),
        ("x+1", "1+x", False), ("5 m", "5", False), ("A", "B", True), ("cat", "cats", False), ("[0,1)", "(0,1)", False),
    ],
)  # fmt: skip
def test_answers_to_other_problems_are_tried_only_if_they_surely_differ(a: str, b: str, differ: bool) -> None:
    assert surely_differ(a, b) is differ


@pytest.mark.parametrize("gold", ["0", "1", "true", "null", '"x"', "[]", "{}", "[1, 1]", '{"a": [1, {"b": 2}]}'])
def test_a_changed_json_value_is_another_value(gold: str) -> None:
    def strict(value: Any) -> Any:
        """Lists and objects with the types of their leaves, so that true is not 1."""
        if isinstance(value, list):
            return [strict(item) for item in value]
        return {k: strict(v) for k, v in value.items()} if isinstance(value, dict) else (type(value), value)

    changed = changed_json(gold)
    assert len(changed) >= 3
    assert all(strict(json.loads(text)) != strict(json.loads(gold)) for text in changed)


@pytest.mark.parametrize(
    "gold",
    [
        '{"stdin_cases": [["1\\n", "2\\n"], ["4\\n", "5\\n"]]}',
        '{"stdin_cases": [["1\\n", ""]]}',
        '{"fn": "none", "cases": [[[1], null]]}',
        '{"fn": "same", "cases": [[[1], "a"], [[2], "a"]]}',
        '{"fn": "mixed", "cases": [[[1], true], [[2], 1]]}',
    ],
)
def test_wrong_programs_pass_no_tests(gold: str) -> None:
    sources = [response for family, response in wrong_programs(parse_gold(gold)) if family == "wrong program"]
    assert gold.endswith('""]]}') is (sources == [])
    assert not any(grade_code(gold, source) for source in sources)


# --------------------------------------------------------------------------------------------------- files and mistakes


def test_the_result_is_kept_in_the_run_directory(tmp_path: Path) -> None:
    file = config(tmp_path, ["12", "7"], {"math": 1.0})
    run = make_run(tmp_path / "run", {"math": 1.0}, tmp_path)
    answer = call("audit", file, "--run", run)
    assert answer.code == 0
    assert answer.out.endswith(f"{run / 'audit.json'}\n")
    result = audited(file)
    assert json.loads((run / "audit.json").read_text())["probes"] == result
    assert [path.name for path in run.iterdir() if path.name.startswith(".tmp")] == []


def test_a_limit_is_a_share(tmp_path: Path) -> None:
    assert call("audit", config(tmp_path, ["1"], {"math": 1.0}), "--max-fp", 1.5).code == 2


def test_what_cannot_be_audited_is_refused(tmp_path: Path, refused: Callable[..., str]) -> None:
    assert "nothing to audit" in refused("audit")
    pretrain = write_config(
        tmp_path / "pretrain.yaml",
        {
            "model": {"layers": 1, "width": 16, "heads": 2}, "task": {"name": "modsum"},
            "data": {"mixture": {"direct": 1.0}}, "train": {"max_steps": 1, "learning_rate": 0.1, "batch_tokens": 512},
        },
    )  # fmt: skip
    assert "rewards no answers" in refused("audit", pretrain)
    file = config(tmp_path, ["12", "many"], {"number": 1.0})
    assert "line 2 ('Which one is case b?'): its gold answer 'many' cannot be read" in refused("audit", file)
    file = config(tmp_path, ["12", "7"], {"math": 1.0, "exact": 1.0}, {"grader": ["math", "jury"]})
    assert "no component of the reward checks its answer; got 'jury'" in refused("audit", file)
    file = config(tmp_path, ["12", "7"], {"math": 1.0})
    assert "is not a run directory" in refused("audit", file, "--run", tmp_path)
    assert "no such file" in refused("audit", file, "--set", "reward={file: none.py, function: score}")


def test_it_imports_no_torch(tmp_path: Path) -> None:
    file = config(tmp_path, ["12", "7"], {"exact": 1.0})
    run = make_run(tmp_path / "run", {"number": 1.0}, tmp_path)
    for arguments in ((file,), ("--rescore", run)):
        assert {"torch", "transformers"}.isdisjoint(loaded("audit", *arguments))


# -------------------------------------------------------------------------------------------------- grading again


ESCAPES = "[/bold]\x1b[2J\x00\ud800 5"
GROUPS = {"4": ["4", "3 or 4", ESCAPES, "4"], "7": ["7", "7", "8", "6"]}
"""``number`` pays the last number, and so three of the first group and two of the second."""


def make_run(run: Path, reward: Any, folder: Path, *, paid: Callable[[str, str], bool] | None = None) -> Path:
    """A run directory as rl leaves it: one step with the rollouts of GROUPS. paid: which were; those that end in the answer."""
    (run / "rollouts").mkdir(parents=True)
    (folder / "problems.jsonl").write_text("".join(json.dumps({"question": a, "answer": a}) + "\n" for a in GROUPS))
    task = {"name": "problems", "path": str(folder / "problems.jsonl"), "test_fraction": 0}
    rl_config(run / "config.yaml", task, reward)
    right = paid or (lambda answer, text: text.endswith(answer))
    name = next(iter(name for name in reward if name != "noise"))
    rows = [
        {
            "task": "problems", "split": "train", "index": index, "question": f"What is {answer}?", "answer": answer,
            "metadata": {"line": index + 1}, "prompt": "", "completion": text, "mode": "direct",
            "correct": right(answer, text), "reward": float(right(answer, text)), "oracle": float(right(answer, text)),
            "rewards": {name: float(right(answer, text))}, "reasons": {name: "correct" if right(answer, text) else "wrong"},
            "advantage": 0.0, "stop_reason": "stop", "prompt_ids": [1], "token_ids": [1, 2], "logprobs": [0.0, 0.0],
        }
        for index, (answer, texts) in enumerate(GROUPS.items())
        for text in texts
    ]  # fmt: skip
    save(run, rows)
    return run


def save(run: Path, rows: list[dict[str, Any]]) -> None:
    (run / "rollouts" / "step_000001.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def saved(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "rollouts" / "step_000001.jsonl").read_text().splitlines()]


def test_the_same_reward_changes_nothing(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", {"number": 1.0}, tmp_path)
    result = audited("--rescore", run, "--max-fp", 0, "--max-fn", 0)
    assert result["rollouts"] == 8
    assert result["right_to_wrong_wrong"] == result["wrong_to_right_wrong"] == 0
    assert result["reward_change_max"] == result["advantage_change_max"] == 0.0
    assert result["components"] == {"number": {"changed": 0}}
    assert result["offenders"] == []


def test_another_reward_shows_whose_verdict_changed_and_how_far_advantages_move(tmp_path: Path) -> None:
    """In the first group 1 1 0 1 becomes 1 0 0 1: advantages ¼ ¼ -¾ ¼ become ½ -½ -½ ½. The second stays."""
    run = make_run(tmp_path / "run", {"number": 1.0}, tmp_path)
    result = audited("--rescore", run, "--set", "reward={math: 2.0}", "--max-fn", 0)
    assert (result["right_to_wrong_wrong"], result["wrong_to_right_wrong"]) == (1, 0)
    assert (result["fp"], result["fp_count"], result["fn"], result["fn_count"]) == (0.25, 4, 0.0, 4)
    result = audited("--rescore", run, "--set", "reward={math: 1.0}", "--max-fp", 0.2, code=3)
    assert result["components"] == {
        "number": {"changed": 0, "recorded only": 8},
        "math": {"changed": 0, "present only": 8},
    }
    assert result["reward_change_mean"] == 1 / 8
    assert result["reward_change_max"] == 1.0
    assert result["advantage_change_mean"] == pytest.approx(1.5 / 8)
    assert result["advantage_change_max"] == pytest.approx(0.75)
    assert (result["sign_changed_groups_wrong"], result["sign_changed_groups_count"]) == (1, 2)
    assert [step["step"] for step in result["steps"]] == [1]
    (offender,) = result["offenders"]
    assert offender["completion"] == "3 or 4"
    assert (offender["was_paid"], offender["now_paid"], offender["now_reasons"]) == (1.0, 0.0, {"math": "wrong"})
    assert (offender["was_advantage"], offender["now_advantage"]) == (0.25, -0.5)
    assert json.loads((run / "audit.json").read_text())["rescore"] == result


def test_the_advantages_are_those_of_the_run_s_own_estimator(tmp_path: Path) -> None:
    """Standardised, 1 1 0 1 has the deviation ½ and 1 0 0 1 has 1/√3: -1.5 becomes -0.866 and ½ becomes ∓0.866."""
    run = make_run(tmp_path / "run", {"number": 1.0}, tmp_path)
    text = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(f"{text}algo: {{preset: grpo}}\n")
    result = audited("--rescore", run, "--set", "reward={math: 1.0}")
    assert result["advantage_change_max"] == pytest.approx(0.5 + 0.75**0.5, abs=1e-4)


@pytest.mark.parametrize(
    ("estimator", "expected"),
    [
        ("reward", [1.0, 0.0, 0.5]), ("group_mean", [0.5, -0.5, 0.0]), ("leave_one_out", [0.75, -0.75, 0.0]),
        ("running_mean", [0.75, -0.25, 0.25]), ("positive", [1.0, 0.0, 0.5]),
        ("group_standardised", [1.0, -1.0, 0.0]), ("batch_standardised", [1.0, -1.0, 0.0]),
    ],
)  # fmt: skip
def test_every_estimator_can_be_asked_again(estimator: str, expected: list[float]) -> None:
    tree = {
        "model": "none",
        "task": TASKS[0],
        "algo": {"advantage": estimator},
        "train": {"max_steps": 1, "learning_rate": 0.1},
    }
    (found,) = advantages(RlConfig.model_validate(tree), [[1.0, 0.0, 0.5]], 0.25)
    assert found == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("algo", ["{preset: ppo}", "{preset: opd, teacher: runs/x}"])
def test_advantages_that_need_more_than_rewards_are_left_out(tmp_path: Path, algo: str) -> None:
    run = make_run(tmp_path / "run", {"number": 1.0}, tmp_path)
    text = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(f"{text}algo: {algo}\n")
    result = audited("--rescore", run, "--set", "reward={math: 1.0}")
    assert result["reward_change_max"] == 1.0
    assert result["advantage_change_max"] is None


def test_a_function_that_was_mended_is_compared_with_what_it_said(tmp_path: Path) -> None:
    reward = own(tmp_path, "return float(response == answer)")
    run = make_run(
        tmp_path / "run", {"own": {**reward, "weight": 1.0}}, tmp_path, paid=lambda answer, text: text == answer
    )
    assert audited("--rescore", run)["offenders"] == []
    own(tmp_path, "return float(answer in response or '5' in response)")
    result = audited("--rescore", run)
    assert (result["right_to_wrong_wrong"], result["wrong_to_right_wrong"]) == (0, 2)
    assert result["components"] == {"own": {"changed": 2, "wrong -> correct": 2}}
    assert (result["fn_wrong"], result["fn_count"]) == (2, 6)
    own(tmp_path, "return 1 / 0")
    assert audited("--rescore", run)["errors"] == 8


def test_noise_is_left_out_on_both_sides(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", {"number": 1.0, "noise": {"fp": 1.0}}, tmp_path)
    save(run, [{**row, "reward": 1.0, "rewards": {"number": 1.0}} for row in saved(run)])
    result = audited("--rescore", run)
    assert result["noise_left_out"]
    assert result["reward_change_max"] == 0.0
    assert result["components"] == {"number": {"changed": 0}}
    assert "compared without it" in call("audit", "--rescore", run).out


def test_rollouts_from_before_metadata_were_saved_can_be_graded_again(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", {"number": 1.0}, tmp_path)
    later = ("metadata", "oracle", "reasons")
    save(run, [{key: value for key, value in row.items() if key not in later} for row in saved(run)])
    result = audited("--rescore", run, "--set", "reward={math: 1.0}")
    assert (result["right_to_wrong_wrong"], result["wrong_to_right_wrong"]) == (1, 0)
    assert result["without_metadata"] == 8


@pytest.mark.check("R29")
def test_completions_are_shown_literally(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", {"number": 1.0}, tmp_path, paid=lambda answer, text: True)
    answer = call("audit", "--rescore", run)
    assert repr(ESCAPES) in answer.out
    assert "\x1b" not in answer.out
    assert "\x00" not in answer.out


def test_evaluations_have_no_advantages(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", {"number": 1.0}, tmp_path)
    task = {"name": "problems", "path": str(tmp_path / "problems.jsonl"), "test_fraction": 0}
    write_config(run / "config.yaml", {"model": "none", "task": task, "reward": {"math": 1.0}})
    result = audited("--rescore", run)
    assert result["right_to_wrong_wrong"] == 1
    assert result["advantage_change_mean"] is None


def test_what_cannot_be_graded_again_is_refused(tmp_path: Path, refused: Callable[..., str]) -> None:
    run = make_run(tmp_path / "run", {"number": 1.0}, tmp_path)
    assert "--problems: has no effect beside --rescore" in refused("audit", "--rescore", run, "--problems", 2)
    assert "is not a run directory" in refused("audit", "--rescore", tmp_path)
    rows = saved(run)
    save(run, [{key: value for key, value in row.items() if key != "completion"} for row in rows])
    assert "step_000001.jsonl:1: is damaged: completion is missing" in refused("audit", "--rescore", run)
    save(run, [{**row, "answer": "many"} for row in rows])
    assert "its gold answer 'many' cannot be read" in refused("audit", "--rescore", run)
    (run / "rollouts" / "step_000001.jsonl").write_text("{]\n")
    assert "step_000001.jsonl:1: is damaged" in refused("audit", "--rescore", run)
    (run / "rollouts" / "step_000001.jsonl").unlink()
    assert "has no saved rollouts" in refused("audit", "--rescore", run)
