"""Which part of a response is the answer: one rule for all graders. Linear time on any text."""

import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

MAX_TAIL = 20_000
"""Only so many characters at the end of a response are looked at."""
MAX_ANSWER = 4096
"""A longer answer, in characters, is no answer but an attack on the grader."""
MAX_PATTERN_TEXT = 2000
"""A pattern of the user's is only run on so many characters at the end: its time is not known."""
MAX_BARE = 200
"""A response without any mark of an answer counts as one as a whole if it is no longer than this."""

STYLES = ("auto", "boxed", "tags", "hashes", "last_number", "regex", "whole")


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The text of the answer, or None if there is none, and how it was found: a style, or too_long, unfinished, nothing."""

    text: str | None
    how: str


NOTHING = Answer(text=None, how="nothing")

_BOX = re.compile(r"\\(?:boxed|fbox)(?![A-Za-z])\s{0,9}")
_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)
# What may stand between two boxes that are one answer together.
_JOINT_NOISE = re.compile(r"\\text\s?\{|\\quad|\\qquad|\\[,;:! ()\[\]]|[${}&\s]|\\")
_JOINTS = frozenset({",", ";", "and", "or", ",and", ",or", "And", "Or"})
_NAME = re.compile(r"(?:(?<![A-Za-z])|(?<=and)|(?<=or))[a-z]=$")
_HASHES = re.compile(r"^[ \t]*####[ \t]*([^\n]*)$", re.MULTILINE)
_PHRASE = re.compile(r"(?:\bfinal\s{1,5})?\banswer\b[*_]{0,3}\s{0,5}(?:\bis\b|:|=)[*_]{0,3}\s{0,5}:?", re.IGNORECASE)
_FORMULA = re.compile(r"\$\$(.+?)\$\$|\\\[(.+?)\\\]|\\\((.+?)\\\)|(?<![\\$])\$([^$\n]+)\$", re.DOTALL)
_DELIMITERS = (("$$", "$$"), ("\\[", "\\]"), ("\\(", "\\)"), ("$", "$"))
_PUNCTUATION = " .*_`\n"
_JOINT_END = re.compile(r"(?:,|\band|\bor){1,2}$")
_NUMBER = re.compile(r"(?:(?<![\w.)])[-−+])?(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)(?:\.[0-9]+)?(?:/[0-9]+)?")
# A sentence ends at a period that is not a decimal point, or with its line.
_SENTENCE = re.compile(r"\.(?=\s|$)|\n")


def after_thoughts(response: str) -> str | None:
    """The text after the last ``</think>``, all of it if there is no such tag; None if a ``<think>`` is never closed."""
    closed = response.rfind("</think>")
    if response.rfind("<think>") > closed:
        return None
    return response if closed < 0 else response[closed + len("</think>") :]


def the_answer(response: str, style: str = "auto", pattern: str | None = None) -> Answer:
    """The answer in a response.

    style: auto takes the first that is there of the last ``<answer>`` tag, the last box, ``####``, "answer is …", a formula at the end
    and, of a short response, the whole. The other styles take that one thing only. pattern: for style regex, whose group 1 is the
    answer. Raises ValueError for an unknown style.
    """
    if style not in STYLES or (style == "regex") != (pattern is not None):
        raise ValueError(f"no style {style!r} (with pattern {pattern!r}); there are {', '.join(STYLES)}")
    text = after_thoughts(response)
    if text is None:
        return Answer(text=None, how="unfinished")
    text = text[-MAX_TAIL:]
    if pattern is not None:
        return _checked(_last_match(re.compile(pattern), text[-MAX_PATTERN_TEXT:]), "regex")
    if style == "auto":
        return _auto(text)
    return _checked(_FINDERS[style](text), style)


def _checked(found: str | None, how: str) -> Answer:
    if found is None or not found.strip():
        return NOTHING
    if len(found) > MAX_ANSWER:
        return Answer(text=None, how="too_long")
    return Answer(text=found.strip(), how=how)


def _auto(text: str) -> Answer:
    tagged = tags(text)
    if tagged is not None:
        return _checked(boxes(tagged) or phrase(tagged) or tagged, "tags")
    for style in ("boxed", "hashes"):
        found = _FINDERS[style](text)
        if found is not None and found.strip():
            return _checked(found, style)
    if _BOX.search(text):
        # Boxes that are empty or never close: the writer meant to answer there.
        return NOTHING
    for how, finder in (("phrase", phrase), ("formula", last_formula)):
        found = finder(text)
        if found is not None:
            return _checked(found, how)
    return _checked(text, "whole") if len(text.strip()) <= MAX_BARE else NOTHING


def tags(text: str) -> str | None:
    """What the last ``<answer>…</answer>`` that is not blank holds; nothing if all are blank, None if none is closed."""
    found: str | None = None
    end = text.rfind("</answer>")
    while end >= 0 and (start := text.rfind("<answer>", 0, end)) >= 0:
        found = text[start + len("<answer>") : end]
        if found.strip():
            break
        end = text.rfind("</answer>", 0, start)
    return found


def boxes(text: str) -> str | None:
    """What the last box that is not empty holds; boxes joined by a comma or "and" before it count with it, as a list."""
    found = [box for box in _all_boxes(text) if text[box[1] : box[2]].strip()]
    if not found:
        return None
    _, start, end = found[-1]
    parts = [text[start:end]]
    following = found[-1][0]
    for before, inside, until in reversed(found[:-1]):
        between = text[until + 1 : following]
        if len(between) > 80:
            break
        joint, name = _split_name(_JOINT_NOISE.sub("", between))
        if joint not in _JOINTS or not _JOINT_NOISE.sub("", text[max(0, before - 20) : before]).endswith(name):
            break
        parts.append(text[inside:until])
        following = before
    return ", ".join(reversed(parts))


def _split_name(joint: str) -> tuple[str, str]:
    """What stands between two boxes without the ``x=`` at its end, and that: the same name must stand before the first box."""
    found = _NAME.search(joint)
    return (joint[: found.start()], found[0]) if found else (joint, "")


def _all_boxes(text: str) -> list[tuple[int, int, int]]:
    """(where the command begins, where the inside begins, where it ends) of every outermost box that closes."""
    found: list[tuple[int, int, int]] = []
    starts = {match.end(): match.start() for match in _BOX.finditer(text)}
    open_boxes: list[tuple[int, int, int]] = []
    depth = 0
    for brace in _BRACE.finditer(text):
        if brace[0] == "{":
            depth += 1
            if brace.start() in starts:
                open_boxes.append((starts[brace.start()], brace.end(), depth))
        elif brace[0] == "}":
            if open_boxes and open_boxes[-1][2] == depth:
                command, inside, _ = open_boxes.pop()
                # A box in a box goes with the outer one.
                while found and found[-1][0] > command:
                    found.pop()
                found.append((command, inside, brace.start()))
            depth = max(0, depth - 1)
    return found


def hashes(text: str) -> str | None:
    """What follows the last ``####`` that begins a line."""
    return _last_match(_HASHES, text)


