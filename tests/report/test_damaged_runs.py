"""Reports of run directories that are empty, unfinished, of an older version, spoilt or hostile: what is missing is said, the rest is shown."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import call
from read_pages import Page, read_page
from run_folders import CONFIG, evaluation, rl_run, rollout, row, write_lines


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run without a flaw, to be copied."""
    return rl_run(tmp_path_factory.mktemp("whole") / "rl")


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "rl"))


def report(run: Path) -> tuple[Page, list[str]]:
    """The page of a run, and what was said on stderr: one line for each damaged file, and no more."""
    answer = call("report", run)
    assert answer.code == 0, answer
    lines = answer.err.splitlines()
    assert all(line.startswith("note: ") for line in lines), answer.err
    return read_page(run / "report.html"), lines


# ------------------------------------------------------------------------------------------------ what is not there


def test_a_run_that_has_just_begun_says_what_it_lacks(tmp_path: Path) -> None:
    run = rl_run(tmp_path / "rl")
    for name in os.listdir(run):
        if name != "config.yaml":
            shutil.rmtree(run / name) if (run / name).is_dir() else (run / name).unlink()
    page, lines = report(run)
    assert lines == []
    said = page.said("notes")
    for text in (
        "It has done 0 of 6 steps.",
        "The file metrics.jsonl has no rows: there are no curves.",
        "The file environment.json is missing: versions, command and seed are not known.",
        "The folder rollouts/ has no rollouts: there are no samples and no tokens to read.",
    ):
        assert text in said
    assert "max_steps: 6" in page.said("origin")
    assert "Nothing was measured that could have changed." in page.said("verdict")
    assert list(page.sections) == ["verdict", "notes", "origin"]


def test_an_unfinished_run_shows_what_it_has(run: Path) -> None:
    lines = (run / "metrics.jsonl").read_text().splitlines(keepends=True)
    (run / "metrics.jsonl").write_text("".join(lines[:4]))
    page, _ = report(run)
    assert "It has done 4 of 6 steps." in page.said("notes")
    assert "it has done 4 of 6 steps" in page.said("verdict")
    assert "Accuracy on modsum was 0.300 [0.200, 0.400] at the only evaluation (step 3)" in page.said("verdict")


def test_a_run_of_an_older_version_is_shown_without_what_it_did_not_write(run: Path) -> None:
    later = ("advantages", "trained", "entropies", "ref_logprobs", "reasons", "prompt_ids", "oracle", "advantage")
    for file in (run / "rollouts").iterdir():
        records = [json.loads(line) for line in file.read_text().splitlines()]
        write_lines(file, [{key: value for key, value in each.items() if key not in later} for each in records])
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    write_lines(
        run / "metrics.jsonl",
        [{k: v for k, v in each.items() if not k.startswith(("entropy/", "signal/"))} for each in rows],
    )
    shutil.rmtree(run / "study")
    for name in ("explanations.jsonl", "warnings.json", "inputs.json"):
        (run / name).unlink()
    page, lines = report(run)
    assert lines == []
    assert "Its rows lack entropies and signal accounting, as those of older versions do." in page.said("notes")
    assert "do not say how uncertain the policy was" in page.said("forks")
    assert "so it is" in page.said("samples")
    [attempts] = page.data["readers"]
    assert {tuple(each["values"]) for each in attempts} == {("logprob",)}


def test_a_run_without_rollouts_shows_its_curves(run: Path) -> None:
    shutil.rmtree(run / "rollouts")
    page, lines = report(run)
    assert lines == []
    assert "The folder rollouts/ has no rollouts" in page.said("notes")
    assert {"reward", "modes", "spent"} <= page.sections.keys()
    assert not {"samples", "tokens", "forks"} & page.sections.keys()


def test_an_evaluation_that_is_not_finished_says_so(tmp_path: Path) -> None:
    run = evaluation(tmp_path / "eval", "owner/tiny", {"1 =": [True], "2 =": [False]})
    (run / "eval.json").unlink()
    (run / "metrics.jsonl").unlink()
    page, _ = report(run)
    assert "The evaluation is not finished." in page.said("notes")


# ------------------------------------------------------------------------------------------------ what is spoilt

FILES = [
    "metrics.jsonl", "rollouts/step_000006.jsonl", "explanations.jsonl", "study/step_000006.jsonl", "warnings.json",
    "environment.json", "inputs.json", "config.yaml", "checkpoints/step_000006/tokenizer.json",
    "checkpoints/step_000006/config.json", "checkpoints/step_000006/model.safetensors",
]  # fmt: skip

SPOILT: dict[str, bytes | None] = {
    "junk": bytes(range(256)) * 40,
    "deep": b"[" * 100_000 + b"\n",
    "a list of other things": b'[1, null, {"a": 2}]\n',
    "a number of 5,000 digits": b'{"step": ' + b"9" * 5000 + b"}\n",
    "a folder": None,
}


