"""Layers against steps: what a model cannot compute while it reads one token it learns by heart, or writes down. No torch."""

from __future__ import annotations

from collections.abc import Sequence

from rlvr.claims.claim import Arm, Claim, Criterion, Measure, Runs
from rlvr.claims.reading import evaluated, mean_bars, mean_line
from rlvr.report.blocks import Chart
from rlvr.report.plots import Line, bars, lines

LENGTHS = (2, 3, 4, 5, 6, 8, 16)
"""Elements in a word; each is evaluated by itself."""

TELLING = LENGTHS[1:]
"""Those of which there are enough words: of the 36 of two elements about five are left for the test split."""

ENOUGH = 0.9
"""The accuracy from which on a model can do words of a length."""

WORKED = Arm(name="worked, 2 layers", config="layers/worked.yaml")
FILLER = Arm(name="filler, 2 layers", config="layers/filler.yaml")
HIDDEN = Arm(name="hidden element", config="layers/hidden.yaml")
SEEN = Arm(name="hidden element, trained on", config="layers/seen.yaml", start=HIDDEN)
KNOWN = Arm(name="all elements, worked", config="layers/known.yaml")


def _depths(quick: bool) -> tuple[int, ...]:
    return (1, 2) if quick else (1, 2, 3, 4)


def _direct(layers: int) -> str:
    """The name of the arm that answers at once."""
    return f"direct, {layers} layer{'s' if layers > 1 else ''}"


def _arms(quick: bool) -> Sequence[Arm]:
    direct = [
        Arm(name=_direct(depth), config="layers/direct.yaml", settings={"model.layers": depth})
        for depth in _depths(quick)
    ]
    filler = [] if quick else [FILLER]
    return [*direct, WORKED, *filler, HIDDEN, SEEN, KNOWN]


def of_length(runs: Runs, arm: str, length: int) -> float | None:
    """Greedy accuracy of an arm on new words of a length."""
    return evaluated(runs[arm], "greedy_accuracy", f"of{length}")


def reach(runs: Runs, arm: str) -> float:
    """The longest length of which 9 words in 10 are answered right; 1 if there is none, since one element is its own product."""
    able = [length for length in LENGTHS if (of_length(runs, arm, length) or 0.0) >= ENOUGH]
    return float(max(able, default=1))


def _accuracies(runs: Runs, arm: str) -> list[float]:
    return [found for length in TELLING if (found := of_length(runs, arm, length)) is not None]


def _worst(runs: Runs) -> float | None:
    return min(_accuracies(runs, WORKED.name), default=None)


def _mean(runs: Runs, arm: str) -> float | None:
    found = _accuracies(runs, arm)
    return sum(found) / len(found) if len(found) == len(TELLING) else None


def _more(arm: str, than: str) -> Measure:
    """By how much the mean accuracy over lengths from 3 on of one arm is above that of another."""

    def measure(runs: Runs) -> float | None:
        one, other = _mean(runs, arm), _mean(runs, than)
        return None if one is None or other is None else one - other

    return measure


def _reach_of(depth: int) -> Measure:
    return lambda runs: reach(runs, _direct(depth))


def _at(arm: str, length: int) -> Measure:
    return lambda runs: of_length(runs, arm, length)


def _greedy(arm: Arm) -> Measure:
    return lambda runs: evaluated(runs[arm.name], "greedy_accuracy")


def _criteria(quick: bool) -> Sequence[Criterion]:
    return [*_of_depth(_depths(quick)), *_of_steps(quick), *_of_overfitting()]


