"""A checkpoint that is not, byte for byte, what was saved is never read: the one before is, and it leads to the same bits."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import World, call, final_weights, read_metrics, write_config

from rlvr.runtime.manifest import damage
from rlvr.runtime.saved import step_folders

NEWEST, BEFORE = "step_000006", "step_000004"


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 4
    file.write_bytes(content)


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "cut": (cut, "is 1 byte short"),
    "flipped": (flip, "has other contents than were saved"),
    "missing": (Path.unlink, "is missing"),
}


@pytest.fixture
def copied(world: World, tmp_path: Path) -> Callable[[str], Path]:
    """A copy of a finished run, to be damaged: checkpoints of steps 2, 4 and 6."""

    def copy(stage: str) -> Path:
        shutil.rmtree(tmp_path / "run", ignore_errors=True)
        return Path(shutil.copytree(world.runs[stage], tmp_path / "run"))

    return copy


def newest_of(run: Path) -> Path:
    return run / "checkpoints" / NEWEST


def everything(run: Path) -> dict[str, bytes]:
    """Every file of a run but its lock, by name."""
    files = [file for file in run.rglob("*") if file.is_file() and file.name != ".lock"]
    return {str(file.relative_to(run)): file.read_bytes() for file in files}


def assert_same_run(run: Path, whole: Path) -> None:
    """A run ended as one that nothing happened to."""
    assert final_weights(run) == final_weights(whole)
    assert read_metrics(run) == read_metrics(whole)
    for file in (whole / "rollouts").iterdir():
        assert (run / "rollouts" / file.name).read_bytes() == file.read_bytes()
    assert (run / "checkpoints" / "latest").read_text() == f"{NEWEST}\n"
    for name in ("step_000002", BEFORE, NEWEST):
        assert damage(run / "checkpoints" / name) is None
    assert not list(run.rglob(".tmp-*"))


def resume(world: World, stage: str, run: Path) -> list[str]:
    """Go on with a run that can; the warnings it gave."""
    answer = call(stage, world.configs[stage], "--run", run)
    assert answer.code == 0, answer.err
    return [line for line in answer.err.splitlines() if line.startswith("warning: step_")]


# ------------------------------------------------------------------------------------- the newest of several


@pytest.mark.parametrize(
    ("stage", "kind"),
    [
        pytest.param("rl", "cut", marks=pytest.mark.check("R6")),
        pytest.param("rl", "flipped", marks=pytest.mark.check("R7")),
        pytest.param("rl", "missing", marks=pytest.mark.check("R8")),
        pytest.param("pretrain", "flipped", marks=pytest.mark.check("R7")),
        pytest.param("sft", "missing", marks=pytest.mark.check("R8")),
    ],
)
def test_any_damaged_file_of_the_newest_is_named_and_the_one_before_leads_to_the_same_bits(
    world: World, copied: Callable[[str], Path], stage: str, kind: str, record_property: Callable[[str, object], None]
) -> None:
    names = sorted(file.name for file in newest_of(world.runs[stage]).iterdir())
    assert {"model.safetensors", "optimizer.safetensors", "state.json", "tokenizer.json", "manifest.json"} <= set(names)
    for name in names:
        run = copied(stage)
        do, reason = DAMAGES[kind]
        do(newest_of(run) / name)
        if name == "manifest.json" and kind != "missing":
            reason = "is damaged"
        expected = f"warning: {NEWEST}: {name} {reason}; going on from {BEFORE}"
        assert resume(world, stage, run) == [expected]
        assert_same_run(run, world.runs[stage])
        assert resume(world, stage, run) == []
    record_property("figure", f"{stage}: {len(names)} files in turn, 0 differences")


@pytest.mark.check("R8")
@pytest.mark.parametrize("name", ["manifest.json", "state.json"])
def test_a_pipe_in_a_files_place_is_not_waited_for(world: World, copied: Callable[[str], Path], name: str) -> None:
    run = copied("sft")
    (run / "checkpoints" / NEWEST / name).unlink()
    os.mkfifo(run / "checkpoints" / NEWEST / name)
    answer = call("sft", world.configs["sft"], "--run", run)
    assert answer.code == 0, answer.err
    assert f"warning: {NEWEST}: {name} is " in answer.err
    assert final_weights(run) == final_weights(world.runs["sft"])


@pytest.mark.check("R7")
def test_every_byte_of_the_manifest_counts(world: World, copied: Callable[[str], Path]) -> None:
    folder = newest_of(copied("pretrain"))
    content = (folder / "manifest.json").read_bytes()
    for position in range(len(content)):
        flipped = bytearray(content)
        flipped[position] ^= 1 << position % 8
        (folder / "manifest.json").write_bytes(flipped)
        assert damage(folder) is not None, position
    (folder / "manifest.json").write_bytes(content)
    assert damage(folder) is None


@pytest.mark.check("R6")
def test_several_damaged_ones_are_all_stepped_over_and_count_for_nothing(
    world: World, copied: Callable[[str], Path]
) -> None:
    run = copied("sft")
    cut(newest_of(run) / "state.json")
    (run / "checkpoints" / BEFORE / "model.safetensors").write_bytes(b"")
    size = newest_of(world.runs["sft"]).parent.joinpath(BEFORE, "model.safetensors").stat().st_size
    assert resume(world, "sft", run) == [
        f"warning: {NEWEST}: state.json is 1 byte short; going on from step_000002",
        f"warning: {BEFORE}: model.safetensors is {size:,} bytes short; going on from step_000002",
    ]
    assert_same_run(run, world.runs["sft"])


@pytest.mark.check("R8")
def test_a_damaged_one_is_not_counted_among_those_that_are_kept(world: World, tmp_path: Path) -> None:
    arguments = ("pretrain", world.configs["pretrain"], "--run", tmp_path)
    settings = ("--set", "train.save_every=1", "--set", "train.keep_checkpoints=2")
    stop = ("--set", "train.max_steps=4")
    assert call(*arguments, *settings, *stop).code == 0
    cut(tmp_path / "checkpoints" / "step_000004" / "model.safetensors")
    (tmp_path / "checkpoints" / "step_000004").rename(tmp_path / "checkpoints" / "step_000009")
    assert call(*arguments, *settings, *stop).code == 0
    names = [folder.name for folder in step_folders(tmp_path / "checkpoints")]
    assert names == ["step_000003", "step_000004", "step_000009"]
    assert (tmp_path / "checkpoints" / "latest").read_text() == "step_000004\n"


@pytest.mark.check("R8")
def test_what_is_no_checkpoint_is_ignored_and_only_our_leftovers_are_removed(
    world: World, copied: Callable[[str], Path]
) -> None:
    run = copied("rl")
    folder = run / "checkpoints"
    (folder / "step_abc").mkdir()
    (folder / "step_999999").mkdir()
    (folder / "step_888888").write_text("a file")
    (folder / "notes.txt").write_text("mine")
    for place in (folder, run / "rollouts", run):
        (place / ".tmp-xyz").write_text("half")
    shutil.copytree(newest_of(run), folder / ".tmp-step_000008-0011")
    shutil.rmtree(newest_of(run))
    newest_of(run).mkdir()
    (folder / "latest").unlink()
    assert resume(world, "rl", run) == [
        f"warning: step_999999: manifest.json is missing; going on from {BEFORE}",
        f"warning: {NEWEST}: manifest.json is missing; going on from {BEFORE}",
    ]
    assert_same_run(run, world.runs["rl"])
    ours = {"step_000002", BEFORE, NEWEST, "latest"}
    moved = {f"{NEWEST}.old1"}  # it was empty: nothing said that it was ours
    assert {path.name for path in folder.iterdir()} == ours | moved | {
        "step_abc", "step_999999", "step_888888", "notes.txt",
    }  # fmt: skip
    assert "is finished" in call("rl", world.configs["rl"], "--run", run).err


@pytest.mark.check("R3", "R8")
@pytest.mark.parametrize("latest", ["step_000004\n", "step_000007\n", "", None])
def test_latest_names_the_newest_whole_one_of_a_finished_run_whatever_a_crash_left(
    world: World, copied: Callable[[str], Path], latest: str | None
) -> None:
    run = copied("sft")
    file = run / "checkpoints" / "latest"
    file.unlink() if latest is None else file.write_text(latest)
    assert "is finished" in call("sft", world.configs["sft"], "--run", run).err
    assert file.read_text() == f"{NEWEST}\n"


# ------------------------------------------------------------------------------------------------ all of them


@pytest.mark.check("R9")
@pytest.mark.parametrize("stage", ["pretrain", "rl"])
def test_if_all_are_damaged_one_line_says_so_and_nothing_is_overwritten(
    world: World, copied: Callable[[str], Path], refused: Callable[..., str], stage: str
) -> None:
    run = copied(stage)
    for folder in step_folders(run / "checkpoints"):
        flip(folder / "optimizer.safetensors")
    before = everything(run)
    line = refused(stage, world.configs[stage], "--run", run)
    assert "every checkpoint is damaged" in line
    for name in (NEWEST, BEFORE, "step_000002"):
        assert f"{name}: optimizer.safetensors has other contents than were saved" in line
    assert "--fresh" in line
    assert everything(run) == before
    assert call(stage, world.configs[stage], "--run", run, "--fresh").code == 0
    assert_same_run(run, world.runs[stage])
    assert everything(run.with_name("run.old1")) == before


# ------------------------------------------------------------------------- where other stages read checkpoints


@pytest.fixture
def damaged_sft(world: World) -> Iterator[None]:
    """The newest checkpoint of the run that rl starts from and teachers come from is damaged, and whole again afterwards."""
    file = newest_of(world.runs["sft"]) / "model.safetensors"
    content = file.read_bytes()
    flip(file)
    yield
    file.write_bytes(content)


@pytest.mark.check("R6", "R7")
@pytest.mark.usefixtures("damaged_sft")
def test_a_stage_that_starts_from_a_run_takes_its_newest_whole_checkpoint_and_says_so(
    world: World, tmp_path: Path, refused: Callable[..., str]
) -> None:
    short = ("--set", "train.max_steps=1", "--set", "eval=null")
    answer = call("rl", world.configs["rl"], "--run", tmp_path / "by_run", *short)
    assert answer.code == 0, answer.err
    said = f"warning: model {world.runs['sft']}: {NEWEST}: model.safetensors has other contents than were saved; {BEFORE} is taken"
    assert said in answer.err
    older = world.runs["sft"] / "checkpoints" / BEFORE
    assert call("rl", world.configs["rl"], "--run", tmp_path / "by_name", *short, "--set", f"model={older}").code == 0
    for run in ("by_run", "by_name"):
        files = json.loads((tmp_path / run / "inputs.json").read_text())
        assert list(files) == [str(older / "model.safetensors")]
    assert read_metrics(tmp_path / "by_run") == read_metrics(tmp_path / "by_name")
    for stage in ("eval", "rl"):
        named = ("--set", f"model={newest_of(world.runs['sft'])}")
        line = refused(stage, world.configs[stage], "--run", tmp_path / "no", *named)
        assert "is a damaged checkpoint: model.safetensors has other contents" in line
    assert said in call("check", world.configs["rl"]).err


@pytest.mark.check("R7")
@pytest.mark.usefixtures("damaged_sft")
def test_a_damaged_teacher_is_never_asked(world: World, tmp_path: Path, refused: Callable[..., str]) -> None:
    tree = {
        "model": str(world.runs["rl"]), "task": {"name": "modsum", "modulus": 2, "length": 8},
        "train": {"max_steps": 1, "learning_rate": 1e-3}, "rollout": {"max_new_tokens": 14, "group_size": 4, "problems_per_step": 4},
        "algo": {"preset": "opd", "teacher": str(newest_of(world.runs["sft"]))},
    }  # fmt: skip
    config = write_config(tmp_path / "opd.yaml", tree)
    assert "is a damaged checkpoint" in refused("rl", config, "--run", tmp_path / "run")
    answer = call("rl", config, "--run", tmp_path / "run", "--set", f"algo.teacher={world.runs['sft']}")
    assert answer.code == 0, answer.err
    assert f"{NEWEST}: model.safetensors has other contents than were saved; {BEFORE} is taken instead" in answer.err


@pytest.mark.check("R19")
def test_a_run_does_not_go_on_from_another_checkpoint_of_its_model(
    world: World, copied: Callable[[str], Path], refused: Callable[..., str]
) -> None:
    run = copied("rl")
    file = newest_of(world.runs["sft"]) / "model.safetensors"
    content = file.read_bytes()
    flip(file)
    try:
        assert "was made from other contents of" in refused("rl", world.configs["rl"], "--run", run)
    finally:
        file.write_bytes(content)
