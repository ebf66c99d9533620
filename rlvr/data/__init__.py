"""Documents to samples to batches."""
