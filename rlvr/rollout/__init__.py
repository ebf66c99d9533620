"""Sampling: token ids in, completions out. Knows no text and no reward."""

from rlvr.rollout.engine import EngineFactory
from rlvr.rollout.hf import HfEngine
from rlvr.rollout.native import NativeEngine

ENGINES: dict[str, EngineFactory] = {"native": NativeEngine, "hf": HfEngine}
