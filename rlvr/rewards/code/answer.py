"""Where the program is in a response."""

import re

_FENCE = re.compile(r"([ \t]*)(`{3,}|~{3,})([^\n]*)")


def last_code_block(response: str) -> str | None:
    """The text of the last fenced code block after the thoughts; None if there is none, or the thoughts never end.

    A fence is three or more backticks or tildes, with or without a language after it; it is closed by as many or more
    of the same kind, or by the end of the text (as in CommonMark, https://spec.commonmark.org/0.31.2/#fenced-code-blocks).
    A block that is indented, as in a list, loses the indentation of its fence. A response that is only code has no
    block: it cannot be told from prose that happens to compile.

    >>> last_code_block("<think>```no```</think> So:\\n~~~python\\nx = 1\\n~~~\\nDone.")
    'x = 1'
    """
    after = _after_thoughts(response)
    if after is None:
        return None
    last: str | None = None
    fence, indent, block = "", "", list[str]()
    for line in after.split("\n"):
        mark = _FENCE.fullmatch(line.rstrip("\r"))
        if not fence:
            # Backticks after backticks are inline code: ```x``` opens nothing.
            if mark and not (mark[2][0] == "`" and "`" in mark[3]):
                indent, fence, block = mark[1], mark[2], []
        elif mark and mark[2].startswith(fence) and not mark[3].strip():
            last, fence = "\n".join(block), ""
        else:
            block.append(line.removeprefix(indent))
    return "\n".join(block) if fence else last


def _after_thoughts(response: str) -> str | None:
    """What follows the last </think>; None if a <think> after it never ends."""
    rest = response.rpartition("</think>")[2]
    return None if "<think>" in rest else rest
