"""From text to tokens: LaTeX, plain and Unicode maths in one alphabet. Linear time; an unknown character is an error, no guess."""

import re
import unicodedata
from typing import NamedTuple

from rlvr.rewards.maths.units import ORDINALS, UNITS
from rlvr.rewards.maths.values import MalformedError, RefusedError

MAX_TEXT = 4096
"""The longest text that is read, in characters."""
MAX_TOKENS = 2000
MAX_DIGITS = 1000
"""The most digits in one number."""


class Token(NamedTuple):
    """kind: num, word (several letters, or letters in a text), letter, mark (an operator, bracket or command), end."""

    kind: str
    text: str


_FUNCTION_NAMES = (
    "sin cos tan cot sec csc arcsin arccos arctan asin acos atan sinh cosh tanh ln log lg exp sqrt cbrt abs floor ceil"
    " max min gcd lcm arg det"
)
FUNCTIONS = frozenset(_FUNCTION_NAMES.split())
_WORDS_IN_MATHS = FUNCTIONS | {"pi", "inf", "infinity", "and", "or", "yes", "no", "odd", "even", "true", "false", "not"}
_GREEK_COMMANDS = (
    "alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa lambda mu nu xi rho sigma tau upsilon phi"
    " varphi chi psi omega Gamma Delta Theta Lambda Xi Sigma Upsilon Phi Psi Omega ell"
)
_GREEK_NAMES = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi rho sigma tau upsilon phi chi psi omega"
    " Gamma Delta Theta Lambda Xi Sigma Phi Psi Omega"
)
_GREEK_LETTERS = dict(zip("αβγδεζηθικλμνξρστυφχψωΓΔΘΛΞΣΦΨΩ", _GREEK_NAMES.split(), strict=True))
_CHARACTERS: dict[str, str] = {
    **dict.fromkeys("−–—‒﹣－", "-"),
    **dict.fromkeys("⁄∕", "/"),
    **dict.fromkeys("·⋅∙×✕", r"\times "),
    **dict.fromkeys("\u00a0\t\n\r\u2002\u2003", " "),
    **dict.fromkeys("\u2009\u202f\u2006\u2005", r"\,"),
    **dict.fromkeys("\u200b\ufeff\u2060\u00ad\u2061\u2062\u2063", ""),
    **dict.fromkeys("≤⩽≦", r"\le "),
    **dict.fromkeys("≥⩾≧", r"\ge "),
    **dict.fromkeys("’′", "'"),
    **dict.fromkeys("∅⌀", r"\emptyset "),
    **{letter: f"\\mathbb{{{plain}}}" for letter, plain in zip("ℝℤℕℚℂ", "RZNQC", strict=True)},
    **{letter: f"\\{name} " for letter, name in _GREEK_LETTERS.items()},
    **{mark: f"\\frac{{{half[0]}}}{{{half[1]}}}" for mark, half in zip(
        "½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞", ("12", "13", "23", "14", "34", "15", "25", "35", "45", "16", "56", "18", "38", "58", "78"), strict=True
    )},
    "÷": r"\div ", "π": r"\pi ", "√": r"\sqrt ", "∛": r"\sqrt[3]", "∞": r"\infty ", "≠": r"\ne ", "≈": r"\approx ",
    "∪": r"\cup ", "∩": r"\cap ", "∈": r"\in ", "±": r"\pm ", "∓": r"\mp ", **dict.fromkeys("°º˚", r"^\circ "), "∨": r"\lor ", "⌊": r"\lfloor ",
    "⌋": r"\rfloor ", "⌈": r"\lceil ", "⌉": r"\rceil ", "∣": "|", "⟨": r"\langle ", "⟩": r"\rangle ", "∖": r"\setminus ",
    "ⅈ": "i", "ⅇ": "e", "…": r"\ldots ", "×": r"\times ",
}  # fmt: skip
# Full-width forms are the same characters in another width.
_CHARACTERS |= {chr(0xFF01 + k): chr(0x21 + k) for k in range(94)} | {"－": "-", "\u3000": " "}
# So are the bold, slanted and other letters and digits of mathematics.
_STYLED = {letter: unicodedata.normalize("NFKC", letter) for letter in map(chr, range(0x1D400, 0x1D800))}
_CHARACTERS |= {letter: _CHARACTERS.get(plain, plain) for letter, plain in _STYLED.items() if plain != letter}
_TABLE = str.maketrans(_CHARACTERS)
_RAISED = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺ⁿ", "0123456789-+n", strict=True))
_LOWERED = dict(zip("₀₁₂₃₄₅₆₇₈₉", "0123456789", strict=True))
_RAISED_RUN = re.compile(f"[{''.join(_RAISED)}]+")
_LOWERED_RUN = re.compile(f"[{''.join(_LOWERED)}]+")