@pytest.mark.parametrize("spoilt", SPOILT)
@pytest.mark.parametrize("name", FILES)
def test_a_spoilt_file_is_named_and_the_rest_is_shown(name: str, spoilt: str, run: Path) -> None:
    file, content = run / name, SPOILT[spoilt]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.unlink(missing_ok=True)
    if content is None:
        file.mkdir()
    else:
        file.write_bytes(content)
    if name == "config.yaml" and content is None:
        assert call("report", run).code == 2
        return
    page, lines = report(run)
    named = [line for line in lines if str(file) in line]
    if name.endswith("tokenizer.json") and content is None:
        assert "No tokenizer was found" in page.said("tokens")
    elif name.endswith("model.safetensors") and content is None:
        assert any("has no weights that can be read" in line for line in lines)
    else:
        assert named, lines
        assert all(line.removeprefix("note: ")[:100] in page.said("notes") for line in named)
        assert "damaged" in page.said("verdict")
    assert {"reward" if name != "metrics.jsonl" else "samples", "origin"} <= page.sections.keys()


@pytest.mark.parametrize("name", [name for name in FILES if "/" not in name and name != "config.yaml"])
@pytest.mark.parametrize("kind", ["loop", "dangling", "pipe"])
def test_what_is_no_file_is_named(name: str, kind: str, run: Path) -> None:
    (run / name).unlink()
    if kind == "pipe":
        os.mkfifo(run / name)
    else:
        (run / name).symlink_to(run / name if kind == "loop" else run / "nowhere")
    _, lines = report(run)
    assert any(str(run / name) in line for line in lines), lines


@pytest.mark.parametrize("kind", ["loop", "dangling", "pipe", "empty"])
def test_rollouts_of_a_step_that_cannot_be_read_are_named(kind: str, run: Path) -> None:
    file = run / "rollouts" / "step_000006.jsonl"
    file.unlink()
    if kind == "pipe":
        os.mkfifo(file)
    elif kind == "empty":
        file.touch()
    else:
        file.symlink_to(file if kind == "loop" else run / "nowhere")
    page, lines = report(run)
    assert any(str(file) in line for line in lines), lines
    assert "Of 3 steps whose rollouts were saved, 2 were read" in page.said("samples")


def test_pipes_in_the_place_of_a_checkpoints_files_are_not_waited_for(run: Path) -> None:
    folder = run / "checkpoints" / "step_000006"
    folder.mkdir(parents=True)
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        os.mkfifo(folder / name)
    _, lines = report(run)
    assert any("config.json" in line for line in lines)


BAD_ROWS = {
    "step is no count": '{"step": -1}',
    "step is missing or of another kind": '{"step": true}',
    "'reward/mean' is no number": '{"step": 7, "reward/mean": "x"}',
    "not JSON": '{"step": 7,',
    "not a JSON object": "[]",
}


@pytest.mark.parametrize("reason", BAD_ROWS)
def test_a_damaged_row_is_named_by_its_line_and_left_out(reason: str, run: Path) -> None:
    with (run / "metrics.jsonl").open("a") as file:
        file.write(BAD_ROWS[reason] + "\n" + json.dumps(row(7, 0.9)) + "\n")
    page, lines = report(run)
    told = f"{run / 'metrics.jsonl'}: 1 of 8 lines are damaged and left out: line 7 ({reason})"
    assert lines == [f"note: {told}"]
    assert told in page.said("notes")
    assert "for 7 steps" in page.said("verdict")


def test_numbers_that_are_none_are_left_out(run: Path) -> None:
    with (run / "metrics.jsonl").open("a") as file:
        for number, value in enumerate(("NaN", "Infinity", "-Infinity", "1e400", "-1e300", "null"), start=7):
            file.write(json.dumps(row(number, 0.9)).replace('"reward/mean": 0.9', f'"reward/mean": {value}') + "\n")
    page, lines = report(run)
    assert lines == []
    rewards = next(spec for spec in page.data["charts"] if "reward" in json.dumps(spec))
    text = json.dumps(rewards)
    assert "Infinity" not in text
    assert "e+300" not in text
    assert "from 0.125 to 0.75 over 6 steps" in page.said("reward")


BAD_ROLLOUTS = {
    "question is missing or of another kind": {"question": 7},
    "index is missing or of another kind": {"index": True},
    "correct is missing or of another kind": {"correct": 1},
    "reward is no number": {"reward": float("nan")},
    "advantage is no number": {"advantage": float("inf")},
    "token_ids are no tokens": {"token_ids": [-1, 2, 3]},
    "logprobs are no numbers, one a token": {"logprobs": [0.0]},
    "entropies are no numbers, one a token": {"entropies": ["x", 0, 0]},
    "trained does not say of each token": {"trained": [True]},
    "rewards are no numbers": {"rewards": {"exact": None}},
    "reasons are no words": {"reasons": {"exact": 3}},
}


