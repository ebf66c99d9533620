"""``rlvr report`` as its users meet it: one file that says what was trained, where it stands, and what is refused."""

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import World, call, loaded
from read_pages import Page, read_page
from run_folders import rl_run

MOST_BYTES = 5_000_000
SECTIONS = {
    "pretrain": ["verdict", "loss", "reward", "modes", "spent", "time", "origin"],
    "sft": ["verdict", "loss", "reward", "modes", "spent", "time", "origin"],
    "rl": ["verdict", "notes", "reward", "modes", "growth", "evaluations", "before-and-after", "length", "entropy",
           "signal", "optimisation", "tokens", "samples", "forks", "spent", "time", "origin"],
    "eval": ["verdict", "evaluation", "entropy", "tokens", "samples", "spent", "origin"],
}  # fmt: skip


def files(folder: Path) -> dict[Path, str]:
    """Every file below a folder with what is in it."""
    return {file: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(folder.rglob("*")) if file.is_file()}


@pytest.fixture(scope="module")
def pages(world: World, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Page]:
    """The report of one run of each stage; making it changes nothing."""
    folder, before = tmp_path_factory.mktemp("pages"), files(world.folder)
    found = {}
    for stage, run in world.runs.items():
        answer = call("report", run, "--out", folder / f"{stage}.html")
        assert (answer.code, answer.out) == (0, f"{folder / f'{stage}.html'}\n")
        found[stage] = read_page(folder / f"{stage}.html")
        assert (folder / f"{stage}.html").stat().st_size < MOST_BYTES
    assert files(world.folder) == before
    return found


@pytest.mark.parametrize("stage", SECTIONS)
def test_a_run_of_each_stage_has_its_sections_in_order(pages: dict[str, Page], stage: str) -> None:
    found = [name for name in pages[stage].sections if name in SECTIONS[stage]]
    assert found == [name for name in SECTIONS[stage] if name != "notes" or "notes" in pages[stage].sections]
    assert "Traceback" not in pages[stage].said()


def test_the_verdict_says_what_was_trained_what_changed_and_what_went_wrong(pages: dict[str, Page]) -> None:
    said = {stage: pages[stage].said("verdict") for stage in pages}
    assert "A llama of " in said["pretrain"]
    assert "was trained by pretraining from scratch on modsum for 6 steps" in said["pretrain"]
    assert "was trained by imitation (SFT) on modsum for 6 steps" in said["sft"]
    assert "was trained by reinforcement learning (" in said["rl"]
    assert "192 rollouts" in said["rl"]  # 6 steps of 8 problems of 4
    for stage in ("pretrain", "sft", "rl"):
        assert "From the first evaluation (step 3) to the last (step 6), accuracy on modsum" in said[stage]
    assert "was evaluated on 16 problems of modsum, 4 sampled answers and a greedy one each" in said["eval"]
    assert "of the sampled answers are right" in said["eval"]
    assert all("What went wrong:" in text or "Nothing was flagged" in text for text in said.values())


def test_a_report_says_how_to_make_the_run_again(world: World, pages: dict[str, Page]) -> None:
    for stage, run in world.runs.items():
        said = pages[stage].said("origin")
        assert (run / "config.yaml").read_text().strip() in said
        assert f"rlvr {stage} config.yaml --run runs/again" in said
        assert "versions: torch" in said
        assert "Command that began it" in said


def test_the_chain_of_runs_behind_a_model_is_accounted_for(pages: dict[str, Page]) -> None:
    assert "of the " in pages["rl"].said("spent")
    for name in ("pretrain", "sft", "rl"):
        assert f"{name}: " in pages["rl"].said("spent")
    assert "was made by no run that is found here" not in pages["rl"].said("spent")


def test_the_tokens_of_rollouts_are_spelt_by_the_runs_tokenizer(pages: dict[str, Page]) -> None:
    [attempts] = pages["rl"].data["readers"]
    assert attempts
    assert all("‹" not in "".join(each["pieces"]) for each in attempts)
    assert "rlvr study" in pages["rl"].said("tokens")  # none was studied


