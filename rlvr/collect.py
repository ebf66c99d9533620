"""Problems in, scored groups of rollouts out. RL and evaluation both collect here, so what is evaluated is what is
trained."""

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace

from transformers import PreTrainedModel

from rlvr.algo.filters import has_variance
from rlvr.config import RewardConfig, SamplingConfig, StageConfig, TaskConfig
from rlvr.errors import RlvrError
from rlvr.models.stopping import StopStrings
from rlvr.models.tokenizer import Codec
from rlvr.models.trunk import takes_threads
from rlvr.rewards import Attempt, Reason, RewardSum, Scorer, Verdicts, with_noise
from rlvr.rollout import ENGINES
from rlvr.rollout.cache import shape_in
from rlvr.rollout.engine import Engine
from rlvr.rollout.llama import FAMILY
from rlvr.room import asked, cached_rows, check_prompts, sampling_of
from rlvr.runtime import signals
from rlvr.runtime.seeding import derive
from rlvr.tasks import make_task
from rlvr.tasks.task import Task, name_of
from rlvr.types import Completion, Group, Metrics, Problem, Request, Rollout, Sampling

SIGNAL_SECONDS = 0.2
"""How long a wait for a verdict lasts before signals are looked at."""


@dataclass(frozen=True, kw_only=True)
class Written:
    """A completion and its text, being scored."""

    completion: Completion
    text: str
    verdicts: Future[Verdicts]


@dataclass(frozen=True, kw_only=True)
class Prefix:
    """The first ``cut`` tokens of a rollout, to be gone on from once per seed."""

    rollout: Rollout
    cut: int
    seeds: list[int]


@dataclass(frozen=True, kw_only=True)
class Collector:
    """All that turns problems into scored rollouts.

    batch_size: completions that the engine decodes together at most.
    max_positions: tokens that the model can read, prompt and completion together; None if it sets no bound.
    """

    task: Task
    scorer: Scorer
    reward: RewardSum
    engine: Engine
    codec: Codec
    sampling: Sampling
    batch_size: int
    max_positions: int | None
    seed: int

    def collect(self, problems: Sequence[Problem], *, group_size: int, purpose: str, step: int) -> list[Group]:
        """One group of ``group_size`` sampled and scored rollouts for each problem, in order."""
        written = self.sample(problems, group_size=group_size, purpose=purpose, step=step)
        return self.score(problems, written, step=step)

    def collect_greedy(self, problems: Sequence[Problem]) -> list[Group]:
        """The most likely rollout, token by token, for each problem, as a group of one."""
        seeds = [[0] for _ in problems]
        return self.score(problems, self._generate(problems, seeds, replace(self.sampling, temperature=0.0)), step=0)

    def sample(self, problems: Sequence[Problem], *, group_size: int, purpose: str, step: int) -> list[list[Written]]:
        """``group_size`` completions of each problem, in order; each is being scored from the moment it is written.

        Completion j of problem i draws from a generator of (seed, purpose, step, i, j).
        """
        seeds = [
            [derive(self.seed, purpose, step, problem.index, j) for j in range(group_size)] for problem in problems
        ]
        return self._generate(problems, seeds, self.sampling)

    def score(self, problems: Sequence[Problem], written: Sequence[Sequence[Written]], *, step: int) -> list[Group]:
        """Each problem's completions with their text, mode and rewards, once all of them are scored."""
        return [
            [
                self._rollout(problem, each, derive(self.seed, "noise", step, problem.index, j))
                for j, each in enumerate(group)
            ]
            for problem, group in zip(problems, written, strict=True)
        ]

    def _generate(
        self, problems: Sequence[Problem], seeds: Sequence[list[int]], sampling: Sampling
    ) -> list[list[Written]]:
        prompts = _prompts_ids(self.codec, problems)
        lengths = [len(ids) for ids in prompts]
        check_prompts(problems, lengths, max_new_tokens=sampling.max_new_tokens, positions=self.max_positions)
        requests = [Request(prompt_ids=ids, seeds=own) for ids, own in zip(prompts, seeds, strict=True)]
        written: list[list[Written]] = [[] for _ in problems]

        def finished(index: int, completions: Sequence[Completion]) -> None:
            written[index] = [self.submit(problems[index], completion) for completion in completions]

        self.engine.generate(requests, sampling, finished)
        return written

    def go_on(self, prefixes: Sequence[Prefix]) -> list[list[Written]]:
        """For each prefix the completions that go on from it, the prefix included, being scored.

        The whole of a completion has at most as many tokens as any other.
        """
        requests = [
            Request(
                prompt_ids=each.rollout.completion.prompt_ids + each.rollout.completion.token_ids[: each.cut],
                seeds=each.seeds,
                begun=each.cut,
            )
            for each in prefixes
        ]
        written: list[list[Written]] = [[] for _ in prefixes]

        def finished(index: int, branches: Sequence[Completion]) -> None:
            rollout, cut = prefixes[index].rollout, prefixes[index].cut
            joined = [_joined(rollout.completion, cut, branch) for branch in branches]
            written[index] = [self.submit(rollout.problem, completion) for completion in joined]

        self.engine.generate(requests, self.sampling, finished)
        return written

    def submit(self, problem: Problem, completion: Completion) -> Written:
        """Begin to score a completion of a problem."""
        text = self.codec.text(completion.token_ids)
        attempt = Attempt(
            gold=problem.answer,
            response=text,
            answer=self.task.final_answer(problem, text),
            length=len(completion.token_ids),
            question=problem.question,
            metadata=problem.metadata,
        )
        return Written(completion=completion, text=text, verdicts=self.scorer.submit(attempt))

    def _rollout(self, problem: Problem, written: Written, noise_seed: int) -> Rollout:
        verdicts = _wait(written.verdicts)
        mode, correct = self.task.mode_of(problem, written.text), self.reward.correct(verdicts)
        oracle = self.reward.total(verdicts)
        if self.reward.noise is not None:
            verdicts = with_noise(verdicts, self.reward.noise, correct=correct, mode=mode, seed=noise_seed)
        return Rollout(
            problem=problem,
            prompt=self.codec.prompt(problem.question),
            completion=written.completion,
            text=written.text,
            mode=mode,
            rewards={name: verdict.reward for name, verdict in verdicts.items()},
            reasons={name: verdict.reason.value for name, verdict in verdicts.items()},
            reward=self.reward.total(verdicts),
            oracle=oracle,
            correct=correct,
        )


