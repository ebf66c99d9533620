"""What a model can do: accuracy, pass@k, modes, length, loss, each with its uncertainty."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel

from rlvr.collect import Collector, make_collector
from rlvr.config import DocumentStageConfig, RlConfig
from rlvr.data.batching import collate, split_by_tokens
from rlvr.data.documents import DocumentSource
from rlvr.data.text import to_samples
from rlvr.models.adapter import without_adapter
from rlvr.models.pretrained import load_model
from rlvr.models.tokenizer import Codec
from rlvr.rewards import Scorer
from rlvr.runtime import signals
from rlvr.runtime.metrics import Row
from rlvr.statistics import effective_count, pass_interval, wilson
from rlvr.tasks.task import available
from rlvr.teacher_forcing import logprobs_of
from rlvr.train.losses import cross_entropy
from rlvr.types import Group, Metrics, Split

TOKENS_AT_ONCE = 16384
"""Padded tokens in one forward pass over held-out documents: bounds memory."""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Metrics by name, and the rollouts that they were measured on: sampled groups, then one greedy group a problem."""

    metrics: Metrics
    sampled: list[Group]
    greedy: list[Group]


def evaluate(
    collector: Collector,
    *,
    problems: int,
    samples: int,
    split: Split,
    step: int = 0,
    progress: Callable[[Sequence[Group], Sequence[Group]], None] = lambda _sampled, _greedy: None,
) -> Evaluation:
    """Sampled and greedy answers to the first problems of a split, the same problems at every step.

    problems: how many, or fewer if the split has fewer. progress: told the groups so far, sampled and greedy.
    """
    count = available(collector.task, split, problems)
    at_once = max(1, collector.batch_size // samples)
    sampled: list[Group] = []
    greedy: list[Group] = []
    for first in range(0, count, at_once):
        chosen = [collector.task.problem(split, index) for index in range(first, min(count, first + at_once))]
        sampled += collector.collect(chosen, group_size=samples, purpose="eval", step=step)
        greedy += collector.collect_greedy(chosen)
        progress(sampled, greedy)
    metrics = accuracy_metrics(collector.task.name, sampled, greedy)
    for name in sorted({group[0].problem.task for group in sampled} - {collector.task.name}):
        own = [[group for group in groups if group[0].problem.task == name] for groups in (sampled, greedy)]
        metrics |= accuracy_metrics(name, *own)
    return Evaluation(metrics=metrics, sampled=sampled, greedy=greedy)


def scheduled(
    config: DocumentStageConfig | RlConfig,
    model: PreTrainedModel,
    codec: Codec,
    scorer: Scorer,
    documents: HeldOut | None = None,
) -> Callable[[int], Metrics]:
    """The evaluation while training: metrics every ``eval.every`` steps and after the last, else none.

    scorer: of the configured reward, whose noise is left out here. documents: those whose loss is measured too.
    """
    section, task = config.eval, config.task
    if section is None:
        return lambda _step: {}
    collector = None
    if task is not None:
        collector = make_collector(
            model,
            codec,
            scorer,
            task=task,
            reward=config.reward.without_noise(),
            rollout=config.rollout,
            seed=config.seed,
        )

    def measure(step: int) -> Metrics:
        if step % section.every and step != config.train.max_steps:
            return {}
        start = time.perf_counter()
        row: Metrics = {}
        if collector is not None:
            found = evaluate(collector, problems=section.problems, samples=section.samples, split="test", step=step)
            row |= found.metrics
            if isinstance(config, RlConfig):
                row[f"eval/{collector.task.name}/kl_base"] = _distance(config, model, codec, found.sampled)
        if documents is not None:
            row |= document_metrics(model, codec, documents, section.problems)
        return {**row, "time/eval_seconds": time.perf_counter() - start}

    return measure


def _distance(config: RlConfig, model: PreTrainedModel, codec: Codec, sampled: Sequence[Group]) -> float:
    """Mean log-ratio (nats a token) of the policy to the model that the run started from, over what the policy wrote.

    An unbiased estimate of the KL divergence (k1 of Schulman's "Approximating KL divergence", 2020). The model is read
    again for it, so that only evaluations hold a second one; one with an adapter is itself the first without it.
    """
    if config.lora is not None:
        base, untouched = model, without_adapter(model)
    else:
        base = load_model(config.model, config.prompt, model.device, config.attention)[0]
        untouched = contextlib.nullcontext()
    completions = [rollout.completion for group in sampled for rollout in group]
    temperature, budget = config.rollout.temperature, config.train.micro_batch_tokens
    with untouched:
        theirs = logprobs_of(base, completions, temperature=temperature, budget=budget, pad_id=codec.pad_id)
    total = sum(sum(each.logprobs) - sum(other) for each, other in zip(completions, theirs, strict=True))
    return total / sum(len(each.token_ids) for each in completions)


def accuracy_metrics(task: str, sampled: Sequence[Group], greedy: Sequence[Group]) -> Metrics:
    """``eval/<task>/…``: each share with its 95 % Wilson interval (``…_low``, ``…_high``); of pass@k, Student's over problems.

    Samples of one problem are not independent, so Wilson's interval counts them by their design effect.
    """
    prefix = f"eval/{task}"
    row: Metrics = {}
    rollouts = [rollout for group in sampled for rollout in group]
    samples = len(sampled[0])
    row[f"{prefix}/problems"], row[f"{prefix}/samples"] = len(sampled), samples
    row |= _share(f"{prefix}/accuracy", [[rollout.correct for rollout in group] for group in sampled])
    row |= _share(f"{prefix}/greedy_accuracy", [[rollout.correct for rollout in group] for group in greedy])
    counts = [(samples, sum(rollout.correct for rollout in group)) for group in sampled]
    for k in (2**power for power in range(samples.bit_length())):
        name = f"{prefix}/pass@{k}"
        row[name], row[f"{name}_low"], row[f"{name}_high"] = pass_interval(counts, k)
    row[f"{prefix}/reward_mean"] = sum(rollout.reward for rollout in rollouts) / len(rollouts)
    row[f"{prefix}/length_mean"] = sum(rollout.length for rollout in rollouts) / len(rollouts)
    row[f"{prefix}/truncated_fraction"] = sum(rollout.truncated for rollout in rollouts) / len(rollouts)
    for mode in sorted({rollout.mode for group in (*sampled, *greedy) for rollout in group}):
        row |= _share(f"{prefix}/mode/{mode}/probability", [[r.mode == mode for r in group] for group in sampled])
        row[f"{prefix}/mode/{mode}/greedy_probability"] = sum(r.mode == mode for g in greedy for r in g) / len(greedy)
        of_mode = [[r.correct for r in group if r.mode == mode] for group in sampled]
        if any(of_mode):
            row |= _share(f"{prefix}/mode/{mode}/accuracy", [outcomes for outcomes in of_mode if outcomes])
    return row


def so_far(sampled: Sequence[Group], greedy: Sequence[Group]) -> Row:
    """``so_far/…``: ``accuracy_metrics`` of what is done, to be followed while an evaluation runs, and each mode's advantage: its
    mean reward minus that of all."""
    measured = accuracy_metrics("", sampled, greedy)
    row: Row = {f"so_far/{name.removeprefix('eval//')}": value for name, value in measured.items()}
    rollouts = [rollout for group in sampled for rollout in group]
    for mode in {rollout.mode for rollout in rollouts}:
        own = [rollout.reward for rollout in rollouts if rollout.mode == mode]
        row[f"so_far/mode/{mode}/advantage"] = sum(own) / len(own) - measured["eval//reward_mean"]
    return row


def _share(name: str, groups: Sequence[Sequence[bool]]) -> Metrics:
    share = sum(map(sum, groups)) / sum(map(len, groups))
    low, high = wilson(share, effective_count(groups))
    return {name: share, f"{name}_low": low, f"{name}_high": high}


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """Documents of the test split whose loss is measured; whole: on all their tokens, not the response alone."""

    document: DocumentSource
    whole: bool


@torch.inference_mode()
def document_metrics(model: PreTrainedModel, codec: Codec, documents: HeldOut, count: int) -> Metrics:
    """``eval/documents/…``: loss in nats a token, and what it says about the space that is left to search.

    perplexity: exp(loss), "choices per token". log10_search_space: of all texts of the mean trained length T over V
    tokens, T log10 V. log10_choices: of those the model still has to choose among, T log10 perplexity.
    """
    drawn = [documents.document("test", index) for index in range(count)]
    samples = to_samples(drawn, codec, whole=documents.whole)
    total, tokens = 0.0, 0
    for part in split_by_tokens(samples, TOKENS_AT_ONCE):
        signals.check()
        output = cross_entropy(model, collate(part, codec.pad_id, model.device))
        total += float(output.loss_sum)
        tokens += sum(sum(sample.loss_mask) for sample in part)
    loss, length = total / tokens, tokens / count
    return {
        "eval/documents/loss": loss,
        "eval/documents/perplexity": math.exp(loss),
        "eval/documents/length_mean": length,
        "eval/documents/log10_search_space": length * math.log10(len(codec.tokenizer)),
        "eval/documents/log10_choices": length * loss / math.log(10),
    }


def with_perplexity(row: Metrics) -> Metrics:
    """The row with ``train/perplexity``, exp of a loss that is a cross-entropy: choices per token."""
    return {**row, "train/perplexity": math.exp(min(row["train/loss"], 700.0))}
