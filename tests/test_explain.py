"""The sentences that explain a run's metrics: from rows written by hand, with the numbers they must name."""

import json
from pathlib import Path

import pytest

from rlvr.explain import AGAIN_AFTER, Explainer
from rlvr.runtime.notes import Notes, read_explanations

GOOD = {
    "train/loss": 0.2, "train/grad_norm": 0.5, "train/nonfinite_steps": 0.0, "train/learning_rate": 1e-3,
    "reward/mean": 0.5, "reward/exact": 0.5, "rollout/zero_variance_fraction": 0.2, "rollout/truncated_fraction": 0.0,
    "rollout/ended_reward": 0.5, "rollout/length_mean": 10.0, "entropy/mean": 0.4, "signal/trained": 0.8,
    "mode/cot/probability": 0.5, "mode/cot/accuracy": 0.9, "mode/cot/advantage": 0.2,
    "mode/direct/probability": 0.5, "mode/direct/accuracy": 0.1, "mode/direct/advantage": -0.2,
}  # fmt: skip


def told(*parts: tuple[int, dict]) -> list[tuple[int, str, str]]:
    """What is told of so many rows each with these changes to a good one."""
    rows = [{**GOOD, **changes} for count, changes in parts for _ in range(count)]
    explainer = Explainer()
    found = [explainer.add(step, row) for step, row in enumerate(rows, start=1)]
    return [(each.step, each.kind, each.sentence) for each in found if each is not None]


def of_all(accuracy: float) -> dict:
    return {"mode/cot/accuracy": accuracy, "mode/direct/accuracy": accuracy}


FLAT = {"rollout/zero_variance_fraction": 1.0}

PROVOKED = {
    "nonfinite": (
        [(1, {}), (1, {"train/nonfinite_steps": 1.0, "train/loss": None})],
        2, ["1 in a row", "lower train.learning_rate (now 0.001)"],
    ),
    "grader_fails": (
        [(1, {"reward/exact/timeout_fraction": 0.08, "reward/exact/error_fraction": 0.04})],
        1, ["reward.exact failed on 12 % of the samples (8 % ran out of time, 4 % ended in an error)"],
    ),
    "truncation": (
        [(3, {"rollout/truncated_fraction": 0.4, "rollout/truncated_reward": 0.1, "rollout/ended_reward": 0.6})],
        3, ["40 % of the rollouts", "earned 0.1 (those that ended earned 0.6)", "raise rollout.max_new_tokens"],
    ),
    "no_answer": (
        [(3, {"reward/exact": 0.01, "reward/exact/no_answer_fraction": 0.9, "reward/exact/malformed_fraction": 0.05})],
        3, ["95 % of the samples (90 % without one, 5 % malformed, 0 % refused)", "reward.exact.extract"],
    ),
    "out_of_reach": ([(5, {**FLAT, **of_all(0.0)})], 5, ["in 100 % of the groups", "0 % of the answers are right", "easier"]),
    "solved": ([(5, {**FLAT, **of_all(0.99)})], 5, ["99 % of the answers are right", "nothing is left to learn"]),
    "decided": ([(5, FLAT)], 5, ["50 % of the answers are right", "entropy 0.4 nats"]),
    "clipping": ([(3, {"train/clip_fraction": 0.3})], 3, ["30 % of the tokens", "lower train.learning_rate (now 0.001)"]),
    "far_from_reference": ([(3, {"train/kl_ref": 0.7})], 3, ["0.7 nats a token away from its reference", "algo.kl.coefficient"]),
    "entropy_collapse": (
        [(5, {}), (5, {"entropy/mean": 0.02})],
        10, ["entropy fell from 0.4 to 0.02 nats a token while 50 % of the answers are right"],
    ),
    "length_explosion": (
        [(5, {}), (5, {"rollout/length_mean": 25.0, "length/by_mode": 3.0, "length/within_modes": 12.0})],
        10, ["from 10 to 25 tokens (+3 by longer modes, +12 within modes)", "from 50 % to 50 %"],
    ),
    "loss_near_zero": ([(5, {"train/loss": 0.001})], 5, ["near 0 (0.001 over", "norm 0.5, from 80 % of the tokens", "(0.5) instead"]),
}  # fmt: skip


@pytest.mark.parametrize("kind", PROVOKED)
def test_what_is_seen_is_told_with_its_numbers_at_its_step(kind: str) -> None:
    parts, step, words = PROVOKED[kind]
    [(told_at, told_kind, sentence)] = told(*parts)
    assert (told_at, told_kind) == (step, kind)
    for word in words:
        assert word in sentence
    assert "\n" not in sentence


