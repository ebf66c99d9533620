"""A rollout token by token as text: colours, and a block under each token that says the same without colour.

What is measured of tokens is in ``QUANTITIES``. As on the page, blue is sure and red a fork; of what can be negative, blue is less and red is
more. The colours are ColorBrewer's RdBu, which the colour-blind can tell apart.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.cells import cell_len, chop_cells
from rich.text import Text

from rlvr.errors import RlvrError
from rlvr.report.attempts import Attempt, Pieces, attempts, measured
from rlvr.report.choosing import Step
from rlvr.report.sound import are_tokens
from rlvr.runtime.literal import printable
from rlvr.runtime.sparkline import BLOCKS

COLOURS = ("#2166ac", "#4393c3", "#92c5de", "#d1e5f0", "#f7f7f7", "#fddbc7", "#f4a582", "#d6604d", "#b2182b")
DARK = ("#2166ac", "#b2182b")
"""The colours that white letters are read on; on the others letters are black."""
MASKED = "×"
"""Under a token that the step did not learn from, where it learnt from others of the rollout."""
UNKNOWN = "?"
MOST_TOKENS = 20_000
WITHIN = 0.98
"""Share of the tokens whose values a scale holds."""
LONGEST_PIECE = 200
"""Characters of one token that are shown."""

Values = list[float | None]


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """Something measured of tokens.

    of: its name in ``attempts.measured``. about: what blue and red mean. form: how a value is written, as what ``written`` makes of it.
    least: the scale reaches at least to here; no further if it is ``fixed``. signed: whether 0 is in the middle. down: whether a
    lower value is redder.
    """

    of: str
    about: str
    form: str
    least: float
    fixed: bool = False
    signed: bool = False
    down: bool = False
    written: Callable[[float], float] = float

    def text(self, value: float) -> str:
        """A value as it is written."""
        return self.form.format(self.written(value))


QUANTITIES: dict[str, Quantity] = {
    "entropy": Quantity(
        of="entropy",
        about="entropy when sampled: blue is sure, red a fork",
        form="{:.3f} nats",
        least=math.log(2),
    ),
    "advantage": Quantity(
        of="advantage",
        about="advantage: blue was made less likely, red more likely",
        form="{:+.3f}",
        least=1.0,
        signed=True,
    ),
    "change": Quantity(
        of="change",
        about="change of log-probability since the earlier model: blue is less likely now, red more",
        form="{:+.3f} nats",
        least=0.1,
        signed=True,
    ),
    "ratio": Quantity(
        of="log_ratio",
        about="importance ratio: blue is less likely than when sampled, red more",
        form="{:.3f}",
        least=0.1,
        signed=True,
        written=lambda log_ratio: math.exp(min(log_ratio, 700.0)),
    ),
    "probability": Quantity(
        of="logprob",
        about="probability when sampled: blue is certain, red 0.01 or less",
        form="{:.3f}",
        least=math.log(100),
        fixed=True,
        down=True,
        written=lambda logprob: math.exp(min(logprob, 0.0)),
    ),
}
"""What tokens can be coloured by."""


def read_tokens(step: Step, lines: Sequence[int], pieces: Pieces) -> list[Attempt]:
    """Rollouts of a step token by token. RlvrError if one of them, or the study, is damaged."""
    for line in lines:
        if not are_tokens(step.records[line]["token_ids"]):
            where = f"{step.run.path}: rollouts of step {step.number}, line {line + 1}"
            raise RlvrError(where, "is damaged: token_ids are no tokens", remedy="remove the line")
    return attempts(step.run, step.number, pieces, lines)


def values_of(attempt: Attempt) -> dict[str, Values]:
    """The quantities that were measured of a rollout, each by token: None for a token where it is not finite."""
    known = measured(attempt)
    values = {name: [_finite(value) for value in known[quantity.of] or []] for name, quantity in QUANTITIES.items()}
    return {name: found for name, found in values.items() if any(value is not None for value in found)}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _nearest(steps: Sequence[str], share: float) -> str:
    return steps[int(share * (len(steps) - 1) + 0.5)]


@dataclass(frozen=True, kw_only=True)
class Scale:
    """From a value to its block and its colour. top: the end of the scale; what is further out is drawn as it."""

    quantity: Quantity
    top: float

    def place(self, value: float) -> float:
        """0 for blue, 1 for red; of a signed quantity 0.5 is neither."""
        share = (-value if self.quantity.down else value) / self.top
        return min(1.0, max(0.0, (share + 1) / 2 if self.quantity.signed else share))

    def block(self, value: float | None) -> str:
        """A block the higher, the redder the value is. A signed quantity has seven, the fourth of them for neither."""
        blocks = BLOCKS[:-1] if self.quantity.signed else BLOCKS
        return UNKNOWN if value is None else _nearest(blocks, self.place(value))

    def style(self, value: float | None) -> str:
        """The colours of a token's letters and of what is behind them."""
        if value is None:
            return ""
        colour = _nearest(COLOURS, self.place(value))
        return f"{'#ffffff' if colour in DARK else '#000000'} on {colour}"

    def legend(self) -> Text:
        """What blocks and colours mean, with the values at the ends and in the middle."""
        text = Text(self.quantity.about + " ")
        for end in (-self.top, 0.0, self.top) if self.quantity.signed else (0.0, self.top):
            value = -end if self.quantity.down else end
            text.append(" ")
            bound = "" if end == 0 else "≥ " if value > 0 else "≤ "
            text.append(f" {self.block(value)} {bound}{self.quantity.text(value)} ", self.style(value))
        return text


