"""``rlvr pretrain``: a model from scratch, by predicting the next token of documents."""

from rlvr.config import PretrainConfig, PromptConfig
from rlvr.corpus import make_corpus
from rlvr.data.document_batches import DocumentBatches
from rlvr.evaluation import scheduled, with_perplexity
from rlvr.models.scratch import build_model
from rlvr.models.tokenizer import build_tokenizer, make_codec
from rlvr.runtime.device import start
from rlvr.runtime.run_dir import RunDirectory
from rlvr.runtime.seeding import derive
from rlvr.train.loop import Fit, fit
from rlvr.train.losses import cross_entropy


def run(config: PretrainConfig, run: RunDirectory) -> None:
    """Build tokenizer and model from the documents' text and a few dials, then fit the documents."""
    device = start(config, run)
    corpus = make_corpus(config.data, config.task, config.seed)
    tokenizer = build_tokenizer(config.tokenizer, corpus.texts(), config.model.max_positions)
    codec = make_codec(tokenizer, PromptConfig())
    model = build_model(config.model, tokenizer, seed=derive(config.seed, "model"), device=device)
    source = DocumentBatches(
        corpus.document,
        codec,
        whole=config.data.loss_on == "document",
        longest=config.model.max_positions,
        batch_tokens=config.train.batch_tokens,
        budget=config.train.micro_batch_tokens,
        device=device,
    )
    fit(
        Fit(
            label="pretrain",
            model=model,
            tokenizer=tokenizer,
            source=source,
            loss=cross_entropy,
            config=config.train,
            run=run,
            describe=with_perplexity,
            evaluate=scheduled(config, model, codec),
        )
    )
