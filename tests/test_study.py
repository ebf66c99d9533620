"""rlvr study: what models make of saved rollouts, through the command line."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from conftest import World, call, plain_model, write_config
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from rlvr import study, teacher_forcing
from rlvr.runtime.run_dir import reopen_run
from rlvr.types import Completion, Problem, Rollout, StopReason


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def recorded(run: Path, step: int) -> list[dict[str, Any]]:
    return lines(run / "rollouts" / f"step_{step:06d}.jsonl")


def of_step(run: Path, step: int) -> list[dict[str, Any]]:
    return lines(run / "study" / f"step_{step:06d}.jsonl")


def studied(source: Path, folder: Path, *options: object) -> Path:
    """A copy of a run, studied."""
    run = Path(shutil.copytree(source, folder))
    answer = call("study", run, *options)
    assert answer.code == 0, answer.err
    assert answer.out.splitlines() == [str(file) for file in sorted((run / "study").glob("*"))]
    return run


@pytest.fixture(scope="module")
def rl(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run, its first and last steps studied against the model that it began from."""
    return studied(world.runs["rl"], tmp_path_factory.mktemp("study") / "rl", "--rollouts", 3, "--samples", 4)


def test_the_earlier_model_says_what_was_recorded_when_it_sampled(world: World, rl: Path) -> None:
    rows = of_step(rl, 1)
    assert len(rows) == 3
    for row in rows:
        record = recorded(rl, 1)[row["line"]]
        assert (row["policy"], row["against"]) == ("checkpoints/step_000006", str(world.runs["sft"]))
        assert row["index"] == record["index"]
        assert row["against_logprobs"] == pytest.approx(record["logprobs"], abs=1e-4)
        assert row["against_entropies"] == pytest.approx(record["entropies"], abs=1e-4)
        assert max(abs(a - b) for a, b in zip(row["logprobs"], record["logprobs"], strict=True)) > 1e-3


def test_a_checkpoint_says_what_was_recorded_when_it_sampled(world: World, tmp_path: Path) -> None:
    """Step 5 was sampled by the policy of 4 steps: that is the nearer one, and goes on from it."""
    checkpoint = tmp_path / "rl" / "checkpoints" / "step_000004"
    run = studied(world.runs["rl"], tmp_path / "rl", "--step", 5, "--against", checkpoint, "--samples", 2)
    for row in of_step(run, 5):
        assert row["against"] == row["credit"]["policy"] == "checkpoints/step_000004"
        assert row["against_logprobs"] == pytest.approx(recorded(run, 5)[row["line"]]["logprobs"], abs=1e-4)


def test_an_evaluation_is_studied_against_what_its_model_began_from(world: World, tmp_path: Path) -> None:
    run = studied(world.runs["eval"], tmp_path / "eval", "--samples", 2)
    rows = of_step(run, 0)
    assert len(rows) == 6
    for row in rows:
        record = recorded(run, 0)[row["line"]]
        assert not record["greedy"]
        assert (row["policy"], row["against"]) == (str(world.runs["rl"]), str(world.runs["sft"]))
        assert row["logprobs"] == pytest.approx(record["logprobs"], abs=1e-4)


def test_alternatives_hold_the_token_that_is_there_and_are_probabilities(rl: Path) -> None:
    for row in of_step(rl, 1) + of_step(rl, 6):
        record = recorded(rl, 1 if row in of_step(rl, 1) else 6)[row["line"]]
        assert len(row["alternatives"]) == len(record["token_ids"])
        for place, (token, named) in enumerate(zip(record["token_ids"], row["alternatives"], strict=True)):
            of = {each["id"]: each for each in named}
            assert len(of) == len(named) <= 11
            assert math.log(of[token]["probability"]) == pytest.approx(row["logprobs"][place], abs=1e-4)
            assert math.log(of[token]["against"]) == pytest.approx(row["against_logprobs"][place], abs=1e-4)
            for name in ("probability", "against"):
                assert sum(each[name] for each in named) <= 1 + 1e-5
            assert [each["probability"] for each in named] == sorted((e["probability"] for e in named), reverse=True)
            assert all(each["text"] for each in named)
    texts = {each["text"] for row in of_step(rl, 1) for named in row["alternatives"] for each in named}
    assert {" 0", " 1", " <think>", "<eos>"} <= texts