def scale_of(name: str, attempts: Sequence[Attempt]) -> Scale | None:
    """A scale for all of the rollouts, so that their colours can be compared; None if the quantity was measured of none of them.

    It ends where all but one token in fifty are within, as on the page.
    """
    quantity = QUANTITIES[name]
    values = (value for attempt in attempts for value in values_of(attempt).get(name, []))
    known = sorted(abs(value) for value in values if value is not None)
    if not known:
        return None
    most = known[int(WITHIN * (len(known) - 1))]
    return Scale(quantity=quantity, top=quantity.least if quantity.fixed else max(quantity.least, most))


@dataclass(frozen=True, kw_only=True)
class Part:
    """As much of a token as stands on one line, and its width in columns."""

    token: int
    text: str
    width: int


@dataclass(frozen=True, kw_only=True)
class TokenView:
    """A rollout to be drawn, coloured by one quantity. values, scale: None if it was not measured. credit: by token, in [0, 1]."""

    attempt: Attempt
    texts: list[str]
    values: Values | None
    scale: Scale | None
    masked: list[bool]
    credit: Values | None


def token_view(attempt: Attempt, name: str, scale: Scale | None) -> TokenView:
    """A rollout coloured by a quantity on its scale."""
    values = values_of(attempt).get(name)
    return TokenView(
        attempt=attempt,
        texts=[text_of(attempt, token) for token in range(len(attempt.pieces))],
        values=values,
        scale=None if values is None else scale,
        masked=_masked(attempt),
        credit=credit_of(attempt),
    )


def text_of(attempt: Attempt, token: int) -> str:
    """The text of one of a rollout's tokens as it is drawn; of the last, that ended it and has no text, ``‹end›``."""
    piece, last = attempt.pieces[token], token == len(attempt.pieces) - 1
    if not piece and last and attempt.record["stop_reason"] == "stop":
        return "‹end›"
    return shown(piece, attempt.record["token_ids"][token])


def shown(piece: str, token: object) -> str:
    """A token's text as it is drawn: at least one column, on one line, with ``⏎`` for a line's end and its number if it has no text."""
    text = printable(piece[:LONGEST_PIECE]).replace("\n", "⏎") or f"‹{token}›"
    text += f"…({len(piece):,} characters)" if len(piece) > LONGEST_PIECE else ""
    return text if cell_len(text) else f"◌{text}"


