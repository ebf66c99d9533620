"""rlvr: train language models with verifiable rewards, from nothing to a reasoning model."""

__version__ = "0.1.0"
