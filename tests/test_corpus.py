"""Documents out of tasks and text files."""

import json
from pathlib import Path

import pytest

from rlvr.config import DataConfig, EvalConfig, ModsumConfig, PretrainConfig, RlConfig
from rlvr.corpus import Corpus, draw_rows, make_corpus, take
from rlvr.errors import RlvrError
from rlvr.tasks import make_task

PARITY = {"name": "modsum", "length": 8}
STEPS = {"max_steps": 1, "learning_rate": 0.1}


def corpus(data: dict, *, task: dict | None = None, seed: int = 0) -> Corpus:
    config = ModsumConfig.model_validate(task) if task is not None else None
    return make_corpus(DataConfig.model_validate(data), config, seed)


def source(mode: str = "direct", task: dict | None = None, **fields: object) -> dict:
    return {"task": task or PARITY, "mixture": {mode: 1.0}, **fields}


def share_of(documents: Corpus, mode: str, count: int = 2000) -> float:
    return sum(document.mode == mode for document in take(documents.document, "train", count)) / count


# ------------------------------------------------------------------------------------------------ one task


def test_modes_are_drawn_by_weight() -> None:
    """Weights need not add up to 1. Three standard deviations of 2000 draws are 0.027."""
    made = corpus({"mixture": {"direct": 4.0, "cot": 1.0}}, task=PARITY)
    assert share_of(made, "cot") == pytest.approx(0.2, abs=0.03)


def test_a_mode_of_weight_zero_is_never_drawn() -> None:
    assert share_of(corpus({"mixture": {"direct": 1.0, "cot": 0.0}}, task=PARITY), "cot", 200) == 0


def test_a_document_is_a_problem_of_its_number_answered_in_its_mode() -> None:
    made, task = corpus({"mixture": {"direct": 1.0, "cot": 1.0}}, task=PARITY), make_task(ModsumConfig(**PARITY), 0)
    for index, document in enumerate(take(made.document, "test", 20)):
        problem = task.problem("test", index)
        assert (document.source, document.prompt, document.ends) == ("modsum", problem.question, True)
        assert task.mode_of(problem, document.response) == document.mode
        assert task.final_answer(problem, document.response) == problem.answer


def test_documents_depend_on_seed_split_and_index_only() -> None:
    data = {"mixture": {"direct": 1.0, "cot": 1.0}}
    one, same, other = (corpus(data, task=PARITY, seed=seed) for seed in (0, 0, 1))
    assert take(one.document, "train", 20) == [same.document("train", index) for index in reversed(range(20))][::-1]
    assert take(one.document, "train", 20) != take(other.document, "train", 20)


def test_take_begins_where_it_is_told() -> None:
    made = corpus({"mixture": {"direct": 1.0}}, task=PARITY)
    assert take(made.document, "train", 2, start=3) == [made.document("train", 3), made.document("train", 4)]


def test_an_unknown_mode_is_refused() -> None:
    expected = r"data\.mixture\.cott: task modsum has no such mode; allowed: direct, cot; Did you mean cot\?"
    with pytest.raises(RlvrError, match=expected):
        corpus({"mixture": {"cott": 1.0}}, task=PARITY)


def test_weights_that_are_all_zero_are_refused() -> None:
    with pytest.raises(RlvrError, match=r"data\.mixture: all weights are zero"):
        corpus({"mixture": {"direct": 0.0, "cot": 0.0}}, task=PARITY)


# ------------------------------------------------------------------------------------------------- sources


def test_sources_are_drawn_by_weight() -> None:
    made = corpus({"sources": [source("direct", weight=3.0), source("cot", weight=1.0)]})
    assert share_of(made, "cot") == pytest.approx(0.25, abs=0.03)


def test_two_sources_of_one_kind_draw_different_documents() -> None:
    made = corpus({"sources": [source("direct"), source("cot")]})
    questions = {task.problem("train", 0).question for task in made.tasks}
    assert len(questions) == 2


