"""Rewritings of the right answer that a reward's documented contract promises to pay in full."""

import json
import unicodedata
from collections.abc import Iterator
from typing import Any, NamedTuple

from rlvr.audit.case import Case, style_of
from rlvr.audit.shapes import Shape, decimal_text, number_of
from rlvr.config import TextAnswerConfig
from rlvr.rewards.exact import ARTICLES

THOUGHTS = "<think> Let me work it out, step by step. </think>\n"
FENCE = "```"
MATHS = frozenset({"math", "number"})
TEXTS = frozenset({"exact", "number", "math", "choice", "regex"})
EVERY = frozenset({*TEXTS, "code", "json", "gym", "own"})
NO_OWN = EVERY - {"own"}
"""Nobody but its author knows what else a function of the user's promises than to pay the right response."""
LONGEST = 150


class Rewriting(NamedTuple):
    """A response and who promises to take it.

    answer: the part that must reach the grader whole. promised: names of components. styles: ways of finding the
    answer for which it is promised; empty: all.
    """

    family: str
    response: str
    answer: str
    promised: frozenset[str]
    styles: frozenset[str] = frozenset()


def rewritings(case: Case) -> Iterator[tuple[str, str]]:
    """(family, response) of everything that must earn full marks."""
    if case.response is None:
        return
    yield "gold", case.response
    seen = {case.response}
    for each in _candidates(case, case.response):
        if each.response not in seen and _promised(case, each):
            seen.add(each.response)
            yield each.family, each.response


def _promised(case: Case, rewriting: Rewriting) -> bool:
    """Whether every component that checks the problem promises to take a rewriting."""
    for name, component in case.components.items():
        if name not in rewriting.promised or (rewriting.styles and style_of(component) not in rewriting.styles):
            return False
        looks_at_task = name != "own" and not (isinstance(component, TextAnswerConfig) and component.extract)
        if looks_at_task and rewriting.answer not in (case.task.final_answer(case.problem, rewriting.response) or ""):
            return False
    return True


def _candidates(case: Case, response: str) -> Iterator[Rewriting]:
    last = case.gold or response.strip()
    unmatched = frozenset({"auto", "boxed", "tags", "hashes", "last_number", "whole"})
    yield Rewriting("spaces around", f"\n\n{response} \n", last, EVERY, unmatched)
    if "<think>" not in response:
        yield Rewriting("after thoughts", THOUGHTS + response, last, NO_OWN)
    if case.shape is Shape.PROGRAM:
        yield from _programs(case.gold)
    elif case.shape is Shape.JSON:
        yield from _json_texts(case.gold)
    else:
        if is_plain(case.gold):
            yield from _wrapped(case)
        for family, answer, promised, styles in _values(case):
            yield Rewriting(family, case.write(answer), answer, promised, styles)


def is_plain(gold: str) -> bool:
    """Whether an answer can be put into a box, a formula or a line without meaning something else there."""
    depth = 0
    for character in gold:
        depth += (character == "{") - (character == "}")
        if depth < 0:
            return False
    marks = ("\n", "$", "<", "#", "\\boxed", "\\(", "\\[")
    return bool(gold) and not depth and len(gold) <= LONGEST and not any(mark in gold for mark in marks)


def _wrapped(case: Case) -> Iterator[Rewriting]:
    gold = case.gold
    boxed = frozenset({"auto", "boxed"})
    for text in (f"\\boxed{{{gold}}}", f"$\\boxed{{{gold}}}$", f"So we get \\boxed{{{gold}}}."):
        yield Rewriting("box", text, text, TEXTS, boxed)
    after = f"<think> Is it \\boxed{{0}}? No. </think> \\boxed{{{gold}}}"
    yield Rewriting("after thoughts", after, f"\\boxed{{{gold}}}", TEXTS, boxed)
    for text in (f"<answer>{gold}</answer>", f"<answer>\n{gold}\n</answer>"):
        yield Rewriting("answer tags", text, text, TEXTS, frozenset({"auto", "tags"}))
    hashes = f"One step, then another.\n#### {gold}"
    yield Rewriting("hashes", hashes, hashes, TEXTS, frozenset({"auto", "hashes"}))
    auto = frozenset({"auto"})
    yield Rewriting("formula", f"${gold}$", f"${gold}$", TEXTS, auto)
    yield Rewriting("formula", f"So it is ${gold}$.", f"So it is ${gold}$.", TEXTS, auto)
    if ". " not in gold and not gold.endswith(".") and gold == gold.strip(" *_`"):
        for text in (f"The answer is {gold}.", f"Final answer: {gold}", f"**Answer:** {gold}"):
            yield Rewriting("phrase", text, text, TEXTS, auto)
    bare = frozenset({"auto", "whole", "last_number"})
    if number_of(gold) is not None and "frac" not in gold:
        sentence = f"That makes {gold} apples in all."
        yield Rewriting("words around", sentence, sentence, frozenset({"number"}), bare - {"whole"})
    if not gold.endswith("."):
        yield Rewriting(
            "full stop", case.write(f"{gold}."), f"{gold}.", TEXTS - {"regex"}, boxed | bare - {"last_number"}
        )