@pytest.mark.parametrize("reason", BAD_ROLLOUTS)
def test_a_damaged_rollout_is_named_and_the_others_are_shown(reason: str, run: Path) -> None:
    file = run / "rollouts" / "step_000006.jsonl"
    with file.open("a") as end:
        end.write(json.dumps({**rollout(5, completion="spoilt words"), **BAD_ROLLOUTS[reason]}) + "\n")
    page, lines = report(run)
    assert lines == [f"note: {file}: 1 of 9 lines are damaged and left out: line 9 ({reason})"]
    assert "spoilt words" not in page.said("samples")
    assert "so it is" in page.said("samples")


def test_a_study_is_matched_by_line_though_lines_before_it_are_damaged(run: Path) -> None:
    file = run / "rollouts" / "step_000006.jsonl"
    lines = file.read_text().splitlines()
    file.write_text("\n".join(["{", *lines[1:]]) + "\n")
    page, _ = report(run)
    [attempts] = page.data["readers"]
    assert [(each["step"], each["line"]) for each in attempts if each["study"]] == [(6, 5)]


def test_a_megabyte_on_one_line_is_cut(run: Path) -> None:
    file = run / "rollouts" / "step_000006.jsonl"
    made = [rollout(0, right, completion="x" * 1_000_000, question="q" * 1_000_000) for right in (True, False)]
    write_lines(file, made)
    note = {"step": 5, "sentence": "y" * 1_000_000}
    write_lines(run / "explanations.jsonl", [note])
    page, _ = report(run)
    assert (run / "report.html").stat().st_size < 5_000_000
    assert "(1,000,000 characters)" in page.said("samples")
    assert "cut: these are the first 20,000" in page.said("notes")


@pytest.mark.parametrize(
    "name", ["rollouts/step_999999999999.jsonl", "rollouts/step_" + "9" * 100 + ".jsonl", "rollouts/step_-00001.jsonl"]
)
def test_steps_of_any_size_in_the_names_of_files(name: str, run: Path) -> None:
    write_lines(run / name, [rollout(0, right) for right in (True, False)])
    page, _ = report(run)
    assert ("step 999999999999" in page.said("samples")) == (name == "rollouts/step_999999999999.jsonl")


def test_folders_that_are_files(run: Path) -> None:
    for name in ("rollouts", "study", "checkpoints"):
        shutil.rmtree(run / name, ignore_errors=True)
        (run / name).write_text("x")
    page, _ = report(run)
    assert "has no rollouts" in page.said("notes")


@pytest.mark.parametrize(
    "text",
    ["task: 7\nmodel: [1]\ntrain: x\nalgo: 3\neval: 1\n", "train: {max_steps: true}\nmodel: 7\ntask: {name: [1]}\n",
     'model: "a\\0b"\ntrain: {max_steps: 5}\n', f"model: {'x' * 5000}\ntask: {{name: a}}\nalgo: {{}}\n"],
)  # fmt: skip
def test_a_configuration_of_other_kinds_of_values_is_shown_as_it_stands(text: str, run: Path) -> None:
    (run / "config.yaml").write_text(text)
    page, _ = report(run)
    assert text.strip()[:1000] in page.said("origin")


def test_what_is_damaged_of_the_runs_before_and_beside_is_said_too(run: Path) -> None:
    """Their numbers stand in the report, so what they lack does."""
    rows = (run / "metrics.jsonl").read_text()
    first = run.parent / "pretrain"
    first.mkdir()
    (first / "config.yaml").write_text("model: {layers: 1}\ndata: {}\ntrain: {max_steps: 6}\n")
    (first / "metrics.jsonl").write_text(rows + "{\n")
    (run / "config.yaml").write_text((run / "config.yaml").read_text().replace("owner/tiny", str(first)))
    after = evaluation(run.parent / "after", str(run), {"1 =": [True], "2 =": [False]})
    (after / "rollouts" / "step_000000.jsonl").write_text("{\n")
    page, lines = report(run)
    assert {line.split(": ")[1] for line in lines} == {
        str(first / "metrics.jsonl"),
        str(after / "rollouts" / "step_000000.jsonl"),
    }
    assert str(first / "metrics.jsonl") in page.said("notes")


def test_a_circle_of_models_ends(run: Path) -> None:
    (run / "config.yaml").write_text((run / "config.yaml").read_text().replace("owner/tiny", str(run)))
    page, _ = report(run)
    assert "spent" in page.sections


def test_nothing_is_read_that_is_no_run(tmp_path: Path, refused: Callable[..., str]) -> None:
    (tmp_path / "metrics.jsonl").write_text(json.dumps(row(1, 0.5)))
    assert "is not a run directory: it has no config.yaml" in refused("report", tmp_path)
    assert CONFIG["task"]["name"] == "modsum"
