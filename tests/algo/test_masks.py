"""Which tokens an entropy mask trains, by hand on two groups of three tokens."""

from dataclasses import replace

import pytest
from test_algo import rollout

from rlvr.algo.masks import by_entropy
from rlvr.algo.samples import to_samples
from rlvr.config import EntropyMaskConfig
from rlvr.types import Group


def groups(*entropies: list[float]) -> list[Group]:
    """One group a list, of one rollout with these entropies."""
    plain = rollout(1.0, [1.0] * 3)
    return [[replace(plain, completion=replace(plain.completion, entropies=each))] for each in entropies]


def trained(mask: dict[str, float], *entropies: list[float], step: int = 1) -> list[list[bool] | None]:
    found = by_entropy(groups(*entropies), EntropyMaskConfig.model_validate(mask), seed=0, step=step)
    return [attempt.trained for members in found for attempt in members]


def test_the_most_uncertain_third_of_all_tokens() -> None:
    assert trained({"top": 1 / 3}, [0.1, 0.9, 0.2], [0.3, 0.0, 0.8]) == [[False, True, False], [False, False, True]]


def test_the_most_certain_half() -> None:
    assert trained({"bottom": 0.5}, [0.1, 0.9, 0.2], [0.3, 0.0, 0.8]) == [[True, False, True], [False, True, False]]


def test_ties_go_to_the_first() -> None:
    assert trained({"top": 0.5}, [0.5, 0.5, 0.5], [0.5, 0.5, 0.5]) == [[True] * 3, [False] * 3]


def test_random_tokens_depend_on_seed_and_step_and_not_on_entropy() -> None:
    rows = [[0.0] * 3] * 20
    first = trained({"random": 0.25}, *rows)
    assert sum(map(sum, first)) == 15  # type: ignore[arg-type]
    assert first == trained({"random": 0.25}, *[[1.0] * 3] * 20)
    assert first != trained({"random": 0.25}, *rows, step=2)


def test_rows_without_a_trained_token_are_left_out_and_weights_count_trained_tokens() -> None:
    found = by_entropy(
        groups([0.1, 0.9, 0.8], [0.0, 0.0, 0.0]), EntropyMaskConfig.model_validate({"top": 1 / 3}), seed=0, step=1
    )
    [sample] = to_samples(found, "sequence")
    assert (sample.loss_mask, sample.weight) == ([False, False, False, True, True], 0.5)


@pytest.mark.parametrize("share", [0.01, 0.99])
def test_a_share_is_rounded_but_never_to_nothing(share: float) -> None:
    assert sum(map(sum, trained({"top": share}, [0.1, 0.9, 0.2]))) == (1 if share < 0.5 else 3)  # type: ignore[arg-type]
