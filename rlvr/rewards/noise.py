"""An unreliable verifier: true verdicts turned round at known rates, for experiments."""

from rlvr.config import ANSWERS, NoiseConfig
from rlvr.rewards.scorer import Verdicts
from rlvr.rewards.verdict import Reason, Verdict
from rlvr.runtime.seeding import generator


def with_noise(verdicts: Verdicts, noise: NoiseConfig, *, correct: bool, mode: str, seed: int) -> Verdicts:
    """The verdicts as an unreliable verifier gives them: those on the answer all full marks or none, if it errs.

    A wrong rollout passes with the mode's rate fp, a right one fails with its rate fn (the noise of Natarajan et al.
    2013, "Learning with noisy labels", section 2). Reasons stay the true ones. seed: it alone decides. An abstention is
    neither right nor wrong, and is never turned round.
    """
    rates = noise.modes.get(mode, noise)
    if any(verdict.reason is Reason.ABSTAINED for verdict in verdicts.values()):
        return verdicts
    if generator(seed).random() >= (rates.fn if correct else rates.fp):
        return verdicts
    return {
        name: Verdict(reward=float(not correct), reason=verdict.reason, extracted=verdict.extracted)
        if name in ANSWERS
        else verdict
        for name, verdict in verdicts.items()
    }
