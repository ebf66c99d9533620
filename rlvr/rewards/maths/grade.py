"""Grades a response by the value of its answer."""

import re
from dataclasses import dataclass, replace
from functools import lru_cache

from rlvr.rewards.extract import the_answer
from rlvr.rewards.maths.compare import Judge
from rlvr.rewards.maths.lexer import MAX_TEXT, Token, comma_readings, tokens
from rlvr.rewards.maths.structure import read
from rlvr.rewards.maths.units import UNITS
from rlvr.rewards.maths.values import (
    ARITHMETIC,
    MalformedError,
    Measure,
    Negative,
    Node,
    Num,
    Phrase,
    RefusedError,
    Var,
    parts,
)
from rlvr.rewards.maths.words import (
    choice_letter,
    count_words,
    has_words,
    is_word_answer,
    plain_words,
    set_in_words,
    unwrapped,
)
from rlvr.rewards.verdict import Reason, Verdict

_BOXED = re.compile(r"\s*\$*\s*\\(?:boxed|fbox)\s*\{(.*)\}\s*\$*\s*\.?\s*", re.DOTALL)
_DECIMAL_COMMA = re.compile(r"-?[0-9]+,(?:[0-9]{1,2}|[0-9]{4,})")
_ABOUT = re.compile(r"\s*(?:\\approx(?![A-Za-z])|≈)\s*")
_COMMAND = re.compile(r"\\[A-Za-z]")
_LETTERED = re.compile(r"\\(?:text|textbf|textrm|mathrm|mathbf)\s*\{\s*\(([A-E])\)\s*\}(.*[0-9A-Za-z].*)", re.DOTALL)
_MAX_WORDS = 6
"""A gold answer with more words than this, which are neither functions nor units, is a sentence with a formula in it."""
_MARKDOWN = ("**", "__", "*", "_", "`")


@dataclass(frozen=True, kw_only=True)
class Gold:
    """A gold answer that was read.

    readings: its values, two if a comma may mean thousands. words: its text if it is one of words. letter: the choice that the value
    belongs to, as in ``\\textbf{(D)}\\ 12``.
    """

    text: str
    readings: tuple[Node, ...]
    words: str | None
    letter: str | None = None


def parse_gold(gold: str) -> Gold:
    """Read a gold answer. Raises ValueError if it is no answer: empty, unbalanced, contradictory, too long or too costly.

    What is not read as a value is kept as words, or as short notation such as ``A \\to B``, which only the same text equals.
    """
    return _remembered_gold(gold) if len(gold) <= MAX_TEXT else _read_gold(gold)


def _read_gold(gold: str) -> Gold:
    text = _inside_box(gold.strip())
    lettered = _LETTERED.fullmatch(text)
    if lettered is not None and _LETTERED.fullmatch(lettered[2].strip()) is None:
        return replace(_read_gold(lettered[2]), letter=lettered[1])
    if not any(character.isalnum() or character in "∅∞\\½⅓¼¾π" for character in text):
        raise MalformedError(f"the gold answer {gold!r} is empty")
    words = plain_words(text) if is_word_answer(text) else None
    try:
        readings = tuple(dict.fromkeys(_readings(text, frozenset(), any_unit=True)))
    except (MalformedError, RefusedError):
        if words is None and not _is_notation(text):
            raise
        return Gold(text=text, readings=(Phrase(words or text),), words=words)
    found = Gold(text=text, readings=readings, words=words)
    if words is None and (len(_units(found)) > _MAX_WORDS or not _equals_itself(readings)):
        raise MalformedError(f"the gold answer {gold!r} contradicts itself or is a sentence")
    return found


# A data set asks for the same gold answer once for each response to it.
_remembered_gold = lru_cache(maxsize=1024)(_read_gold)


def _is_notation(text: str) -> bool:
    """Whether a text that is not read here is still an answer, as ``A -> B`` in LaTeX, and not a sentence with a formula."""
    commands = any(_COMMAND.match(token.text) for token in tokens(text, thousands=False))
    short = _balanced(text) and count_words(text) <= _MAX_WORDS
    return short and (has_words(text) or commands or _COMMAND.search(text) is not None)


def _equals_itself(readings: tuple[Node, ...]) -> bool:
    """Whether a gold answer is equal to itself; one too costly to say is only equal to the same text."""
    try:
        return any(_right(reading, reading, None) for reading in readings)
    except RefusedError:
        return True


def grade_math(
    gold: str | Gold,
    response: str,
    *,
    style: str = "auto",
    pattern: str | None = None,
    require_evaluated: bool | None = None,
) -> Verdict:
    """Full marks if the response's answer equals the gold answer, nothing otherwise. No response raises; a bad gold is a ValueError.

    A unit may be missing or be one that the gold answer leaves out, and may be another one of exactly the same size: ``5``, ``5 cm``
    and ``50 mm`` are right for ``5 cm``. A percent sign may be missing too, but ``42\\%`` is no 42: it is 0.42.

    gold: as text, or read before by parse_gold. style, pattern: where the answer is, as in extract.the_answer. require_evaluated: True wants
    numbers in digits, False takes ``12\\cdot34`` for 408; None wants digits where the gold answer is in digits.
    """
    wanted = parse_gold(gold) if isinstance(gold, str) else gold
    found = the_answer(response, style, pattern)
    if found.text is None:
        return Verdict(reward=0.0, reason=Reason.TOO_LONG if found.how == "too_long" else Reason.NO_ANSWER)
    try:
        right = is_right(wanted, found.text, require_evaluated)
    except RefusedError:
        return Verdict(reward=0.0, reason=Reason.REFUSED, extracted=found.text)
    except MalformedError:
        return Verdict(reward=0.0, reason=Reason.MALFORMED, extracted=found.text)
    return Verdict(reward=float(right), reason=Reason.CORRECT if right else Reason.WRONG, extracted=found.text)


