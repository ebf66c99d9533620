"""What a configuration allows and a run would regret: impossible settings are refused, unwise ones warned about. No torch.

A rule is a function of what is known that yields warnings, or raises RlvrError for what cannot work. All are in one list.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

from rlvr.config import (
    ANSWERS,
    AnswerConfig,
    ComponentConfig,
    DocumentStageConfig,
    EvalConfig,
    EvalSection,
    FinalEvalSection,
    LengthConfig,
    MixtureConfig,
    ModsumConfig,
    OwnConfig,
    PretrainConfig,
    RewardConfig,
    RlConfig,
    SamplingConfig,
    SftConfig,
    SingleTaskConfig,
    StageConfig,
    TaskConfig,
    TrainConfig,
)
from rlvr.errors import RlvrError
from rlvr.gold import has_gold_response, to_attempt
from rlvr.models.counting import TokenCount, counted_by
from rlvr.models.location import locate
from rlvr.rewards import Attempt, RewardSum
from rlvr.rewards.abstain import abstains
from rlvr.rewards.code import sandbox_warning
from rlvr.rewards.components import Components
from rlvr.runtime.seeding import generator
from rlvr.statistics import wilson
from rlvr.tasks import make_members, make_task
from rlvr.tasks.task import Task, available
from rlvr.types import Problem, Split

LOOKED_AT = 16
"""Problems whose worked answers are looked at in each mode."""

WIDEST = 0.15
"""Half-width of a 95 % interval beyond which an accuracy says next to nothing: 39 answers at an accuracy of one half."""

FAR_TEMPERATURES = (0.8, 1.2)
"""Beyond these, what is sampled and trained is visibly not the policy that is used afterwards."""

LARGE = 4e8
"""Weights from which on fine-tuning all of them takes small steps: 1e-6 is usual, more than 1e-5 in RL breaks models."""

SMALL = 5e7
"""Weights up to which 1e-4 to 1e-3 is usual."""

CHEAP = ("exact", "number", "choice", "json")
"""Components that grade at once, in this process."""


@dataclass(frozen=True)
class Facts:
    """What is known of a run before it starts. parameters: of its model; None if it is not there."""

    config: StageConfig
    parameters: int | None

    @cached_property
    def task(self) -> Task | None:
        """The task whose problems are answered or learnt from."""
        task: TaskConfig | None = getattr(self.config, "task", None)
        return None if task is None else make_task(task, self.config.seed)

    @property
    def train(self) -> TrainConfig | None:
        return getattr(self.config, "train", None)

    @property
    def evaluation(self) -> EvalSection | FinalEvalSection | None:
        return getattr(self.config, "eval", None)

    @property
    def split(self) -> Split:
        """The split whose problems are answered, or answered most."""
        if isinstance(self.config, EvalConfig):
            return self.config.eval.split
        return "train" if isinstance(self.config, RlConfig) else "test"

    @property
    def answers(self) -> tuple[SamplingConfig, RewardConfig] | None:
        """How problems are answered and graded; None if they are not."""
        config = self.config
        if self.task is None or (isinstance(config, DocumentStageConfig) and config.eval is None):
            return None
        assert isinstance(config, DocumentStageConfig | RlConfig | EvalConfig)
        return config.rollout, config.reward

    @cached_property
    def tokens(self) -> TokenCount:
        """How the model's tokens are counted."""
        if isinstance(self.config, PretrainConfig):
            return counted_by(self.config.tokenizer)
        model = getattr(self.config, "model", None)
        return counted_by(locate(model) if isinstance(model, str) else None)

    def problems(self) -> list[Problem]:
        """The first problems of the split."""
        assert self.task is not None
        return _first_problems(self.task, self.split)

    def worked_answers(self) -> Iterator[tuple[str, Attempt, str]]:
        """The mode, with its task's name in a mixture, of a demonstrator's response, that as an attempt, and its text."""
        if self.answers is None:
            return
        reward, config = RewardSum(self.answers[1]), self.config
        members = make_members(config.task, config.seed)  # type: ignore[attr-defined]
        for name, task in members.items():
            for mode in task.modes:
                for problem in _first_problems(task, self.split):
                    if has_gold_response(problem, reward):
                        text = task.respond(problem, mode, generator(config.seed, "lint", mode, problem.index))
                        yield mode if len(members) == 1 else f"{name}/{mode}", to_attempt(task, problem, text), text


