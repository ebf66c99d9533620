"""Everything that can be known about a run before it starts, without torch: mistakes, sizes, token counts."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from rlvr.config import (
    DataConfig,
    DocumentStageConfig,
    EvalConfig,
    LoraConfig,
    MixtureConfig,
    NoiseConfig,
    OwnConfig,
    PretrainConfig,
    ProblemsConfig,
    PromptConfig,
    RewardConfig,
    RlConfig,
    SftConfig,
    StageConfig,
    TaskConfig,
    TokenizerConfig,
    TrainConfig,
)
from rlvr.corpus import Corpus, make_corpus
from rlvr.curriculum import level_tasks, make_source
from rlvr.errors import RlvrError
from rlvr.gold import CHECKED, check_gold
from rlvr.lint import lint, single_tasks
from rlvr.models.cache_size import cache_shape_of
from rlvr.models.counting import counted_by
from rlvr.models.limits import Limits, read_limits
from rlvr.models.location import ModelLocation, count_parameters, locate, vocabulary_in
from rlvr.models.parts import adapter_sizes, frozen_size, need_peft
from rlvr.models.prompts import plain_prompt
from rlvr.models.vetting import stored_tensors
from rlvr.models.vocabulary import THINK, parameter_count, vocabulary, vocabulary_size
from rlvr.recorded import recorded_files
from rlvr.room import asked, cached_rows, check_prompts, itemsize_of, sampling_of
from rlvr.runtime.files import reading
from rlvr.runtime.manifest import sha256
from rlvr.runtime.tracking import require_trackers
from rlvr.tasks import make_members, make_task
from rlvr.tasks.task import Task, available, name_of
from rlvr.types import Split

BYTES = 4
"""Of one float32 number: weights, gradients and optimizer state are kept in float32."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a run will take.

    parameters: of the model; None if its weights are not there yet.
    trained: how many numbers the optimizer moves: all parameters, those that are not frozen, or those of an adapter; None if
        the weights are not there yet, or nothing is trained.
    memory_bytes: of weights and their copies, when training of gradients and optimizer state, and of the cache; activations
        come on top.
    cache_bytes: of keys and values while sampling, at most; None if the model is not known.
    tokens: upper bounds, by what they are spent on.
    """

    parameters: int | None
    memory_bytes: int | None
    tokens: dict[str, int]
    cache_bytes: int | None = None
    trained: int | None = None
    warnings: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def plan(config: StageConfig, *, starting: bool) -> Plan:
    """Check all that the schema cannot, and add up what the run will take.

    starting: the run is about to start, so its model must be there; else a missing one is a warning.
    Raises RlvrError for whatever is wrong with the input.
    """
    require_trackers(config.track or ())
    made = _with_cache(config, _plan(config, starting))
    made.warnings.extend(lint(config, made.parameters))
    return made


def inputs(config: StageConfig) -> dict[str, str]:
    """The SHA-256 of every file that the run learns or starts from, by path. A data set on the hub is not among them."""
    tasks: list[object] = list(single_tasks(getattr(config, "task", None)).values())
    paths: list[str | None] = []
    data: DataConfig | None = getattr(config, "data", None)
    for source in (data.sources or []) if data is not None else []:
        paths += [source.text, source.chats]
        tasks.append(source.task)
    for task in tasks:
        paths += task.files if isinstance(task, ProblemsConfig) else []
    own: OwnConfig | None = getattr(getattr(config, "reward", None), "own", None)
    if own is not None:
        paths.append(own.file)
    files = [file for path in paths if path is not None for file in _files(Path(path))]
    model = getattr(config, "model", None)
    teacher = None
    if isinstance(config, RlConfig):
        teacher = config.algo.teacher
        files += recorded_files(config.algo.offline) if config.algo.offline is not None else []
    for location in (locate(name) for name in (model, teacher) if isinstance(name, str)):
        if location is not None and location.kind == "directory":
            files += sorted(Path(location.path).glob("model*.safetensors"))
        elif location is not None and location.file is not None:
            files.append(Path(location.path) / location.file)
    found = {}
    for file in files:
        with reading(file):
            found[str(file)] = sha256(file)
    return found


def _files(path: Path) -> list[Path]:
    """A file, or the files of a folder."""
    return sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]


def _plan(config: StageConfig, starting: bool) -> Plan:
    if isinstance(config, PretrainConfig):
        return _plan_pretrain(config)
    if isinstance(config, SftConfig):
        _check_documents(config)
        return _with_model(config.model, config.train, {"train": _document_tokens(config)}, starting, lora=config.lora)
    if isinstance(config, RlConfig):
        return _plan_rl(config, starting)
    assert isinstance(config, EvalConfig)
    return _plan_eval(config, starting)


def _plan_pretrain(config: PretrainConfig) -> Plan:
    corpus = _check_documents(config)
    _check_vocabulary(config.tokenizer, corpus)
    _check_lengths(config, corpus)
    parameters = parameter_count(config.model, vocabulary_size(config.tokenizer, corpus.texts()))
    return Plan(
        parameters=parameters,
        memory_bytes=parameters * _bytes_each(config.train),
        tokens={"train": _document_tokens(config)},
        trained=parameters,
    )


def _with_cache(config: StageConfig, made: Plan) -> Plan:
    """The plan with the cache of what is sampled. RlvrError if prompts or a row of the cache do not fit.

    Prompts are counted as they are without a chat template: the run counts them again once its tokenizer is there.
    """
    problems, sampling = asked(config), sampling_of(config)
    if not problems or sampling is None:
        return made
    positions: int | None
    questions = [problem.question for problem in problems]
    if isinstance(config, PretrainConfig):
        shape, positions = cache_shape_of(config.model), config.model.max_positions
        lengths = [1 + counted_by(config.tokenizer).count(question) for question in questions]  # with <bos>
    else:
        location = locate(config.model)  # type: ignore[attr-defined]
        shape, limits = cache_shape_of(location), read_limits(location)
        positions = None if limits is None else limits.positions
        count = counted_by(location).count if limits is None else limits.length
        prompt: PromptConfig = config.prompt  # type: ignore[attr-defined]
        lengths = [count(plain_prompt(question, prompt)) for question in questions]
    limit = sampling.max_new_tokens
    longest = check_prompts(problems, lengths, max_new_tokens=limit, positions=positions) + limit
    if shape is None:
        return made
    cache = cached_rows(config, shape, positions=longest) * shape.row_bytes(longest, itemsize_of(config))
    memory = None if made.memory_bytes is None else made.memory_bytes + cache
    return replace(made, memory_bytes=memory, cache_bytes=cache)


def _check_documents(config: DocumentStageConfig) -> Corpus:
    """The corpus, after every source has given a document of each split that is used."""
    corpus = make_corpus(config.data, config.task, config.seed)
    for document in corpus.sources:
        document("train", 0)
        if config.eval is not None:
            document("test", 0)
    if config.eval is not None and config.task is not None:
        _check_task(config.task, config.reward, ("test",), config.seed)
    return corpus


def _check_lengths(config: PretrainConfig, corpus: Corpus) -> None:
    """RlvrError if one of the first documents is longer than the model's positions (for bpe that is seen in training)."""
    if config.tokenizer.kind == "bpe":
        return
    for index in range(64):
        document = corpus.document("train", index)
        text = f"{document.prompt} {document.response}"
        characters = text.replace(THINK[0], "#").replace(THINK[1], "#")
        tokens = 2 + (len(text.split()) if config.tokenizer.kind == "words" else len(characters) - 1)
        if tokens > config.model.max_positions:
            raise RlvrError(
                "model.max_positions",
                f"document {index} of {document.source} has about {tokens} tokens",
                got=config.model.max_positions,
                remedy="raise it, or shorten the task or the block",
            )


