"""Numbers that are not finite: whatever brings them, a run stops before they do harm, and none is ever saved as a weight."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from conftest import World, call, plain_model, read_metrics, write_config
from safetensors.torch import load_file, save_file


def assert_finite_on_disk(run: Path) -> list[str]:
    """Every weight of every checkpoint of a run is finite; the checkpoints' names."""
    folders = sorted((run / "checkpoints").glob("step_*"))
    for folder in folders:
        for name in ("model.safetensors", "companion.safetensors"):
            if (folder / name).exists():
                assert all(torch.isfinite(tensor).all() for tensor in load_file(folder / name).values()), folder
    assert not list((run / "checkpoints").glob(".tmp-*"))
    return [folder.name for folder in folders]


@pytest.mark.check("R14")
@pytest.mark.parametrize("stage", ["pretrain", "sft", "rl"])
@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_a_learning_rate_that_destroys_the_model_stops_the_run(
    world: World, tmp_path: Path, stage: str, optimizer: str
) -> None:
    options = {
        "train.learning_rate": "1e30", "train.optimizer": optimizer, "train.max_steps": 12, "train.save_every": 1,
        "train.weight_decay": 0.1, "train.schedule": "constant", "train.max_grad_norm": "1e9",
    }  # fmt: skip
    sets = [part for key, value in options.items() for part in ("--set", f"{key}={value}")]
    answer = call(stage, world.configs[stage], "--run", tmp_path, *sets)
    assert answer.code == 3, answer.err
    line = answer.err.splitlines()[-1]
    assert re.match(
        r"error: step \d+: (loss \S+ and gradient norm \S+ were not finite|the weights \S+ are no longer finite)", line
    )
    assert str(tmp_path / "checkpoints") in line
    assert_finite_on_disk(tmp_path)


@pytest.mark.check("R14")
def test_the_last_good_checkpoint_is_named_and_untouched(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import rlvr.train.loop

    rate = rlvr.train.loop.learning_rate
    kept: dict[Path, bytes] = {}

    def keep(config: object, step: int, peak: float | None = None) -> float:
        if step == 5:
            kept.update({file: file.read_bytes() for file in (tmp_path / "checkpoints" / "step_000004").iterdir()})
        return 1e30 if step == 5 else rate(config, step, peak)  # type: ignore[arg-type]

    monkeypatch.setattr(rlvr.train.loop, "learning_rate", keep)
    options = ("--set", "train.max_steps=12", "--set", "train.save_every=1", "--set", "train.keep_checkpoints=9")
    answer = call("rl", world.configs["rl"], "--run", tmp_path, *options)
    assert answer.code == 3
    assert re.search(r"step \d+: loss \S+ and gradient norm nan were not finite for 3 steps in a row", answer.err)
    good = tmp_path / "checkpoints" / "step_000004"
    assert f"the last good checkpoint is {good}; " in answer.err
    assert kept == {file: file.read_bytes() for file in good.iterdir()}
    assert read_metrics(tmp_path)[-1]["step"] > 5
    assert_finite_on_disk(tmp_path)


@pytest.mark.check("R14")
@pytest.mark.parametrize("value", ["nan", "inf"])
def test_a_reward_that_is_not_finite_stops_the_run_before_the_update(world: World, tmp_path: Path, value: str) -> None:
    function = tmp_path / "reward.py"
    function.write_text(f"def score(question):\n    return float({value!r}) if question.startswith('1') else 0.5\n")
    tree = yaml.safe_load(world.configs["rl"].read_text())
    tree["reward"] = {"exact": 1.0, "own": {"file": str(function), "function": "score", "weight": 0.5}}
    (tmp_path / "p.jsonl").write_text('{"question": "0 1 =", "answer": "1"}\n' * 8)
    config = write_config(tmp_path / "c.yaml", tree)
    run = tmp_path / "run"
    answer = call("rl", config, "--run", run)
    assert answer.code == 2, answer.err
    line = answer.err.splitlines()[-1]
    assert f"returned {value}, which is no finite number" in line
    assert not (run / "metrics.jsonl").exists() or not read_metrics(run)
    assert assert_finite_on_disk(run) in ([], ["step_000000"])


@pytest.mark.check("R14")
@pytest.mark.parametrize("value", [torch.nan, -torch.inf])
@pytest.mark.parametrize("stage", ["sft", "rl", "eval"])
def test_a_model_with_a_weight_that_is_not_finite_is_refused(
    world: World, tmp_path: Path, refused: Callable[..., str], stage: str, value: float
) -> None:
    tree = yaml.safe_load(world.configs[stage].read_text())
    source = Path(tree["model"]) / "checkpoints" / "step_000006"
    model = plain_model(source, tmp_path / "model")
    weights = load_file(model / "model.safetensors")
    weights["model.layers.0.mlp.up_proj.weight"][2, 3] = value
    save_file(weights, model / "model.safetensors", metadata={"format": "pt"})
    line = refused(stage, world.configs[stage], "--run", tmp_path / "run", "--set", f"model={model}")
    assert "model: its weights model.layers.0.mlp.up_proj.weight hold numbers that are not finite" in line
    assert str(model) in line