def _first_problems(task: Task, split: Split) -> list[Problem]:
    return [task.problem(split, index) for index in range(available(task, split, LOOKED_AT))]


def single_tasks(task: TaskConfig | None) -> dict[str, SingleTaskConfig]:
    """The tasks that a ``task`` section names, by the key that each stands at."""
    if task is None:
        return {}
    if isinstance(task, MixtureConfig):
        return {f"task.tasks.{name}.task": member.task for name, member in task.tasks.items()}
    return {"task": task}


def lint(config: StageConfig, parameters: int | None) -> list[str]:
    """What is unwise about a configuration that the schema allows. RlvrError for what cannot work."""
    facts = Facts(config, parameters)
    return [warning for rule in RULES for warning in rule(facts)]


# ------------------------------------------------------------------------------------------------ the task


def _task_warnings(facts: Facts) -> Iterator[str]:
    yield from facts.task.warnings if facts.task is not None else ()


def _dials_without_demonstrator(facts: Facts) -> Iterator[str]:
    config = facts.config
    oracle = isinstance(config, RlConfig) and config.algo.credit == "oracle"
    if isinstance(config, DocumentStageConfig) or getattr(config, "data", None) is not None or oracle:
        return
    for where, single in single_tasks(getattr(config, "task", None)).items():
        for dial in ("error_rate", "distractors"):
            if isinstance(single, ModsumConfig) and getattr(single, dial):
                yield f"{where}.{dial} has no effect here: no demonstrator writes anything"


def _worked_answers_that_do_not_fit(facts: Facts) -> Iterator[str]:
    if facts.answers is None:
        return
    sampling, reward = facts.answers
    lengths: dict[str, list[int]] = {}
    for mode, _, text in facts.worked_answers():
        lengths.setdefault(mode, []).append(facts.tokens.count(text) + 1)  # and the end
    limit = sampling.max_new_tokens
    shortest = min((min(own) for own in lengths.values()), default=0)
    own_rules = any(isinstance(component, OwnConfig) for _, component in reward.components())
    if shortest - 1 > limit and facts.tokens.exact and not own_rules:
        raise RlvrError(
            "rollout.max_new_tokens",
            f"no worked answer of the task fits, in any of its modes ({', '.join(lengths)})",
            got=limit,
            allowed=f"at least {shortest}",
            remedy="raise it",
        )
    unit = "tokens" if facts.tokens.exact else "words, each a token or more"
    for mode, own in lengths.items():
        if cut := sum(length > limit for length in own):
            yield (
                f"rollout.max_new_tokens {limit} cuts off {cut} of the {len(own)} worked answers of mode {mode} that were looked at: "
                f"they have up to {max(own)} {unit}; raise it"
            )


# ------------------------------------------------------------------------------------------------ the reward


def _what_no_mode_earns(facts: Facts) -> Iterator[str]:
    if facts.answers is None:
        return
    reward = facts.answers[1].model_copy(update={"own": None})  # which must not run in this process
    here = [name for name, component in reward.components() if _grades_at_once(name, component)]
    if not here:
        return
    components = Components(reward)
    best: dict[tuple[str, str], float] = {}
    for mode, attempt, text in facts.worked_answers():
        if abstains(text):
            continue  # is not meant to be right
        for name in here:
            verdict = components.verdict(name, attempt)
            if verdict is not None:
                best[name, mode] = max(best.get((name, mode), 0.0), verdict.reward)
    for name in here:
        modes = {mode: marks for (component, mode), marks in best.items() if component == name}
        missing = [mode for mode, marks in modes.items() if marks <= 0]
        if missing and len(missing) == len(modes):
            yield f"reward.{name} is earned by none of the task's modes ({', '.join(modes)}): nothing shows how to a model that does not do it by itself; remove it, or choose another task"
        elif name in ANSWERS:
            for mode in missing:
                yield f"reward.{name} refuses every worked answer of mode {mode}, though they are right: that mode can only lose; mend how the answer is found (extract)"