@pytest.mark.parametrize(
    "parts",
    {
        "a run that learns": [(30, {})],
        "longer answers that are better": [(10, {}), (10, {"rollout/length_mean": 25.0, **of_all(0.95)})],
        "certainty that is right": [(10, {}), (10, {"entropy/mean": 0.001, **of_all(0.95)})],
        "truncated and rewarded all the same": [
            (5, {"rollout/truncated_fraction": 0.5, "rollout/truncated_reward": 0.4})
        ],
        "a loss of 0 without a baseline": [(9, {"train/loss": 0.0, "mode/cot/advantage": 0.9})],
        "a flat reward for four steps": [(4, FLAT), (1, {}), (4, FLAT)],
        "no gradient at all": [(9, {"train/loss": 0.0, "signal/trained": 0.0})],
        "documents": [(20, dict.fromkeys(GOOD))],
    }.items(),
    ids=lambda item: item[0],
)
def test_what_is_no_symptom_is_not_told(parts: tuple[str, list]) -> None:
    assert told(*parts[1]) == []


def test_a_kind_is_told_once_while_it_lasts() -> None:
    assert [step for step, *_ in told((40, {"train/clip_fraction": 0.5}))] == [3]


def test_a_kind_is_told_again_only_after_it_had_gone_away() -> None:
    """Clipping at steps 1 to 3; its mean over three steps is above the threshold until step 4, after 0.5, 0.5, 0."""
    high, low = {"train/clip_fraction": 0.5}, {"train/clip_fraction": 0.0}
    assert [step for step, *_ in told((3, high), (AGAIN_AFTER - 1, low), (3, high))] == [3]
    gone = AGAIN_AFTER + 1
    assert [step for step, *_ in told((3, high), (gone, low), (3, high))] == [3, 3 + gone + 2]


def test_one_kind_at_a_time_causes_first() -> None:
    """Cut off, without an answer and flat: told in this order, one a step."""
    cut = {"rollout/truncated_fraction": 1.0, "rollout/truncated_reward": 0.0, "rollout/ended_reward": None}
    mute = {"reward/exact": 0.0, "reward/exact/no_answer_fraction": 1.0, **FLAT, **of_all(0.0)}
    assert [(step, kind) for step, kind, _ in told((8, {**cut, **mute}))] == [
        (3, "truncation"),
        (4, "no_answer"),
        (5, "out_of_reach"),
    ]


# ------------------------------------------------------------------------------------------------ the file

CLIPPED, SLOW = {**GOOD, "train/clip_fraction": 0.5}, {**GOOD, "train/kl_ref": 0.9}
ROWS = [{"step": number, **row} for number, row in enumerate([CLIPPED] * 6 + [GOOD] * 14 + [SLOW] * 6, start=1)]


def note(folder: Path, rows: list[dict], before: list[dict], times: list[float] | None = None) -> list[str]:
    """Go through rows after others, at these seconds; what was said. No times: all at once."""
    said: list[str] = []
    clock = iter(times or [0.0] * 1000)
    now = [0.0]
    notes = Notes(folder, before, said.append, clock=lambda: now[0])
    for row in rows:
        now[0] = next(clock)
        notes.add(int(row["step"]), row)
    notes.close()
    return said


def test_the_file_depends_on_the_rows_and_not_on_where_a_run_was_resumed(tmp_path: Path) -> None:
    (tmp_path / "once").mkdir()
    note(tmp_path / "once", ROWS, [])
    whole = (tmp_path / "once" / "explanations.jsonl").read_bytes()
    assert [(each["step"], each["kind"]) for each in read_explanations(tmp_path / "once")] == [
        (3, "clipping"), (23, "far_from_reference"),
    ]  # fmt: skip
    for cut in range(len(ROWS) + 1):
        folder = tmp_path / str(cut)
        folder.mkdir()
        note(folder, ROWS[: cut + 2], [])  # two rows more than the checkpoint that is resumed from
        note(folder, ROWS[cut:], ROWS[:cut])
        assert (folder / "explanations.jsonl").read_bytes() == whole, cut


def test_a_run_without_explanations_has_no_file(tmp_path: Path) -> None:
    note(tmp_path, [{"step": 1, **GOOD}], [])
    assert not (tmp_path / "explanations.jsonl").exists()
    assert read_explanations(tmp_path) == []


def test_one_is_said_a_minute_and_the_rest_counted_at_the_end(tmp_path: Path) -> None:
    cut = {"rollout/truncated_fraction": 1.0, "rollout/truncated_reward": 0.0, "rollout/ended_reward": None}
    bad = {**GOOD, **cut, "reward/exact": 0.0, "reward/exact/no_answer_fraction": 1.0, **FLAT, **of_all(0.0)}
    rows = [{"step": number, **bad} for number in range(1, 9)]
    said = note(tmp_path, rows, [], times=[0, 1, 2, 3, 61, 62, 63, 64])
    assert [line.split(":")[:2] for line in said[:2]] == [["note", " step 3"], ["note", " step 4"]]
    assert said[2] == f"note: 1 more in {tmp_path / 'explanations.jsonl'} (rlvr inspect shows them)"
    assert len(said) == 3


def test_a_line_cut_off_by_a_crash_is_left_out(tmp_path: Path) -> None:
    line = json.dumps({"step": 1, "kind": "solved", "sentence": "s"})
    (tmp_path / "explanations.jsonl").write_text(f'{line}\n{{"step": 2, "ki')
    assert [each["step"] for each in read_explanations(tmp_path)] == [1]