_SURE = r"(?:\{,\}|,?\\[!,;:]|\\ |~| )"
_EXPONENT = r"(?:[eE][-+]?[0-9]+(?![0-9A-Za-z]))?"
_TAIL = rf"(?:\.[0-9]+)?{_EXPONENT}"


_ZEROS = re.compile(r"(?<![0-9])0*[0-9]{1,3}(?:,[0-9]{3}){0,9},0[0-9]{2}(?![0-9])")


def _grammar(thousands: str) -> re.Pattern[str]:
    """One token of any kind; thousands: what may stand between groups of three digits."""
    number = rf"0*[0-9]{{1,3}}(?:{thousands}[0-9]{{3}})+(?![0-9]){_TAIL}|[0-9]+{_TAIL}|\.[0-9]+{_EXPONENT}"
    return re.compile(
        rf"(?P<num>{number})|(?P<cmd>\\(?:[A-Za-z]+|.|\Z))|(?P<letters>[A-Za-z]+)"
        r"|(?P<mark>\*\*|<=|>=|!=|[-+*/^_=<>(){}\[\]|,;:!%&$.'°€£¥¢~])|(?P<space> +)",
        re.DOTALL,
    )


_COMMA_SPLITS, _COMMA_GROUPS = _grammar(_SURE), _grammar(rf"(?:{_SURE}|,)")
_AMBIGUOUS = re.compile(r"(?<![0-9])0*[0-9]{1,3},[0-9]{3}(?![0-9])")

_SKIPPED_COMMANDS = (
    r"\left \right \big \Big \bigg \Bigg \bigl \bigr \Bigl \Bigr \biggl \biggr \Biggl \Biggr \middle \displaystyle \textstyle"
    r" \limits \, \; \: \! \quad \qquad \( \) \[ \] \mathbf \boldsymbol \bm \mathit \boxed \fbox \thinspace \enspace \nolimits"
    r" \scriptstyle \underline \tiny \small \normalsize \large \Large \LARGE \huge \Huge \bf \it \sf \mathsf \mathcal \/"
)
# A lone backslash at the end is one before a space that was stripped.
_SKIPPED = {*_SKIPPED_COMMANDS.split(), "\\ ", "\\\n", "\\"}
_TEXT_COMMANDS = r"\text \textbf \textit \textrm \textsf \texttt \mathrm \mbox \operatorname \rm \textnormal \mathop"
_TEXT = frozenset(_TEXT_COMMANDS.split())
_SAME = {
    r"\dfrac": r"\frac", r"\tfrac": r"\frac", r"\cfrac": r"\frac", r"\dbinom": r"\binom", r"\tbinom": r"\binom", r"\leq": "<=",
    r"\le": "<=", r"\leqslant": "<=", r"\geq": ">=", r"\ge": ">=", r"\geqslant": ">=", r"\lt": "<", r"\gt": ">", r"\ne": "!=",
    r"\neq": "!=", r"\approx": "~=", r"\simeq": "~=", r"\cdot": "*", r"\times": "*", r"\ast": "*", r"\div": "/", r"\lbrace": r"\{",
    r"\rbrace": r"\}", r"\lbrack": "[", r"\rbrack": "]", r"\lvert": "|", r"\rvert": "|", r"\vert": "|", r"\mid": "|",
    r"\varnothing": r"\emptyset", r"\degree": r"\circ", r"\textdegree": r"\circ", r"\lor": "or", r"\vee": "or", r"\colon": ":", r"\%": "%", r"\$": "\\$",
    r"\euro": "€", r"\pounds": "£", r"\cent": "¢", "**": "^", r"\lparen": "(", r"\rparen": ")", r"\land": "and", r"\&": "and",
    r"\prime": "'", r"\backslash": r"\setminus", r"\notin": "notin", r"\dots": r"\ldots", r"\cdots": r"\ldots", r"\dotsc": r"\ldots", r"\bullet": "*",
}  # fmt: skip
_GREEK_MARKS = frozenset("\\" + name for name in _GREEK_COMMANDS.split())


_COLOR = re.compile(r"\\(?:text)?color\s?\{[A-Za-z]{1,20}\}")
_HALF_DAY = re.compile(r"\b([aApP])\.\s?[mM]\b\.?")