def _grades_at_once(name: str, component: ComponentConfig | AnswerConfig) -> bool:
    """Whether it pays for something in a text, and needs no process that can be ended."""
    if isinstance(component, LengthConfig) or (isinstance(component, ComponentConfig) and component.weight < 0):
        return False
    return name not in ANSWERS or (name in CHEAP and getattr(component, "pattern", None) is None)


def _code_without_its_sandbox(facts: Facts) -> Iterator[str]:
    reward: RewardConfig | None = getattr(facts.config, "reward", None)
    if reward is not None and reward.code is not None and (fallback := sandbox_warning()) is not None:
        yield fallback


# ------------------------------------------------------------------------------------------------ sampling


def _temperature(facts: Facts) -> Iterator[str]:
    if not isinstance(facts.config, RlConfig):
        return
    temperature, (low, high) = facts.config.rollout.temperature, FAR_TEMPERATURES
    if not low <= temperature <= high:
        yield (
            f"rollout.temperature {temperature:g} is far from 1: log-probabilities, ratios and entropy are those at that temperature, so "
            "another policy is trained than the one that is used at 1"
        )


def _ends_ruled_out(facts: Facts) -> Iterator[str]:
    if isinstance(facts.config, RlConfig) and facts.config.rollout.min_new_tokens:
        yield "rollout.min_new_tokens rules out ends that the policy would write: such tokens train it off-policy"


def _restricted_draws(facts: Facts) -> Iterator[str]:
    if not isinstance(facts.config, RlConfig):
        return
    rollout = facts.config.rollout
    if used := [
        f"rollout.{key} {value:g}" for key in ("top_k", "top_p") if (value := getattr(rollout, key)) is not None
    ]:
        yield (
            f"{', '.join(used)}: rollouts lack tokens that the policy would write, and the loss takes them for the whole policy's: "
            "they train it off-policy, and what is unlikely is never tried; leave that to rlvr eval"
        )


def _stop_strings_in_worked_answers(facts: Facts) -> Iterator[str]:
    if facts.answers is None or facts.answers[0].stop_strings is None:
        return
    strings = facts.answers[0].stop_strings
    cut: dict[str, list[bool]] = {}
    for mode, _, text in facts.worked_answers():
        cut.setdefault(mode, []).append(any(text.partition(string)[2].strip() for string in strings))
    for mode, own in cut.items():
        if any(own):
            yield f"rollout.stop_strings end {sum(own)} of the {len(own)} worked answers of mode {mode} that were looked at before their end; choose strings that come after an answer"


def _batch_without_a_group(facts: Facts) -> Iterator[str]:
    config = facts.config
    if isinstance(config, RlConfig):
        name, size = "rollout.group_size", config.rollout.group_size
    elif isinstance(config, EvalConfig) and config.task is not None:
        name, size = "eval.samples", config.eval.samples
    else:
        return
    if config.rollout.engine == "hf" and config.rollout.batch_size < size:
        yield (
            f"rollout.batch_size {config.rollout.batch_size} cannot hold the {size} completions of one problem ({name}), which hf decodes together: "
            f"memory is bounded by {size}; raise it, or lower {name}"
        )


def _lone_rollout(facts: Facts) -> Iterator[str]:
    config = facts.config
    if not isinstance(config, RlConfig) or config.algo.advantage != "batch_standardised":
        return
    if config.rollout.group_size * config.rollout.problems_per_step < 2:
        raise RlvrError(
            "rollout.problems_per_step",
            f"one rollout a step with algo.advantage {config.algo.advantage} makes every advantage 0",
            got=config.rollout.problems_per_step,
            allowed="at least 2",
        )
    yield from ()


