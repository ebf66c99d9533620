"""The loop: what makes an update, what stops a run, and that a stopped run goes on as if it had not stopped."""

import random
import signal
from dataclasses import replace

import pytest
import torch

from rlvr.config import ModelConfig, TokenizerConfig, TrainConfig
from rlvr.data.batching import collate, to_batches
from rlvr.errors import StopRequestedError, TrainingStoppedError
from rlvr.models.scratch import build_model
from rlvr.models.tokenizer import build_tokenizer
from rlvr.runtime.metrics import read_rows
from rlvr.runtime.run_dir import RunDirectory
from rlvr.train.loop import Fit, Limit, fit
from rlvr.train.losses import cross_entropy
from rlvr.types import Sample, StepData, Update

CPU = torch.device("cpu")
TOKENIZER = build_tokenizer(TokenizerConfig(), ["0 1 2 3 4 ="], max_length=32)
ADAMW = TrainConfig(max_steps=5, learning_rate=0.01, schedule="cosine", warmup_steps=2, weight_decay=0.1, save_every=2)
SGD = TrainConfig(max_steps=5, learning_rate=0.1, optimizer="sgd", momentum=0.9, save_every=2)
ONE_STEP = TrainConfig(max_steps=1, learning_rate=0.1, optimizer="sgd", max_grad_norm=1e9)


def build():
    return build_model(ModelConfig(layers=1, width=16, heads=2), TOKENIZER, seed=0, device=CPU)


def sample(number):
    """Row ``number``: between 3 and 9 tokens, all but the first trained."""
    rng = random.Random(number)
    length = rng.randint(3, 9)
    return Sample(token_ids=[rng.randrange(12) for _ in range(length)], loss_mask=[False] + [True] * (length - 1))


class Rows:
    """A batch source: four rows a step, in two batches, numbered on from its state."""

    def __init__(self, *, empty=()):
        self.next, self.empty = 0, empty

    def next_step(self, step):
        numbers = range(self.next, self.next + 4)
        self.next += 4
        batches = [collate([sample(n) for n in part], 0, CPU) for part in (numbers[:2], numbers[2:])]
        return StepData(
            updates=[] if step in self.empty else [Update(batches=batches)], metrics={"data/next": self.next}
        )

    def state_dict(self):
        return {"next": self.next}

    def load_state_dict(self, state):
        self.next = state["next"]

    def tensors(self):
        return {}

    def load_tensors(self, tensors):
        assert tensors == {}


class Fixed:
    """A batch source that gives the same batches at every step."""

    def __init__(self, batches):
        self.batches = batches

    def next_step(self, step):
        return StepData(updates=[Update(batches=self.batches)], metrics={})

    def state_dict(self):
        return {}

    def load_state_dict(self, state):
        pass

    def tensors(self):
        return {}


def sum_of_weights(model):
    """An evaluation that tells any two models apart."""
    return lambda step: {"eval/weights": sum(float(p.detach().double().sum()) for p in model.parameters())}


def job(path, **changes):
    """A run of Rows in a directory, with a model from seed 0."""
    (path / "checkpoints").mkdir(parents=True, exist_ok=True)
    model = build()
    parts = {
        "label": "test",
        "model": model,
        "tokenizer": TOKENIZER,
        "source": Rows(),
        "loss": cross_entropy,
        "config": ADAMW,
        "run": RunDirectory(path=path, lock=-1),
        "evaluate": sum_of_weights(model),
    }
    return Fit(**{**parts, **changes})


