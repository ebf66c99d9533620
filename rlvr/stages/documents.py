"""What the stages that learn from documents share: their source, their loss and their evaluation."""

import torch
from transformers import PreTrainedModel

from rlvr.collect import check_room
from rlvr.config import DocumentStageConfig
from rlvr.corpus import Corpus
from rlvr.data.document_batches import DocumentBatches
from rlvr.evaluation import HeldOut, scheduled, with_perplexity
from rlvr.models.tokenizer import Codec
from rlvr.rewards import Scorer
from rlvr.runtime.run_dir import RunDirectory
from rlvr.train.gradient import gradient_workers
from rlvr.train.loop import Fit, fit
from rlvr.train.losses import cross_entropy


def fit_documents(
    config: DocumentStageConfig,
    run: RunDirectory,
    *,
    label: str,
    model: PreTrainedModel,
    codec: Codec,
    corpus: Corpus,
    whole: bool,
    device: torch.device,
) -> None:
    """Fit a model to a corpus by cross-entropy; whole: on every token of a document, else on the response alone."""
    check_room(config, model, codec)
    for file in corpus.chats:
        file.check(codec)
    source = DocumentBatches(
        corpus.document,
        codec,
        whole=whole,
        longest=model.config.max_position_embeddings,
        batch_tokens=config.train.batch_tokens,
        budget=config.train.micro_batch_tokens,
        device=device,
        workers=gradient_workers(model),
    )
    held_out = HeldOut(document=corpus.document, whole=whole)
    with Scorer(config.reward) as scorer:
        fit(
            Fit(
                label=label,
                model=model,
                tokenizer=codec.tokenizer,
                source=source,
                loss=cross_entropy,
                config=config.train,
                run=run,
                track=config.track or (),
                describe=with_perplexity,
                evaluate=scheduled(config, model, codec, scorer, held_out),
            )
        )
