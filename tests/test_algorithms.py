"""Algorithms through the command line: the dials of RL, what they log, and that every one of them resumes exactly."""

import json
import signal
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from conftest import World, call, final_weights, read_metrics
from transformers import PreTrainedModel

from rlvr.errors import StopRequestedError
from rlvr.stages.policies import Policies
from rlvr.stages.rollouts import Rollouts
from rlvr.types import Completion

STALE = ["algo.staleness=2", "algo.updates_per_batch=2"]


def train(world: World, run: Path, *settings: str, code: int = 0) -> list[dict[str, float]]:
    """The metrics of an RL run with some settings."""
    options = [word for setting in settings for word in ("--set", setting)]
    answer = call("rl", world.configs["rl"], "--run", run, *options)
    assert answer.code == code, answer.err
    return read_metrics(run)


def stop_at(monkeypatch: pytest.MonkeyPatch, step: int, error: BaseException) -> None:
    """Raise an error once the rollouts of a step have been sampled."""
    next_step = Rollouts.next_step

    def stopping(source: Rollouts, number: int) -> object:
        data = next_step(source, number)
        if number == step:
            raise error
        return data

    monkeypatch.setattr(Rollouts, "next_step", stopping)


RESUMED = {
    "stale, two updates a batch": STALE,
    "three parts, truncated weights": ["algo.updates_per_batch=3", "algo.parts=3", "algo.loss=truncated", "algo.staleness=1"],
    "reference that is reset": ["algo.kl={coefficient: 0.1, reset_every: 3}", "algo.entropy_bonus=0.01"],
    "penalty in the reward": ["algo.kl={coefficient: 0.1, where: reward}", "algo.advantage=running_mean"],
    "value model": ["algo.preset=ppo", "train.learning_rates={value: 3e-3}"],
    "value model and muon": ["algo.preset=ppo", "train.optimizer=muon", "algo.updates_per_batch=1", "train.schedule=wsd"],
    "refills and branches": ["algo.max_refills=2", "algo.credit=branches", "algo.branches={every: 6, samples: 2}", "algo.staleness=1"],
    "adapter, stale, reference, layers computed again": ["lora={rank: 4}", "algo.kl={coefficient: 0.1, reset_every: 3}", "algo.staleness=1", "train.gradient_checkpointing=true"],
    "adapter of some layers, value model": ["lora={targets: [q_proj, up_proj]}", "algo.preset=ppo"],
    "recorded rollouts": ["rollout={max_new_tokens: 14}", "algo={offline: RECORDED, loss: truncated}"],
    "random tokens": ["algo.entropy_mask={random: 0.3}", "train.optimizer=sgd", "train.momentum=0.9"],
}  # fmt: skip


