"""What cannot change a result: place, batches, clock and language; and what can change it is said."""

import json
import os
import platform
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from conftest import World, call, final_weights, read_metrics, start
from transformers import AutoModelForCausalLM, AutoTokenizer

from rlvr.config import PromptConfig
from rlvr.models.pretrained import load_model

LOCALES = {
    "C": {"LC_ALL": "C", "TZ": "Asia/Kolkata"},
    "POSIX without UTF-8": {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "TZ": "Pacific/Apia"},
    "Turkish": {"LC_ALL": "tr_TR.UTF-8", "TZ": "Europe/Istanbul"},
}


def same(run: Path, other: Path) -> None:
    """Metrics, weights and rollouts of two runs are the same."""
    assert read_metrics(run) == read_metrics(other)
    assert final_weights(run) == final_weights(other)
    for file in (other / "rollouts").iterdir():
        assert (run / "rollouts" / file.name).read_bytes() == file.read_bytes()


# ----------------------------------------------------------------------------------------- where and how it is made


@pytest.mark.check("R4")
@pytest.mark.parametrize("stage", ["pretrain", "sft", "rl"])
def test_the_same_configuration_elsewhere_gives_the_same_bits(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.setattr(platform, "node", lambda: "another-host")
    monkeypatch.setenv("HOSTNAME", "another-host")
    assert call(stage, world.configs[stage], "--run", "other name").code == 0
    same(tmp_path / "elsewhere" / "other name", world.runs[stage])


def run_process(arguments: list[object], cwd: Path, environment: dict[str, str]) -> tuple[int, str, str]:
    """rlvr as a process with variables of its own."""
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    try:
        process = start(*arguments, cwd=cwd)
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def with_accents(world: World, folder: Path) -> Path:
    """An RL configuration on a file of problems whose text is not ASCII."""
    rows = [
        {"question": f"½ {' '.join(f'{n:08b}')} =", "answer": "1", "hint": "Größe İı 数 ½ \u00a0"} for n in range(40)
    ]
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
    (folder / "p.jsonl").write_text("".join(lines), encoding="utf-8")
    tree = yaml.safe_load(world.configs["rl"].read_text())
    tree |= {"task": {"name": "problems", "path": str(folder / "p.jsonl")}, "reward": {"exact": 1.0, "format": 0.5}}
    file = folder / "größe.yaml"
    file.write_text("# ½ é 数\n" + yaml.safe_dump(tree, allow_unicode=True), encoding="utf-8")
    return file


@pytest.mark.check("R40")
@pytest.mark.slow
def test_time_zone_and_locale_change_nothing(
    world: World, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    known = subprocess.run(["locale", "-a"], capture_output=True, text=True, check=True).stdout.lower()
    file = with_accents(world, tmp_path)
    assert call("rl", file, "--run", tmp_path / "plain").code == 0
    tried = []
    for name, environment in LOCALES.items():
        code, _, err = run_process(["rl", file, "--run", tmp_path / name], tmp_path, environment)
        assert code == 0, err
        same(tmp_path / name, tmp_path / "plain")
        rollouts = (tmp_path / name / "rollouts" / "step_000001.jsonl").read_text(encoding="utf-8").splitlines()
        assert json.loads(rollouts[0])["metadata"]["hint"] == "Größe İı 数 ½ \u00a0"
        there = environment["LC_ALL"] in ("C", "POSIX") or "tr_tr" in known
        tried.append(name if there else f"{name} (not installed here: only its name was set)")
    record_property("figure", f"{', '.join(tried)}: 0 differences")


@pytest.mark.check("R40")
@pytest.mark.parametrize(("command", "shown"), [("check", "name: problems"), ("data", "\\u00bd"), ("inspect", "\\xbd")])
def test_what_is_no_ascii_is_shown_in_any_locale(world: World, tmp_path: Path, command: str, shown: str) -> None:
    file = with_accents(world, tmp_path)
    target = file
    if command == "inspect":
        assert call("rl", file, "--run", tmp_path / "größe", "--set", "train.max_steps=1").code == 0
        target = tmp_path / "größe"
    code, out, err = run_process([command, target], tmp_path, LOCALES["POSIX without UTF-8"])
    assert code == 0, err
    assert shown in out


@pytest.mark.check("R5")
def test_another_number_of_threads_is_said_to_lose_exactness(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record_property: Callable[[str, object], None]
) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        assert call("rl", world.configs["rl"], "--run", tmp_path / "one").code == 0
    finally:
        torch.set_num_threads(threads)
    environment = json.loads((tmp_path / "one" / "environment.json").read_text())
    assert environment["threads"] == 1
    equal = final_weights(tmp_path / "one") == final_weights(world.runs["rl"])
    record_property("figure", f"1 and {threads} threads: {'the same bits at this size' if equal else 'other bits'}")

    stop_after_a_step(world, tmp_path / "run", monkeypatch)
    changed = json.loads((tmp_path / "run" / "environment.json").read_text())
    assert changed["threads"] == threads
    changed["threads"] = threads + 1
    changed["versions"]["torch"] = "1.0"
    (tmp_path / "run" / "environment.json").write_text(json.dumps(changed))
    answer = call("rl", world.configs["rl"], "--run", tmp_path / "run")
    assert answer.code == 0
    said = [line for line in answer.err.splitlines() if "bits may differ" in line]
    assert len(said) == 1
    assert f"threads: {threads + 1} -> {threads}" in said[0]
    assert f"versions.torch: 1.0 -> {torch.__version__}" in said[0]


def stop_after_a_step(world: World, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave an unfinished RL run."""
    import rlvr.train.checkpoint

    with monkeypatch.context() as patched:
        save = rlvr.train.checkpoint.save_model
        patched.setattr(
            rlvr.train.checkpoint,
            "save_model",
            lambda *arguments: (signal.raise_signal(signal.SIGTERM), save(*arguments)),
        )
        assert call("rl", world.configs["rl"], "--run", run).code == 143


# ------------------------------------------------------------------------------------------ another configuration


@pytest.mark.check("R19")
@pytest.mark.parametrize(
    ("stage", "setting", "difference"),
    [
        ("rl", "train.learning_rate=0.1", "train.learning_rate: 0.001 -> 0.1"),
        ("pretrain", "model.width=32", "model.width: 16 -> 32"),
        ("rl", "seed=3", "seed: 0 -> 3"),
        ("rl", "task.length=9", "task.length: 8 -> 9"),
        ("rl", "train.max_steps=7", "train.max_steps: 6 -> 7"),
        ("rl", "threads=1", "threads: "),
    ],
)
def test_another_configuration_is_refused_with_what_differs_and_the_way_on(
    world: World, tmp_path: Path, refused: Callable[..., str], stage: str, setting: str, difference: str
) -> None:
    before = {file: file.read_bytes() for file in world.runs[stage].rglob("*") if file.is_file()}
    line = refused(stage, world.configs[stage], "--run", world.runs[stage], "--set", setting)
    assert difference in line
    assert "--run" in line
    assert "--fresh" in line
    assert {file: file.read_bytes() for file in world.runs[stage].rglob("*") if file.is_file()} == before


@pytest.mark.check("R19")
def test_a_changed_data_file_is_refused_by_name(world: World, tmp_path: Path, refused: Callable[..., str]) -> None:
    file = with_accents(world, tmp_path)
    arguments = ("rl", file, "--run", tmp_path / "run", "--set", "train.max_steps=1")
    assert call(*arguments).code == 0
    data = tmp_path / "p.jsonl"
    data.write_text(data.read_text(encoding="utf-8").replace('"answer": "1"', '"answer": "0"', 1), encoding="utf-8")
    line = refused(*arguments)
    assert f"other contents of {data}" in line
    assert "--fresh" in line


# --------------------------------------------------------------------------------------------------- evaluations


def answers(run: Path, *, greedy: bool | None = None) -> list[dict[str, Any]]:
    """The rollouts of an evaluation without log-probabilities and entropies, which are rounded differently in other batches."""
    rows = [json.loads(line) for line in (run / "rollouts" / "step_000000.jsonl").read_text().splitlines()]
    return [
        {key: value for key, value in row.items() if key not in ("logprobs", "entropies")}
        for row in rows
        if greedy is None or row["greedy"] is greedy
    ]


@pytest.mark.check("R37")
@pytest.mark.parametrize("engine", ["native", "hf"])
def test_an_evaluation_in_other_batches_has_the_same_answers(world: World, tmp_path: Path, engine: str) -> None:
    sampling = ("--set", f"rollout.engine={engine}")
    for size in (1, 8, 512):
        options = (*sampling, "--set", f"rollout.batch_size={size}")
        assert call("eval", world.configs["eval"], "--run", tmp_path / str(size), *options).code == 0
    assert call("eval", world.configs["eval"], "--run", tmp_path / "again", *sampling).code == 0
    assert (tmp_path / "again" / "rollouts" / "step_000000.jsonl").read_bytes() == (
        tmp_path / "512" / "rollouts" / "step_000000.jsonl"
    ).read_bytes()
    assert read_metrics(tmp_path / "again") == read_metrics(tmp_path / "512")
    assert len(answers(tmp_path / "1")) == 16 * 5
    assert answers(tmp_path / "1") == answers(tmp_path / "8") == answers(tmp_path / "512")
    scores = [read_metrics(tmp_path / str(size))[0] for size in (1, 8, 512)]
    assert scores[0] == pytest.approx(scores[1], abs=1e-6)
    assert scores[0] == pytest.approx(scores[2], abs=1e-6)


@pytest.mark.check("R37")
def test_the_order_of_a_file_cannot_change_greedy_answers(world: World, tmp_path: Path) -> None:
    rows = [json.dumps({"question": f"{' '.join(f'{n:08b}')} =", "answer": "1"}) + "\n" for n in range(0, 240, 6)]
    found = []
    for name, lines in (("forwards", rows), ("backwards", rows[::-1])):
        file = tmp_path / f"{name}.jsonl"
        file.write_text("".join(lines))
        task = f"task={{name: problems, path: {file}, test_fraction: 1.0}}"
        options = ("--set", task, "--set", "data=null", "--set", "eval.problems=40")
        answer = call("eval", world.configs["eval"], "--run", tmp_path / name, *options)
        assert answer.code == 0, answer.err
        found.append({row["question"]: row["completion"] for row in answers(tmp_path / name, greedy=True)})
    assert len(found[0]) == 40
    assert found[0] == found[1]


# --------------------------------------------------------------------------------------------------- a checkpoint


@pytest.mark.check("R41")
def test_a_checkpoint_has_the_same_logits_in_plain_transformers(
    world: World, record_property: Callable[[str, object], None]
) -> None:
    folder = world.runs["rl"] / "checkpoints" / "step_000006"
    assert {file.suffix for file in folder.iterdir()} <= {".safetensors", ".json", ".jinja", ".txt"}
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    ours, codec = load_model(str(folder), PromptConfig(), torch.device("cpu"))
    ids = tokenizer("0 1 1 0 1 0 1 1 =", return_tensors="pt")["input_ids"]
    assert ids[0].tolist() == codec.prompts_ids(["0 1 1 0 1 0 1 1 ="])[0]
    assert torch.equal(model(ids).logits, ours(ids).logits)

    # The evaluation's own decoder recorded a log-probability of every token that it drew from this checkpoint.
    lines = (world.runs["eval"] / "rollouts" / "step_000000.jsonl").read_text().splitlines()
    largest = 0.0
    model.requires_grad_(requires_grad=False)
    for row in map(json.loads, lines):
        if row["greedy"]:
            continue
        whole = torch.tensor([row["prompt_ids"] + row["token_ids"]])
        logprobs = torch.log_softmax(model(whole).logits[0, len(row["prompt_ids"]) - 1 : -1], dim=-1)
        again = logprobs.gather(-1, torch.tensor(row["token_ids"])[:, None]).squeeze(-1)
        largest = max(largest, float((again - torch.tensor(row["logprobs"])).abs().max()))
    assert largest < 1e-5
    record_property(
        "figure", f"log-probabilities of {len(lines) * 4 // 5} completions differ by at most {largest:.1e} nats"
    )