def test_a_rollouts_end_has_its_own_verdict_and_each_share_its_interval(world: World, rl: Path) -> None:
    for step, policy in ((1, str(world.runs["sft"])), (6, "checkpoints/step_000006")):
        for row in of_step(rl, step):
            record, credit = recorded(rl, step)[row["line"]], row["credit"]
            assert (credit["policy"], credit["samples"]) == (policy, 4)
            assert credit["positions"] == list(range(len(record["token_ids"]) + 1))
            assert credit["right"][-1] == credit["low"][-1] == credit["high"][-1] == record["correct"]
            for low, share, high in zip(credit["low"], credit["right"], credit["high"], strict=True):
                assert 0 <= low <= share <= high <= 1
            assert set(credit["right"]) <= {0, 0.25, 0.5, 0.75, 1}


def test_a_study_is_repeatable_and_keeps_what_was_found_of_others(rl: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(rl, tmp_path / "rl"))
    assert call("study", run, "--rollouts", 3, "--samples", 4, "--step", 1).code == 0
    assert of_step(run, 1) == of_step(rl, 1)
    known = {row["index"] for row in of_step(rl, 1)}
    other = next(record["index"] for record in recorded(run, 1) if record["index"] not in known)
    assert call("study", run, "--step", 1, "--problem", other, "--rollouts", 1, "--samples", 0).code == 0
    new = [row for row in of_step(run, 1) if row not in of_step(rl, 1)]
    assert len(of_step(run, 1)) == 4
    assert [(row["index"], row["credit"]) for row in new] == [(other, None)]
    again = ("study", run, "--step", 1, "--problem", other, "--rollouts", 1, "--samples", 1)
    assert call(*again).code == 0
    [row] = [row for row in of_step(run, 1) if row["index"] == other]
    assert row["credit"]["samples"] == 1


def decided_by_one_token(model: Path) -> Path:
    """A model that thinks nothing, and then answers 0 or 1, one as likely as the other: each token says alone what comes next."""
    tokenizer = AutoTokenizer.from_pretrained(model)
    ids = tokenizer.get_vocab()
    size = len(tokenizer)
    shape = {"hidden_size": 32, "intermediate_size": 16, "num_attention_heads": 2, "num_key_value_heads": 2}
    made = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=size, num_hidden_layers=1, max_position_embeddings=64, tie_word_embeddings=False, **shape
        )
    )
    with torch.no_grad():
        made.model.layers[0].self_attn.o_proj.weight.zero_()
        made.model.layers[0].mlp.down_proj.weight.zero_()
        made.model.embed_tokens.weight.copy_(torch.eye(size, 32))
        made.lm_head.weight.zero_()
        for before, after in (
            ("=", ["<think>"]),
            ("<think>", ["</think>"]),
            ("</think>", ["0", "1"]),
            ("0", ["<eos>"]),
            ("1", ["<eos>"]),
        ):
            for token in after:
                made.lm_head.weight[ids[token], ids[before]] = 40 / 32**0.5
    made.generation_config.eos_token_id = ids["<eos>"]
    made.save_pretrained(model)
    return model


def test_credit_jumps_where_the_answer_is_decided(world: World, folder: Path, tmp_path: Path) -> None:
    """The answer is the third of four tokens: before it either is as likely, after it nothing changes any more. At the end of RL
    the run studies itself, and takes no more than about the step did: 16 rollouts of 4 tokens are 64, and 2 of them with 10 tokens
    for each sample from all positions leave 6 samples of 2 × 64."""
    tree = yaml.safe_load(world.configs["rl"].read_text())
    tree["model"] = str(decided_by_one_token(folder))
    tree |= {"rollout": {**tree["rollout"], "problems_per_step": 4}, "study": {"rollouts": 2}, "eval": None}
    tree["train"] = {"max_steps": 1, "learning_rate": 1e-9}
    run = tmp_path / "run"
    answer = call("rl", write_config(tmp_path / "rl.yaml", tree), "--run", run)
    assert answer.code == 0, answer.err
    assert [row["credit"]["samples"] for row in of_step(run, 1)] == [6, 6]
    assert call("study", run, "--rollouts", 2, "--samples", 64).code == 0
    rows = of_step(run, 1)
    assert {recorded(run, 1)[row["line"]]["correct"] for row in rows} == {True, False}
    for row in rows:
        record, credit = recorded(run, 1)[row["line"]], row["credit"]
        assert record["completion"].split()[:2] == ["<think>", "</think>"]
        assert credit["positions"] == [0, 1, 2, 3, 4]
        assert credit["right"][3:] == [record["correct"]] * 2
        for share, low, high in zip(credit["right"][:3], credit["low"], credit["high"], strict=False):
            assert 0.3 < share < 0.7
            assert high - low == pytest.approx(0.24, abs=0.02)
        assert row["entropies"] == pytest.approx([0, 0, math.log(2), 0], abs=1e-3)


