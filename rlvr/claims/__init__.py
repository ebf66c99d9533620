"""Claims about why RL makes models reason, each an experiment with criteria that were fixed before it was run."""

from rlvr.claims.claim import Claim
from rlvr.claims.emergence import CLAIM as EMERGENCE

CLAIMS: tuple[Claim, ...] = (EMERGENCE,)
"""In the order of the tour."""
