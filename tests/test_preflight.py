"""What is known about a run before it starts."""

import json
from pathlib import Path

import pytest
import torch

from rlvr.config import EvalConfig, ModelConfig, PretrainConfig, RlConfig, SftConfig, StageConfig, TokenizerConfig
from rlvr.corpus import make_corpus
from rlvr.errors import RlvrError
from rlvr.models.scratch import build_model
from rlvr.models.tokenizer import build_tokenizer
from rlvr.models.vocabulary import parameter_count, vocabulary_size
from rlvr.preflight import plan

WORDS = ["a b c <think> d </think> e"]
PARITY = {"name": "modsum", "length": 8}
STEPS = {"max_steps": 10, "learning_rate": 0.01}
NOWHERE = "runs/not-there-yet"


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize(
    "dials",
    [
        {"family": "llama", "layers": 2, "width": 16, "heads": 4},
        {"family": "llama", "layers": 1, "width": 24, "heads": 4, "kv_heads": 2, "mlp_width": 20},
        {"family": "qwen3", "layers": 2, "width": 16, "heads": 4, "kv_heads": 2},
        {"family": "qwen3", "layers": 1, "width": 16, "heads": 2, "kv_heads": 1, "mlp_width": 7},
        {"family": "qwen3_moe", "layers": 2, "width": 16, "heads": 2, "experts": 4, "experts_per_token": 2},
        {
            "family": "qwen3_moe", "layers": 1, "width": 16, "heads": 4, "kv_heads": 2, "mlp_width": 5,
            "experts": 3, "experts_per_token": 1,
        },
    ],
)  # fmt: skip
def test_the_parameter_count_is_that_of_the_real_model(dials: dict, tied: bool) -> None:
    config = ModelConfig.model_validate({**dials, "tie_embeddings": tied})
    tokenizer = build_tokenizer(TokenizerConfig(), WORDS, 64)
    model = build_model(config, tokenizer, seed=0, device=torch.device("cpu"))
    assert parameter_count(config, len(tokenizer)) == sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize("tokenizer", [{"kind": "words"}, {"kind": "characters"}, {"kind": "bpe", "vocab_size": 300}])
def test_the_vocabulary_size_is_that_of_the_real_tokenizer(tokenizer: dict) -> None:
    config = TokenizerConfig.model_validate(tokenizer)
    texts = [f"{text} {n}" for text in WORDS for n in range(200)]
    assert vocabulary_size(config, texts) == len(build_tokenizer(config, texts, 64))


# ---------------------------------------------------------------------------------------------- plans


def pretrain(**fields: object) -> PretrainConfig:
    sections = {
        "model": {"layers": 1, "width": 8, "heads": 2},
        "task": PARITY,
        "data": {"mixture": {"direct": 1.0}},
        "train": {**STEPS, "batch_tokens": 100},
    }
    return PretrainConfig.model_validate(sections | fields)


def sft(**fields: object) -> SftConfig:
    sections = {"model": NOWHERE, "task": PARITY, "data": {"mixture": {"cot": 1.0}}, "train": STEPS}
    return SftConfig.model_validate(sections | fields)


def rl(**fields: object) -> RlConfig:
    return RlConfig.model_validate({"model": NOWHERE, "task": PARITY, "train": STEPS} | fields)


def evaluation(**fields: object) -> EvalConfig:
    return EvalConfig.model_validate({"model": NOWHERE, "task": PARITY} | fields)


