"""Views for the terminal."""

import json
from pathlib import Path

import pytest
from rich.console import Console, RenderableType

from rlvr.report.choosing import Choice, Step, open_step
from rlvr.report.rollouts_text import rollouts_view
from rlvr.report.runs import Run
from rlvr.report.terminal import HEIGHT, WIDTH, chart, comparison, growth
from rlvr.runtime.literal import printable


def shown(view: RenderableType) -> str:
    """What a wide terminal without colours would be sent."""
    console = Console(width=160, highlight=False)
    with console.capture() as captured:
        console.print(view)
    return captured.get()


def lines_with(view: RenderableType, word: str) -> list[str]:
    return [line for line in shown(view).splitlines() if word in line]


def run(path: Path, rows: list[dict], model: str = "runs/rl", stage: str = "eval") -> Run:
    return Run(path=path, stage=stage, config={"model": model}, rows=rows)


# ------------------------------------------------------------------------------------------------ characters


@pytest.mark.parametrize(
    ("text", "harmless"),
    [
        ("two lines\nof é 字", "two lines\nof é 字"),
        ("\x1b[2J", "\\x1b[2J"),  # clears the screen
        ("\x9b31m", "\\x9b31m"),  # the same introducer as one character
        ("a\rb\tc\x07\x08", "a\\x0db\\x09c\\x07\\x08"),
        ("\u202eabc", "\\x202eabc"),  # turns the direction of writing
        ("\ud800", "\\xd800"),
    ],
)
def test_control_characters_are_made_visible(text: str, harmless: str) -> None:
    assert printable(text) == harmless


def attempt(**fields: object) -> dict:
    row = {"index": 0, "question": "1 + 1", "answer": "2", "completion": "2", "mode": "direct"}
    return {**row, "correct": True, "reward": 1.0, "advantage": 0.5, "token_ids": [1, 2], **fields}


def with_rollouts(folder: Path, *rows: dict, step: int = 4) -> Step:
    (folder / "rollouts").mkdir()
    file = folder / "rollouts" / f"step_{step:06d}.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return open_step(run(folder, [], stage="rl"), step)


def test_nothing_a_model_or_a_file_writes_reaches_the_terminal_raw(tmp_path: Path) -> None:
    bad = "\x1b]0;gone\x07"
    rows = with_rollouts(tmp_path, attempt(completion=bad, question=bad, answer=bad))
    assert "\x1b" not in shown(rollouts_view(rows, Choice(), 1))
    assert shown(rollouts_view(rows, Choice(), 1)).count("\\x1b]0;gone\\x07") == 3


def test_a_models_name_does_not_reach_the_terminal_raw(tmp_path: Path) -> None:
    assert "\x1b" not in shown(comparison([run(tmp_path, [{"step": 0, "eval/t/accuracy": 1.0}], model="\x1b[2J")]))


def test_square_brackets_are_not_markup(tmp_path: Path) -> None:
    view = rollouts_view(with_rollouts(tmp_path, attempt(completion="[red]x[/red]", question="[bold]")), Choice(), 1)
    assert "[red]x[/red]" in shown(view)
    assert "[bold]" in shown(view)


# -------------------------------------------------------------------------------------------------- rollouts


def test_an_attempt_shows_what_it_earned(tmp_path: Path) -> None:
    view = rollouts_view(with_rollouts(tmp_path, attempt(completion="three", correct=False, reward=0.1)), Choice(), 1)
    assert lines_with(view, "three") == ["  wrong direct   reward 0.10 advantage +0.500 2 tokens | three"]


def test_an_attempt_without_an_advantage_shows_none(tmp_path: Path) -> None:
    assert "advantage" not in shown(rollouts_view(with_rollouts(tmp_path, attempt(advantage=None)), Choice(), 1))


