"""Recognises "I don't know": an answer that claims nothing."""

import re

MAX_CHARACTERS = 200
"""Whoever says no more than that he does not know is brief."""

_NOISE = re.compile(r"\\(?:text|mathrm|textbf|mathbf|textit)(?![A-Za-z])|[{}$*_`\"“”.!,;:]|\\[ ,;:!]|~")
_SORRY = r"(?:(?:i(?: am|'m)? )?(?:really )?(?:so )?(?:sorry|afraid|honestly)(?: but)? )?"
_WHO = r"(?:i|we|i really|i honestly|we really)"
_NOT = r"(?:do not|don't|dont|cannot|can't|cant|can not|could not|couldn't)"
_KNOW = rf"(?:{_WHO} )?{_NOT} (?:know|tell|say|answer|determine|solve|figure)"
_WHAT = r"(?: (?:the answer|the solution|how|to solve|it|this|that|out|for sure|with certainty|to this|question|problem|this question|this problem|to))*"
_STATES = r"(?:(?:(?:i am|i'm|we are|we're) )?(?:not sure|unsure|not certain|uncertain)|(?:(?:i have|we have) )?no idea|idk|(?:i )?(?:abstain|pass)|unknown|no answer)"
_ABSTENTION = re.compile(rf"{_SORRY}(?:{_KNOW}|{_STATES}){_WHAT}")


def abstains(text: str) -> bool:
    """Whether a text says that its writer does not know, and nothing else; an answer beside it makes it a guess.

    >>> abstains("I don't know."), abstains("I don't know, maybe 4"), abstains("It cannot be determined")
    (True, False, False)
    """
    if len(text) > MAX_CHARACTERS:
        return False
    plain = _NOISE.sub(" ", text.casefold().replace("’", "'"))
    return _ABSTENTION.fullmatch(" ".join(plain.split())) is not None
