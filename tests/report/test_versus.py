"""Two evaluations face to face: differences by hand, curves that cross, and problems that one of them alone solves."""

import random
from pathlib import Path
from statistics import fmean

import pytest
from run_folders import evaluation, rl_run

from rlvr.errors import RlvrError
from rlvr.report.blocks import Chart, Prose, Table
from rlvr.report.document import document
from rlvr.report.runs import open_finished
from rlvr.report.versus import Versus, verdicts, versus
from rlvr.statistics import at_least, paired_shares, pass_interval

Outcomes = dict[str, list[bool]]


def given(*counts: tuple[int, int]) -> Outcomes:
    """Problems with so many samples, of which so many are right, the last ones."""
    return {f"q{n}": [False] * (samples - right) + [True] * right for n, (samples, right) in enumerate(counts)}


def compared(folder: Path, a: Outcomes, b: Outcomes, **config: object) -> Versus:
    evaluation(folder / "a", "base", a)
    evaluation(folder / "b", "trained", b, **config)
    return versus(open_finished(folder / "a"), open_finished(folder / "b"))


def test_a_sharpened_model_wins_at_one_and_loses_at_k(tmp_path: Path) -> None:
    """Of 40 problems the base has 2 of 8 everywhere; the other all of 8 in 24 of them, and else none: 0.25 against 0.6, 1 against 0.6."""
    found = compared(tmp_path, given(*[(8, 2)] * 40), given(*[(8, 8)] * 24, *[(8, 0)] * 16))
    first, last = found.curve[0], found.curve[-1]
    assert (first.a[0], first.b[0], last.a[0], last.b[0]) == (0.25, 0.6, 1.0, 0.6)
    assert first.difference.mean == pytest.approx(0.35)
    assert found.crossing == 3  # of A: at 2 it is 1 - C(6, 2) / C(8, 2) = 0.464, at 3 1 - C(6, 3) / C(8, 3) = 0.643
    told = " ".join(verdicts(found))
    assert "In one sample B is better by 0.35 (" in told
    assert "Sharpening: B is ahead in one sample and behind in 8" in told
    assert (found.gained, found.lost) == (0, 16)


def test_an_ability_that_the_other_never_showed(tmp_path: Path) -> None:
    """Of 12 problems B alone has 6 of 8, which chance does with 2^-6 each; in 4 more each has one that the other has not."""
    a = given(*[(8, 0)] * 12, *[(8, 1)] * 4)
    b = {**given(*[(8, 6)] * 12, *[(8, 0)] * 4), "q12": [True] + [False] * 7}
    found = compared(tmp_path, a, b)
    assert (found.gained, found.lost) == (12, 3)
    # q12: A's last and B's first sample are right: two apart, none in common; the three others are one apart.
    assert found.by_chance == pytest.approx(12 * 2**-6 + 2**-2 + 3 * 0.5)
    assert found.gained_p == pytest.approx(at_least([2**-6] * 12 + [0.25] + [0.5] * 3, 12))
    assert "more than sharpening" in verdicts(found)[2]
    assert "B solves more than chance explains" in verdicts(found)[3]


def test_two_that_are_alike_are_not_told_apart(tmp_path: Path) -> None:
    outcomes = given(*[(4, n % 5) for n in range(20)])
    found = compared(tmp_path, outcomes, outcomes)
    assert (found.gained, found.lost, found.crossing) == (0, 0, None)
    assert found.curve[0].difference.mean == 0.0
    assert verdicts(found)[0].startswith("In one sample the difference is not significant: B - A is 0.00 (-")


@pytest.mark.parametrize("coupled", [False, True])
def test_chance_explains_what_equally_good_models_do(coupled: bool, tmp_path: Path) -> None:
    """As many problems as expected are solved by one alone, and seldom significantly many, also where random numbers are shared."""
    from rlvr.report.versus import _alone

    rng, seen, expected, alarms = random.Random(3), [], [], 0
    for _ in range(300):
        chances = [rng.betavariate(0.3, 2.0) for _ in range(40)]
        mine = [[rng.random() < p for _ in range(8)] for p in chances]
        if coupled:
            theirs = [
                [right if rng.random() < 0.7 else rng.random() < p for right in row]
                for p, row in zip(chances, mine, strict=True)
            ]
        else:
            theirs = [[rng.random() < p for _ in range(8)] for p in chances]
        gained, _, each = _alone(mine, theirs, 8)
        seen.append(gained)
        expected.append(sum(each))
        alarms += at_least(each, gained) < 0.05
    assert fmean(seen) == pytest.approx(fmean(expected), rel=0.05)
    assert alarms <= 0.07 * 300


