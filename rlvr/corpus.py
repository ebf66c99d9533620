"""Documents out of tasks and text files: what pretraining and SFT learn, and what a tokenizer is built from."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

from rlvr.config import DataConfig, DocumentStageConfig, EvalConfig, Mixture, RlConfig, StageConfig, TaskConfig
from rlvr.curriculum import make_source
from rlvr.data.chats import ChatFile
from rlvr.data.documents import DocumentSource, mix
from rlvr.data.text import TEXT_MODE, TextFile
from rlvr.errors import RlvrError, did_you_mean
from rlvr.runtime.seeding import generator
from rlvr.tasks import make_task
from rlvr.tasks.task import Task, available
from rlvr.types import Document, Split


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """The documents of a ``data`` section.

    document: (split, index) -> Document. sources: each one's own, before they were mixed. tasks, files, chats: what
    they are drawn from.
    """

    document: DocumentSource
    sources: list[DocumentSource]
    tasks: list[Task] = field(default_factory=list)
    files: list[TextFile] = field(default_factory=list)
    chats: list[ChatFile] = field(default_factory=list)

    def texts(self) -> Iterator[str]:
        """Texts that hold every token that can occur, for building a tokenizer."""
        for task in self.tasks:
            yield from task.alphabet()
        for file in self.files:
            yield from file.texts()
        for document in take(self.document, "train", 256) if self.tasks else []:
            if document.mode != TEXT_MODE:
                yield f"{document.prompt} {document.response}"


def make_corpus(data: DataConfig, task: TaskConfig | None, seed: int) -> Corpus:
    """The corpus of a ``data`` section; ``task`` is the stage's own, whose modes ``data.mixture`` weighs.

    Raises RlvrError for a mode that a task does not have and for weights that are all zero.
    """
    if data.mixture is not None:
        assert task is not None
        made = make_task(task, seed)
        document = task_documents(made, data.mixture, seed, "data.mixture")
        return Corpus(document=document, sources=[document], tasks=[made])
    sources, weights, tasks, files, chats = [], [], [], [], []
    for number, source in enumerate(data.sources or []):
        # Two sources of one kind draw different documents: each has a seed of its own.
        own = seed if number == 0 else generator(seed, "source", number).getrandbits(63)
        if source.task is not None and source.mixture is not None:
            tasks.append(make_task(source.task, own))
            sources.append(task_documents(tasks[-1], source.mixture, own, f"data.sources.{number}.mixture"))
        elif source.text is not None:
            files.append(TextFile(source.text, source.block, own))
            sources.append(files[-1].document)
        elif source.chats is not None:
            chats.append(ChatFile(source.chats, last_alone=source.turns == "last", seed=own))
            sources.append(chats[-1].document)
        weights.append(source.weight)
    return Corpus(document=mix(sources, weights, seed), sources=sources, tasks=tasks, files=files, chats=chats)


def task_documents(task: Task, mixture: Mixture, seed: int, where: str) -> DocumentSource:
    """Documents of a task: problem number i, answered in a mode drawn by weight."""
    for mode in mixture:
        if mode not in task.modes:
            raise RlvrError(
                f"{where}.{mode}",
                f"task {task.name} has no such mode",
                allowed=", ".join(task.modes),
                remedy=did_you_mean(mode, task.modes) or None,
            )
    if not sum(mixture.values()) > 0:
        raise RlvrError(where, "all weights are zero", got=dict(mixture), remedy="give one mode a weight above 0")
    modes, weights = list(mixture), list(mixture.values())

    def document(split: Split, index: int) -> Document:
        problem = task.problem(split, index)
        rng = generator(seed, "document", task.name, split, index)
        mode = rng.choices(modes, weights)[0]
        response = task.respond(problem, mode, rng)
        return Document(source=task.name, mode=mode, prompt=problem.question, response=response)

    return document


def take(document: DocumentSource, split: Split, count: int, start: int = 0) -> list[Document]:
    """``count`` documents from number ``start`` on."""
    return [document(split, index) for index in itertools.islice(itertools.count(start), count)]


def draw_rows(config: StageConfig, split: Split, count: int) -> list[dict[str, object]]:
    """The first ``count`` documents (pretrain, sft) or problems (rl, eval) of a configuration, as JSON rows.

    Each has question and answer, so that what a task draws can be read again by the task ``problems``; a document of
    plain text has an empty question. Of a file no line comes twice; what RL trains on is what it draws before it has learnt.
    """
    if isinstance(config, DocumentStageConfig):
        document = make_corpus(config.data, config.task, config.seed).document
        return [
            {
                **({"messages": d.chat.messages} if d.chat is not None else {}),
                "question": d.prompt,
                "answer": d.response,
                "mode": d.mode,
                "source": d.source,
            }
            for d in take(document, split, count)
        ]
    assert isinstance(config, RlConfig | EvalConfig)
    if config.task is None:
        raise RlvrError("task", "is missing: there are no problems to draw", remedy="set task")
    task = make_task(config.task, config.seed)
    wanted = available(task, split, count)
    if isinstance(config, RlConfig) and split == "train":
        drawn = make_source(config).next(1, wanted)
        problems = list({(p.task, p.metadata.get("line", p.index)): p for p in reversed(drawn)}.values())[::-1]
    else:
        problems = [task.problem(split, index) for index in range(wanted)]
    return [
        {**p.metadata, "question": p.question, "answer": p.answer, "task": p.task, "split": p.split, "index": p.index}
        for p in problems
    ]
