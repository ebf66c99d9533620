"""The benchmarks run without any peer that has to be installed, and count what they say they count."""

import subprocess
import sys
from pathlib import Path

import pytest

from rlvr.report.attempts import attempts, pieces_of
from rlvr.report.runs import open_finished

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

import bench_report  # noqa: E402  # scripts are no part of the package
from bench.arithmetic import Cost  # noqa: E402
from bench.works import SHORT, Work, answer_tokens, prompts, questions, token  # noqa: E402


def _rows(*command: str) -> list[list[str]]:
    """The cells of a script's tables, without their heads."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / command[0]), *command[1:]], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if not line.startswith("|---")]


def test_rollouts_of_both_sides_in_one_table() -> None:
    """Each side refuses rows of other lengths than the work says, so a table means that they were right."""
    table = _rows("bench_rollout.py", "--works", "skewed", "--rounds", "1", "--rows", "20", "--new-tokens", "6")
    assert [row[:2] for row in table[1:3]] == [["skewed", "ours, native"], ["skewed", "transformers.generate"]]
    assert float(table[2][4]) == 1.0
    assert table[3][1].endswith("GFLOP/s")


def test_a_step_of_rl_is_the_command_itself() -> None:
    table = _rows("bench_rl.py", "--works", "skewed", "--rounds", "1", "--new-tokens", "6")
    assert table[1][:2] == ["skewed", "rlvr rl"]
    assert float(table[1][2]) > 0


@pytest.mark.slow
def test_the_shape_of_a_gpus_work_at_reduced_size() -> None:
    name = "qwen2.5-0.5b"
    less = ("--layers", "1", "--rows", "3", "--new-tokens", "3", "--rounds", "1")
    table = _rows("bench_rollout.py", "--works", name, *less)
    sides = ["ours, native", "ours, native, autocast", "transformers.generate", "transformers.generate_batch"]
    assert [row[:2] for row in table[1:-1]] == [[name, side] for side in sides]


def test_a_sweep_has_a_row_for_each_point() -> None:
    few = ("--batches", "1,2", "--lengths", "4", "--sizes", "0")
    table = _rows("bench_rollout.py", "--sweep", "--rounds", "1", *few)
    names = [row[0] for row in table if row[0] != "point"]
    assert names == ["1 rows", "2 rows", "4 new tokens"]


def test_operations_by_hand() -> None:
    """Two tokens are read after a prompt of two when three are written: 4 tokens, 1 + 2 + 3 + 4 positions, 3 heads."""
    cost = Cost(token=100.0, position=10.0, head=1.0, cached=7.0)
    assert cost.completion(2, 3) == 4 * 100 + 10 * 10 + 3
    # A group reads its prompt once: 2 tokens, 3 positions, and one head that both completions begin with.
    assert cost.sampling([2], [[3, 3]]) == 2 * 503 - (2 * 100 + 3 * 10 + 1)
    assert cost.update(2, 3) == 3 * 503
    # Three steps read all weights, each of two operations; the second and third look at 2 and 3 tokens read before, and the one that is read.
    assert cost.traffic([2], [3]) == 3 * 101 / 2 + (3 + 4) * 7
    assert cost.traffic([2, 2], [3, 1]) == cost.traffic([2], [3])  # the other row is done by its prompt


@pytest.mark.parametrize(("tenths", "long_rows"), [(0, 20), (9, 2)])
def test_the_last_character_of_a_prompt_says_how_long_the_answer_is(tenths: int, long_rows: int) -> None:
    work = Work(model="", dtype="float32", rows=20, prompt_tokens=5, new_tokens=64, short_tenths=tenths)
    rows = prompts(work)
    assert {len(row) for row in rows} == {5}
    assert sum(row[-1] == token("?") for row in rows) == long_rows
    assert sum(work.lengths()) == long_rows * 64 + (20 - long_rows) * SHORT


def test_a_step_has_32_problems_of_which_three_are_long() -> None:
    found = questions(9)
    assert len({row["question"] for row in found}) == 32
    assert sum(row["question"].endswith("?") for row in found) == 3
    assert answer_tokens(9, 64) == 8 * (3 * 64 + 29 * SHORT)


def test_an_update_by_our_batches_and_by_padded_ones() -> None:
    table = _rows("bench_update.py", "1", "6144", "skewed")
    assert [row[:2] for row in table[1:]] == [["skewed", "padded"], ["skewed", "ours"]]


def test_the_report_of_a_long_run_is_measured() -> None:
    few = ("--steps", "4", "--problems", "3", "--group", "2", "--tokens", "6", "--evaluations", "2", "--rounds", "1")
    _, seconds, peak, size = _rows("bench_report.py", *few)
    assert [row[0] for row in (seconds, peak, size)] == ["seconds", "peak MiB", "report MB"]
    assert float(size[1]) > 0.9  # what draws the charts is in it


def test_a_long_run_reads_back_as_a_run(tmp_path: Path) -> None:
    few = ["--steps", "4", "--problems", "3", "--group", "2", "--tokens", "6", "--evaluations", "2"]
    size = bench_report.make(tmp_path / "long", bench_report._parser().parse_args(few))
    run = open_finished(tmp_path / "long")
    assert (run.stage, len(run.rows), run.rollout_steps()) == ("rl", 4, [1, 2, 3, 4])
    assert [step for row in run.rows if "eval/modsum/accuracy" in row for step in [row["step"]]] == [2, 4]
    read = attempts(run, 4, pieces_of(run))
    assert [each.record["index"] for each in read] == [12, 12, 13, 13, 14, 14]
    assert all("".join(each.pieces) == each.record["completion"] for each in read)
    assert size == sum(file.stat().st_size for file in (tmp_path / "long" / "rollouts").iterdir())