@pytest.mark.parametrize("settings", RESUMED.values(), ids=RESUMED)
def test_an_interrupted_run_ends_as_if_nothing_had_happened(
    world: World, tmp_path: Path, settings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = [setting.replace("RECORDED", str(world.runs["rl"])) for setting in settings]
    expected = train(world, tmp_path / "straight", *settings)
    with monkeypatch.context() as patch:
        stop_at(patch, 4, StopRequestedError(signal.SIGTERM))
        train(world, tmp_path / "stopped", *settings, code=143)
    with monkeypatch.context() as patch:
        stop_at(patch, 6, KeyError("a crash"))
        with pytest.raises(KeyError, match="a crash"):
            train(world, tmp_path / "stopped", *settings)
    assert train(world, tmp_path / "stopped", *settings) == expected
    assert final_weights(tmp_path / "stopped") == final_weights(tmp_path / "straight")


def test_a_signal_between_two_updates_waits_for_the_end_of_the_step(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The signal comes while the second update's loss is computed."""
    from rlvr.train import loop

    expected = train(world, tmp_path / "straight", *STALE)
    calls, gradient = 0, loop._gradient

    def signalled(*arguments: object, **options: object) -> float:
        nonlocal calls
        calls += 1
        if calls == 4:
            signal.raise_signal(signal.SIGTERM)
        return gradient(*arguments, **options)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(loop, "_gradient", signalled)
        train(world, tmp_path / "stopped", *STALE, code=143)
    assert [folder.name for folder in (tmp_path / "stopped" / "checkpoints").glob("step_*")] == ["step_000002"]
    assert train(world, tmp_path / "stopped", *STALE) == expected


def test_a_batch_used_twice_and_late_is_measured(world: World, tmp_path: Path) -> None:
    rows = train(world, tmp_path, *STALE, "algo.loss=clipped", "train.learning_rate=1e-2")
    assert [row.get("rollout/staleness", 0) for row in rows] == [0, 1, 2, 2, 2, 2]
    for row in rows:
        assert row["rollout/logprob_gap_max"] < 1e-4
        assert 0 < row["train/effective_sample_fraction"] <= 1
        assert row["train/ratio_max"] > 1
        assert 0 <= row["train/clip_fraction"] < 1
    assert any(row["train/clip_fraction"] > 0 for row in rows)


def test_on_policy_there_is_no_ratio_to_measure(world: World) -> None:
    for row in read_metrics(world.runs["rl"]):
        assert not {"train/ratio_mean", "train/clip_fraction", "train/effective_sample_fraction"} & set(row)


def test_rollouts_are_those_of_the_policy_of_so_many_steps_ago(world: World, tmp_path: Path) -> None:
    """With a staleness as long as the run, every step samples from the first weights, as one whose rate is tiny does."""

    def sampled(name: str, *settings: str) -> list[list[list[int]]]:
        train(world, tmp_path / name, "train.max_steps=3", *settings)
        files = sorted((tmp_path / name / "rollouts").iterdir())
        return [[json.loads(line)["token_ids"] for line in file.read_text().splitlines()] for file in files]

    frozen = sampled("frozen", "train.learning_rate=1e-30")
    assert sampled("stale", "algo.staleness=9", "train.learning_rate=0.03") == frozen
    assert sampled("fresh", "train.learning_rate=0.03") != frozen


def test_weights_that_are_not_those_that_sampled_stop_a_stale_run(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The history holds other weights than were sampled from."""
    logprobs = Policies._logprobs
    monkeypatch.setattr(
        Policies, "_logprobs", lambda *arguments: [[v - 0.01 for v in row] for row in logprobs(*arguments)]
    )
    train(world, tmp_path, "algo.staleness=1", code=3)


def test_the_distance_to_the_reference_is_nothing_until_the_policy_moves(world: World, tmp_path: Path) -> None:
    rows = train(world, tmp_path, "algo.kl={coefficient: 0.001}", "train.learning_rate=0.01")
    assert rows[0]["train/kl_ref"] == pytest.approx(0.0, abs=1e-9)
    assert rows[-1]["train/kl_ref"] > 1e-4


def test_the_reference_reads_nothing_of_groups_that_are_not_trained(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logprobs, read = Policies._logprobs, []

    def recorded(self: Policies, model: PreTrainedModel, completions: Sequence[Completion]) -> list[list[float]]:
        read.append(sum(len(completion.token_ids) for completion in completions))
        return logprobs(self, model, completions)

    monkeypatch.setattr(Policies, "_logprobs", recorded)
    rows = train(world, tmp_path, "algo.kl={coefficient: 0.001}")
    assert read == [row["tokens/train"] for row in rows]
    assert any(row["rollout/zero_variance_fraction"] > 0 for row in rows)


def test_a_reference_that_is_reset_is_near_again(world: World, tmp_path: Path) -> None:
    rows = train(world, tmp_path, "algo.kl={coefficient: 0.001, reset_every: 2}", "train.learning_rate=0.01")
    for row in rows:
        assert (row["train/kl_ref"] < 1e-9) == (row["step"] % 2 == 1)


def test_a_heavy_penalty_keeps_the_policy_near(world: World, tmp_path: Path) -> None:
    distances = []
    for where in ("loss", "reward"):
        for coefficient in (1e-6, 10.0):
            run = tmp_path / f"{where}{coefficient}"
            setting = f"algo.kl={{coefficient: {coefficient}, where: {where}}}"
            distances.append(train(world, run, setting, "train.learning_rate=0.01")[-1]["train/kl_ref"])
    assert distances[1] < 0.5 * distances[0]
    assert distances[3] < 0.5 * distances[2]


def test_a_penalty_in_the_reward_is_logged_and_felt(world: World, tmp_path: Path) -> None:
    rows = train(
        world, tmp_path, "algo.kl={coefficient: 0.5, where: reward, estimator: k3}", "train.learning_rate=0.01"
    )
    assert rows[0]["reward/shaping"] == pytest.approx(0.0, abs=1e-6)
    assert rows[-1]["reward/shaping"] < 0


def test_an_entropy_bonus_keeps_the_policy_uncertain(world: World, tmp_path: Path) -> None:
    settings = ["algo.advantage=reward", "train.learning_rate=0.01"]  # so that no group is dropped
    with_bonus = train(world, tmp_path / "with", "algo.entropy_bonus=1.0", *settings)
    without = train(world, tmp_path / "without", *settings)
    assert with_bonus[-1]["train/entropy"] > without[-1]["train/entropy"] + 0.1


@pytest.mark.parametrize("kind", ["top", "bottom", "random"])
def test_an_entropy_mask_trains_its_share_of_tokens(world: World, tmp_path: Path, kind: str) -> None:
    settings = [f"algo.entropy_mask={{{kind}: 0.25}}", "algo.advantage=reward", "train.max_steps=2"]
    row = train(world, tmp_path, *settings)[0]
    plain = train(world, tmp_path / "plain", *settings[1:])[0]
    assert row["tokens/train"] == pytest.approx(0.25 * plain["tokens/train"], abs=1)
    assert row["tokens/train"] / row["tokens/rollout"] == pytest.approx(0.25, abs=0.01)
    assert row["signal/trained"] + row["signal/masked"] == pytest.approx(plain["signal/trained"])
    if kind == "random":
        assert row["train/entropy"] == pytest.approx(plain["train/entropy"], rel=0.3)
    else:
        assert (row["train/entropy"] > plain["train/entropy"]) == (kind == "top")


def test_a_value_model_is_measured_and_saved_beside_the_model(world: World, tmp_path: Path) -> None:
    rows = train(world, tmp_path, "algo.preset=ppo", "train.max_steps=2")
    assert rows[0]["rollout/explained_variance"] == pytest.approx(0.0, abs=1e-6)  # it says 0 everywhere at first
    assert all(row["train/value_loss"] > 0 for row in rows)
    files = {file.name for file in (tmp_path / "checkpoints" / "step_000002").iterdir()}
    assert {"model.safetensors", "companion.safetensors"} <= files


def test_grpo_without_deviation_and_used_once_is_reinforce_bit_for_bit(world: World, tmp_path: Path) -> None:
    settings = ["algo.preset=grpo", "algo.advantage=group_mean", "algo.aggregation=token"]
    assert train(world, tmp_path, *settings) == read_metrics(world.runs["rl"])
    assert final_weights(tmp_path) == final_weights(world.runs["rl"])


def test_the_plan_counts_the_copies_of_the_weights(world: World) -> None:
    def memory(*settings: str) -> int:
        options = [word for setting in settings for word in ("--set", setting)]
        plan = json.loads(call("check", world.configs["rl"], "--json", *options).out)
        return (plan["memory_bytes"] - plan["cache_bytes"]) // (4 * plan["parameters"])

    assert memory() == 4  # weights, gradients and two moments
    assert memory("algo.staleness=3") == 4 + 4
    assert memory("algo.kl={coefficient: 0.1}") == 4 + 1
    assert memory("algo.preset=ppo") == 4 + 4
    assert memory(f"algo={{preset: opd, teacher: {world.runs['pretrain']}}}") == 4 + 1


def test_a_student_comes_near_to_its_teacher(world: World, tmp_path: Path) -> None:
    settings = ["algo.preset=opd", "rollout.group_size=1", "rollout.problems_per_step=32", "train.max_steps=25"]
    teacher = f"algo.teacher={world.runs['pretrain']}"
    train(world, tmp_path / "away", "algo.advantage=reward", "train.learning_rate=0.02", "train.max_steps=2")
    start = f"model={tmp_path / 'away'}"
    rows = train(world, tmp_path / "student", start, teacher, *settings, "train.learning_rate=3e-3")
    far, near = (sum(row["rollout/kl_teacher"] for row in part) / 5 for part in (rows[:5], rows[-5:]))
    assert near < 0.5 * far
    assert far > 0.02


def test_a_teacher_with_another_tokenizer_is_refused(
    world: World, tmp_path: Path, refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = ["tokenizer.kind=characters", "rollout.max_new_tokens=30", "train.max_steps=1"]
    options = [word for setting in settings for word in ("--set", setting)]
    assert call("pretrain", world.configs["pretrain"], "--run", tmp_path / "teacher", *options).code == 0
    teacher = f"algo={{preset: opd, teacher: {tmp_path / 'teacher'}}}"
    message = refused("check", world.configs["rl"], "--set", teacher)
    assert "algo.teacher: has another tokenizer than the model" in message
    # What cannot be seen in the files is seen when the models are loaded.
    monkeypatch.setattr("rlvr.preflight.vocabulary_in", lambda location: None)
    message = refused("rl", world.configs["rl"], "--run", tmp_path / "rl", "--set", teacher)
    assert "algo.teacher: has another tokenizer than the model, so it cannot say" in message


def test_a_teacher_that_is_not_there_is_refused(world: World, tmp_path: Path, refused: Callable[..., str]) -> None:
    teacher = f"algo={{preset: opd, teacher: {tmp_path / 'nothing'}}}"
    message = refused("rl", world.configs["rl"], "--run", tmp_path / "rl", "--set", teacher)
    assert message.startswith("error: algo.teacher: no such file or directory")


def test_steps_are_refilled_with_groups_that_differ(world: World, tmp_path: Path) -> None:
    plain = read_metrics(world.runs["rl"])
    rows = train(world, tmp_path, "algo.max_refills=20", "train.max_steps=3")
    for row in rows:
        assert row["rollout/extra_fraction"] == row["rollout/refills"] > 0
        assert row["tokens/rollout"] > plain[0]["tokens/rollout"]
        differing = (1 - row["rollout/zero_variance_fraction"]) * (1 + row["rollout/extra_fraction"]) * 8
        assert round(differing) >= 8
        # Eight whole groups of four are trained, no more.
        assert row["signal/trained"] + row.get("signal/surplus", 0.0) + row["signal/zero_variance"] == pytest.approx(
            1.0
        )
    lines = (tmp_path / "rollouts" / "step_000002.jsonl").read_text().splitlines()
    assert len(lines) == 8 * 4 * (1 + rows[1]["rollout/refills"])
    first = 8 * (1 + rows[0]["rollout/refills"])
    assert json.loads(lines[0])["index"] == first  # problems go on where the step before stopped


def test_refills_stop_at_their_limit(world: World, tmp_path: Path) -> None:
    rows = train(world, tmp_path, "algo.max_refills=1", "rollout.group_size=2", "train.max_steps=2")
    assert max(row["rollout/refills"] for row in rows) <= 1


def test_long_answers_lose_reward(world: World, tmp_path: Path) -> None:
    row = train(world, tmp_path, "algo.overlong_buffer=0.5", "train.max_steps=1")[0]
    rows = [json.loads(line) for line in (tmp_path / "rollouts" / "step_000001.jsonl").read_text().splitlines()]
    expected = [-min(1.0, max(0, len(each["token_ids"]) - 7) / 7) for each in rows]
    assert row["reward/shaping"] == pytest.approx(sum(expected) / len(expected))


def test_branches_are_sampled_and_counted(world: World, tmp_path: Path) -> None:
    settings = ["algo.advantage=reward", "algo.credit=branches", "algo.branches={every: 3, samples: 2}"]
    row = train(world, tmp_path, *settings, "train.max_steps=1")[0]
    lines = (tmp_path / "rollouts" / "step_000001.jsonl").read_text().splitlines()
    prefixes = sum(-(-len(json.loads(line)["token_ids"]) // 3) - 1 for line in lines)
    assert row["tokens/branches"] >= 2 * prefixes > 0


def test_recorded_rollouts_are_learnt_from_by_the_same_path(world: World, tmp_path: Path) -> None:
    """The first step learns what the recorded run learnt there; then the recorded policy is another one."""
    own = ["rollout={max_new_tokens: 14}", f"algo={{offline: {world.runs['rl']}}}", "train.max_steps=8"]
    rows, then = train(world, tmp_path, *own), read_metrics(world.runs["rl"])
    assert rows[0]["train/loss"] == pytest.approx(then[0]["train/loss"], abs=1e-6)
    assert rows[0]["train/grad_norm"] == pytest.approx(then[0]["train/grad_norm"], rel=1e-5)
    assert rows[0]["train/ratio_max"] == pytest.approx(1.0, abs=1e-4)
    assert [row["reward/mean"] for row in rows[:6]] == [row["reward/mean"] for row in then]
    assert rows[6]["reward/mean"] == then[0]["reward/mean"]  # over again
    assert "rollout/logprob_gap_max" not in rows[0]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{}", ":2: is no rollout: KeyError"),
        ("[", ":2: is no rollout: JSONDecodeError"),
        (None, ":1: was written with another"),
    ],
)
def test_recorded_rollouts_that_cannot_be_used_are_refused(
    world: World, tmp_path: Path, refused: Callable[..., str], line: str | None, words: str
) -> None:
    good = (world.runs["rl"] / "rollouts" / "step_000001.jsonl").read_text().splitlines()[0]
    other = json.dumps({**json.loads(good), "completion": "something else"})
    (tmp_path / "step_000001.jsonl").write_text("\n".join([other] if line is None else [good, line]))
    options = ["--set", f"algo={{offline: {tmp_path}}}", "--set", "rollout={max_new_tokens: 14}"]
    assert words in refused("rl", world.configs["rl"], "--run", tmp_path / "run", *options)


def test_an_oracle_leaves_distractors_alone(world: World, tmp_path: Path) -> None:
    """A model that has learnt to write three free tokens first; they are not trained."""
    task, short = "task.distractors=3", ["rollout.max_new_tokens=17", "train.max_steps=2"]
    options = [word for setting in (task, *short) for word in ("--set", setting)]
    assert call("pretrain", world.configs["pretrain"], "--run", tmp_path / "base", *options).code == 0
    settings = [f"model={tmp_path / 'base'}", task, *short, "algo.advantage=reward"]
    whole = train(world, tmp_path / "whole", *settings)
    oracle = train(world, tmp_path / "oracle", *settings, "algo.credit=oracle")
    lines = (tmp_path / "oracle" / "rollouts" / "step_000001.jsonl").read_text().splitlines()
    free = 0
    for line in lines:
        words = json.loads(line)["completion"].split()
        while words and words[0].startswith("~"):
            words.pop(0)
            free += 1
    assert free > 0
    assert whole[0]["tokens/train"] - oracle[0]["tokens/train"] == free


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("algo.kl={reset_every: 3}", ["algo.kl.coefficient"]),
        ("algo.entropy_mask={top: 0.2, random: 0.2}", ["exactly one of top, bottom, random"]),
        ("algo.entropy_mask={}", ["exactly one of top, bottom, random"]),
        ("algo.credit=oracle", ["algo.credit oracle needs a task that knows which tokens matter"]),
        ("algo={credit: branches, branches: {every: 14}}", ["algo.branches.every 14 leaves no prefix"]),
        ("train.learning_rates={value: 0.1}", ["value has no effect without algo.advantage gae"]),
        ("algo={offline: nowhere, staleness: 1}", ["staleness has no effect with offline"]),
        ("algo={offline: nowhere, entropy_mask: {top: 0.2}}", ["entropies are not recorded"]),
        ("algo={offline: nowhere}", ["group_size has no effect with algo.offline"]),
        ("algo.loss=clipped", ["loss clipped has no effect while updates_per_batch is 1 and staleness 0"]),
        ("algo={preset: dapo, updates_per_batch: 9, parts: 9}", ["algo.parts 9 exceeds rollout.problems_per_step 8"]),
    ],
)
def test_what_has_no_effect_or_cannot_be_is_refused(
    world: World, refused: Callable[..., str], setting: str, words: list[str]
) -> None:
    message = refused("check", world.configs["rl"], "--set", setting)
    assert all(word in message for word in words), message