def _check_vocabulary(tokenizer: TokenizerConfig, corpus: Corpus) -> None:
    """RlvrError if the tasks' own questions and answers have words that a tokenizer of words would not know."""
    if tokenizer.kind != "words":
        return
    known = set(vocabulary(tokenizer.kind, corpus.texts()))
    for task in corpus.tasks:
        for index in range(available(task, "test", 16)):
            problem = task.problem("test", index)
            for word in f"{problem.question} {task.gold_response(problem)}".split():
                if word not in known:
                    raise RlvrError(
                        "tokenizer.kind",
                        f"words cannot write the task {task.name}: {word!r} is not among the words of its training documents",
                        got="words",
                        allowed="characters, bpe",
                        remedy="set tokenizer.kind: characters",
                    )


def _plan_rl(config: RlConfig, starting: bool) -> Plan:
    splits: tuple[Split, ...] = ("train",) if config.eval is None else ("train", "test")
    _check_noise(config.reward.noise, make_task(config.task, config.seed))
    _check_task(config.task, config.reward, splits, config.seed)
    limits = read_limits(locate(config.model))
    for level in level_tasks(config):
        check_gold(level, config.reward, ("train",))
        if limits is not None:
            _check_limits(level, limits, config.rollout.max_new_tokens)
    rollouts = config.rollout.problems_per_step * config.rollout.group_size
    tokens = {"rollout (at most)": config.train.max_steps * rollouts * config.rollout.max_new_tokens}
    if config.algo.offline is not None:
        recorded_files(config.algo.offline)
        tokens = {}
    made = _with_model(config.model, config.train, tokens, starting, lora=config.lora)
    teacher = config.algo.teacher
    taught = _with_model(teacher, None, {}, starting, key="algo.teacher") if teacher is not None else None
    if teacher is not None and taught is not None:
        made.warnings.extend(taught.warnings)
        _check_same_vocabulary(config.model, teacher)
    made.warnings.extend(_few_selected(config))
    if made.parameters is None or made.memory_bytes is None or made.trained is None:
        return made
    # Copies of what is trained: those that rollouts are sampled from, with the newest, and the reference.
    copies = (config.algo.staleness + 1 if config.algo.staleness else 0) + int(config.algo.kl is not None)
    beside = BYTES * copies * made.trained + (taught.memory_bytes or 0 if taught is not None else 0)
    if config.algo.advantage == "gae":  # the value model
        beside += _memory(made.parameters, made.trained, config.train, adapter=config.lora is not None)
    return replace(made, memory_bytes=made.memory_bytes + beside)


