"""``rlvr eval``: what a model can do on a task, with 95 % intervals."""

import time
from collections.abc import Sequence
from typing import Any

from rlvr.collect import Collector, check_room, make_collector, telling, to_json
from rlvr.config import EvalConfig, FinalEvalSection
from rlvr.corpus import make_corpus
from rlvr.evaluation import Evaluation, HeldOut, document_metrics, evaluate, so_far
from rlvr.models.pretrained import load_model
from rlvr.rewards import Scorer, graders_used
from rlvr.runtime import signals
from rlvr.runtime.device import start
from rlvr.runtime.files import Writing, write_json, write_jsonl
from rlvr.runtime.metrics import MetricsFile, without_infinities
from rlvr.runtime.progress import StepProgress, say
from rlvr.runtime.run_dir import RunDirectory
from rlvr.runtime.tracking import tracked
from rlvr.solvability import solvability
from rlvr.statistics import pass_at_k
from rlvr.tasks.task import available
from rlvr.types import Group, Metrics

NEWEST = 16
"""Groups among which one is chosen to be shown."""

GROWTH = 1.05
"""Times as many problems as at the last look are done before all are looked at again: 20 looks at all of them cost no more."""


def run(config: EvalConfig, run: RunDirectory) -> None:
    """Measure, and write eval.json, a row of metrics and every rollout."""
    device = start(config, run, graders_used(config.reward))
    model, codec = load_model(config.model, config.prompt, device, config.attention)
    check_room(config, model, codec)
    metrics: Metrics = {}
    by_problem: dict[str, Any] = {}
    begin = time.perf_counter()
    with signals.watched(), Scorer(config.reward) as scorer:
        if config.task is not None:
            collector = make_collector(
                model, codec, scorer, task=config.task, reward=config.reward, rollout=config.rollout, seed=config.seed
            )
            result = _answers(config.eval, collector)
            metrics |= result.metrics
            by_problem = _by_problem(result)
            sampled = [{**to_json(attempt), "greedy": False} for group in result.sampled for attempt in group]
            greedy = [{**to_json(attempt), "greedy": True} for group in result.greedy for attempt in group]
            with Writing(run.rollouts(0)):
                write_jsonl(run.rollouts(0), [*sampled, *greedy])
        if config.data is not None:
            corpus = make_corpus(config.data, config.task, config.seed)
            for file in corpus.chats:
                file.check(codec)
            held_out = HeldOut(document=corpus.document, whole=False)
            metrics |= document_metrics(model, codec, held_out, config.eval.problems)
        metrics["time/eval_seconds"] = time.perf_counter() - begin
        rows = MetricsFile(run.metrics, last_step=-1)
        with tracked(run.path, config.track or (), say):
            rows.write(0, metrics)
            rows.close()
        with Writing(run.path / "eval.json"):
            write_json(run.path / "eval.json", {"model": config.model, **without_infinities(metrics), **by_problem})


def _by_problem(result: Evaluation) -> dict[str, Any]:
    """How many samples of each problem are right, its pass@k, and what that says about training on the same problems."""
    counts = [(len(group), sum(rollout.correct for rollout in group)) for group in result.sampled]
    found = solvability(counts)
    problems = [
        {
            "task": group[0].problem.task,
            "split": group[0].problem.split,
            "index": group[0].problem.index,
            "samples": samples,
            "right": right,
            "greedy": greedy[0].correct,
            "pass@k": {str(2**k): pass_at_k(samples, right, 2**k) for k in range(samples.bit_length())},
        }
        for group, greedy, (samples, right) in zip(result.sampled, result.greedy, counts, strict=True)
    ]
    return {"solvability": None if found is None else found.to_json(), "by_problem": problems}


def _answers(section: FinalEvalSection, collector: Collector) -> Evaluation:
    """Sampled and greedy answers, with progress."""
    count = available(collector.task, section.split, section.problems)
    measured = 0
    with StepProgress("eval", count) as progress:

        def told(sampled: Sequence[Group], greedy: Sequence[Group]) -> None:
            nonlocal measured
            done, row = len(sampled), {}
            if progress.drawn and (done == count or done >= GROWTH * measured):
                row, measured = so_far(sampled, greedy), done
            progress.update(done, row, lambda right: telling(sampled[-NEWEST:], right=right))

        return evaluate(
            collector, problems=section.problems, samples=section.samples, split=section.split, progress=told
        )
