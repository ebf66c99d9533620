"""Problems that stand twice: in one file, or in what is trained on and in what is tested on."""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

WORDS = 13
"""Words in a row that two questions must share, as for GPT-3 (Brown et al. 2020, arXiv:2005.14165, appendix C)."""
COMMON = 10
"""Words in a row that more training questions than this share are a phrase that many questions use; also from there."""
_EDGES = ".,;:?\"'`"


@dataclass(frozen=True, kw_only=True)
class Overlap:
    """A training question that is also in the test split. train, test: which ones, by place; whole: or only for 13 words."""

    train: int
    test: int
    whole: bool


def normalised(text: str) -> str:
    """A text without what does not make it another: case, width of letters, how much space there is.

    >>> normalised("What is\\n 3 + 4?") == normalised("what is 3 + 4?")
    True
    """
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def repeated(texts: Sequence[str]) -> dict[int, int]:
    """The places of texts that stand before, each with the first place."""
    first: dict[str, int] = {}
    places = [first.setdefault(normalised(text), place) for place, text in enumerate(texts)]
    return {place: earlier for place, earlier in enumerate(places) if earlier != place}


def overlaps(train: Sequence[str], test: Sequence[str]) -> list[Overlap]:
    """The training questions that are the same as one of the test split, or share 13 words in a row with one.

    Case, space and punctuation around words do not count. A question of fewer words is compared whole. Words in a row that
    more than 10 different training questions have are not looked at: in GPT-3's check those were phrases and boilerplate.
    """
    whole: dict[tuple[str, ...], int] = {}
    parts: dict[tuple[str, ...], int] = {}
    for place, text in enumerate(test):
        words = _words(text)
        whole.setdefault(words, place)
        for gram in _grams(words):
            parts.setdefault(gram, place)
    known = [_words(text) for text in train]
    counts = Counter(gram for words in dict.fromkeys(known) for gram in set(_grams(words)) if gram in parts)
    found = []
    for place, words in enumerate(known):
        if words in whole:
            found.append(Overlap(train=place, test=whole[words], whole=True))
            continue
        shared = next((gram for gram in _grams(words) if 0 < counts[gram] <= COMMON), None)
        if shared is not None:
            found.append(Overlap(train=place, test=parts[shared], whole=False))
    return found


def _words(text: str) -> tuple[str, ...]:
    """Words between spaces, without the punctuation around them; signs such as + are words."""
    return tuple(word.strip(_EDGES) or word for word in normalised(text).split())


def _grams(words: tuple[str, ...]) -> Iterable[tuple[str, ...]]:
    return (words[start : start + WORDS] for start in range(len(words) - WORDS + 1))
