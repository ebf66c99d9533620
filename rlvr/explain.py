"""One sentence for what a run's metrics show: what was seen, with its numbers, and what to do. Pure: rows in, sentences out.

A rule looks at the run's first rows and its last ones. Rules stand in the order in which they are told: causes before
what follows from them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

Row = dict[str, float | None]
"""A step's metrics as they were written; None where a value was not finite."""

BEGIN, RECENT = 5, 10
"""How many rows of a run's beginning, and of its end, the rules see: the beginning is averaged over its noise."""

AGAIN_AFTER = 10
"""A kind that was told is told again only after it was not seen for so many steps."""

SHORT, LONG = 3, 5
"""Steps that something has to last: 3 for what is wrong at once, 5 for what single steps show by chance."""

FAILING = 0.1
"""Share of samples whose grader failed: a tenth is as much as a step's reward moves in many, and none is normal."""

UNREADABLE = 0.9
"""Share of samples without a readable answer: a policy that cannot write the form yet still does so now and then."""

TRUNCATED = 0.2
"""Share of rollouts cut off: with a fifth, what truncation costs is more than what most runs gain in their whole length."""

HALF = 0.5
"""Truncated rollouts earn less than half of what the others do, so what is punished is length."""

ALIKE = 0.95
"""Share of groups rewarded alike: fewer than one in twenty is left to learn from."""

FEW, MOST = 0.05, 0.95
"""Share of right answers at which a task is out of reach, or solved; as wide as ALIKE, since groups are all right or all wrong."""

NEXT_TO_NOTHING = 0.05
"""A reward that is as good as none, where full marks are 1."""

CLIPPED = 0.25
"""Share of tokens whose ratio is bounded. GRPO's runs have about 0.1 %, GSPO's 15 % by design (arXiv:2507.18071, section 5.2)."""

FAR = 0.5
"""Nats a token from the reference: usual runs stay below 0.1, and 0.5 is a distance of 50 over a hundred tokens."""

COLLAPSED = 0.1
"""Share of its entropy at the beginning that is left: without entropy rewards stop rising (arXiv:2505.22617, section 2.4)."""

GOOD = 0.9
"""Share of right answers from which on a low entropy is what was wanted."""

LONGER = 2.0
"""Times its length at the beginning: what is gained by reasoning shows well before the tokens double."""

GAIN = 0.05
"""Share of right answers that longer completions have to bring."""

NEAR_ZERO = 0.01
"""A loss that people take for 0: its first two decimals are."""

CENTRED = 1e-3
"""Mean advantage of an estimator that subtracts a mean."""


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """What was seen at a step. kind: the rule's name. sentence: with its numbers and a remedy."""

    step: int
    kind: str
    sentence: str


@dataclass(frozen=True, kw_only=True)
class Window:
    """The rows that rules see: the first of the run, and the last, the newest at the end; never empty."""

    begin: Sequence[Row]
    recent: Sequence[Row]

    def newest(self, name: str) -> float | None:
        """A metric in the newest row."""
        return self.recent[-1].get(name)

    def last(self, name: str, steps: int) -> float | None:
        """A metric's mean over the last steps; None unless each of them has it."""
        return _mean([row.get(name) for row in self.recent[-steps:]]) if len(self.recent) >= steps else None

    def known(self, name: str, steps: int) -> float | None:
        """A metric's mean over those of the last steps that have it; None if none does."""
        return _mean([value for row in self.recent[-steps:] if (value := row.get(name)) is not None])

    def first(self, name: str) -> float | None:
        """A metric's mean over the run's beginning; None unless each of its rows has it and it is over."""
        return _mean([row.get(name) for row in self.begin]) if len(self.recent) == RECENT else None


def over_modes(rows: Sequence[Row], what: str) -> float | None:
    """The mean over all rollouts of what is known by mode, ``accuracy`` or ``advantage``: probability times that, summed."""
    found = []
    for row in rows:
        modes = [name.split("/")[1] for name in row if name.startswith("mode/") and name.endswith(f"/{what}")]
        parts = [(row.get(f"mode/{mode}/probability"), row.get(f"mode/{mode}/{what}")) for mode in modes]
        found.append(sum(p * a for p, a in parts if p is not None and a is not None) if parts else None)
    return _mean(found)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known and len(known) == len(values) else None


# ------------------------------------------------------------------------------------------------ rules


def _nonfinite(window: Window) -> str | None:
    count = window.newest("train/nonfinite_steps")
    if not count:
        return None
    rate = window.newest("train/learning_rate") or 0.0
    return (
        f"loss or gradient was not finite, so the update was not applied ({count:.0f} in a row; the third, or one at the last step, stops the run); "
        f"lower train.learning_rate (now {rate:.3g}) or train.max_grad_norm"
    )