def test_the_only_source_draws_what_the_task_itself_draws() -> None:
    by_source, by_task = corpus({"sources": [source()]}), corpus({"mixture": {"direct": 1.0}}, task=PARITY)
    assert take(by_source.document, "train", 10) == take(by_task.document, "train", 10)


def test_text_files_and_tasks_mix(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("all work and no play " * 20)
    made = corpus({"sources": [source(), {"text": str(tmp_path / "notes.txt"), "block": 16}]})
    assert {document.mode for document in take(made.document, "train", 50)} == {"direct", "text"}
    assert (len(made.tasks), len(made.files)) == (1, 1)


def test_a_mistake_in_a_source_is_named_with_its_number() -> None:
    with pytest.raises(RlvrError, match=r"data\.sources\.1\.mixture\.leap3: task modsum has no such mode"):
        corpus({"sources": [source(), source("leap3")]})


def test_texts_hold_every_word_of_the_tasks_and_the_whole_of_the_files(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("".join(chr(0x4E00 + n) for n in range(2000)))
    made = corpus(
        {
            "sources": [
                source("cot", {"name": "modsum", "modulus": 50, "length": 4, "distractors": 2}),
                source("cot", {"name": "words", "group": "A5", "length": 2}),
                {"text": str(tmp_path / "notes.txt")},
            ]
        }
    )
    texts = list(made.texts())
    documents = [document for document in take(made.document, "test", 500) if document.mode != "text"]
    written = {word for document in documents for word in f"{document.prompt} {document.response}".split()}
    assert written <= {word for text in texts for word in text.split()}
    assert {chr(0x4E00 + n) for n in range(2000)} <= set("".join(texts))


# ---------------------------------------------------------------------------------------------------- rows


def test_rows_of_a_document_stage_are_its_documents() -> None:
    config = PretrainConfig.model_validate(
        {
            "model": {"layers": 1, "width": 8, "heads": 2},
            "task": {"name": "modsum", "modulus": 10, "length": 2},
            "data": {"mixture": {"direct": 1.0}},
            "train": STEPS,
        }
    )
    row = draw_rows(config, "train", 3)[2]
    a, b = (int(word) for word in row["question"].split()[:2])
    assert row["answer"] == str((a + b) % 10)
    assert (row["mode"], row["source"]) == ("direct", "modsum")


@pytest.mark.parametrize("stage", [RlConfig, EvalConfig])
def test_rows_of_other_stages_are_problems(stage: type) -> None:
    config = stage.model_validate({"model": "m", "task": PARITY} | ({"train": STEPS} if stage is RlConfig else {}))
    problem = make_task(config.task, 0).problem("test", 1)
    assert draw_rows(config, "test", 2)[1] == {
        "question": problem.question, "answer": problem.answer, "task": "modsum", "split": "test", "index": 1,
    }  # fmt: skip


def test_an_evaluation_of_documents_alone_has_no_problems_to_draw() -> None:
    config = EvalConfig.model_validate({"model": "m", "data": {"sources": [{"text": "notes.txt"}]}})
    with pytest.raises(RlvrError, match="task: is missing"):
        draw_rows(config, "test", 1)


def problems_file(folder: Path, rows: list[dict]) -> dict:
    (folder / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return {"name": "problems", "path": str(folder / "data.jsonl"), "test_fraction": 1}


def test_rows_of_a_file_are_no_more_than_it_has(tmp_path: Path) -> None:
    task = problems_file(tmp_path, [{"question": "q", "answer": "a"}, {"question": "r", "answer": "b"}])
    config = EvalConfig.model_validate({"model": "m", "task": task})
    assert [row["question"] for row in draw_rows(config, "test", 10)] == ["q", "r"]


def test_metadata_does_not_cover_up_where_a_problem_comes_from(tmp_path: Path) -> None:
    task = problems_file(tmp_path, [{"question": "q", "answer": "a", "index": 99, "split": "dev", "level": 5}])
    row = draw_rows(EvalConfig.model_validate({"model": "m", "task": task}), "test", 1)[0]
    assert (row["index"], row["split"], row["level"]) == (0, "test", 5)
