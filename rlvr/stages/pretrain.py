"""``rlvr pretrain``: a model from scratch, by predicting the next token of documents."""

from rlvr.config import PretrainConfig, PromptConfig
from rlvr.corpus import make_corpus
from rlvr.models.scratch import build_model
from rlvr.models.tokenizer import build_tokenizer, make_codec
from rlvr.models.trained import choose_trained
from rlvr.rewards import graders_used
from rlvr.runtime.device import start
from rlvr.runtime.run_dir import RunDirectory
from rlvr.runtime.seeding import derive
from rlvr.stages.documents import fit_documents


def run(config: PretrainConfig, run: RunDirectory) -> None:
    """Build tokenizer and model from the documents' text and a few dials, then fit the documents."""
    device = start(config, run, graders_used(config.reward))
    corpus = make_corpus(config.data, config.task, config.seed)
    tokenizer = build_tokenizer(config.tokenizer, corpus.texts(), config.model.max_positions)
    model = build_model(config.model, tokenizer, seed=derive(config.seed, "model"), device=device)
    choose_trained(model, config.train)
    fit_documents(
        config,
        run,
        label="pretrain",
        model=model,
        codec=make_codec(tokenizer, PromptConfig()),
        corpus=corpus,
        whole=config.data.loss_on == "document",
        device=device,
    )