def test_a_run_that_cannot_study_itself_is_finished_all_the_same(world: World, folder: Path, tmp_path: Path) -> None:
    """What is in the place of its study is none."""
    tree = {**yaml.safe_load(world.configs["rl"].read_text()), "study": {"rollouts": 1, "samples": 0}, "eval": None}
    tree |= {"model": str(folder), "train": {"max_steps": 1, "learning_rate": 1e-3}}
    run = tmp_path / "run"
    config = write_config(tmp_path / "rl.yaml", tree)
    (run / "study").mkdir(parents=True)
    (run / ".lock").touch()
    (run / "study" / "step_000001.jsonl").write_text("{}\n")
    answer = call("rl", config, "--run", run)
    assert answer.code == 0, answer.err
    assert "warning: the rollouts were not studied: " in answer.err
    assert (run / "checkpoints" / "latest").exists()


def damaged(run: Path, **fields: object) -> None:
    """Put other fields into the first rollouts of the first step."""
    file = run / "rollouts" / "step_000001.jsonl"
    file.write_text("".join(json.dumps({**row, **fields}) + "\n" for row in lines(file)))


WRONG: dict[str, tuple[Callable[[Path], object], list[str], str]] = {
    "no rollouts": (lambda run: shutil.rmtree(run / "rollouts"), [], "has no rollouts to study"),
    "step": (lambda run: None, ["--step", "7"], "--step: has no rollouts; got 7; allowed: 1, 2, 3, 4, 5, 6"),
    "problem": (lambda run: None, ["--problem", "99"], "holds no rollout of that problem; got 99"),
    "no checkpoint": (lambda run: shutil.rmtree(run / "checkpoints"), [], "has no checkpoint yet"),
    "model": (lambda run: None, ["--against", "nowhere/to/be"], "--against: model: no such file or directory"),
    "link": (lambda run: (run / "study").symlink_to(run / "rollouts"), [], "holds a link (study)"),
    "no rollout": (lambda run: damaged(run, token_ids=None), [], "step_000001.jsonl:1: is no rollout"),
    "task": (lambda run: damaged(run, question=["a"]), [], "step_000001.jsonl:1: is no rollout"),
    "text": (lambda run: damaged(run, completion="else"), [], "was written with another tokenizer"),
    "tokens": (lambda run: damaged(run, prompt_ids=[1, 10**6]), [], "holds tokens that checkpoints/step_000006 does not know"),
    "prompt": (lambda run: damaged(run, prompt_ids=[]), [], "cannot be read by checkpoints/step_000006"),
    "study": (lambda run: ((run / "study").mkdir(), (run / "study/step_000001.jsonl").write_text("1\n")), [], "is damaged"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "options", "words"), WRONG.values(), ids=WRONG.keys())
def test_what_cannot_be_studied_is_one_line(
    world: World,
    tmp_path: Path,
    refused: Callable[..., str],
    change: Callable[[Path], object],
    options: list[str],
    words: str,
) -> None:
    run = Path(shutil.copytree(world.runs["rl"], tmp_path / "rl"))
    change(run)
    lines_said = refused("study", run, "--samples", "0", *options)
    assert words in lines_said


def test_runs_without_rollouts_and_folders_that_are_no_runs_are_refused(
    world: World, tmp_path: Path, refused: Callable[..., str]
) -> None:
    assert "is a run of rlvr sft, which writes no rollouts" in refused("study", world.runs["sft"])
    assert "is not a run directory" in refused("study", tmp_path)
    run = Path(shutil.copytree(world.runs["rl"], tmp_path / "rl"))
    with reopen_run(run):
        assert "is in use by process" in refused("study", run)


def test_an_evaluation_of_a_plain_model_needs_an_earlier_one(
    world: World, tmp_path: Path, refused: Callable[..., str]
) -> None:
    run = Path(shutil.copytree(world.runs["eval"], tmp_path / "eval"))
    tree = yaml.safe_load((run / "config.yaml").read_text())
    model = plain_model(world.runs["rl"] / "checkpoints" / "step_000006", tmp_path / "model")
    write_config(run / "config.yaml", {**tree, "model": str(model)})
    assert "--against: is needed" in refused("study", run)
    assert call("study", run, "--against", world.runs["sft"], "--samples", 0, "--rollouts", 1).code == 0
    assert of_step(run, 0)[0]["credit"] is None