def _joined(start: Completion, cut: int, branch: Completion) -> Completion:
    """The first tokens of a completion with what a branch wrote after them."""
    return Completion(
        prompt_ids=start.prompt_ids,
        token_ids=start.token_ids[:cut] + branch.token_ids,
        logprobs=start.logprobs[:cut] + branch.logprobs,
        stop_reason=branch.stop_reason,
    )


def _wait(verdicts: Future[Verdicts]) -> Verdicts:
    """The verdicts, or what went wrong; a signal that asks to stop is noticed while waiting."""
    while True:
        try:
            return verdicts.result(timeout=SIGNAL_SECONDS)
        except TimeoutError:
            if verdicts.done():
                raise
            signals.check()


def _prompts_ids(codec: Codec, problems: Sequence[Problem]) -> list[list[int]]:
    """The token ids that a model is given for each problem. RlvrError if there are none: it would have nothing to go on."""
    prompts = codec.prompts_ids([codec.prompt(problem.question) for problem in problems])
    for problem, ids in zip(problems, prompts, strict=True):
        if not ids:
            raise RlvrError(
                name_of(problem),
                "has an empty prompt: 0 tokens for the model",
                remedy="leave the problem out, or mend its question",
            )
    return prompts


def check_room(config: StageConfig, model: PreTrainedModel, codec: Codec) -> None:
    """RlvrError unless the model has room for what the stage will ask of it, prompts written as they will be, and uses the
    attention that was set."""
    problems, sampling = asked(config), sampling_of(config)
    ours = sampling is None or (sampling.engine == "native" and type(model) in FAMILY)
    if getattr(config, "attention", None) is not None and ours and takes_threads(model):
        what = f"has no effect on {type(model).__name__}, whose attention rlvr computes itself"
        raise RlvrError("attention", what, remedy="remove it")
    if not problems or sampling is None:
        return
    lengths = [len(ids) for ids in _prompts_ids(codec, problems)]
    limit, positions = sampling.max_new_tokens, max_positions(model)
    longest = check_prompts(problems, lengths, max_new_tokens=limit, positions=positions)
    cached_rows(config, shape_in(model.config), positions=longest + limit)


def max_positions(model: PreTrainedModel) -> int | None:
    """Tokens that a model can read; None if it sets no bound."""
    return getattr(model.config, "max_position_embeddings", None)


def make_collector(
    model: PreTrainedModel,
    codec: Codec,
    scorer: Scorer,
    *,
    task: TaskConfig,
    reward: RewardConfig,
    rollout: SamplingConfig,
    seed: int,
) -> Collector:
    """A collector of rollouts of a model, as the configuration says. scorer: of the same reward."""
    engine = ENGINES[rollout.engine](
        model,
        stop_ids=codec.stop_ids,
        pad_id=codec.pad_id,
        batch_size=rollout.batch_size,
        cache_gib=rollout.cache_gib,
    )
    sampling = Sampling(
        max_new_tokens=rollout.max_new_tokens,
        min_new_tokens=rollout.min_new_tokens,
        temperature=rollout.temperature,
        top_k=rollout.top_k,
        top_p=rollout.top_p,
        ends=None if rollout.stop_strings is None else StopStrings(codec, rollout.stop_strings),
    )
    return Collector(
        task=make_task(task, seed),
        scorer=scorer,
        reward=RewardSum(reward),
        engine=engine,
        codec=codec,
        sampling=sampling,
        batch_size=rollout.batch_size,
        max_positions=max_positions(model),
        seed=seed,
    )


def telling(groups: Sequence[Group], *, right: bool) -> Rollout | None:
    """A rollout to show: a right one, or a wrong one, if there is such; of those the first of the rarest mode."""
    rollouts = [rollout for group in groups for rollout in group]
    modes = Counter(rollout.mode for rollout in rollouts)
    return min(rollouts, key=lambda rollout: (rollout.correct is not right, modes[rollout.mode]), default=None)