def comma_readings(text: str) -> tuple[bool, ...]:
    """What commas may mean in a text, as values of thousands: both where they may part thousands or numbers, as in ``100,200``."""
    if _AMBIGUOUS.search(text) is None:
        return (False,)
    # Nobody lists a number that begins with a 0.
    return (True,) if _ZEROS.search(text) else (True, False)


def tokens(text: str, *, thousands: bool) -> list[Token]:
    """The tokens of a text, with an end token. thousands: whether ``1,234`` is one number."""
    if len(text) > MAX_TEXT:
        raise RefusedError("too long")
    if "${" in text and text.count("$") % 2:
        raise MalformedError("a template that is not filled in")
    text = _RAISED_RUN.sub(lambda run: "^{" + "".join(map(_RAISED.__getitem__, run[0])) + "}", text)
    text = _LOWERED_RUN.sub(lambda run: "_{" + "".join(map(_LOWERED.__getitem__, run[0])) + "}", text)
    text = _COLOR.sub("", text).replace("...", r"\ldots ")
    text = _HALF_DAY.sub(r"\1m", text.translate(_TABLE))
    return _Lexer(text, _COMMA_GROUPS if thousands else _COMMA_SPLITS).run()


class _Lexer:
    """One pass over a text. open_texts holds, for each ``\\text{`` that is open, how deep in braces it began."""

    def __init__(self, text: str, grammar: re.Pattern[str]) -> None:
        self.text, self.grammar = text, grammar
        self.out: list[Token] = []
        self.braces = 0
        self.open_texts: list[int] = []
        self.text_next = False

    def run(self) -> list[Token]:
        at = 0
        while at < len(self.text):
            found = self.grammar.match(self.text, at)
            if found is None:
                raise MalformedError(f"unknown character {self.text[at]!r}")
            at = found.end()
            self._take(found.lastgroup or "", found[0])
            if len(self.out) > MAX_TOKENS:
                raise RefusedError("too many tokens")
        if self.open_texts:
            raise MalformedError("a text that does not end")
        self.out.append(Token("end", ""))
        return self.out

    def _take(self, kind: str, text: str) -> None:
        match kind:
            case "num":
                if sum(map(str.isdigit, text)) > MAX_DIGITS:
                    raise RefusedError("too many digits")
                self.out.append(Token("num", text))
            case "letters":
                self._letters(text)
            case "cmd":
                self._command(text)
            case "mark":
                self._mark(text)

    def _command(self, text: str) -> None:
        if text in _TEXT:
            self.text_next = True
        elif text in _SKIPPED:
            pass
        elif text in _GREEK_MARKS:
            self.out.append(Token("letter", text))
        elif text[1:] in FUNCTIONS and text != r"\sqrt":
            self.out.append(Token("word", text[1:]))
        else:
            same = _SAME.get(text, text)
            self.out.append(Token("word" if same in ("and", "or") else "mark", same))

    def _mark(self, text: str) -> None:
        if text == "{":
            self.braces += 1
            if self.text_next:
                self.open_texts.append(self.braces)
        elif text == "}":
            self.braces -= 1
            if self.open_texts and self.open_texts[-1] == self.braces + 1:
                self.open_texts.pop()
                return
        if not (text == "{" and self.text_next) and text not in "~$":
            self.out.append(Token("mark", _SAME.get(text, text)))
        self.text_next = False

    def _letters(self, run: str) -> None:
        if self.open_texts or self.text_next:
            self.out.append(Token("word", run))
            self.text_next = False
            return
        small = run.lower()
        if small in ORDINALS and self._behind_number():
            self.out.append(Token("word", small))
            return
        function = next((name for name in (small[:-1],) if name in FUNCTIONS and len(run) > 1), None)
        if len(run) == 1:
            self.out.append(Token("letter", run))
        elif small in _WORDS_IN_MATHS or small in UNITS or (len(run) > 3 and function is None):
            self.out.append(Token("word", run))
        elif function is not None:
            self.out += [Token("word", function), Token("letter", run[-1])]
        else:
            self.out += [Token("letter", letter) for letter in run]

    def _behind_number(self) -> bool:
        """Whether a number comes before, perhaps with ``^`` or ``^{`` between, as in ``4^{th}``."""
        before = [token for token in self.out[-3:] if token.text not in ("^", "{")]
        return bool(before) and before[-1].kind == "num"
