"""What models make of saved rollouts: each token under two policies, and where the answer was decided (``RUN/study/``)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Any

from transformers import PreTrainedModel

from rlvr.collect import Prefix, make_collector, max_positions
from rlvr.config import EvalConfig, RlConfig
from rlvr.errors import RlvrError, StopRequestedError
from rlvr.models.pretrained import load_model
from rlvr.models.tokenizer import Codec
from rlvr.recorded import check_text, read_rollouts
from rlvr.rewards import Scorer
from rlvr.runtime import signals
from rlvr.runtime.device import precision
from rlvr.runtime.files import Writing, write_jsonl
from rlvr.runtime.progress import say
from rlvr.runtime.run_dir import RunDirectory
from rlvr.runtime.seeding import derive
from rlvr.runtime.written import Fields, read_lines
from rlvr.statistics import wilson
from rlvr.teacher_forcing import compare, vocabulary_size
from rlvr.types import Rollout

LIKELIEST = 5
"""Tokens that each of the two policies names at each place."""
WORTH_NAMING = 1e-3
"""An alternative that neither policy would write so often is left out."""
MOST_POSITIONS = 24
"""Of one rollout, from which it is gone on."""
BOUND = 2
"""At the end of RL it is gone on for at most about so many times the tokens of the step's own rollouts. A step reads each of its
tokens about four times (to sample it, forward, and backward twice over), so the study of two steps takes about what one step takes."""
FORKS = 4
"""Its most uncertain tokens, of which the positions before and after are among them."""

STUDIED: Fields = {"line": int}

Step = dict[int, Rollout]
"""Rollouts by line of their step's file, from 0."""


@dataclass(frozen=True, kw_only=True)
class Policy:
    """A model that is asked about rollouts. name: as readers know it. steps: how many steps of the run have made it; None if it is
    no model of the run's."""

    name: str
    steps: int | None
    model: PreTrainedModel
    codec: Codec


@dataclass(frozen=True, kw_only=True)
class Extent:
    """How much is studied of each step.

    rollouts: at most so many. samples: so many completions go on from each position of each of them, 0 for none. bounded: they are
    fewer where they would take more than about a training step. problem: whose rollouts; None for those of all.
    """

    rollouts: int
    samples: int
    bounded: bool = False
    problem: int | None = None


