"""What a model cost, by hand: 6 N FLOPs for a token that is trained on, 2 N for one that is sampled, over all runs that made it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from run_folders import write_lines
from safetensors.numpy import save_file

from rlvr.report.blocks import Prose, Section, Table
from rlvr.report.runs import open_as_it_is
from rlvr.report.spent import parameters_of, rollouts_in, spent, spent_by

Row = dict[str, Any]


def make(path: Path, model: object, rows: list[Row], shape: tuple[int, ...] | None = (2, 5), **config: Any) -> Path:
    """A run directory with a model of these parameters, and a vector of three more in a second file."""
    path.mkdir()
    (path / "config.yaml").write_text(yaml.safe_dump({"model": model, "train": {"max_steps": len(rows)}, **config}))
    write_lines(path / "metrics.jsonl", rows)
    if shape is not None:
        folder = path / "checkpoints" / "step_000002"
        folder.mkdir(parents=True)
        save_file({"a": np.zeros(shape, np.float32)}, folder / "model-1.safetensors")
        save_file({"b": np.zeros(3, np.float32)}, folder / "model-2.safetensors")
    return path


def chain(folder: Path, first: object = None) -> Path:
    """Pretraining on 1,000 tokens, SFT on 300, RL that samples 150 and trains on 120. Returns the run of RL."""
    made = first or {"layers": 1}
    make(folder / "base", made, [{"step": s, "tokens/documents": 500, "tokens/train": 90, "time/step_seconds": 3.0, "time/eval_seconds": 1.0} for s in (1, 2)], data={})  # fmt: skip
    make(folder / "sft", str(folder / "base"), [{"step": 1, "tokens/train": 300}], data={})
    rows = [{"step": s, "tokens/rollout": 70, "tokens/branches": 5, "rollout/length_mean": 7.0, "tokens/train": 60} for s in (1, 2)]  # fmt: skip
    return make(folder / "rl", str(folder / "sft"), rows)


def table(section: Section | None) -> list[Row]:
    assert section is not None
    [found] = [block for block in section.blocks if isinstance(block, Table)]
    return [dict(zip(found.columns, row, strict=True)) for row in found.rows]


def said(section: Section | None) -> str:
    assert section is not None
    return " ".join(block.text for block in section.blocks if isinstance(block, Prose))


def test_tokens_rollouts_and_seconds_are_summed_over_steps(tmp_path: Path) -> None:
    run = open_as_it_is(chain(tmp_path))
    found = spent_by(run)
    assert (found.steps, found.rollouts, found.sampled, found.trained) == (2, 20, 150, 120)
    base = spent_by(open_as_it_is(tmp_path / "base"))
    assert (base.trained, base.sampled, base.rollouts) == (1000, 0, 0)  # all that was read, not what has a loss alone
    assert base.seconds == 2 * (3.0 - 1.0)


def test_flops_are_six_for_a_parameter_and_trained_token_and_two_for_a_sampled_one(tmp_path: Path) -> None:
    run = open_as_it_is(chain(tmp_path))
    found = spent_by(run)
    assert parameters_of(run) == found.parameters == 2 * 5 + 3
    assert found.training_flops == 6 * 13 * 120
    assert found.sampling_flops == 2 * 13 * 150


def test_the_chain_stands_in_order_and_rl_is_told_as_a_share_of_pretraining(tmp_path: Path) -> None:
    section = spent(open_as_it_is(chain(tmp_path)))
    rows = table(section)
    assert [(row["run"], row["stage"]) for row in rows] == [("base", "pretrain"), ("sft", "sft"), ("rl", "rl")]
    assert [row["FLOPs"] for row in rows] == [78_000, 23_400, 13_300]  # of 13,260, to three digits
    assert (
        "RL sampled 150 tokens and trained on 120: 15.0 % and 12.0 % of the 1,000 that pretraining trained on."
        in said(section)
    )
    assert "In FLOPs, sampling included, RL took 17.0 % of what pretraining took." in said(section)  # 13260 / 78000
    assert "was made by no run that is found here" not in said(section)


def test_of_a_model_that_no_run_made_nothing_is_claimed(tmp_path: Path) -> None:
    section = spent(open_as_it_is(make(tmp_path / "rl", "owner/tiny", [{"step": 1, "tokens/rollout": 5}], None)))
    [row] = table(section)
    assert (row["parameters"], row["FLOPs"]) == (None, None)
    assert (
        "owner/tiny, which rl began from, was made by no run that is found here: what its training took is not known."
        in said(section)
    )
    assert "of the" not in said(section).split("FLOPs are estimated")[0]


def test_flops_are_compared_only_if_all_are_known(tmp_path: Path) -> None:
    """A second run of RL whose weights were deleted would count as nothing."""
    run = chain(tmp_path)
    again = make(tmp_path / "again", str(run), [{"step": 1, "tokens/rollout": 10, "tokens/train": 10}], None)
    text = said(spent(open_as_it_is(again)))
    assert "RL sampled 160 tokens and trained on 130" in text
    assert "In FLOPs" not in text


def test_an_evaluation_costs_what_its_model_did(tmp_path: Path) -> None:
    rl = chain(tmp_path)
    evaluated = make(tmp_path / "eval", str(rl), [{"step": 0}], None, eval={})
    config = yaml.safe_load((evaluated / "config.yaml").read_text())
    del config["train"]
    (evaluated / "config.yaml").write_text(yaml.safe_dump(config))
    assert [row["run"] for row in table(spent(open_as_it_is(evaluated)))] == ["base", "sft", "rl"]


def test_rollouts_of_another_run_were_not_sampled_by_this_one(tmp_path: Path) -> None:
    rows = [{"step": 1, "tokens/rollout": 70, "rollout/length_mean": 7.0, "tokens/train": 60}]
    run = make(tmp_path / "rl", "owner/tiny", rows, algo={"offline": "runs/other"})
    found = spent_by(open_as_it_is(run))
    assert (found.rollouts, found.sampled, found.trained) == (0, 0.0, 60)


@pytest.mark.parametrize(
    ("row", "count"),
    [({"tokens/rollout": 70, "rollout/length_mean": 3.5}, 20), ({"tokens/rollout": 70}, 0), ({"tokens/rollout": 7, "rollout/length_mean": 0.0}, 0)],
)  # fmt: skip
def test_rollouts_of_a_step_are_its_tokens_over_their_mean_length(row: Row, count: int) -> None:
    assert rollouts_in(row) == count


def test_damaged_weights_have_no_size_and_are_named(tmp_path: Path) -> None:
    path = chain(tmp_path)
    (path / "checkpoints" / "step_000002" / "model-2.safetensors").write_bytes(b"x")
    run = open_as_it_is(path)
    assert parameters_of(run) is None
    assert "model-2.safetensors: is not a safetensors file" in (run.gaps or {})["checkpoints"]