def _check_same_vocabulary(model: str, teacher: str) -> None:
    """RlvrError if it can be seen without loading them that a teacher's tokens are not the model's."""
    found = [vocabulary_in(location) for location in (locate(model), locate(teacher)) if location is not None]
    if len(found) == 2 and None not in found and found[0] != found[1]:
        raise RlvrError(
            "algo.teacher",
            "has another tokenizer than the model",
            got=teacher,
            remedy="choose a teacher of the same family",
        )


def _few_selected(config: RlConfig) -> list[str]:
    """Selections that hold fewer problems than their share of a step."""
    members = config.task.tasks if isinstance(config.task, MixtureConfig) else {}
    weights = {f"task/{name}/": member.weight for name, member in members.items()} or {"": 1.0}
    metrics, found = make_source(config).metrics(), []
    for prefix, weight in weights.items():
        active = metrics.get(f"{prefix}problems/active")
        needed = math.ceil(config.rollout.problems_per_step * weight / sum(weights.values()))
        if active is not None and active < needed:
            where = "" if not prefix else f" of {prefix.split('/')[1]}"
            found.append(
                f"{active:.0f} problems{where} are selected, and a step needs {needed}: some are visited more than once in it"
            )
    return found


def _check_task(task: TaskConfig, reward: RewardConfig, splits: tuple[Split, ...], seed: int) -> None:
    """Every task of a section has problems in these splits, and the reward pays their gold answers."""
    for member in make_members(task, seed).values():
        for split in splits:
            member.problem(split, 0)
        check_gold(member, reward, splits)