@dataclass(frozen=True, kw_only=True)
class Study:
    """All that a study of a run's steps needs.

    policy, against: whose probabilities are compared; the one that is nearer to a step's policy goes on from its rollouts.
    scorer: of the run's reward, whose noise is left out.
    """

    config: RlConfig | EvalConfig
    run: RunDirectory
    scorer: Scorer
    policy: Policy
    against: Policy
    extent: Extent

    def of_step(self, step: int) -> None:
        """Study some rollouts of a step, and write what was found beside what is there of others.

        RlvrError if there are none, if they are damaged, or if the two models do not write with their tokens.
        """
        file, extent = self.run.rollouts(step), self.extent
        before = {row["line"]: row for row in read_lines(self.run.study(step), STUDIED, whole=True)}
        sampled = read_rollouts(file, "study", lambda row: not row.get("greedy"))
        wanted = {n: each for n, each in sampled.items() if extent.problem in (None, each.problem.index)}
        if not wanted:
            what = "of that problem" if sampled else "that was sampled"
            raise RlvrError(str(file), f"holds no rollout {what}", got=extent.problem)
        chosen = choose(wanted, extent.rollouts)
        for line, rollout in chosen.items():
            self._check(rollout, f"{file}:{line + 1}")
        say(f"study: step {step}, {len(chosen)} of {len(sampled)} rollouts")
        dtype = self.config.train.dtype if isinstance(self.config, RlConfig) else "float32"
        with precision(self.policy.model.device, dtype):
            rows = {line: self._tokens(line, rollout) for line, rollout in chosen.items()}
            samples = dict.fromkeys(chosen, extent.samples)
            if extent.bounded:
                own = sum(rollout.length for rollout in sampled.values())
                samples = affordable(chosen, extent.samples, BOUND * own)
            credit = self._credit(step, chosen, samples, {line: row["entropies"] for line, row in rows.items()})
        rows = {line: {**row, "credit": credit.get(line)} for line, row in rows.items()}
        with Writing(self.run.study(step)):
            self.run.study(step).parent.mkdir(exist_ok=True)
            write_jsonl(self.run.study(step), [row for _, row in sorted({**before, **rows}.items())])

    def _check(self, rollout: Rollout, where: str) -> None:
        """RlvrError unless both models can read a rollout."""
        ids = [*rollout.completion.prompt_ids, *rollout.completion.token_ids]
        for policy in (self.policy, self.against):
            known = vocabulary_size(policy.model)
            if not all(isinstance(each, int) and 0 <= each < known for each in ids):
                raise RlvrError(where, f"holds tokens that {policy.name} does not know")
            positions = max_positions(policy.model)
            if not rollout.completion.prompt_ids or (positions is not None and len(ids) > positions):
                raise RlvrError(
                    where, f"cannot be read by {policy.name}: {len(ids)} tokens", allowed=f"2 to {positions}"
                )
            check_text(rollout, policy.codec.text, where)

    def _tokens(self, line: int, rollout: Rollout) -> dict[str, Any]:
        """Each token of a rollout under both policies."""
        codec, ids = self.policy.codec, rollout.completion.token_ids
        found = compare(
            (self.policy.model, self.against.model),
            rollout.completion,
            temperature=self.config.rollout.temperature,
            pad_id=codec.pad_id,
            count=LIKELIEST,
        )
        text = spelling(codec)
        before = [rollout.completion.prompt_ids[-1], *ids[:-1]]
        return {
            "line": line,
            "index": rollout.problem.index,
            "policy": self.policy.name,
            "against": self.against.name,
            "logprobs": _rounded(found.logprobs[0]),
            "against_logprobs": _rounded(found.logprobs[1]),
            "entropies": _rounded(found.entropies[0]),
            "against_entropies": _rounded(found.entropies[1]),
            "alternatives": [
                [
                    {"id": each, "text": text(previous, each), "probability": _short(mine), "against": _short(theirs)}
                    for each, (mine, theirs) in sorted(likeliest.items(), key=lambda item: -item[1][0])
                    if each == token or max(mine, theirs) >= WORTH_NAMING
                ]
                for previous, token, likeliest in zip(before, ids, found.likeliest, strict=True)
            ],
        }

    def _credit(
        self, step: int, chosen: Step, samples: Mapping[int, int], entropies: Mapping[int, Sequence[float]]
    ) -> dict[int, dict[str, Any]]:
        """The chance of ending right from positions of rollouts, by line. At its end a rollout has its own verdict."""
        config, policy = self.config, self._nearest(step)
        if config.task is None or not any(samples.values()):
            return {}
        collector = make_collector(
            policy.model,
            policy.codec,
            self.scorer,
            task=config.task,
            reward=config.reward.without_noise(),
            rollout=config.rollout,
            seed=config.seed,
        )
        cuts = {line: positions(rollout.length, entropies[line]) for line, rollout in chosen.items() if samples[line]}
        places = [(line, cut) for line, own in cuts.items() for cut in own[:-1] if cut < config.rollout.max_new_tokens]
        prefixes = []
        for line, cut in places:
            names = (config.seed, "study", step, line, cut)
            seeds = [derive(*names, sample) for sample in range(samples[line])]
            prefixes.append(Prefix(rollout=chosen[line], cut=cut, seeds=seeds))
        right: dict[int, dict[int, float]] = {line: {} for line in cuts}
        for (line, cut), prefix, written in zip(places, prefixes, collector.go_on(prefixes), strict=True):
            [scored] = collector.score([prefix.rollout.problem], [written], step=step)
            right[line][cut] = sum(each.correct for each in scored) / len(scored)
        found = {}
        for line, shares in right.items():
            ends = [wilson(share, samples[line]) for share in shares.values()]
            verdict = float(chosen[line].correct)
            found[line] = {
                "policy": policy.name,
                "samples": samples[line],
                "positions": [*shares, chosen[line].length],
                "right": [*shares.values(), verdict],
                "low": [*_rounded([low for low, _ in ends]), verdict],
                "high": [*_rounded([high for _, high in ends]), verdict],
            }
        return found

    def _nearest(self, step: int) -> Policy:
        """Of the two, the one that is fewer steps from what sampled in a step, which so many less one had made."""
        steps = [(abs(each.steps - (step - 1)), each) for each in (self.policy, self.against) if each.steps is not None]
        return min(steps, key=lambda pair: pair[0])[1]