def _failing_grader(window: Window) -> str | None:
    for name in _components(window):
        late = window.last(f"reward/{name}/timeout_fraction", 1) or 0.0
        broken = window.last(f"reward/{name}/error_fraction", 1) or 0.0
        if late + broken >= FAILING:
            return (
                f"the grader of reward.{name} failed on {_percent(late + broken)} of the samples ({_percent(late)} ran out of time, "
                f"{_percent(broken)} ended in an error), and each of them earned nothing whatever it said; "
                "mend the grader or give it more time"
            )
    return None


def _truncation(window: Window) -> str | None:
    share = window.last("rollout/truncated_fraction", SHORT)
    if share is None or share < TRUNCATED:
        return None
    cut, ended = window.known("rollout/truncated_reward", SHORT), window.known("rollout/ended_reward", SHORT)
    if cut is None or (cut > NEXT_TO_NOTHING if ended is None else ended <= 0 or cut >= HALF * ended):
        return None
    against = "none ended by itself" if ended is None else f"those that ended earned {ended:.3g}"
    return (
        f"{_percent(share)} of the rollouts of the last {SHORT} steps ran out of tokens before they ended, and earned {cut:.3g} "
        f"({against}): length decides the reward; raise rollout.max_new_tokens, or teach shorter answers first"
    )


def _no_answer(window: Window) -> str | None:
    for name in _components(window):
        reasons = ("no_answer", "malformed", "refused")
        without, malformed, refused = (window.last(f"reward/{name}/{why}_fraction", 1) or 0.0 for why in reasons)
        reward, share = window.last(f"reward/{name}", SHORT), without + malformed + refused
        if reward is not None and reward <= NEXT_TO_NOTHING and share >= UNREADABLE:
            return (
                f"reward.{name} found no answer it could read in {_percent(share)} of the samples ({_percent(without)} without one, "
                f"{_percent(malformed)} malformed, {_percent(refused)} refused), and pays {reward:.3g}; read them with rlvr inspect, "
                f"then mend reward.{name}.extract, or teach the form by sft"
            )
    return None


def _alike(window: Window) -> tuple[float, float] | None:
    """Shares of groups rewarded alike and of right answers over the last steps, if hardly a group is left to learn from."""
    share = window.last("rollout/zero_variance_fraction", LONG)
    right = over_modes(window.recent[-LONG:], "accuracy")
    return (share, right) if share is not None and right is not None and share >= ALIKE else None


def _out_of_reach(window: Window) -> str | None:
    if (alike := _alike(window)) is None or alike[1] > FEW:
        return None
    return (
        f"the reward is flat: in {_percent(alike[0])} of the groups all rollouts earned the same, and {_percent(alike[1])} of the answers are "
        "right, so it is out of reach and there is nothing to compare; take easier problems, a larger rollout.group_size, or "
        "teach the task by sft first"
    )


def _solved(window: Window) -> str | None:
    if (alike := _alike(window)) is None or alike[1] < MOST:
        return None
    return (
        f"the reward is flat: in {_percent(alike[0])} of the groups all rollouts earned the same, and {_percent(alike[1])} of the answers are "
        "right, so nothing is left to learn here; stop, or take harder problems"
    )


def _decided(window: Window) -> str | None:
    if (alike := _alike(window)) is None or not FEW < alike[1] < MOST:
        return None
    entropy = window.newest("entropy/mean")
    return (
        f"the reward is flat: in {_percent(alike[0])} of the groups all rollouts earned the same, though {_percent(alike[1])} of the answers are right: "
        f"the problem decides the reward, not what is tried{'' if entropy is None else f' (entropy {entropy:.3g} nats a token)'}; take problems between "
        "those that are solved and those out of reach, raise rollout.group_size, or if entropy fell begin anew with a lower "
        "train.learning_rate"
    )


def _clipping(window: Window) -> str | None:
    share = window.last("train/clip_fraction", SHORT)
    if share is None or share < CLIPPED:
        return None
    return (
        f"{_percent(share)} of the tokens had their ratio bounded over the last {SHORT} steps: the policy moves so far within a step that most "
        f"of its later updates are thrown away; lower train.learning_rate (now {window.newest('train/learning_rate') or 0.0:.3g}) "
        "or algo.updates_per_batch"
    )


def _far_from_reference(window: Window) -> str | None:
    distance = window.last("train/kl_ref", SHORT)
    if distance is None or distance < FAR:
        return None
    begin = window.first("train/kl_ref")
    return (
        f"the policy is {distance:.3g} nats a token away from its reference{'' if begin is None else f' (at the beginning {begin:.3g})'}, further than "
        "a model stays itself; lower train.learning_rate, raise algo.kl.coefficient, or reset the reference if this is wanted"
    )


