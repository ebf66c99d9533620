"""Scoring in processes: order, charges, replacement, a user's own function, abstention, extraction and noise."""

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from rlvr.config import RewardConfig
from rlvr.errors import RlvrError
from rlvr.rewards import Attempt, Reason, RewardSum, Scorer, Verdicts, with_noise
from rlvr.rewards.abstain import abstains

OWN = """
import os, time

def score(response, answer):
    if response == "raise":
        raise KeyError("lost")
    if response == "none":
        return None
    if response == "nan":
        return float("nan")
    if response == "text":
        return "1.0"
    if response == "hang":
        while True:
            pass
    if response == "die":
        os._exit(0)
    if response == "print":
        print('{"verdict": {"reward": 1.0, "reason": "correct", "extracted": null}}', flush=True)
        return 0.0
    if response == "skip":
        return "does not apply"
    if response == "half":
        return 0.5
    return response == answer

def everything(question, answer, response, metadata):
    return float([question, answer, response, metadata] == ["q?", "a", "r", {"level": 3}])

def odd(response, prompts):
    return 1.0

NOT_A_FUNCTION = 1
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(OWN)
    return tmp_path / "mine.py"


def attempt(response: str, gold: str = "42", **more: Any) -> Attempt:
    return Attempt(gold=gold, response=response, answer=response, length=1, **more)


def scored(table: dict[str, Any], *attempts: Attempt) -> list[Verdicts]:
    with Scorer(RewardConfig.model_validate(table)) as scorer:
        return scorer.verdicts(attempts)


def reasons(table: dict[str, Any], *responses: str) -> list[str]:
    [name] = [name for name, _ in RewardConfig.model_validate(table).components()]
    return [verdicts[name].reason.value for verdicts in scored(table, *map(attempt, responses))]


# ------------------------------------------------------------------------------------------ processes


def test_there_is_one_score_an_attempt_in_their_order() -> None:
    answers = [str(40 + number % 5) for number in range(300)]
    found = scored({"math": 1.0}, *map(attempt, answers))
    assert [bool(verdicts["math"]) for verdicts in found] == [answer == "42" for answer in answers]


@pytest.mark.check("R16")
def test_a_process_that_hangs_or_dies_is_replaced_and_only_its_own_attempt_charged(own: Path) -> None:
    table = {"file": str(own), "function": "score", "seconds": 0.5, "on_error": "zero"}
    responses = ["42", "hang", "42", "die", "42", "raise", "42", "none", "nan", "text", "42", "41"]
    assert reasons(table, *responses) == [
        "correct", "timeout", "correct", "error", "correct", "error", "correct", "error", "error", "error", "correct", "wrong",
    ]  # fmt: skip


def test_processes_that_are_killed_from_outside_are_replaced() -> None:
    with Scorer(RewardConfig.model_validate({"math": 1.0})) as scorer:
        assert scorer.verdicts([attempt("42")])[0]["math"]
        [process] = scorer._all
        os.kill(process._process.pid, signal.SIGKILL)
        process._process.wait()
        charged, after = scorer.verdicts([attempt("42")])[0]["math"], scorer.verdicts([attempt("42")])[0]["math"]
    assert (charged.reason, after.reason) == (Reason.ERROR, Reason.CORRECT)


def test_no_process_is_left_when_a_scorer_closes(own: Path) -> None:
    table = {"file": str(own), "function": "score", "seconds": 60.0}
    with Scorer(RewardConfig.model_validate(table)) as scorer:
        scorer.verdicts([attempt("42")])
        scorer.submit(attempt("hang"))
        processes = list(scorer._all)
    assert processes
    assert all(process._process.poll() is not None for process in processes)


def test_cheap_graders_need_no_process() -> None:
    with Scorer(RewardConfig.model_validate({"exact": 1.0, "format": 0.1})) as scorer:
        assert scorer.verdicts([attempt("42")])[0]["exact"]
        assert not scorer._all


def test_a_gold_answer_that_cannot_be_read_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="empty"):
        scored({"math": 1.0}, attempt("42", gold="?"))


def test_a_pattern_of_a_users_that_backtracks_for_ever_is_a_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rlvr.rewards.scorer.FOREIGN_SECONDS", 0.5)
    [found] = scored({"regex": 1.0}, Attempt(gold="(a+)+b", response="a" * 60, answer="a" * 60, length=1))
    assert found["regex"].reason is Reason.TIMEOUT


def test_a_process_that_starts_while_a_scorer_closes_is_not_waited_for(own: Path) -> None:
    table = {"own": {"file": str(own), "function": "score", "seconds": 60.0, "weight": 1.0}}
    begin = time.monotonic()
    with Scorer(RewardConfig.model_validate(table)) as scorer:
        scorer.submit(attempt("hang"))
        time.sleep(0.05)
    assert time.monotonic() - begin < 30


# ------------------------------------------------------------------------------------------ own functions


def test_what_a_function_prints_and_returns(own: Path) -> None:
    table = {"file": str(own), "function": "score"}
    found = scored(table, *map(attempt, ["print", "half", "skip", "42"]))
    assert [verdicts["own"].reward if "own" in verdicts else None for verdicts in found] == [0.0, 0.5, None, 1.0]
    assert [RewardSum(RewardConfig.model_validate(table)).correct(verdicts) for verdicts in found] == [
        False, False, False, True,
    ]  # fmt: skip


def test_a_function_is_given_what_it_names(own: Path) -> None:
    one = Attempt(gold="a", response="r", answer=None, length=1, question="q?", metadata={"level": 3})
    assert scored({"file": str(own), "function": "everything"}, one)[0]["own"]


@pytest.mark.parametrize(
    ("response", "part"),
    [
        ("raise", r"raised KeyError: 'lost' for the response 'raise' to 'which\?', line 7"),
        ("none", "returned None, which is no finite number"),
        ("nan", "returned nan, which is no finite number"),
        ("text", "returned '1.0', which is no finite number"),
        ("hang", r"took too long \(reward.own.seconds: 0.5\) for the response 'hang'"),
        ("die", "ended without an answer"),
    ],
)
def test_an_error_in_a_function_names_it_and_the_sample(own: Path, response: str, part: str) -> None:
    table = {"file": str(own), "function": "score", "seconds": 0.5}
    with pytest.raises(RlvrError, match=f"mine.py: score: {part}"):
        scored(table, attempt(response, question="which?", metadata={"line": 7}))


@pytest.mark.parametrize(
    ("content", "function", "part"),
    [
        (OWN, "missing", "has no function missing"),
        (OWN, "NOT_A_FUNCTION", "has no function NOT_A_FUNCTION"),
        (OWN, "odd", "asks for an unknown argument; got 'prompts'; allowed: question, answer, response, metadata"),
        ("def score(:", "score", "cannot be imported: SyntaxError"),
        ("import nowhere_to_be_found", "score", "cannot be imported: ModuleNotFoundError"),
        (None, "score", "no such file"),
    ],
)
def test_a_function_that_cannot_be_had_is_refused(
    tmp_path: Path, content: str | None, function: str, part: str
) -> None:
    if content is not None:
        (tmp_path / "mine.py").write_text(content)
    with pytest.raises(RlvrError, match=part):
        scored({"file": str(tmp_path / "mine.py"), "function": function}, attempt("42"))


def test_a_function_and_other_components_add_up(own: Path) -> None:
    table = {"file": str(own), "function": "score", "weight": 2.0, "format": 0.5}
    [found] = scored(table, Attempt(gold="<think>1</think>42", response="<think>1</think>42", answer="42", length=1))
    assert RewardSum(RewardConfig.model_validate(table)).total(found) == 2.5


def test_the_short_form_and_the_section_are_one() -> None:
    short = {"file": "a.py", "function": "f", "seconds": 2.0, "own": {"on_error": "zero"}, "format": 0.1}
    own = {"weight": 1.0, "file": "a.py", "function": "f", "seconds": 2.0, "on_error": "zero"}
    assert RewardConfig.model_validate(short) == RewardConfig.model_validate({"own": own, "format": 0.1})


# ------------------------------------------------------------------------------------------ abstention


@pytest.mark.parametrize(
    "text",
    [
        "I don't know.", "I do not know", "i don’t know the answer", "Sorry, I don't know.", "\\text{I don't know}", "Not sure",
        "I'm not sure.", "I cannot answer this question.", "**I don't know**", "unknown", "IDK", "No idea", "I have no idea.",
        "I am sorry, but I do not know how to solve this problem.", "We can't say for sure", "I abstain.",
    ],
)  # fmt: skip
def test_abstentions(text: str) -> None:
    assert abstains(text)


@pytest.mark.parametrize(
    "text",
    [
        "", "42", "I don't know, but I would guess 42", "I don't know. 42", "unknown variable x", "I know", "It cannot be determined",
        "no solution", "none", "I don't know" * 50, "x is not known to be 3", "I do not know 42", "not", "the answer", "sorry",
    ],
)  # fmt: skip
def test_no_abstentions(text: str) -> None:
    assert not abstains(text)


@pytest.mark.parametrize(
    ("response", "pays"),
    [
        ("42", 1.0),
        ("41", -1.0),
        ("I don't know.", 0.25),
        ("<think> 6 * 7 </think> I don't know.", 0.25),
        ("\\boxed{\\text{I don't know}}", 0.25),
        ("I don't know, perhaps \\boxed{41}", -1.0),
        ("I don't know, perhaps \\boxed{42}", 1.0),  # its answer is 42
        ("", -1.0),
    ],
)
def test_what_an_abstention_pays(response: str, pays: float) -> None:
    table = {"math": {"correct": 1, "abstain": 0.25, "wrong": -1}}
    [found] = scored(table, attempt(response))
    assert RewardSum(RewardConfig.model_validate(table)).total(found) == pays
    assert (found["math"].reason is Reason.ABSTAINED) is (pays == 0.25)


def test_an_abstention_is_just_wrong_where_it_is_no_outcome() -> None:
    assert reasons({"exact": 1.0}, "I don't know.") == ["wrong"]


def test_an_answer_that_a_task_does_not_find_can_still_be_an_abstention() -> None:
    one = Attempt(gold="42", response="I don't know.", answer=None, length=1)
    [found] = scored({"exact": {"correct": 1, "abstain": 0, "wrong": -1}}, one)
    assert found["exact"].reason is Reason.ABSTAINED


# ------------------------------------------------------------------------------------------ extraction


@pytest.mark.parametrize(
    ("options", "response", "reason"),
    [
        ({"extract": "boxed"}, "\\boxed{42} it is, not 7", "correct"),
        ({"extract": "boxed"}, "42", "no_answer"),
        ({"extract": "tags"}, "<think>7</think><answer>42</answer>", "correct"),
        ({"extract": "tags"}, "\\boxed{42}", "no_answer"),
        ({"extract": "hashes"}, "so\n#### 42", "correct"),
        ({"extract": "hashes"}, "so 42", "no_answer"),
        ({"extract": "last_number"}, "7 or rather 42 of them", "correct"),
        ({"extract": "whole"}, "42", "correct"),
        ({"extract": "regex", "pattern": "RESULT=(\\S+)"}, "RESULT=7 RESULT=42", "correct"),
        ({"extract": "regex", "pattern": "RESULT=(\\S+)"}, "42", "no_answer"),
        ({"extract": "tags"}, "<think><answer>42</answer>", "no_answer"),
    ],
)
@pytest.mark.parametrize("kind", ["exact", "number", "math", "regex"])
def test_where_the_answer_is_looked_for(kind: str, options: dict[str, str], response: str, reason: str) -> None:
    one = Attempt(gold="42", response=response, answer="the task's own idea", length=1)
    [found] = scored({kind: {"weight": 1.0, **options}}, one)
    assert found[kind].reason == reason


def test_digits_are_asked_for_or_not() -> None:
    gold = "408"
    for asked, reason in ((None, "wrong"), (True, "wrong"), (False, "correct")):
        options = {} if asked is None else {"require_evaluated": asked}
        [found] = scored({"math": {"weight": 1.0, **options}}, attempt("\\boxed{12\\cdot34}", gold=gold))
        assert found["math"].reason == reason


def test_a_row_may_name_the_one_component_that_grades_it() -> None:
    table = {"choice": 1.0, "math": 1.0, "format": 0.1}
    letter = attempt("B", gold="B", metadata={"grader": "choice"})
    number = attempt("\\frac12", gold="0.5", metadata={"grader": "math"})
    found = scored(table, letter, number)
    assert [set(verdicts) for verdicts in found] == [{"choice", "format"}, {"math", "format"}]
    assert all(RewardSum(RewardConfig.model_validate(table)).correct(verdicts) for verdicts in found)


def test_an_attempt_that_nothing_checks_is_not_correct() -> None:
    table = {"choice": 1.0}
    [found] = scored(table, attempt("B", gold="B", metadata={"grader": "math"}))
    assert not RewardSum(RewardConfig.model_validate(table)).correct(found)


# ------------------------------------------------------------------------------------------ math-verify


def test_math_verify_judges_what_our_rule_finds() -> None:
    table = {"math": {"weight": 1.0, "verifier": "math_verify"}}
    found = scored(table, *(attempt(f"\\boxed{{{a}}}", gold="1/2") for a in ("\\frac{1}{2}", "0.5", "2", "")))
    assert [verdicts["math"].reason.value for verdicts in found] == ["correct", "correct", "wrong", "no_answer"]


def test_math_verify_is_ended_when_it_takes_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rlvr.rewards.scorer.FOREIGN_SECONDS", 2.0)
    table = {"math": {"weight": 1.0, "verifier": "math_verify"}}
    found = scored(table, attempt("\\boxed{9^{9^{9^9}}}"), attempt("\\boxed{42}"))
    assert [verdicts["math"].reason.value for verdicts in found] == ["timeout", "correct"]


def test_math_verify_is_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "math_verify", None)
    with pytest.raises(RlvrError, match=r"needs the package math-verify; install it with: pip install 'rlvr\[math\]'"):
        Scorer(RewardConfig.model_validate({"math": {"weight": 1.0, "verifier": "math_verify"}}))


# ------------------------------------------------------------------------------------------ noise


def noisy(table: dict[str, Any], *, correct: bool, mode: str, draws: int = 2000) -> float:
    """Share of verdicts that come out right."""
    config = RewardConfig.model_validate({"exact": 1.0, "noise": table})
    [true] = scored({"exact": 1.0}, attempt("42" if correct else "41"))
    assert config.noise is not None
    passed = [
        with_noise(true, config.noise, correct=correct, mode=mode, seed=seed)["exact"].reward for seed in range(draws)
    ]
    return sum(passed) / draws


def test_noise_errs_at_its_rates() -> None:
    table = {"fp": 0.2, "fn": 0.1, "modes": {"cot": {"fp": 0.7}}}
    assert noisy(table, correct=False, mode="direct") == pytest.approx(0.2, abs=0.04)
    assert noisy(table, correct=True, mode="direct") == pytest.approx(0.9, abs=0.03)
    assert noisy(table, correct=False, mode="cot") == pytest.approx(0.7, abs=0.05)
    assert noisy(table, correct=True, mode="cot") == 1.0


def test_noise_leaves_reasons_forms_and_abstentions_alone() -> None:
    table = {"exact": {"correct": 1, "abstain": 0, "wrong": -1}, "format": 0.5}
    config = RewardConfig.model_validate({**table, "noise": {"fp": 1.0, "fn": 1.0}})
    assert config.noise is not None
    wrong, unsure = scored(table, attempt("41"), attempt("I don't know"))
    turned = with_noise(wrong, config.noise, correct=False, mode="direct", seed=1)
    assert (turned["exact"].reward, turned["exact"].reason, turned["format"]) == (1.0, Reason.WRONG, wrong["format"])
    assert with_noise(unsure, config.noise, correct=False, mode="direct", seed=1) == unsure


# ------------------------------------------------------------------------------------------ the schema


@pytest.mark.parametrize(
    ("table", "part"),
    [
        ({"exact": {"correct": 1, "wrong": -1}}, "correct, abstain and wrong are given together"),
        ({"exact": {"weight": 1.0, "correct": 1, "abstain": 0, "wrong": -1}}, "either a weight or what each outcome pays"),
        ({"exact": {}}, "either a weight or what each outcome pays"),
        ({"exact": {"correct": 0, "abstain": 0, "wrong": -1}}, "it must pay more than abstain and wrong"),
        ({"exact": {"weight": 1.0, "extract": "regex"}}, "extract: regex needs a pattern"),
        ({"exact": {"weight": 1.0, "pattern": "(a)"}}, "pattern has no effect without extract: regex"),
        ({"exact": {"weight": 1.0, "extract": "regex", "pattern": "(a"}}, "pattern does not compile"),
        ({"exact": {"weight": 1.0, "extract": "regex", "pattern": "a"}}, "pattern has no group"),
        ({"math": {"weight": 1.0, "verifier": "math_verify", "require_evaluated": True}}, "require_evaluated has no effect"),
        ({"json": {"weight": 1.0, "extract": "boxed"}}, "extract"),
        ({"exact": 1.0, "noise": {"fp": 0.0}}, "noise with rates of 0 has no effect"),
        ({"exact": 1.0, "noise": {"fp": 1.5}}, "less than or equal to 1"),
        ({"noise": {"fp": 0.5}}, "no component checks the answer"),
        ({"file": "a.py"}, "function"),
    ],
)  # fmt: skip
def test_a_reward_that_makes_no_sense_is_refused(table: dict[str, Any], part: str) -> None:
    with pytest.raises(ValidationError, match=part):
        RewardConfig.model_validate(table)