def _of_depth(depths: tuple[int, ...]) -> list[Criterion]:
    first, last = depths[0], depths[-1]
    steps = last - first
    told = [
        Criterion(arm=_direct(depth), quantity="longest length answered right (elements)", measure=_reach_of(depth))
        for depth in depths
    ]
    ends = f"{_direct(first)} to {last}"
    return [
        *told,
        Criterion(
            arm=ends,
            quantity="growth of the longest length (elements)",
            measure=lambda runs: reach(runs, _direct(last)) - reach(runs, _direct(first)),
            at_least=1.0,
            predicted="longer with more layers",
        ),
        Criterion(
            arm=ends,
            quantity="the same a layer (elements)",
            measure=lambda runs: (reach(runs, _direct(last)) - reach(runs, _direct(first))) / steps,
            predicted="1 if a layer does one addition",
        ),
        Criterion(
            arm=ends,
            quantity="factor of the longest length a layer",
            measure=lambda runs: (reach(runs, _direct(last)) / reach(runs, _direct(first))) ** (1 / steps),
            predicted="2 if layers join neighbours in pairs",
        ),
        Criterion(
            arm=ends,
            quantity="gain in accuracy, mean over lengths from 3 on",
            measure=_more(_direct(last), _direct(first)),
            at_least=0.1,
        ),
    ]


def _of_steps(quick: bool) -> list[Criterion]:
    found = [
        Criterion(
            arm=WORKED.name,
            quantity="accuracy at its worst length from 3 on",
            measure=_worst,
            at_least=0.99,
            predicted="1",
        ),
        Criterion(
            arm=_direct(2),
            quantity="accuracy at length 16",
            measure=_at(_direct(2), 16),
            at_most=0.5,
            predicted="chance, 0.17",
        ),
    ]
    if quick:
        return found
    return [
        *found,
        Criterion(
            arm=FILLER.name,
            quantity="accuracy at length 16",
            measure=_at(FILLER.name, 16),
            at_most=0.5,
            predicted="chance, 0.17",
        ),
        Criterion(
            arm=f"{FILLER.name}, against {_direct(2)}",
            quantity="gain in accuracy, mean over lengths from 3 on",
            measure=_more(FILLER.name, _direct(2)),
            at_most=0.1,
            predicted="0",
        ),
    ]


def _of_overfitting() -> list[Criterion]:
    return [
        Criterion(
            arm=HIDDEN.name,
            quantity="accuracy on the 512 words of training",
            measure=_greedy(SEEN),
            at_least=0.95,
            predicted="1",
        ),
        Criterion(
            arm=HIDDEN.name,
            quantity="accuracy on new words",
            measure=_greedy(HIDDEN),
            at_most=1 / 6 + 0.05,
            predicted="chance, 0.17",
        ),
        Criterion(
            arm=KNOWN.name, quantity="accuracy on new words", measure=_greedy(KNOWN), at_least=0.95, predicted="1"
        ),
    ]


def _charts(seeds: Sequence[Runs]) -> list[Chart]:
    depths = [depth for depth in _depths(quick=False) if _direct(depth) in seeds[0]]
    return [_by_length(seeds, depths), _by_depth(seeds, depths), _by_heart(seeds)]


def _by_length(seeds: Sequence[Runs], depths: Sequence[int]) -> Chart:
    def drawn(arm: str) -> Line:
        def points(runs: Runs) -> dict[float, float]:
            found = {float(length): of_length(runs, arm, length) for length in LENGTHS}
            return {length: value for length, value in found.items() if value is not None}

        return mean_line(arm, seeds, points)

    arms = [WORKED.name, *map(_direct, depths), *([FILLER.name] if FILLER.name in seeds[0] else [])]
    return lines(
        "layers-lengths",
        "Longer words need more layers, or steps",
        "Accuracy on new words by their length: with the steps written down, at once with more and fewer layers, and with filler in "
        "place of the steps. Chance is 1 in 6.",
        [drawn(arm) for arm in arms],
        x="elements in the word",
        y="greedy accuracy",
        share=True,
    )