def _values(case: Case) -> Iterator[tuple[str, str, frozenset[str], frozenset[str]]]:
    """(family, answer, components, styles) of other ways to write the same answer."""
    plain = frozenset({"auto", "boxed", "tags", "hashes", "whole"})
    if case.shape is Shape.NUMBER:
        yield from _numbers(case.gold, plain)
    elif case.shape is Shape.EXPRESSION and "\\frac" in case.gold:
        yield "fraction", case.gold.replace("\\frac", "\\dfrac"), frozenset({"math"}), plain
    elif case.shape is Shape.LETTER:
        for answer in (f"({case.gold})", f"{case.gold}.", f"\\text{{{case.gold}}}"):
            yield "letter", answer, frozenset({"choice"}), plain
    if case.shape in (Shape.TEXT, Shape.LETTER):
        yield from _texts(case.gold, plain)


def _numbers(gold: str, plain: frozenset[str]) -> Iterator[tuple[str, str, frozenset[str], frozenset[str]]]:
    value = number_of(gold)
    assert value is not None
    decimal, is_fraction = decimal_text(value), "/" in gold or "frac" in gold
    found = plain | {"last_number"}
    if decimal is not None and not is_fraction:
        whole, _, places = decimal.partition(".")
        yield "trailing zeros", f"{whole}.{places}0", MATHS, found
        if abs(value) >= 1000:
            grouped = f"{int(whole):,}" + (f".{places}" if places else "")
            yield "thousands", grouped, MATHS, found
        if places:
            yield "fraction", f"\\frac{{{value.numerator}}}{{{value.denominator}}}", frozenset({"math"}), plain
    elif decimal is not None:
        yield "decimal", decimal, frozenset({"math"}), plain
    if is_fraction:
        sign, top, bottom = "-" if value < 0 else "", abs(value.numerator), value.denominator
        for text in (
            f"{sign}\\frac{{{top}}}{{{bottom}}}",
            f"{sign}\\dfrac{{{top}}}{{{bottom}}}",
            f"{sign}{top}/{bottom}",
        ):
            yield "fraction", text, frozenset({"math"}), plain
    if gold.startswith("-"):
        yield "minus sign", "−" + gold[1:], MATHS, found
    yield "named", f"x = {gold}", MATHS, plain


def _texts(gold: str, plain: frozenset[str]) -> Iterator[tuple[str, str, frozenset[str], frozenset[str]]]:
    exact = frozenset({"exact"})
    for text in (gold.upper(), gold.lower()):
        if text.casefold() == gold.casefold():
            yield "case", text, exact, plain
    first, *rest = gold.casefold().split()
    bare = gold.split(maxsplit=1)[1] if rest and first in ARTICLES else gold
    yield "article", f"the {bare}", exact, plain
    yield "article", bare, exact, plain
    if rest:
        yield "spaces inside", "  ".join(gold.split()), exact, plain
    yield "composition", unicodedata.normalize("NFD", gold), exact, plain


def _programs(source: str) -> Iterator[Rewriting]:
    if not source:
        return
    code = frozenset({"code"})
    block = f"{FENCE}python\n{source}\n{FENCE}"
    texts = {
        "prose around": f"This does it:\n\n{block}\n\nIt passes every case that I can think of.",
        "fence": f"~~~\n{source}\n~~~",
        "comment": f"{FENCE}python\n# A comment.\n{source}\n# Another one.\n{FENCE}",
        "line ends": block.replace("\n", "\r\n"),
        "last block": f"{FENCE}text\nfirst a plan\n{FENCE}\n{block}",
    }
    for family, text in texts.items():
        yield Rewriting(family, text, text.strip(), code)


def _json_texts(gold: str) -> Iterator[Rewriting]:
    value = json.loads(gold)
    texts = {
        "key order": json.dumps(_reversed(value)),
        "white space": json.dumps(value, indent=4),
        "compact": json.dumps(value, separators=(",", ":"), ensure_ascii=False),
        "number form": json.dumps(_floats(value)),
    }
    written = json.dumps(value)
    texts["fence"] = f"{FENCE}json\n{written}\n{FENCE}"
    texts["prose around"] = f"Here it is:\n\n{FENCE}\n{written}\n{FENCE}\n\nThat is all."
    texts["after thoughts"] = f"<think> Is it [0]? No. </think>\n{written}"
    for family, text in texts.items():
        yield Rewriting(family, text, text.rpartition("</think>")[2].strip(), frozenset({"json"}))


def _reversed(value: Any) -> Any:
    """A JSON value with the keys of all its objects in the opposite order."""
    if isinstance(value, dict):
        return {key: _reversed(value[key]) for key in reversed(value)}
    return [_reversed(item) for item in value] if isinstance(value, list) else value


def _floats(value: Any) -> Any:
    """A JSON value with its small whole numbers written with a point."""
    if isinstance(value, dict):
        return {key: _floats(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_floats(item) for item in value]
    whole = isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**53
    return float(value) if whole else value
