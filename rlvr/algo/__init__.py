"""Policy-gradient estimators: advantages and training samples from scored groups. No torch."""