def test_one_sample_says_nothing_of_many(tmp_path: Path) -> None:
    found = compared(tmp_path, given((1, 0), (1, 1)), given((1, 1), (1, 1)))
    assert [at.k for at in found.curve] == [1]
    assert verdicts(found)[-1].startswith("One sample a problem says nothing of pass@k")


def test_problems_that_only_one_was_asked_are_left_out_and_counted(tmp_path: Path) -> None:
    a, b = given(*[(2, 1)] * 5), given(*[(2, 1)] * 3)
    found = compared(tmp_path, a, b, eval={"problems": 3}, seed=7)
    assert (found.problems, found.left_out) == (3, (2, 0))
    assert found.notes == [
        "compared on the 3 problems in common; 2 of A and 0 of B are left out",
        "drawn with other seeds (0 and 7), so not with the same random numbers",
    ]


def test_what_cannot_be_compared_is_refused(tmp_path: Path) -> None:
    a = open_finished(evaluation(tmp_path / "a", "m", given((2, 1), (2, 1))))
    other = evaluation(
        tmp_path / "task", "m", given((2, 1), (2, 1)), task={"name": "modsum", "modulus": 3, "length": 4}
    )
    with pytest.raises(RlvrError, match=r"another task; got .*task\.modulus: 2 -> 3"):
        versus(a, open_finished(other))
    asked = evaluation(tmp_path / "questions", "m", {"x": [True], "y": [False]})
    with pytest.raises(RlvrError, match="too few problems in common; got 0"):
        versus(a, open_finished(asked))
    with pytest.raises(RlvrError, match="is a run of rlvr rl, not of rlvr eval"):
        versus(a, open_finished(rl_run(tmp_path / "rl")))
    (tmp_path / "questions" / "rollouts" / "step_000000.jsonl").unlink()
    with pytest.raises(RlvrError, match="has no answers to compare"):
        versus(a, open_finished(asked))


def test_the_report_of_two_evaluations_has_both_curves(tmp_path: Path) -> None:
    compared(tmp_path, given(*[(4, 1)] * 6), given(*[(4, 3)] * 6))
    section = document([open_finished(tmp_path / name) for name in ("a", "b")])[1][-1]
    assert section.name == "versus"
    [chart] = [block for block in section.blocks if isinstance(block, Chart)]
    [table] = [block for block in section.blocks if isinstance(block, Table)]
    assert chart.table.rows[0][:1] == [1]
    assert [row[0] for row in table.rows] == [1, 2, 4]
    assert "A is a (base), B is b (trained)." in next(b.text for b in section.blocks if isinstance(b, Prose))


def test_the_report_of_one_evaluation_has_its_solvability(tmp_path: Path) -> None:
    run = open_finished(evaluation(tmp_path / "a", "m", given(*[(8, n) for n in (0, 0, 2, 5, 8)])))
    section = next(each for each in document([run])[1] if each.name == "solvability")
    groups, problems = (block for block in section.blocks if isinstance(block, Table))
    assert [row[0] for row in groups.rows] == [4, 8, 16, 32]
    # Of the 70 choices of 4 of 8, all are alike where none or all are right; with 2 right 15 are, with 5 right 5.
    assert groups.rows[0][1] == pytest.approx((3 + 15 / 70 + 5 / 70) / 5)
    assert [(row[3], row[4]) for row in problems.rows] == [(0, 8), (0, 8), (2, 8), (5, 8), (8, 8)]
    assert "0.400 [0.118, 0.769] were never solved" in next(b.text for b in section.blocks if isinstance(b, Prose))
    single = open_finished(evaluation(tmp_path / "b", "m", given((1, 0), (1, 1))))
    gap = next(each for each in document([single])[1] if each.name == "solvability").blocks[0]
    assert isinstance(gap, Prose)
    assert "set eval.samples" in gap.text


def test_intervals_of_differences_and_of_pass_at_k_cover() -> None:
    """Of 200 evaluations of 40 problems with 8 samples, of a model whose chances are those of another, doubled."""
    rng, rounds = random.Random(4), 200
    many = [rng.betavariate(0.4, 1.6) for _ in range(20_000)]
    truth = fmean(min(1.0, 2 * p) - p for p in many)
    passing = fmean(1 - (1 - p) ** 4 for p in many)
    covered = passed = 0
    for _ in range(rounds):
        chances = [rng.betavariate(0.4, 1.6) for _ in range(40)]
        a, b = ([sum(rng.random() < times * p for _ in range(8)) for p in chances] for times in (1, 2))
        difference = paired_shares([(after - before) / 8 for before, after in zip(a, b, strict=True)])
        assert difference.low is not None
        assert difference.high is not None
        covered += difference.low <= truth <= difference.high
        _, low, high = pass_interval([(8, right) for right in a], 4)
        passed += low <= passing <= high
    assert covered >= 0.93 * rounds
    assert passed >= 0.9 * rounds
