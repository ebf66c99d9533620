"""Claims about why RL makes models reason, each an experiment with criteria that were fixed before it was run."""

from rlvr.claims.claim import Claim
from rlvr.claims.composition import CLAIM as COMPOSITION
from rlvr.claims.emergence import CLAIM as EMERGENCE
from rlvr.claims.expert import CLAIM as EXPERT
from rlvr.claims.fast import CLAIM as FAST
from rlvr.claims.forks import CLAIM as FORKS
from rlvr.claims.growth import CLAIM as GROWTH
from rlvr.claims.hallucination import CLAIM as HALLUCINATION
from rlvr.claims.layers import CLAIM as LAYERS
from rlvr.claims.threshold import CLAIM as THRESHOLD
from rlvr.claims.verifier import CLAIM as VERIFIER

CLAIMS: tuple[Claim, ...] = (
    HALLUCINATION,
    LAYERS,
    THRESHOLD,
    FORKS,
    EMERGENCE,
    GROWTH,
    FAST,
    COMPOSITION,
    EXPERT,
    VERIFIER,
)
"""In the order of the talk, and of the tour."""