def problems(folder: Path, count: int, **fields: object) -> dict:
    rows = [{"question": f"q{n}", "answer": n} for n in range(count)]
    (folder / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return {"name": "problems", "path": str(folder / "data.jsonl"), **fields}


def refusal(config: StageConfig) -> str:
    with pytest.raises(RlvrError) as caught:
        plan(config, starting=False)
    return str(caught.value)


@pytest.mark.parametrize(
    ("optimizer", "bytes_each"),
    [
        ({}, 16),  # AdamW: weight, gradient, two moments
        ({"optimizer": "sgd"}, 8),
        ({"optimizer": "sgd", "momentum": 0.9}, 12),
    ],
)
def test_a_pretraining_run_adds_up_parameters_memory_and_tokens(optimizer: dict, bytes_each: int) -> None:
    config = pretrain(train={**STEPS, "batch_tokens": 100, **optimizer})
    tokenizer = build_tokenizer(config.tokenizer, make_corpus(config.data, config.task, 0).texts(), 64)
    parameters = parameter_count(config.model, len(tokenizer))
    made = plan(config, starting=True)
    assert (made.parameters, made.memory_bytes) == (parameters, bytes_each * parameters)
    assert (made.tokens, made.warnings) == ({"train": 1000}, [])
    assert made.cache_bytes is None  # nothing is sampled


def test_rl_counts_the_tokens_of_its_rollouts() -> None:
    made = plan(rl(rollout={"group_size": 4, "problems_per_step": 5, "max_new_tokens": 6}), starting=False)
    assert made.tokens == {"rollout (at most)": 10 * 4 * 5 * 6}


def test_evaluation_counts_sampled_and_greedy_tokens() -> None:
    made = plan(evaluation(eval={"problems": 7, "samples": 3}, rollout={"max_new_tokens": 5}), starting=False)
    assert made.tokens == {"rollout (at most)": 7 * (3 + 1) * 5}


def test_evaluation_counts_no_more_problems_than_there_are(tmp_path: Path) -> None:
    config = evaluation(task=problems(tmp_path, 3, test_fraction=1), eval={"samples": 1}, rollout={"max_new_tokens": 5})
    made = plan(config, starting=False)
    assert made.tokens == {"rollout (at most)": 3 * 2 * 5}
    assert "the test split has 3 problems; all of them are evaluated" in made.warnings


@pytest.mark.parametrize("config", [sft(), rl(), evaluation()])
def test_a_model_that_is_not_there_is_a_warning_or_at_the_start_an_error(config: StageConfig) -> None:
    made = plan(config, starting=False)
    assert (made.parameters, made.memory_bytes) == (None, None)
    assert made.warnings == [f"model {NOWHERE} is not there yet"]
    with pytest.raises(RlvrError, match=f"model: no such file or directory; got '{NOWHERE}'"):
        plan(config, starting=True)


@pytest.mark.parametrize(("warmup", "warned"), [(9, False), (10, True)])
def test_training_that_is_all_warm_up_is_warned_about(warmup: int, warned: bool) -> None:
    warnings = plan(pretrain(train={**STEPS, "warmup_steps": warmup}), starting=True).warnings
    assert any("warm-up" in warning for warning in warnings) is warned


def test_skipped_lines_are_warned_about(tmp_path: Path) -> None:
    task = problems(tmp_path, 30, on_bad_line="skip")
    with (tmp_path / "data.jsonl").open("a") as file:
        file.write("nonsense\n")
    assert any("1 bad lines" in warning for warning in plan(rl(task=task), starting=False).warnings)


def test_gold_answers_are_checked(tmp_path: Path) -> None:
    task = problems(tmp_path, 30)
    (tmp_path / "data.jsonl").write_text('{"question": "q", "answer": "many"}\n' * 9)
    assert "its gold answer 'many' cannot be read: it is not one number" in refusal(
        evaluation(task={**task, "test_fraction": 1}, reward={"number": 1.0})
    )


def test_gold_answers_of_evaluations_while_training_are_checked(tmp_path: Path) -> None:
    task = problems(tmp_path, 30, test_fraction=0.5)
    (tmp_path / "data.jsonl").write_text("".join(f'{{"question": "q{n}", "answer": "many"}}\n' for n in range(30)))
    config = sft(task=task, data={"mixture": {"direct": 1.0}}, reward={"number": 1.0}, eval={"every": 1})
    assert "its gold answer 'many' cannot be read: it is not one number" in refusal(config)


def test_documents_alone_can_be_evaluated(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("all work and no play " * 20)
    config = evaluation(task=None, data={"sources": [{"text": str(tmp_path / "notes.txt")}]})
    assert plan(config, starting=False).tokens == {}


def test_an_unknown_mode_is_found() -> None:
    assert "data.mixture.leap2: task modsum has no such mode" in refusal(sft(data={"mixture": {"leap2": 1.0}}))


def test_a_vocabulary_of_words_is_refused_where_questions_are_ever_new_words() -> None:
    """``47+85=`` is one word between spaces: nearly every question would be the unknown token."""
    assert "tokenizer" in refusal(pretrain(task={"name": "arithmetic"}, data={"mixture": {"cot": 1.0}}))


def test_every_source_must_have_a_document_to_give(tmp_path: Path) -> None:
    """The second source keeps all of its problems for testing."""
    empty = problems(tmp_path, 5, test_fraction=1)
    sources = [
        {"task": PARITY, "mixture": {"direct": 1.0}, "weight": 1e9},
        {"task": empty, "mixture": {"direct": 1.0}},
    ]
    assert "has no problem in the train split" in refusal(sft(task=None, data={"sources": sources}))


def test_the_split_that_is_evaluated_must_have_problems(tmp_path: Path) -> None:
    config = rl(task=problems(tmp_path, 5, test_fraction=0), eval={"every": 1})
    assert "has no problem in the test split" in refusal(config)