def _masked(attempt: Attempt) -> list[bool]:
    """Which tokens the step left out; none if it learnt from all or from nothing, or that is not known."""
    trained, count = attempt.trained, len(attempt.pieces)
    if not isinstance(trained, list) or len(trained) != count or not any(trained):
        return [False] * count
    return [not each for each in trained]


def credit_of(attempt: Attempt) -> Values | None:
    """After each token, the chance of ending right as last measured at or before it; None without a study of credit."""
    measured = {position: right for position, right, _, _ in credit_points(attempt)}
    if not measured:
        return None
    values, last = [], measured.get(0)
    for position in range(1, len(attempt.pieces) + 1):
        last = measured.get(position, last)
        values.append(last)
    return values


def credit_points(attempt: Attempt) -> list[tuple[int, float, float, float]]:
    """Where credit was measured: position (after so many tokens), the share that ended right, and its interval."""
    credit = (attempt.studied or {}).get("credit")
    lists = [credit.get(name) for name in ("positions", "right", "low", "high")] if isinstance(credit, dict) else []
    if not lists or not all(isinstance(each, list) for each in lists):
        return []
    rows = zip(*lists, strict=False)
    return [row for row in rows if all(isinstance(value, int | float) and value >= 0 for value in row) and row[1] <= 1]


def laid_out(view: TokenView, width: int) -> list[list[Part]]:
    """The tokens in lines of at most ``width`` columns; a line ends after a token with a line's end."""
    lines: list[list[Part]] = [[]]
    used = 0
    for token, text in enumerate(view.texts[:MOST_TOKENS]):
        for piece in [text] if cell_len(text) <= width else chop_cells(text, width):
            columns = cell_len(piece)
            if used and used + columns > width:
                lines.append([])
                used = 0
            lines[-1].append(Part(token=token, text=piece, width=columns))
            used += columns
        if "\n" in view.attempt.pieces[token]:
            lines.append([])
            used = 0
    return [line for line in lines if line]


def height_of(view: TokenView) -> int:
    """Rows on the screen that a line of tokens takes: letters, blocks, and credit if it was studied."""
    return 1 + (view.scale is not None) + (view.credit is not None)


def painted(view: TokenView, line: Sequence[Part], cursor: int | None = None) -> list[Text]:
    """A line of tokens as rows: the letters, their blocks, and their credit. cursor: the token that is pointed at."""
    letters, blocks, chances = Text(no_wrap=True), Text(no_wrap=True), Text(no_wrap=True)
    for part in line:
        value = None if view.values is None else view.values[part.token]
        style = "" if view.scale is None else view.scale.style(value)
        style += " strike" if view.masked[part.token] else ""
        style += " reverse bold underline" if part.token == cursor else ""
        letters.append(part.text, style.strip())
        if view.scale is not None:
            block = view.scale.block(value) * part.width
            blocks.append(MASKED + block[1:] if view.masked[part.token] else block)
        if view.credit is not None:
            chance = view.credit[part.token]
            chances.append((UNKNOWN if chance is None else _nearest(BLOCKS, chance)) * part.width, "green")
    return [letters] + [blocks] * (view.scale is not None) + [chances] * (view.credit is not None)


def notes(view: TokenView) -> list[Text]:
    """What the rows of a rollout show besides the colours, and what is left out."""
    lines = []
    if any(view.masked):
        lines.append(Text(f"{MASKED} under a crossed-out token: nothing was learnt from it"))
    if view.credit is not None:
        lines.append(
            Text("the lowest row is credit, the chance of ending right if sampled on from here: ▁ 0  █ 1", "green")
        )
    if len(view.texts) > MOST_TOKENS:
        lines.append(Text(f"the first {MOST_TOKENS:,} of {len(view.texts):,} tokens are shown"))
    return lines