def test_a_report_needs_no_network_and_nothing_else(pages: dict[str, Page]) -> None:
    for page in pages.values():
        addresses = [
            value for _, given in page.elements for name, value in given.items() if name in ("src", "href", "action")
        ]
        assert all(value and value.startswith("#") for value in addresses)
        assert [tag for tag, _ in page.elements if tag in ("link", "iframe", "object", "img")] == []


def test_the_report_stands_in_the_run_and_nothing_else_changes(world: World, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(world.runs["sft"], run)
    before = files(run)
    first = call("report", run)
    assert (first.code, first.out) == (0, f"{run / 'report.html'}\n")
    assert {file: digest for file, digest in files(run).items() if file.name != "report.html"} == before
    assert (
        call("report", run, run / ".." / run.name).code == 0
    )  # the same run twice is one run, and the file is replaced
    assert "verdict" in read_page(run / "report.html").sections
    assert call("check", run / "config.yaml").code == 0


def test_several_runs_are_compared_in_a_file_that_is_named(
    world: World, tmp_path: Path, refused: Callable[..., str]
) -> None:
    runs = [world.runs["sft"], world.runs["rl"]]
    assert "--out: is needed for the report of several runs" in refused("report", *runs)
    assert call("report", *runs, "--out", tmp_path / "both.html").code == 0
    page = read_page(tmp_path / "both.html")
    assert list(page.sections) == ["runs", "arms-sft", "arms-rl"]
    assert not (runs[0] / "report.html").exists()


def test_what_is_damaged_of_several_runs_is_said_too(tmp_path: Path) -> None:
    runs = [rl_run(tmp_path / name) for name in "ab"]
    with (runs[1] / "metrics.jsonl").open("a") as file:
        file.write("{\n")
    answer = call("report", *runs, "--out", tmp_path / "both.html")
    told = f"{runs[1] / 'metrics.jsonl'}: 1 of 7 lines are damaged and left out: line 7 (not JSON)"
    assert answer.err == f"note: {told}\n"
    assert told in read_page(tmp_path / "both.html").said("notes")


def test_figures_are_written_beside(tmp_path: Path) -> None:
    run = rl_run(tmp_path / "rl")
    answer = call("report", run, "--figures", tmp_path / "figures")
    assert answer.code == 0
    names = {file.name for file in (tmp_path / "figures").iterdir()}
    assert {f"reward.{kind}" for kind in ("svg", "png", "csv")} <= names
    assert f"{len(names)} files of figures in {tmp_path / 'figures'}" in answer.err


@pytest.mark.parametrize("place", ["no/report.html", "file/report.html", "folder", "link.html", "pipe", "x" * 300])
def test_a_place_that_is_none_is_refused_and_left_as_it_is(
    place: str, tmp_path: Path, refused: Callable[..., str]
) -> None:
    run = rl_run(tmp_path / "rl")
    (tmp_path / "file").write_text("kept")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link.html").symlink_to(tmp_path / "file")
    os.mkfifo(tmp_path / "pipe")
    line = refused("report", run, "--out", tmp_path / place)
    assert "name a file" in line
    assert (tmp_path / "file").read_text() == "kept"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder", "link.html", "pipe", "rl"]


def test_a_link_in_the_place_of_the_report_is_not_followed(tmp_path: Path, refused: Callable[..., str]) -> None:
    run = rl_run(tmp_path / "rl")
    (run / "report.html").symlink_to(tmp_path / "elsewhere")
    assert "is a link" in refused("report", run)
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("name", ["missing", "folder", "file", "loop", "y" * 300])
def test_what_is_no_run_is_one_line(name: str, tmp_path: Path, refused: Callable[..., str]) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert "is not a run directory" in refused("report", tmp_path / name)
    assert "is not a run directory" in refused(
        "report", rl_run(tmp_path / "rl"), tmp_path / name, "--out", tmp_path / "o"
    )


def test_a_report_imports_no_torch(world: World, tmp_path: Path) -> None:
    found = loaded("report", world.runs["rl"], "--out", tmp_path / "report.html")
    assert {"torch", "transformers"}.isdisjoint(found)
