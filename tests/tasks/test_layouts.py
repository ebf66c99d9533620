"""Columns, templates and the layouts of GSM8K and MATH: which answer is the gold one, which question is put."""

import doctest
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import World

from rlvr.config import ProblemsConfig
from rlvr.errors import RlvrError
from rlvr.tasks import layouts, overlap
from rlvr.tasks.layouts import from_hashes, last_box
from rlvr.tasks.problems import Problems
from rlvr.types import Problem

GSM8K = Path(__file__).parent / "gsm8k_layout.jsonl"


def read(folder: Path, rows: list[dict[str, Any]], **fields: Any) -> Problems:
    file = folder / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return Problems(
        ProblemsConfig.model_validate({"name": "problems", "path": str(file), "test_fraction": 1.0, **fields}), 0
    )


def problems(made: Problems) -> list[Problem]:
    return [made.problem("test", index) for index in range(made.size("test") or 0)]


@pytest.mark.parametrize("module", [layouts, overlap], ids=lambda module: str(module.__name__))
def test_examples_in_docstrings_are_true(module: Any) -> None:
    result = doctest.testmod(module)
    assert result.attempted
    assert not result.failed


@pytest.mark.parametrize(
    ("worked", "gold"),
    [("a\n#### 42", "42"), ("a\n#### 1,234,567", "1234567"), ("#### -3", "-3"), ("a #### $10.50\n", "10.50"), ("a\n####7", "7")],
)  # fmt: skip
def test_the_gold_number_after_hashes(worked: str, gold: str) -> None:
    assert from_hashes(worked)[0] == gold


@pytest.mark.parametrize("worked", ["a 42", "a\n####", "a\n#### 4 apples", "a\n#### 1,5", "#### 4\nb", "a\n#### ٤"])
def test_a_gold_number_that_cannot_be_read(worked: str) -> None:
    with pytest.raises(ValueError, match="answer"):
        from_hashes(worked)


@pytest.mark.parametrize(
    ("worked", "gold"),
    [
        (r"so \boxed{4}.", "4"),
        (r"\boxed{3} then \boxed{\frac{1}{2}}", r"\frac{1}{2}"),
        (r"\boxed{\left\{1, 2\right\}}", r"\left\{1, 2\right\}"),
        (r"\boxed{\{1}", r"\{1"),
        (r"\fbox{ 7 }", "7"),
    ],
)
def test_the_content_of_the_last_box(worked: str, gold: str) -> None:
    assert last_box(worked) == gold


@pytest.mark.parametrize(
    "worked", ["4", r"\boxed 4", r"\boxed{4", r"\boxed{}", r"\boxed{4\}", r"\boxed{4} \boxed{{5}", "\\boxed{\\"]
)
def test_a_box_that_cannot_be_read(worked: str) -> None:
    with pytest.raises(ValueError, match="solution has"):
        last_box(worked)


def test_gsm8k_is_recognised_and_said_so_once(capsys: pytest.CaptureFixture[str]) -> None:
    config = ProblemsConfig.model_validate({"name": "problems", "path": str(GSM8K), "test_fraction": 1.0})
    made, _ = Problems(config, 0), Problems(config, 1)
    golds = [problem.answer for problem in problems(made)]
    assert golds[:6] == ["39", "1050", "38", "90", "13", "4200"]
    assert golds[-4:] == ["-8", "45", "10.5", "13500"]
    assert made.gold_response(problems(made)[1]).endswith("210 * 5 = <<210*5=1050>>1050 cars.\n#### 1050")
    assert made.modes == ("direct", "cot")
    assert capsys.readouterr().err.count("the layout of GSM8K was recognised") == 1
    plain = Problems(config.model_copy(update={"layout": "plain"}), 0)
    assert plain.problem("test", 0).answer.endswith("\n#### 39")


def test_one_bad_gold_answer_does_not_hide_the_layout(tmp_path: Path) -> None:
    rows = [{"question": f"q{n}", "answer": f"w\n#### {n}"} for n in range(3)]
    rows[1]["answer"] = "w\n#### many"
    with pytest.raises(RlvrError, match=r"rows\.jsonl:2: answer ends in #### and no number: 'many'"):
        read(tmp_path, rows)
    assert [p.answer for p in problems(read(tmp_path, rows, on_bad_line="skip"))] == ["0", "2"]


