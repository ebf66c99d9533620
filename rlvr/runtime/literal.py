"""Text from anywhere, shown on a terminal as it is: it can neither do anything there nor take more room than it is given."""

from rich.cells import cell_len


def printable(text: str) -> str:
    """Text with every control character but line ends made visible, so that it can do nothing to a terminal."""
    return "".join(c if c == "\n" or c.isprintable() else f"\\x{ord(c):02x}" for c in text)


def on_one_line(text: str, cells: int) -> str:
    """Text on one line of at most so many cells (of a terminal, 10 or more); of what is longer both ends are kept."""
    long = len(text) > 8 * cells  # of which nothing in the middle needs to be looked at
    line = printable((text[: 4 * cells] + text[-4 * cells :] if long else text).replace("\n", "⏎"))
    if not long and cell_len(line) <= cells:
        return line
    begin = _beginning(line, 2 * (cells - 3) // 3)
    end = _beginning(line[len(begin) :][::-1], cells - 3 - cell_len(begin))[::-1]
    return f"{begin} … {end}"


def _beginning(text: str, cells: int) -> str:
    """As much of the text as so many cells hold, character by character."""
    for number, character in enumerate(text):
        cells -= cell_len(character)
        if cells < 0:
            return text[:number]
    return text