def weights(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def same(first, second):
    return all(torch.equal(first[name], second[name]) for name in first)


def rows(path):
    """The metrics of a run without its times."""
    return [
        {name: value for name, value in row.items() if not name.startswith("time/")}
        for row in read_rows(path / "metrics.jsonl")
    ]


def distance(first, second):
    """Euclidean distance of all parameters, the tied ones counted once."""
    return sum(float((first[n] - second[n]).square().sum()) for n in first if n != "lm_head.weight") ** 0.5


# ------------------------------------------------------------------------------------------------- one update


def one_step(path, batches, config=ONE_STEP, loss=cross_entropy):
    """The weights after one update on some batches, and its metrics."""
    run = job(path, source=Fixed(batches), config=config, loss=loss)
    fit(run)
    return weights(run.model), rows(path)[0]


SAMPLES = [sample(number) for number in range(6)]
SPLITS = {
    "each row alone": [collate([row], 0, CPU) for row in SAMPLES],
    "each row alone, backwards": [collate([row], 0, CPU) for row in SAMPLES[::-1]],
    "by length": to_batches(SAMPLES, budget=12, pad_id=0, device=CPU),
    "uneven": [collate(SAMPLES[:5], 0, CPU), collate(SAMPLES[5:], 0, CPU)],
}


@pytest.mark.parametrize("batches", SPLITS.values(), ids=SPLITS)
def test_how_rows_are_split_into_batches_cannot_change_the_update(batches, tmp_path):
    together, measured = one_step(tmp_path / "together", [collate(SAMPLES, 0, CPU)])
    apart, also = one_step(tmp_path / "apart", batches)
    torch.testing.assert_close(apart, together, atol=1e-6, rtol=0)
    assert also == pytest.approx(measured, abs=1e-5)
    assert distance(together, weights(build())) > 0.01


def test_the_gradient_is_that_of_the_mean_over_all_trained_tokens(tmp_path):
    after, row = one_step(tmp_path, SPLITS["uneven"])
    model = build()
    total, count = 0.0, 0
    for each in SAMPLES:
        logprobs = torch.log_softmax(model(torch.tensor([each.token_ids])).logits[0, :-1], dim=-1)
        total = total - logprobs[range(len(each.token_ids) - 1), each.token_ids[1:]].sum()
        count += len(each.token_ids) - 1
    (total / count).backward()
    expected = {name: p.detach() - 0.1 * p.grad for name, p in model.named_parameters()}
    torch.testing.assert_close({name: after[name] for name in expected}, expected, atol=1e-6, rtol=0)
    assert row["train/loss"] == pytest.approx(total.item() / count, abs=1e-5)
    assert row["tokens/train"] == count


def test_a_long_gradient_is_clipped_and_its_own_norm_reported(tmp_path):
    config = ONE_STEP.model_copy(update={"learning_rate": 1.0, "max_grad_norm": 0.01})
    after, row = one_step(tmp_path, [collate(SAMPLES, 0, CPU)], config)
    assert distance(after, weights(build())) == pytest.approx(0.01, rel=1e-3)
    assert row["train/grad_norm"] > 0.1


def test_a_short_gradient_is_left_as_it_is(tmp_path):
    config = ONE_STEP.model_copy(update={"learning_rate": 1.0})
    after, row = one_step(tmp_path, [collate(SAMPLES, 0, CPU)], config)
    assert distance(after, weights(build())) == pytest.approx(row["train/grad_norm"], rel=1e-3)


def test_sums_are_divided_by_all_trained_tokens_and_maxima_are_not(tmp_path):
    def loss(model, batch):
        size = torch.tensor(float(batch.loss_mask.sum()))
        return replace(cross_entropy(model, batch), sums={"train/one": size}, maxima={"train/largest": size})

    _, row = one_step(tmp_path, [collate(SAMPLES[:1], 0, CPU), collate(SAMPLES[1:], 0, CPU)], loss=loss)
    assert row["train/one"] == 1.0
    assert row["train/largest"] == sum(len(each.token_ids) - 1 for each in SAMPLES[1:])


def test_a_step_without_batches_changes_no_weight(tmp_path):
    seen = []

    def watch(step):
        seen.append(weights(run.model))
        return {}

    run = job(tmp_path, source=Rows(empty=[2]), evaluate=watch)
    fit(run)
    assert same(seen[1], seen[0])
    assert not same(seen[2], seen[1])
    assert rows(tmp_path)[1]["tokens/train"] == 0


def test_the_model_learns_what_it_is_shown(tmp_path):
    config = TrainConfig(max_steps=40, learning_rate=0.02)
    fit(job(tmp_path, source=Fixed([collate(SAMPLES, 0, CPU)]), config=config))
    losses = [row["train/loss"] for row in rows(tmp_path)]
    assert losses[-1] < 0.5 * losses[0]


def test_every_step_has_a_row_with_the_rate_of_its_schedule(tmp_path):
    fit(job(tmp_path))
    assert [row["step"] for row in rows(tmp_path)] == [1, 2, 3, 4, 5]
    assert [row["train/learning_rate"] for row in rows(tmp_path)] == pytest.approx(
        [0.005, 0.01, 0.00775, 0.00325, 0.001]
    )


def test_further_metrics_are_described_from_the_steps_own(tmp_path):
    fit(job(tmp_path, describe=lambda row: {**row, "train/twice": 2 * row["train/loss"]}))
    assert [row["train/twice"] for row in rows(tmp_path)] == [2 * row["train/loss"] for row in rows(tmp_path)]


# ------------------------------------------------------------------------------------------------ what stops


def broken_at(*steps, batches_a_step=2):
    """Cross-entropy whose value is not a number at some steps."""
    calls = 0

    def loss(model, batch):
        nonlocal calls
        calls += 1
        output = cross_entropy(model, batch)
        factor = torch.nan if -(-calls // batches_a_step) in steps else 1.0
        return replace(output, loss_sum=output.loss_sum * factor)

    return loss


def test_a_loss_that_is_not_finite_is_not_applied(tmp_path):
    seen = []

    def watch(step):
        seen.append(weights(run.model))
        return {}

    run = job(tmp_path, loss=broken_at(2), evaluate=watch)
    fit(run)
    assert same(seen[1], seen[0])
    assert not same(seen[2], seen[1])
    assert [row["train/nonfinite_steps"] for row in rows(tmp_path)] == [0, 1, 0, 0, 0]


def test_three_such_steps_in_a_row_stop_the_run(tmp_path):
    run = job(tmp_path, loss=broken_at(1, 2, 3))
    with pytest.raises(TrainingStoppedError, match=r"step 3: loss nan.*not finite for 3 steps in a row"):
        fit(run)
    assert same(weights(run.model), weights(build()))


def test_two_such_steps_and_again_two_do_not(tmp_path):
    config = ADAMW.model_copy(update={"max_steps": 6})
    fit(job(tmp_path, loss=broken_at(1, 2, 4, 5), config=config))
    assert [row["train/nonfinite_steps"] for row in rows(tmp_path)] == [1, 2, 0, 1, 2, 0]


@pytest.mark.check("R14")
def test_a_run_does_not_end_on_such_a_step(tmp_path):
    with pytest.raises(TrainingStoppedError, match=r"step 5: loss nan.*at the last step.*step_000002"):
        fit(job(tmp_path, loss=broken_at(5)))
    assert checkpoints_in(tmp_path) == ["step_000002", "step_000004"]


def test_but_it_ends_on_a_step_that_had_nothing_to_learn_after_such_a_step(tmp_path):
    fit(job(tmp_path, loss=broken_at(4), source=Rows(empty=[5])))
    assert [row["train/nonfinite_steps"] for row in rows(tmp_path)] == [0, 0, 0, 1, 1]
    assert checkpoints_in(tmp_path)[-1] == "step_000005"


@pytest.mark.check("R14")
def test_a_gradient_that_is_not_finite_is_not_applied_though_the_loss_is(tmp_path):
    def loss(model, batch):
        output = cross_entropy(model, batch)
        nothing = model.get_input_embeddings().weight.square().sum() * 0.0
        return replace(output, loss_sum=output.loss_sum + nothing.sqrt())

    run = job(tmp_path, loss=loss)
    with pytest.raises(TrainingStoppedError, match=r"step 3: loss \d\.\d+ and gradient norm nan were not finite"):
        fit(run)
    assert same(weights(run.model), weights(build()))


@pytest.mark.check("R14")
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_a_weight_that_is_not_finite_is_never_saved(tmp_path, value):
    def spoil(step):
        if step == 4:
            run.model.get_input_embeddings().weight.data[3, 5] = value
        return {}

    run = job(tmp_path, evaluate=spoil)
    with pytest.raises(
        TrainingStoppedError, match=r"step 4: the weights model\.embed_tokens\.weight are no longer finite"
    ):
        fit(run)
    assert checkpoints_in(tmp_path) == ["step_000002"]
    assert not list((tmp_path / "checkpoints").glob(".tmp-*"))


def test_such_steps_are_counted_over_an_interruption(tmp_path):
    with pytest.raises(StopRequestedError):
        fit(job(tmp_path, loss=broken_at(1, 2), source=stopping_source(3)))
    with pytest.raises(TrainingStoppedError, match="step 3"):
        fit(job(tmp_path, loss=broken_at(1)))


def test_a_metric_above_its_limit_stops_the_run_before_the_update(tmp_path):
    run = job(tmp_path, limits=(Limit(metric="train/loss", value=0.01, meaning="it is too large"),))
    with pytest.raises(TrainingStoppedError, match=r"step 1: train/loss is .*, above 0\.01: it is too large"):
        fit(run)
    assert same(weights(run.model), weights(build()))


def test_a_metric_at_its_limit_is_allowed(tmp_path):
    def loss(model, batch):
        return replace(cross_entropy(model, batch), maxima={"train/gap": torch.tensor(0.5)})

    fit(job(tmp_path, loss=loss, limits=(Limit(metric="train/gap", value=0.5, meaning=""),)))
    assert len(rows(tmp_path)) == 5


# ------------------------------------------------------------------------------------------- going on exactly


def stopping_source(at):
    """Rows that are asked to stop in the middle of a step."""

    class Stopping(Rows):
        def next_step(self, step):
            data = super().next_step(step)
            if step == at:
                raise StopRequestedError(signal.SIGTERM)
            return data

    return Stopping()


def signalled_source(at):
    """Rows during which the process gets a SIGTERM."""

    class Signalled(Rows):
        def next_step(self, step):
            if step == at:
                signal.raise_signal(signal.SIGTERM)
            return super().next_step(step)

    return Signalled()


def stopping_loss(at):
    """Cross-entropy that is asked to stop at the second batch of a step."""
    calls = 0

    def loss(model, batch):
        nonlocal calls
        calls += 1
        if calls == 2 * at:
            raise StopRequestedError(signal.SIGTERM)
        return cross_entropy(model, batch)

    return loss


def stopping_evaluation(run, at):
    """The run's evaluation, asked to stop at a step."""

    def evaluate(step):
        if step == at:
            raise StopRequestedError(signal.SIGTERM)
        return run.evaluate(step)

    return evaluate


PHASES = {
    "rollout": lambda run, at: replace(run, source=stopping_source(at)),
    "signal": lambda run, at: replace(run, source=signalled_source(at)),
    "gradient": lambda run, at: replace(run, loss=stopping_loss(at)),
    "evaluation": lambda run, at: replace(run, evaluate=stopping_evaluation(run, at)),
}


@pytest.fixture(scope="module", params=[ADAMW, SGD], ids=["adamw", "sgd"])
def uninterrupted(request, tmp_path_factory):
    """The configuration, the weights and the metrics of a run that nothing stopped."""
    path = tmp_path_factory.mktemp("uninterrupted")
    run = job(path, config=request.param)
    fit(run)
    return request.param, weights(run.model), rows(path)


@pytest.mark.parametrize("at", [1, 3, 4, 5])
@pytest.mark.parametrize("phase", PHASES)
def test_a_stopped_run_ends_as_if_nothing_had_stopped_it(uninterrupted, phase, at, tmp_path):
    config, expected_weights, expected_rows = uninterrupted
    with pytest.raises(StopRequestedError) as stop:
        fit(PHASES[phase](job(tmp_path, config=config), at))
    assert stop.value.exit_code == 128 + 15
    again = job(tmp_path, config=config)
    fit(again)
    assert same(weights(again.model), expected_weights)
    assert rows(tmp_path) == expected_rows


def test_a_run_that_is_stopped_at_every_evaluation_gets_through(uninterrupted, tmp_path):
    config, expected_weights, expected_rows = uninterrupted
    for at in (1, 2, 3, 4, 5):
        with pytest.raises(StopRequestedError):
            fit(PHASES["evaluation"](job(tmp_path, config=config), at))
    last = job(tmp_path, config=config)
    fit(last)
    assert same(weights(last.model), expected_weights)
    assert rows(tmp_path) == expected_rows


def test_a_run_that_is_stopped_again_and_again_in_other_phases_gets_through(uninterrupted, tmp_path):
    config, expected_weights, expected_rows = uninterrupted
    for phase, at in [("rollout", 1), ("evaluation", 1), ("signal", 2), ("rollout", 3), ("evaluation", 5)]:
        with pytest.raises(StopRequestedError):
            fit(PHASES[phase](job(tmp_path, config=config), at))
    last = job(tmp_path, config=config)
    fit(last)
    assert same(weights(last.model), expected_weights)
    assert rows(tmp_path) == expected_rows


def checkpoints_in(path):
    return sorted(folder.name for folder in (path / "checkpoints").glob("step_*"))


def test_checkpoints_are_saved_every_so_many_steps_and_after_the_last(tmp_path):
    fit(job(tmp_path))
    assert checkpoints_in(tmp_path) == ["step_000002", "step_000004", "step_000005"]


@pytest.mark.parametrize(("at", "done"), [(1, 0), (4, 3)])
def test_a_stopped_run_has_a_checkpoint_of_its_last_whole_update(at, done, tmp_path):
    with pytest.raises(StopRequestedError):
        fit(job(tmp_path, source=stopping_source(at)))
    assert checkpoints_in(tmp_path)[-1] == f"step_{done:06d}"


def test_a_finished_run_is_left_alone(tmp_path):
    fit(job(tmp_path))
    before = rows(tmp_path)
    again = job(tmp_path, source=stopping_source(1))
    fit(again)
    assert rows(tmp_path) == before


def test_a_crash_costs_the_steps_after_the_last_checkpoint_alone(uninterrupted, tmp_path):
    config, expected_weights, expected_rows = uninterrupted
    run = job(tmp_path, config=config)

    def crash(step):
        return run.evaluate(step) if step < 4 else {}[step]

    with pytest.raises(KeyError):
        fit(replace(run, evaluate=crash))
    assert checkpoints_in(tmp_path) == ["step_000002"]
    again = job(tmp_path, config=config)
    fit(again)
    assert same(weights(again.model), expected_weights)
    assert rows(tmp_path) == expected_rows
