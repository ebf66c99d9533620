"""Claims about why RL makes models reason, each an experiment with criteria that were fixed before it was run."""

from rlvr.claims.claim import Claim
from rlvr.claims.emergence import CLAIM as EMERGENCE
from rlvr.claims.fast import CLAIM as FAST
from rlvr.claims.growth import CLAIM as GROWTH
from rlvr.claims.threshold import CLAIM as THRESHOLD
from rlvr.claims.verifier import CLAIM as VERIFIER

CLAIMS: tuple[Claim, ...] = (THRESHOLD, EMERGENCE, GROWTH, FAST, VERIFIER)
"""In the order of the tour."""
