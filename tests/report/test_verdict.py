"""The three sentences on a run: what was trained, what changed with its interval, what went wrong; nothing beyond that."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from run_folders import evaluation, measured, rl_run, row, write_lines

from rlvr.report.runs import Run, open_as_it_is
from rlvr.report.verdict import tenths, verdict, what_changed, what_was_trained, what_went_wrong
from rlvr.report.wording import amount, went
from rlvr.statistics import Estimate

Row = dict[str, Any]


def of(rows: list[Row], stage: str = "rl", path: Path = Path("nowhere/run"), **config: Any) -> Run:
    return Run(path=path, stage=stage, config=config, rows=rows, gaps={})


def test_a_verdict_has_three_sentences(tmp_path: Path) -> None:
    found = verdict(open_as_it_is(rl_run(tmp_path / "rl")))
    assert [type(block).__name__ for block in found.blocks] == ["Prose"] * 3


# ------------------------------------------------------------------------------------------------ what was trained


@pytest.mark.parametrize(
    ("stage", "config", "text"),
    [
        ("rl", {"model": "m", "task": {"name": "words"}, "algo": {"preset": "grpo", "advantage": "group_mean"}},
         "A model, begun from m, was trained by reinforcement learning (grpo, advantage group_mean) on words for 2 steps: 6 rollouts, 30 tokens sampled, 24 tokens trained on."),
        ("rl", {"task": {"name": "problems", "path": "/data/sums.jsonl"}},
         "A model was trained by reinforcement learning on problems (sums.jsonl) for 2 steps: 6 rollouts, 30 tokens sampled, 24 tokens trained on."),
        ("sft", {"model": "m", "data": {}}, "A model, begun from m, was trained by imitation (SFT) on documents for 2 steps: 6 rollouts, 30 tokens sampled, 24 tokens trained on."),
        ("rl", {"task": [1], "algo": "x"}, "A model was trained by reinforcement learning on a task that is not known for 2 steps: 6 rollouts, 30 tokens sampled, 24 tokens trained on."),
    ],
)  # fmt: skip
def test_what_was_trained(stage: str, config: Row, text: str, tmp_path: Path) -> None:
    rows = [{"step": step, "tokens/rollout": 15, "rollout/length_mean": 5.0, "tokens/train": 12} for step in (1, 2)]
    assert what_was_trained(of(rows, stage, tmp_path, **config)) == text


def test_a_run_of_no_step_has_trained_on_nothing(tmp_path: Path) -> None:
    text = what_was_trained(of([], "pretrain", tmp_path, task={"name": "words"}))
    assert text == "A model was trained by pretraining from scratch on words for 0 steps: 0 tokens trained on."


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (999_999, "999,999"),
        (1e6, "1 million"),
        (1.5e9, "1.5 billion"),
        (999_999_999, "1 billion"),
        (999.9e9, "1.0 × 10^12"),
        (2.5e17, "2.5 × 10^17"),
    ],
)
def test_amounts_are_read_in_words(number: float, text: str) -> None:
    assert amount(number) == text


# ----------------------------------------------------------------------------------------------- what changed


def evaluated(first: float, last: float, half: float = 0.1) -> list[Row]:
    return [{"step": 1, **measured("t", first, half)}, {"step": 5, **measured("t", last, half)}]


def test_a_change_is_claimed_only_if_the_interval_of_the_difference_is_without_nothing() -> None:
    """The half width of the difference is 0.1 x 2^(1/2) = 0.141."""
    assert "accuracy on t rose from 0.400 [0.300, 0.500] to 0.600 [0.500, 0.700] (difference +0.200 [+0.059, +0.341])" in what_changed(of(evaluated(0.4, 0.6)))  # fmt: skip
    assert "accuracy on t fell from 0.600" in what_changed(of(evaluated(0.6, 0.4)))
    assert "accuracy on t did not change measurably (0.400 [0.300, 0.500], then 0.500 [0.400, 0.600]; difference +0.100 [-0.041, +0.241])" in what_changed(of(evaluated(0.4, 0.5)))  # fmt: skip


def test_a_difference_without_an_interval_is_not_claimed() -> None:
    text = went((0.1, 0.1, 0.1), (0.9, 0.9, 0.9), Estimate(mean=0.8, low=None, high=None, p=None))
    assert text.startswith("did not change measurably")


def test_one_evaluation_shows_no_change() -> None:
    text = what_changed(of(evaluated(0.4, 0.6)[:1]))
    assert text.startswith(
        "Accuracy on t was 0.400 [0.300, 0.500] at the only evaluation (step 1), so it has nothing to be compared with"
    )


def test_the_mode_that_grew_most_is_told() -> None:
    rows = evaluated(0.4, 0.6)
    for each, (cot, plan) in zip(rows, ((0.1, 0.3), (0.8, 0.5)), strict=True):
        for mode, share in (("cot", cot), ("plan", plan), ("direct", 1 - cot - plan)):
            each |= measured("t", share, 0.05, f"mode/{mode}/probability")
    text = what_changed(of(rows))
    assert "P(cot) rose from 0.100 [0.050, 0.150] to 0.800 [0.750, 0.850]" in text
    assert "P(plan)" not in text


def test_evaluations_beside_the_run_come_first_and_are_paired(tmp_path: Path) -> None:
    run = rl_run(tmp_path / "rl")
    problems = {f"{number} =": [True, False] for number in range(50)}
    evaluation(tmp_path / "before", "owner/tiny", problems)
    evaluation(tmp_path / "after", str(run), {name: [True, True] for name in problems})
    text = what_changed(open_as_it_is(run))
    assert text.startswith("From before to after, accuracy on modsum rose from 0.500")
    centre, count = 25 / 52, 52  # a half on each of 50 problems, with one pair won and one lost
    half = 1.959964 * math.sqrt((50 * 0.25 + 2 - count * centre**2) / count**2)
    assert f"difference +0.500 [{centre - half:+.3f}, {centre + half:+.3f}]), difference paired by problem" in text
    assert "first evaluation" not in text


def test_without_evaluations_rewards_of_the_first_and_last_tenth_are_compared() -> None:
    """Two steps at each end: means 0.15 and 0.85, each -+ 12.706 x 0.05, so that nothing can be said; of forty steps four do."""
    rows = [{"step": step, "reward/mean": value} for step, value in enumerate((0.1, 0.2, 0.5, 0.8, 0.9), start=1)]
    assert "The mean reward of the rollouts did not change measurably (0.150 [-0.485, 0.785]" in what_changed(of(rows))
    longer = [{"step": step, "reward/mean": step / 40} for step in range(1, 41)]
    assert "The mean reward of the rollouts rose from 0.062 [" in what_changed(of(longer))


def test_a_share_that_was_averaged_stays_between_0_and_1() -> None:
    text = what_changed(of([row(step, p) for step, p in enumerate((0.05, 0.15, 0.5, 0.85, 0.95), start=1)]))
    assert "P(cot) while training" in text
    assert "[0.000, 0.735]" in text  # 0.1 -+ 12.706 x 0.05, cut at 0
    assert "1.000]" in text
    assert " -0." not in text.split("difference")[-3]


def test_tenths_need_two_steps_each() -> None:
    assert tenths([{"step": s, "a": 1.0} for s in range(3)], "a") is None
    found = tenths([{"step": s, "a": float(s)} for s in range(40)], "a")
    assert found is not None
    assert (found[0].mean, found[1].mean) == (1.5, 37.5)


def test_a_stage_that_learns_from_documents_tells_its_perplexity() -> None:
    rows = [{"step": step, "eval/documents/perplexity": value} for step, value in ((10, 9.0), (20, 3.5))]
    text = what_changed(of(rows, "sft"))
    assert (
        text
        == "the perplexity of held-out documents went from 9 (step 10) to 3.5 (step 20), each one number without an interval."
    )


def test_where_nothing_was_measured_nothing_is_said_to_have_changed() -> None:
    assert what_changed(of([])) == "Nothing was measured that could have changed."
    assert what_changed(of([{"step": 1, "train/loss": None}], "sft")) == "Nothing was measured that could have changed."
    assert what_changed(of([], "eval")) == "Nothing was measured yet."


# -------------------------------------------------------------------------------------------- what went wrong


@pytest.fixture
def flawless(tmp_path: Path) -> Path:
    """A finished run of which there is nothing to flag."""
    run = rl_run(tmp_path / "rl")
    (run / "explanations.jsonl").unlink()
    (run / "warnings.json").unlink()
    (run / "checkpoints" / "step_000006").mkdir(parents=True)
    return run


def wrong(run: Path) -> str:
    return what_went_wrong(open_as_it_is(run))


def test_nothing_wrong_is_said_to_be_that(flawless: Path) -> None:
    assert (
        wrong(flawless) == "Nothing was flagged: no warnings, no failed updates or graders, nothing missing or damaged."
    )


def test_notes_on_what_is_no_fault_are_not_counted_as_faults(flawless: Path) -> None:
    notes = [{"step": 9, "kind": kind, "sentence": "so"} for kind in ("solved", "loss_near_zero")]
    write_lines(flawless / "explanations.jsonl", notes)
    assert wrong(flawless).endswith("What was noted while it trained is no fault.")
    write_lines(flawless / "explanations.jsonl", [*notes, {"step": 5, "kind": "no_answer", "sentence": "so"}, {"step": 3, "kind": "no_answer", "sentence": "so"}])  # fmt: skip
    assert wrong(flawless) == "What went wrong: 2 notes while it trained (no answer from step 3)."


def test_warnings_and_what_is_unfinished_are_told(flawless: Path) -> None:
    (flawless / "warnings.json").write_text(json.dumps(["a", "b"]))
    rows = (flawless / "metrics.jsonl").read_text().splitlines(keepends=True)
    (flawless / "metrics.jsonl").write_text("".join(rows[:5]))
    assert wrong(flawless) == "What went wrong: 2 warnings before it began; it has done 5 of 6 steps."


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"train/nonfinite_steps": 1}, "6 steps with an update that was not finite and was not applied"),
        ({"reward/exact/timeout_fraction": 0.25}, "graders failed on up to 25.0 % of the samples of a step"),
        ({"reward/exact/error_fraction": 0.001}, "graders failed on up to 0.1 % of the samples of a step"),
        ({"rollout/truncated_fraction": 0.05}, "5.0 % of the rollouts ran out of tokens"),
        (
            {"rollout/truncated_fraction": 0.05, "eval/t/truncated_fraction": 0.5},
            "5.0 % of the rollouts ran out of tokens",
        ),
    ],
)
def test_what_failed_is_told_with_its_size(more: Row, text: str, flawless: Path) -> None:
    rows = [json.loads(line) | more for line in (flawless / "metrics.jsonl").read_text().splitlines()]
    write_lines(flawless / "metrics.jsonl", rows)
    assert wrong(flawless) == f"What went wrong: {text}."


@pytest.mark.parametrize(
    "more",
    [{"rollout/truncated_fraction": 0.049}, {"train/nonfinite_steps": 0}, {"reward/exact/no_answer_fraction": 0.9}],
)
def test_what_is_usual_is_not_flagged(more: Row, flawless: Path) -> None:
    rows = [json.loads(line) | more for line in (flawless / "metrics.jsonl").read_text().splitlines()]
    write_lines(flawless / "metrics.jsonl", rows)
    assert wrong(flawless).startswith("Nothing was flagged")
