"""``rlvr claims``: what it makes, judges, keeps and refuses. The smallest trainings that there are: what they find is not the point."""

import errno
import json
import math
import signal
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from conftest import Answer, call, loaded, start

from rlvr.claims import CLAIMS, jobs
from rlvr.claims import worker as worker_process
from rlvr.claims.claim import Claim, Criterion
from rlvr.claims.jobs import CONFIGS, Job, everything, in_order, jobs_of
from rlvr.claims.results import SHIPPED, judged, read, verdict_of
from rlvr.claims.running import Worker
from rlvr.config_file import load
from rlvr.report.runs import Run
from rlvr.runtime.files import Writing

TINY = (
    *("base.train.max_steps=2", "base.train.warmup_steps=0", "base.model.width=8", "base.model.heads=2"),
    *("sft.train.max_steps=1", "rl.train.max_steps=2", "rl.rollout.problems_per_step=4", "eval.eval.problems=8"),
)
SETTINGS = [part for setting in TINY for part in ("--set", setting)]


def run(folder: Path, *more: str) -> Answer:
    return call("claims", "run", "emergence", "--quick", "--out", folder, *SETTINGS, *more)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the result of one claim."""
    made = tmp_path_factory.mktemp("claims") / "here"
    answer = run(made)
    assert answer.code == 0, answer.err
    assert answer.out.strip() == str(made / "report.html")
    assert "emergence: FAIL" in answer.err  # nothing emerges in two steps
    return made


def test_a_result_says_what_was_measured_and_from_what(folder: Path) -> None:
    found = json.loads((folder / "emergence.quick.changed.json").read_text())
    assert found["verdict"] == "FAIL"
    assert found["changes"] == list(TINY)
    rows = {(row["arm"], row["quantity"]): row for row in found["rows"]}
    after = rows["after RL", "greedy accuracy"]
    evaluation = json.loads((Path(found["runs"][0]["after RL"]) / "eval.json").read_text())
    assert after["values"] == [evaluation["eval/modsum/greedy_accuracy"]]
    assert after["predicted"] == "1; at least 0.98"
    assert after["holds"] is False


def test_the_page_has_the_claim_its_table_and_its_charts(folder: Path) -> None:
    page = (folder / "report.html").read_text()
    for text in (
        "Emergence: FAIL (quick, changed)",
        "emergence-takeover",
        "chance, 0.5; at most 0.55",
        "--set base.train.max_steps=2",
        "shipped (3 seeds)",
    ):
        assert text in page, text


def test_what_is_finished_is_not_made_again(folder: Path) -> None:
    weights = sorted((folder / "made").glob("*/checkpoints/*/model.safetensors"))
    before = [(file, file.stat().st_mtime_ns) for file in weights]
    old = json.loads((folder / "emergence.quick.changed.json").read_text())
    assert run(folder).code == 0
    assert before == [(file, file.stat().st_mtime_ns) for file in weights]
    new = json.loads((folder / "emergence.quick.changed.json").read_text())
    assert new["rows"] == old["rows"]
    assert new["made_from"] == old["made_from"]
    assert (old["earlier"], new["earlier"]) == (0, 10)


def test_another_dial_makes_only_what_follows_from_it(folder: Path) -> None:
    before = set((folder / "made").glob("emergence-*[0-9a-f]"))
    assert run(folder, "--set", "rl.train.learning_rate=1e-3").code == 0
    stages = sorted(path.name.split("-")[1] for path in set((folder / "made").glob("emergence-*[0-9a-f]")) - before)
    assert stages == ["eval", "eval", "rl", "rl"]


def test_a_changed_program_makes_runs_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths, keys = [], []
    for name, deciding, reading in (("a", "1", "1"), ("b", "1", "2"), ("c", "2", "1")):
        package = tmp_path / name
        (package / "report").mkdir(parents=True)
        (package / "train.py").write_text(deciding)
        (package / "report" / "page.py").write_text(reading)
        monkeypatch.setattr(jobs, "PACKAGE", package)
        job = jobs_of(next(claim for claim in CLAIMS if claim.id == "emergence").arms(True), 0, tmp_path, {})[
            "after RL"
        ]
        paths.append(job.path)
        keys.append(job.key)
    assert paths[0] == paths[1] != paths[2]
    assert len(set(keys)) == 1


@pytest.mark.parametrize(("setting", "same"), [("device=auto", True), ("device=cpu", False)])
def test_what_is_as_by_default_is_no_part_of_a_key(setting: str, same: bool, tmp_path: Path) -> None:
    arms = CLAIMS[0].arms(True)
    stem = Path(arms[-1].config).stem
    plain, spelled = (jobs_of(arms, 0, tmp_path, changes)[arms[-1].name] for changes in ({}, {stem: [setting]}))
    assert (plain.key == spelled.key) is same


def test_every_run_is_an_ordinary_run_directory(folder: Path) -> None:
    found = json.loads((folder / "emergence.quick.changed.json").read_text())
    answer = call("rl", Path(found["runs"][0]["RL"]) / "config.yaml", "--run", found["runs"][0]["RL"])
    assert answer.code == 0
    assert "is finished" in answer.err


def test_a_signal_saves_and_the_same_command_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / "claims"
    settings = [*SETTINGS, "--set", "base.train.max_steps=100000", "--set", "base.train.save_every=1000000"]
    process = start("claims", "run", "emergence", "--quick", "--jobs", 1, "--out", folder, *settings)
    base = wait_for_rows(folder)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "run the same command again to go on" in said
    latest = (base / "checkpoints" / "latest").read_text().strip()
    assert int(latest.removeprefix("step_")) > 0
    assert not (folder / "emergence.quick.changed.json").exists()


def wait_for_rows(folder: Path) -> Path:
    """The run that is being made, once it has done a step."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        for file in folder.glob("made/*/metrics.jsonl"):
            if file.stat().st_size:
                return file.parent
        time.sleep(0.1)
    raise AssertionError("no step was done")


# ------------------------------------------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["emergense"], "ID: unknown claim; got 'emergense'; allowed: hallucination, layers"),
        (["emergence", "--set", "rl2.train.max_steps=1"], "--set rl2: is no file of these claims"),
        (["emergence", "--set", "train.max_steps"], "--set train: is no file of these claims"),
        (["emergence", "--set", "rl"], "--set: must look like FILE.section.key=VALUE"),
        (["emergence", "--set", "rl.train.max_stepz=1"], "rl.yaml: --set train.max_stepz: unknown key"),
        (["emergence", "--seeds", "0"], "Input should be greater than or equal to 1"),
    ],
)
def test_a_mistake_is_one_line(arguments: list[str], said: str, tmp_path: Path) -> None:
    answer = call("claims", "run", *arguments, "--out", tmp_path / "claims")
    assert answer.code == 2
    assert said in answer.err.replace("\n", " ")
    assert not (tmp_path / "claims").exists()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    answer = call("claims", "run", "emergence", "--out", tmp_path / "file")
    assert answer.code == 2
    assert f"{tmp_path}/file/made: cannot be made: Not a directory; choose another with --out" in answer.err


def test_a_process_that_dies_is_our_fault_and_says_where_to_look(tmp_path: Path) -> None:
    worker = Worker()
    worker.begin(Job(file=tmp_path, settings=(), path=tmp_path / "run", key="k", start=None, before=0))
    worker.process.kill()
    worker.process.wait()
    (tmp_path / "run.log").write_text("Traceback\nMemoryError: cannot allocate memory\n")
    with pytest.raises(RuntimeError, match=r"cannot allocate memory.*run\.log"):
        worker.ended()
    worker.end()


def test_a_full_disk_says_nothing_about_a_claim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        with Writing(tmp_path / "metrics.jsonl"):
            raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(worker_process, "launch", full)
    monkeypatch.setattr(worker_process, "checked", lambda _: [])
    job = {"file": str(CONFIGS / "emergence" / "base.yaml"), "settings": [], "run": str(tmp_path)}
    assert list(worker_process.made(job)) == ["unwritten"]


def test_a_damaged_result_is_named(tmp_path: Path) -> None:
    (tmp_path / "emergence.json").write_text('{"claim": "emergence"}')
    answer = call("claims", "list", "--out", tmp_path)
    assert answer.code == 2
    assert "emergence.json: is no result of a claim" in answer.err


# ----------------------------------------------------------------------------------------------------- list


def test_list_says_what_there_is_and_what_was_found(folder: Path, tmp_path: Path) -> None:
    listed = json.loads(call("claims", "list", "--json", "--out", folder).out)
    assert [claim["id"] for claim in listed] == [claim.id for claim in CLAIMS]
    (tmp_path / "emergence.quick.json").write_text((folder / "emergence.quick.changed.json").read_text())
    mine = next(
        claim
        for claim in json.loads(call("claims", "list", "--json", "--out", tmp_path).out)
        if claim["id"] == "emergence"
    )
    assert mine["last"] | {"date": ""} == {"verdict": "FAIL", "quick": True, "seeds": 1, "date": "", "here": True}
    assert "PASS (shipped," in " ".join(call("claims", "list", "--out", tmp_path / "none").out.split())


def test_list_loads_no_torch() -> None:
    assert {"torch", "transformers"}.isdisjoint(loaded("claims", "list"))


# ------------------------------------------------------------------------------------------------- verdicts


def row(values: Sequence[float | None], low: float | None, high: float | None) -> tuple[bool | None, int]:
    given = iter(values)
    criterion = Criterion(arm="a", quantity="q", measure=lambda _: next(given), at_least=low, at_most=high)
    no_runs: dict[str, Run] = {}
    found = judged([criterion], [no_runs] * len(values))[0]
    return found.holds, found.seeds


def test_a_criterion_holds_if_the_mean_over_all_seeds_lies_within_its_bounds() -> None:
    assert row([0.9, 1.0, 0.8], 0.9, None) == (True, 2)
    assert row([0.9, 0.8, 0.8], 0.9, None) == (False, 1)
    assert row([0.1, 0.3], 0.0, 0.2) == (True, 1)
    assert row([0.3, 0.3], None, 0.2) == (False, 0)
    assert row([0.9, None], 0.5, None) == (False, 1)  # a seed that never got there
    assert row([0.9, math.nan], 0.5, None) == (False, 1)
    assert row([0.9], None, None) == (None, 0)  # told, not judged


def test_a_claim_passes_if_every_judged_criterion_holds() -> None:
    def criterion(value: float, low: float | None) -> Criterion:
        return Criterion(arm="a", quantity="q", measure=lambda _: value, at_least=low)

    no_runs: dict[str, Run] = {}
    assert verdict_of(judged([criterion(1.0, 0.5), criterion(0.0, None)], [no_runs])) == "PASS"
    assert verdict_of(judged([criterion(1.0, 0.5), criterion(0.0, 0.5)], [no_runs])) == "FAIL"


# --------------------------------------------------------------------------------------------- every claim


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_the_arms_of_a_claim_are_files_that_load(claim: Claim, tmp_path: Path) -> None:
    for quick in (False, True):
        arms = everything(claim.arms(quick))
        names = [arm.name for arm in arms]
        assert len(set(names)) == len(names)
        jobs = jobs_of(arms, 0, tmp_path, {})
        assert len(in_order(jobs.values())) == len({job.path for job in jobs.values()})
        assert [job.before for job in jobs.values()] == [
            0 if arm.start is None else jobs[arm.start.name].before + 1 for arm in arms
        ]
        assert claim.criteria(quick)
    assert len(claim.criteria(True)) <= len(claim.criteria(False))


@pytest.mark.parametrize("file", sorted(CONFIGS.glob("*/*.yaml")), ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_a_file_of_a_claim_says_how_to_run_it_and_is_used(file: Path) -> None:
    stage, _ = load(file, [])
    head = file.read_text().split("\nmodel")[0]
    assert f"#   rlvr {stage} rlvr/claims/configs/{file.parent.name}/{file.name}" in head
    used = {arm.config for claim in CLAIMS for arm in everything(claim.arms(False))}
    parents = {
        other.parent / line.split()[1]
        for other in CONFIGS.glob("*/*.yaml")
        for line in other.read_text().splitlines()
        if line.startswith("extends:")
    }
    assert f"{file.parent.name}/{file.name}" in used or file in parents


def test_seeds_share_no_run(tmp_path: Path) -> None:
    first, second = (jobs_of(CLAIMS[0].arms(False), seed, tmp_path, {}) for seed in (0, 1))
    assert not {job.key for job in first.values()} & {job.key for job in second.values()}


@pytest.mark.parametrize("file", sorted(SHIPPED.glob("*.json")), ids=lambda file: file.stem)
def test_a_shipped_result_is_of_a_claim_as_it_stands(file: Path) -> None:
    result = read(file)
    assert result is not None
    claim = next(claim for claim in CLAIMS if claim.id == result.claim)
    assert not result.quick
    assert not result.changes
    asked = [(each.arm, each.quantity, each.bounds) for each in claim.criteria(False)]
    assert [(row.arm, row.quantity, row.predicted) for row in result.rows] == asked