def test_samples_without_rollouts_have_no_effect(world: World, refused: Callable[..., str]) -> None:
    line = refused("check", world.configs["rl"], "--set", "study={rollouts: 0, samples: 3}")
    assert "samples has no effect with rollouts 0" in line


def attempt(index: int, mode: str, right: bool, length: int = 2) -> Rollout:
    completion = Completion(
        prompt_ids=[1], token_ids=[2] * length, logprobs=[0.0] * length, stop_reason=StopReason.STOP
    )
    return Rollout(
        problem=Problem(task="modsum", split="train", index=index, question="", answer=""), prompt="", text="", mode=mode,
        completion=completion, rewards={}, reasons={}, reward=float(right), oracle=float(right), correct=right,
    )  # fmt: skip


def test_what_is_chosen_teaches_most() -> None:
    """Problem 7 has a right and a wrong answer in different modes, problem 3 in one; problem 5 was solved by all."""
    rollouts = dict(
        enumerate(
            [
                *(attempt(3, "direct", right) for right in (True, False)),
                *(attempt(5, "direct", True) for _ in range(3)),
                *(attempt(7, mode, right) for mode, right in (("direct", False), ("direct", False), ("cot", True))),
            ]
        )
    )
    assert list(study.choose(rollouts, 2)) == [5, 7]
    assert list(study.choose(rollouts, 1)) == [7]
    assert list(study.choose(rollouts, 4)) == [0, 1, 5, 7]
    assert list(study.choose(rollouts, 5)) == [0, 1, 2, 5, 7]
    assert list(study.choose(rollouts, 99)) == list(range(8))


def test_long_rollouts_are_gone_on_from_evenly_and_around_their_forks() -> None:
    entropies = [0.0] * 1500
    entropies[100] = entropies[703] = 1.0
    found = study.positions(1500, entropies)
    assert {0, 100, 101, 200, 703, 704, 1500} <= set(found)
    assert len(found) <= study.MOST_POSITIONS
    assert max(b - a for a, b in pairwise(found)) == 100


def test_what_short_rollouts_leave_over_is_the_long_ones() -> None:
    """One sample from each position costs 2 + 1 tokens, and 4 + 3 + 2 + 1."""
    rollouts = {0: attempt(0, "direct", True, 4), 1: attempt(0, "direct", False, 2)}
    assert study.affordable(rollouts, 4, 100) == {0: 4, 1: 4}
    assert study.affordable(rollouts, 4, 32) == {1: 4, 0: 2}
    assert study.affordable(rollouts, 4, 5) == {1: 0, 0: 0}


def test_a_large_vocabulary_is_read_a_part_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of SmolLM2's 49,152 tokens the logits of 21 places are held at once here. The second model pads its vocabulary."""
    monkeypatch.setattr(teacher_forcing, "LOGITS_AT_ONCE", 2**20)
    torch.manual_seed(0)
    shape = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "head_dim": 8}
    sizes = (49152, 49280)
    models = [LlamaForCausalLM(LlamaConfig(vocab_size=size, num_key_value_heads=1, **shape)).eval() for size in sizes]
    for model in models:
        model.lm_head.weight.data.mul_(30)
    ids = torch.randint(49152, (50,)).tolist()
    completion = Completion(prompt_ids=[1, 2], token_ids=ids, logprobs=[0.0] * 50, stop_reason=StopReason.STOP)
    found = teacher_forcing.compare((models[0], models[1]), completion, temperature=0.7, pad_id=0, count=5)
    for number, model in enumerate(models):
        with torch.inference_mode():
            logits = model(input_ids=torch.tensor([[1, 2, *ids]])).logits[0, 1:-1] / 0.7
        expected = logits.log_softmax(-1)
        entropies = -(expected.exp() * expected).sum(-1)
        torch.testing.assert_close(torch.tensor(found.logprobs[number]), expected[range(50), ids], atol=1e-4, rtol=0)
        torch.testing.assert_close(torch.tensor(found.entropies[number]), entropies, atol=1e-3, rtol=0)
        best = expected[49, :49152].topk(5)
        for token, logprob in zip(best.indices.tolist(), best.values.tolist(), strict=True):
            assert math.log(found.likeliest[49][token][number]) == pytest.approx(logprob, abs=1e-4)
    assert all(token in named and len(named) <= 11 for named, token in zip(found.likeliest, ids, strict=True))