def rollout_metrics(groups: Sequence[Group]) -> Metrics:
    """What a step's rollouts were like: rewards, lengths, and each mode's probability, accuracy and advantage."""
    rollouts = [rollout for group in groups for rollout in group]
    count = len(rollouts)
    row: Metrics = {"reward/mean": sum(rollout.reward for rollout in rollouts) / count}
    for name in dict.fromkeys(name for rollout in rollouts for name in rollout.rewards):
        judged = [rollout for rollout in rollouts if name in rollout.rewards]
        row[f"reward/{name}"] = sum(rollout.rewards[name] for rollout in judged) / len(judged)
        for reason in sorted({rollout.reasons[name] for rollout in judged} - {Reason.CORRECT, Reason.WRONG}):
            row[f"reward/{name}/{reason}_fraction"] = sum(r.reasons[name] == reason for r in judged) / len(judged)
    row["rollout/length_mean"] = sum(rollout.length for rollout in rollouts) / count
    row["rollout/truncated_fraction"] = sum(rollout.truncated for rollout in rollouts) / count
    row["rollout/zero_variance_fraction"] = sum(not has_variance(group) for group in groups) / len(groups)
    row["tokens/rollout"] = sum(rollout.length for rollout in rollouts)
    for mode in sorted({rollout.mode for rollout in rollouts}):
        of_mode = [rollout for rollout in rollouts if rollout.mode == mode]
        row[f"mode/{mode}/probability"] = len(of_mode) / count
        row[f"mode/{mode}/accuracy"] = sum(rollout.correct for rollout in of_mode) / len(of_mode)
        row[f"mode/{mode}/length_mean"] = sum(rollout.length for rollout in of_mode) / len(of_mode)
        known = [rollout.advantage for rollout in of_mode if rollout.advantage is not None]
        if known:
            row[f"mode/{mode}/advantage"] = sum(known) / len(known)
    return row


def task_metrics(groups: Sequence[Group], task: str) -> Metrics:
    """``task/<name>/…`` for each member of a mixture: what ``rollout_metrics`` says, and accuracy.

    task: the name of the whole, under which there is nothing more to say.
    """
    row: Metrics = {}
    for name in sorted({group[0].problem.task for group in groups} - {task}):
        own = [group for group in groups if group[0].problem.task == name]
        rollouts = [rollout for group in own for rollout in group]
        of_task = rollout_metrics(own)
        of_task["accuracy"] = sum(rollout.correct for rollout in rollouts) / len(rollouts)
        row |= {f"task/{name}/{key}": value for key, value in of_task.items()}
    return row


def noise_metrics(groups: Sequence[Group]) -> Metrics:
    """What an unreliable verifier did: the mean reward it hides, and its rates of errors as they came out.

    An abstention is never turned round and counts for neither rate.
    noise/youden: true positive rate minus false positive rate, the share of the signal that is left (Youden 1950).
    """
    rollouts = [rollout for group in groups for rollout in group]
    right = [rollout for rollout in rollouts if rollout.correct]
    wrong = [r for r in rollouts if not r.correct and Reason.ABSTAINED not in r.reasons.values()]
    row: Metrics = {"reward/oracle": sum(rollout.oracle for rollout in rollouts) / len(rollouts)}
    if wrong:
        row["noise/fp"] = sum(rollout.reward > rollout.oracle for rollout in wrong) / len(wrong)
    if right:
        row["noise/fn"] = sum(rollout.reward < rollout.oracle for rollout in right) / len(right)
    if wrong and right:
        row["noise/youden"] = 1.0 - row["noise/fn"] - row["noise/fp"]
    return row


def to_json(rollout: Rollout, *, trained: bool | list[bool] = False) -> dict[str, object]:
    """A rollout as one line of a rollouts file. trained: whether a step learns from its tokens, or from which of them."""
    completion, advantages = rollout.completion, rollout.advantages
    return {
        "task": rollout.problem.task,
        "split": rollout.problem.split,
        "index": rollout.problem.index,
        "question": rollout.problem.question,
        "answer": rollout.problem.answer,
        "metadata": rollout.problem.metadata,
        "prompt": rollout.prompt,
        "completion": rollout.text,
        "mode": rollout.mode,
        "correct": rollout.correct,
        "reward": rollout.reward,
        "oracle": rollout.oracle,
        "rewards": rollout.rewards,
        "reasons": rollout.reasons,
        "advantage": rollout.advantage,
        "advantages": None if advantages is None or len(set(advantages)) == 1 else _rounded(advantages),
        "trained": trained,
        "stop_reason": completion.stop_reason.value,
        "prompt_ids": completion.prompt_ids,
        "token_ids": completion.token_ids,
        "logprobs": _rounded(completion.logprobs),
        "entropies": _rounded(completion.entropies),
        "ref_logprobs": _rounded(rollout.ref_logprobs),
    }


def _rounded(values: list[float] | None) -> list[float] | None:
    return None if values is None else [round(value, 6) for value in values]
