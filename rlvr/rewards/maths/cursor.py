"""A place in a list of tokens, with the limits of what is read from there."""

from collections.abc import Callable
from dataclasses import dataclass, field

from rlvr.rewards.maths.lexer import Token
from rlvr.rewards.maths.values import MalformedError, Node, RefusedError

MAX_DEPTH = 32
"""How deep brackets, exponents and arguments may nest: each level takes about ten of Python's calls."""
MAX_NODES = 2000


@dataclass(frozen=True, kw_only=True)
class Readers:
    """The functions of the grammar that refer back from the inside of an expression to what it is part of."""

    items: Callable[["Cursor"], tuple[Node, ...]]
    condition: Callable[["Cursor"], Node]
    sum_of_terms: Callable[["Cursor"], Node]
    power: Callable[["Cursor"], Node]


@dataclass
class Cursor:
    """Where a reader is. units: more words that are units; any_unit: whether any word may be one (in gold answers)."""

    tokens: list[Token]
    read: Readers
    units: frozenset[str] = frozenset()
    any_unit: bool = False
    at: int = 0
    depth: int = 0
    joining: int = 0
    """The depth at which ``and`` and ``or`` stand between items: outside of brackets, or in the condition of a set."""
    nodes: int = 0
    bars: list[bool] = field(default_factory=lambda: [False])
    """Whether the innermost bracket is a ``|``, which then ends at the next one."""

    @property
    def kind(self) -> str:
        """The kind of the next token."""
        return self.tokens[self.at].kind

    @property
    def text(self) -> str:
        """The text of the next token."""
        return self.tokens[self.at].text

    def mark(self, *texts: str) -> bool:
        """Whether the next token is one of these marks."""
        token = self.tokens[self.at]
        return token.kind == "mark" and token.text in texts

    def word(self, *texts: str) -> bool:
        """Whether the next token is one of these words, in any case."""
        token = self.tokens[self.at]
        return token.kind in ("word", "letter") and token.text.lower() in texts

    def peek(self, ahead: int = 1) -> Token:
        """The token so far ahead, or the end."""
        return self.tokens[min(self.at + ahead, len(self.tokens) - 1)]

    def take(self) -> Token:
        """The next token, and go past it."""
        token = self.tokens[self.at]
        if token.kind == "end":
            raise MalformedError("it ends too soon")
        self.at += 1
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise RefusedError("too many nodes")
        return token

    def skip(self, *texts: str) -> bool:
        """Go past the next token if it is one of these marks, and say whether it was."""
        if self.mark(*texts):
            self.at += 1
            return True
        return False

    def expect(self, text: str) -> None:
        """Go past this mark, which must be next."""
        if not self.skip(text):
            raise MalformedError(f"no {text} where one must be")

    def enter(self, *, bar: bool = False) -> None:
        """Go one level deeper; refused before Python's own limit is near."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise RefusedError("nested too deep")
        self.bars.append(bar)

    def leave(self) -> None:
        """Come one level up."""
        self.depth -= 1
        self.bars.pop()