def _check_limits(level: Task, limits: Limits, max_new_tokens: int) -> None:
    """RlvrError if the model cannot read a level's problems, or its tokenizer cannot write their answers."""
    for index in range(CHECKED):
        problem = level.problem("train", index)
        length = limits.length(problem.question)
        if limits.positions is not None and length + max_new_tokens > limits.positions:
            raise RlvrError(
                "curriculum.values",
                f"{name_of(problem)} has {length} tokens, and the model has {limits.positions} positions for it and "
                f"rollout.max_new_tokens {max_new_tokens}",
                remedy="leave out the hardest levels, or lower rollout.max_new_tokens",
            )
        word = limits.unknown_word(f"{problem.question} {level.gold_response(problem)}")
        if word is not None:
            raise RlvrError(
                "curriculum.values",
                f"the model's tokenizer does not know {word!r} of {name_of(problem)}",
                remedy="leave out that level, or train a model whose documents have it",
            )


def _check_noise(noise: NoiseConfig | None, task: Task) -> None:
    for mode in noise.modes if noise is not None else ():
        if mode not in task.modes:
            raise RlvrError(
                "reward.noise.modes", f"{task.name} has no such mode", got=mode, allowed=", ".join(task.modes)
            )


def _plan_eval(config: EvalConfig, starting: bool) -> Plan:
    if config.data is not None:
        make_corpus(config.data, config.task, config.seed).document("test", 0)
    if config.task is None:
        return _with_model(config.model, None, {}, starting)
    task = make_task(config.task, config.seed)
    _check_task(config.task, config.reward, (config.eval.split,), config.seed)
    problems = available(task, config.eval.split, config.eval.problems)
    tokens = {"rollout (at most)": problems * (config.eval.samples + 1) * config.rollout.max_new_tokens}
    plan = _with_model(config.model, None, tokens, starting)
    if problems < config.eval.problems:
        plan.warnings.append(f"the {config.eval.split} split has {problems} problems; all of them are evaluated")
    return plan


def _with_model(
    model: str,
    train: TrainConfig | None,
    tokens: dict[str, int],
    starting: bool,
    *,
    key: str = "model",
    lora: LoraConfig | None = None,
) -> Plan:
    if lora is not None:
        need_peft()
    location = locate(model)
    if location is None:
        if starting:
            raise RlvrError(
                key, "no such file or directory", got=model, remedy="run the stage that makes it, or mend the path"
            )
        return Plan(parameters=None, memory_bytes=None, tokens=tokens, warnings=[f"{key} {model} is not there yet"])
    parameters = count_parameters(location)
    trained = None if parameters is None or train is None else parameters - _frozen_in(location, train)
    merged = 0
    if lora is not None and parameters is not None:
        trained, targets = adapter_sizes(lora, stored_tensors(Path(location.path)))
        merged = targets * (2 if train is not None and train.dtype == "bfloat16" else BYTES)  # what is sampled from
    memory = None if parameters is None else _memory(parameters, trained, train, adapter=lora is not None) + merged
    warnings = [f"{key} {model}: {damaged}; {Path(location.path).name} is taken instead" for damaged in location.passed]
    return Plan(parameters=parameters, memory_bytes=memory, tokens=tokens, trained=trained, warnings=warnings)


def _frozen_in(location: ModelLocation, train: TrainConfig) -> int:
    return 0 if train.freeze is None else frozen_size(train.freeze, stored_tensors(Path(location.path)))


def _memory(parameters: int, trained: int | None, train: TrainConfig | None, *, adapter: bool) -> int:
    """Bytes of weights, and of the gradients and the optimizer's moments of those that are trained."""
    weights = parameters + (trained or 0 if adapter else 0)
    return BYTES * weights + (_bytes_each(train) - BYTES) * (trained or 0)


def _bytes_each(train: TrainConfig | None) -> int:
    """Bytes for one parameter: its weight, and when training its gradient and the optimizer's moments."""
    if train is None:
        return BYTES
    moments = int(bool(train.momentum)) if train.optimizer == "sgd" else 2
    return BYTES * (2 + moments)


def _document_tokens(config: DocumentStageConfig) -> int:
    return config.train.max_steps * config.train.batch_tokens