def _collapsed(window: Window) -> str | None:
    begin, now = window.first("entropy/mean"), window.last("entropy/mean", LONG)
    right = over_modes(window.recent[-LONG:], "accuracy")
    if begin is None or now is None or right is None or right >= GOOD or now > COLLAPSED * begin:
        return None
    return (
        f"entropy fell from {begin:.3g} to {now:.3g} nats a token while {_percent(right)} of the answers are right: the policy has stopped "
        "trying other ways; begin from an earlier checkpoint with a lower train.learning_rate, a larger rollout.group_size, "
        "or a higher clip_high where ratios are clipped"
    )


def _exploding(window: Window) -> str | None:
    begin, now = window.first("rollout/length_mean"), window.last("rollout/length_mean", LONG)
    before, after = over_modes(window.begin, "accuracy"), over_modes(window.recent[-LONG:], "accuracy")
    if begin is None or now is None or before is None or after is None:
        return None
    if now < LONGER * begin or after - before >= GAIN:
        return None
    modes, within = window.newest("length/by_mode") or 0.0, window.newest("length/within_modes") or 0.0
    return (
        f"completions grew from {begin:.3g} to {now:.3g} tokens ({modes:+.3g} by longer modes, {within:+.3g} within modes) while right answers "
        f"went from {_percent(before)} to {_percent(after)}: tokens are spent and nothing is gained; with algo.aggregation sequence use token or "
        "constant, else add a length reward below 0 or lower rollout.max_new_tokens"
    )


def _loss_of_nothing(window: Window) -> str | None:
    losses = [row.get("train/loss") for row in window.recent[-LONG:]]
    loss = _mean([None if value is None else abs(value) for value in losses])
    trained, norm = window.last("signal/trained", LONG), window.last("train/grad_norm", LONG)
    advantage = over_modes(window.recent[-LONG:], "advantage")
    if len(losses) < LONG or loss is None or loss >= NEAR_ZERO or not trained or not norm:
        return None
    if advantage is None or abs(advantage) > CENTRED:
        return None
    return (
        f"the loss is near 0 ({loss:.2g} over the last {LONG} steps), which is no fault: advantages are rewards compared with their mean, so they "
        f"cancel in the loss, not in the gradient (norm {norm:.3g}, from {_percent(trained)} of the tokens); follow reward/mean "
        f"({window.newest('reward/mean') or 0.0:.3g}) instead"
    )


Rule = Callable[[Window], str | None]

RULES: dict[str, Rule] = {
    "nonfinite": _nonfinite,
    "grader_fails": _failing_grader,
    "truncation": _truncation,
    "no_answer": _no_answer,
    "out_of_reach": _out_of_reach,
    "solved": _solved,
    "clipping": _clipping,
    "far_from_reference": _far_from_reference,
    "entropy_collapse": _collapsed,
    "decided": _decided,
    "length_explosion": _exploding,
    "loss_near_zero": _loss_of_nothing,
}
"""Every rule by its kind, in the order in which they are told."""


def findings(window: Window) -> Iterator[tuple[str, str]]:
    """The kinds that hold now, with their sentences, in order."""
    for kind, rule in RULES.items():
        if (sentence := rule(window)) is not None:
            yield kind, sentence


@dataclass
class Explainer:
    """Tells of each kind when it comes, and again only after it had gone away; what it tells follows from the rows alone."""

    _begin: list[Row] = field(default_factory=list)
    _recent: deque[Row] = field(default_factory=lambda: deque(maxlen=RECENT))
    _seen: dict[str, int] = field(default_factory=dict)

    def add(self, step: int, row: Row) -> Explanation | None:
        """Take the next row; the explanation that is new with it, if there is one."""
        if len(self._begin) < BEGIN:
            self._begin.append(row)
        self._recent.append(row)
        found = dict(findings(Window(begin=self._begin, recent=list(self._recent))))
        self._seen = {
            kind: step if kind in found else seen
            for kind, seen in self._seen.items()
            if kind in found or step - seen < AGAIN_AFTER
        }
        new = next((kind for kind in found if kind not in self._seen), None)
        if new is None:
            return None
        self._seen[new] = step
        return Explanation(step=step, kind=new, sentence=found[new])


def _components(window: Window) -> list[str]:
    """The reward's components, by name."""
    names = [name.removeprefix("reward/") for name in window.recent[-1] if name.startswith("reward/")]
    return [name for name in names if "/" not in name and name not in ("mean", "oracle", "shaping")]


def _percent(share: float) -> str:
    """
    >>> _percent(0.123), _percent(0.004), _percent(1.0)
    ('12 %', '0.4 %', '100 %')
    """
    return f"{100 * share:.2g} %" if share < 0.995 else "100 %"
