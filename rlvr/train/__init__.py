"""Training: one loop, losses as sums, optimizers, checkpoints."""