def study_ends(config: RlConfig, run: RunDirectory, scorer: Scorer, model: PreTrainedModel, codec: Codec) -> None:
    """The study at the end of RL: of the first and of the last step, which are always saved.

    A finished run stays finished where it cannot be studied; that is said, and why.
    """
    last = config.train.max_steps
    try:
        with signals.watched():
            base, its_codec = load_model(config.model, config.prompt, model.device)
            study = Study(
                config=config,
                run=run,
                scorer=scorer,
                policy=Policy(name=f"checkpoints/step_{last:06d}", steps=last, model=model, codec=codec),
                against=Policy(name=config.model, steps=0, model=base, codec=its_codec),
                extent=Extent(rollouts=config.study.rollouts, samples=config.study.samples, bounded=True),
            )
            for step in sorted({1, last}):
                study.of_step(step)
    except RlvrError as error:
        say(f"warning: the rollouts were not studied: {error}")
    except StopRequestedError:
        say(f"training is finished and saved, but its rollouts are not all studied; rlvr study {run.path} does that")
        raise


def choose(rollouts: Step, count: int) -> Step:
    """Those that teach most: of problems with right and wrong answers one of each, in other modes if there are such and in the
    rarest; problems whose share of right answers is nearest to a half come first. Then others, rare modes and new problems first."""
    modes = Counter(rollout.mode for rollout in rollouts.values())
    groups: dict[int, list[int]] = {}
    for line, rollout in rollouts.items():
        groups.setdefault(rollout.problem.index, []).append(line)
    pairs = []
    for index, lines in groups.items():
        right = [line for line in lines if rollouts[line].correct]
        wrong = [line for line in lines if not rollouts[line].correct]
        found = [_worth(rollouts, modes, a, b) for a in right for b in wrong]
        if found:
            same, rarity, pair = min(found)
            pairs.append((same, abs(len(right) / len(lines) - 0.5), rarity, index, pair))
    ordered = list(chain.from_iterable(pair for *_, pair in sorted(pairs)))[:count]
    known = {rollouts[line].problem.index for line in ordered}
    rest = set(rollouts) - set(ordered)
    for _ in range(min(count - len(ordered), len(rest))):
        line = min(rest, key=lambda n: (rollouts[n].problem.index in known, modes[rollouts[n].mode], n))
        ordered.append(line)
        known.add(rollouts[line].problem.index)
        rest.remove(line)
    return {line: rollouts[line] for line in sorted(ordered)}


def _worth(rollouts: Step, modes: Mapping[str, int], a: int, b: int) -> tuple[bool, int, tuple[int, int]]:
    """How much two rollouts of a problem teach, the least the most: of one mode or not, the count of the rarer, and the two, that
    of the rarer mode first."""
    one, other = rollouts[a].mode, rollouts[b].mode
    pair = (a, b) if modes[one] <= modes[other] else (b, a)
    return one == other, min(modes[one], modes[other]), pair


def positions(length: int, entropies: Sequence[float]) -> list[int]:
    """From which positions a rollout is gone on, and its end: all, or evenly some and those around the most uncertain tokens.

    >>> positions(3, [0.1, 0.2, 0.3])
    [0, 1, 2, 3]
    """
    if length < MOST_POSITIONS:
        return list(range(length + 1))
    evenly = MOST_POSITIONS - 2 * FORKS
    uncertain = sorted(range(length), key=lambda place: (-entropies[place], place))[:FORKS]
    around = {position for place in uncertain for position in (place, place + 1)}
    return sorted({round(number * length / (evenly - 1)) for number in range(evenly)} | around)


def affordable(chosen: Step, samples: int, tokens: int) -> dict[int, int]:
    """How many completions may go on from each position of each rollout, at most ``samples``, so that all together write about so many tokens.

    One is taken to be as long as its rollout. What short ones leave over is the long ones'.
    """
    costs = {}
    for line, rollout in chosen.items():
        cuts = positions(rollout.length, [0.0] * rollout.length)
        costs[line] = sum(rollout.length - cut for cut in cuts)
    found, left = {}, tokens
    for number, line in enumerate(sorted(chosen, key=lambda line: (costs[line], line))):
        share = left // (len(chosen) - number)
        found[line] = min(samples, share // costs[line])
        left -= found[line] * costs[line]
    return found


def spelling(codec: Codec) -> Callable[[int, int], str]:
    """How a token is read after another: what it adds to the text, or its name if it adds nothing."""
    tokenizer = codec.tokenizer

    @lru_cache(maxsize=100_000)
    def spelt(before: int, token: int) -> str:
        if token in special:
            return str(tokenizer.convert_ids_to_tokens(token))
        start, both = codec.text([before]), codec.text([before, token])
        return both[len(start) :] if both.startswith(start) and both != start else codec.text([token])

    special = set(tokenizer.all_special_ids)
    return spelt


def _rounded(values: Sequence[float]) -> list[float]:
    return [round(value, 6) for value in values]


def _short(value: float) -> float:
    return float(f"{value:.6g}")
