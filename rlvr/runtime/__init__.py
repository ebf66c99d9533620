"""What surrounds a run: device, seeds, run directory, metrics, progress, signals."""
