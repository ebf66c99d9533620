"""``rlvr sft``: imitate responses, by cross-entropy on their tokens alone."""

from rlvr.config import SftConfig
from rlvr.corpus import make_corpus
from rlvr.data.document_batches import DocumentBatches
from rlvr.evaluation import scheduled, with_perplexity
from rlvr.models.pretrained import load_model
from rlvr.runtime.device import start
from rlvr.runtime.run_dir import RunDirectory
from rlvr.train.loop import Fit, fit
from rlvr.train.losses import cross_entropy


def run(config: SftConfig, run: RunDirectory) -> None:
    """Load a model and fit the responses of the documents."""
    device = start(config, run)
    model, codec = load_model(config.model, config.prompt, device)
    corpus = make_corpus(config.data, config.task, config.seed)
    source = DocumentBatches(
        corpus.document,
        codec,
        whole=False,
        longest=model.config.max_position_embeddings,
        batch_tokens=config.train.batch_tokens,
        budget=config.train.micro_batch_tokens,
        device=device,
    )
    fit(
        Fit(
            label="sft",
            model=model,
            tokenizer=codec.tokenizer,
            source=source,
            loss=cross_entropy,
            config=config.train,
            run=run,
            describe=with_perplexity,
            evaluate=scheduled(config, model, codec),
        )
    )