def _by_depth(seeds: Sequence[Runs], depths: Sequence[int]) -> Chart:
    measured = mean_line("measured", seeds, lambda runs: {float(d): reach(runs, _direct(d)) for d in depths})
    start = measured.values[0] or 1.0
    x = [float(depth) for depth in depths]
    return lines(
        "layers-reach",
        "How much a layer adds",
        "The longest words that are answered right at once in 9 of 10 cases, beside two laws that start from the same place: one more "
        "element a layer, and twice as many.",
        [
            measured,
            Line(name="one more a layer", x=x, values=[start + at - x[0] for at in x], computed=True),
            Line(name="twice as many a layer", x=x, values=[start * 2 ** (at - x[0]) for at in x], computed=True),
        ],
        x="layers",
        y="elements in the word",
    )


def _by_heart(seeds: Sequence[Runs]) -> Chart:
    shown = (("hidden, trained on", SEEN), ("hidden, new", HIDDEN), ("worked, new", KNOWN))
    return bars(
        "layers-overfitting",
        "What cannot be worked out is learnt by heart",
        "512 words of eight elements, seen again and again. With one element hidden nobody can know the answer; with all of them, and "
        "the steps written down, the same number of words teaches how it is done. Chance is 1 in 6.",
        mean_bars(seeds, [(category, "", _greedy(arm)) for category, arm in shown]),
        x="words",
        y="greedy accuracy",
        share=True,
    )


CLAIM = Claim(
    id="layers",
    title="Layers against steps",
    said="What a model can compute while it reads one token is limited by its layers; what is beyond that it learns by heart, unless "
    "it may write the steps down.",
    by="Liu et al., arXiv:2210.10749; Merrill and Sabharwal, arXiv:2310.07923; the talk on a model's problem-solving ability "
    "for generalization",
    minutes=9.0,
    theory="""
A word is a row of elements of S3, the six ways to reorder three things, and its answer is their product. The order matters, so that the
elements cannot be counted and summed. Answered at once, everything between the question and the answer must happen in the layers above one
token. The talk says that each layer adds one operation. A layer can do better, since it can join all neighbours at the same time: pairs,
then pairs of pairs, so that the length doubles with each layer (Liu et al.; on chains of look-ups the longest that trained models follow
grows nearly so, Sanford et al., arXiv:2402.09268). For S3 a fixed number of layers is even enough for any length, but nothing says that
training finds such a way. So more layers must reach longer words; by how much each is measured here and has no bound.

Written step by step, each token needs one look-up in a table of 36 products, whatever the length: two layers must do. If it is the steps
that help and not the room, as many tokens that say nothing must not help. Filler is known to help where the work can be done side by side
and training shows how (Pfau et al., arXiv:2404.15758); here nothing shows how.

If one element of the question is hidden, all six answers are equally likely, and the only way to a lower loss is to learn the training
words by heart, as networks can do with labels drawn by chance (Zhang et al., arXiv:1611.03530): right on these, chance on new ones. As
many words that can be solved, with their steps, must teach how it is done.
""",
    arms=_arms,
    criteria=_criteria,
    charts=_charts,
    caveats=(
        "The longest length is what 700 steps of training reach, not what so many layers could compute; longer training moves it.",
        "Proposed was that it grows with every layer. After so short a training neighbouring depths lie closer together than the lengths that "
        "are tried, so the bound is on the first depth against the last; the law is told and not judged.",
        "There are 36 words of two elements, of which about five are left for tests, so that a single one that was missed counts for a fifth. "
        "The accuracies over lengths are therefore from three on, where about thirty are left; in a pilot a worked model missed one word of two.",
        "S3 alone: a table of A5 has 3,600 products, too many for training of minutes. S3 can be solved by a fixed number of layers in "
        "principle, A5, as is believed, cannot.",
        "What the shipped FAIL teaches: one of three models misses a few worked words at one length. A chain is right only if every step is, so "
        "that steps which are learnt to 99.8 % already lose 3 of 100 answers of sixteen; 700 steps of training do not always suffice.",
        "Filler has as many words in as many steps as the direct answers, worked answers have as many tokens, and so about half the words.",
    ),
)
