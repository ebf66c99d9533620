"""What a step's rollouts say beside their reward: where length and entropy are, and which tokens carry a gradient. No torch."""

from collections.abc import Sequence
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from rlvr.algo.filters import has_variance
from rlvr.types import Group, Metrics, Rollout

FORK_SHARE = 0.2
"""Share of all sampled tokens that are called forks, by entropy (arXiv:2506.01939, section 3)."""

THIRDS = ("early", "middle", "late")

NOTHING = 1e-9
"""An advantage of this size or less is rounding."""

Reference = dict[str, list[float]]
"""Of each mode its share in the first step (0 if it came later) and its mean length (tokens) in the step it was first seen in."""


def rollout_accounts(groups: Sequence[Group]) -> Metrics:
    """Each mode's entropy, the entropy of all tokens, of forks and by position, and what truncation costs."""
    rollouts = [rollout for group in groups for rollout in group]
    return _entropies(rollouts) | _truncation(rollouts)


def _entropies(rollouts: Sequence[Rollout]) -> Metrics:
    """Nats a token of the sampling policy; none where the engine recorded none."""
    by_row = [np.array(r.completion.entropies) for r in rollouts if r.completion.entropies is not None]
    if len(by_row) < len(rollouts):
        return {}
    everything = np.concatenate(by_row)
    thirds = np.concatenate([3 * np.arange(len(own)) // len(own) for own in by_row])
    forks = np.sort(everything)[-max(1, round(FORK_SHARE * len(everything))) :]
    row: Metrics = {"entropy/mean": float(everything.mean()), "entropy/forks": float(forks.mean())}
    for third, name in enumerate(THIRDS):
        if (thirds == third).any():
            row[f"entropy/{name}"] = float(everything[thirds == third].mean())
    for mode in sorted({rollout.mode for rollout in rollouts}):
        of_mode = [own for rollout, own in zip(rollouts, by_row, strict=True) if rollout.mode == mode]
        row[f"mode/{mode}/entropy"] = float(np.concatenate(of_mode).mean())
    return row


def _truncation(rollouts: Sequence[Rollout]) -> Metrics:
    """The mean reward of rollouts that ran out of tokens and of those that ended, where there are any."""
    row: Metrics = {}
    for name, cut in (("truncated", True), ("ended", False)):
        if of_kind := [r.reward for r in rollouts if r.truncated is cut]:
            row[f"rollout/{name}_reward"] = sum(of_kind) / len(of_kind)
    return row


# ------------------------------------------------------------------------------------------------ length


def with_new_modes(reference: Reference, groups: Sequence[Group]) -> Reference:
    """The reference with modes that it does not know yet: of the first step with their share, else with a share of 0."""
    shares = _by_mode(groups)
    first = not reference
    new = {mode: [share if first else 0.0, length] for mode, (share, length) in shares.items() if mode not in reference}
    return {**reference, **new}


def length_change(reference: Reference, groups: Sequence[Group]) -> Metrics:
    """The change of the mean length since the reference, in tokens, as the sum of two parts.

    by_mode: longer (or shorter) modes have become more likely, each at the mean of its two lengths. within_modes: modes
    have become longer, each at the mean of its two shares. The symmetric decomposition (Kitagawa 1955): neither end is
    the base, so nothing is left over. A mode that is missing now has kept its length.
    """
    now, by_mode, within = _by_mode(groups), 0.0, 0.0
    for mode, (share_then, length_then) in reference.items():
        share, length = now.get(mode, (0.0, length_then))
        by_mode += (share - share_then) * (length + length_then) / 2
        within += (length - length_then) * (share + share_then) / 2
    return {"length/change": by_mode + within, "length/by_mode": by_mode, "length/within_modes": within}


def _by_mode(groups: Sequence[Group]) -> dict[str, tuple[float, float]]:
    """Each mode's share of the rollouts and mean length."""
    lengths: dict[str, list[int]] = {}
    for rollout in chain.from_iterable(groups):
        lengths.setdefault(rollout.mode, []).append(rollout.length)
    count = sum(map(len, lengths.values()))
    return {mode: (len(own) / count, sum(own) / len(own)) for mode, own in sorted(lengths.items())}


# ------------------------------------------------------------------------------------------------ signal


def signal_shares(groups: Sequence[Group], kept: Sequence[Group]) -> Metrics:
    """Of all sampled tokens the share that is trained, and where the rest went; the shares add up to 1.

    groups: all, with advantages. kept: those of their rollouts that are trained on, with the tokens that are.
    A token with an advantage of 0 is not trained: it has no gradient but that of a penalty on distance or of an entropy bonus.
    zero_variance: its group's rollouts were all rewarded alike. zero_advantage: there is nothing to learn from it for another
    reason. masked: of a part of the tokens that is not to be trained. surplus: of a rollout beyond those that are wanted.
    """
    counts = dict.fromkeys(("trained", "zero_variance", "masked", "surplus", "zero_advantage"), 0)
    by_completion = {id(rollout.completion): rollout for rollout in chain.from_iterable(kept)}
    for group in groups:
        nothing = "zero_advantage" if has_variance(group) else "zero_variance"
        for rollout in group:
            found = by_completion.get(id(rollout.completion))
            if found is None and nothing == "zero_variance":
                counts[nothing] += rollout.length
                continue
            useful = _useful(found or rollout)
            trains = np.full(len(useful), True) if found is None or found.trained is None else np.array(found.trained)
            counts[nothing] += int((~useful).sum())
            counts["surplus" if found is None else "trained"] += int((useful & trains).sum())
            counts["masked"] += int((useful & ~trains).sum())
    occurring = {"trained", "zero_variance", "zero_advantage"}
    if any(rollout.trained is not None for rollout in by_completion.values()):
        occurring.add("masked")
    tokens = sum(counts.values())
    return {f"signal/{name}": n / tokens for name, n in counts.items() if n or name in occurring}


def _useful(rollout: Rollout) -> NDArray[np.bool_]:
    """Which tokens have an advantage that is not 0: (T,) bool."""
    assert rollout.advantages is not None
    useful: NDArray[np.bool_] = np.abs(np.array(rollout.advantages)) > NOTHING
    return useful


def signal_after_updates(row: Metrics, *, clips: bool) -> Metrics:
    """The row with the trained share less what the updates did not use, which gets shares of its own.

    clips: a token whose ratio is bounded loses its gradient; if the step's tokens are used in several updates, each use counts
    by its part. skipped: of updates that were not applied, since loss or gradient was not finite.
    """
    if "signal/trained" not in row:
        return row
    trained = row["signal/trained"]
    skipped = trained * row.get("train/skipped_updates_fraction", 0.0)
    held = (trained - skipped) * row.get("train/clip_fraction", 0.0) if clips else 0.0
    parts = {**({"signal/clipped": held} if clips else {}), **({"signal/skipped": skipped} if skipped else {})}
    return {**row, "signal/trained": trained - skipped - held, **parts}