def _rows_beyond_the_micro_batch(facts: Facts) -> Iterator[str]:
    config = facts.config
    if not isinstance(config, RlConfig) or facts.task is None:
        return
    longest = max(facts.tokens.count(problem.question) for problem in facts.problems()) + config.rollout.max_new_tokens
    if config.train.micro_batch_tokens < longest:
        yield (
            f"train.micro_batch_tokens {config.train.micro_batch_tokens} is less than one rollout may have ({longest} tokens with its prompt), so it does not "
            "bound memory: such a rollout is a batch by itself; raise it, or lower rollout.max_new_tokens"
        )


# ------------------------------------------------------------------------------------------------ training


def _penalty_without_gradient(facts: Facts) -> Iterator[str]:
    kl = facts.config.algo.kl if isinstance(facts.config, RlConfig) else None
    if kl is not None and (kl.where, kl.estimator) == ("loss", "k1"):
        yield "algo.kl.estimator k1 in the loss has no gradient in expectation; k2 has the divergence's"


def _learning_rate(facts: Facts) -> Iterator[str]:
    train, size = facts.train, facts.parameters
    if train is None or size is None or train.optimizer == "sgd":  # whose rates have the scale of the gradient
        return
    kind, (low, high) = "trained", (1e-5, 1e-2)
    if not isinstance(facts.config, PretrainConfig) and size >= SMALL:
        kind, low, high = "fine-tuned", 1e-8, 1e-4
        if size >= LARGE and not isinstance(facts.config, SftConfig):
            high = 1e-5
        if getattr(facts.config, "lora", None) is not None:  # whose best rate is about ten times that of all weights
            kind, low, high = "fine-tuned through an adapter", 10 * low, 10 * high
    if not low <= train.learning_rate <= high:
        side = "above" if train.learning_rate > high else "below"
        yield f"train.learning_rate {train.learning_rate:g} is far {side} what models of {size:,} weights are {kind} with ({low:g} to {high:g})"


def _warm_up(facts: Facts) -> Iterator[str]:
    train = facts.train
    if train is not None and train.warmup_steps >= train.max_steps:
        yield f"training ends in its warm-up: {train.max_steps} of {train.warmup_steps} steps"


def _never_due(facts: Facts) -> Iterator[str]:
    """A default that is larger is no mistake: the last step is always saved and evaluated."""
    train, evaluation = facts.train, facts.evaluation
    if train is None:
        return
    if "save_every" in train.model_fields_set and train.save_every > train.max_steps:
        yield f"train.save_every {train.save_every} exceeds train.max_steps {train.max_steps}: a run that is killed begins anew"
    if isinstance(evaluation, EvalSection) and evaluation.every > train.max_steps:
        yield f"eval.every {evaluation.every} exceeds train.max_steps {train.max_steps}: only the last step is evaluated"


def _wide_interval(facts: Facts) -> Iterator[str]:
    section, task = facts.evaluation, facts.task
    if section is None or task is None:
        return
    split = section.split if isinstance(section, FinalEvalSection) else "test"
    count = available(task, split, section.problems)
    low, high = wilson(0.5, count)
    if (high - low) / 2 > WIDEST:
        remedy = "40 know it to ±0.15, 256 to ±0.06" if count == section.problems else f"the {split} split has no more"
        yield f"eval.problems {section.problems}: an accuracy of 0.5 is known to ±{(high - low) / 2:.2f} (95 %) from {count} problems; {remedy}"


Rule = Callable[[Facts], Iterator[str]]

RULES: tuple[Rule, ...] = (
    _task_warnings,
    _dials_without_demonstrator,
    _worked_answers_that_do_not_fit,
    _what_no_mode_earns,
    _code_without_its_sandbox,
    _temperature,
    _ends_ruled_out,
    _restricted_draws,
    _stop_strings_in_worked_answers,
    _batch_without_a_group,
    _lone_rollout,
    _rows_beyond_the_micro_batch,
    _penalty_without_gradient,
    _learning_rate,
    _warm_up,
    _never_due,
    _wide_interval,
)
"""Every rule. What the schema can refuse by itself is refused there (config/): a setting without effect, a group of one with a
group's baseline, a clip while the ratio is 1."""