def is_right(gold: Gold, answer: str, require_evaluated: bool | None = None) -> bool:
    """Whether an answer, without the text around it, equals the gold answer. Raises MalformedError or RefusedError."""
    answer = _inside_box(_without_markdown(answer.strip()))
    lettered = _LETTERED.fullmatch(answer)
    if lettered is not None:
        return _lettered_is_right(gold, lettered[1], lettered[2], require_evaluated)
    if gold.letter is not None and choice_letter(answer) == gold.letter:
        return True
    if gold.words is not None and plain_words(answer) == gold.words:
        return True
    if unwrapped(gold.text).isalpha() and unwrapped(answer) == unwrapped(gold.text):
        return True
    if answer.startswith("~"):
        # LaTeX takes it for a space, but who writes it there means "about".
        raise MalformedError("about")
    if _same_tokens(gold.text, answer):
        return True
    if isinstance(gold.readings[0], Phrase):
        return has_words(gold.text) and plain_words(answer) == plain_words(gold.text)
    letter = choice_letter(answer)
    if letter is not None and any(isinstance(reading, Var) and reading.name == letter for reading in gold.readings):
        return True
    if _has_form(gold.readings[0], "decimal"):
        answer = _without_about(answer)
        if _DECIMAL_COMMA.fullmatch(answer):
            answer = answer.replace(",", ".")
    readings = _readings(answer, frozenset(_units(gold)), any_unit=False)
    return any(_right(wanted, given, require_evaluated) for wanted in gold.readings for given in readings)


def _lettered_is_right(gold: Gold, letter: str, value: str, require_evaluated: bool | None) -> bool:
    r"""Whether ``\textbf{(D)}\ 12`` is right: by its letter if the gold answer is one, else by its value, or by both."""
    if _LETTERED.fullmatch(value.strip()):
        raise MalformedError("two choices")
    if gold.letter not in (None, letter):
        return False
    if gold.readings != (Var(letter),):
        return is_right(replace(gold, letter=None), value, require_evaluated)
    return all(isinstance(reading, (*ARITHMETIC, Measure)) for reading in _readings(value, frozenset(), any_unit=False))


def _right(gold: Node, answer: Node, require_evaluated: bool | None) -> bool:
    return Judge(require_evaluated).right(gold, answer)


def _readings(text: str, units: frozenset[str], *, any_unit: bool) -> list[Node]:
    """The values a text can be read as. Raises MalformedError if there is none."""
    in_words = set_in_words(text)
    if in_words is not None:
        return [in_words]
    found: list[Node] = []
    problem = MalformedError("no reading")
    for thousands in comma_readings(text):
        try:
            found.append(read(text, thousands=thousands, units=units, any_unit=any_unit))
        except MalformedError as malformed:
            problem = malformed
    if not found:
        raise problem
    return found


def _inside_box(text: str) -> str:
    found = _BOXED.fullmatch(text) if len(text) <= MAX_TEXT else None
    return found[1].strip() if found and _balanced(found[1]) else text


def _balanced(text: str) -> bool:
    depth = 0
    for brace in re.findall(r"\\.|[{}]", text, re.DOTALL):
        depth += (brace == "{") - (brace == "}")
        if depth < 0:
            return False
    return depth == 0


def _same_tokens(gold: str, answer: str) -> bool:
    return _unbraced(gold) == _unbraced(answer)


def _unbraced(text: str) -> list[Token]:
    """The tokens of a text without the braces around a single one: ``x^{2}`` is ``x^2``."""
    out: list[Token] = []
    for token in tokens(text, thousands=False):
        if token == ("mark", "}") and len(out) > 1 and out[-2] == ("mark", "{"):
            del out[-2]
        else:
            out.append(token)
    return out


def _without_markdown(answer: str) -> str:
    """An answer without the marks that make it bold, italic or code."""
    for mark in _MARKDOWN:
        if len(answer) > 2 * len(mark) and answer.startswith(mark) and answer.endswith(mark):
            answer = answer[len(mark) : -len(mark)].strip()
    return answer


def _without_about(answer: str) -> str:
    """An answer without ≈ at its start, which is no hedge if the gold answer is a decimal."""
    found = _ABOUT.match(answer)
    return answer[found.end() :] if found else answer


def _has_form(node: Node, form: str) -> bool:
    inner = node.item if isinstance(node, Negative) else node
    return isinstance(inner, Num) and inner.form == form


def _units(gold: Gold) -> set[str]:
    """The words that this gold answer alone uses as units."""
    found: set[str] = set()
    waiting = list(gold.readings)
    while waiting:
        node = waiting.pop()
        waiting += parts(node)
        if isinstance(node, Measure):
            found |= {word for factor in node.unit.split() for word in (factor.partition("^")[0],) if word not in UNITS}
    return found
