"""``rlvr eval``: what a model can do on a task, with 95 % intervals."""

from rlvr.collect import make_collector, to_json
from rlvr.config import EvalConfig
from rlvr.corpus import make_corpus, take
from rlvr.data.text import to_samples
from rlvr.evaluation import document_metrics, evaluate
from rlvr.models.pretrained import load_model
from rlvr.runtime import signals
from rlvr.runtime.device import start
from rlvr.runtime.files import write_json, write_jsonl
from rlvr.runtime.metrics import MetricsFile
from rlvr.runtime.run_dir import RunDirectory
from rlvr.types import Metrics

TOKENS_AT_ONCE = 16384


def run(config: EvalConfig, run: RunDirectory) -> Metrics:
    """Measure, and write eval.json, a row of metrics and every rollout."""
    device = start(config, run)
    model, codec = load_model(config.model, config.prompt, device)
    collector = make_collector(
        model, codec, task=config.task, reward=config.reward, rollout=config.rollout, seed=config.seed
    )
    with signals.watched():
        section = config.eval
        result = evaluate(collector, problems=section.problems, samples=section.samples, split=section.split)
        metrics = result.metrics
        if config.data is not None:
            documents = take(make_corpus(config.data, config.task, config.seed).document, "test", config.eval.problems)
            samples = to_samples(documents, codec, whole=False)
            metrics |= document_metrics(
                model, samples, pad_id=codec.pad_id, budget=TOKENS_AT_ONCE, vocab_size=len(codec.tokenizer)
            )
    groups = [*result.sampled, *result.greedy]
    write_jsonl(run.rollouts(0), (to_json(attempt) for group in groups for attempt in group))
    rows = MetricsFile(run.metrics, last_step=-1)
    rows.write(0, metrics)
    rows.close()
    write_json(run.path / "eval.json", {"model": config.model, **metrics})
    return metrics