def last_number(text: str) -> str | None:
    """The last number, with its thousands separators; of a fraction both parts."""
    found = _NUMBER.findall(text)
    return found[-1] if found else None


def phrase(text: str) -> str | None:
    """What follows the last "answer is" or "answer:" up to the end of its sentence; of maths after it, only the maths."""
    last = _last(_PHRASE, text)
    if last is None:
        return None
    rest = text[last.end() :].lstrip(" \t*_:\n")
    formula = _FORMULA.match(rest)
    if formula is not None and _ends_sentence(rest[formula.end() :]):
        return next(group for group in formula.groups() if group is not None)
    end = _SENTENCE.search(rest)
    return (rest[: end.start()] if end else rest).strip(" *_`")


def _ends_sentence(rest: str) -> bool:
    """Whether nothing more is said of what stands before: an end, a period, a new line."""
    rest = rest.lstrip(" *_`")
    return not rest or rest[0] in ".\n" or rest[:2] == "I "


def last_formula(text: str) -> str | None:
    """The formula at the end, if nothing but punctuation follows it and no other one is listed with it; None otherwise."""
    text = text.rstrip(_PUNCTUATION)
    for opening, closing in _DELIMITERS:
        end = len(text) - len(closing)
        start = text.rfind(opening, 0, end) if text.endswith(closing) else -1
        if start >= 0:
            before = text[max(0, start - 20) : start].rstrip()
            joined = _JOINT_END.search(before)
            listed = joined is not None and before[: joined.start()].rstrip().endswith(("$", "\\)", "\\]"))
            return None if listed else text[start + len(opening) : end]
    return None


def _last_match(pattern: re.Pattern[str], text: str) -> str | None:
    found = _last(pattern, text)
    return found[1] if found is not None and pattern.groups else None


def _last(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    """The last match, with only one kept at a time."""
    found = deque(pattern.finditer(text), maxlen=1)
    return found[0] if found else None


def whole(text: str) -> str:
    """All of it."""
    return text


_FINDERS: dict[str, Callable[[str], str | None]] = {
    "boxed": boxes,
    "tags": tags,
    "hashes": hashes,
    "last_number": last_number,
    "whole": whole,
}