def test_attempts_stand_below_their_question_as_many_groups_as_asked(tmp_path: Path) -> None:
    rows = [attempt(index=n // 2, question=f"question {n // 2}", completion=f"try {n}") for n in range(6)]
    view = rollouts_view(with_rollouts(tmp_path, *rows), Choice(), 2)
    words = [" ".join(line.split()[-2:]) for line in shown(view).splitlines() if "try" in line]
    assert words == ["try 0", "try 1", "try 2", "try 3"]
    assert lines_with(view, "question") == [f"[{n}] question {n}   gold answer: 2" for n in (0, 1)]


# ------------------------------------------------------------------------------------------------ comparison


def test_evaluations_stand_side_by_side_with_their_intervals(tmp_path: Path) -> None:
    before = {"eval/t/accuracy": 0.5, "eval/t/accuracy_low": 0.4, "eval/t/accuracy_high": 0.6}
    after = {"eval/t/accuracy": 0.75, "eval/t/accuracy_low": 0.7, "eval/t/accuracy_high": 0.8}
    table = comparison([run(tmp_path / "before", [before]), run(tmp_path / "after", [after])])
    (line,) = lines_with(table, "accuracy, sampled")
    assert line.index("0.500 [0.400, 0.600]") < line.index("0.750 [0.700, 0.800]")


def test_where_there_are_several_tasks_each_line_names_its_own(tmp_path: Path) -> None:
    row = {"eval/mixture/accuracy": 0.5, "eval/sums/accuracy": 0.75, "eval/sums/mode/cot/probability": 0.25}
    text = shown(comparison([run(tmp_path, [row])]))
    assert all(label in text for label in ("mixture: accuracy, sampled", "sums: accuracy, sampled", "sums: P(cot)"))


def test_the_last_row_of_an_evaluation_counts(tmp_path: Path) -> None:
    (line,) = lines_with(comparison([run(tmp_path, [{"eval/t/length_mean": n} for n in (3, 9)])]), "mean length")
    assert "9" in line
    assert "3" not in line


def test_what_a_run_did_not_measure_is_a_dash(tmp_path: Path) -> None:
    rows = [{"eval/t/accuracy": 1.0}, {"eval/documents/perplexity": 2.5}]
    table = comparison([run(tmp_path / str(n), [row]) for n, row in enumerate(rows)])
    assert "–" in lines_with(table, "accuracy, sampled")[0]
    assert "–" in lines_with(table, "perplexity")[0]


def test_what_was_not_finite_is_a_dash(tmp_path: Path) -> None:
    """metrics.jsonl holds null for a value that is not finite."""
    rows = [{"eval/documents/loss": None, "eval/t/accuracy": None, "eval/t/accuracy_low": 0, "eval/t/accuracy_high": 1}]
    table = comparison([run(tmp_path, rows)])
    assert "–" in lines_with(table, "demonstrations: loss")[0]
    assert "–" in lines_with(table, "accuracy, sampled")[0]


def test_modes_come_first(tmp_path: Path) -> None:
    row = {"eval/t/accuracy": 0.5, "eval/t/mode/cot/accuracy": 0.9, "eval/t/mode/cot/probability": 0.25}
    text = shown(comparison([run(tmp_path, [row])]))
    assert text.index("P(cot)") < text.index("accuracy given cot") < text.index("accuracy, sampled")


def test_the_training_behind_a_model_is_added_up(tmp_path: Path) -> None:
    for name, model, seconds in (("first", "hub/name", 2.0), ("second", str(tmp_path / "first"), 1.5)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.yaml").write_text(json.dumps({"model": model, "train": {}}))
        (tmp_path / name / "metrics.jsonl").write_text(json.dumps({"step": 1, "time/step_seconds": seconds}) + "\n")
    table = comparison([run(tmp_path / "eval", [{"eval/t/accuracy": 1.0}], model=str(tmp_path / "second"))])
    assert "3.5" in lines_with(table, "seconds of training behind it")[0]


# -------------------------------------------------------------------------------------------------- charts


def test_a_chart_fills_as_high_as_its_values() -> None:
    """Eight lines of an eighth each: 0.5 fills the lower four."""
    lines = chart([0.0, 0.5, 1.0]).splitlines()
    assert lines == ["1.00 |  █", *["     |  █"] * 3, "0.50 | ██", *["     | ██"] * 2, "0.12 | ██", "     +---"]


def test_a_chart_shows_parts_of_a_line() -> None:
    """1/16 is half of the lowest line."""
    assert chart([1 / 16]).splitlines()[HEIGHT - 1] == "0.12 |▄"


def test_a_long_series_is_averaged_into_the_width() -> None:
    """Ones and zeros in turn, two to a column, are a half everywhere."""
    lines = chart([0.0, 1.0] * WIDTH).splitlines()
    assert lines[HEIGHT // 2] == f"0.50 |{'█' * WIDTH}"
    assert lines[HEIGHT // 2 - 1] == "     |"


@pytest.mark.parametrize("count", [1, WIDTH - 1, WIDTH, WIDTH + 1, 3 * WIDTH + 7])
def test_a_chart_has_a_column_for_each_value_up_to_its_width(count: int) -> None:
    assert chart([1.0] * count).splitlines()[0] == f"1.00 |{'█' * min(count, WIDTH)}"


def test_values_beyond_the_chart_stay_in_it() -> None:
    assert chart([-1.0, 2.0]).splitlines()[0] == "1.00 | █"


def test_growth_draws_every_mode_but_direct(tmp_path: Path) -> None:
    rows = [{"step": n, "mode/direct/probability": 1 - n / 4, "mode/cot/probability": n / 4} for n in range(1, 5)]
    view = growth(run(tmp_path, rows, stage="rl"))
    assert lines_with(view, "P(cot) while training, steps 1 to 4")
    assert lines_with(view, chart([0.25, 0.5, 0.75, 1.0]).splitlines()[0])
    assert not lines_with(view, "P(direct)")


def test_a_mode_that_a_step_did_not_show_had_probability_0(tmp_path: Path) -> None:
    rows = [{"step": 1, "mode/direct/probability": 1.0}, {"step": 2, "mode/cot/probability": 1.0}]
    assert lines_with(growth(run(tmp_path, rows, stage="rl")), chart([0.0, 1.0]).splitlines()[0])


def test_growth_of_direct_is_drawn_if_there_is_nothing_else(tmp_path: Path) -> None:
    assert lines_with(growth(run(tmp_path, [{"step": 1, "mode/direct/probability": 1.0}], stage="rl")), "P(direct)")


@pytest.mark.parametrize("rows", [[], [{"step": 1, "train/loss": 0.5}]])
def test_a_run_without_modes_has_no_growth(rows: list[dict], tmp_path: Path) -> None:
    assert growth(run(tmp_path, rows, stage="rl")) is None
