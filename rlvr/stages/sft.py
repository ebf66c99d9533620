"""``rlvr sft``: imitate responses, by cross-entropy on their tokens alone."""

from rlvr.config import SftConfig
from rlvr.corpus import make_corpus
from rlvr.models.pretrained import load_model
from rlvr.models.trained import choose_trained
from rlvr.rewards import graders_used
from rlvr.runtime.device import start
from rlvr.runtime.run_dir import RunDirectory
from rlvr.stages.documents import fit_documents


def run(config: SftConfig, run: RunDirectory) -> None:
    """Load a model and fit the responses of the documents."""
    device = start(config, run, graders_used(config.reward))
    model, codec = load_model(config.model, config.prompt, device, config.attention)
    choose_trained(model, config.train, config.lora, base=config.model, seed=config.seed)
    corpus = make_corpus(config.data, config.task, config.seed)
    fit_documents(config, run, label="sft", model=model, codec=codec, corpus=corpus, whole=False, device=device)
