"""What a saved model can read, without torch."""

from pathlib import Path

import torch

from rlvr.config import ModelConfig, TokenizerConfig
from rlvr.models.limits import read_limits
from rlvr.models.location import ModelLocation
from rlvr.models.pretrained import save_model
from rlvr.models.scratch import build_model
from rlvr.models.tokenizer import build_tokenizer


def saved(folder: Path, kind: str) -> ModelLocation:
    tokenizer = build_tokenizer(TokenizerConfig.model_validate({"kind": kind}), ["0 1 2 ="], max_length=48)
    config = ModelConfig(layers=1, width=16, heads=2, max_positions=48)
    save_model(build_model(config, tokenizer, seed=0, device=torch.device("cpu")), tokenizer, folder)
    return ModelLocation(kind="directory", path=str(folder))


def test_positions_lengths_and_unknown_words_of_a_model(tmp_path: Path) -> None:
    limits = read_limits(saved(tmp_path, "words"))
    assert limits is not None
    assert limits.positions == 48
    assert limits.length("0 1 =") == 4  # with <bos>
    assert limits.unknown_word("0 1 = <think> 2 </think> 1") is None
    assert limits.unknown_word("0 1 7 =") == "7"


def test_a_tokenizer_of_byte_pairs_knows_everything(tmp_path: Path) -> None:
    limits = read_limits(saved(tmp_path, "bpe"))
    assert limits is not None
    assert limits.unknown_word("été 漢") is None


def test_a_tokenizer_of_another_format_is_left_to_transformers(tmp_path: Path) -> None:
    location = saved(tmp_path, "words")
    (tmp_path / "tokenizer.json").write_text("{")
    assert read_limits(location) is None
    (tmp_path / "tokenizer.json").unlink()
    assert read_limits(location) is None


def test_only_a_directory_can_be_looked_into() -> None:
    assert read_limits(None) is None
    assert read_limits(ModelLocation(kind="hub", path="a/b")) is None