def test_math_is_recognised_and_an_answer_column_goes_before_the_box(tmp_path: Path) -> None:
    row = {"problem": "1/2?", "solution": r"It is $\boxed{\frac12}$.", "level": "Level 1", "type": "Algebra"}
    [problem] = problems(read(tmp_path, [row]))
    assert (problem.question, problem.answer) == ("1/2?", r"\frac12")
    assert problem.metadata == {"solution": row["solution"], "level": "Level 1", "type": "Algebra", "line": 1}
    [problem] = problems(read(tmp_path, [{**row, "answer": "0.5"}]))
    assert problem.answer == "0.5"
    with pytest.raises(RlvrError, match=r"rows\.jsonl:1: solution has no .boxed"):
        read(tmp_path, [{**row, "solution": "none"}], layout="math")


def test_columns_are_mapped_by_name_and_by_path(tmp_path: Path) -> None:
    rows = [
        {
            "prompt": [{"role": "user", "content": "1+1?"}],
            "reward_model": {"truth": 2},
            "question": "id 7",
            "how": "1+1=2",
        }
    ]
    columns = {"question": "prompt.0.content", "answer": "reward_model.truth", "solution": "how"}
    [problem] = problems(read(tmp_path, rows, columns=columns))
    assert (problem.question, problem.answer, problem.metadata["solution"]) == ("1+1?", "2", "1+1=2")
    assert "how" not in problem.metadata
    with pytest.raises(RlvrError, match=r"rows\.jsonl:1: prompt\.0\.content is missing or not a text"):
        read(tmp_path, [{**rows[0], "prompt": []}, rows[0]], columns=columns)


def test_a_column_that_no_row_has_is_refused_with_the_columns_there_are(tmp_path: Path) -> None:
    rows = [{"prompt": "1+1?", "answers": "2"}]
    with pytest.raises(RlvrError, match="no row has a column promt; allowed: prompt, answers; Did you mean prompt"):
        read(tmp_path, rows, columns={"question": "promt", "answer": "answers"})
    with pytest.raises(RlvrError, match="no row has a column question; allowed: prompt, answers"):
        read(tmp_path, rows)
    with pytest.raises(RlvrError, match="no row has a column hint; allowed"):
        read(tmp_path, rows, columns={"question": "prompt", "answer": "answers"}, template="{question} {hint}")


def test_a_template_renders_the_question_and_reads_nothing_of_what_it_is_given(tmp_path: Path) -> None:
    rows = [{"question": "{topic} {0.__class__} {{x}}?", "answer": "2", "topic": "{answer}", "n": 3}]
    template = "[{topic}] {question} ({n}) Write {{answer}} in \\boxed{} {0} { topic }."
    [problem] = problems(read(tmp_path, rows, template=template))
    assert problem.question == "[{answer}] {topic} {0.__class__} {{x}}? (3) Write {answer} in \\boxed{} {0} { topic }."
    with pytest.raises(RlvrError, match=r"rows\.jsonl:2: topic is missing or neither a text nor a number"):
        read(tmp_path, [*rows, {"question": "q", "answer": "2", "topic": None, "n": 1}], template=template)


def test_a_template_changes_no_split(tmp_path: Path) -> None:
    rows = [{"question": f"q{n}", "answer": n} for n in range(50)]
    bare = [problem.answer for problem in problems(read(tmp_path, rows, test_fraction=0.3))]
    put = [problem.answer for problem in problems(read(tmp_path, rows, test_fraction=0.3, template="Q: {question}"))]
    assert bare == put


def test_a_template_need_not_hold_the_question(tmp_path: Path) -> None:
    rows = [{"a": n, "b": n, "answer": 2 * n} for n in range(4)]
    assert [p.question for p in problems(read(tmp_path, rows, template="{a} + {b}"))] == [
        "0 + 0",
        "1 + 1",
        "2 + 2",
        "3 + 3",
    ]


def test_an_empty_solution_of_a_table_is_none(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("question,answer,solution\nq,1,one 1\nr,2,\n")
    config = {"name": "problems", "path": str(tmp_path / "r.csv"), "test_fraction": 1.0}
    made = Problems(ProblemsConfig.model_validate(config), 0)
    assert made.modes == ("direct",)
    assert made.gold_response(made.problem("test", 1)) == "2"


def test_an_unknown_field_is_refused_before_the_first_step(
    world: World, tmp_path: Path, refused: Callable[..., str]
) -> None:
    settings = f"task={{name: problems, path: '{GSM8K}', template: '{{qestion}}'}}"
    said = refused("rl", world.configs["rl"], "--set", settings, "--run", tmp_path / "run")
    assert "no row has a column qestion; allowed: question, answer; Did you mean question?" in said
